# SPDX-License-Identifier: MIT
"""Keys at the HTTP door: no path that tells or changes anything opens without one."""
import json
import os
import subprocess
import tempfile
import time

from service import JSON, Service

OPEN = {"/v1/openapi.json"}  # what it describes is in the source


def make(build, path, role, *more):
    out = subprocess.run([os.path.join(build, "purser"), "keys", "create", "--file", path, "--role",
                          role, *more], capture_output=True, check=True, text=True)
    return {**JSON, "Authorization": f"Bearer {out.stdout.strip()}"}


def test_keys_at_every_path(build):
    folder = tempfile.TemporaryDirectory()
    path = os.path.join(folder.name, "keys.json")
    app = make(build, path, "app", "--tenant", "acme")
    reader, operator = make(build, path, "reader"), make(build, path, "operator")
    s = Service(build, keys={"file": path})
    tried = 0
    for where, ops in s.get("/v1/openapi.json")["paths"].items():
        if not where.startswith("/v1/") or where in OPEN:
            continue
        for method in ops.keys() & {"get", "put", "post"}:
            body = None if method == "get" else {"v": 1, "op": "route"}
            for stranger in (JSON, {**JSON, "Authorization": "Bearer nobody.secret"},
                             {**JSON, "Authorization": app["Authorization"][:-2]}):
                status, _, said = s.ask(method.upper(), where.replace("{decision_id}", "1-1-" + "0" * 16),
                                        body, stranger)
                assert status == 401, (method, where, status, said)
                tried += 1
    assert tried > 40, tried
    route = {"v": 1, "op": "route"}
    assert s.ask("POST", "/v1/route", route, app)[0] == 200
    assert s.ask("POST", "/v1/route", {**route, "tenant": "globex"}, app)[0] == 403
    assert s.ask("POST", "/v1/route", {**route, "key": "another.key"}, app)[0] == 401
    assert s.ask("POST", "/v1/route", route, operator)[0] == 403
    for who, status in ((app, 403), (reader, 403), (operator, 200)):
        set_it = {"v": 1, "op": "weights.set", "weights": {"cost": 0.1}}
        assert s.ask("PUT", "/v1/weights", set_it, who)[0] == status, who
    for who, status in ((app, 403), (reader, 200), (operator, 200)):
        assert s.ask("HEAD", "/v1/events", None, who)[0] == status, who
        assert s.ask("GET", "/v1/spend", None, who)[0] == status, who
    assert s.ask("GET", "/healthz", door="metrics")[0] == 200  # nothing is told but how it is
    assert s.ask("GET", "/", None, {})[0] == 200  # nor is by the page
    assert [json.loads(s.ask("GET", "/v1/status", None, k)[2])["role"] for k in (reader, operator)] == ["reader", "operator"]
    assert json.loads(s.ask("GET", "/v1/stats", None, {})[2])["error"]["code"] == "unauthorized"
    assert s.stop()[0] == 0


def test_connections_of_a_key(build):
    """A key with --connections has so many at once over all doors, streams too; others are not hurt."""
    folder = tempfile.TemporaryDirectory()
    path = os.path.join(folder.name, "keys.json")
    app, other = make(build, path, "app", "--connections", "2"), make(build, path, "app", "--connections", "2")
    usual = make(build, path, "reader")  # of which /keys/connections says it
    s = Service(build, keys={"file": path, "connections": 1})
    route = json.dumps({"v": 1, "op": "route"})

    def ask(c, who, method="POST", where="/v1/route"):
        c.request(method, where, route if method == "POST" else None, who)
        r = c.getresponse()
        return r.status, r.headers, r.read()

    open_ = [s.connect() for _ in range(4)]
    assert [ask(c, app)[0] for c in open_[:2]] == [200, 200]
    for _ in range(3):  # one that is open goes on; those beyond do not, however often they try
        assert ask(open_[0], app)[0] == 200
        status, headers, body = ask(open_[2], app)
        said = json.loads(body)["error"]
        assert status == 429 and headers["Retry-After"] and said["code"] == "throttled", (status, body)
        assert "2 connections" in said["message"] and said["path"] == "/key", said
    assert ask(open_[2], other)[0] == 200
    key = app["Authorization"].split()[1]
    said = s.over_nng("route", json.dumps({"v": 1, "op": "route", "key": key}).encode())
    assert b"2 connections" in said, said  # the other door counts the same
    open_[1].close()
    until(lambda: ask(open_[3], app)[0] == 200)
    open_[0].close()
    on_nng = lambda: s.over_nng("route", json.dumps({"v": 1, "op": "route", "key": key}).encode())  # noqa: E731
    until(lambda: b"decision_id" in on_nng())
    assert ask(open_[0], app)[0] == 429  # NNG's and the last one of HTTP
    s.nng.pop("route").close()
    until(lambda: ask(open_[0], app)[0] == 200)
    stream, ordinary = s.connect(), s.connect()
    stream.request("GET", "/v1/events", None, usual)
    assert stream.getresponse().status == 200
    status, _, body = ask(ordinary, usual, "GET", "/v1/events")
    assert status == 429 and b"1 connections" in body, body
    assert ask(ordinary, usual, "GET", "/v1/stats")[0] == 429
    stream.close()
    until(lambda: ask(open_[3], app)[0] == 200 and  # a stream's end is seen when something is sent
          ask(ordinary, usual, "GET", "/v1/stats")[0] == 200)
    for c in (*open_, ordinary):
        c.close()
    assert s.stop()[0] == 0


def until(true):
    for _ in range(200):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError("still not so")
