# SPDX-License-Identifier: MIT
"""Keys at the HTTP door: no path that tells or changes anything opens without one."""
import json
import os
import subprocess
import tempfile

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
