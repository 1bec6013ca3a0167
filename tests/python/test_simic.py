"""`import simic` against the program: SIMIC_BIN names it, or the package was installed with it.

SIMIC_BIN=target/release/simic PYTHONPATH=python python -m unittest discover -s tests/python
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import simic
from simic import _arrow, _flags

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
DIGITS = FIXTURES / "digits_regions.parquet"
GLOVE = FIXTURES / "reference" / "glove_1_2.parquet"
STEPS = FIXTURES / "normalizers" / "steps.parquet"
STATE = FIXTURES / "normalizers" / "vecnormalize.pkl"

#: One call of every verb, what it is called with, and whether it has a picture.
CALLS = [
    (simic.inspect, DIGITS, {}, False),
    (simic.shapley, DIGITS, {}, True),
    (simic.interactions, DIGITS, {}, True),
    (simic.ablation, DIGITS, {}, True),
    (simic.stats, STEPS, {}, True),
    (simic.replay, STEPS, {"momentum": 0.99}, True),
    (simic.compare, STEPS, {"momentum": "0.9,0.99"}, True),
    (simic.verify, STEPS, {"state": STATE}, False),
]


def has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


class Verbs(unittest.TestCase):
    def test_every_verb_has_a_document_a_verdict_and_a_table(self):
        for verb, runs, flags, _ in CALLS:
            with self.subTest(verb.__name__):
                result = verb(runs, **flags)
                self.assertEqual((result.code, result.passed), (0, True))
                self.assertTrue(result.document["schema"].startswith("simic."))
                self.assertEqual(result.verdict, result.document.get("verdict", []))
                self.assertEqual(bool(result.verdict), verb is not simic.inspect)
                self.assertIn("\n".join(result.verdict), repr(result))

    def test_pictures_are_svg_and_stand_in_notebooks_below_the_verdict(self):
        for verb, runs, flags, has_picture in CALLS:
            with self.subTest(verb.__name__):
                result = verb(runs, **flags)
                page = result._repr_html_()
                self.assertEqual(["<pre>" in page, "<svg" in page], [not has_picture, has_picture])
                if has_picture:
                    self.assertIn("<svg", result.figure(theme="paper"))
                else:
                    with self.assertRaises(simic.SimicError):
                        result.figure()

    def test_glove_values_are_those_of_the_book(self):
        result = simic.shapley(GLOVE)
        values = {row["slot_id"]: row["shapley"] for row in result.rows() if row["scope"] == "game"}
        for player, value in {"p0": 2 / 3, "p1": 1 / 6, "p2": 1 / 6}.items():
            self.assertAlmostEqual(values[player], value, places=12)

    def test_a_list_of_runs_and_the_environment_are_read(self):
        both = simic.inspect([DIGITS, str(GLOVE)])
        self.assertEqual(len(both.document["files"]), 2)
        with mock.patch.dict(os.environ, SIMIC_RUNS=str(GLOVE)):
            self.assertEqual(simic.shapley().document, simic.shapley(GLOVE).document)

    def test_replay_writes_rows_and_its_table_asks_without_writing(self):
        with tempfile.TemporaryDirectory() as folder:
            rows, trace = Path(folder, "rows.parquet"), Path(folder, "trace.parquet")
            result = simic.replay(STEPS, momentum=0.99, output=rows, trace=trace)
            before = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
            self.assertEqual(set(before), {"rows.parquet", "trace.parquet"})
            for path in (rows, trace):
                path.unlink()
            self.assertEqual(len(result.rows()), 11)
            self.assertEqual(list(Path(folder).iterdir()), [])

    def test_a_mismatch_is_a_result_and_no_exception(self):
        result = simic.verify(STEPS, state=FIXTURES / "normalizers" / "rsl_rl.pt", preset="sb3")
        self.assertEqual((result.code, result.passed), (1, False))
        self.assertTrue(result.rows())

    def test_a_check_that_fails_is_a_result_and_one_that_compares_nothing_an_exception(self):
        changed = b"slot:A,slot:B,val_accuracy\n0,0,0.5\n1,0,0.7\n0,1,0.6\n1,1,"
        with tempfile.TemporaryDirectory() as folder:
            self.addCleanup(os.chdir, os.getcwd())
            os.chdir(folder)
            rows = Path("rows.csv")
            rows.write_bytes(changed + b"0.9\n")
            with self.assertRaises(simic.SimicError) as missing:
                simic.check(rows)
            self.assertEqual(missing.exception.code, 3)
            simic.run(["check", "record", rows])
            self.assertTrue(simic.check(rows).passed)
            rows.write_bytes(changed + b"0.4\n")
            worse = simic.check(rows)
            self.assertEqual((worse.code, worse.passed), (1, False))
            self.assertIn("regressed", {row["verdict"] for row in worse.rows()})
            with self.assertRaises(simic.SimicError) as other:
                simic.check(DIGITS)
            self.assertEqual(other.exception.code, 3)
            self.assertTrue(other.exception.message.startswith("Nothing is compared"))
            self.assertIn("--other-runs", other.exception.hint)
            os.chdir("/")


class Tables(unittest.TestCase):
    def test_rows_are_the_csv_of_the_program(self):
        for verb, runs, flags, _ in CALLS:
            with self.subTest(verb.__name__):
                result = verb(runs, **flags)
                again = [part for part in result.command if part != "--format=json"]
                again.insert(again.index("--"), "--format=csv")
                lines = simic.run(again).stdout.decode().splitlines()
                rows = result.rows()
                self.assertEqual(len(rows), len(lines) - 1)
                if rows:
                    self.assertEqual(",".join(rows[0]), lines[0])

    @unittest.skipUnless(has("polars"), "polars is not installed")
    def test_rows_are_what_polars_reads(self):
        for verb, runs, flags, _ in CALLS:
            with self.subTest(verb.__name__):
                result = verb(runs, **flags)
                frame = result.table
                self.assertEqual(type(frame).__module__.split(".")[0], "polars")
                self.assertEqual(frame.to_dicts(), result.rows())

    @unittest.skipUnless(has("pandas"), "pandas is not installed")
    def test_pandas_has_the_same_values_and_types(self):
        result = simic.shapley(DIGITS)
        frame = result.to_pandas()
        self.assertEqual(str(frame["n"].dtype), "Int64")
        self.assertEqual(str(frame["significant"].dtype), "boolean")
        self.assertEqual(frame["shapley"].tolist(), [row["shapley"] for row in result.rows()])

    def test_without_frames_the_table_is_a_list_of_dicts(self):
        with mock.patch.dict(sys.modules, polars=None, pandas=None):
            result = simic.shapley(GLOVE)
            self.assertEqual(result.table, result.rows())
            self.assertEqual(type(result.table), list)

    def test_what_is_no_table_of_the_program_is_refused(self):
        for data in (b"", b"ARROW1", GLOVE.read_bytes()):
            with self.assertRaises(ValueError):
                _arrow.read(data)


class Frames(unittest.TestCase):
    @unittest.skipUnless(has("polars"), "polars is not installed")
    def test_a_polars_frame_is_read_as_its_file_is(self):
        import polars

        frame = polars.read_parquet(DIGITS)
        expected = simic.shapley(DIGITS).document
        for given in (frame, frame.lazy(), [frame]):
            found = simic.shapley(given).document
            self.assertEqual(found["summary"], expected["summary"])

    @unittest.skipUnless(has("pandas") and has("pyarrow"), "pandas or pyarrow is not installed")
    def test_a_pandas_frame_is_read_as_its_file_is(self):
        import pandas

        frame = pandas.read_parquet(GLOVE)
        expected = simic.shapley(GLOVE).document["games"][0]["players"]
        self.assertEqual(simic.shapley(frame).document["games"][0]["players"], expected)

    @unittest.skipUnless(has("pandas") and has("pyarrow"), "pandas or pyarrow is not installed")
    def test_an_index_with_a_name_is_a_column(self):
        import pandas

        frame = pandas.read_parquet(DIGITS)
        expected = simic.shapley(frame).document["summary"]
        self.assertEqual(simic.shapley(frame.set_index("run_id")).document["summary"], expected)

    def test_frames_are_gone_with_the_result(self):
        class Frame:
            def write_parquet(self, path: str) -> None:
                shutil.copy(GLOVE, path)

        result = simic.shapley(Frame())
        path = Path(result.command[-1])
        self.assertTrue(path.exists())
        del result
        self.assertFalse(path.exists())

    def test_what_is_no_frame_is_a_type_error(self):
        with self.assertRaisesRegex(TypeError, "paths or data frames, not int"):
            simic.shapley(3)


class Errors(unittest.TestCase):
    def test_an_error_has_the_code_the_message_and_the_hint(self):
        with self.assertRaises(simic.SimicError) as raised:
            simic.shapley("nowhere.parquet")
        error = raised.exception
        self.assertEqual(error.code, 3)
        self.assertEqual(error.message, "nowhere.parquet: no such file or directory")
        self.assertTrue(error.hint.startswith("check the path"))
        self.assertEqual(str(error), f"{error.message}\nhint: {error.hint}")

    def test_wrong_usage_is_code_2_and_says_the_flag(self):
        with self.assertRaises(simic.SimicError) as raised:
            simic.shapley(GLOVE, methode="exact")
        self.assertEqual(raised.exception.code, 2)
        self.assertIn("--methode", raised.exception.message)

    def test_a_result_that_went_elsewhere_is_told(self):
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaisesRegex(simic.SimicError, "printed no result"):
                simic.shapley(GLOVE, output=Path(folder, "result.json"))

    def test_notes_before_the_error_are_no_part_of_it(self):
        error = simic.SimicError.of(3, b"", b"note: a\nerror: b: c\nhint: d\n")
        self.assertEqual((error.message, error.hint), ("b: c", "d"))
        self.assertIn("signal 9", simic.SimicError.of(-9, b"half", b"note: a\n").message)

    def test_notes_of_a_result_are_kept(self):
        notes = simic.shapley(FIXTURES / "simulated" / "repeats.parquet").notes
        self.assertTrue(notes[0].startswith("note: 32 rows"))


class Flags(unittest.TestCase):
    def test_keywords_become_flags(self):
        given = {
            "carry_over": True,
            "missing": None,
            "wide": False,
            "confidence": 0.9,
            "momentum": 1e-300,
            "seed": 3,
            "value": ["a", "b"],
            "column": {"reward": "r"},
            "state": Path("x"),
            "range": "-1,1",
        }
        expected = (
            "--carry-over --confidence=0.9 --momentum=1e-300 --seed=3 --value=a --value=b "
            "--column=reward=r --state=x --range=-1,1"
        )
        self.assertEqual(list(_flags.arguments(given)), expected.split())

    def test_flags_that_the_package_sets_and_values_that_none_has_are_refused(self):
        for keywords in ({"format": "csv"}, {"figure": "x.svg"}, {"seed": object()}, {"range": {1, 2}}):
            with self.assertRaises(TypeError):
                simic.shapley(GLOVE, **keywords)

    def test_flags_reach_the_program(self):
        result = simic.shapley(
            FIXTURES / "tables" / "sweep.csv", players=["attn", "aug", "norm"], confidence=0.9, seed=7
        )
        settings = result.document["settings"]
        self.assertEqual((settings["confidence"], settings["seed"]), (0.9, 7))


class Finding(unittest.TestCase):
    def setUp(self):
        self.program = simic.find_bin()

    def found(self, root: str, **environment: str) -> subprocess.CompletedProcess:
        """What a copy of the package below `root` finds, without the variable and with an empty PATH."""
        variables = {name: value for name, value in os.environ.items() if name != "SIMIC_BIN"}
        variables.update(PATH=root, PYTHONPATH=root, **environment)
        code = "import simic; print(simic.find_bin())"
        return subprocess.run(
            [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False
        )

    def test_the_program_is_found_beside_the_package_and_where_pip_puts_it(self):
        for place in ("simic/simic", "simic/bin/simic", "bin/simic"):
            with self.subTest(place), tempfile.TemporaryDirectory() as root:
                root = os.path.realpath(root)
                shutil.copytree(Path(simic.__file__).parent, Path(root, "simic"))
                target = Path(root, place)
                target.parent.mkdir(exist_ok=True)
                target.symlink_to(self.program)
                self.assertEqual(self.found(root).stdout.strip(), str(target))

    def test_the_variable_wins_and_one_that_names_nothing_is_an_error(self):
        with mock.patch.dict(os.environ, SIMIC_BIN=self.program):
            self.assertEqual(simic.find_bin(), os.path.abspath(self.program))
        missing = self.assertRaisesRegex(FileNotFoundError, "SIMIC_BIN=/nowhere/simic")
        with mock.patch.dict(os.environ, SIMIC_BIN="/nowhere/simic"), missing:
            simic.find_bin()

    def test_run_gives_bytes_and_takes_stdin(self):
        csv = b"A,B,val_accuracy\n0,0,0.5\n1,0,0.7\n0,1,0.6\n1,1,0.9\n"
        done = simic.run(["analyze", "shapley", "-", "--players", "A,B", "--format", "json"], input=csv)
        self.assertEqual(done.returncode, 0)
        values = [player["shapley"] for player in json.loads(done.stdout)["games"][0]["players"]]
        for value, expected in zip(values, (0.25, 0.15)):
            self.assertAlmostEqual(value, expected, places=12)

    def test_python_m_simic_is_the_program(self):
        command = [sys.executable, "-m", "simic", "--version"]
        done = subprocess.run(command, capture_output=True, check=False)
        self.assertEqual(done.stdout, simic.run(["--version"]).stdout)
        command[-1] = "no-such-verb"
        done = subprocess.run(command, capture_output=True, check=False)
        self.assertEqual(done.returncode, 2)


if __name__ == "__main__":
    unittest.main()
