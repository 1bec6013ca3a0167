"""Runs as arguments: paths as they are, data frames as temporary Parquet files."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

from ._program import SimicError


class Inputs:
    """Positional arguments of the program, and the folder that frames among them were written to.

    The folder is there as long as this object: a result keeps it to ask the program again.
    """

    def __init__(self, runs: Any) -> None:
        self._folder: str | None = None
        items = [] if runs is None else runs if isinstance(runs, (list, tuple)) else [runs]
        self.paths = [self._path(item, n) for n, item in enumerate(items)]

    def _path(self, item: Any, n: int) -> str:
        if isinstance(item, (str, os.PathLike)):
            return os.fspath(item)
        write = _writer(item)
        if write is None:
            raise TypeError(f"runs are paths or data frames, not {type(item).__name__}")
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="simic-")
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        # A recording without run_id is named after its file.
        path = Path(self._folder, f"frame{n or ''}.parquet")
        write(str(path))
        return str(path)


def _writer(frame: Any) -> Any:
    """The method that writes a frame to a Parquet file, whoever's frame it is."""
    for name in ("write_parquet", "sink_parquet"):  # polars: DataFrame, LazyFrame
        if hasattr(frame, name):
            return getattr(frame, name)
    if hasattr(frame, "to_parquet"):  # pandas
        return lambda path: _from_pandas(frame, path)
    if hasattr(frame, "to_batches") and hasattr(frame, "schema"):  # pyarrow.Table
        from pyarrow.parquet import write_table

        return lambda path: write_table(frame, path)
    return None


def _from_pandas(frame: Any, path: str) -> None:
    try:
        # An index with a name is a column that somebody put there.
        if any(name is not None for name in frame.index.names):
            frame = frame.reset_index()
        frame.to_parquet(path, index=False)
    except ImportError as error:
        raise SimicError(
            3, f"pandas cannot write this frame for simic: {error}", "pip install pyarrow, or pass polars"
        ) from error
