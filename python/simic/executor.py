"""The tasks of a sharded job on anything that has ``submit() -> Future``.

``simic shard plan`` divides a command into the tasks of a job, which is a folder or lies in an object store (``s3://bucket/job``).
Here its tasks are handed out; results go through that place, which every worker has to reach, and never through the executor. ``simic shard merge`` then prints what one
machine would have printed::

    simic.run(["shard", "plan", "job", "--", "analyze", "shapley", "runs/"])
    with concurrent.futures.ProcessPoolExecutor() as pool:
        simic.submit("job", pool)
    simic.run(["shard", "merge", "job"])

Only tasks without a sound part are handed out, so that a job that was stopped goes on where it was by the same call.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from ._program import Argument, SimicError, find_bin, run

#: The exit code of a task that may be tried again.
TRY_AGAIN = 75

#: Longest wait before a task is tried again, in seconds.
LONGEST_DELAY = 60.0


@dataclass(frozen=True)
class Attempt:
    """How one attempt at a task ended: small, for it travels back from the worker."""

    task: int
    number: int
    code: int
    message: str
    hint: str | None


@dataclass
class Progress:
    """Where a job stands."""

    tasks: int
    done: int = 0
    in_flight: int = 0
    retries: int = 0
    elapsed_seconds: float = 0.0

    def __str__(self) -> str:
        again = f", {self.retries:,} tried again" if self.retries else ""
        return f"{self.done:,} of {self.tasks:,} tasks, {self.in_flight:,} in flight{again}, {self.elapsed_seconds:.0f} s"


def is_url(job: str) -> bool:
    """Whether a job lies in an object store."""
    return "://" in job and not job.startswith((os.curdir + "/", "/"))


def attempt(
    job: str,
    task: int,
    number: int = 0,
    delay_seconds: float = 0.0,
    threads: int | None = None,
    directory: str = "",
) -> Attempt:
    """Runs ``simic shard exec`` for one task, in the process that calls this.

    ``number`` is how often it was tried before; it also tells calls apart for executors that remember results (Dask).
    ``directory`` is the folder that paths of the job are meant in; it is used where there is such a folder.
    """
    time.sleep(delay_seconds)
    command = [find_bin(), "shard", "exec", job, "--task", str(task), "--quiet", "--no-config"]
    if threads is not None:
        command.append(f"--threads={threads}")
    # What set flags when the job was planned stands in the job; what is set here is not meant.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SIMIC_")}
    # The program ends when its standard input does: with this process, however that dies.
    command.append("--until-stdin-ends")
    its, ours = os.pipe()
    try:
        try:
            program = subprocess.Popen(
                command,
                stdin=its,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=environment,
                cwd=directory if os.path.isdir(directory) else None,
            )
        finally:
            os.close(its)
        with program:
            assert program.stderr is not None
            stderr = program.stderr.read()
            code = program.wait()
    finally:
        os.close(ours)
    if code == 0:
        return Attempt(task, number, 0, "", None)
    error = SimicError.of(code, b"", stderr)
    return Attempt(task, number, code, error.message, error.hint)


def submit(
    job: Argument,
    executor: Any,
    *,
    threads: int | None = None,
    max_in_flight: int = 256,
    max_retries: int = 3,
    retry_delay_seconds: float = 1.0,
    progress: Callable[[Progress], None] | bool | None = None,
) -> Progress:
    """Runs the tasks of a job on an executor and returns when all are done.

    ``job`` is a folder that every worker sees, or its URL in an object store, whose keys every worker has to have.

    ``executor`` is anything whose ``submit(function, *arguments)`` gives a future with ``add_done_callback`` and ``result``:
    ``concurrent.futures``, a Dask client, executorlib, ``simic.ray.RayExecutor``. Not more than ``max_in_flight`` tasks are
    handed out at a time, each on ``threads`` threads (None: all cores of its machine). A task that ends with exit code 75 is
    tried again up to ``max_retries`` times, each time after twice the wait; any other failure is final. ``progress`` is called
    with every change; True and, on a terminal, None write a line to stderr.

    Raises ``SimicError`` with the words of the first task that failed, when what was in flight has ended; whatever a future
    raises otherwise (a lost worker) comes through.
    """
    if max_in_flight < 1 or max_retries < 0 or retry_delay_seconds < 0:
        raise ValueError("max_in_flight is at least 1, max_retries and retry_delay_seconds are at least 0")
    if not callable(getattr(executor, "submit", None)):
        raise TypeError(f"{type(executor).__name__} has no submit(function, *arguments)")
    path = os.fspath(job)
    path = path if is_url(path) else os.path.abspath(path)
    status = json.loads(run(["shard", "status", path, "--format=json", "--no-config"]).stdout)
    state = Progress(tasks=status["n_tasks"], done=status["n_done"])
    # Paths of the job are meant in the folder that it was planned in.
    folder = status["directory"]
    stages = _stages([part["task"] for part in status["missing"]], status.get("stages", []))
    waiting: deque[tuple[int, int]] = deque()
    ended: SimpleQueue[Any] = SimpleQueue()
    failure: BaseException | None = None
    flying: set[Any] = set()
    started = time.monotonic()
    with _shown(progress) as tell:
        try:
            while flying or ((waiting or stages) and failure is None):
                if not flying and not waiting:
                    # Tasks of a stage go on from the parts of the one before.
                    waiting.extend((task, 0) for task in stages.popleft())
                while waiting and failure is None and len(flying) < max_in_flight:
                    task, number = waiting.popleft()
                    delay = min(retry_delay_seconds * 2 ** (number - 1), LONGEST_DELAY) if number else 0.0
                    future = executor.submit(attempt, path, task, number, delay, threads, folder)
                    flying.add(future)
                    future.add_done_callback(ended.put)
                state.in_flight, state.elapsed_seconds = len(flying), time.monotonic() - started
                tell(state)
                future = ended.get()
                flying.discard(future)
                try:
                    result: Attempt = future.result()
                except Exception as error:  # noqa: BLE001, executors raise what they like
                    failure = failure or error
                    continue
                if result.code == 0:
                    state.done += 1
                elif result.code == TRY_AGAIN and result.number < max_retries:
                    state.retries += 1
                    waiting.append((result.task, result.number + 1))
                else:
                    failure = failure or _failure(result)
        except BaseException:
            for future in flying:
                future.cancel()
            raise
        state.in_flight, state.elapsed_seconds = 0, time.monotonic() - started
        tell(state)
    if failure is not None:
        raise failure
    return state


def _stages(tasks: list[int], sizes: list[int]) -> deque[list[int]]:
    """Tasks by stage, which are so many tasks each in a row; stages without any are left out."""
    stages: deque[list[int]] = deque()
    end = 0
    for size in [*sizes, None]:
        first, end = end, sys.maxsize if size is None else end + size
        stages.append([task for task in tasks if first <= task < end])
    return deque(stage for stage in stages if stage)


def _failure(result: Attempt) -> SimicError:
    tried = f" (tried {result.number + 1} times)" if result.number else ""
    return SimicError(result.code, f"task {result.task}{tried}: {result.message}", result.hint)


@contextlib.contextmanager
def _shown(progress: Callable[[Progress], None] | bool | None) -> Iterator[Callable[[Progress], None]]:
    """The function that tells progress, and the end of its line."""
    if callable(progress):
        yield progress
    elif progress or (progress is None and sys.stderr.isatty()):
        last = [0.0]

        def line(state: Progress) -> None:
            # A line a tenth of a second is all that anybody reads.
            if time.monotonic() - last[0] > 0.1 or state.done == state.tasks:
                last[0] = time.monotonic()
                print(f"\r{state}\x1b[K", end="", file=sys.stderr, flush=True)

        try:
            yield line
        finally:
            print(file=sys.stderr)
    else:
        yield lambda _: None
