# SPDX-License-Identifier: MIT
"""Events as server-sent events: whole, in order, and no burden on the service."""
import json
import time

from service import Service


def route(n):
    return {"v": 1, "op": "route", "request_id": f"s-{n}", "prompt": "p" * 200}


def test_events_are_the_log(build):
    s = Service(build, http={"streams": 1})
    c = s.connect()
    c.request("GET", "/v1/events")
    r = c.getresponse()
    assert r.status == 200 and r.headers["Content-Type"] == "text/event-stream"
    status, headers, body = s.ask("GET", "/v1/events")
    assert status == 503 and int(headers["Retry-After"]) > 0, (status, body)
    for n in range(20):
        s.post("/v1/route", route(n))
    seen = []
    while sum(e["kind"] == "decided" for e in seen) < 20:
        line = r.readline()
        if line.startswith(b"id: "):
            number = int(line[4:])
        elif line.startswith(b"data: "):
            seen.append(json.loads(line[6:]))
            assert seen[-1]["seq"] == number
    log = {e["seq"]: e for e in s.get("/v1/log?limit=1000")["items"]}
    assert [e["seq"] for e in seen] == sorted(e["seq"] for e in seen)
    assert all(log[e["seq"]] == e for e in seen)
    code, _ = s.stop()  # a reader does not keep the service from stopping
    assert code == 0
    c.close()


def test_a_reader_that_does_not_read(build):
    s = Service(build)
    c = s.raw()
    c.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
    batch = {"v": 1, "op": "route_many"}
    for n in range(200):
        items = [{"request_id": f"n-{n}-{i}"} for i in range(64)]
        s.post("/v1/route", {**batch, "items": items})
        if s.get("/v1/stats")["service"]["http"]["streams_dropped"]:
            break
    assert s.get("/v1/stats")["service"]["http"]["streams_dropped"] == 1
    for _ in range(100):
        if s.get("/v1/stats")["service"]["http"]["streams"] == 0:
            break
        time.sleep(0.05)
    else:
        raise AssertionError("the reader was not let go")
    c.close()
    assert s.stop()[0] == 0


def test_only_what_is_wanted(build):
    """Kinds that were not asked for do not come, and those that were come no oftener than asked."""
    s = Service(build)
    for query in ("kinds=decided,nonsense", "gap_ms=-1", "gap_ms=1e3", "every=1", "kinds"):
        status, _, body = s.ask("GET", "/v1/events?" + query)
        assert status == 400, (query, status, body)
    c = s.connect()
    c.request("GET", "/v1/events?kinds=decided,configured&gap_ms=300")
    r, seen, end = c.getresponse(), [], time.monotonic() + 1.5
    n = 0
    while time.monotonic() < end:
        s.post("/v1/route", route(n := n + 1))
    s.ask("PUT", "/v1/weights", {"v": 1, "op": "weights.set", "weights": {"cost": 0.1}})
    while not seen or seen[-1]["kind"] != "configured":
        line = r.readline()
        if line.startswith(b"data: "):
            seen.append(json.loads(line[6:]))
    kinds = [e["kind"] for e in seen]
    assert set(kinds) == {"decided", "configured"}, kinds
    assert 3 <= kinds.count("decided") <= 7 and n > 20, (kinds.count("decided"), n)
    c.close()
    assert s.stop()[0] == 0
