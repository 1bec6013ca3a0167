#!/usr/bin/env python3
"""How often `simic check` cries wolf, and how often it sleeps.

    python benches/false_alarms.py target/release/simic [TRIALS]

Each trial records a baseline of one simulated campaign and checks another one, of another seed: the same campaign
under the default rules and with a margin of 0 (where all that stands between noise and an alarm is the test), and one
with the first slot's Shapley value 10 % lower. All of it without effects of runs and with effects as large as those of
episodes, the latter also with episodes taken as independent, which they are not. Prints the share of trials that fail,
with a 95 % interval (Wilson); the figures of one such run are in docs/methods.md.
"""

import json
import math
import os
import subprocess
import sys
import tempfile

SLOTS, EFFECTS = "stem,head,skip,gate", [0.20, 0.15, 0.10, 0.05]
# Ten runs of eight episodes in two environments; effects differ between episodes by a deviation of 0.01, one
# evaluation by 0.005.
CAMPAIGN = ["--n-runs", "10", "--n-episodes", "8", "--n-envs", "2", "--spread", "0.01", "--noise", "0.005"]
CASES = [
    ("no effects of runs", [], []),
    ("effects of runs as large as those of episodes", ["--run-spread", "0.01"], []),
    ("the same, episodes as units", ["--run-spread", "0.01"], ["--cluster", "episode"]),
]


def wilson(k, n, z=1.96):
    p = k / n
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n)


def measure(simic, trials, campaign, flags):
    with tempfile.TemporaryDirectory() as folder:
        def run(*arguments):
            return subprocess.run([simic, *arguments], cwd=folder, capture_output=True, text=True)

        def simulate(seed, effects):
            effects = ",".join(str(x) for x in effects)
            done = run("simulate", "coalitions", "-o", "runs.parquet", "--force", "--seed", str(seed), "--slots", SLOTS,
                       "--effects", effects, *CAMPAIGN, *campaign, "--format", "json")
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)["slots"]

        settings = "".join(f'flags.{flag.lstrip("-")} = "{value}"\n' for flag, value in zip(flags[::2], flags[1::2]))
        zero = '[[check.default.rules]]\nmetric = "**"\nmode = "noninferior"\nmargin = 0.0\n'
        for name, rules in (("two.toml", ""), ("zero.toml", zero)):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(f"[check.default]\n{settings}{rules}")

        def check(config, *more):
            done = run("check", "runs.parquet", "--other-runs", "--config", config, *more)
            assert done.returncode in (0, 1), done.stderr
            return done

        counts = {"alarm": 0, "zero": 0, "caught": 0, "named": 0}
        for trial in range(trials):
            truth = simulate(2 * trial, EFFECTS)
            done = run("check", "record", "runs.parquet", "--force", "--config", "two.toml")
            assert done.returncode == 0, done.stderr
            simulate(2 * trial + 1, EFFECTS)
            counts["alarm"] += check("two.toml").returncode
            counts["zero"] += check("zero.toml").returncode
            lowered = [EFFECTS[0] - 0.1 * truth[0]["shapley"], *EFFECTS[1:]]
            simulate(2 * trial + 1, lowered)
            done = check("two.toml", "--format", "json")
            findings = json.loads(done.stdout)["checks"][0]["findings"]
            regressed = [finding["id"] for finding in findings if finding["verdict"] == "regressed"]
            counts["caught"] += done.returncode == 1
            counts["named"] += "shapley/stem/mean" in regressed
        return counts


WORDS = {"alarm": "nothing changed, margin 2 %, the check fails", "zero": "nothing changed, margin 0, the check fails",
         "caught": "10 % drop of one slot, the check fails", "named": "10 % drop, the slot is named"}


def main():
    simic = os.path.abspath(sys.argv[1])
    trials = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    for case, campaign, flags in CASES:
        counts = measure(simic, trials, campaign, flags)
        for key, text in WORDS.items():
            low, high = wilson(counts[key], trials)
            print(f"{case}: {text}: {counts[key]} of {trials} ({max(0, 100 * low):.1f} to {100 * high:.1f} %)", flush=True)


if __name__ == "__main__":
    main()
