#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The digits known answers: LinUCB over bandit/ridge/ridge.h against figures found independently, and the
example of Open Bandit Pipeline's README: digits as a bandit's log, a forest evaluated on it.

    digits.py --write FILE     the 1797 examples in the order of RandomState(0).permutation(1797),
                               a class and 64 pixels 0..16 a line
    digits.py PROGRAM SIM      runs PROGRAM (tests/digits/linucb.c) on them, and SIM (purser-sim)
                               on the log, and compares

Needs Debian's python3-sklearn, which carries the data; exits with 77 (skipped) without it.
"""
import json
import os
import subprocess
import sys
import tempfile

# Progressive 0/1 loss by alpha; ridge 1, d = 65, K = 10, first row on.
EXPECTED = {"0": 0.2716, "0.1": 0.1592, "0.25": 0.1458, "0.5": 0.1447, "1": 0.1981, "2": 0.3255}
EXACT = {"0.5": 260}  # mistakes: 260/1797 = .144686


def write(path):
    try:
        import numpy
        from sklearn.datasets import load_digits
    except ImportError as e:
        print(f"skipped: {e} (apt install python3-sklearn)")
        sys.exit(77)
    data = load_digits()
    order = numpy.random.RandomState(0).permutation(len(data.target))
    with open(path, "w", encoding="ascii") as f:
        for i in order:
            print(data.target[i], *(int(v) for v in data.data[i]), sep=",", file=f)


def check(program):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "digits.csv")
        write(path)
        out = subprocess.run([program, path, *EXPECTED], check=True, capture_output=True, text=True)
    print("alpha mistakes rows loss\n" + out.stdout, end="")
    wrong = 0
    seen = set()
    for line in out.stdout.splitlines():
        alpha, mistakes, rows, loss = line.split()
        seen.add(alpha)
        good = rows == "1797" and abs(float(loss) - EXPECTED[alpha]) <= 5.1e-5
        good = good and int(mistakes) == EXACT.get(alpha, int(mistakes))
        if not good:
            print(f"alpha {alpha}: {loss}, expected {EXPECTED[alpha]} ({EXACT.get(alpha)} mistakes)")
            wrong += 1
    return 1 if wrong or seen != set(EXPECTED) else 0


# The policy's true value on the log's rows, and how far two estimates are from it, relatively.
TRUTH, IPS_OFF, SNIPS_OFF = 0.9634340222575517, 0.01827255896321327, 0.012773269808184117
SEED = 12345


def write_bandit(path):
    """70% of the rows as a log: a logistic regression's class with 0.8, any class with 0.2."""
    import numpy
    from sklearn.datasets import load_digits
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    pixels, digit = load_digits(return_X_y=True)
    seen, rows, taught, truth = train_test_split(pixels, digit, test_size=0.7, random_state=SEED)
    logged = LogisticRegression(random_state=SEED).fit(seen, taught).predict(rows)
    target = RandomForestClassifier(random_state=SEED).fit(seen, taught).predict(rows)
    each = numpy.arange(len(rows))
    pmf = numpy.full((len(rows), 10), 0.2 / 10)
    pmf[each, logged] += 0.8
    drawn = numpy.random.RandomState(SEED).uniform(size=(len(rows), 1))
    arm = (pmf.cumsum(axis=1) > drawn).argmax(axis=1)
    with open(path, "w", encoding="ascii") as f:
        print("arm,p,quality", *(f"pi_{a}" for a in range(10)), sep=",", file=f)
        for i in each:
            print(arm[i], repr(float(pmf[i, arm[i]])), int(arm[i] == truth[i]),
                  *(int(target[i] == a) for a in range(10)), sep=",", file=f)
    return len(rows), float((target == truth).mean())


def check_bandit(sim):
    import warnings
    warnings.simplefilter("ignore")  # the regression stops short of convergence, as it did there
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "bandit.csv")
        rows, truth = write_bandit(path)
        done = subprocess.run([sim, "ope", "--log", path, "--target", "given", "--json"],
                              capture_output=True, text=True)
    assert done.returncode in (0, 3), done.stderr
    told = json.loads(done.stdout)
    said = told["aims"]["quality"]["target"]["estimators"]
    off = {e: abs(said[e]["value"] - truth) / truth for e in ("ips", "snips")}
    print(f"{rows} rows, truth {truth!r}, off by {off}")
    good = rows == 1258 and abs(truth - TRUTH) < 1e-15
    good = good and abs(off["ips"] - IPS_OFF) < 1e-11 and abs(off["snips"] - SNIPS_OFF) < 1e-11
    return 0 if good else 1


if len(sys.argv) == 3 and sys.argv[1] == "--write":
    write(sys.argv[2])
elif len(sys.argv) == 3 and not sys.argv[1].startswith("-"):
    sys.exit(check(sys.argv[1]) or check_bandit(sys.argv[2]))
else:
    sys.exit(__doc__)
