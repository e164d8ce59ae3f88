# SPDX-License-Identifier: MIT
"""One path, two doors: what one answers, the other answers, byte by byte."""
import json
import random

from service import JSON, Service

WORDS = ["contract", "minutes", "bug", "poem", "tax", "übersetzen", "\u202e", "x" * 300]


def some_request(rng, n):
    body = {"v": 1, "op": "route", "request_id": f"r-{n}"}
    if rng.random() < 0.5:
        body["tenant"] = rng.choice(["acme", "globex", "initech"])
    if rng.random() < 0.5:
        body["task"] = rng.choice(["summary", "legal", "code"])
    if rng.random() < 0.8:
        body["prompt"] = " ".join(rng.choices(WORDS, k=rng.randrange(12)))
    if rng.random() < 0.3:
        body["features"] = {"a": rng.random(), "b": rng.choice([True, "red"])}
    if rng.random() < 0.3:
        body["constraints"] = rng.choice([
            {"min_tier": "medium"}, {"max_cost_usd": 0.0004}, {"allow": ["mid-1"]},
            {"deny": ["small-1", "mid-1", "large-1"]}, {"allow": ["nobody"]}, {"max_cost": 1}])
    if rng.random() < 0.3:
        body["explain"] = True
    if rng.random() < 0.2:
        body[rng.choice(["value", "max_output_tokens", "prompt_tokens"])] = rng.choice(
            [-1, 0, 1, 2.5, "many", None, 1e18])
    return body


def spoil(rng, raw):
    """A message with something wrong in it, now and then."""
    what = rng.randrange(12)
    if what == 0:
        return raw[:rng.randrange(len(raw))]
    if what == 1:
        at = rng.randrange(len(raw))
        return raw[:at] + bytes([rng.randrange(256)]) + raw[at + 1:]
    if what == 2:
        return raw.replace(b'"v": 1', b'"v": 2', 1)
    if what == 3:
        return raw + b" {}"
    return raw


def both(service, door, path, raw):
    for _ in range(3):  # a tick between the two is another record, and with it another draw
        before = service.get("/v1/status")["seq"]
        over_nng = service.over_nng(door, raw)
        status, headers, over_http = service.ask("POST", path, raw, JSON)
        if over_nng == over_http or service.get("/v1/status")["seq"] == before:
            break
    assert over_nng == over_http, (raw, over_nng, over_http)
    assert headers["Content-Type"] == "application/json"
    error = json.loads(over_http).get("error")
    assert (status == 200) == (error is None), (status, over_http)
    return status, json.loads(over_http)


def test_dry_runs_agree(build):
    """500 requests, sound and broken, as dry runs: nothing changes, so both must say the same."""
    rng, seen = random.Random(11), {}
    s = Service(build)
    for n in range(500):
        body = {**some_request(rng, n), "dry_run": True}
        status, _ = both(s, "route", "/v1/route", spoil(rng, json.dumps(body).encode()))
        seen[status] = seen.get(status, 0) + 1
    assert set(seen) >= {200, 400, 422}, seen
    assert s.stop()[0] == 0


def test_a_retry_by_the_other_door(build):
    """What one door has decided or taken, the other repeats; neither counts it twice."""
    rng = random.Random(12)
    s = Service(build)
    for n in range(100):
        raw = json.dumps(some_request(rng, n)).encode()
        status, answer = both(s, "route", "/v1/route", raw)
        if status != 200:
            continue
        f = json.dumps({"v": 1, "op": "feedback", "decision_id": answer["decision_id"],
                        "feedback_id": f"f-{n}", "quality": rng.random()}).encode()
        first, again = (s.over_nng("feedback", f),
                        s.ask("POST", "/v1/feedback", f, JSON)[2])[::rng.choice([1, -1])]
        statuses = sorted(json.loads(x)["status"] for x in (first, again))
        assert statuses == ["applied", "duplicate"], statuses
        other = json.dumps({"v": 1, "op": "route", "request_id": f"r-{n}", "prompt": "another"})
        if "tenant" not in json.loads(raw):
            assert both(s, "route", "/v1/route", other.encode())[0] == 409
    stats = s.get("/v1/stats")
    assert stats["feedbacks"] + stats["duplicates"] >= stats["decisions"] > 50, stats
    assert s.stop()[0] == 0


def test_questions_agree(build):
    s = Service(build)
    for n in range(20):
        s.post("/v1/route", {"v": 1, "op": "route", "request_id": f"q-{n}", "tenant": "acme"})
    for path, message in (
            ("/v1/weights", {"op": "weights.get"}), ("/v1/policies", {"op": "policy.get"}),
            ("/v1/models", {"op": "models.list"}), ("/v1/config", {"op": "config.get"}),
            ("/v1/learners", {"op": "learners.get"}), ("/v1/pools", {"op": "pools.list"}),
            ("/v1/status", {"op": "status"}), ("/v1/status?digest=true",
                                               {"op": "status", "digest": True}),
            ("/v1/log?from=3&limit=2", {"op": "log", "from": 3, "limit": 2}),
            ("/v1/spend?by=tenant,model&bucket=day&tenant=acme&from=0",
             {"op": "spend.get", "by": ["tenant", "model"], "bucket": "day",
              "where": {"tenant": "acme"}, "from": 0}),
            ("/v1/spend?by=tenant%2Cmodel&tenant=ac%6de",
             {"op": "spend.get", "by": ["tenant", "model"], "where": {"tenant": "acme"}})):
        raw = json.dumps({"v": 1, **message}).encode()
        while True:  # until nothing was recorded meanwhile
            before = s.over_nng("control", raw)
            by_get = s.ask("GET", path)[2]
            posted = s.ask("POST", "/v1/control", raw, JSON)[2]
            if s.over_nng("control", raw) == before:
                break
        assert before == by_get == posted, (path, before, by_get, posted)
    assert s.stop()[0] == 0


def test_batches(build):
    s = Service(build)
    items = [{"request_id": f"b-{i}", "prompt": f"number {i}"} for i in range(5)]
    items.insert(2, {"request_id": "b-x", "max_cost": 1})
    raw = json.dumps({"v": 1, "op": "route_many", "items": items}).encode()
    _, answer = both(s, "route", "/v1/route", raw)
    assert [("error" in i) for i in answer["items"]] == [False, False, True, False, False, False]
    ids = [i["decision_id"] for i in answer["items"] if "decision_id" in i]
    raw = json.dumps({"v": 1, "op": "feedback_many", "items": [
        {"decision_id": d, "quality": 0.5, "feedback_id": "f"} for d in ids]}).encode()
    first = json.loads(s.ask("POST", "/v1/feedback", raw, JSON)[2])
    again = json.loads(s.over_nng("feedback", raw))
    assert [i["status"] for i in first["items"]] == ["applied"] * 5
    assert [i["status"] for i in again["items"]] == ["duplicate"] * 5
    assert s.stop()[0] == 0


def test_relaxed(build):
    s = Service(build, store={"map_gib": 1, "seed": 5, "durability": "relaxed"})
    rng = random.Random(13)
    for n in range(100):
        both(s, "route", "/v1/route", json.dumps(some_request(rng, n)).encode())
    assert s.stop()[0] == 0
