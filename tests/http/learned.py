# SPDX-License-Identifier: MIT
"""What one service has learned in another: the same predictions, once, told in the audit, taken back;
over kill -9, from a store at rest, and not where the features are others."""
import json
import os
import pathlib
import subprocess
import tempfile
import time

from service import MODELS, Service
import settings
from settings import begin, control, nng, purser, serve

STAYS = {"half_life_hours": 0}  # then predictions do not depend on when they are asked for
NAMES = {"mid-1": "middle"}
settings.GOOD["middle"] = 0.2


def predictions(s, names=None):
    """Of each model for two kinds of request: all numbers of the record."""
    out = {}
    for group in ("eu", "us"):
        for task in ("", "code"):
            request = {"v": 1, "op": "route", "group": group, "prompt_tokens": 200}
            if task:
                request["task"] = task
            d = s.post("/v1/route", {**request})
            record = s.get("/v1/decisions/" + d["decision_id"])["record"]
            catalog = [m["name"] for m in s.get("/v1/models")["models"]]
            for arm in record["arms"]:
                name = catalog[arm["model"]]
                out[group, task, (names or {}).get(name, name)] = arm
    return out


def close(a, b):
    assert a.keys() == b.keys(), (a.keys(), b.keys())
    worst = 0
    for key in a:
        for name in ("quality", "output_tokens", "latency_ms", "failure"):
            x, y = a[key][name][0], b[key][name][0]  # means; what is awaited narrows the deviations
            worst = max(worst, abs(x - y) / max(1, abs(x)))
        worst = max(worst, abs(a[key]["cost_usd"] - b[key]["cost_usd"]))
    return worst <= 1e-9


def until_close(a, b):
    """Regressions are renewed within a second or two of the last label."""
    for _ in range(100):
        if close(predictions(a, NAMES), predictions(b)):
            return
        time.sleep(0.1)
    raise AssertionError((predictions(a, NAMES), predictions(b)))


def learned(build, s, *args, code=0):
    return purser(build, s, "learned", *args, code=code)


def test_learned_export_import(build):
    a = Service(build, learner=STAYS)
    serve(a, 600)
    folder = tempfile.TemporaryDirectory()
    live, rest = (os.path.join(folder.name, n) for n in ("live.json", "rest.json"))
    time.sleep(2)  # the last labels are in the regressions
    learned(build, a, "export", "--out", live)
    document = json.loads(pathlib.Path(live).read_text(encoding="utf-8"))
    assert document["format"] == "purser-learned-state" and document["version"] == 1
    assert sum(m["quality"]["rows"] for m in document["models"]) == 600
    # Models in another order, one of another name.
    models = [dict(m, name=NAMES.get(m["name"], m["name"])) for m in reversed(MODELS)]
    b = Service(build, learner=STAYS, models=models)
    before = predictions(b)
    said = learned(build, b, "import", live, "--dry-run")
    assert "large-1" in said and "audit" not in said, said
    learned(build, b, "import", live, "--map", "mid-1=middle", "--name", "from-a", "--reason", "moved")
    until_close(a, b)
    again = learned(build, b, "import", live, "--map", "mid-1=middle", "--name", "from-a")
    assert again.count("was in already") == 4, again
    assert "import from-a: 3 models" in learned(build, b, "show")
    entries = [e for e in b.get("/v1/audit")["entries"] if e["op"] == "learned.set"]
    assert len(entries) == 4 and entries[0]["why"] == "moved", entries
    assert {e["changes"][0]["path"] for e in entries} == {
        "/learned/small-1", "/learned/middle", "/learned/large-1", "/learned/prior"}, entries
    b.process.kill()  # what was answered is there
    b.process.wait()
    begin(build, b)
    until_close(a, b)
    assert purser(build, b, "verify", "--data", os.path.join(b.folder, "data")).startswith("ok")
    learned(build, b, "undo", "from-a", "--reason", "back")
    after = predictions(b)
    assert close(before, after), (before, after)
    learned(build, b, "undo", "from-a", code=1)
    # From a store at rest, the same; into a service that knows something else, in its place.
    data = os.path.join(a.folder, "data")
    learned(build, a, "export", "--data", data, "--out", rest)
    a.process.kill()
    a.process.wait()
    subprocess.run([os.path.join(build, "purser"), "learned", "export", "--data", data, "--out", rest],
                   check=True, capture_output=True)
    begin(build, a)
    at_rest = json.loads(pathlib.Path(rest).read_text(encoding="utf-8"))
    assert [m["quality"] for m in at_rest["models"]] == [m["quality"] for m in document["models"]]
    serve(b, 200, seed=9)
    learned(build, b, "import", rest, "--map", "mid-1=middle", "--replace", "--name", "instead")
    until_close(a, b)
    assert b.stop()[0] == 0 and a.stop()[0] == 0


def only_while_it_can_be_told_apart(build, s, good):
    """Not from beneath what stands in its place, nor from sums that features have left."""
    def rows():
        out = os.path.join(s.folder, "rows.json")
        learned(build, s, "export", "--out", out)
        models = json.loads(pathlib.Path(out).read_text(encoding="utf-8"))["models"]
        return [m["quality"]["rows"] for m in models]

    before = rows()
    learned(build, s, "import", good, "--name", "first")
    twice = rows()
    assert twice == [2 * n for n in before], (before, twice)
    learned(build, s, "import", good, "--replace", "--name", "second")
    said = learned(build, s, "undo", "first", code=1)
    assert "second" in said and rows() == before, said
    table = purser(build, s, "unlearn", "--since", "1", "--dry-run").splitlines()
    beyond = sum(int(line.split()[4]) for line in table if line.split()[:1] in [[m["name"]] for m in MODELS])
    assert beyond == sum(before), table  # put aside, out of reach of corrections: which is said
    learned(build, s, "undo", "second")
    assert rows() == twice
    width = s.get("/v1/config")["config"]["features"]["dim_text"]
    for d in (24, width):
        nng(s, "control", control("config.set", change={"features": {"dim_text": d}}))
    said = learned(build, s, "undo", "first", code=1)
    assert "features" in said and rows() == twice, said
    said = learned(build, s, "import", good, "--name", "first")
    assert "was in already" in said, said


def test_learned_refused(build):
    """Other features, other numbers, other versions: refused with the place, nothing changed."""
    a, b = Service(build, learner=STAYS), Service(build, features={"dim_text": 24})
    serve(a, 100)
    folder = tempfile.TemporaryDirectory()
    path = pathlib.Path(folder.name, "a.json")
    learned(build, a, "export", "--out", str(path))
    said = learned(build, b, "import", str(path), code=1)
    assert "/features/dim_text" in said and "24 here" in said, said
    document = json.loads(path.read_text(encoding="utf-8"))
    good = pathlib.Path(folder.name, "good.json")
    good.write_bytes(path.read_bytes())
    for change, place in ((("version", 2), "/version"), (("format", "x"), "/format"),
                          (("entries", 3), "/moments"), (("entries", 0), "/entries")):
        path.write_text(json.dumps({**document, change[0]: change[1]}), encoding="utf-8")
        assert place in learned(build, a, "import", str(path), code=1)
    document["models"][0]["quality"]["products"][0] = -5
    path.write_text(json.dumps(document), encoding="utf-8")
    said = learned(build, a, "import", str(path), "--name", "bad", code=1)
    assert "no evidence can have led" in said and "/parts/quality" in said, said
    assert "import bad" not in learned(build, a, "show")
    wrong = nng(a, "control", control("learned.set", **{"import": "x", "schema": "0", "as_of_ms": 1,
                                                        "model": "small-1", "parts": {}}))
    assert wrong["error"]["path"] == "/schema", wrong
    learned(build, a, "import", "/no/such/file", code=1)
    only_while_it_can_be_told_apart(build, a, str(good))
    assert a.stop()[0] == 0 and b.stop()[0] == 0
