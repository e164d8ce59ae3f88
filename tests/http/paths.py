# SPDX-License-Identifier: MIT
"""Each path does what /v1/openapi.json says, and nothing else does anything."""
import json
import pathlib
import re
import socket

from service import JSON, Service

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MIB = 1 << 20


def route(**members):
    return {"v": 1, "op": "route", **members}


def control(op, **members):
    return {"v": 1, "op": op, **members}


# What brings about each status of the document: path -> status -> (method, path, body, headers).
def examples(decision_id):
    plain = {"Content-Type": "text/plain"}
    long = json.dumps(route(prompt="x" * (MIB + 1)))
    change = {"/v1/weights": control("weights.set", weights={"cost": 0.05}, reason="test"),
              "/v1/policies": control("policy.set", policy={"width": 0.5}),
              "/v1/models": control("models.set", models=[{"name": "mid-1",
                                                           "usd_per_mtok_out": 1.6}]),
              "/v1/pools": control("pools.set", pool="initech", set={"usd": 0.00002}),
              "/v1/learners": control("learners.set", learners=[{"tenant": "acme"}]),
              "/v1/config": control("config.set", change={"budget": {"usd_per_request": 0.1}})}
    preview = control("whatif", change={"objective": {"cost": 0.5}})
    table = {
        ("post", "/v1/route"): {
            "200": ("/v1/route", route(request_id="p-1", tenant="acme")),
            "400": ("/v1/route", route(max_cost=1)),
            "409": ("/v1/route", route(request_id="p-1", tenant="acme", task="other")),
            "413": ("/v1/route", long),
            "415": ("/v1/route", route(), plain),
            "422": ("/v1/route", route(constraints={"min_tier": "large", "deny": ["large-1"]})),
            "429": ("/v1/route", route(tenant="initech", prompt_tokens=100000,
                                       max_output_tokens=100000))},
        ("post", "/v1/feedback"): {
            "200": ("/v1/feedback", control("feedback", decision_id=decision_id, quality=1,
                                            feedback_id="p")),
            "400": ("/v1/feedback", control("feedback", decision_id=decision_id, quality=2)),
            "404": ("/v1/feedback", control("feedback", decision_id=decision_id[:-1] +
                                            ("0" if decision_id[-1] != "0" else "1"), quality=1)),
            "409": ("/v1/feedback", control("feedback", decision_id=decision_id, quality=0,
                                            feedback_id="p")),
            "413": ("/v1/feedback", long),
            "415": ("/v1/feedback", control("feedback"), plain)},
        ("post", "/v1/control"): {
            "200": ("/v1/control", control("snapshot")),
            "400": ("/v1/control", control("snapshots")),
            "404": ("/v1/control", control("explain", decision_id="1-2-0123456789abcdef")),
            "413": ("/v1/control", long),
            "415": ("/v1/control", control("status"), {})},
        ("get", "/v1/decisions/{decision_id}"): {
            "200": (f"/v1/decisions/{decision_id}",), "400": ("/v1/decisions/nonsense",),
            "404": ("/v1/decisions/1-2-0123456789abcdef",)},
        ("get", "/v1/openapi.json"): {"200": ("/v1/openapi.json",)},
        ("get", "/"): {"200": ("/",)},
        ("get", "/page/{file}"): {"200": ("/page/app.css",), "404": ("/page/nothing.js",)},
        ("get", "/healthz"): {"200": ("/healthz",)},
        ("get", "/readyz"): {"200": ("/readyz",)},
        ("get", "/metrics"): {"200": ("/metrics",)}}
    for path, body in change.items():
        table["put", path] = {"200": (path, body), "400": (path, control("models.list")),
                              "413": (path, long), "415": (path, body, plain)}
    stale = control("config.set", change={}, config_seq=1)
    table["put", "/v1/config"]["409"] = ("/v1/config", stale)
    table["post", "/v1/whatif"] = {
        "200": ("/v1/whatif", preview), "400": ("/v1/whatif", control("whatif")),
        "413": ("/v1/whatif", long), "415": ("/v1/whatif", preview, {})}
    for path in (*change, "/v1/audit", "/v1/stats", "/v1/status", "/v1/log", "/v1/spend",
                 "/v1/usage", "/v1/fairness", "/v1/decisions", "/v1/alerts"):
        table["get", path] = {"200": (path,), "400": (path + "?nothing=1",)}
    return table


STREAM = ("get", "/v1/events")  # tests/http/streams.py
POOLS = [{"name": "initech", "match": {"tenant": "initech"}, "usd": 0.00001}]


def resolve(document, node):
    while "$ref" in node:
        at = document
        for key in node["$ref"].removeprefix("#/").split("/"):
            at = at[key]
        node = at
    return node


TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int,
         "number": (int, float), "null": type(None)}


def check(document, schema, value, where):
    """As much of JSON Schema as the document uses."""
    if schema is True:
        return
    schema = resolve(document, schema)
    if "oneOf" in schema:
        fits = 0
        for one in schema["oneOf"]:
            try:
                check(document, one, value, where)
                fits += 1
            except AssertionError:
                pass
        assert fits == 1, (where, fits)
    if "type" in schema:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        assert any(isinstance(value, TYPES[t]) for t in types), (where, types, value)
        assert "boolean" in types or not isinstance(value, bool), where
    assert "const" not in schema or value == schema["const"], (where, value)
    assert "enum" not in schema or value in schema["enum"], (where, value)
    assert "pattern" not in schema or re.search(schema["pattern"], value), (where, value)
    assert "minimum" not in schema or value >= schema["minimum"], (where, value)
    assert "maximum" not in schema or value <= schema["maximum"], (where, value)
    for key in schema.get("required", ()):
        assert key in value, (where, key, value)
    for key, below in schema.get("properties", {}).items():
        if isinstance(value, dict) and key in value:
            check(document, below, value[key], f"{where}/{key}")
    for i, item in enumerate(value if "items" in schema else ()):
        check(document, schema["items"], item, f"{where}/{i}")


def run_example(s, document, method, responses, status, example):
    path, body, headers = (*example, None, None)[:3]
    door = "metrics" if path in ("/healthz", "/readyz", "/metrics") else "http"
    got, said, answer = s.ask(method.upper(), path, body, headers, door)
    where = f"{method} {path} {status}"
    assert str(got) == status, (where, got, answer[:300])
    response = resolve(document, responses[status])
    (content, media), = response["content"].items()
    assert said["Content-Type"].split(";")[0] == content, (where, said["Content-Type"])
    if content == "application/json":
        check(document, media["schema"], json.loads(answer), where)
    for header in response.get("headers", {}):
        assert said[header] and int(said[header]) > 0, (where, header)


def test_each_status(build):
    s = Service(build, pools=POOLS)
    document = s.get("/v1/openapi.json")
    assert document["openapi"].startswith("3.1")
    answer = s.post("/v1/route", route(request_id="p-0"))
    table, done = examples(answer["decision_id"]), 0
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method == "servers" or (method, path) == STREAM:
                continue
            responses = operation["responses"]
            cases = table.pop((method, path))
            assert set(cases) == set(responses) - {"default"}, (method, path)
            for status, example in sorted(cases.items()):
                run_example(s, document, method, responses, status, example)
                done += 1
    assert not table, table
    assert done > 50, done
    assert s.stop()[0] == 0


def served():
    """(path, method) of the table of paths in the source."""
    text = (ROOT / "transport/http/routes.c").read_text(encoding="utf-8")
    rows = re.findall(r'\{"(/[^"]*)",\s*(?:true|false),\s*(\w+),\s*(\{.*?\})\},\n', text, re.S)
    out = set()
    for path, _, acts in rows:
        out |= {(path, m.lower()) for m in re.findall(r'SEND\("(\w+)"', acts)}
        out |= {(path, "get")} if "ASK(" in acts or "GIVE(" in acts else set()
    return out


def test_every_path_is_described(build):
    del build
    document = json.loads((ROOT / "transport/http/openapi.json").read_text(encoding="utf-8"))
    described = {(path, method) for path, item in document["paths"].items() for method in item
                 if method != "servers"}
    assert served() == described, served() ^ described
    operations = [o["operationId"] for item in document["paths"].values()
                  for m, o in item.items() if m != "servers"]
    assert len(operations) == len(set(operations))
    for ref in re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)):
        resolve(document, {"$ref": ref})


def test_arguments_are_described(build):
    """What a question takes is what the document says: others are refused by name."""
    s = Service(build)
    document = s.get("/v1/openapi.json")
    value = {"from": "1", "to": "2", "limit": "3", "digest": "true", "by": "model",
             "bucket": "day", "kinds": "decided,hull", "gap_ms": "1000"}
    for path, item in document["paths"].items():
        parameters = item.get("get", {}).get("parameters", ())
        for parameter in parameters:
            p = resolve(document, parameter)
            if p["in"] == "query":
                query = f"{path}?{p['name']}={value.get(p['name'], 'small-1')}"
                status, _, answer = s.ask("HEAD" if path == STREAM[1] else "GET", query)
                assert status == 200 or (path, p["name"]) == ("/v1/pools", "pool"), (query, answer)
    assert s.stop()[0] == 0


def error_of(answer):
    e = json.loads(answer)["error"]
    assert e["code"] and e["message"]
    return e["code"]


def test_methods(build):
    """covers: P23"""
    s = Service(build)
    for path in ("/v1/weights", "/v1/spend", "/v1/openapi.json", "/v1/events"):
        status, headers, body = s.ask("HEAD", path)
        assert (status, body) == (200, b""), (path, status, body)
        status, headers, body = s.ask("OPTIONS", path)
        assert status == 204 and "GET" in headers["Allow"] and body == b"", (path, status)
        status, headers, body = s.ask("DELETE", path)
        assert status == 405 and "GET" in headers["Allow"] and error_of(body) == "bad_request"
    status, headers, body = s.ask("GET", "/v1/route")
    assert status == 405 and headers["Allow"] == "POST, OPTIONS"
    for path in ("/index.html", "/v1", "/v1/", "/v1/routes", "/V1/route", "/v1/decisions/", "/metrics",
                 "/healthz", "/v1/%77eights", "/v1/weights/", "/v1/..%2fweights", "//v1/weights",
                 "/v1/decisions/a/b", "/v1/weights%00", "/%", "/%zz"):
        status, _, body = s.ask("GET", path)
        assert status == 404 and error_of(body) == "bad_request", (path, status, body)
    assert s.ask("GET", "/v1/weights", door="metrics")[0] == 404
    assert s.stop()[0] == 0


def test_arguments(build):
    s = Service(build)
    for query in ("from=x", "from=-1", "from=1.5", "from=", "from", "from=1&from=2", "by=%",
                  "by=%4", "by=%zz", "by=%00", "tenant=" + "a" * 600, "=1", "a=1", "bucket=week"):
        status, _, body = s.ask("GET", f"/v1/spend?{query}")
        assert status == 400, (query, status, body)
    status, _, body = s.ask("GET", "/v1/spend?" + "&".join(
        f"{n}=" + "%22" * 300 for n in ("tenant", "model", "task", "domain", "group")))
    assert status in (400, 413), (status, body)
    assert s.get("/v1/spend?tenant=&by=tenant")["rows"] == []
    assert s.stop()[0] == 0


def test_key(build):
    """The header is the key; one in the message beside it must be the same."""
    s = Service(build)
    body = json.dumps(route(request_id="k-1", key="a.b"))
    for headers, want in (({}, 200), ({"Authorization": "Bearer a.b"}, 200),
                          ({"Authorization": "bearer a.b"}, 200),
                          ({"Authorization": "Bearer a.c"}, 401),
                          ({"Authorization": "Basic YTpi"}, 401),
                          ({"Authorization": "Bearer " + "x" * 300}, 401)):
        status, _, answer = s.ask("POST", "/v1/route", body, {**JSON, **headers})
        assert status == want, (headers, status, answer)
        assert want == 200 or error_of(answer) == "unauthorized"
    code, said = s.stop()
    assert code == 0 and "a.b" not in said and "a.c" not in said


def test_unix_socket(build):
    s = Service(build)
    assert pathlib.Path(s.unix).stat().st_mode & 0o777 == 0o660
    with socket.socket(socket.AF_UNIX) as c:
        c.connect(s.unix)
        c.sendall(b"GET /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        got = b""
        while some := c.recv(65536):
            got += some
    assert got.startswith(b"HTTP/1.1 200 ") and b'"status":"serving"' in got, got
    assert s.stop()[0] == 0
    assert not pathlib.Path(s.unix).exists()


def test_metrics(build):
    s = Service(build, pools=POOLS, metrics={"tenants": 2})
    for n in range(30):
        a = s.post("/v1/route", route(request_id=f"m-{n}", tenant=f"t{n % 5}", prompt_tokens=10))
        s.post("/v1/feedback", control("feedback", decision_id=a["decision_id"], quality=0.5,
                                       output_tokens=7, latency_ms=100))
    _, headers, text = s.ask("GET", "/metrics", door="metrics")
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4"), headers
    samples, kind, helped = {}, {}, set()
    for line in text.decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind_of = line.split(" ")
            assert name not in kind and kind_of in ("counter", "gauge"), line
            assert kind_of == "gauge" or name.endswith("_total"), line
            kind[name] = kind_of
        elif line.startswith("# HELP "):
            helped.add(line.split(" ")[2])
        else:
            m = re.fullmatch(r'(purser_[a-z0-9_]+)(\{(?:[a-z_]+="[^"]*",?)+\})? (\S+)', line)
            assert m and m[1] in kind, line
            assert m[1] + (m[2] or "") not in samples, line
            samples[m[1] + (m[2] or "")] = float(m[3])
    assert helped == set(kind)
    assert samples["purser_decisions_total"] == samples["purser_feedbacks_total"] == 30
    by_model = [v for k, v in samples.items() if k.startswith("purser_model_decisions_total{")]
    assert sum(by_model) == 30 and len(by_model) == 3
    tokens = [v for k, v in samples.items() if k.startswith("purser_model_tokens{") and
              'gen_ai_token_type="output"' in k]
    assert sum(tokens) == 30 * 7
    tenants = {k: v for k, v in samples.items() if k.startswith("purser_tenant_requests{")}
    assert sorted(tenants.values()) == [6, 6, 18] and 'purser_tenant_requests{tenant="*"}' in tenants
    assert samples['purser_pool_cap_usd{pool="initech"}'] == 0.00001
    spend = s.get("/v1/spend")["total"]
    assert abs(samples["purser_spend_usd"] - spend["cost_nano"] * 1e-9) < 1e-12
    assert s.stop()[0] == 0


def test_no_tenants_unless_asked(build):
    """covers: A8"""
    s = Service(build)
    s.post("/v1/route", route(tenant="acme-secret"))
    assert b"acme" not in s.ask("GET", "/metrics", door="metrics")[2]
    assert s.stop()[0] == 0


def test_json_log(build):
    """covers: J15 A2 A6"""
    s = Service(build, log={"format": "json"})
    s.ask("PUT", "/v1/weights", control("weights.set", weights={"cost": 0.1},
                                        reason='a "reason"\n\u202e' + "x" * 150))
    s.post("/v1/route", route(prompt="canary-prompt", key="canary.key"))
    code, said = s.stop()
    assert code == 0 and "canary" not in said
    lines = [json.loads(line) for line in said.splitlines()]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", e["time"]) and
               e["level"] in ("info", "warn", "error") for e in lines), lines
    assert [e for e in lines if e["event"] == "configured" and e.get("reason", "").startswith('a "')]


def test_state_when_stopping(build):
    """Whoever is inside is answered; who asks then is told to come again."""
    s = Service(build)
    c = s.connect()
    c.request("GET", "/v1/status")
    c.getresponse().read()
    code, said = s.stop()
    assert code == 0 and "event=stopped" in said
