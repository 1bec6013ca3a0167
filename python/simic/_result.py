"""What the program found, for Python and notebooks."""

from __future__ import annotations

import importlib
import io
import json
import os
from html import escape
from tempfile import TemporaryDirectory
from typing import Any

from . import _arrow
from ._flags import arguments
from ._inputs import Inputs
from ._program import SimicError, run

#: Flags that write files: what is asked a second time, for the table or the picture, writes none.
WRITING = frozenset({"output", "force", "state_out", "trace", "report", "baseline_out"})


class Result:
    """The result of one call of the program.

    ``document`` is its JSON document (a list of them where several value columns were asked), ``verdict`` its sentences,
    ``code`` its exit code (0, or 1 where a check, verification or comparison found a difference), ``notes`` what it said beside
    the result, ``command`` its arguments.

    ``table`` and ``figure()`` ask the program again, with the same arguments, when they are first used.
    """

    def __init__(self, verb: list[str], runs: Any, flags: dict[str, Any]) -> None:
        self._inputs = Inputs(runs)
        self._verb = verb
        self._again = list(arguments({name: flag for name, flag in flags.items() if name not in WRITING}))
        self.command = [*verb, *arguments(flags), "--format=json", *self._positional()]
        done = run(self.command)
        self.code: int = done.returncode
        try:
            self.document: Any = json.loads(done.stdout)
        except ValueError as error:
            raise SimicError(
                done.returncode,
                "the program printed no result",
                "leave output= out where it takes the result itself; find_bin() says which program was run",
            ) from error
        self.notes: list[str] = done.stderr.decode("utf-8", "replace").splitlines()
        self._rows: list[_arrow.Column] | None = None
        self._bytes: bytes | None = None
        self._figures: dict[tuple[str, ...], str] = {}

    def _positional(self) -> list[str]:
        return ["--", *self._inputs.paths] if self._inputs.paths else []

    @property
    def verdict(self) -> list[str]:
        """The sentences that answer what was asked."""
        documents = self.document if isinstance(self.document, list) else [self.document]
        return [sentence for document in documents for sentence in document.get("verdict", [])]

    @property
    def passed(self) -> bool:
        """Whether the exit code is 0: no difference and no problem was found."""
        return self.code == 0

    def arrow(self) -> bytes:
        """The table as an Arrow IPC file, for ``polars.read_ipc``, ``pyarrow.ipc.open_file`` or DuckDB."""
        if self._bytes is None:
            again = [*self._verb, *self._again, "--format=arrow", "--quiet", *self._positional()]
            self._bytes = run(again).stdout
        return self._bytes

    def rows(self) -> list[dict[str, Any]]:
        """The table as a list of dicts, ``None`` where there is no value."""
        columns = _arrow.read(self.arrow())
        names = [column.name for column in columns]
        return [dict(zip(names, row)) for row in zip(*(column.values for column in columns))]

    def to_polars(self) -> Any:
        """The table as a ``polars.DataFrame``."""
        return importlib.import_module("polars").read_ipc(io.BytesIO(self.arrow()))

    def to_pandas(self) -> Any:
        """The table as a ``pandas.DataFrame`` of nullable columns."""
        pandas = importlib.import_module("pandas")
        kinds = {"int": "Int64", "float": "Float64", "bool": "boolean", "str": "string"}
        columns = _arrow.read(self.arrow())
        return pandas.DataFrame(
            {column.name: pandas.array(column.values, dtype=kinds[column.type]) for column in columns}
        )

    @property
    def table(self) -> Any:
        """The table: of polars if it is installed, else of pandas if it is, else a list of dicts.

        One row per game and player, run and dimension, or finding (docs/formats.md).
        """
        for convert in (self.to_polars, self.to_pandas):
            try:
                return convert()
            except ModuleNotFoundError:
                continue
        return self.rows()

    def figure(self, **flags: Any) -> str:
        """The picture as SVG; flags are those of pictures (``figure_kind="waterfall"``, ``theme="dark"``).

        Raises ``SimicError`` where the verb draws none.
        """
        asked = tuple(arguments(flags))
        if asked not in self._figures:
            with TemporaryDirectory(prefix="simic-") as folder:
                path = os.path.join(folder, "figure.svg")
                drawn = [*self._verb, *self._again, *asked, "--format=json", "--quiet", f"--figure={path}"]
                run([*drawn, *self._positional()])
                with open(path, encoding="utf-8") as file:
                    self._figures[asked] = file.read()
        return self._figures[asked]

    def __repr__(self) -> str:
        sentences = "\n".join(self.verdict)
        return f"<simic {' '.join(self._verb)}, exit code {self.code}>\n{sentences}"

    def _repr_html_(self) -> str:
        sentences = "".join(f"<p>{escape(sentence)}</p>" for sentence in self.verdict)
        try:
            return sentences + self.figure()
        except SimicError as error:
            # Wrong usage: this verb, or this result, has no picture; its table stands there.
            if error.code != 2:
                raise
        again = [*self._verb, *self._again, "--format=table", "--quiet", "--width=100", *self._positional()]
        return f"<pre>{escape(run(again).stdout.decode())}</pre>"
