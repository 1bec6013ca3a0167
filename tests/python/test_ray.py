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
from test_shards import ShardedJob


class Nodes:
    """A head that runs nothing, and two nodes that do."""

    def __init__(self, test: unittest.TestCase) -> None:
        import ray
        from ray.cluster_utils import Cluster

        # Workers find the package where this process does.
        paths = os.pathsep.join([str(Path(simic.__file__).parents[1]), str(Path(__file__).parent)])
        environment = mock.patch.dict(os.environ, PYTHONPATH=paths, RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0")
        environment.start()
        test.addCleanup(environment.stop)
        small = {"object_store_memory": 80_000_000}
        self.cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **small}
        )
        test.addCleanup(self.cluster.shutdown)
        self.nodes = [self.cluster.add_node(num_cpus=2, **small) for _ in range(2)]
        self.cluster.wait_for_nodes()
        test.addCleanup(ray.shutdown)
        self.address = self.cluster.address
        self.n_lost = 0

    def lose_one_after(self, n_done: int):
        """Progress that kills a node once that many tasks are done."""

        def tell(state: simic.executor.Progress) -> None:
            if state.done >= n_done and self.n_lost == 0:
                self.n_lost += 1
                self.cluster.remove_node(self.nodes.pop(), allow_graceful=False)

        return tell


@unittest.skipUnless(importlib.util.find_spec("ray"), "ray is not installed")
class OnRay(Job):
    def test_a_node_that_dies_costs_time_and_no_task(self):
        from simic.ray import RayExecutor, main

        nodes = Nodes(self)
        self.plan(12, _5=[75, 0], **{f"_{task}": "slow" for task in range(5)})
        executor = RayExecutor(nodes.address)
        state = simic.submit(self.job, executor, retry_delay_seconds=0.01, progress=nodes.lose_one_after(3))
        self.assertEqual((state.done, state.retries, nodes.n_lost), (12, 1, 1))
        calls = self.calls()
        self.assertEqual(set(calls), set(range(12)))
        # What ran on the lost node ran again; nothing else but the task that asked for it did.
        self.assertLessEqual(sum(calls.values()), 12 + 1 + 2)

        # The command line ends with the code of the task that failed, and says what is next when none did.
        self.plan(14, _13=3)
        with redirect_stderr(io.StringIO()) as stderr:
            self.assertEqual(main([str(self.job), "--address", nodes.address, "--quiet"]), 3)
        self.assertEqual(stderr.getvalue(), "error: task 13: task 13 is bad\nhint: mend it\n")
        self.plan(14)
        with redirect_stderr(io.StringIO()) as stderr:
            self.assertEqual(main([str(self.job), "--address", nodes.address, "--quiet"]), 0)
        self.assertTrue(stderr.getvalue().startswith("14 of 14 tasks"), stderr.getvalue())


@unittest.skipUnless(importlib.util.find_spec("ray"), "ray is not installed")
class ShardsOnRay(ShardedJob):
    def test_a_job_that_loses_a_node_merges_to_the_bytes_of_one_machine(self):
        from simic.ray import RayExecutor

        nodes = Nodes(self)
        expected = self.plan()
        state = simic.submit(self.job, RayExecutor(nodes.address), progress=nodes.lose_one_after(2))
        self.assertEqual((state.done, nodes.n_lost), (state.tasks, 1))
        self.assertEqual(self.merged(), expected)


if __name__ == "__main__":
    unittest.main()
