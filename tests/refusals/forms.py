# SPDX-License-Identifier: MIT
"""Of tests/refusals/run: what a command tells in one form it tells in the others."""
import json
import math
import os
import pty
import subprocess


def number(text):
    return float("nan") if text in ("", None) else float(text)


def same(a, b):
    return a == b or (math.isnan(a) and math.isnan(b)) or abs(a - b) <= 1e-6 * max(1, abs(a), abs(b))


def replay(p):
    """Rows as CSV and as JSON lines are the same; their means are what the summary says."""
    told = p.json("purser-sim replay t --seeds 3 --workers 2 --split .3 --json --csv rows")
    p.json("purser-sim replay t --seeds 3 --workers 1 --split .3 --json --jsonl lines")
    for name in ("seeds", "steps", "curve", "bins"):
        rows = p.rows(f"rows/{name}.csv")
        lines = [json.loads(x) for x in (p.at / f"lines/{name}.jsonl").read_text(encoding="utf-8").splitlines()]
        assert len(rows) == len(lines) > 0, name
        for row, line in zip(rows, lines):
            assert list(row) == list(line), name
            for k, v in line.items():
                assert row[k] == v if isinstance(v, str) else same(number(row[k]), float("nan") if v is None else v), (name, k)
    seeds = p.rows("rows/seeds.csv")
    assert same(sum(number(s["quality"]) for s in seeds) / 3, told["quality"]["mean"]), told["quality"]
    steps = [number(s["quality"]) for s in p.rows("rows/steps.csv")]
    assert same(sum(steps) / len(steps), told["quality"]["mean"])
    assert not [x for x in (p.at / "rows").iterdir() if x.name.startswith(".") or ".part" in x.name], "parts are left"


def metrics(p):
    for file in ("pairs.csv", "curve.csv"):
        told = p.json(f"purser-sim metrics {file} --json --csv m")
        for row in p.rows("m/numbers.csv"):
            assert same(number(row["value"]), float("nan") if told[row["name"]] is None else told[row["name"]]), row
        points = told.get("curve") or told["hull"]
        assert len(p.rows("m/curve.csv")) == len(points)
        _, table, _ = p.run(f"purser-sim metrics {file}")
        for row in p.rows("m/numbers.csv"):
            assert f"{row['name']} " in table, row
    whole, half = (p.json(f"purser-sim metrics curve.csv --json {x}") for x in ("", "--low 1 --high 2 --unit 8 --quality .5"))
    assert half["aiq"] < whole["aiq"] and same(half["qnc"] * 2, 1.5 / 8 * 2), half


def ope(p):
    told = p.json("purser-sim ope --log log.csv --target given --by tenant,group --json --csv o --progress")
    p.run("purser-sim ope --log log.csv --target given --by tenant,group --jsonl o")
    for name in ("estimates", "intervals", "models", "segments"):
        lines = [json.loads(x) for x in (p.at / f"o/{name}.jsonl").read_text(encoding="utf-8").splitlines()]
        assert len(lines) == len(p.rows(f"o/{name}.csv")) > 0, name
    assert {r["model"] for r in p.rows("o/models.csv")} == {"a", "b"}
    assert "aims" in told


def convert(p):
    """There and back gives the same bytes; what a format cannot hold is left out of it."""
    for fmt, name in (("jsonl", "c.jsonl"), ("dsjson", "c.dsjson"), ("obp", "c.csv"), ("csv", "d.csv")):
        assert p.run(f"purser-sim convert --log log.csv --format csv --as {fmt} --out {name}")[0] == 0
        back = [f"back.{fmt}.{i}" for i in (0, 1)]
        assert p.run(f"purser-sim convert --log {name} --format {fmt} --as jsonl --out {back[0]}")[0] == 0, fmt
        assert p.run(f"purser-sim convert --log {back[0]} --format jsonl --as jsonl --out {back[1]}")[0] == 0, fmt
        first, second = ((p.at / b).read_text(encoding="utf-8") for b in back)
        assert first == second and first.count("\n") == 60, fmt
    _, out, _ = p.run("purser-sim convert --log d.csv --format csv --as csv")
    assert out == (p.at / "d.csv").read_text(encoding="utf-8"), "csv to csv"


def compare(p):
    line = "purser-sim compare t alone --policies greedy,uniform --budgets none,50% --history cold,full --seeds 1 --workers 1"
    code, out, err = p.run(line + " --json --csv c1.csv --resume r.jsonl")
    assert code == 0, err
    cells, rows = [json.loads(x) for x in out.splitlines()], p.rows("c1.csv")
    assert len(cells) == len(rows) == 2 * (2 + 2 * 2 * 2)
    for cell, row in zip(cells, rows):
        assert (cell["policy"], cell["table"]) == (row["policy"], row["table"])
    code, again, err = p.run(line + " --json --resume r.jsonl")
    assert code == 0 and again == out, "resumed, another result"


def run_in_parts(p):
    """Shards come to what one run tells, and a resumed one plays nothing again."""
    exp = json.loads((p.at / "exp.json").read_text(encoding="utf-8"))
    exp.update(seeds=2, disturbances=[{"kind": "price", "at": 0.5, "model": "a", "factor": 2}])
    exp["policies"].append({"name": "learns", "labelled": 20})
    (p.at / "parts.json").write_text(json.dumps(exp), encoding="utf-8")
    code, whole, err = p.run("purser-sim run parts.json --json --workers 1")
    assert code == 0, err
    for i in (1, 2):
        assert p.run(f"purser-sim run parts.json --shard {i}/2 --resume part{i} --workers 1")[0] == 0
    for _ in range(2):
        code, merged, err = p.run("purser-sim merge parts.json part1 part2 --json")
        assert code == 0 and merged == whole, err
        with open(p.at / "part1", "a", encoding="utf-8") as f:  # half a line, as a kill leaves it
            f.write('{"digest":"00')
    assert p.run("purser-sim run parts.json --resume part1 --json --workers 1")[1] == whole
    first, *rest = (p.at / "part1").read_text(encoding="utf-8").splitlines()
    for key in json.loads(first):  # a member of a wrong shape: the job is as good as missing
        flawed = json.dumps({**json.loads(first), key: 1})
        (p.at / "flawed").write_text("\n".join([flawed, *rest]) + "\n", encoding="utf-8")
        code, _, err = p.run("purser-sim merge parts.json flawed part2")
        assert key in ("policy", "seed", "groups") or (code == 1 and "jobs are missing" in err), (key, code, err)
    code, _, err = p.run("purser-sim merge parts.json part2")
    assert code == 1 and "jobs are missing" in err, err
    code, _, err = p.run("purser-sim run parts.json --workers 1 --csv p.csv")
    assert code == 0 and {r["policy"] for r in p.rows("p.csv")} == {"greedy", "learns"}


def tune(p):
    told = p.json("purser-sim tune t --trials 4 --seeds 1 --workers 1 --json --progress --set policy.name=uniform --write better.json")
    assert len(told["trials"]) == 4 and (p.at / "better.json").exists() == told["better"]
    code, out, err = p.run("purser-sim config t --set objective.cost=0.25")
    assert code == 0 and json.loads(out)["objective"]["cost"] == 0.25, err
    (p.at / "mine.json").write_text(json.dumps({**json.loads(out), "x_mine": 1}), encoding="utf-8")
    code, out, err = p.run("purser-sim tune t --config mine.json --trials 4 --seeds 1 --workers 1 --set policy.name=uniform --write mine2.json")
    assert code == (0 if (p.at / "mine2.json").exists() else 3), err  # 3: no better one was found
    for name in ("better.json", "mine2.json"):
        assert not (p.at / name).exists() or p.run(f"purser check {name}")[0] == 0, name


def score(p):
    told = p.json("purser-sim score t --choices good.jsonl --json --monthly 1000000")
    _, table, _ = p.run("purser-sim score t --choices good.jsonl --monthly 1000000")
    assert "requests" in json.dumps(told) and "small" in table and "large" in table


def honesty(p):
    told = p.json("purser-sim honesty world.json --seeds 3 --rows 500 --workers 1 --json --progress --split .8")
    assert len(told["changes"]) == 3 and p.run("purser-sim honesty world.json --seeds 3 --rows 500 --workers 1 --config mine.json")[0] in (0, 1)


def report(p):
    """A page of each result, or the word that gnuplot is not there."""
    results = {"a": "purser-sim replay t --seeds 2 --workers 1 --json", "b": "purser-sim run exp.json --json --workers 1", "c": "purser-sim metrics pairs.csv --json"}
    for name, line in results.items():
        code, out, err = p.run(line)
        assert code == 0, err
        (p.at / f"{name}.json").write_text(out, encoding="utf-8")
    code, _, err = p.run("purser-sim report a.json b.json c.json --out page.html --title <x>")
    assert code == 0 or "gnuplot draws the plots and is not installed" in err, err
    assert code != 0 or "&lt;x&gt;" in (p.at / "page.html").read_text(encoding="utf-8")


def terminal(p):
    """On a terminal progress is told in one line that is written over."""
    for line in ("replay t --seeds 3 --workers 2", "run exp.json --workers 1", "compare t --policies greedy --budgets none --history cold --seeds 1",
                 "tune t --trials 3 --seeds 1 --workers 1 --set policy.name=greedy", "lens fit t --dims 2 --clusters 2 --buckets 64"):
        ours, theirs = pty.openpty()
        done = subprocess.run([p.build / "purser-sim", *line.split()], cwd=p.at, stdout=subprocess.DEVNULL, stderr=theirs, timeout=60, check=False)
        os.close(theirs)
        said = os.read(ours, 1 << 16).decode()
        os.close(ours)
        assert done.returncode in (0, 3) and ("\r" in said or "purser-sim: " in said), (line, said)


CHECKS = [replay, metrics, ope, convert, compare, run_in_parts, tune, score, honesty, report, terminal]
