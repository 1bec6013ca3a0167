#!/usr/bin/env python3
"""Peak memory of simic by how a recording lies and what it holds, at N and at 2N.

    pip install polars pyarrow numpy
    python benches/memory.py target/release/simic [MILLIONS OF ROWS] [CASE ...]

Cases: order (rows in replay order, environments reversed, shuffled), group (one row group), constant (a file of a megabyte
that decodes to gigabytes), wide (20,000 dimensions with a trace), games (a million games as JSON), runs (a hundred thousand
runs). Without names: all. What is held must not grow with the rows, however they lie; the figures of one such run are in
docs/performance.md. Rows that are put in order go through temporary files (TMPDIR).
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


def simulate(simic, path, n_rows):
    subprocess.run([simic, "simulate", "transitions", "-o", path, "--force", "--n-envs", str(N_ENVS),
                    "--n-steps", str(n_rows // N_ENVS), "--obs-width", str(WIDTH), "--compression", "snappy"],
                   check=True, stdout=subprocess.DEVNULL)


def write_order(simic, path, n_rows):
    """The same rows in order, with the environments of every step the other way round, and shuffled."""
    import polars as pl

    simulate(simic, path("ordered"), n_rows)
    frame = pl.read_parquet(path("ordered")).with_row_index("row")
    frame = frame.with_columns(tick=pl.col("row") // N_ENVS, back=pl.col("row") % N_ENVS)
    reverse = frame.sort("tick", pl.lit(N_ENVS) - pl.col("back"))
    for name, rows in [("reversed", reverse), ("shuffled", frame.sample(fraction=1.0, shuffle=True, seed=0))]:
        rows.drop("row", "back").write_parquet(path(name), compression="snappy", row_group_size=ROW_GROUP)


def write_group(simic, path, n_rows):
    import polars as pl

    simulate(simic, path("ordered"), n_rows)
    pl.read_parquet(path("ordered")).write_parquet(path("group"), compression="snappy", row_group_size=n_rows)


def write_constant(simic, path, n_rows):
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    obs = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(n_rows * 2000, "f4")), 2000)
    steps = {"episode": np.zeros(n_rows, int), "step": np.arange(n_rows), "obs": obs}
    pq.write_table(pa.table(steps), path("constant"), row_group_size=n_rows)


def write_wide(simic, path, n_rows):
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    values = np.random.default_rng(0).normal(size=n_rows * 20_000).astype("f4")
    obs = pa.FixedSizeListArray.from_arrays(pa.array(values), 20_000)
    pq.write_table(pa.table({"episode": np.zeros(n_rows, int), "step": np.arange(n_rows), "obs": obs}), path("wide"))


def write_games(simic, path, n_games):
    import numpy as np
    import polars as pl

    rng = np.random.default_rng(0)
    game = np.repeat(np.arange(n_games), 8)
    table = {"run_id": [f"r{i}" for i in range(n_games // 1000) for _ in range(8000)], "episode": game,
             "mask": np.tile(np.arange(8), n_games), "val_accuracy": rng.random(n_games * 8)}
    pl.DataFrame(table).write_parquet(path("games"), row_group_size=ROW_GROUP)


def write_runs(simic, path, n_runs):
    import numpy as np
    import polars as pl

    step = np.tile(np.arange(8), n_runs)
    table = {"run_id": [f"run-{i:06}" for i in range(n_runs) for _ in range(8)], "step": step,
             "obs_0": np.random.default_rng(0).normal(size=n_runs * 8), "obs_1": step * 0.5}
    pl.DataFrame(table).write_parquet(path("runs"), row_group_size=ROW_GROUP)


def replay_order(path, n):
    long = ["--update-every", f"rollout:{n}", "--order", "update-first"]
    return [
        ("ordered", [path("ordered")]),
        ("ordered, one batch, update-first", [path("ordered"), *long]),
        ("environments reversed", [path("reversed")]),
        ("shuffled", [path("shuffled")]),
        ("shuffled, --clock COLUMN", [path("shuffled"), "--clock", "tick"]),
    ]


REPLAY = ["normalize", "replay", "--momentum", "0.99"]
# By name: how many (of a million asked for), what they are, what writes them, and the commands.
CASES = {
    "order": (1.0, "rows", write_order, lambda path, n: [(what, [*REPLAY, *more]) for what, more in replay_order(path, n)]),
    "group": (0.5, "rows", write_group, lambda path, n: [("one row group", [*REPLAY, path("group")])]),
    "constant": (0.0125, "rows of 2,000", write_constant, lambda path, n: [
        ("constant, stats", ["normalize", "stats", path("constant")]),
        ("constant, replay", [*REPLAY, path("constant")]),
        ("constant, inspect", ["inspect", path("constant")]),
    ]),
    "wide": (0.0001, "rows of 20,000", write_wide, lambda path, n: [
        ("replay --trace", [*REPLAY, path("wide"), "--trace", path("trace"), "--force"]),
        ("replay -o --trace", [*REPLAY, path("wide"), "-o", path("out"), "--trace", path("trace"), "--force"]),
    ]),
    "games": (0.0625, "games", write_games, lambda path, n: [
        ("as JSON", ["analyze", "shapley", path("games"), "--format", "json"]),
    ]),
    "runs": (0.00625, "runs", write_runs, lambda path, n: [
        ("replay", [*REPLAY, path("runs")]),
        ("stats", ["normalize", "stats", path("runs")]),
        ("replay as JSON", [*REPLAY, path("runs"), "--format", "json"]),
    ]),
}


def main():
    simic = os.path.abspath(sys.argv[1])
    names = [name for name in sys.argv[2:] if name in CASES] or list(CASES)
    numbers = [float(word) for word in sys.argv[2:] if word not in CASES]
    millions = numbers[0] if numbers else 8.0
    for name in names:
        share, what, _, commands = CASES[name]
        for n in (int(millions * share * 1e6), int(millions * share * 2e6)):
            with tempfile.TemporaryDirectory() as folder:
                # By a process of its own: what this one holds would count as what its children hold.
                subprocess.run([sys.executable, __file__, "write", name, simic, folder, str(n)], check=True)
                path = lambda file: os.path.join(folder, f"{file}.parquet")
                for told, command in commands(path, n):
                    seconds, memory = run([simic, *command, "--no-config", "-q"])
                    print(f"{n:,} {what}, {told}: {seconds:.1f} s, {memory:.0f} MB", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "write":
        name, simic, folder, n = sys.argv[2:]
        CASES[name][2](simic, lambda file: os.path.join(folder, f"{file}.parquet"), int(n))
    else:
        main()
