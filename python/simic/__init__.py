"""Attribution and normalization analysis of recorded training runs, by the program ``simic``.

Every function here calls the program, which this package carries: the numbers, the messages and the exit codes are its own.
A result has ``verdict`` (sentences), ``document`` (the JSON), ``table`` (polars, pandas or a list of dicts) and, in a notebook,
its picture::

    import simic

    simic.shapley("runs/", confidence=0.99).verdict
    simic.replay(frame, momentum=0.99, output="normalized.parquet").table

Keyword arguments are the flags of ``simic help``: ``better="lower"`` is ``--better lower``, ``carry_over=True`` is
``--carry-over``, a list repeats the flag and a mapping gives pairs (``column={"reward": "r"}``).
"""

from ._program import SimicError, find_bin, run
from ._result import Result
from ._verbs import (
    ablation,
    check,
    compare,
    inspect,
    interactions,
    merge,
    replay,
    shapley,
    stats,
    verify,
)
from .executor import submit

__all__ = [
    "Result",
    "SimicError",
    "ablation",
    "check",
    "compare",
    "find_bin",
    "inspect",
    "interactions",
    "merge",
    "replay",
    "run",
    "shapley",
    "stats",
    "submit",
    "verify",
]
