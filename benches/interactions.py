#!/usr/bin/env python3
"""Interactions as ratios within one run: against NumPy on many games, and against shapiq on one.

    pip install numpy pandas pyarrow shapiq
    python benches/interactions.py target/release/simic [FOLDER FOR THE FILES]

simic is timed as a whole process (start, reading, table); the others in process, reading included for NumPy, the game in memory
for shapiq. `cargo bench interactions` has the kernel beside one pass over the same table.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np


def seconds_of(work, repeat):
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def simulated(simic, folder, name, flags):
    path = os.path.join(folder, name + ".parquet")
    if not os.path.exists(path):
        command = [simic, "simulate", "coalitions", "-o", path, "--n-envs", "1", "--spelling", "mask", *flags]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return path


def analysed(simic, path, *flags):
    command = [simic, "analyze", "interactions", path, "--no-config", *flags]
    return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def pair_matrix(n):
    """What v(S) is multiplied with in every k-SII term of order 2: (2^n, n + n(n-1)/2)."""
    from math import comb

    masks = np.arange(1 << n)
    size = np.array([bin(m).count("1") for m in masks])

    def sii(players):
        q = len(players)
        met = sum((masks >> p) & 1 for p in players)
        outside = size - met
        weight = np.array([1 / ((n - q + 1) * comb(n - q, x)) for x in range(n - q + 1)])
        return np.where((q - met) % 2 == 0, 1.0, -1.0) * weight[outside]

    pairs = {(a, b): sii((a, b)) for a in range(n) for b in range(a + 1, n)}
    singles = [sii((p,)) - 0.5 * sum(own for pair, own in pairs.items() if p in pair) for p in range(n)]
    return np.stack([*singles, *pairs.values()], axis=1)


def many_games(simic, folder):
    import pandas as pd

    n = 8
    path = simulated(simic, folder, "games_10000_of_8", ["--n-slots", str(n), "--n-episodes", "10000"])
    matrix = pair_matrix(n)

    def numpy_fold():
        frame = pd.read_parquet(path, columns=["episode", "mask", "val_accuracy"])
        values = np.empty((10_000, 1 << n))
        values[frame["episode"].to_numpy(), frame["mask"].to_numpy()] = frame["val_accuracy"].to_numpy()
        terms = (values - values[:, :1]) @ matrix
        terms.mean(0), terms.std(0, ddof=1) / np.sqrt(len(terms))

    ours = analysed(simic, path)
    first, theirs, second = seconds_of(ours, 7), seconds_of(numpy_fold, 7), seconds_of(ours, 7)
    simic_seconds = statistics.mean((first, second))
    print(f"10,000 games of 8 slots, pairs: simic {simic_seconds * 1e3:.0f} ms, NumPy {theirs * 1e3:.0f} ms; ratio {simic_seconds / theirs:.2f}")


def against_shapiq(simic, folder):
    # coverage.py beside this file is not the package that shapiq's dependencies import.
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path = [path for path in sys.path if os.path.abspath(path or ".") != here]
    try:
        import shapiq
    except ImportError:
        print("shapiq is not installed: left out")
        return
    for n in (10, 12, 14):
        path = simulated(simic, folder, f"game_of_{n}", ["--n-slots", str(n), "--n-episodes", "1"])
        values = np.random.default_rng(n).normal(size=1 << n)
        powers = 1 << np.arange(n)

        def theirs():
            computer = shapiq.ExactComputer(lambda rows: values[np.asarray(rows, int) @ powers], n_players=n)
            computer("k-SII", order=2)

        ours, other = seconds_of(analysed(simic, path), 5), seconds_of(theirs, 1 if n > 12 else 3)
        print(f"one game of {n} slots, k-SII of order 2: simic {ours * 1e3:.0f} ms, shapiq {other * 1e3:.0f} ms; ratio {ours / other:.4f}")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    simic = os.path.abspath(sys.argv[1])
    folder = sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp()
    many_games(simic, folder)
    path = simulated(simic, folder, "game_of_20", ["--n-slots", "20", "--n-episodes", "1"])
    shapley = [simic, "analyze", "shapley", path, "--no-config"]
    plain = seconds_of(lambda: subprocess.run(shapley, check=True, stdout=subprocess.DEVNULL), 9)
    pairs = seconds_of(analysed(simic, path), 9)
    print(f"one game of 20 slots: Shapley values {plain * 1e3:.1f} ms, all pairs {pairs * 1e3:.1f} ms; ratio {pairs / plain:.2f}")
    against_shapiq(simic, folder)


if __name__ == "__main__":
    main()
