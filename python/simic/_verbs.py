"""The verbs of the program as functions."""

from __future__ import annotations

from typing import Any

from ._result import Result

#: Of every function: paths, patterns, data frames (polars, pandas, pyarrow), or a list of them; None: $SIMIC_RUNS, else runs/.
Runs = Any


def inspect(runs: Runs = None, **flags: Any) -> Result:
    """What is in these files: kinds, columns, runs, episodes, slots, coverage, problems."""
    return Result(["inspect"], runs, flags)


def shapley(runs: Runs = None, **flags: Any) -> Result:
    """Shapley values with uncertainty, per game and over games."""
    return Result(["analyze", "shapley"], runs, flags)


def interactions(runs: Runs = None, **flags: Any) -> Result:
    """Which slots work together: interactions of pairs and larger sets."""
    return Result(["analyze", "interactions"], runs, flags)


def ablation(runs: Runs = None, **flags: Any) -> Result:
    """Removal cost, first-in gain, marginal effect and Shapley value side by side."""
    return Result(["analyze", "ablation"], runs, flags)


def stats(runs: Runs = None, **flags: Any) -> Result:
    """Final running statistics of recorded steps; ``state_out=`` stores them."""
    return Result(["normalize", "stats"], runs, flags)


def replay(runs: Runs = None, **flags: Any) -> Result:
    """Replays normalization over recorded steps; ``output=`` takes the normalized rows, ``trace=`` every update."""
    return Result(["normalize", "replay"], runs, flags)


def compare(runs: Runs = None, **flags: Any) -> Result:
    """Many settings of a normalization in one pass, side by side."""
    return Result(["normalize", "compare"], runs, flags)


def merge(states: Runs, **flags: Any) -> Result:
    """Combines stored states of shards exactly."""
    return Result(["normalize", "merge"], states, flags)


def verify(runs: Runs = None, **flags: Any) -> Result:
    """Does a stored state (``state=``) match what the recording implies? ``passed`` says so; a mismatch is no exception."""
    return Result(["normalize", "verify"], runs, flags)


def check(runs: Runs = None, **flags: Any) -> Result:
    """Recomputes stored results and compares; ``passed`` is False where a number moved for the worse, which is no exception."""
    return Result(["check", "run"], runs, flags)
