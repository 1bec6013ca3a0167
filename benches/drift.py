#!/usr/bin/env python3
"""How often `simic normalize stats` finds a change where there is none, and how often where there is one.

    python benches/drift.py target/release/simic [--before OLDER_SIMIC] [--trials 200] [--only PART]

PARTs: critical (the law of the statistic, by simulation, beside the formula), level (autoregressions of every coefficient
and shape), policies (random policies of CartPole, Pendulum, MountainCar and Acrobot where gymnasium is installed, else of
CartPole and Pendulum written out below, each recorded with episode numbers and as one stream with end flags) and power
(shifts of half a deviation and changes of the spread in independent normal rows). Every trial is a run of its own; the
shares come with 95 % intervals (Wilson). --before measures an older program on the same recordings.
Needs numpy, scipy and pyarrow.
"""

import argparse
import json
import math
import os
import subprocess
import tempfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

# Values of one file.
MOST_VALUES = 1 << 24


def wilson(k, n, z=1.96):
    p = k / n
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, (centre - half) / (1 + z * z / n)), min(1.0, (centre + half) / (1 + z * z / n))


def share(k, n):
    low, high = wilson(k, n)
    return f"{100 * k / n:5.1f} % ({100 * low:.1f} to {100 * high:.1f})"


class Runs:
    """Recordings, one per run, told by every program."""

    def __init__(self, programs):
        self.programs = programs

    def told(self, columns, names):
        """Per program: runs with a change, and runs of which some test says nothing."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "steps.parquet")
            pq.write_table(pa.table(dict(zip(names, columns))), path, row_group_size=1 << 20)
            found = []
            for program in self.programs:
                done = subprocess.run([program, "normalize", "stats", path, "--format", "json", "--update-every", "step"],
                                      capture_output=True, text=True)
                assert done.returncode == 0, done.stderr
                runs = [run["diagnostics"] for run in json.loads(done.stdout)["runs"]]
                untold = [run for run in runs if (run.get("drift_test") or {}).get("untold")]
                found.append((sum(run["drift"] is not None for run in runs), len(untold), len(runs)))
            return found

    def told_of(self, make, trials, rows, n_envs, width):
        """The same of `make(n_runs, n_steps, n_envs, width)`, values by run, step, environment and dimension."""
        steps = rows // n_envs
        together = max(1, min(trials, MOST_VALUES // (steps * n_envs * width)))
        sums, done = np.zeros((len(self.programs), 3), dtype=int), 0
        while done < trials:
            n = min(together, trials - done)
            values = make(n, steps, n_envs, width)
            run = np.repeat(np.arange(done, done + n), steps * n_envs)
            step = np.tile(np.repeat(np.arange(steps), n_envs), n)
            env = np.tile(np.arange(n_envs), n * steps)
            flat = values.reshape(-1, width)
            names = ["run_id", "step", "env_id", *(f"obs_{d}" for d in range(width))]
            run = pa.array([f"r{i:05}" for i in run])
            sums += np.array(self.told([run, step, env, *(flat[:, d].copy() for d in range(width))], names))
            done += n
        return sums

    def line(self, name, sums):
        parts = [f"{share(k, n)}" for k, _, n in sums]
        untold = sums[0][1] / sums[0][2]
        print(f"| {name} | {' | '.join(parts)} | {100 * untold:.0f} % |", flush=True)

    def head(self, name, what):
        columns = [what, *(f"{what}, before" for _ in self.programs[1:]), "runs with an untold test"]
        print(f"\n| {name} | {' | '.join(columns)} |\n| {' | '.join('---' for _ in range(len(columns) + 1))} |")


def autoregression(rng, coefficient):
    def make(n_runs, steps, n_envs, width):
        values = np.empty((n_runs, steps, n_envs, width), dtype=np.float32)
        state = rng.standard_normal((n_runs, n_envs, width))
        fresh = math.sqrt(1 - coefficient * coefficient)
        for step in range(steps):
            values[:, step] = state
            state = coefficient * state + fresh * rng.standard_normal(state.shape)
        return values
    return make


def copies(make):
    """Every dimension a copy of the first, in another unit."""
    def made(n_runs, steps, n_envs, width):
        return make(n_runs, steps, n_envs, 1) * np.arange(1, width + 1, dtype=np.float32)
    return made


def planted(rng, at, shift, spread):
    """Independent normal rows whose first dimension changes."""
    def make(n_runs, steps, n_envs, width):
        values = rng.standard_normal((n_runs, steps, n_envs, width)).astype(np.float32)
        later = values[:, int(at * steps):, :, 0]
        values[:, int(at * steps):, :, 0] = later * spread + shift
        return values
    return make


def level(runs, trials, rng):
    runs.head("steady autoregressions: coefficient, rows, environments, dimensions", "alarms")
    for coefficient in (0.0, 0.5, 0.9, 0.99):
        for rows, n_envs, width, share_of in ((1000, 1, 1, 1), (1000, 1, 17, 8), (1000, 16, 17, 2), (5000, 4, 8, 1),
                                              (20000, 1, 17, 1), (20000, 16, 4, 1), (200000, 1, 4, 0.25)):
            sums = runs.told_of(autoregression(rng, coefficient), max(1, int(trials * share_of)), rows, n_envs, width)
            runs.line(f"{coefficient}, {rows:,}, {n_envs}, {width}", sums)
        sums = runs.told_of(copies(autoregression(rng, coefficient)), trials, 5000, 1, 17)
        runs.line(f"{coefficient}, 5,000, 1, 17 copies of one", sums)


def power(runs, trials, rng):
    runs.head("independent normal rows: change of one dimension, from, rows, environments, dimensions", "found")
    for what, shift, spread in (("shift 0.5 sd", 0.5, 1.0), ("sd 1.6 times", 0.0, 1.6), ("sd 1/2 times", 0.0, 0.5)):
        for at in (0.5, 0.75):
            for rows, n_envs, width in ((500, 1, 1), (1000, 1, 1), (1000, 1, 17), (1000, 4, 8), (1000, 16, 1), (1000, 16, 17),
                                        (5000, 16, 8), (20000, 1, 17)):
                sums = runs.told_of(planted(rng, at, shift, spread), trials, rows, n_envs, width)
                runs.line(f"{what}, {at}, {rows:,}, {n_envs}, {width}", sums)


class CartPole:
    """Barto, Sutton and Anderson's, as gymnasium integrates it."""
    width, longest = 4, 500

    def reset(self, rng):
        self.state = rng.uniform(-0.05, 0.05, 4)
        return self.state

    def step(self, rng):
        x, v, a, w = self.state
        force, cos, sin = (10.0 if rng.random() < 0.5 else -10.0), math.cos(a), math.sin(a)
        temp = (force + 0.05 * w * w * sin) / 1.1
        angular = (9.8 * sin - cos * temp) / (0.5 * (4 / 3 - 0.1 * cos * cos / 1.1))
        linear = temp - 0.05 * angular * cos / 1.1
        self.state = np.array([x + 0.02 * v, v + 0.02 * linear, a + 0.02 * w, w + 0.02 * angular])
        return self.state, abs(self.state[0]) > 2.4 or abs(self.state[2]) > 12 * math.pi / 180


class Pendulum:
    """Gymnasium's Pendulum-v1."""
    width, longest = 3, 200

    def reset(self, rng):
        self.angle, self.speed = rng.uniform(-math.pi, math.pi), rng.uniform(-1, 1)
        return self.seen()

    def seen(self):
        return np.array([math.cos(self.angle), math.sin(self.angle), self.speed])

    def step(self, rng):
        speed = self.speed + (15 * math.sin(self.angle) + 3 * rng.uniform(-2, 2)) * 0.05
        self.speed = min(8.0, max(-8.0, speed))
        self.angle += 0.05 * self.speed
        return self.seen(), False


class Gymnasium:
    """An environment of gymnasium."""

    def __init__(self, gymnasium, name):
        self.env = gymnasium.make(name)
        self.width, self.longest = self.env.observation_space.shape[0], 10**9

    def reset(self, rng):
        return self.env.reset(seed=int(rng.integers(1 << 31)))[0]

    def step(self, rng):
        space = self.env.action_space
        action = int(rng.integers(space.n)) if hasattr(space, "n") else rng.uniform(space.low, space.high).astype(np.float32)
        seen, _, terminated, truncated, _ = self.env.step(action)
        return seen, terminated or truncated


def environments():
    try:
        import gymnasium
    except ImportError:
        return {"CartPole (NumPy)": CartPole, "Pendulum (NumPy)": Pendulum}
    names = ("CartPole-v1", "Pendulum-v1", "MountainCar-v0", "Acrobot-v1")
    return {name: (lambda name=name: Gymnasium(gymnasium, name)) for name in names}


def recorded(make, rng, steps):
    """Observations, episodes and steps of one environment under random actions."""
    env = make()
    seen, rows, episode, step = env.reset(rng), [], 0, 0
    for _ in range(steps):
        shown = seen
        seen, is_over = env.step(rng)
        is_over = is_over or step + 1 >= env.longest
        rows.append((episode, step, is_over, *shown))
        step += 1
        if is_over:
            seen, episode, step = env.reset(rng), episode + 1, 0
    return np.array(rows)


def policies(runs, trials, rng):
    runs.head("random policies: rows, environments, recorded by", "alarms")
    for name, make in environments().items():
        for rows, n_envs in ((1000, 1), (4000, 4), (16000, 16), (20000, 1)):
            stacked = []
            n = max(1, trials // (1 if rows < 10000 else 4))
            for run in range(n):
                for env in range(n_envs):
                    one = recorded(make, rng, rows // n_envs)
                    tick = np.arange(len(one))
                    stacked.append(np.column_stack([np.full(len(one), run), np.full(len(one), env), tick, one]))
            table = np.concatenate(stacked)
            values = [table[:, 6 + d].copy() for d in range(table.shape[1] - 6)]
            dims = [f"obs_{d}" for d in range(len(values))]

            def ordered(keys, columns, names):
                order = np.lexsort(keys)
                id = pa.array([f"r{int(i):05}" for i in table[order, 0]])
                return runs.told([id, *(column[order] for column in columns)], ["run_id", *names])

            whole = lambda column: table[:, column].astype(np.int64)
            keys, done = (table[:, 1], table[:, 2], table[:, 0]), table[:, 5] == 1
            numbered = ordered(keys, [whole(3), whole(4), whole(1), *values], ["episode", "step", "env_id", *dims])
            runs.line(f"{name}, {rows:,}, {n_envs}, episode numbers", numbered)
            flagged = ordered(keys, [whole(2), whole(1), done, *values], ["step", "env_id", "done", *dims])
            runs.line(f"{name}, {rows:,}, {n_envs}, end flags", flagged)


def critical(series=400_000, seed=1):
    """The law of the statistic of K independent normal blocks, and the formula for it."""
    from scipy import stats
    rng = np.random.default_rng(seed)
    shares = np.array([0.025, 0.01, 0.0025, 0.0015, 0.0005, 0.0001])
    print("\n| blocks | " + " | ".join(f"exceeded by {s:g}" for s in shares) + " | formula over share, to 0.0005 |")
    print("| " + " | ".join("---" for _ in range(len(shares) + 2)) + " |")
    for k in (10, 12, 16, 24, 32, 64, 128, 256, 512):
        found = []
        for _ in range(0, series, 20_000):
            u = rng.standard_normal((20_000, k))
            u -= u.mean(axis=1, keepdims=True)
            sums = np.cumsum(u, axis=1)[:, :-1]
            at = np.abs(sums).argmax(axis=1)
            peak = np.take_along_axis(sums, at[:, None], 1)[:, 0]
            n = at + 1.0
            squares = (u * u).sum(axis=1) - peak * peak / n - peak * peak / (k - n)
            found.append(np.abs(peak) / np.sqrt(k * squares / (k - 2)))
        strengths = np.quantile(np.concatenate(found), 1 - shares)
        z = stats.norm.isf(stats.t.sf(2 * strengths, k - 3))
        formula = 2 * np.exp(-2 * (z / 2 + 0.4 / math.sqrt(k)) ** 2)
        # The last share has too few series to say.
        ratios = (formula / shares)[:-1]
        print(f"| {k} | " + " | ".join(f"{s:.3f}" for s in strengths) + f" | {ratios.min():.2f} to {ratios.max():.2f} |",
              flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("simic")
    parser.add_argument("--before")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--only", choices=["critical", "level", "policies", "power"])
    arguments = parser.parse_args()
    runs = Runs([os.path.abspath(path) for path in (arguments.simic, arguments.before) if path])
    rng = np.random.default_rng(7)
    for name, part in (("critical", lambda: critical()), ("level", lambda: level(runs, arguments.trials, rng)),
                       ("policies", lambda: policies(runs, arguments.trials, rng)),
                       ("power", lambda: power(runs, arguments.trials, rng))):
        if arguments.only in (None, name):
            part()


if __name__ == "__main__":
    main()
