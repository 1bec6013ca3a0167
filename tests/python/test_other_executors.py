"""Jobs on Dask and executorlib: a worker that is killed on the way costs no task, and nothing is left over."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import unittest
from pathlib import Path
from unittest import mock

import simic
from test_shards import ShardedJob


class OtherExecutors(ShardedJob):
    def setUp(self):
        super().setUp()
        # Workers find the package where this process does.
        environment = mock.patch.dict(os.environ, PYTHONPATH=str(Path(simic.__file__).parents[1]))
        environment.start()
        self.addCleanup(environment.stop)

    def is_whole(self, expected: bytes, state: simic.executor.Progress) -> None:
        self.assertEqual(state.done, state.tasks)
        self.assertEqual(self.merged(), expected)
        self.assertEqual([name for name in os.listdir(Path(self.job) / "parts") if not name.isdigit()], [])

    @unittest.skipUnless(importlib.util.find_spec("distributed"), "dask[distributed] is not installed")
    def test_dask_hands_out_again_what_a_killed_worker_had(self):
        from distributed import Client, LocalCluster

        expected = self.plan()
        killed: list[int] = []
        cluster = LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL
        )
        with cluster, Client(cluster) as client:
            workers = list(client.run(os.getpid).values())

            def lose_one(state: simic.executor.Progress) -> None:
                if state.done and not killed:
                    killed.append(workers[0])
                    os.kill(workers[0], signal.SIGKILL)

            state = simic.submit(self.job, client, threads=1, progress=lose_one)
        self.assertEqual(len(killed), 1)
        self.is_whole(expected, state)

    @unittest.skipUnless(importlib.util.find_spec("executorlib"), "executorlib is not installed")
    def test_executorlib_runs_a_job(self):
        from executorlib import SingleNodeExecutor

        expected = self.plan()
        with SingleNodeExecutor(max_workers=2) as executor:
            state = simic.submit(self.job, executor, threads=1)
        self.is_whole(expected, state)


if __name__ == "__main__":
    unittest.main()
