# SPDX-License-Identifier: MIT
"""The table of tests/refusals/run: files, and lines (command, exit code, words that must be said)."""
import json

MODELS = {"models": [{"name": "small", "tier": "economy", "usd_per_mtok_in": 0.1, "usd_per_mtok_out": 0.4},
                     {"name": "large", "tier": "premium", "usd_per_mtok_in": 3, "usd_per_mtok_out": 15}]}
ROW = {"id": "r0", "task": "qa", "prompt": "how much", "in": 40, "q": [0.2, 0.9], "cost": [1e-4, 4e-3],
       "out": [50, 70], "lat": [0.4, 1.5]}
WORLD = {"family": "linear", "seed": 1, "requests": 400, "latents": 2,
         "prompt": {"words": 10, "vocabulary": 2, "topical": 0.8}, "context_tokens": 20, "models": [
             {"name": "a", "tier": "t", "usd_per_mtok_in": 0.1, "usd_per_mtok_out": 0.4, "output_tokens": 100,
              "intercept": 0.9, "weights": [0, -0.5]},
             {"name": "b", "tier": "t", "usd_per_mtok_in": 1, "usd_per_mtok_out": 4, "output_tokens": 100,
              "intercept": 0.8, "weights": [0, 0]}]}
DSJSON = {"_label_cost": -1, "_label_probability": 0.5, "_label_Action": 1, "a": [1, 2], "p": [0.5, 0.5],
          "Timestamp": "2026-01-02T03:04:05.5Z", "c": {"user": "x", "_multi": [{"b": 1}, {"b": 2}], "n": 2, "l": [1, "z"]}}
OWN = {"arm": "a", "p": 0.5, "quality": 1, "cost_usd": 0.001, "latency_ms": 9, "failure": 0, "tenant": "t", "x": [1, 2],
       "pmf": {"a": 0.5, "b": 0.5}, "pi": {"a": 0, "b": 1}, "q": {"a": 0.2, "b": 0.3}, "session": "s", "time": 9}


def lines(*rows):
    return "".join(json.dumps(r) + "\n" for r in rows)


def changed(base, /, **fields):
    """The object with fields changed; None takes one out."""
    out = {**base, **fields}
    return {k: v for k, v in out.items() if v is not None}


FILES = {
    "t/models.json": json.dumps(MODELS),
    "t/prompts.jsonl": lines(*(changed(ROW, id=f"r{i}", prompt=f"how much {i}") for i in range(20))) + "\n  \n",
    "one/models.json": json.dumps(MODELS),
    "one/prompts.jsonl": lines(ROW),
    "none/models.json": json.dumps(MODELS),
    "none/prompts.jsonl": "",
    "alone/models.json": json.dumps({"models": MODELS["models"][:1]}),
    "alone/prompts.jsonl": lines(*(changed(ROW, id=f"r{i}", q=[.5], cost=[.1], out=None, lat=[None]) for i in range(9))),
    "t.csv": "prompt,a,b\n" + "".join(f"say {i},{i % 2},1\n" for i in range(12)),
    "log.csv": "time,arm,p,pmf_a,pmf_b,pi_a,pi_b,quality,cost_usd,tenant,task,group,session,x_1\n" + "".join(
        f"2026-01-0{1 + i % 9}T00:00:00Z,{'ab'[i % 2]},.5,.5,.5,.2,.8,{i % 3 / 2},0.00{1 + i % 2},t{i % 2},k,g{i % 2},"
        f"s{i // 2},{i / 60}\n" for i in range(60)),
    "own.jsonl": lines(*(changed(OWN, arm="ab"[i % 2], quality=i % 2) for i in range(20))) + "\n",
    "log.dsjson": lines(*(changed(DSJSON, _label_cost=-(i % 2), _label_Action=1 + i % 2) for i in range(20)),
                        {"_label_cost": "x"}, changed(DSJSON, _skipLearn=True)),
    "pairs.csv": "score,weak,strong\n.1,0,1\n.5,1,1\n.9,0,1\n.3,0,0\n",
    "curve.csv": "cost,quality\n1,.4\n2,.6\n3,.65\n4,.9\n",
    "world.json": json.dumps(WORLD),
    "exp.json": json.dumps({"world": "world.json", "seeds": 1, "policies": [
        {"name": "greedy", "params": {"policy": {"name": "greedy"}}}]}),
    "cell.jsonl": '{"digest":"0000000000000000"\nnot json\n{"digest":"12',
    "notdir": "",
}


def numbered(cases, prefix, suffix, base, make):
    """Puts each flaw into a file of its own: (command with {f}, exit code, words)."""
    out = []
    for i, (command, flaw, code, words) in enumerate(cases):
        name = f"{prefix}{i}{suffix}"
        FILES[name] = make(base, flaw)
        out.append((command.replace("{f}", name).replace("{d}", name.rsplit("/", 1)[0]), code, words))
    return out


ROWS = [  # flaw of the second row of a table, what is said behind FILE:2:
    (dict(id=None), r'"id" is missing'), (dict(id=""), '"id" is empty'), (dict(id=7), '"id" must be a string'),
    (dict(id="r0"), 'id "r0" is already that of line 1'), (dict(task=None), '"task" is missing'),
    (dict(prompt=[]), '"prompt" must be a string'), (dict(q=None), '"q" is missing'),
    (dict(q=[1]), '"q" must be a list of 2 numbers'), (dict(q=[1, "x"]), '"q" must be a number'),
    (dict(q=[1, 1.5]), r'"q" is 1.5, allowed is 0 to 1'), (dict(cost=[0, -1]), r'"cost" is -1, allowed is 0 to 10000'),
    (dict(cost=[0, None]), '"cost" must be a number'), (dict(out=[1, 2, 3]), '"out" must be a list of 2'),
    (dict(out="x"), '"out" must be a list'), (dict(lat=[1, 2e6]), '"lat" is 2e.06'), (dict(**{"in": "x"}), '"in" must be a number'),
    (dict(**{"in": [1]}), '"in" must be a list of 2'), (dict(**{"in": None}), '"in" is missing')]

LISTS = [  # of models.json
    ({"models": []}, "must be a list of 1 to 64 models"), ({}, "must be a list of 1 to 64"), ({"models": [1]}, "must hold objects"),
    ({"models": [{}]}, '"name" is missing'), ({"models": [{"name": "a"}]}, '"usd_per_mtok_in" must be a number'),
    ({"models": [changed(MODELS["models"][0], usd_per_mtok_out=-1)]}, '"usd_per_mtok_out" is -1'),
    ({"models": [changed(MODELS["models"][0], tier=3)]}, '"tier" must be a string'),
    ({"models": [MODELS["models"][0]] * 2}, "small")]

CSVS = [("", "no header"), ("prompt,a\n", "no rows|has no"), ("prompt,a,b\nx,1\n", r":2: 2 cells, the header has 3"),
        ("prompt,a,b\n\"x,1,1\n", "a quote is opened and never closed"), ("prompt,a,b\nx,1,2\n", r":2: column 3 \(b\)"),
        ("prompt,a,b\nx,1,\n", r":2: column 3 \(b\)"), ("prompt,a,b\nx\0,1,1\n", "a zero byte"), ("a,b\n1,1\n", "prompt"),
        ("prompt,a,b,a|total_cost,b|total_cost\nx,1,1,-3,1\n", r":2: column 4 \(a.total_cost\)"),
        ("prompt,a,b,a|total_cost,b|total_cost\nx,1,1,z,1\n", r":2: column 4"), ("prompt\nx\n", "model|column")]

TRACES = [("t_s\n", "needs columns TIMESTAMP"), ("t_s,in_tokens,out_tokens\nx,1,1\n", r":2: column 1 \(t_s\)"),
          ("t_s,in_tokens,out_tokens\n1,-1,1\n", r":2: column 2 \(in_tokens\)"), ("t_s,in_tokens,out_tokens\n1,1,x\n", ":2: column 3"),
          ("t_s,in_tokens,out_tokens\n5,1,1\n4,1,1\n", r":3: column 1"), ("x,y\n1,2\n", "TIMESTAMP|t_s"),
          ("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-13-16 18:15:46.6,3,4\n", r":2: column 1 \(TIMESTAMP\)"),
          ("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6Q,3,4\n", r":2: column 1"),
          ("client,t_s,rate_rps,cv\n1,0,-2,1\n", r":2: column 3 \(rate_rps\)"), ("client,t_s,rate_rps,cv\n1,0,2,-1\n", r":2: column 4 \(cv\)"),
          ("client,t_s,rate_rps,cv\n1,0,0,1\n", "no|rate|arriv")]

LOGS = [("arm,quality\na,1\n", "columns arm, p"), ("arm,p\na,1\n", "quality, cost_usd"), ("p,quality\n1,1\n", "columns arm"),
        ("arm,p,quality\na,x,1\n", r":2: column 2 \(p\): not a number"), ("arm,p,quality\na,2,1\n", r"row 2: the logged probability is 2, not in \(0,1\]"),
        ("arm,p,quality\na,0,1\n", "row 2: the logged probability is 0"), ("arm,p,pmf_a,pmf_b,quality\na,.5,.5,.2,1\n", "sum to 0.7, not 1"), ("arm,p,quality\n", "no decisions in it"),
        ("arm,p,quality,pi_a,pi_b\na,.5,1,.9,.9\n", "row 2: the target.s probabilities sum to 1.8"), ("arm,p,pmf_a,pmf_b,quality\na,.4,.5,.5,1\n", "row 2: its probability is 0.4, but among all it has 0.5")]

JSONS = [("{", "not a JSON object"), ("[]", "not a JSON object"), (lines(changed(OWN, arm=None)), "arm"), (lines(changed(OWN, p="x")), "p is a number"),
         (lines(changed(OWN, pmf={"a": "x"})), "pmf|number"), (lines(changed(OWN, pi={"a": None})), "pi|number"),
         (lines(changed(OWN, q={"a": []})), "q|number"), (lines(changed(OWN, pmf={"a": .5, "b": .1})), "sum to 0.6"),
         (lines(OWN, changed(OWN, x=[1, "y"])), "x is a list of numbers"), (lines(changed(OWN, quality="x")), "quality, cost_usd.* are numbers"), ("", "no decisions in it")]

DSJSONS = [(lines(changed(DSJSON, a=[1])), "a and p must be arrays of the same length"), (lines(changed(DSJSON, a=[], p=[])), "a and p"),
           (lines(changed(DSJSON, p=[.5, .6])), "sum to 1.1"), (lines({}), r"no decisions in it \(1 records")]

METRICS = [("", "no header"), ("score,weak,strong\n", "has no rows"), ("score,weak\n1,1\n", "expected columns score,weak,strong"),
           ("score,weak,strong\nx,1,1\n", r":2: column 1 \(score\): expected a finite number"), ("cost,quality\n1,nan\n", ":2: column 2")]

EXPERIMENTS = [(dict(seeds=0), "/seeds"), (dict(seeds="x"), "/seeds"), (dict(policies=None), "/policies"), (dict(policies=[]), "/policies"),
               (dict(policies=[{}]), "/policies/0: needs a name"), (dict(policies=[3]), "/policies/0"),
               (dict(policies=[{"name": "a"}, {"name": "a"}]), "/policies/1"), (dict(world=None), "world"), (dict(world=3), "/world"),
               (dict(world="nowhere"), "nowhere"), (dict(adequate="never"), "/adequate"), (dict(delay=-1), "/delay"),
               (dict(policies=[{"name": "a", "params": {"policy": {"name": "nix"}}}]), "policy/name"), (dict(params=[]), "/params"),
               (dict(policies=[{"name": "a", "labelled": -1}]), "/policies/0/labelled"), (dict(nope=1), "/nope"), (dict(table="nowhere", world=None), "nowhere"),
               (dict(table="t"), "world|table"), (dict(trace=3), "/trace"), (dict(trace="nowhere.csv"), "nowhere.csv"),
               (dict(disturbances=3), "/disturbances"), (dict(disturbances=[{}]), "/disturbances/0"),
               (dict(disturbances=[{"kind": "x"}]), "/disturbances/0/kind"),
               (dict(disturbances=[{"kind": "price", "model": "zzz", "at": 5, "factor": 2}]), "/disturbances/0"),
               (dict(policies=[{"name": "a", "params": {"learner": {"half_life_hours": "x"}}}]), "half_life_hours")]

WORLDS = [(dict(family="x"), "/family"), (dict(family=None), "/world/clusters: missing: this family needs"), (dict(requests=0), "/requests"), (dict(models=[]), "/models"), (dict(models=3), "/models"),
          (dict(models=[{}]), "/models/0"), (dict(latents=0), "latents|weights"), (dict(models=[WORLD["models"][0]] * 2), "/models/1/name"),
          (dict(models=[changed(WORLD["models"][0], weights=[1])]), "/models/0/weights"), (dict(noise=-1), "/noise"),
          (dict(models=[changed(WORLD["models"][0], intercept="x")]), "/models/0/intercept"), (dict(x_note=1, z=2), "/z"), (dict(base="nowhere"), "nowhere"),
          (dict(base=3), "/base"), (dict(family="clusters"), "cluster"), (dict(family="clusters", clusters=[{}]), "/clusters/0"),
          (dict(prompt={"words": 0}), "/prompt/words"), (dict(seed=-1), "/seed"), (dict(tokens_spread=-2), "/tokens_spread"), (dict(models=[changed(WORLD["models"][0], output_tokens=0)]), "/models/0/output_tokens")]

CHOICES = [("{", ":1: .*not"), ("[]\n", ":1: "), ('{"id":"r0"}\n', "no choices in it"), ('{"id":"zz","model":"small"}\n', ":1: .*zz"),
           ('{"id":"r0","model":"zz"}\n', ":1: .*zz"), ("", "no choices in it")]

SIM = [  # purser-sim: arguments
    ("", 2, "which command"), ("nope", 2, "no such command: nope"), ("--nope", 2, "wrong option"), ("--version", 0, r"^purser-sim \d"),
    ("--help", 0, "usage: purser-sim replay"), ("replay", 2, "one DIR or --scenario"), ("replay t t", 2, "one DIR"), ("replay --scenario nope", 2, "no such scenario: nope"),
    ("replay nowhere", 1, "nowhere/models.json:1: .*No such file"), ("replay t --history x", 2, "full, bandit or cold: x"), ("replay t --values", 2, "--values are a scenario's"),
    ("replay t --trace rates.csv --order given", 2, "--trace has an order of its own"), ("replay t --learn-from t --split .5", 2, "exclude each other"),
    ("replay t --learn-from nowhere", 1, "nowhere/models.json"), ("replay t --trace nowhere.csv", 1, "nowhere.csv: No such"), ("replay t --lens nowhere", 1, "nowhere: No such"),
    ("replay t --lens t", 1, "t: cannot be read"), ("replay t --lens t.csv", 1, "lens"), ("compare t --trace x", 2, "--trace is of replay, not of: compare"),
    ("config", 2, "config and score take one DIR"), ("config t t", 2, "take one DIR"), ("config nowhere", 1, "nowhere"), ("score t", 2, "--choices FILE is missing"),
    ("score t --choices nowhere", 1, "nowhere: No such file"), ("score t --choices t", 1, "t: cannot be read"), ("lens", 2, "no such command: lens"), ("lens fit", 2, "no such command"), ("lens fit nowhere", 1, "nowhere: No such file"),
    ("lens fit t --dims 0", 2, "not allowed: 0"), ("lens fit t --buckets 17", 2, "not allowed: 17"), ("lens fit t --buckets 8", 2, "not allowed: 8"), ("lens fit t --whiten 2", 2, "not allowed: 2"), ("lens fit t --clusters x", 2, "not allowed: x"),
    ("lens fit none", 1, "row|prompt"), ("lens fit t --out notdir/x --dims 2 --clusters 2 --buckets 64", 1, "notdir/x: cannot be written: Not a directory"),
    ("run", 2, "run takes one EXPERIMENT"), ("run a b", 2, "one EXPERIMENT"), ("run nowhere.json", 1, "no file nowhere.json"), ("run t", 1, "no file t,"), ("run exp.json --check", 0, "exp.json: right; 400 requests, 1 policies, 1 seeds"),
    ("run exp.json --shard 1/2", 2, "--shard needs --resume"), ("run exp.json --shard 0/2", 2, "not allowed: 0/2"), ("run exp.json --shard 3/2", 2, "not allowed: 3/2"), ("run exp.json --shard 1", 2, "not allowed: 1"),
    ("run exp.json --shard x/2", 2, "not allowed: x/2"), ("run exp.json --shard 1/", 2, "not allowed: 1/"), ("run exp.json --shard 1/2x", 2, "not allowed: 1/2x"), ("run exp.json --resume notdir/x", 1, "notdir/x: Not a directory"),
    ("run exp.json --csv notdir/x", 1, "notdir/x: "), ("run exp.json --csv notdir/x.csv", 1, "notdir/x.csv: cannot be written"), ("merge exp.json", 2, "merge takes an EXPERIMENT and the files"), ("merge exp.json a --resume b", 2, "merge only reads"),
    ("merge exp.json nowhere", 1, "nowhere: cannot be read"), ("merge exp.json cell.jsonl", 1, "jobs are missing"), ("merge exp.json t", 1, "t: cannot be read"), ("tune", 2, "tune takes one DIR, or --store DIR"), ("tune t t", 2, "one DIR"), ("tune --store t x", 2, "or --store DIR: x"),
    ("tune nowhere", 1, "nowhere"), ("tune --store nowhere", 1, "nowhere"), ("tune t --trials 1", 2, "not allowed: 1"), ("tune one --trials 2", 1, "row"), ("compare", 2, "compare takes one DIR or more"), ("compare t --policy greedy", 2, "compare takes --policies"),
    ("compare t --budget 1", 2, "compare takes --policies"), ("compare t --change model=small,at=1,price=x2", 2, "compare takes --policies"), ("compare t --scenario fintech", 2, "neither --scenario"), ("compare t --learn-from t", 2, "neither"),
    ("compare t --policies nope", 2, "--policies takes .*: nope"), ("compare t --policies greedy,,uniform", 2, "--policies takes"), ("compare t --policies " + "g" * 200, 2, "--policies"), ("compare t --budgets x", 2, "--budgets takes .*: x"), ("compare t --budgets 0", 2, "--budgets"),
    ("compare t --budgets 5z", 2, "--budgets"), ("compare t --history x", 2, "--history takes a list"), ("compare t --history cold,bandit,full,cold", 2, "--history"), ("compare nowhere", 1, "nowhere"), ("compare t --csv notdir/x", 1, "notdir/x: cannot be written"), ("compare t --resume notdir/x", 1, "notdir/x: Not a dir"),
    ("compare t --lens nowhere", 1, "nowhere: No such"), ("compare one", 1, "row"), ("refold x", 2, "refold takes only options: x"), ("refold", 2, "refold needs --store"), ("refold --store nowhere", 1, "nowhere: "), ("refold --store t --until x", 2, "--until takes .*: x"),
    ("whatif x", 2, "whatif takes only options: x"), ("whatif", 2, "whatif needs --store"), ("whatif --store nowhere", 1, "nowhere"), ("honesty", 2, "honesty takes one DIR or WORLD"), ("honesty nowhere", 1, "nowhere"), ("honesty t --seeds 1 --workers 1", 0, "within the interval"), ("honesty nowhere --set x", 1, "nowhere"),
    ("scenario", 2, "scenario takes one name"), ("scenario nope", 1, "nope"), ("scenario list", 0, "fintech"), ("scenario nope --out x", 2, "of the scenario fintech, not of: nope"), ("scenario fintech --out notdir/x", 1, "notdir/x: Not a directory"), ("scenario fintech --out notdir", 1, "notdir/models.json: cannot be written: Not a directory"),
    ("replay t --split 1", 2, "not allowed: 1"), ("replay t --split x", 2, "not allowed: x"), ("replay t --split nan", 2, "not allowed: nan"), ("replay t --split .5x", 2, "not allowed: .5x"), ("replay t --budget 0", 2, "not allowed: 0"), ("replay t --policy nope", 2, "not allowed: nope"), ("replay t --delay x", 2, "not allowed: x"), ("replay t --delay exp:", 2, "not allowed: exp:"),
    ("replay t --delay -1", 2, "not allowed: -1"), ("replay t --delay exp:5x", 2, "not allowed: exp:5x"), ("replay t --seeds 0", 2, "not allowed: 0"), ("replay t --seeds 1x", 2, "not allowed: 1x"), ("replay t --seeds 99999999", 2, "not allowed"), ("replay t --seed -1", 2, "not allowed: -1"), ("replay t --workers 0", 2, "not allowed: 0"), ("replay t --workers 257", 2, "not allowed: 257"),
    ("replay t --rows 0", 2, "not allowed: 0"), ("replay t --scenario-seed x", 2, "not allowed: x"), ("replay t --monthly 0", 2, "not allowed: 0"), ("replay t --order x", 2, "not allowed: x"), ("replay t --days 0", 2, "not allowed: 0"), ("replay t --max-output-tokens 0", 2, "not allowed: 0"), ("replay t --features x", 1, "features|x"),
    ("replay t --features declared,", 1, "features"), ("replay t --set x", 1, "--set|x"), ("replay t --set =1", 1, "=1|--set"), ("replay t --set policy.name=nope", 1, "/policy/name"), ("replay t --set nope.a=1", 1, "/nope"), ("replay t --set " + "a." * 300 + "b=1", 1, "--set|a.a"), ("replay t --config nowhere", 1, "nowhere: No such"),
    ("replay t --config t", 1, "t: cannot be read"), ("replay t --config t.csv", 1, "JSON|json|1"), ("replay t.csv", 1, "price"), ("replay t.csv --prices a=1", 1, "--prices|a=1"), ("replay t.csv --prices a=1:2", 1, "b"), ("replay t.csv --prices a=1:2,b=x:1", 1, "b=x:1|--prices"), ("replay t.csv --prices a=1:2,b=-1:1", 1, "--prices|b=-1"), ("replay t.csv --prices a=1:2,b=1:1,z=1:1", 1, "z"),
    ("replay t --csv notdir/x --seeds 1", 1, "notdir/x"), ("replay none", 1, "none/prompts.jsonl: no rows"), ("replay " + "d" * 5000, 1, "too long"), ("replay notdir", 1, "notdir:1: no header"), ("replay t " + " ".join(["--set policy.floor=0.1"] * 300), 2, "not allowed"),
    ("honesty t --config nowhere", 1, "row|nowhere"), ("replay t --split 0.99999 --seeds 1", 1, "row|split")]
SIM += [(f"replay t --seeds 1 --change {c}", 2, re_) for c, re_ in (("x", "not allowed: x"), ("model=small", "not allowed"), ("at=1,price=x2", "not allowed"), ("model=small,at=x,price=x2", "not allowed"), ("model=small,at=1,price=2", "not allowed"),
        ("model=small,at=1,price=x0", "not allowed"), ("model=small,at=5,until=5,price=x2", "not allowed"), ("model=small,at=1,quality=9", "not allowed"), ("model=small,at=1,failure=2", "not allowed"), ("model=small,at=1,active=x", "not allowed"), ("model=small,at=1,zz=1", "not allowed"), ("model=" + "m" * 200 + ",at=1,price=x2", "not allowed"), ("model=small,at=1," + "z" * 200, "not allowed"))]
SIM += [("replay t --seeds 1 --change model=zz,at=1,price=x2", 1, "zz"), ("replay t --seeds 1 --change model=small,at=9999,price=x2", 1, "9999|at"), ("replay alone --seeds 1 --change model=small,at=2,active=false", 1, "model|small")]
SIM += [(f"metrics {a}", c, w) for a, c, w in (("", 2, "one FILE.csv is needed"), ("a b", 2, "one FILE.csv"), ("--help", 0, "usage: purser-sim metrics"), ("--nope", 2, "nope"), ("pairs.csv --low x", 2, "x is not a number"), ("pairs.csv --high inf", 2, "inf is not"), ("pairs.csv --unit 1x", 2, "1x is not"),
        ("pairs.csv --quality", 2, "quality"), ("nowhere.csv", 1, "nowhere.csv: No such"), ("t", 1, "t: cannot be read"), ("pairs.csv --csv notdir/x", 1, "notdir/x"), ("curve.csv --csv notdir", 1, "notdir"))]
SIM += [(f"convert {a}", c, w) for a, c, w in (("", 2, "convert takes --store DIR"), ("--help", 0, "usage: purser-sim convert"), ("--nope", 2, "convert takes"), ("--log log.csv --as csv", 2, "convert takes"), ("--log log.csv --format x --as csv", 2, "convert takes"), ("--log log.csv --format csv", 2, "convert takes"),
        ("--log log.csv --format csv --as x", 1, "--as takes csv, jsonl, obp or dsjson"), ("--log log.csv --format csv --as store", 1, "--as takes"), ("--log nowhere --format csv --as jsonl", 1, "No such file"), ("--log nowhere --format jsonl --as csv", 1, "No such file"), ("--store nowhere --as csv", 1, "nowhere"),
        ("--log log.csv --format csv --as csv --out notdir/x", 1, "notdir/x: cannot be written"), ("--log t --format jsonl --as csv", 1, "cannot be read"), ("--log log.csv --format csv --as csv x", 2, "convert takes"), ("--store t --log log.csv --format csv --as csv", 2, "convert takes"), ("--store t --full-speed --as csv", 1, "t"))]
SIM += [(f"ope {a}", c, w) for a, c, w in (("", 2, "ope needs --store DIR or --log"), ("--help", 0, "usage: purser-sim ope"), ("--nope", 2, "ope: wrong option"), ("--log log.csv", 2, "and --target"), ("--target uniform", 2, "ope needs"), ("--log x --target uniform", 2, "which --format is this: x"), ("--log log.csv --target uniform x", 2, "only options: x"),
        ("--log log.csv --target greedy", 2, "only a store has what a policy decides from"), ("--store t --target uniform --propensity fit", 2, "--propensity fit is of --log"), ("--log nowhere.csv --target uniform", 1, "nowhere.csv"), ("--log nowhere.jsonl --target uniform", 1, "nowhere.jsonl: No such"), ("--store nowhere --target uniform", 1, "nowhere"),
        ("--log log.csv --target always:zz", 1, "zz"), ("--log log.csv --target uniform --kinds a", 1, "--kinds takes"), ("--log log.csv --target uniform --kinds zz=x", 1, "--kinds takes ARM=KIND"), ("--log log.csv --target uniform --csv notdir/x", 1, "notdir/x"), ("--log log.csv --target uniform --group-floor .5 --by group --json", "ok", ""))]
SIM += [(f"ope --log log.csv --target uniform {a}", 2, "not allowed: " + a.split()[-1]) for a in (
    "--format x", "--format store", "--days 0", "--from x", "--from -1", "--to 1x", "--against zz", "--against given", "--by x", "--by tenant,x", "--weights x", "--weights quality=x", "--weights zz=1", "--weights quality=-1", "--q x", "--alpha 0", "--alpha x", "--alpha 0.6",
    "--candidates 0", "--quality-margin -1", "--segment-margin x", "--group-floor -1", "--cost-allowed x", "--cost-high -1", "--latency-high x", "--quality-high x", "--weight-high x", "--clip x", "--tau x", "--dros x", "--sg 2", "--seed x", "--propensity x")]
SIM += [(f"ope --log log.csv --target uniform {a}", "ok", "") for a in (
    "--alpha 0.1 --candidates 3", "--quality-margin 0.1 --segment-margin 0.2 --by tenant,task,group,week", "--cost-allowed 1 --cost-high 1 --latency-high 5 --quality-high 1", "--weight-high 9 --clip 3 --tau 2 --dros 1 --sg .1", "--seed 4 --q fit", "--q logged --propensity logged",
    "--against always:a --weights quality=1,cost=2,latency=1,failure=1", "--days 9999 --from 3 --to 50", "--progress --kinds a=x,b=y", "--json --kinds a=x,b=x", "--format csv", "--propensity fit")]
SIM += [(f"report {a}", c, w) for a, c, w in (("", 2, "report takes RESULT.json"), ("--help", 0, "usage: purser-sim report"), ("--nope", 2, "report: wrong option"), ("x --out", 2, "report: wrong option"), ("nowhere --out x.html", 1, "nowhere: No such"), ("notdir --out x.html", 1, "notdir: has no result"), ("t.csv --out x.html", 1, "t.csv: "),
        ("bad.json --out x.html", 1, "bad.json: is no result of"), ("list.json --out x.html", 1, "list.json: expected objects"))]
FILES["bad.json"] = '{"a":1} {"experiment":{"b":1}}'
FILES["list.json"] = "[1]"
SIM += [(f"{c} --seeds 1 --workers 1", 0, "") for c in (
    "replay one", "replay t --policy fixed", "replay t --policy rules", "replay t --features none", "replay t --features declared,text,shape", "replay t --history cold --split .5", "replay t --progress", "replay alone", "replay t --order given --delay 3", "replay t --order seed --json",
    "replay t --budget 0.0002 --max-output-tokens 100", "compare t --policies greedy --budgets none,0.001,0.0000001 --progress", "compare alone --policies all --budgets none --history cold", "replay t --change model=large,at=3,active=false --change model=small,at=5,until=9,failure=.5,cost=x2,price=x3,quality=-.1",
    "run exp.json --progress --resume cell.jsonl", "run exp.json --resume cell.jsonl", "run exp.json --json", "scenario fintech --values --rows 40 --json", "compare t --policies greedy --budgets none --resume cell.jsonl --seed 4", "score t --choices good.jsonl", "score t --choices good.jsonl --json --monthly 1")]
SIM += [(f"scenario {s} --seeds 1 --workers 1", 0, w) for s, w in (
    ("bandits --rows 150", "lints"), ("bandits --rows 150 --json", '"settings"'), ("strategies --rows 300", "rules"), ("cascade", "oracle"), ("cascade --json", "{"), ("new-model --rows 900 --json", '"policies"'))]
FILES["good.jsonl"] = lines(*({"id": f"r{i}", "model": "small" if i % 2 else "large"} for i in range(20)))
FILES["rates.csv"] = "client,t_s,rate_rps,cv\n35,0,8.3,1.3\n35,600,10.8,0.009\n36,600,1.8,1\n"

# purser: commands that ask no service, and usage of those that would.
PURSER = [
    ("", 64, "usage: purser COMMAND"), ("--help", 0, "usage: purser COMMAND"), ("help", 0, "options of all commands"), ("--version", 0, r"^purser \d"), ("nope", 64, "no command 'nope'"), ("completion", 0, "complete -o default"),
    ("check", 64, "FILE|check"), ("check nowhere", 78, "nowhere"), ("check t", 78, "t"), ("check bad.json", 78, "bad.json"), ("check a b", 64, "check"), ("verify", 64, "--data"), ("verify --data nowhere", "bad", "nowhere"), ("verify --data", 64, "--data"),
    ("log", 64, "--data"), ("log --data nowhere", "bad", "nowhere"), ("log --data t --from x", 64, "--from"), ("backup", 64, "--data"), ("backup --data t", 64, "--to"), ("backup --data nowhere --to x", "bad", "nowhere"), ("restore", 64, "--from"), ("restore --from nowhere --data y", "bad", "nowhere"),
    ("restore --from t --data t", "bad", "t"), ("repair", 64, "--data"), ("repair --data t", 64, "--to"), ("repair --data nowhere --to x", "bad", "nowhere"), ("audit --data nowhere", "bad", "nowhere"), ("audit --nope", 64, "--nope|unexpected"), ("learned export --data nowhere", "bad", "nowhere"),
    ("learned import", 64, "FILE"), ("learned nope", 64, "learned"), ("learned undo", 64, "NAME"), ("learned import nowhere", "bad", "nowhere"), ("learned import bad.json", "bad", "bad.json"), ("learned import t", "bad", "t"), ("learned import bad.json --share 2", 64, "--share"), ("learned import bad.json --map x", 64, "--map"),
    ("keys", 64, "create, list|keys"), ("keys nope --file k", 64, "keys"), ("keys create", 64, "--file|--role"), ("keys create --file k", 64, "--role"), ("keys create --file k --role nope", 64, "role"), ("keys create --file k --role app --rate x", 64, "--rate"), ("keys create --file k --role app --rate -1", 64, "--rate"),
    ("keys create --file k --role app --connections 0", 64, "--connections"), ("keys create --file k --role app --expires-days 0", 64, "--expires-days"), ("keys create --file notdir/k --role app", "bad", "notdir/k"), ("keys list --file nowhere", "bad", "nowhere"), ("keys list --file t.csv", "bad", "t.csv"), ("keys revoke --file k", 64, "ID"),
    ("keys revoke zz --file nowhere", "bad", "nowhere"), ("keys create --file k --role app --tenant " + "t" * 300, 64, "tenant"), ("models import", 64, "FILE"), ("models import nowhere", "bad", "nowhere"), ("models import t.csv", "bad", "t.csv"), ("models import bad.json --format nope", 64, "--format"), ("models import bad.json --as-of x", 64, "--as-of"),
    ("models import bad.json --map x", 64, "--map"), ("models import bad.json --into c --apply", 64, "--into|--apply"), ("models import bad.json --add", 64, "--add"), ("models import t", "bad", "t"), ("pools import", 64, "FILE"), ("pools import nowhere", "bad", "nowhere"), ("pools import t.csv", "bad", "t.csv"), ("pools import bad.json --format nope", 64, "--format"),
    ("route --nope", 64, "--nope|unexpected"), ("route --timeout x", 64, "--timeout"), ("route --timeout 0", 64, "--timeout is 1 to 1000000 ms"), ("route --retries 101", 64, "--retries 0 to 100"), ("route --route nonsense", 2, "nonsense|url|address"), ("route --ca nowhere --route tls+tcp://127.0.0.1:1", 2, "connection: "),
    ("lens set", 64, "FILE"), ("lens set nowhere", 64, "nowhere: No such file"), ("lens nope", 64, "lens"), ("play", 64, "DIR"), ("play t", 64, "--choices"), ("play nowhere --choices x", "bad", "nowhere/models.json"), ("play none --choices x", "bad", "has no rows"), ("play t --choices notdir/x", "bad", "notdir/x: .*cannot be written|notdir"), ("play t --choices x --parallel 0", 64, "--parallel"),
    ("train", 64, "--from FILE.jsonl is needed"), ("train --from nowhere", "bad", "nowhere"), ("train --from own.jsonl --n-eff 0", 64, "--n-eff"), ("train --from own.jsonl --map x", 64, "--map needs OLD=NEW"), ("train --from own.jsonl --limit -1", 64, "--limit"), ("train --from own.jsonl x", 64, "unexpected argument"),
    ("export --format nope", 64, "--format is focus, otel or csv"), ("export --account a,b", 64, "--account must be"), ("export --provider a,b", 64, "--provider must be"), ("export --since x", 64, "--since"), ("spend --by nope", 2, "timeout|connection"), ("spend --since x", 64, "--since"), ("spend --until x", 64, "--until"), ("spend --where x", 64, "--where"),
    ("unlearn", 64, "unlearn"), ("unlearn --since x", 64, "--since"), ("unlearn --until x --source s", 64, "--until"), ("unlearn --batch b --source s", 64, "--batch"), ("feedback", 64, "DECISION_ID"), ("feedback x --quality y", 64, "--quality"), ("feedback x --failed --succeeded", 64, "--failed|--succeeded"), ("escalate", 64, "DECISION_ID"), ("explain", 64, "DECISION_ID"),
    ("route {", 64, "JSON|json"), ("route --prompt a --prompt-file b", 64, "--prompt"), ("route --prompt-file nowhere", 64, "nowhere"), ("route --value x", 64, "--value"), ("weights nope", 64, "weights"), ("weights set", 64, "weights|quality"), ("weights set quality=1 --canary 2", 64, "--canary"), ("weights rollback --to x", 64, "--to"),
    ("policy nope", 64, "policy"), ("policy set", 64, "policy"), ("config nope", 64, "config"), ("config set", 64, "PATH=VALUE|config"), ("config set x", 64, "x"), ("config diff x", 64, "N|x"), ("config rollback --part nope", 64, "part"), ("models nope", 64, "models"), ("models set", 64, "models"), ("models set {", 64, "JSON|FIELD"), ("models rename a", 64, "rename"), ("pools nope", 64, "pools"), ("pools set", 64, "POOL"),
    ("pools set p", 64, "FIELD"), ("pools set p x", 64, "FIELD=VALUE"), ("pools remove", 64, "POOL"), ("learners nope", 64, "learners"), ("learners set", 64, "learners"), ("learners set {", 64, "JSON|list"), ("status x", 64, "unexpected"), ("top x", 64, "unexpected"), ("snapshot x", 64, "unexpected"), ("demo x", 64, "unexpected")]
COMMANDS = ("route escalate feedback demo play train unlearn spend export status top models pools weights policy config audit learners learned lens explain snapshot keys log check "
            "verify repair backup restore").split() + ["models import", "pools import"]
PURSER += [(f"{c} --help", 0, f"^usage: purser {c}") for c in COMMANDS]
NOBODY = ["--retries", "0", "--timeout", "50"] + [x for d in ("route", "feedback", "control") for x in (f"--{d}", "tcp://127.0.0.1:1")]


def all_cases():
    out = []
    table = lambda base, flaw: lines(base, changed(changed(base, id="r1"), **flaw))  # noqa: E731
    rows = [("purser-sim replay {d} --seeds 1", f, 1, r"prompts.jsonl:2: .*" + w) for f, w in ROWS]
    out += numbered(rows, "bad", "/prompts.jsonl", ROW, table)
    for i in range(len(rows)):
        FILES[f"bad{i}/models.json"] = json.dumps(MODELS)
    for i, (models, words) in enumerate(LISTS):
        FILES[f"list{i}/models.json"] = json.dumps(models)
        FILES[f"list{i}/prompts.jsonl"] = lines(ROW)
        out.append((f"purser-sim replay list{i}", 1, f"list{i}/models.json:1: .*" + words))
    FILES["list99/models.json"], FILES["list98/models.json"], FILES["list98/prompts.jsonl"] = "{", json.dumps(MODELS), "{\n"
    out += [("purser-sim replay list99", 1, "list99/models.json:1: "), ("purser-sim replay list98", 1, r"list98/prompts.jsonl:1: not JSON: .*column")]
    plain = lambda base, flaw: flaw  # noqa: E731
    for cases, command, suffix in ((CSVS, "purser-sim replay {f} --seeds 1 --prices a=1:2,b=3:4", ".t.csv"), (TRACES, "purser-sim replay t --seeds 1 --trace {f}", ".r.csv"),
                                   (LOGS, "purser-sim ope --log {f} --target given", ".l.csv"), (JSONS, "purser-sim ope --log {f} --target uniform", ".jsonl"),
                                   (DSJSONS, "purser-sim ope --log {f} --target uniform", ".dsjson"), (METRICS, "purser-sim metrics {f}", ".m.csv"),
                                   (CHOICES, "purser-sim score t --choices {f}", ".c.jsonl")):
        out += numbered([(command, f, 1, w) for f, w in cases], "flaw", suffix, None, plain)
    over = lambda base, flaw: json.dumps(changed(base, **flaw))  # noqa: E731
    exp = json.loads(FILES["exp.json"])
    out += numbered([("purser-sim run {f} --check", f, 1, w) for f, w in EXPERIMENTS], "exp", ".json", exp, over)
    out += numbered([("purser-sim run {f} --check", {"world": changed(WORLD, **f)}, 1, w) for f, w in WORLDS], "world", ".json", exp, over)
    out += [(["purser-sim", *line.split()], code, words) for line, code, words in SIM]
    for line, code, words in PURSER:
        argv = line.split(" ", 1) if line.startswith("route {") else line.split()
        ask = argv and argv[0] not in ("check", "verify", "log", "backup", "restore", "repair", "keys", "completion", "help", "--help", "--version", "nope") and "--timeout" not in argv \
            and "--retries" not in argv and "--route" not in argv and "import" not in argv[:2] and "--data" not in argv
        out.append((["purser", *argv, *(NOBODY if ask and "--help" not in argv else [])], code, words))
    return out
