"""Keyword arguments as flags."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

#: Flags that this package sets itself.
OWN = {
    "format": "a result has .document, .table and .figure()",
    "figure": "a result has .figure()",
    "help": "see help(simic), or simic help",
    "version": "see simic.run(['--version'])",
}


def arguments(flags: Mapping[str, Any]) -> Iterator[str]:
    """``better="lower"`` as ``--better=lower``.

    ``True`` is the bare flag, ``False`` and ``None`` leave it out, a list repeats it, a mapping is a list of ``KEY=VALUE``.
    Raises ``TypeError`` for flags that this package sets and for values that no flag has.
    """
    for keyword, value in flags.items():
        name = keyword.rstrip("_").replace("_", "-")
        if name in OWN:
            raise TypeError(f"{keyword}= is not for the caller: {OWN[name]}")
        if isinstance(value, Mapping):
            value = [f"{key}={_text(keyword, item)}" for key, item in value.items()]
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if item is True:
                yield f"--{name}"
            elif item is not None and item is not False:
                yield f"--{name}={_text(keyword, item)}"


def _text(keyword: str, value: Any) -> str:
    if isinstance(value, (str, os.PathLike)):
        return os.fspath(value)
    # numpy's numbers are those of Python where they print as such.
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, (bool, int)):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value)
    raise TypeError(f"{keyword}={value!r}: a flag takes text, a path, a number, a list or a mapping")
