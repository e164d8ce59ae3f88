# SPDX-License-Identifier: MIT
"""Changing what is in force: previews beside traffic, changes that are refused when they come too
late."""
import json
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import threading
import time

from keys import make
from service import Service

GOOD = {"small-1": 0.5, "mid-1": 0.7, "large-1": 0.9}


def control(op, **members):
    return {"v": 1, "op": op, **members}


def nng(s, door, body):
    return json.loads(s.over_nng(door, json.dumps(body).encode()))


def serve(s, n, seed=1):
    """n requests of two groups, each reported on; gives what was decided."""
    g, out = random.Random(seed), []
    for i in range(0, n, 50):
        items = [{"group": ("eu", "us")[k % 2], "prompt_tokens": 200} for k in range(50)]
        answers = nng(s, "route", {"v": 1, "op": "route_many", "items": items})["items"]
        reports = [{"decision_id": a["decision_id"],
                    "quality": int(g.random() < GOOD[a["model"]]),
                    "prompt_tokens": 200, "output_tokens": 300} for a in answers]
        nng(s, "feedback", {"v": 1, "op": "feedback_many", "items": reports})
        out += answers
    return out


def test_settings_preview(build):
    s = Service(build, objective={"cost": 0.05}, policy={"floor": 0.3, "floor_min": 0.3})
    serve(s, 1500)
    before = s.get("/v1/stats")
    answer = s.post("/v1/whatif", control("whatif", change={"objective": {"cost": 3}}))
    r = answer["report"]
    assert r["rows"] == 1500 and r["labels"] == 1500, r
    assert r["metrics"]["cost_usd"]["change"]["high"] < 0, r["metrics"]
    assert not r["metrics"]["quality"]["enough"] and r["ess"] < 250, r["ess"]
    little = s.post("/v1/whatif", control("whatif", change={"objective": {"cost": 0.1}}))["report"]
    assert little["metrics"]["quality"]["enough"] and little["moved"] < 0.5, little
    assert set(r["tiers"]) >= {"small", "medium", "large"}
    assert {g["name"] for g in r["fairness"]["segments"]} == {"eu", "us"}
    assert "quality" in answer["table"] and answer["config_seq"] == s.get("/v1/config")["config_seq"]
    # It changes nothing, and the newest decisions alone count when so asked.
    after = s.get("/v1/stats")
    for what in ("decisions", "feedbacks", "taught", "spent_usd"):  # ticks may come between
        assert after[what] == before[what], what
    assert s.post("/v1/whatif", control("whatif", change={}, decisions=100))["report"]["rows"] == 100
    # Both doors, the same words.
    ask = control("whatif", change={"objective": {"cost": 3}})
    said = nng(s, "control", ask)["report"]  # a tick between may have moved a digit
    assert (said.keys(), said["rows"], said["labels"]) == (r.keys(), r["rows"], r["labels"])
    for members, path in (({"change": {"objective": {"cost": -1}}}, "/change/objective/cost"),
                          ({"change": {"listen": {}}}, "/change/listen"),
                          ({"change": 3}, "/change"), ({}, "/change"),
                          ({"change": {}, "days": 0}, "/days"),
                          ({"change": {}, "decisions": 50001}, "/decisions"),
                          ({"change": {}, "config_seq": 1}, "/config_seq"),
                          ({"change": {"policy": {"name": "rules"}}}, "/policy/name")):
        error = nng(s, "control", control("whatif", **members))["error"]
        assert error["path"] == path, (members, error)
    assert s.stop()[0] == 0


def test_settings_preview_of_rules(build):
    """A rule that sets a lowest tier is seen in the preview; what no log can tell is refused."""
    s = Service(build, policy={"name": "uniform"})
    items = [{"request_id": f"r-{i}", "prompt_tokens": 10, "task": "law" if i % 2 else "chat"} for i in range(400)]
    for k in range(0, 400, 40):
        told = s.post("/v1/route", {"v": 1, "op": "route_many", "items": items[k:k + 40]})["items"]
        s.post("/v1/feedback", {"v": 1, "op": "feedback_many", "items": [
            {"decision_id": d["decision_id"], "quality": 0.5} for d in told]})

    def shares(rules):
        r = s.post("/v1/whatif", control("whatif", change={"rules": rules}))["report"]
        return {name: line["then"]["value"] for name, line in r["tiers"].items()}

    before, rule = shares([]), {"task": "law", "min_tier": "medium"}
    after = shares([rule])
    assert abs(before["small"] - 1 / 3) < 0.01 and abs(after["small"] - 1 / 6) < 0.01, (before, after)
    assert shares([{"min_tier": "large"}])["large"] > 0.999
    words = {"words": ["lease"], "min_tier": "large"}
    status, _, body = s.ask("POST", "/v1/whatif", control("whatif", change={"rules": [words]}))
    assert status == 400 and "no log has prompts" in json.loads(body)["error"]["message"], body
    purser(build, s, "config", "set", "rules=" + json.dumps([rule]), "--apply", "--reason", "law")
    status, _, body = s.ask("POST", "/v1/whatif", control("whatif", change={"rules": []}))
    assert status == 400 and json.loads(body)["error"]["path"] == "/rules", body
    assert shares([{"task": "law", "min_tier": "large"}, {"words": ["x"], "tier": "small"}])["large"] > 0.6
    assert s.stop()[0] == 0


def test_settings_preview_beside_traffic(build):
    """A preview of many decisions: others are told when to come back, and requests go on."""
    s = Service(build)
    serve(s, 6000)
    ask, told = control("whatif", change={"objective": {"cost": 0.4}}, decisions=50000), []
    until = time.monotonic() + 2

    def look():
        while time.monotonic() < until:
            told.append(s.ask("POST", "/v1/whatif", ask))

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for thread in lookers:
        thread.start()
    took = []
    while time.monotonic() < until:
        began = time.monotonic()
        s.post("/v1/route", {"v": 1, "op": "route", "prompt_tokens": 10})
        took.append(time.monotonic() - began)
    for thread in lookers:
        thread.join()
    seen = {status for status, _, _ in told}
    # A preview takes some tenths of a second of a core: on the loop every request would wait.
    took.sort()
    assert seen == {200, 503} and len(took) > 20 and took[len(took) // 2] < 0.1, (seen, took)
    for status, headers, body in told:
        if status == 503:
            assert json.loads(body)["error"]["code"] == "overloaded"
            assert headers["Retry-After"] == "1"
    assert s.stop()[0] == 0


def test_settings_change(build):
    s = Service(build)
    seen = s.get("/v1/config")["config_seq"]
    change = {"budget": {"usd_per_request": 0.001}, "objective": {"cost": 0.2}}
    status, _, body = s.ask("PUT", "/v1/config",
                            control("config.set", change=change, config_seq=seen, reason="less"))
    assert status == 200, body
    config = s.get("/v1/config")
    assert config["config"]["budget"]["usd_per_request"] == 0.001 and config["config_seq"] > seen
    assert s.get("/v1/weights")["weights"]["cost"] == 0.2
    status, _, body = s.ask("PUT", "/v1/config",
                            control("config.set", change=change, config_seq=seen))
    assert status == 409 and json.loads(body)["error"]["path"] == "/config_seq"
    status, _, body = s.ask("PUT", "/v1/config", control("config.set", change={"store": {}}))
    assert status == 400 and json.loads(body)["error"]["path"] == "/change/store", body
    assert s.stop()[0] == 0


def purser(build, s, *words, key=None, code=0):
    url = {f"PURSER_{door.upper()}": f"tcp://127.0.0.1:{s.port[door]}"
           for door in ("route", "feedback", "control")}
    if key:
        url["PURSER_KEY"] = key
    out = subprocess.run([os.path.join(build, "purser"), *words], capture_output=True, text=True,
                         env={**os.environ, **url}, timeout=60)
    assert out.returncode == code, (words, out.returncode, out.stdout, out.stderr)
    return out.stdout + out.stderr


def test_settings_long_values_show_where_they_differ(build):
    s = Service(build)
    rules = [{"task": f"task-{i}", "tier": "small"} for i in range(20)]
    for tier, reason in (("small", "first"), ("large", "second")):
        rules[12]["tier"] = tier
        purser(build, s, "config", "set", "rules=" + json.dumps(rules), "--apply", "--reason", reason)
    for said in (purser(build, s, "config", "history", "rules"), purser(build, s, "config", "diff")):
        line = said.splitlines()[-1].strip()
        before, after = line.split(" -> ")
        assert line.startswith("/rules: ...") and "small" in before and "large" in after, said
        assert len(line) < 160, line
    # A character of two bytes is not cut in two.
    for end in ("one", "two"):
        name = "rules=" + json.dumps([{"words": ["é" * 30, end], "tier": "small"}])
        purser(build, s, "config", "set", name, "--apply", "--reason", end)
    said = purser(build, s, "config", "diff")
    assert "one" in said and "two" in said and said.encode().decode() == said, said
    assert s.stop()[0] == 0


def test_settings_weights_there_and_back(build):
    s = Service(build, objective={"cost": 0.05}, policy={"floor": 0.3, "floor_min": 0.3},
                pools=[{"name": "all", "usd": 1000, "mode": "quantile"}])
    serve(s, 500)
    said = purser(build, s, "weights", "set", "--quality", "1", "--cost", "0.1", "--preview")
    assert "/objective/cost: 0.05 -> 0.1" in said and "share of large" in said, said
    assert s.get("/v1/weights")["weights"]["cost"] == 0.05
    said = purser(build, s, "weights", "set", "--cost", "0.1", "--apply", code=64)
    assert "--reason" in said, said
    purser(build, s, "weights", "set", "--cost", "0.1", "--apply", "--reason", "trial")
    purser(build, s, "weights", "set", "cost=0.2", "--reason", "more")
    purser(build, s, "policy", "set", "width=0.7", "--apply", "--reason", "wider")
    said = purser(build, s, "config", "set", "models/mid-1/usd_per_mtok_out=1.7", "pools/all/usd=6",
                  "budget/usd_per_request=0.01", "rules=[{\"task\":\"chat\",\"tier\":\"small\"}]",
                  "pools/new/usd=3", "--apply", "--reason", "a lot")
    assert "/models/mid-1/usd_per_mtok_out: 1.5 -> 1.7" in said, said
    assert s.get("/v1/config")["config"]["pools"][1]["usd"] == 3
    history = purser(build, s, "weights", "history")
    assert "0.05 -> 0.1" in history and "0.1 -> 0.2" in history and "/policy" not in history
    assert "more" in history and "trial" in history and "loopback" in history
    said = purser(build, s, "weights", "rollback", "--preview")
    assert "/objective/cost: 0.2 -> 0.1" in said and "pools" not in said, said
    purser(build, s, "weights", "rollback", "--apply", "--reason", "too dear")
    config = s.get("/v1/config")["config"]
    assert config["objective"]["cost"] == 0.1 and config["policy"]["width"] == 0.7
    purser(build, s, "weights", "rollback", "--to", "1", "--apply", "--reason", "as it was")
    assert s.get("/v1/weights")["weights"]["cost"] == 0.05
    said = purser(build, s, "config", "diff", "1")
    assert "/policy/width" in said and "/objective" not in said, said
    purser(build, s, "config", "rollback", "--to", "1", "--apply", "--reason", "all of it")
    assert purser(build, s, "config", "diff", "1") == ""
    assert len(s.get("/v1/config")["config"]["pools"]) == 1
    for what, name, field, was, then in (("models", "mid-1", "usd_per_mtok_out", "1.5", "1.9"),
                                         ("pools", "all", "usd", "1000", "7")):
        said = purser(build, s, what, "set", name, f"{field}={then}", "--preview", "--apply", "--reason", f"of {name}")
        assert f"/{what}/{name}/{field}: {was} -> {then}" in said and "share of large" in said, said
        assert f"of {name}" in purser(build, s, what, "history")
        said = purser(build, s, what, "rollback", "--preview", "--apply", "--reason", "back")
        assert f"/{what}/{name}/{field}: {then}" in said and said.rstrip().endswith(str(s.get("/v1/config")["config_seq"])), said
        assert purser(build, s, "config", "diff", "1") == ""
        purser(build, s, what, "set", "misspelt", f"{field}=1", "--apply", "--reason", "no", code=1)
        purser(build, s, what, "set", f"{field}=1", "--apply", "--reason", "no", code=64)
    for words, code in ((("config", "set", "objective/cost=-1"), 1), (("config", "set", "nix=1"), 1),
                        (("config", "rollback", "--to", "99"), 1), (("config", "set"), 64),
                        (("config", "set", "rules/9/tier=small"), 1)):
        purser(build, s, *words, "--apply", "--reason", "no", code=code)
    assert purser(build, s, "audit", "--verify").startswith("ok: ")
    assert s.stop()[0] == 0


def begin(build, s):
    """Another process for the same store and key file."""
    with open(s.log, "wb") as log:
        s.process = subprocess.Popen([os.path.join(build, "purserd"), "--config",
                                      os.path.join(s.folder, "config.json"), "--data",
                                      os.path.join(s.folder, "data")], stderr=log)
    s.wait()


def restart(build, s):
    s.process.terminate()
    assert s.process.wait(30) == 0
    begin(build, s)


def until(what):
    for _ in range(500):
        if what():
            return
        time.sleep(0.02)
    raise AssertionError("it did not happen")


def test_settings_audit(build):
    """Who, when, what, why: changes, keys, unlearning; over restarts, in copies; and a flipped byte
    is found where it is."""
    folder = tempfile.TemporaryDirectory()
    path = os.path.join(folder.name, "keys.json")
    operator = make(build, path, "operator", "--note", "anna")
    key = operator["Authorization"].split()[1]
    s = Service(build, keys={"file": path})

    def audit(query=""):
        status, _, body = s.ask("GET", "/v1/audit" + query, None, operator)
        assert status == 200, body
        return json.loads(body)["entries"]

    until(lambda: [e["op"] for e in audit()] == ["file", "keys.created"])
    assert audit()[1]["changes"][0]["to"]["note"] == "anna" and key.split(".")[1] not in str(audit())
    change = control("weights.set", weights={"cost": 0.7}, reason="too dear")
    assert s.ask("PUT", "/v1/weights", change, operator)[0] == 200
    e = audit()[-1]
    assert (e["who"], e["op"], e["why"]) == (key.split(".")[0], "weights.set", "too dear"), e
    assert e["changes"] == [{"path": "/objective/cost", "from": 0.03, "to": 0.7}], e
    assert abs(e["at_ms"] / 1000 - time.time()) < 60
    reader = make(build, path, "reader")
    until(lambda: len(audit()) == 4)
    assert s.ask("GET", "/v1/audit", None, reader)[0] == 403
    name = reader["Authorization"].split()[1].split(".")[0]
    subprocess.run([os.path.join(build, "purser"), "keys", "revoke", name, "--file", path], check=True,
                   capture_output=True)
    until(lambda: audit()[-1]["op"] == "keys.revoked")
    assert audit()[-1]["changes"][0]["path"] == f"/keys/{name}" and audit()[-1]["who"] == "file"
    purser(build, s, "unlearn", "--since", "1", "--yes", "--reason", "test", key=key)
    # While nobody serves, a key goes and the configuration changes: told at the next start.
    restart(build, s)
    n = len(audit())
    config = pathlib.Path(s.folder, "config.json")
    document = json.loads(config.read_text(encoding="utf-8"))
    config.write_text(json.dumps({**document, "objective": {"cost": 0.3}}), encoding="utf-8")
    late = make(build, path, "app")["Authorization"].split()[1].split(".")[0]
    restart(build, s)
    until(lambda: [e["op"] for e in audit()[n:]] == ["file", "keys.created"])
    assert audit()[n]["changes"] == [{"path": "/objective/cost", "from": 0.7, "to": 0.3}]
    assert audit()[n + 1]["changes"][0]["path"] == f"/keys/{late}"
    assert [e["n"] for e in audit("?about=/objective")][1:] == [3, n + 1]
    assert len(audit("?from=2&limit=2")) == 2
    copy = os.path.join(folder.name, "copy")
    purser(build, s, "backup", "--data", os.path.join(s.folder, "data"), "--to", copy)
    data = os.path.join(folder.name, "restored")
    purser(build, s, "restore", "--from", copy, "--data", data)
    said = purser(build, s, "audit", "--verify", "--data", data)
    assert f"ok: {n + 2} entries" in said, said
    assert said == purser(build, s, "audit", "--verify", key=key)
    file = pathlib.Path(data, "data.mdb")
    file.write_bytes(file.read_bytes().replace(b"too dear", b"too Dear"))
    said = purser(build, s, "audit", "--verify", "--data", data, code=65)
    assert "entry 3" in said and "is not what was written" in said, said
    shutil.rmtree(data)
    assert s.stop()[0] == 0


def test_settings_canary(build):
    """Weights on trial: a share of the requests, seen in the status, over a restart, until evidence
    puts them in force; the audit says so."""
    s = Service(build, objective={"cost": 2}, policy={"floor": 0.1, "floor_min": 0.1})
    serve(s, 500)
    purser(build, s, "config", "set", "objective/cost=0.02", "budget/usd_per_request=1", "--apply",
           "--canary", "20%", "--reason", "no", code=64)
    purser(build, s, "weights", "set", "--cost", "0.02", "--apply", "--canary", "70%", "--reason", "no",
           code=64)
    for change, why in (("models/mid-1/usd_per_mtok_in=9", "a price is a fact"), ("budget/usd_per_request=1", "average"),
                        ('rules=[{"words":["lease"],"tier":"large"}]', "an order"),
                        ('pools=[{"name":"all","usd":5,"mode":"quantile"}]', "no cap")):
        said = purser(build, s, "config", "set", change, "--apply", "--canary", "20%", "--reason", "no", code=64)
        assert why in said, said
    said = purser(build, s, "weights", "set", "--cost", "0.02", "--apply", "--canary", "20%",
                  "--reason", "quality pays")
    assert "on trial" in said, said
    assert s.get("/v1/weights")["weights"]["cost"] == 2
    answers = serve(s, 300, seed=2)
    status = s.get("/v1/status")
    if "canary" in status:
        assert sum(status["canary"]["decisions"]) == status["canary"]["labels"] == 300, status
        assert "canary on 20%" in purser(build, s, "status")
    tried = [a for a in answers if "canary" in a["reasons"]]
    assert 20 < len(tried) < 120, len(tried)
    explained = s.get(f"/v1/decisions/{tried[0]['decision_id']}")
    assert "Settings on trial decided, not those in force." in explained["words"], explained["words"]
    for kind in ("SIGKILL", "SIGTERM"):  # a trial goes on where it was
        getattr(s.process, "kill" if kind == "SIGKILL" else "terminate")()
        s.process.wait(30)
        for c in s.nng.values():
            c.close()
        s.nng = {}
        begin(build, s)
        assert s.get("/v1/status").get("canary") == status.get("canary")
    for seed in range(20):
        if "canary" not in s.get("/v1/status"):
            break
        serve(s, 300, seed=10 + seed)
    assert s.get("/v1/weights")["weights"]["cost"] == 0.02, s.get("/v1/status")
    last = s.get("/v1/audit")["entries"][-1]
    assert (last["who"], last["op"]) == ("canary", "canary.promoted"), last
    assert "more reward" in last["why"] and "canary" in purser(build, s, "weights", "history")
    assert not [a for a in serve(s, 100, seed=99) if "canary" in a["reasons"]]
    purser(build, s, "weights", "rollback", "--apply", "--reason", "not after all")
    assert s.get("/v1/weights")["weights"]["cost"] == 2
    assert purser(build, s, "verify", "--data", os.path.join(s.folder, "data")).startswith("ok")
    assert s.stop()[0] == 0


def test_settings_renamed_model(build):
    """A model that a trial names takes its new name there too; nobody goes back beyond a renaming,
    which would leave a model of the old name with nothing learned."""
    s = Service(build)
    status, _, body = s.ask("PUT", "/v1/config", control(
        "config.set", change={"canary": {"policy": {"model": "mid-1"}}}, reason="named"))
    assert status == 200, body
    entry = nng(s, "control", control("audit"))["entries"][-1]["n"]
    done = nng(s, "control", control("models.rename", model="mid-1", to="mid-2"))
    assert "error" not in done, done
    assert s.get("/v1/config")["config"]["canary"]["policy"]["model"] == "mid-2"
    back = nng(s, "control", control("config.at", entry=entry))
    assert back["error"]["code"] == "conflict" and "renam" in back["error"]["message"], back
    # The end of a path is its end: what only begins like it is not about it.
    assert nng(s, "control", control("audit", about="/mod"))["entries"] == []
    assert nng(s, "control", control("audit", about="/models"))["entries"]
    assert s.stop()[0] == 0
