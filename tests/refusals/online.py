# SPDX-License-Identifier: MIT
"""Of tests/refusals/run: one operator's session with a running service, each line in its forms."""
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "crash"))
from service import Service  # noqa: E402

WHY = '--reason because'
# (line, exit code, words); {d} is the last decision, {r} the number of the last entry, {k} a key.
SESSION = [
    ("status", 0, "ok|serving|ready"), ("status --digest", 0, "digest"), ("status --json", 0, '"'), ("demo", 0, "small-1|mid-1|large-1"), ("demo --json", 0, "small-1|mid-1|large-1"), ("top --once", 0, "small-1"), ("top --once --json", 0, '"decisions"'),
    ("route --tenant acme --task chat --prompt hello --prompt-tokens 30 --max-output-tokens 100 --id q1 --json", 0, "decision_id"), ("route --tenant acme --task chat --user u --session s --group g --domain d --user-tier gold --outcome o --explain", 0, "drawn with probability"),
    ("route --min-tier large --json", 0, "large-1"), ("route --min-tier nope", 1, "unknown_tier|tier"), ("route --max-cost-usd 0", 1, "no_eligible|cost"), ("route --min-quality 2", 1, "min_quality"), ("route --max-latency-ms -1", 1, "latency"), ("route --value 3 --batch --dry-run", 0, "small-1|mid-1|large-1"),
    ('route {"task":"x"}', 0, "decision|small-1|mid-1|large-1"), ('route {"task":7}', 1, "/task"), ('route {"v":9}', 1, "v"), ("route --prompt-file prompt.txt --json", 0, "decision_id"), ("route --prompt-file t", 64, "t: "),
    ("explain {d}", 0, "small-1"), ("explain {d} --json", 0, '"models"|"arms"|decision'), ("explain 1-2-3", 1, "unknown_decision|decision"), ("explain x", 1, "decision"), ("feedback {d} --quality 0.7 --cost-usd 0.001 --latency-ms 30 --prompt-tokens 30 --cached-tokens 3 --output-tokens 20 --reasoning-tokens 2 --source judge", 0, "applied"),
    ("feedback {d} --quality 0.9 --source judge --feedback-id f1 --version 2", 0, "applied|amended"), ("feedback {d} --retract --source judge", 0, "applied|retract"), ("feedback {d} --failed --json", 0, '"status"'), ("feedback {d} --succeeded", 0, "amended"), ("feedback {d} --quality 3", 1, "/quality"), ("feedback {d} --prompt-tokens 1.5", 64, "--prompt-tokens is a whole number"),
    ("feedback 1-2-3 --quality 1", 1, "unknown_decision|decision"), ('feedback {"decision_id":"x","quality":1}', 1, "decision_id|decision"), ("escalate {d} --prompt again --json", "any", "decision_id|no model that is left has a higher tier"), ("escalate {d} --tenant other", 1, "tenant|decision"), ("escalate x", 1, "decision"), ("explain {d}", 0, "large|mid"),
    ("spend", 0, "total"), ("spend --json", 0, '"rows"|{'), ("spend --csv", 0, ","), ("spend --by tenant,user,model,task,domain,group,cluster,complexity --bucket hour", 0, "acme"), ("spend --by tenant --bucket day --csv", 0, "acme"), ("spend --by tenant --bucket all --since 7d --until 2099-01-01T00:00:00", 0, "acme"),
    ("spend --by tenant --where tenant=acme --where task=chat", 0, "acme"), ("spend --where task= --json", 0, "{"), ("spend --by nope", 1, "/by: expected names of"), ("spend --where zz=1", 1, "/where: expected names of"), ("spend --bucket nope", 1, "bucket"), ("spend --since 24h", 0, "total"), ("spend --csv --json", 0, "{"),
    ("export --format focus", 0, "BilledCost"), ("export --format otel --out o.jsonl", 0, "o.jsonl: [0-9]+ rows"), ("export --format csv --out o.csv --json", 0, '"rows":'), ("export --since 30d --account me --provider us --where tenant=acme", 0, "BillingAccountId"), ("export --out notdir/x", 1, "notdir/x: cannot be written"), ("export --since 2099-01-01T00:00:00", 0, "BilledCost"),
    ("models", 0, "large-1"), ("models list --json", 0, "usd_per_mtok_in"), ("models history", 0, ""), (f"models set small-1 usd_per_mtok_out=0.2 --apply {WHY}", 0, ""), ("models set small-1 usd_per_mtok_out=0.3 --preview", 0, "small-1|evidence|decision"), ("models set small-1 usd_per_mtok_out=0.3 --preview --json", 0, "{"), (f"models set nope usd_per_mtok_out=1 --apply {WHY}", 1, "nope"),
    (f"models set small-1 nope=1 --apply {WHY}", 1, "nope"), (f"models set small-1 usd_per_mtok_out=-1 --apply {WHY}", 1, "usd_per_mtok_out"), ("models history --json", 0, "because"), ("models rollback --preview", 0, "small-1|models"), (f"models rollback --apply {WHY}", 0, ""), (f"models rename zz mid-3 {WHY}", 1, "/model: there is no model"), (f"models rollback --to 99999 --apply {WHY}", 1, "99999|entry"),
    ('models set [{"name":"x"}] ' + WHY, 1, "models/0|/0"), ("models set [] " + WHY, 1, "models"), ("weights", 0, "quality"), ("weights get --json", 0, '"quality"'), (f"weights set quality=1 cost=0.1 {WHY}", 0, "0.1"), (f"weights set --quality 1 --cost 0.2 --latency 0.01 --failure 0.4 --apply {WHY}", 0, "0.2"), ("weights set --cost 0.4 --preview", 0, "quality"),
    ("weights set --cost 0.4 --preview --days 3 --decisions 500 --json", 0, "{"), (f"weights set --cost -1 --apply {WHY}", 1, "cost"), (f"weights set zz=1 {WHY}", 1, "zz"), (f"weights set quality=x {WHY}", 1, "quality"), ("weights history", 0, "because"), ("weights history --json", 0, "because"), ("weights rollback --preview", 0, ""), (f"weights rollback --apply {WHY}", 0, "0.1"),
    (f"weights set --cost 0.3 --apply --canary 0.1 {WHY}", 0, ""), ("weights", 0, ""), (f"config set canary/share=0 --apply {WHY}", 0, ""), ("policy", 0, "lints"), (f"policy set name=greedy {WHY}", 0, "greedy"), (f"policy set name=nope {WHY}", 1, "policy/name"), ("policy set name=lints --preview", 0, ""), ("policy history", 0, "because"), (f"policy rollback --apply {WHY}", 0, "lints"),
    ("config", 0, "objective"), ("config get objective/cost", 0, "0"), ("config get models/small-1", 0, "usd_per_mtok"), ("config get nope", 1, "nope"), ("config get --json", 0, "{"), (f"config set objective/cost=0.5 pools/all/usd=5 --apply {WHY}", 0, ""), ("config set objective/cost=0.6 --preview", 0, ""), (f"config set nope/x=1 --apply {WHY}", 1, "nope"), (f"config set objective/cost=x --apply {WHY}", 1, "objective/cost"),
    (f"config set models/zz/tier=small --apply {WHY}", 1, "zz"), (f"config set rules/7/tier=small --apply {WHY}", 1, "rules"), ("config history", 0, "because"), ("config history objective", 0, "because"), ("config history --json", 0, "because"), ("config diff", 0, ""), ("config diff 1", 0, ""), ("config diff 1 --json", 0, ""), ("config diff 9999", 1, "9999|entry"), ("config rollback --part objective --preview", 0, ""),
    (f"config rollback --part objective --apply {WHY}", 0, ""), (f"config rollback --to 1 --part objective --apply {WHY}", 0, ""), (f"config rollback --part nope --apply {WHY}", "bad", "nope|nothing has changed"), ("pools", 0, "all"), ("pools list all", 0, "all"), ("pools list nope", 1, "/pool: there is no pool of this name"), ("pools --json", 0, '"pools"|{'), (f"pools set all usd=9 tokens=1000000 {WHY}", 0, ""), ("pools set all usd=7 --preview", 0, ""), (f"pools set nope usd=9 {WHY}", 1, "/pool: there is no pool"),
    (f"pools set all usd=-1 {WHY}", 1, "usd"), (f"pools set all override/usd=20 override/until=2099-12-01T00:00:00Z {WHY}", 0, ""), (f"pools add extra usd=3 mode=soft {WHY}", "bad", "mode|/pools"), (f"pools add extra usd=3 {WHY}", 0, ""), (f"pools add extra usd=3 {WHY}", 1, "/pool: there is a pool of this name already"), (f"pools rearm extra {WHY}", 1, "/rearm: this pool has no fuse"), (f"pools rearm nope {WHY}", 1, "/pool: there is no pool"), (f"pools set extra kill=true {WHY}", 0, ""),
    (f"pools remove extra {WHY}", 0, ""), (f"pools remove extra {WHY}", 1, "/pool: there is no pool"), ("pools history", 0, "because"), ("pools rollback --preview", 0, ""), (f"pools rollback --apply {WHY}", 0, ""), (f"pools remove extra {WHY}", 0, ""), ("learners", 0, "globex"), ("learners get --json", 0, "globex"), ('learners set [{"tenant":"acme","shares":true,"borrows":100}] ' + WHY, 0, ""), ('learners set [{"tenant":7}] ' + WHY, 1, "tenant"),
    (f"models rename mid-1 mid-2 {WHY}", 0, ""), ("models rollback --preview", 1, "/entry: cannot go back beyond the renaming"), ("audit", 0, "because"), ("audit /objective", 0, "because"), ("audit --verify", 0, ""), ("audit --verify --json", 0, "{"), ("audit --json", 0, "because"), ("audit nope", 0, ""), ("lens", 0, "none|no lens"), ("lens get --json", 0, "{"), ("lens set lens.bin", 0, ""), ("lens", 0, "[0-9a-f]{16}"), ("lens get --json", 0, "[0-9a-f]{16}"), ("lens set none", 0, "none|no lens"), ("lens set t.csv", 1, "lens"), ("lens set t", 64, "t: "),
    ("snapshot", 0, ""), ("snapshot --json", 0, "{"), ("learned", 0, "graded answers learned"), ("learned show --tenant acme", 0, ""), ("learned show --json", 0, "{"), ("learned show --tenant nope", 1, "/tenant: a tenant that has a learner"), ("learned export --out l.json", 0, "l.json: [0-9]+ models"), ("learned export", 0, '"models"'), ("learned export --tenant globex --out g.json", 0, "g.json"), ("learned import l.json --dry-run", 0, "small-1|rows"),
    (f"learned import l.json --share 0.5 --name half {WHY}", 0, "half"), (f"learned import l.json --replace --tenant acme --name whole {WHY}", 0, "whole"), (f"learned import l.json --map small-1=large-1 --name moved {WHY}", "any", ""), (f"learned import l.json --name half {WHY}", 0, "was in already"), (f"learned import bad.json {WHY}", "bad", "bad.json"),
    ("learned --json", 0, "half"), (f"learned undo half {WHY}", 0, ""), (f"learned undo nope {WHY}", 1, "nope"), (f"learned undo whole --tenant acme {WHY}", 0, ""), ("train --from train.jsonl --dry-run", 0, "rows|taught"), ("train --from train.jsonl --run run1 --json", 1, "train.jsonl:8: unknown_model: /outcomes/0/model"), ("train --from train.jsonl --run run1 --map old=small-1", 0, "dupl|already|rows"), ("train --from train.jsonl --limit 2 --skip 1 --n-eff 3 --map old=small-1", 0, "rows|taught"),
    ("train --from own.jsonl", 1, "own.jsonl:1: "), ("train --from t", 1, "t: "), ("train --from table.jsonl --models t/models.json", "any", ""), ("train --from table.jsonl --models nowhere", "bad", "nowhere"), ("play s --choices ch.jsonl --parallel 2 --seed 3", 0, "."), ("play s --choices ch2.jsonl --limit 2 --json", 0, "{"), ("play t --choices ch3.jsonl", 1, "unknown_model: the service chose a model that models.json does not have"), ("unlearn --batch run1 --dry-run", 0, "."),
    (f"unlearn --batch run1 --yes {WHY}", 0, "."), ("unlearn --batch nope --dry-run", "any", "."), ("unlearn --source judge --dry-run", 0, "."), (f"unlearn --source judge --tenant acme --yes {WHY}", 0, "."), ("unlearn --since 1 --until 5 --dry-run --json", 0, "{"), (f"unlearn --since 2099-01-01T00:00:00 --yes {WHY}", "any", "."), ("unlearn --source judge", "any", "."),
    ("models import {root}/tests/import/litellm.json --models vendor/plain,vendor/rich --tier small --apply --add " + WHY, "any", "vendor/plain"), ("models import {root}/tests/import/litellm.json --apply " + WHY, "any", "."), ("models import {root}/tests/import/genai.json --match *", "any", "look at|not imported|usage"),
    ("models import {root}/tests/import/genai.json --provider north --as-of 2026-01-01 --free --match *", "any", "."), ("pools import {root}/tests/import/litellm_budgets.json --format litellm --json", "any", "."), ("pools import {root}/tests/import/bifrost.json --format bifrost", "any", "."), ("pools import {root}/tests/import/tensorzero.json --format tensorzero", "any", "."), ("pools import {root}/tests/import/litellm_config.json --into pools.json", "any", "."),
    ("keys create --file keys --role app --tenant acme --rate 5 --connections 3 --expires-days 9 --note mine", 0, "only time"), ("keys create --file keys --role operator --json", 0, '"key"'), ("keys create --file keys --role reader", 0, "only time"), ("keys list --file keys", 0, "acme"), ("keys list --file keys --json", 0, '"role"'), ("keys revoke nope --file keys", 1, "nope"), ("keys revoke {k} --file keys", 0, "revoked {k}"),
    ("backup --data svc/data --to b1", 0, ""), ("backup --data svc/data --to b1", "bad", "b1"), ("verify --data b1", 0, "."), ("verify --data b1 --json", 0, "{"), ("log --data b1", 0, '"kind"|"decided"|{'), ("log --data b1 --from 2 --to 4", 0, "{"), ("log --data b1 --from 99999", 0, ""), ("restore --from b1 --data b2", 0, ""), ("restore --from b1 --data b2", "bad", "b2"), ("repair --data b1 --to b3", 0, "."), ("repair --data b1 --to b3", "bad", "b3"),
    ("audit --data b1", 0, "because"), ("audit --data b1 --verify --json", 0, "{"), ("learned show --data b1", 64, "usage|purser learned"), ("learned export --data b1 --tenant globex --out e.json", 0, "e.json"), ("learned export --data b1 --tenant nope", 1, "/tenant: a tenant that has"), ("status --timeout 500 --retries 1", 0, "."), ("status --control tcp://127.0.0.1:1 --retries 0 --timeout 60", 2, "timeout|no answer|connection"),
    ("route --route tcp://127.0.0.1:1 --retries 1 --timeout 60", 2, "timeout|no answer|connection"), ("log --data svc/data --to 3", 0, "{"), ("verify --data svc/data", "any", ".")]


# What the simulator says of the store that the session leaves.
AFTER = [(f"{line} --store svc/data --full-speed", code, words) for line, code, words in [
    ("whatif --prices small-1=1:2,large-1=3:4 --days 3 --rows 50 --policy greedy --budget 0.001", "ok", "decisions"), ("whatif --withdraw large-1 --json --progress", "ok", "{"), ("whatif --weights quality=1,cost=2,latency=0.1,failure=1", "ok", "decisions"),
    ("whatif --prices small-1", 1, "--prices|small-1"), ("whatif --prices =1:2", 1, "--prices|=1:2"), ("whatif --prices small-1=x:1", 1, "--prices|small-1=x:1"), ("whatif --prices small-1=1:-1", 1, "--prices|small-1"), ("whatif --prices zz=1:1", 1, "zz"),
    ("whatif --withdraw zz", 1, "zz"), ("whatif --withdraw small-1,mid-2,large-1", "ok", "not enough evidence"), ("whatif --weights zz=1", 1, "zz"), ("whatif --weights quality", 1, "quality"), ("whatif --weights ,", 1, "--weights|,"), ("whatif --config nowhere", 1, "nowhere: No such"), ("whatif --set nope=1", 1, "nope"),
    ("refold --progress", 0, "small-1"), ("refold --json", 0, '"digest"'), ("refold --without-source judge", 0, "small-1"), ("refold --without-batch run1 --json", 0, "{"), ("refold --until 20", 0, "small-1"), ("refold --until 2020-01-01T00:00:00 --without-tenant acme", 0, "small-1"),
    ("convert --as csv", 0, "^seq,|arm"), ("convert --as jsonl", 0, '"arm"'), ("convert --as obp", "ok", "."), ("convert --as dsjson", "ok", "."), ("ope --target greedy --by tenant,task --progress", "ok", "quality"), ("ope --target logged --from 3 --to 60 --json", "ok", "{"), ("ope --target always:large-1 --days 1", "ok", "quality"),
    ("ope --target always:zz", 1, "zz"), ("ope --target lints --against uniform", "ok", "quality"), ("ope --target rules", 2, "not allowed: rules"), ("tune --trials 2 --seeds 1 --workers 1 --progress --split .6", "any", "."), ("tune --trials 2 --seeds 1 --config nowhere", 1, "nowhere"), ("tune --trials 2 --set nope=1", 1, "nope")]]


def prepare(programs):
    at = programs.at
    (at / "prompt.txt").write_text("what does it cost?", encoding="utf-8")
    rows = [{"prompt": f"how much {i}", "outcomes": {"small-1": {"quality": 0.5, "cost_usd": 0.001}, "large-1": {"quality": 0.9}}} for i in range(4)]
    rows += [{"prompt": "x", "model": "small-1", "quality": 0.4, "cost_usd": 0.001, "propensity": 0.5}, {"prompt": "y", "winner": "small-1", "loser": "large-1"},
             {"prompt": "z", "pair": ["small-1", "large-1"], "preference": 0.3}, {"prompt": "o", "model": "old", "quality": 1}]
    (at / "train.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    (at / "table.jsonl").write_bytes((at / "t/prompts.jsonl").read_bytes())
    (at / "s").mkdir()
    models = [{"name": n, "usd_per_mtok_in": 1, "usd_per_mtok_out": 2} for n in ("small-1", "mid-2", "large-1")]
    (at / "s/models.json").write_text(json.dumps({"models": models}), encoding="utf-8")
    cells = {"in": 40, "q": [0.2, 0.5, 0.9], "cost": [0.0001, 0.001, 0.004], "out": [50, 60, 70], "lat": [0.01, 0.01, 0.02]}
    (at / "s/prompts.jsonl").write_text("".join(
        json.dumps({"id": f"r{i}", "task": "qa", "prompt": f"how much {i}", **cells}) + "\n" for i in range(20)), encoding="utf-8")
    code, _, err = programs.run("purser-sim lens fit t --dims 2 --clusters 2 --buckets 64 --out lens.bin")
    assert code == 0, err


def session(programs):
    """Gives what is wrong, a line each."""
    prepare(programs)
    folder = programs.at / "svc"
    folder.mkdir()
    service = Service(str(programs.build / "purserd"), str(folder), 50)
    service.configure(200)
    doors = [x for d in ("route", "feedback", "control") for x in (f"--{d}", f"tcp://127.0.0.1:{service.port[d]}")]
    last, key, wrong = "1-2-3", "nope", []
    root = os.path.dirname(os.path.dirname(HERE))
    service.start()
    try:
        assert service.wait_ready(), service.tail()
        for line, code, words in SESSION:
            line = line.replace("{root}", root).replace("{d}", last).replace("{k}", key)
            argv = ["purser"]
            rest = line
            while rest:  # JSON stays one word
                word, _, rest = rest.partition(" ") if rest[0] not in "{[" or not rest.startswith(("{\"", "[{")) else re.match(r"([{\[].*[}\]])( |$)(.*)", rest).groups()
                argv.append(word)
            offline = argv[1] in ("keys", "backup", "restore", "verify", "repair", "log") or "--data" in argv or argv[2:3] == ["import"] and argv[1] == "pools"
            argv += [] if offline else [x for i, x in enumerate(doors) if doors[i - i % 2] not in argv]
            got, out, err = programs.run(argv)
            allowed = {"any": range(0, 79), "bad": (1, 2, 64, 65, 66, 70, 73, 74, 78)}.get(code, (code,))
            if got not in allowed or (got not in (0,) and not err and not out):
                wrong.append(f"purser {line}: exit {got}, not {code}: {(err or out).strip()[-300:]}")
            elif not re.search(words.replace("{k}", key), out + err):
                wrong.append(f"purser {line}: no /{words}/ in {(out + err).strip()[-300:]!r}")
            found = re.search(r"\b[0-9a-f]+-[0-9a-f]+-[0-9a-f]{8,}\b", out)
            if found and argv[1] in ("route", "escalate"):
                last = found[0]
            if argv[1:3] == ["keys", "list"] and "--json" in argv and got == 0:
                key = json.loads(out)["keys"][0]["id"]
    finally:
        ended = service.stop()
    for line, code, words in AFTER:
        got, out, err = programs.run("purser-sim " + line)
        if got not in {"any": range(0, 79), "ok": (0, 3)}.get(code, (code,)) or not re.search(words, out + err):
            wrong.append(f"purser-sim {line}: exit {got}, not {code}, or no /{words}/ in {(err or out).strip()[-300:]!r}")
    return wrong + ([f"the service: exit {ended}: {service.tail()}"] if ended else [])
