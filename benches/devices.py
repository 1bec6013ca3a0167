#!/usr/bin/env python3
"""`simic normalize replay` and a sweep of `simic normalize compare` on every device present, whole commands against
`--device cpu` in the same minutes.

    cargo build --release --features wgpu        (or cuda, or both: docs/build_cuda.sh)
    python benches/devices.py target/release/simic [ROWS [FOLDER FOR THE FILES]]
    cargo bench --bench devices --features wgpu  (the kernels alone, against a copy of the same values; the queue, against the bus)

Eight environments, a million rows of 64 and of 348 32-bit observations, momentum 0.99, an update at every vector step.
Replays without output and with -o; REPEATS=N runs of each. The sweep compares 1,000 momenta (SETTINGS=N: as many) on the rows
of 64.
Prints seconds and ratios, and how far normalized values and states are apart; docs/performance.md has one such run.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

REPEATS = int(os.environ.get("REPEATS", "5"))


def main():
    simic = os.path.abspath(sys.argv[1])
    n_rows = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    folder = sys.argv[3] if len(sys.argv) > 3 else tempfile.mkdtemp()
    listed = json.loads(subprocess.run([simic, "devices", "--format", "json"], capture_output=True, check=True).stdout)
    present = [device for device in listed["devices"] if device["present"]]
    for device in listed["devices"]:
        print(f"{device['device']}: {device['name'] or device['reason']}")
    for width in (64, 348):
        steps = os.path.join(folder, f"steps{width}.parquet")
        if not os.path.exists(steps):
            subprocess.run([simic, "simulate", "transitions", "-o", steps, "--n-envs", "8", "--n-steps",
                            str(n_rows // 8), "--obs-width", str(width)], check=True, stdout=subprocess.DEVNULL)
        names = list(dict.fromkeys(device["device"] for device in present))
        for output in ([], ["-o", os.path.join(folder, "normalized.parquet"), "--force"]):
            seconds, states = {name: [] for name in names}, {}
            for _ in range(REPEATS):
                for name in names:
                    start = time.perf_counter()
                    done = subprocess.run([simic, "normalize", "replay", steps, "--momentum", "0.99", "--device", name,
                                           "--format", "json", *output], capture_output=True, check=True)
                    seconds[name].append(time.perf_counter() - start)
                    states[name] = json.loads(done.stdout)["runs"][0]
            cpu = statistics.median(seconds["cpu"])
            for name in names:
                apart = max(abs(a - b) / abs(b) for a, b in zip(states[name]["var"], states["cpu"]["var"]))
                took = statistics.median(seconds[name])
                print(f"{width} dimensions, {n_rows} rows{', written' if output else ''}, {name}: {took:.2f} s, "
                      f"{took / cpu:.2f} of cpu; variances within {apart:.1e}")
        if width == 64:
            sweep(simic, steps, names, n_rows)


def sweep(simic, steps, names, n_rows):
    """Many settings at once: what a card is for."""
    n_settings = int(os.environ.get("SETTINGS", "1000"))
    seconds, found = {}, {}
    for name in names:
        start = time.perf_counter()
        done = subprocess.run([simic, "normalize", "compare", steps, "--momentum", f"0.5..0.99999:{n_settings}",
                               "--device", name, "--max-memory", "64GiB", "--format", "json"], capture_output=True, check=True)
        seconds[name] = time.perf_counter() - start
        found[name] = json.loads(done.stdout)["runs"][0]["settings"]
    for name in names:
        apart = max(abs(a - b) / abs(b) for own, cpu in zip(found[name], found["cpu"])
                    for a, b in zip(own["var"], cpu["var"]))
        print(f"compare, {n_settings} settings, 64 dimensions, {n_rows} rows, {name}: {seconds[name]:.2f} s, "
              f"{seconds[name] / seconds['cpu']:.2f} of cpu; variances within {apart:.1e}")


if __name__ == "__main__":
    main()
