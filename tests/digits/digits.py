#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The digits known answer: LinUCB over bandit/ridge.h against figures found independently.

    digits.py --write FILE     the 1797 examples in the order of RandomState(0).permutation(1797),
                               a class and 64 pixels 0..16 a line
    digits.py PROGRAM          runs PROGRAM (tests/digits/linucb.c) on them and compares

Needs Debian's python3-sklearn, which carries the data; exits with 77 (skipped) without it.
"""
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


if len(sys.argv) == 3 and sys.argv[1] == "--write":
    write(sys.argv[2])
elif len(sys.argv) == 2 and not sys.argv[1].startswith("-"):
    sys.exit(check(sys.argv[1]))
else:
    sys.exit(__doc__)
