#!/usr/bin/env python3
"""`simic normalize` against Polars on the same file, in the same minutes.

    pip install polars
    python benches/normalize.py target/release/simic [FOLDER FOR THE FILES]

Eight environments, a million rows of 64 32-bit observations. Prints ratios; the figures of one such run are in
docs/performance.md.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

import polars as pl

from memory import run

WIDTH, REPEATS = 64, 7


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def alternate(ours, theirs):
    """Median seconds of both, taken in turns, so that a slow minute hurts both; our peak memory."""
    mine, others = [], []
    for _ in range(REPEATS):
        mine.append(run(ours))
        others.append(theirs())
    return statistics.median(t for t, _ in mine), statistics.median(others), max(m for _, m in mine)


def report(what, ours, theirs, memory):
    print(f"{what}: simic (whole process) {ours:.2f} s, {memory:.0f} MB; other {theirs:.2f} s; ratio {ours / theirs:.2f}")


def main():
    simic = os.path.abspath(sys.argv[1])
    folder = sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp()
    steps, wide = os.path.join(folder, "steps.parquet"), os.path.join(folder, "wide.parquet")
    copy, out = os.path.join(folder, "copy.parquet"), os.path.join(folder, "out.parquet")
    if not os.path.exists(steps):
        subprocess.run([simic, "simulate", "transitions", "-o", steps, "--n-envs", "8", "--n-steps", "125000",
                        "--obs-width", str(WIDTH), "--shift-at", "60000"], check=True, stdout=subprocess.DEVNULL)
    if not os.path.exists(wide):
        frame = pl.read_parquet(steps)
        fields = [f"obs_{i}" for i in range(WIDTH)]
        columns = frame.select(pl.col("obs").list.to_struct(fields=fields)).unnest("obs")
        frame.drop("obs").hstack(columns).write_parquet(wide)

    replay = [simic, "normalize", "replay", steps, "--momentum", "0.99", "-o", out, "--force", "-q"]
    copying = lambda: timed(lambda: pl.scan_parquet(steps).sink_parquet(copy))
    report("replay to Parquet against Polars copying the file", *alternate(replay, copying))

    get = lambda name: [getattr(pl.col("obs").list.get(i), name)().alias(f"{name}{i}") for i in range(WIDTH)]
    lists = lambda: timed(lambda: pl.scan_parquet(steps).select(get("mean") + get("var")).collect())
    report("stats of lists against Polars mean and var",
           *alternate([simic, "normalize", "stats", steps, "-q"], lists))
    plain = lambda name: [getattr(pl.col(f"obs_{i}"), name)().alias(f"{name}{i}") for i in range(WIDTH)]
    columns = lambda: timed(lambda: pl.scan_parquet(wide).select(plain("mean") + plain("var")).collect())
    report("stats of columns against Polars mean and var",
           *alternate([simic, "normalize", "stats", wide, "-q"], columns))

    compare = [simic, "normalize", "compare", steps, "--shift-at", "60000", "-q", "--momentum"]
    eight = compare + ["0.5,0.9,0.95,0.99,0.995,0.999,0.9999", "--welford"]
    one = lambda: run([*compare, "0.99"])[0]
    report("compare of eight settings against one", *alternate(eight, one))


if __name__ == "__main__":
    main()
