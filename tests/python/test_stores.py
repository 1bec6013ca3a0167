"""Object stores, against moto: a server that answers as S3 does, on loopback, and checks signatures.

Needs `pip install 'moto[s3,server]'` and a program built with the feature cloud; skipped, and said, without them.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import simic
from simic import find_bin

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
GAMES = FIXTURES / "simulated" / "campaign.parquet"
STEPS = FIXTURES / "simulated" / "steps.parquet"

#: Requests of the setting up, which moto answers without looking at their keys.
UNCHECKED = 3


def missing() -> str | None:
    """Why these tests cannot run here."""
    for module in ("moto", "boto3", "flask"):
        if importlib.util.find_spec(module) is None:
            return f"{module} is not installed (pip install 'moto[s3,server]')"
    asked = subprocess.run(
        [find_bin(), "inspect", "s3://bucket/x.parquet"], capture_output=True, text=True, env={}, check=False
    )
    return "the program is built without the feature cloud" if "has no object stores" in asked.stderr else None


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Stores(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        reason = missing()
        if reason:
            print(f"skipped: object stores: {reason}", file=sys.stderr)
            raise unittest.SkipTest(reason)
        import boto3  # Only where the tests run.
        from botocore.config import Config

        cls.url = f"http://127.0.0.1:{free_port()}"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        environment = {**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": str(UNCHECKED)}
        port = cls.url.rsplit(":", 1)[1]
        command = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", port]
        cls.server = subprocess.Popen(command, env=environment, **quiet)
        cls.addClassCleanup(cls.server.wait)
        cls.addClassCleanup(cls.server.terminate)
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{cls.url}/moto-api/", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        # Keys that may do everything in S3, made while keys are not looked at yet.
        some = {"endpoint_url": cls.url, "region_name": "us-east-1"}
        anyone = {"aws_access_key_id": "setup", "aws_secret_access_key": "setup"}
        users = boto3.client("iam", **some, **anyone)
        users.create_user(UserName="reader")
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
        users.put_user_policy(UserName="reader", PolicyName="all", PolicyDocument=json.dumps(policy))
        key = users.create_access_key(UserName="reader")["AccessKey"]
        cls.keys = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
        cls.s3 = boto3.client(
            "s3",
            **some,
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
            config=Config(s3={"addressing_style": "path"}),
        )
        cls.s3.create_bucket(Bucket="bucket")
        for name in ("runs/a.parquet", "runs/deep/b.parquet", "other/c.parquet"):
            cls.s3.put_object(Bucket="bucket", Key=name, Body=GAMES.read_bytes())
        cls.s3.put_object(Bucket="bucket", Key="steps.parquet", Body=STEPS.read_bytes())

    def simic(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        env = {"AWS_ENDPOINT_URL": self.url, "AWS_REGION": "us-east-1", **self.keys, **environment}
        program = find_bin()
        return subprocess.run(
            [program, *words, "--no-config"], capture_output=True, text=True, env=env, check=False, timeout=120
        )

    def done(self, *words: str) -> str:
        ran = self.simic(*words)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        return ran.stdout

    def refused(self, code: int, *words: str, **environment: str) -> str:
        ran = self.simic(*words, **environment)
        self.assertEqual(ran.returncode, code, ran.stderr)
        self.assertIn("hint: ", ran.stderr)
        self.assertNotIn(self.keys["AWS_SECRET_ACCESS_KEY"], ran.stderr + ran.stdout)
        return ran.stderr

    def test_an_object_gives_the_bytes_of_its_file(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / "a.parquet"
            local.write_bytes(GAMES.read_bytes())
            for verb in ("shapley", "interactions", "ablation"):
                line = ("analyze", verb, "--format", "json")
                self.assertEqual(self.done(*line, "s3://bucket/runs/a.parquet"), self.done(*line, str(local)))
        line = ("normalize", "replay", "--momentum", "0.99", "--format", "json")
        self.assertEqual(self.done(*line, "s3://bucket/steps.parquet"), self.done(*line, str(STEPS)))

    def test_patterns_and_folders(self) -> None:
        def files(what: str) -> list[str]:
            # Copies of one file are a finding: exit code 1.
            document = json.loads(self.simic("inspect", what, "--format", "json").stdout)
            return [file["file"].removeprefix("s3://bucket/") for file in document["files"]]

        self.assertEqual(files("s3://bucket/runs/"), ["runs/a.parquet", "runs/deep/b.parquet"])
        self.assertEqual(files("s3://bucket/[or]*/?.parquet"), ["other/c.parquet", "runs/a.parquet"])
        self.assertEqual(len(files("s3://bucket/runs/**/*.parquet")), 2)
        self.assertIn("no file matches", self.refused(3, "inspect", "s3://bucket/runs/*.arrow"))

    def test_wrong_keys_and_missing_buckets(self) -> None:
        what = ("inspect", "s3://bucket/runs/")
        said = self.refused(3, *what, AWS_ACCESS_KEY_ID="AKIAUNKNOWN")
        self.assertRegex(said, "refuses access .403 InvalidAccessKeyId.")
        said = self.refused(3, *what, AWS_SECRET_ACCESS_KEY="wrong")
        self.assertRegex(said, "refuses access .403 SignatureDoesNotMatch.")
        self.assertIn("no such bucket", self.refused(3, "inspect", "s3://nowhere/a.parquet"))
        self.assertIn("no such bucket", self.refused(3, "inspect", "s3://nowhere/runs/"))
        self.assertIn("no such file", self.refused(3, "inspect", "s3://bucket/gone.parquet"))

    def test_a_cut_off_object(self) -> None:
        body = GAMES.read_bytes()
        self.s3.put_object(Bucket="bucket", Key="cut/x.parquet", Body=body[: len(body) // 2])
        said = self.refused(3, "analyze", "shapley", "s3://bucket/cut/x.parquet")
        self.assertIn("does not end with PAR1", said)

    def test_an_object_that_is_replaced_while_it_is_read(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            large, pipe = Path(folder) / "large.parquet", Path(folder) / "pipe"
            self.done("simulate", "transitions", "-o", str(large), "--obs-width", "32", "--n-steps", "2000")
            body = large.read_bytes()
            self.s3.put_object(Bucket="bucket", Key="large.parquet", Body=body)
            os.mkfifo(pipe)
            line = [find_bin(), "normalize", "stats", "s3://bucket/large.parquet", str(pipe), "--no-config"]
            env = {"AWS_ENDPOINT_URL": self.url, "AWS_REGION": "us-east-1", **self.keys}
            reading = subprocess.Popen(line, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            # The pipe is opened once the object has been looked at, and before its columns are read.
            with pipe.open("wb") as waiting:
                self.s3.put_object(Bucket="bucket", Key="large.parquet", Body=body[:-1])
                waiting.write(STEPS.read_bytes())
            _, said = reading.communicate(timeout=120)
            self.assertEqual(reading.returncode, 3, said)
            self.assertIn("s3://bucket/large.parquet: changed while it was read", said)

    def test_large_outputs_are_sent_by_parts(self) -> None:
        line = ("simulate", "transitions", "--compression", "none", "--obs-width", "64", "--n-steps", "40000")
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / "big.parquet"
            self.done(*line, "-o", str(local))
            self.assertGreater(local.stat().st_size, 64 << 20)
            self.done(*line, "-o", "s3://bucket/big.parquet")
            sent = self.s3.get_object(Bucket="bucket", Key="big.parquet")["Body"].read()
            self.assertEqual(sent, local.read_bytes())
        self.assertIn("--force replaces it", self.refused(2, *line, "-o", "s3://bucket/big.parquet"))

    def test_outputs_are_written_once(self) -> None:
        line = ("analyze", "shapley", "s3://bucket/runs/a.parquet")
        self.done(*line, "-o", "s3://bucket/out/x.json")
        written = self.s3.get_object(Bucket="bucket", Key="out/x.json")["Body"].read().decode()
        self.assertEqual(written, self.done(*line, "--format", "json"))
        self.assertIn("--force replaces it", self.refused(2, *line, "-o", "s3://bucket/out/x.json"))
        self.done(*line, "-o", "s3://bucket/out/x.json", "--force")
        self.assertIn("no such bucket", self.refused(3, *line, "-o", "s3://nowhere/x.json"))
        uploads = self.s3.list_multipart_uploads(Bucket="bucket").get("Uploads", [])
        self.assertEqual(uploads, [])

    def test_a_job_in_a_store(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.done("simulate", "transitions", "-o", f"{folder}/", "--n-runs", "3", "--n-steps", "300")
            for local in Path(folder).iterdir():
                self.s3.put_object(Bucket="bucket", Key=f"walks/{local.name}", Body=local.read_bytes())
        job = "s3://bucket/jobs/a"
        verb = ("normalize", "replay", "s3://bucket/walks/", "-o", "s3://bucket/rows.parquet", "--force")
        whole = self.done(*verb)
        rows = self.s3.get_object(Bucket="bucket", Key="rows.parquet")["Body"].read()
        plan = ("shard", "plan", job, "--target-bytes", "1", "--format", "json", "--")
        self.assertEqual(json.loads(self.done(*plan, *verb))["n_tasks"], 3)
        self.assertIn("holds a job", self.refused(2, *plan, *verb))
        self.done("shard", "exec", job, "--task", "1")
        part = self.s3.get_object(Bucket="bucket", Key="jobs/a/parts/1")["Body"].read()
        self.s3.put_object(Bucket="bucket", Key="jobs/a/parts/1", Body=part[:-1])
        status = self.simic("shard", "status", job, "--format", "json")
        self.assertEqual((status.returncode, json.loads(status.stdout)["n_done"]), (1, 0))
        keys = {"AWS_ENDPOINT_URL": self.url, "AWS_REGION": "us-east-1", **self.keys}
        with mock.patch.dict(os.environ, keys), ThreadPoolExecutor(2) as pool:
            self.assertEqual(simic.submit(job, pool).done, 3)
        self.done("shard", "run", job, "--workers", "1")
        self.s3.delete_object(Bucket="bucket", Key="rows.parquet")
        self.assertEqual(self.done("shard", "merge", job), whole)
        self.assertEqual(self.s3.get_object(Bucket="bucket", Key="rows.parquet")["Body"].read(), rows)
        self.assertEqual(self.s3.get_object(Bucket="bucket", Key="jobs/a/parts/1")["Body"].read(), part)
        # Fewer tasks leave no parts of more.
        self.done("shard", "plan", job, "--force", "--", *verb)
        listed = self.s3.list_objects_v2(Bucket="bucket", Prefix="jobs/a/parts/")["Contents"]
        self.assertEqual({Path(found["Key"]).name.split(".")[0] for found in listed}, {"0"})
        self.assertIn("part 0 is of other input", self.refused(3, "shard", "merge", job, "--allow-missing"))
        task = ("shard", "exec", job, "--task", "0")
        self.assertIn("403", self.refused(3, *task, AWS_SECRET_ACCESS_KEY="wrong"))
        self.refused(75, *task, AWS_ENDPOINT_URL=f"http://127.0.0.1:{free_port()}")
        self.assertIn("no job here", self.refused(3, "shard", "exec", "s3://bucket/jobs/b", "--task", "0"))

    def test_profiles_are_left_to_amazons_tools(self) -> None:
        said = self.refused(3, "inspect", "s3://bucket/runs/", AWS_PROFILE="lab", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
        self.assertTrue(re.search(r"aws configure export-credentials --profile lab --format env", said), said)


if __name__ == "__main__":
    unittest.main()
