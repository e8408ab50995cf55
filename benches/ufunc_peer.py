"""NumPy's side of benches/ufunc.rs, which starts it: each line of stdin is `seconds<TAB>set-up<TAB>statement`.

Runs the statement for about so many seconds and answers with the time of one, so that the two sides take turns. The set-up
runs once and is kept until another one comes.
"""

import sys
import timeit

import numpy as np

setup, names, repeats = None, {}, {}
print(f"numpy {np.__version__}", flush=True)
for line in sys.stdin:
    seconds, new, statement = line.rstrip("\n").split("\t")
    if new != setup:
        setup, names, repeats = new, {"np": np}, {}
        exec(setup, names)
    timer = timeit.Timer(statement, globals=names)
    if statement not in repeats:
        timer.timeit(1)
        once = min(timer.timeit(1) for _ in range(3))
        repeats[statement] = max(1, int(float(seconds) / max(once, 2e-8)))
    n = repeats[statement]
    print(timer.timeit(n) / n, flush=True)
