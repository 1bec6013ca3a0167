#!/usr/bin/env python3
"""Whole commands against what a good user would write with NumPy, Polars or DuckDB, in the same minute.

    pip install numpy pandas pyarrow polars duckdb
    python benches/compare.py target/release/simic [FOLDER FOR THE FILES]

Prints ratios; the figures of one such run are in docs/performance.md.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
FILES = {
    "one game of 20 slots": ["--n-slots", "20", "--n-episodes", "1"],
    "10,000 games of 8 slots": ["--n-slots", "8", "--n-episodes", "10000"],
}


def run(command):
    """Wall seconds and peak memory (MB) of one process, start-up included."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, command
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def whole_commands(simic, folder):
    for what, flags in FILES.items():
        path = os.path.join(folder, what.replace(" ", "_").replace(",", "") + ".parquet")
        if not os.path.exists(path):
            subprocess.run([simic, "simulate", "coalitions", "-o", path, "--n-envs", "1", "--spelling", "mask", *flags],
                           check=True, stdout=subprocess.DEVNULL)
        # simic's runs before and after the peers', so that a slow minute hurts both.
        ours = [run([simic, "analyze", "shapley", path]) for _ in range(10)]
        peers = {}
        for engine in ("numpy", "polars", "duckdb"):
            out = subprocess.run([sys.executable, os.path.join(HERE, "closed_form.py"), path, "--engine", engine],
                                 check=True, capture_output=True, text=True).stdout
            seconds = float(out.split("median ")[1].split(" s")[0])
            _, memory = run([sys.executable, os.path.join(HERE, "closed_form.py"), path, "--engine", engine, "--repeat", "1"])
            peers[engine] = (seconds, memory)
        ours += [run([simic, "analyze", "shapley", path]) for _ in range(10)]
        seconds, memory = statistics.median(t for t, _ in ours), max(m for _, m in ours)
        best = min(t for t, _ in peers.values())
        print(f"{what}: simic (whole process) {seconds * 1e3:.1f} ms, {memory:.0f} MB; ratio to the best peer {seconds / best:.2f}")
        for engine, (t, m) in peers.items():
            print(f"    {engine} (in process) {t * 1e3:.1f} ms, {m:.0f} MB")


def permutations():
    """NumPy doing what the bench `antithetic_permutations_32` does: walk, look up, pair, mean and stderr."""
    rng, n, pairs = np.random.default_rng(1), 32, 5000
    order = rng.permuted(np.tile(np.arange(n), (pairs, 1)), axis=1)
    order = np.stack([order, order[:, ::-1]], axis=1).reshape(-1, n)
    masks = np.zeros((len(order), n + 1), np.uint64)
    masks[:, 1:] = np.cumsum(np.uint64(1) << order.astype(np.uint64), axis=1, dtype=np.uint64)
    known = np.unique(masks)
    values = np.sin(known.astype(float) * 1e-6) + np.bitwise_count(known)
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        drawn = rng.permuted(np.tile(np.arange(n), (pairs, 1)), axis=1)
        drawn = np.stack([drawn, drawn[:, ::-1]], axis=1).reshape(-1, n)
        visited = np.zeros((len(drawn), n + 1), np.uint64)
        # The coalitions looked up are the recorded ones; drawing is timed as well, as it is for simic.
        visited[:, 1:] = np.cumsum(np.uint64(1) << order.astype(np.uint64), axis=1, dtype=np.uint64)
        found = values[np.searchsorted(known, visited)]
        marginal = np.empty((len(order), n))
        np.put_along_axis(marginal, order, np.diff(found, axis=1), axis=1)
        units = marginal.reshape(pairs, 2, n).mean(1)
        units.mean(0), units.std(0, ddof=1) / np.sqrt(pairs)
        seconds.append(time.perf_counter() - start)
    print(f"10,000 antithetic permutations of 32 players, NumPy: {statistics.median(seconds) * 1e3:.1f} ms")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    folder = sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp()
    whole_commands(os.path.abspath(sys.argv[1]), folder)
    permutations()
