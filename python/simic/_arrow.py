"""The Arrow IPC files that the program writes, as columns of Python values, with the standard library alone.

The program writes one uncompressed record batch whose columns are ``f64``, ``i64``, ``bool`` and ``large_utf8``, all nullable
(docs/formats.md, "One typed table"). Nothing else is read here: polars or pyarrow read everything.

Sources: arrow.apache.org/docs/format/Columnar.html; flatbuffers.dev/internals.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import unpack_from
from typing import Any, NamedTuple

_MAGIC = b"ARROW1"
#: Members of the union Type in Schema.fbs.
_TYPES = {2: "int", 3: "float", 6: "bool", 20: "str"}


class Column(NamedTuple):
    """A column: its name, its type (int, float, bool or str) and its values, ``None`` where there is none."""

    name: str
    type: str
    values: list[Any]


class _Table:
    """A table of a flatbuffer: fields by number, absent ones as ``None``."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data, self.position = data, position
        self._vtable = position - unpack_from("<i", data, position)[0]
        self._size = unpack_from("<H", data, self._vtable)[0]

    def _at(self, field: int) -> int | None:
        slot = 4 + 2 * field
        offset = unpack_from("<H", self.data, self._vtable + slot)[0] if slot < self._size else 0
        return self.position + offset if offset else None

    def scalar(self, field: int, form: str) -> Any:
        at = self._at(field)
        return None if at is None else unpack_from("<" + form, self.data, at)[0]

    def _target(self, field: int) -> int | None:
        at = self._at(field)
        return None if at is None else at + unpack_from("<I", self.data, at)[0]

    def table(self, field: int) -> _Table | None:
        at = self._target(field)
        return None if at is None else _Table(self.data, at)

    def vector(self, field: int) -> tuple[int, int]:
        """Length and position of the first element."""
        at = self._target(field)
        return (0, 0) if at is None else (unpack_from("<I", self.data, at)[0], at + 4)

    def text(self, field: int) -> str:
        length, at = self.vector(field)
        return self.data[at : at + length].decode()

    def tables(self, field: int) -> Iterator[_Table]:
        length, at = self.vector(field)
        for position in range(at, at + 4 * length, 4):
            yield _Table(self.data, position + unpack_from("<I", self.data, position)[0])


def _root(data: bytes, at: int) -> _Table:
    return _Table(data, at + unpack_from("<I", data, at)[0])


def read(data: bytes) -> list[Column]:
    """The columns of the file.

    Raises ``ValueError`` if it is not a file of the kind that the program writes.
    """
    if len(data) <= 2 * len(_MAGIC) + 4 or not (data.startswith(_MAGIC) and data.endswith(_MAGIC)):
        raise ValueError("this is no Arrow IPC file")
    length = unpack_from("<i", data, len(data) - len(_MAGIC) - 4)[0]
    footer = _root(data, len(data) - len(_MAGIC) - 4 - length)
    schema = footer.table(1)
    fields = [] if schema is None else list(schema.tables(1))
    names = [field.text(0) for field in fields]
    types = [_TYPES.get(field.scalar(2, "B"), "other") for field in fields]
    if "other" in types:
        raise ValueError(f"column {names[types.index('other')]} is of a type that simic does not write")
    values: list[list[Any]] = [[] for _ in fields]
    blocks, at = footer.vector(3)
    for block in range(at, at + 24 * blocks, 24):
        for column, more in zip(values, _batch(data, block, types)):
            column.extend(more)
    return [Column(*column) for column in zip(names, types, values)]


def _batch(data: bytes, block: int, types: list[str]) -> Iterator[list[Any]]:
    """The columns of one record batch, whose block in the footer is at `block`."""
    start, metadata_length = unpack_from("<qi", data, block)
    body = start + metadata_length
    marker = 8 if unpack_from("<I", data, start)[0] == 0xFFFFFFFF else 4
    batch = _root(data, start + marker).table(2)
    if batch is None or batch.table(3) is not None:
        raise ValueError("the record batch is compressed or not there")
    _, node = batch.vector(1)
    _, buffer = batch.vector(2)

    def next_buffer() -> tuple[int, int]:
        nonlocal buffer
        offset, length = unpack_from("<qq", data, buffer)
        buffer += 16
        return body + offset, length

    for type_ in types:
        n_rows, n_null = unpack_from("<qq", data, node)
        node += 16
        valid_at, _ = next_buffer()
        at, _ = next_buffer()
        if type_ == "str":
            text_at, _ = next_buffer()
            ends = unpack_from(f"<{n_rows + 1}q", data, at) if n_rows else ()
            values: list[Any] = [data[text_at + a : text_at + b].decode() for a, b in zip(ends, ends[1:])]
        elif type_ == "bool":
            values = _bits(data, at, n_rows)
        else:
            values = list(unpack_from(f"<{n_rows}{'q' if type_ == 'int' else 'd'}", data, at))
        if n_null:
            valid = _bits(data, valid_at, n_rows)
            values = [value if is_there else None for value, is_there in zip(values, valid)]
        yield values


def _bits(data: bytes, at: int, n: int) -> list[bool]:
    return [bool(data[at + (row >> 3)] >> (row & 7) & 1) for row in range(n)]
