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


def test_secrets_and_prompts_stay_nowhere(build):
    """covers: A2 A6

    What a prompt says and a key's secret are in no answer, export, file or log line."""
    folder = tempfile.TemporaryDirectory()
    path, word = os.path.join(folder.name, "keys.json"), "zqxcanary"
    app, operator = make(build, path, "app", "--tenant", "acme"), make(build, path, "operator")
    keys = [who["Authorization"].split()[1] for who in (app, operator)]
    secrets = [key.split(".")[1] for key in keys]
    s = Service(build, keys={"file": path}, log={"format": "json"}, metrics={"tenants": 10},
                pools=[{"name": "cap", "match": {"tenant": "acme"}, "usd": 0.05, "mode": "quantile"}])
    said = {}

    def ask(method, where, body=None, who=operator, status=200):
        got, _, answer = s.ask(method, where, body, who, "metrics" if where == "/metrics" else "http")
        assert got == status, (method, where, got, answer)
        said[f"{method} {where} {len(said)}"] = answer
        return json.loads(answer) if answer[:1] == b"{" else answer

    for i in range(20):
        body = {"v": 1, "op": "route", "request_id": f"r-{i}", "task": "code", "explain": True,
                "prompt": f"{word} number {i}: write {word} twice", "key": keys[0]}
        decided = ask("POST", "/v1/route", body, app)["decision_id"]
        ask("POST", "/v1/feedback", {"v": 1, "op": "feedback", "decision_id": decided, "quality": i % 2,
                                     "prompt_tokens": 10, "output_tokens": 20, "key": keys[0]}, app)
    ask("POST", "/v1/route", {"v": 1, "op": "route", "prompt": word, "max_cost": 1}, app, 400)  # its path, not its text
    ask("POST", "/v1/route", {"v": 1, "op": "route", "prompt": word, "key": "app-1.zqxcanary"}, {**JSON}, 401)
    ask("POST", "/v1/control", {"v": 1, "op": "teach", "batch_id": "b-1", "items": [
        {"request": {"task": "code", "prompt": f"{word} taught"}, "outcomes": [{"model": "mid-1", "quality": 1}]}]})
    ask("PUT", "/v1/weights", {"v": 1, "op": "weights.set", "weights": {"cost": 0.1}, "reason": "test", "key": keys[1]})
    ask("PUT", "/v1/models", {"v": 1, "op": "models.set", "models": [{"name": "mid-1", "usd_per_mtok_out": 1.6}]})
    ask("POST", "/v1/whatif", {"v": 1, "op": "whatif", "change": {"objective": {"cost": 0.5}}})
    for where in ("/v1/decisions", f"/v1/decisions/{decided}", "/v1/audit", "/v1/log", "/v1/stats", "/v1/status",
                  "/v1/spend", "/v1/usage", "/v1/fairness", "/v1/alerts", "/v1/config", "/v1/models", "/v1/pools"):
        ask("GET", where)
    metrics = s.ask("GET", "/metrics", None, {}, "metrics")[2]
    said["metrics"] = metrics
    assert len(json.loads(said[next(k for k in said if k.startswith("GET /v1/decisions "))])["decisions"]) >= 20
    purser, data = os.path.join(build, "purser"), os.path.join(s.folder, "data")
    door = ["--control", f"tcp://127.0.0.1:{s.port['control']}"]
    environment = {**os.environ, "PURSER_KEY": keys[1]}
    for words in (["export", "--format", "focus", "--out", "-"], ["export", "--format", "otel", "--out", "-"],
                  ["export", "--format", "csv", "--out", "-"], ["learned", "export", "--out", "-"], ["audit", "--json"],
                  ["spend"], ["explain", decided], ["top", "--once"], ["keys", "list", "--file", path],
                  ["log", "--data", data], ["backup", "--data", data, "--to", os.path.join(s.folder, "copy")]):
        offline = words[0] in ("keys", "log", "backup")
        out = subprocess.run([purser, *words, *([] if offline else door)], capture_output=True, env=environment, check=False)
        assert out.returncode == 0, (words, out.stderr)
        assert out.stdout or words[0] == "backup", words
        said[" ".join(words)] = out.stdout + out.stderr
    for root, _, names in os.walk(s.folder):
        for name in (os.path.join(root, n) for n in names):
            if os.path.isfile(name):
                with open(name, "rb") as f:
                    said[name] = f.read()
    with open(path, "rb") as f:
        said[path] = f.read()
    assert any(k.endswith("data.mdb") for k in said) and any("/copy" in k for k in said), list(said)
    for secret in (word, *secrets):
        for where, what in said.items():
            assert secret.encode() not in what, (secret, where)
    assert s.stop()[0] == 0
