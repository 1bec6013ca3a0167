#!/usr/bin/env python3
"""How often `simic check` cries wolf, and how often it sleeps.

    python benches/false_alarms.py target/release/simic [TRIALS]

Each trial records a baseline of one simulated campaign and checks another one, of another seed: the same campaign
under the default rules and with a margin of 0 (where all that stands between noise and an alarm is the test), and one
with the first slot's Shapley value 10 % lower. Prints the share of trials that fail, with a 95 % interval (Wilson);
the figures of one such run are in docs/methods.md.
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


def wilson(k, n, z=1.96):
    p = k / n
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n)


def main():
    simic = os.path.abspath(sys.argv[1])
    trials = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    with tempfile.TemporaryDirectory() as folder:
        def run(*arguments):
            return subprocess.run([simic, *arguments], cwd=folder, capture_output=True, text=True)

        def simulate(seed, effects):
            effects = ",".join(str(x) for x in effects)
            done = run("simulate", "coalitions", "-o", "runs.parquet", "--force", "--seed", str(seed), "--slots", SLOTS,
                       "--effects", effects, *CAMPAIGN, "--format", "json")
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)["slots"]

        with open(os.path.join(folder, "zero.toml"), "w") as file:
            file.write('[[check.default.rules]]\nmetric = "**"\nmode = "noninferior"\nmargin = 0.0\n')
        alarms = {"alarm": 0, "zero": 0, "caught": 0, "named": 0}
        for trial in range(trials):
            truth = simulate(2 * trial, EFFECTS)
            assert run("check", "record", "runs.parquet", "--force").returncode == 0
            simulate(2 * trial + 1, EFFECTS)
            done = run("check", "runs.parquet", "--other-runs", "--format", "json")
            assert done.returncode in (0, 1), done.stderr
            alarms["alarm"] += done.returncode
            alarms["zero"] += run("check", "runs.parquet", "--other-runs", "--config", "zero.toml").returncode
            lowered = [EFFECTS[0] - 0.1 * truth[0]["shapley"], *EFFECTS[1:]]
            simulate(2 * trial + 1, lowered)
            done = run("check", "runs.parquet", "--other-runs", "--format", "json")
            findings = json.loads(done.stdout)["checks"][0]["findings"]
            regressed = [finding["id"] for finding in findings if finding["verdict"] == "regressed"]
            alarms["caught"] += done.returncode == 1
            alarms["named"] += "shapley/stem/mean" in regressed
        words = {"alarm": "nothing changed, the check fails", "zero": "nothing changed, margin 0, the check fails",
                 "caught": "10 % drop of one slot, the check fails", "named": "10 % drop, the slot is named"}
        for key, text in words.items():
            low, high = wilson(alarms[key], trials)
            print(f"{text}: {alarms[key]} of {trials} ({max(0, 100 * low):.1f} to {100 * high:.1f} %)")


if __name__ == "__main__":
    main()
