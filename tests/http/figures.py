# SPDX-License-Identifier: MIT
"""What the dashboard asks beside the ops there were: tiers and intervals of spending, the latest
decisions, alerts, and its own files."""
import math
import re

from service import Service


def route(n, **members):
    return {"v": 1, "op": "route", "request_id": f"f-{n}", "prompt_tokens": 100, "max_output_tokens": 100,
            **members}


def feed(s, n, **members):
    """(decision, quality) of n requests."""
    out = []
    for i in range(n):
        d = s.post("/v1/route", route(f"{len(members)}-{i}", **members))
        q = (i % 5) / 4
        s.post("/v1/feedback", {"v": 1, "op": "feedback", "decision_id": d["decision_id"], "quality": q,
                                "output_tokens": 50, "latency_ms": 100})
        out.append((d, q))
    return out


def test_savings_interval(build):
    """The interval of savings, written down anew from rows; a bill that is missing is not counted."""
    s = Service(build, policy={"name": "uniform"})
    for k in range(10):
        asked = [route(24 * k + i, tenant=f"t{i % 12}") for i in range(24)]
        told = s.post("/v1/route", {"v": 1, "op": "route_many", "items": asked})["items"]
        bills = [{"decision_id": d["decision_id"], "output_tokens": 20 + 15 * (i % 12) + (i + k) % 7}
                 for i, d in enumerate(told) if (k, i) != (0, 7)]
        s.post("/v1/feedback", {"v": 1, "op": "feedback_many", "items": bills})
    said = s.get("/v1/spend")
    cells = [r for r in s.get("/v1/spend?by=tenant,model&bucket=hour")["rows"]
             if r["model"] == "large-1" and r["settled"] == r["requests"]]
    x, y = [c["baseline_nano"] for c in cells], [c["cost_nano"] for c in cells]
    n, r = len(cells), sum(y) / sum(x)
    assert 11 <= n <= 24 and said["savings"]["bills"] == sum(c["requests"] for c in cells), cells
    off = sum((b - r * a) ** 2 for a, b in zip(x, y)) * n / (n - 1)
    t = {11: 2.228, 12: 2.201}.get(n, 2.07)  # 13 to 24: an hour began on the way
    half = t * math.sqrt(off) / sum(x)
    paid = said["total"]["cost_nano"] / said["total"]["baseline_nano"]
    want = 1 - paid / min(r - half, 1), 1 - paid, 1 - paid / max(r + half, 1)
    got = [said["savings"][name] for name in ("low", "share", "high")]
    assert said["savings"]["baseline"] == "large-1" and want[0] < want[1] <= want[2]
    assert all(abs(a - b) < (2e-3 if n < 13 else 0.1) for a, b in zip(got, want)), (got, want, n)
    small = s.get("/v1/spend?tier=small")["savings"]  # the same bills, another share
    assert small["bills"] == said["savings"]["bills"] and small["share"] > said["savings"]["share"]
    few = s.get("/v1/spend?tenant=t3")["savings"]
    assert few["share"] is not None and few["low"] is None and few["high"] is None, few
    assert s.stop()[0] == 0


def test_tiers_and_intervals(build):
    s = Service(build, policy={"floor": 0.5})
    told = feed(s, 60)
    rows = {r["tier"]: r for r in s.get("/v1/spend?by=tier")["rows"]}
    models = {r["model"]: r for r in s.get("/v1/spend?by=model")["rows"]}
    assert len(rows) == len(models) >= 2
    for tier, row in rows.items():
        model, = {d["model"] for d, _ in told if d["tier"] == tier}
        q = [q for d, q in told if d["tier"] == tier]
        assert {k: v for k, v in row.items() if k != "tier"} == \
            {k: v for k, v in models[model].items() if k != "model"}
        assert row["attempts"] == row["labels"] == len(q)
        # Wilson 1927, written down anew.
        n, z, p = len(q), 1.959964, sum(q) / len(q)
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        for name, want in (("mean", p), ("low", max(middle - half, 0)), ("high", min(middle + half, 1))):
            assert abs(row[f"quality_{name}"] - want) < 1e-8, (tier, name, row, want)
    none = s.get("/v1/spend?task=nothing")["savings"]
    assert none == {"baseline": "large-1", "share": None, "low": None, "high": None, "bills": 0}, none
    large = s.get("/v1/spend?tier=large")["total"]
    assert large["attempts"] == sum(d["tier"] == "large" for d, _ in told)
    assert s.get("/v1/spend?task=nothing")["total"]["quality_low"] is None
    assert s.stop()[0] == 0


def test_models_of_one_tier_are_one(build):
    models = [{"name": n, "tier": t, "usd_per_mtok_in": 1, "usd_per_mtok_out": 1}
              for n, t in (("a", "one"), ("b", "two"), ("c", "one"))]
    s = Service(build, models=models, tiers=["one", "two"], policy={"floor": 0.9})
    told = [d for d, _ in feed(s, 60)]
    rows = {r["tier"]: r["attempts"] for r in s.get("/v1/spend?by=tier")["rows"]}
    assert rows == {t: sum(d["tier"] == t for d in told) for t in ("one", "two")}, rows
    rows = s.get("/v1/spend?by=tier,model")["rows"]
    assert {(r["tier"], r["model"]) for r in rows} == {("one", "a"), ("two", "b"), ("one", "c")}
    assert s.stop()[0] == 0


def test_latest_decisions(build):
    s = Service(build)
    told = [d for d, _ in feed(s, 30, tenant="acme", task="faq", group="gold")]
    got = s.get("/v1/decisions?limit=10")["decisions"]
    assert [d["decision"]["decision_id"] for d in got] == [d["decision_id"] for d in told[:-11:-1]]
    assert all(d["decision"] == t for d, t in zip(got, told[::-1]))
    assert {(d["tenant"], d["task"], d["group"]) for d in got} == {("acme", "faq", "gold")}
    assert len(s.get("/v1/decisions")["decisions"]) == 20
    for wrong in ("0", "101"):
        assert s.ask("GET", f"/v1/decisions?limit={wrong}")[0] == 400
    assert s.stop()[0] == 0


def test_alerts_come_and_go(build):
    pools = [{"name": "initech", "match": {"tenant": "initech"}, "usd": 0.0002},
             {"name": "globex", "match": {"tenant": "globex"}, "usd": 1, "kill": True}]
    s = Service(build, pools=pools)
    alerts = s.get("/v1/alerts")
    assert [(a["kind"], a["about"], a["level"]) for a in alerts["now"]] == [("pool_killed", "globex", "error")]
    assert [n["kind"] for n in alerts["lately"]] == ["configured"]
    for i in range(400):
        if s.ask("POST", "/v1/route", route(i, tenant="initech"))[0] == 429:
            break
    kinds = {a["about"]: a["kind"] for a in s.get("/v1/alerts")["now"]}
    assert kinds["initech"] in ("pool_pressure", "pool_exhausted"), kinds
    for change in ({"pool": "globex", "set": {"kill": False}}, {"pool": "initech", "set": {"usd": 1}}):
        assert s.ask("PUT", "/v1/pools", {"v": 1, "op": "pools.set", **change})[0] == 200
    after = s.get("/v1/alerts")
    assert after["now"] == [], after
    assert [n["kind"] for n in after["lately"]] == ["configured"] * 3
    assert after["lately"][0]["seq"] > after["lately"][1]["seq"] and "pools.set" in after["lately"][0]["text"]
    s.ask("PUT", "/v1/models", {"v": 1, "op": "models.set", "models": [
        {"name": "mid-1", "usd_per_mtok_in": 0, "usd_per_mtok_out": 0}]})
    for i in range(300):
        s.post("/v1/route", route(f"u-{i}", constraints={"allow": ["mid-1"]}))
    assert {a["kind"] for a in s.get("/v1/alerts")["now"]} == {"unpriced"}
    s.ask("PUT", "/v1/models", {"v": 1, "op": "models.set", "models": [
        {"name": "mid-1", "usd_per_mtok_in": 0, "usd_per_mtok_out": 0, "free": True}]})
    assert s.get("/v1/alerts")["now"] == []
    assert s.stop()[0] == 0


def test_pools_tell_where_they_are_heading(build):
    s = Service(build, pools=[{"name": "hour", "usd": 100, "window": "hour"},
                              {"name": "rolling", "usd": 100, "window": "rolling", "length_s": 3600},
                              {"name": "ever", "usd": 100, "window": "once", "from": "2020-01-01T00:00:00Z"}])
    feed(s, 20)
    answer = s.get("/v1/pools")
    p = {q["pool"]: q for q in answer["pools"]}
    assert "forecast_usd" not in p["rolling"] and "forecast_usd" not in p["ever"], p
    passed = (answer["clock_ms"] - p["hour"]["window_start_ms"]) / 3600e3
    if passed > 0.06:
        assert abs(p["hour"]["forecast_usd"] * passed / p["hour"]["used_usd"] - 1) < 1e-3, (p, passed)
    elif passed < 0.04:
        assert "forecast_usd" not in p["hour"]
    assert s.stop()[0] == 0


def test_role_is_told(build):
    s = Service(build)
    assert s.get("/v1/status")["role"] == "open"
    assert s.stop()[0] == 0


def test_page_files(build):
    s = Service(build)
    status, headers, page = s.ask("GET", "/")
    assert status == 200 and page.startswith(b"<!doctype html>")
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy, policy
    text = page.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|<style|https?://(?!www\.w3\.org/2000/svg)", text)
    names = re.findall(r'(?:src|href)="page/([\w.]+)"', text)
    assert {"app.css", "app.js", "chart.min.js"} <= set(names), names
    seen = set()
    while names:
        name = names.pop()
        if name in seen:
            continue
        seen.add(name)
        status, headers, body = s.ask("GET", f"/page/{name}")
        assert status == 200 and headers["X-Content-Type-Options"] == "nosniff", (name, status)
        assert headers["Content-Type"].startswith("text/css" if name.endswith(".css") else "text/javascript")
        names += re.findall(r'from "\./([\w.]+)"', body.decode())
        tag = headers["ETag"]
        status, headers, again = s.ask("GET", f"/page/{name}", headers={"If-None-Match": tag})
        assert (status, again, headers["ETag"]) == (304, b"", tag)
        status, headers, none = s.ask("HEAD", f"/page/{name}")
        assert (status, none, int(headers["Content-Length"])) == (200, b"", len(body))
    assert len(seen) >= 6
    assert s.ask("GET", "/page/index.html")[2] == page
    for wrong in ("/page/", "/page/../app.js", "/page/app.js/", "/app.js", "/page/%61pp.js"):
        assert s.ask("GET", wrong)[0] == 404, wrong
    assert s.stop()[0] == 0


def test_an_open_service_answers_to_its_machine_only(build):
    """DNS rebinding: a page's own name that leads to loopback makes it same-origin."""
    s = Service(build)
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example", "1.2.3.4x"):
        for method, path, body in (("GET", "/", None), ("GET", "/v1/status", None), ("POST", "/v1/route", route(1))):
            status, _, answer = s.ask(method, path, body, {"Host": host, "Content-Type": "application/json"})
            assert status == 403 and b"keys.file" in answer, (host, path, status, answer)
    for host in ("127.0.0.1:7680", "localhost", "localhost:7680", "purser", "purser.localhost:1", "[::1]:7680", "10.1.2.3"):
        assert s.ask("GET", "/v1/status", None, {"Host": host})[0] == 200, host
    assert s.ask("GET", "/metrics", None, {"Host": "a.b.example"}, "metrics")[0] == 200
    assert s.stop()[0] == 0


def test_alerts_know_loans(build):
    """Above its cap by what a sibling lends a pool is under pressure, not used up: it still admits."""
    pools = [{"name": "org", "usd": 0.02},
             {"name": "acme", "parent": "org", "match": {"tenant": "acme"}, "usd": 0.001, "borrow": True},
             {"name": "idle", "parent": "org", "match": {"tenant": "idle"}, "usd": 0.019,
              "keep": 0.1}]
    s = Service(build, pools=pools)
    for i in range(2000):
        s.post("/v1/route", route(i, tenant="acme"))
        acme = next(p for p in s.get("/v1/pools")["pools"] if p["pool"] == "acme")
        if acme["used_usd"] > 0.0015:
            break
    assert acme["used_usd"] > acme["cap_usd"], acme
    kinds = {a["about"]: (a["kind"], a["level"]) for a in s.get("/v1/alerts")["now"]}
    assert kinds["acme"] == ("pool_pressure", "warn"), kinds
    assert s.stop()[0] == 0


def test_free_models_are_no_news(build):
    """Nobody reports what a model costs that costs nothing."""
    s = Service(build, models=[{"name": "local", "tier": "small", "usd_per_mtok_in": 0, "usd_per_mtok_out": 0,
                                "free": True}])
    for i in range(60):
        s.post("/v1/route", route(f"l-{i}"))
    assert s.get("/v1/alerts")["now"] == [] and "event=cost_unknown" not in s.said()
    invoice = s.get("/v1/stats")["service"]["invoice"]
    assert all(not m["alarm"] and m["unpriced"] == 0 for m in invoice), invoice
    assert s.stop()[0] == 0
