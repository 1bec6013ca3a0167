#!/usr/bin/env python3
"""How often intervals within a game cover the true Shapley value: every method, with and without noise, copies and losses.

    pip install numpy
    python benches/coverage.py target/release/simic

A game of six slots with pairs, a triple and a threshold; the truth by brute force here. 400 recordings of it each: drawn
permutations, exact and fitted values of repeated noisy evaluations (ends cached and written fifty times over in some),
recorded walks whose reverses stand in a block of their own, some walks broken and skipped. Then means over campaigns
of 3 and of 10 runs whose episodes share effects of their run: what intervals over runs and over episodes cover, by each
of the three ways to make them. Nominal 95 %.
"""

import json
import math
import os
import subprocess
import sys
import tempfile

import numpy as np

SLOTS = 6
COALITIONS = 1 << SLOTS
GAMES = 400
RANDOM = np.random.default_rng(1)


def value(mask):
    additive = sum((mask >> slot & 1) * (slot - 2) * 0.1 for slot in range(SLOTS))
    together = 0.3 * (mask & 3 == 3) - 0.5 * (mask >> 3 & 7 == 7)
    return additive + together + 0.2 * (bin(mask).count("1") >= 4)


VALUES = [value(mask) for mask in range(COALITIONS)]


def weight(size):
    return math.factorial(size) * math.factorial(SLOTS - 1 - size) / math.factorial(SLOTS)


def shapley(slot):
    others = (mask for mask in range(COALITIONS) if not mask >> slot & 1)
    return sum(weight(bin(mask).count("1")) * (VALUES[mask | 1 << slot] - VALUES[mask]) for mask in others)


TRUTH = [shapley(slot) for slot in range(SLOTS)]


def measured(mask, noise):
    return float(VALUES[mask] + noise * RANDOM.normal())


def table(noise, repeats, copies):
    for mask in range(COALITIONS):
        if copies and mask in (0, COALITIONS - 1):
            cached = measured(mask, noise)
            yield from ((mask, cached) for _ in range(copies))
        else:
            yield from ((mask, measured(mask, noise)) for _ in range(repeats))


def walks(noise, n_broken, n_walks=30):
    orders = [list(RANDOM.permutation(SLOTS)) for _ in range(n_walks)]
    orders += [order[::-1] for order in orders]
    broken = set(RANDOM.choice(len(orders), n_broken, replace=False).tolist())
    for perm, order in enumerate(orders):
        masks = np.cumsum([0, *(1 << int(slot) for slot in order)]).tolist()
        for pos, mask in enumerate(masks[:-1] if perm in broken else masks):
            yield perm, pos, mask, measured(mask, noise)


def coverage(simic, folder, header, rows_of_a_game, flags):
    path = os.path.join(folder, "games.csv")
    with open(path, "w", encoding="utf-8") as file:
        print(header, file=file)
        for episode in range(GAMES):
            for row in rows_of_a_game():
                print("a", episode, *row, sep=",", file=file)
    slots = ",".join(f"s{slot}" for slot in range(SLOTS))
    command = [simic, "analyze", "shapley", path, "--slots", slots, "--format", "json", "--no-config", "-q", *flags]
    games = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["games"]
    intervals = [
        (player["ci_low"], player["ci_high"], TRUTH[slot])
        for game in games
        for slot, player in enumerate(game["players"])
        if player["ci_low"] is not None
    ]
    covered = sum(low <= truth <= high for low, high, truth in intervals)
    return covered / len(intervals), len(intervals)


def over_games(simic, folder, n_runs, run_sd, flags, n_campaigns=300, n_episodes=6):
    """Coverage of the mean over runs: two slots, effects 0.1 and 0.2, episodes of deviation 0.1 around their run's."""
    path = os.path.join(folder, "games.csv")
    truth = (0.1, 0.2)
    covered = total = 0
    for _ in range(n_campaigns):
        with open(path, "w", encoding="utf-8") as file:
            print("run_id,episode,mask,val_accuracy", file=file)
            for run in range(n_runs):
                of_run = run_sd * RANDOM.normal(size=2)
                for episode in range(n_episodes):
                    x, y = np.add(truth, of_run + 0.1 * RANDOM.normal(size=2)).tolist()
                    for mask, v in enumerate((0.0, x, y, x + y)):
                        print(f"r{run}", episode, mask, v, sep=",", file=file)
        command = [simic, "analyze", "shapley", path, "--slots", "a,b", "--format", "json", "--no-config", "-q", *flags]
        summary = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["summary"]
        total += len(summary)
        covered += sum(row["ci_low"] <= t <= row["ci_high"] for row, t in zip(summary, truth))
    return covered / total, total


def main():
    simic = os.path.abspath(sys.argv[1])
    methods = {
        "exact": ["--method", "exact"],
        "kernel": ["--method", "kernel"],
        "30 antithetic pairs": ["--method", "permutation", "--permutations", "60"],
        "60 permutations": ["--method", "permutation", "--permutations", "60", "--no-antithetic"],
        "1,000 antithetic pairs": ["--method", "permutation", "--permutations", "2000"],
    }
    with tempfile.TemporaryDirectory() as folder:
        for n_runs in (3, 10):
            for run_sd in (0.0, 0.1):
                for flags in ([], ["--ci", "normal"], ["--ci", "bootstrap"], ["--cluster", "episode"]):
                    if n_runs == 3 and "bootstrap" in flags:
                        continue
                    found = over_games(simic, folder, n_runs, run_sd, flags)
                    words = " ".join(flags) or "default"
                    print(f"{n_runs} runs, their effects {run_sd}, {words}: {found[0]:.3f} of {found[1]}", flush=True)
        for noise in (0.0, 0.1):
            for n_broken in (0, 5):
                flags = ["--method", "permutation", "--on-bad", "skip"]
                found = coverage(
                    simic, folder, "run_id,episode,perm,pos,mask,val_accuracy", lambda: walks(noise, n_broken), flags
                )
                print(f"recorded walks, noise {noise}, {n_broken} of 60 broken: {found[0]:.3f} of {found[1]}", flush=True)
        for noise, repeats, copies in ((0.02, 2, 0), (0.02, 5, 0), (0.2, 2, 0), (0.2, 5, 0), (0.02, 2, 50), (0.2, 2, 50)):
            for name, flags in methods.items():
                found = coverage(
                    simic, folder, "run_id,episode,mask,val_accuracy", lambda: table(noise, repeats, copies), flags
                )
                print(
                    f"{name}, noise {noise}, {repeats} repeats, ends copied {copies} times: {found[0]:.3f} of {found[1]}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
