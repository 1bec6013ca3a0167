#!/usr/bin/env python3
"""How long a LeRobot data set takes to read, against the same rows as one plain Parquet file.

    python benches/layouts.py target/release/simic [--frames 1000000] [--dims 14] [--rounds 5]

Four forms of the same rows: plain Parquet (run, episode, step and a list of numbers) as one file, LeRobot v3.0 (files of many
episodes), and a file an episode as plain Parquet and as LeRobot v2.1. Rounds alternate between the forms; wall and processor
seconds are the least of the rounds, and ratios are those of plain Parquet in as many files. All must find the same numbers.
Needs numpy and pyarrow.
"""

import argparse
import json
import os
import resource
import subprocess
import tempfile
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

EPISODE = 250
FILE_FRAMES = 200_000

# What a form is measured against.
PLAIN = {
    "plain, one file": "plain, one file",
    "LeRobot v3.0": "plain, one file",
    "plain, a file an episode": "plain, a file an episode",
    "LeRobot v2.1": "plain, a file an episode",
}


def table(frames, dims):
    rng = np.random.default_rng(7)
    index = np.arange(frames, dtype=np.int64)

    def feature():
        values = rng.normal(size=frames * dims).astype(np.float32)
        return pa.FixedSizeListArray.from_arrays(pa.array(values), dims)

    return pa.table({
        "observation.state": feature(),
        "action": feature(),
        "timestamp": pa.array((index % EPISODE / 50).astype(np.float32)),
        "frame_index": pa.array(index % EPISODE),
        "episode_index": pa.array(index // EPISODE),
        "index": pa.array(index),
        "task_index": pa.array(np.zeros(frames, dtype=np.int64)),
    })


def describe(folder, rows, version, data_path, dims):
    os.makedirs(os.path.join(folder, "meta"))
    number = {"dtype": "int64", "shape": [1], "names": None}
    motors = {"dtype": "float32", "shape": [dims], "names": [f"motor_{i}" for i in range(dims)]}
    info = {
        "codebase_version": version, "robot_type": "arm", "total_episodes": rows.num_rows // EPISODE, "total_frames": rows.num_rows,
        "total_tasks": 1, "chunks_size": 1000, "fps": 50, "splits": {"train": f"0:{rows.num_rows // EPISODE}"},
        "data_path": data_path, "video_path": None,
        "features": {"observation.state": motors, "action": motors,
                     "timestamp": {"dtype": "float32", "shape": [1], "names": None},
                     "frame_index": number, "episode_index": number, "index": number, "task_index": number},
    }
    with open(os.path.join(folder, "meta", "info.json"), "w") as out:
        json.dump(info, out)


def write(base, rows, dims):
    plain = os.path.join(base, "plain.parquet")
    pq.write_table(rows.append_column("run_id", pa.array(["one"] * rows.num_rows).dictionary_encode()).rename_columns(
        ["obs", "action", "timestamp", "step", "episode", "index", "task_index", "run_id"]), plain, row_group_size=1 << 17)
    three = os.path.join(base, "v3")
    describe(three, rows, "v3.0", "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet", dims)
    os.makedirs(os.path.join(three, "data", "chunk-000"))
    for k in range(0, rows.num_rows, FILE_FRAMES):
        pq.write_table(rows.slice(k, FILE_FRAMES), os.path.join(three, "data", "chunk-000", f"file-{k // FILE_FRAMES:03d}.parquet"),
                       row_group_size=1 << 17)
    many = os.path.join(base, "many")
    os.makedirs(many)
    named = pq.read_table(plain)
    two = os.path.join(base, "v2")
    describe(two, rows, "v2.1", "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet", dims)
    for k in range(rows.num_rows // EPISODE):
        folder = os.path.join(two, "data", f"chunk-{k // 1000:03d}")
        os.makedirs(folder, exist_ok=True)
        pq.write_table(rows.slice(k * EPISODE, EPISODE), os.path.join(folder, f"episode_{k:06d}.parquet"))
        pq.write_table(named.slice(k * EPISODE, EPISODE), os.path.join(many, f"{k:06d}.parquet"))
    return {"plain, one file": plain, "LeRobot v3.0": three, "plain, a file an episode": many, "LeRobot v2.1": two}


def timed(command):
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def numbers(text):
    """The final state of the one run."""
    (run,) = json.loads(text)["runs"]
    return {key: run[key] for key in ("updates", "rows", "count", "mean", "var")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("simic")
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--dims", type=int, default=14)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    frames = asked.frames // EPISODE * EPISODE
    with tempfile.TemporaryDirectory() as base:
        forms = write(base, table(frames, asked.dims), asked.dims)
        for verb in (["normalize", "stats"], ["normalize", "replay", "--momentum", "0.99"]):
            least, found = {}, {}
            for _ in range(asked.rounds):
                for name, path in forms.items():
                    wall, cpu, text = timed([asked.simic, *verb, path, "--format", "json", "--update-every", "episode"])
                    held = least.get(name, (wall, cpu))
                    least[name] = (min(wall, held[0]), min(cpu, held[1]))
                    found[name] = numbers(text)
            print(f"{' '.join(verb)}: {frames} frames of {asked.dims}")
            for name, (wall, cpu) in least.items():
                plain = least[PLAIN[name]]
                print(f"  {name:25} {wall:6.3f} s  {cpu:6.3f} s of processors  {wall / plain[0]:5.2f}  {cpu / plain[1]:5.2f}")
                if found[name] != found["plain, one file"]:
                    raise SystemExit("    other numbers than plain Parquet")


if __name__ == "__main__":
    main()
