"""A sharded job on Ray: ``python -m simic.ray JOB [--address auto]``.

Every node has to see the job's folder and the recordings; JOB may be a URL (``s3://bucket/jobs/a``), whose keys every node needs. Where a node has no ``simic``, ``--wheel simic-….whl`` sends it along.
A worker or node that dies costs the tasks it held, which Ray gives to others; their parts are written whole or not at all.
"""

from __future__ import annotations

import argparse
import logging
import sys
from typing import Any, Callable

import ray

from ._program import SimicError
from .executor import submit

#: How often Ray itself hands a task out again whose worker or node died.
WORKER_DEATHS = 8


class RayExecutor:
    """Ray as an executor: one Ray task a call, spread over the nodes.

    Connects to ``address`` (None: ``$RAY_ADDRESS``, else a cluster of this machine) unless ``ray.init`` was called before.
    ``num_cpus``, ``memory`` (bytes) and ``num_gpus`` are what one task takes.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        num_cpus: float = 1,
        memory: int | None = None,
        num_gpus: float | None = None,
        wheel: str | None = None,
        worker_deaths: int = WORKER_DEATHS,
    ) -> None:
        if not ray.is_initialized():
            # A wheel among py_modules is unpacked on every node, the program with it.
            environment = {"py_modules": [wheel]} if wheel else None
            ray.init(
                address=address, runtime_env=environment, log_to_driver=False, logging_level=logging.WARNING
            )
        self._options: dict[str, Any] = {
            "num_cpus": num_cpus,
            "memory": memory,
            "num_gpus": num_gpus,
            "max_retries": worker_deaths,
            "retry_exceptions": False,
            "scheduling_strategy": "SPREAD",
        }
        self._remote: dict[Callable[..., Any], Any] = {}

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """A ``concurrent.futures.Future`` of the function's result."""
        if function not in self._remote:
            self._remote[function] = ray.remote(**self._options)(function)
        return self._remote[function].remote(*arguments).future()


def main(arguments: list[str] | None = None) -> int:
    """Parses the command line, runs the job, says how it went; gives the exit code."""
    summary = (__doc__ or "").strip().splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m simic.ray", description=summary)
    parser.add_argument("job", help="what simic shard plan wrote: a folder that every node sees, or a URL")
    parser.add_argument("--address", help="Ray cluster [default: $RAY_ADDRESS, else one of this machine]")
    parser.add_argument("--cpus", type=float, default=1, help="CPUs of one task [default: 1]")
    parser.add_argument("--memory", type=float, help="bytes of one task")
    parser.add_argument("--gpus", type=float, help="GPUs of one task")
    parser.add_argument(
        "--max-in-flight", type=int, default=256, help="tasks handed out at a time [default: 256]"
    )
    parser.add_argument(
        "--max-retries", type=int, default=3, help="tries again after exit code 75 [default: 3]"
    )
    parser.add_argument("--wheel", help="wheel of simic for nodes that have none")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    given = parser.parse_args(arguments)
    executor = RayExecutor(
        given.address,
        num_cpus=given.cpus,
        memory=None if given.memory is None else int(given.memory),
        num_gpus=given.gpus,
        wheel=given.wheel,
    )
    try:
        state = submit(
            given.job,
            executor,
            threads=max(1, int(given.cpus)),
            max_in_flight=given.max_in_flight,
            max_retries=given.max_retries,
            progress=False if given.quiet else None,
        )
    except (SimicError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return error.code if isinstance(error, SimicError) and error.code > 0 else 3
    print(f"{state}\nnext: simic shard merge {given.job}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
