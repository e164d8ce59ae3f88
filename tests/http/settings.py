# SPDX-License-Identifier: MIT
"""Changing what is in force: previews beside traffic, changes that are refused when they come too
late."""
import json
import random
import threading
import time

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
    assert {**after, "service": 0} == {**before, "service": 0, "clock_ms": after["clock_ms"]}
    assert s.post("/v1/whatif", control("whatif", change={}, decisions=100))["report"]["rows"] == 100
    # Both doors, the same words.
    ask = control("whatif", change={"objective": {"cost": 3}})
    assert nng(s, "control", ask)["report"] == r
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
    slowest, routed = 0, 0
    while time.monotonic() < until:
        began = time.monotonic()
        s.post("/v1/route", {"v": 1, "op": "route", "prompt_tokens": 10})
        slowest = max(slowest, time.monotonic() - began)
        routed += 1
    for thread in lookers:
        thread.join()
    seen = {status for status, _, _ in told}
    assert seen == {200, 503} and routed > 20 and slowest < 0.25, (seen, routed, slowest)
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
