"""Jobs on a Ray cluster of several nodes on this machine, one of which is lost on the way."""

from __future__ import annotations

import importlib.util
import io
import os
import unittest
from contextlib import redirect_stderr
from pathlib import Path
from unittest import mock

import simic
from test_executor import Job


@unittest.skipUnless(importlib.util.find_spec("ray"), "ray is not installed")
class OnRay(Job):
    def setUp(self):
        super().setUp()
        paths = [str(Path(simic.__file__).parents[1]), str(Path(__file__).parent)]
        quiet = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_DEDUP_LOGS": "1"}
        environment = mock.patch.dict(os.environ, PYTHONPATH=os.pathsep.join(paths), **quiet)
        environment.start()
        self.addCleanup(environment.stop)

        import ray
        from ray.cluster_utils import Cluster

        # A head that runs nothing, and two nodes that do.
        small = {"object_store_memory": 80_000_000, "include_dashboard": False}
        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
        self.addCleanup(self.cluster.shutdown)
        small.pop("include_dashboard")
        self.nodes = [self.cluster.add_node(num_cpus=2, **small) for _ in range(2)]
        self.cluster.wait_for_nodes()
        self.addCleanup(ray.shutdown)

    def test_a_node_that_dies_costs_time_and_no_task(self):
        from simic.ray import RayExecutor

        self.plan(12, _5=[75, 0], **{f"_{task}": "slow" for task in range(5)})
        lost: list[int] = []

        def lose_a_node(state: simic.executor.Progress) -> None:
            if state.done >= 3 and not lost:
                lost.append(state.done)
                self.cluster.remove_node(self.nodes.pop(), allow_graceful=False)

        executor = RayExecutor(self.cluster.address)
        state = simic.submit(self.job, executor, retry_delay_seconds=0.01, progress=lose_a_node)
        self.assertEqual((state.done, state.retries, len(lost)), (12, 1, 1))
        calls = self.calls()
        self.assertEqual(set(calls), set(range(12)))
        # What ran on the lost node ran again; nothing else but the task that asked for it did.
        self.assertLessEqual(sum(calls.values()), 12 + 1 + 2)

    def test_the_command_line_ends_with_the_code_of_the_task_that_failed(self):
        from simic.ray import main

        self.plan(6, _2=3)
        with redirect_stderr(io.StringIO()) as stderr:
            self.assertEqual(main([str(self.job), "--address", self.cluster.address, "--quiet"]), 3)
        self.assertEqual(stderr.getvalue(), "error: task 2: task 2 is bad\nhint: mend it\n")
        self.plan(6)
        with redirect_stderr(io.StringIO()) as stderr:
            self.assertEqual(main([str(self.job), "--address", self.cluster.address, "--quiet"]), 0)
        self.assertTrue(stderr.getvalue().startswith("6 of 6 tasks"))


if __name__ == "__main__":
    unittest.main()
