#!/usr/bin/env python3
"""Peak memory of `simic normalize replay` by how rows lie, for two sizes of one recording.

    pip install polars
    python benches/memory.py target/release/simic [MILLIONS OF ROWS]

Eight environments, observations of 4. What is held must not grow with the rows, however they lie; the figures of one
such run are in docs/performance.md. Rows that are put in order go through temporary files (TMPDIR).
"""

import os
import subprocess
import sys
import tempfile
import time

N_ENVS, WIDTH, ROW_GROUP = 8, 4, 1 << 17


def run(command):
    """Wall seconds and peak memory (MB) of one process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, command
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def write(simic, folder, n_rows):
    """The same rows in order, with the environments of every step the other way round, and shuffled."""
    import polars as pl

    path = lambda name: os.path.join(folder, f"{name}.parquet")
    subprocess.run([simic, "simulate", "transitions", "-o", path("ordered"), "--force", "--n-envs", str(N_ENVS),
                    "--n-steps", str(n_rows // N_ENVS), "--obs-width", str(WIDTH), "--compression", "snappy"],
                   check=True, stdout=subprocess.DEVNULL)
    frame = pl.read_parquet(path("ordered")).with_row_index("row")
    frame = frame.with_columns(tick=pl.col("row") // N_ENVS, back=pl.col("row") % N_ENVS)
    reverse = frame.sort("tick", pl.lit(N_ENVS) - pl.col("back"))
    for name, rows in [("reversed", reverse), ("shuffled", frame.sample(fraction=1.0, shuffle=True, seed=0))]:
        rows.drop("row", "back").write_parquet(path(name), compression="snappy", row_group_size=ROW_GROUP)


def main():
    simic = os.path.abspath(sys.argv[1])
    millions = float(sys.argv[2]) if len(sys.argv) > 2 else 8.0
    with tempfile.TemporaryDirectory() as folder:
        for n_rows in (int(millions * 250_000), int(millions * 1_000_000)):
            # By a process of its own: what this one holds would count as what its children hold.
            subprocess.run([sys.executable, __file__, "write", simic, folder, str(n_rows)], check=True)
            path = lambda name: os.path.join(folder, f"{name}.parquet")
            replay = [simic, "normalize", "replay", "--momentum", "0.99", "-q"]
            long = ["--update-every", f"rollout:{n_rows}", "--order", "update-first"]
            for what, more in [
                ("ordered", [path("ordered")]),
                ("ordered, one batch, update-first", [path("ordered"), *long]),
                ("environments reversed", [path("reversed")]),
                ("shuffled", [path("shuffled")]),
                ("shuffled, --clock COLUMN", [path("shuffled"), "--clock", "tick"]),
            ]:
                seconds, memory = run([*replay, *more])
                print(f"{n_rows / 1e6:.0f} M rows, {what}: {seconds:.1f} s, {memory:.0f} MB", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main()
