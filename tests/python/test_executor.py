"""Jobs on executors, against a program that does what is asked of it: the loop, its bounds, its retries, its errors."""

from __future__ import annotations

import concurrent.futures
import importlib.util
import json
import os
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

import simic
from simic import executor

#: `shard exec` and `status` in miniature: counts its calls per task and ends as a file of the job says.
PROGRAM = f"""\
#!{sys.executable}
import json, os, pathlib, sys, time
job = pathlib.Path(sys.argv[3])
if sys.argv[1:3] == ["shard", "status"]:
    document = json.loads((job / "job.json").read_text())
    n_tasks, stages = document["n_tasks"], document.get("stages", [])
    missing = [task for task in range(n_tasks) if not (job / "parts" / str(task)).exists()]
    rows = [{{"task": task}} for task in missing]
    found = {{"n_tasks": n_tasks, "n_done": n_tasks - len(missing), "stages": stages, "missing": rows}}
    print(json.dumps({{**found, "directory": document["directory"]}}))
    sys.exit(bool(missing))
assert sys.argv[1:3] + sys.argv[4:5] == ["shard", "exec", "--task"] and "--until-stdin-ends" in sys.argv
assert os.path.samefile(os.getcwd(), job.parent) and "SIMIC_BIN" not in os.environ
task = sys.argv[5]
calls = job / "calls" / task
with calls.open("a") as file:
    file.write(".")
code = json.loads((job / "behaviour.json").read_text()).get(task, 0)
end = 0
for size in json.loads((job / "job.json").read_text()).get("stages", []):
    before, end = range(end), end + size
    if int(task) < end:
        assert all((job / "parts" / str(other)).exists() for other in before)
        break
if code == "hang":
    (job / "pid").write_text(str(os.getpid()))
    sys.stdin.read()
    (job / "ended").touch()
    sys.exit(130)
if code == "slow":
    code = time.sleep(1.5) or 0
if isinstance(code, list):
    code = code[min(len(calls.read_text()), len(code)) - 1]
if code:
    print("note: before\\nerror: task", task, "is bad\\nhint: mend it", file=sys.stderr)
else:
    (job / "parts" / task).touch()
sys.exit(code)
"""


class Job(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.job = Path(folder.name, "job")
        for name in ("calls", "parts"):
            (self.job / name).mkdir(parents=True)
        program = Path(folder.name, "simic")
        program.write_text(PROGRAM)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        environment = mock.patch.dict(os.environ, SIMIC_BIN=str(program))
        environment.start()
        self.addCleanup(environment.stop)

    def plan(self, n_tasks: int, stages: tuple[int, ...] = (), **behaviour: object) -> None:
        job = {"n_tasks": n_tasks, "stages": stages, "directory": str(self.job.parent)}
        (self.job / "job.json").write_text(json.dumps(job))
        (self.job / "behaviour.json").write_text(
            json.dumps({key[1:]: value for key, value in behaviour.items()})
        )

    def calls(self) -> dict[int, int]:
        return {int(path.name): path.stat().st_size for path in (self.job / "calls").iterdir()}

    def submit(self, **settings: object) -> executor.Progress:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            return simic.submit(self.job, pool, retry_delay_seconds=0.01, **settings)


class Submitting(Job):
    def test_every_task_runs_once(self):
        self.plan(23)
        state = self.submit()
        self.assertEqual((state.done, state.tasks, state.retries, state.in_flight), (23, 23, 0, 0))
        self.assertEqual(self.calls(), dict.fromkeys(range(23), 1))

    def test_stages_follow_each_other(self):
        self.plan(12, stages=(5, 1, 6), _2=[75, 0], _5=[75, 75, 0])
        state = self.submit()
        self.assertEqual((state.done, state.retries), (12, 3))
        self.assertEqual(self.calls(), {**dict.fromkeys(range(12), 1), 2: 2, 5: 3})
        self.assertEqual(self.submit().done, 12)

    def test_stages_after_a_failure_do_not_begin(self):
        self.plan(4, stages=(2, 2), _1=3)
        with self.assertRaisesRegex(simic.SimicError, "task 1 is bad"):
            self.submit()
        self.assertEqual(self.calls(), {0: 1, 1: 1})

    def test_no_more_than_asked_is_in_flight(self):
        self.plan(12)
        seen: list[int] = []
        self.submit(max_in_flight=3, progress=lambda state: seen.append(state.in_flight))
        self.assertEqual(max(seen), 3)
        self.assertEqual(seen[-1], 0)

    def test_what_would_wait_for_ever_is_refused(self):
        self.plan(1)
        for settings in ({"max_in_flight": 0}, {"max_in_flight": -3}, {"max_retries": -1}):
            with self.assertRaises(ValueError):
                self.submit(**settings)
        with self.assertRaisesRegex(TypeError, "no submit"):
            simic.submit(self.job, None)

    def test_only_what_may_be_tried_again_is(self):
        self.plan(5, _1=[75, 75, 0], _3=[75, 0])
        state = self.submit()
        self.assertEqual((state.done, state.retries), (5, 3))
        self.assertEqual(self.calls(), {0: 1, 1: 3, 2: 1, 3: 2, 4: 1})

    def test_a_task_is_not_tried_for_ever(self):
        self.plan(1, _0=75)
        with self.assertRaises(simic.SimicError) as raised:
            self.submit(max_retries=2)
        self.assertEqual(self.calls(), {0: 3})
        self.assertEqual(raised.exception.code, 75)
        self.assertEqual(raised.exception.message, "task 0 (tried 3 times): task 0 is bad")

    def test_a_failure_is_final_and_says_the_task(self):
        self.plan(200, _2=3)
        with self.assertRaises(simic.SimicError) as raised:
            self.submit(max_in_flight=2)
        self.assertEqual((raised.exception.code, raised.exception.hint), (3, "mend it"))
        self.assertEqual(raised.exception.message, "task 2: task 2 is bad")
        self.assertEqual(self.calls()[2], 1)
        self.assertLess(len(self.calls()), 20)

    def test_a_job_that_was_stopped_goes_on_where_it_was(self):
        self.plan(5, _3=[3, 0])
        with self.assertRaises(simic.SimicError):
            self.submit(max_in_flight=1)
        self.assertEqual(self.calls(), {0: 1, 1: 1, 2: 1, 3: 1})
        state = self.submit()
        self.assertEqual((state.done, state.tasks), (5, 5))
        self.assertEqual(self.calls(), {0: 1, 1: 1, 2: 1, 3: 2, 4: 1})
        self.assertEqual(self.submit().done, 5)
        self.assertEqual(sum(self.calls().values()), 6)

    def test_processes_do_as_threads_do(self):
        self.plan(6, _4=[75, 0])
        with concurrent.futures.ProcessPoolExecutor(2) as pool:
            self.assertEqual(simic.submit(self.job, pool, retry_delay_seconds=0.01).retries, 1)
        self.assertEqual(sum(self.calls().values()), 7)

    @unittest.skipUnless(importlib.util.find_spec("distributed"), "dask is not installed")
    def test_dask_does_as_threads_do(self):
        from distributed import Client, LocalCluster

        self.plan(6, _4=[75, 0])
        cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
        with cluster, Client(cluster) as client:
            self.assertEqual(simic.submit(self.job, client, retry_delay_seconds=0.01).retries, 1)
        self.assertEqual(self.calls(), {0: 1, 1: 1, 2: 1, 3: 1, 4: 2, 5: 1})

    def test_progress_is_one_line_of_stderr(self):
        self.plan(3)
        code = textwrap.dedent(
            f"""
            import concurrent.futures, simic
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                simic.submit({str(self.job)!r}, pool, progress=True)
            """
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        self.assertIn(b"3 of 3 tasks", done.stderr)
        self.assertEqual((done.stderr.count(b"\n"), done.stdout), (1, b""))


class Orphans(Job):
    @unittest.skipUnless(os.name == "posix", "signals")
    def test_a_task_ends_with_the_process_that_runs_it(self):
        self.plan(1, _0="hang")
        code = f"from simic import executor; executor.attempt({str(self.job)!r}, 0, directory={str(self.job.parent)!r})"
        worker = subprocess.Popen([sys.executable, "-c", code])
        self.wait_for("pid")
        worker.kill()
        worker.wait()
        self.wait_for("ended")

    def wait_for(self, name: str) -> None:
        until = time.monotonic() + 20
        while not (self.job / name).exists():
            self.assertLess(time.monotonic(), until, f"{name} is not there")
            time.sleep(0.02)

    def test_an_interrupt_takes_back_what_is_waiting(self):
        self.plan(50)
        gate = threading.Event()

        futures: list[concurrent.futures.Future] = []

        class Slow:
            def submit(self, *_):
                futures.append(concurrent.futures.Future())
                return futures[-1]

        def interrupt(_: executor.Progress) -> None:
            gate.set()
            raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            simic.submit(self.job, Slow(), max_in_flight=8, progress=interrupt)
        self.assertTrue(gate.is_set())
        self.assertEqual([future.cancelled() for future in futures], [True] * 8)


if __name__ == "__main__":
    unittest.main()
