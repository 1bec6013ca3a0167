"""Finding the program, calling it, and its errors as exceptions."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Union

Argument = Union[str, "os.PathLike[str]"]

#: Names another program than the one of this package.
ENVIRONMENT = "SIMIC_BIN"

#: What is no error: done, and a difference or problem found.
RESULTS = (0, 1)


class SimicError(Exception):
    """What the program said instead of a result.

    ``code`` is its exit code (2 wrong usage, 3 unreadable or invalid input, 4 device not available, 75 try again; negative: the
    signal that ended it), ``message`` and ``hint`` are its words.
    """

    def __init__(self, code: int, message: str, hint: str | None = None) -> None:
        super().__init__(code, message, hint)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\nhint: {self.hint}"

    @classmethod
    def of(cls, code: int, stdout: bytes, stderr: bytes) -> SimicError:
        """The error in what the program wrote."""
        told = stderr.decode("utf-8", "replace")
        start = re.search(r"^error: ", told, re.MULTILINE)
        message, _, hint = (told[start.end() :] if start else "").partition("\nhint: ")
        if not start:
            # A check that compared nothing says so in its document.
            message, hint = _conclusion(stdout)
        if not message:
            message = (
                f"simic was ended by signal {-code}" if code < 0 else f"simic ended with exit code {code}"
            )
        return cls(code, message.strip(), hint.strip() or None)


def _conclusion(stdout: bytes) -> tuple[str, str]:
    """The verdict and the first hint of a JSON document; empty where there is none."""
    try:
        document = json.loads(stdout)
        hints = [check["hint"] for check in document.get("checks", []) if check.get("hint")]
        return " ".join(document.get("verdict", [])), "".join(hints[:1])
    except (ValueError, AttributeError, UnicodeDecodeError):
        return "", ""


def _places() -> Iterator[Path]:
    """Where installers put the program of this package, best first."""
    name = "simic" + (sysconfig.get_config_var("EXE") or "")
    package = Path(__file__).resolve().parent
    # With this copy of the package: where somebody placed it by hand, then where `pip install --target` does.
    yield package / name
    yield package / "bin" / name
    yield package.parent / ("Scripts" if os.name == "nt" else "bin") / name
    # An environment laid over another: lib/pythonX.Y/site-packages/simic has its bin three folders up.
    if len(package.parents) > 3:
        yield package.parents[3] / "bin" / name
    yield Path(sysconfig.get_path("scripts")) / name
    yield Path(sys.prefix) / ("Scripts" if os.name == "nt" else "bin") / name
    scheme = f"{os.name}_user"
    if sys.platform == "darwin" and getattr(sys, "_framework", None):
        scheme = "osx_framework_user"
    if scheme in sysconfig.get_scheme_names():
        yield Path(sysconfig.get_path("scripts", scheme=scheme)) / name


def find_bin() -> str:
    """The path of the program.

    The one that the environment variable ``SIMIC_BIN`` names; else the one that was installed with this package, also where it
    is not on the PATH; else the one on the PATH.

    Raises ``FileNotFoundError`` if there is none.
    """
    named = os.environ.get(ENVIRONMENT)
    if named:
        if not os.path.isfile(named):
            raise FileNotFoundError(f"{ENVIRONMENT}={named}: no such file")
        return os.path.abspath(named)
    looked_at = list(dict.fromkeys(_places()))
    for place in looked_at:
        if place.is_file() and os.access(place, os.X_OK):
            return str(place)
    on_path = shutil.which("simic")
    if on_path:
        return on_path
    raise FileNotFoundError(
        "there is no simic program; looked at "
        + ", ".join(map(str, looked_at))
        + f" and the PATH (install the wheel again, or set {ENVIRONMENT})"
    )


def run(
    arguments: Sequence[Argument],
    *,
    input: bytes | None = None,
    cwd: Argument | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Runs the program with these arguments and gives what it wrote: ``stdout``, ``stderr``, ``returncode``.

    Exit code 1 (a difference or problem was found) is a result; any other than 0 raises ``SimicError``.
    """
    done = subprocess.run(
        [find_bin(), *(os.fspath(argument) for argument in arguments)],
        # Nothing is read from a terminal that the caller did not mean to share.
        stdin=subprocess.DEVNULL if input is None else None,
        input=input,
        capture_output=True,
        cwd=cwd,
        check=False,
    )
    if done.returncode not in RESULTS:
        raise SimicError.of(done.returncode, done.stdout, done.stderr)
    return done
