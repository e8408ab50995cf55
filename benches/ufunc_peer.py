"""NumPy's side of benches/ufunc.rs, which starts it: each line of stdin is `seconds<TAB>set-up<TAB>statement`.

Runs the statement for about so many seconds and answers with the time of one, so that the two sides take turns. The set-up
runs once and is kept until another one comes. A statement that starts with `?` is an expression: its value is the answer.
"""

import sys
import timeit

import numpy as np


def serve(version, known):
    """Says what it is, then answers requests; `known` are the names that statements may use."""
    setup, names, repeats = None, {}, {}
    print(version, flush=True)
    for line in sys.stdin:
        seconds, new, statement = line.rstrip("\n").split("\t")
        if new != setup:
            setup, names, repeats = new, dict(known), {}
            exec(setup, names)
        if statement.startswith("?"):
            print(eval(statement[1:], names), flush=True)
            continue
        timer = timeit.Timer(statement, globals=names)
        if statement not in repeats:
            timer.timeit(1)
            once = min(timer.timeit(1) for _ in range(3))
            repeats[statement] = max(1, int(float(seconds) / max(once, 2e-8)))
        n = repeats[statement]
        print(timer.timeit(n) / n, flush=True)


if __name__ == "__main__":
    serve(f"numpy {np.__version__}", {"np": np})
