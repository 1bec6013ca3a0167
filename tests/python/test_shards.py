"""Jobs of the program itself: what executors compute merges to the bytes of one machine."""

from __future__ import annotations

import concurrent.futures
import os
import tempfile
import unittest
from pathlib import Path

import simic

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
CAMPAIGN = FIXTURES / "simulated" / "campaign.parquet"
DIGITS = FIXTURES / "digits_regions.parquet"


def has_shards() -> bool:
    try:
        simic.run(["shard", "status", "--help"])
    except simic.SimicError:
        return False
    return True


@unittest.skipUnless(has_shards(), "this program has no shard command")
class ShardedJob(unittest.TestCase):
    """A job in a folder of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.job = os.path.join(folder.name, "job")

    def plan(self) -> bytes:
        """Plans several tasks; gives the bytes that their merge has to be."""
        command = ["analyze", "shapley", CAMPAIGN, DIGITS]
        simic.run(["shard", "plan", self.job, "--target-bytes", "1KB", "--", *command])
        return simic.run([*command, "--format", "json"]).stdout

    def merged(self) -> bytes:
        return simic.run(["shard", "merge", self.job, "--format", "json"]).stdout


class Shards(ShardedJob):
    def test_what_executors_compute_merges_to_the_bytes_of_one_machine(self):
        expected = self.plan()
        with concurrent.futures.ProcessPoolExecutor(2) as pool:
            state = simic.submit(self.job, pool, threads=1)
        self.assertGreater(state.tasks, 1)
        self.assertEqual(state.done, state.tasks)
        self.assertEqual(self.merged(), expected)

    def test_input_that_changed_is_final_and_named(self):
        rows = Path(self.job).with_name("rows.csv")
        table = "slot:A,slot:B,val_accuracy\n0,0,0.5\n1,0,0.7\n0,1,0.6\n1,1,0.9\n"
        rows.write_text(table)
        simic.run(["shard", "plan", self.job, "--", "analyze", "shapley", rows])
        rows.write_text(table.replace("0.9", "0.8"))
        with concurrent.futures.ThreadPoolExecutor(1) as pool, self.assertRaises(simic.SimicError) as raised:
            simic.submit(self.job, pool)
        self.assertEqual(raised.exception.code, 3)
        self.assertIn("rows.csv", raised.exception.message)


if __name__ == "__main__":
    unittest.main()
