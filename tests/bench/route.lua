-- SPDX-License-Identifier: MIT
-- The load of tests/bench/http for wrk: route requests, each with an id of its own.
local head = '{"v":1,"op":"route","request_id":"'
local tail = '","tenant":"acme","task":"summary","prompt":"Summarise the minutes of Tuesday, please. ' ..
   string.rep("x", 200) .. '","max_output_tokens":300}'
local threads, n = 0, 0

function setup(thread)
   thread:set("id", threads)
   threads = threads + 1
end

function init(args)
   wrk.method = "POST"
   wrk.headers["Content-Type"] = "application/json"
   prefix = head .. (args[1] or "w") .. "-" .. id .. "-"
end

function request()
   n = n + 1
   return wrk.format(nil, "/v1/route", nil, prefix .. n .. tail)
end

function done(summary, latency, requests)
   local bad = summary.errors.status + summary.errors.connect + summary.errors.read +
      summary.errors.write + summary.errors.timeout
   io.write(string.format("rate %.1f p50_us %d p99_us %d bad %d\n", summary.requests / summary.duration * 1e6,
      latency:percentile(50), latency:percentile(99), bad))
end
