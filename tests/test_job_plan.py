"""A job plan says everything that decides what a job computes, and refuses what no job can be."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tickloop.core.errors import ConfigError, OperatorError
from tickloop.streaming.flink.package import archive
from tickloop.streaming.flink.plan import JobPlan, from_json, read

GIVEN: dict[str, Any] = {
    "name": "minute", "operator": "bars", "brokers": "127.0.0.1:9092", "prefix": "md.",
    "shards": 4, "tables": ("trade", "quote"), "params": {"interval": "1m"},
}  # fmt: skip


def test_a_plan_comes_back_from_its_text_and_from_a_file(tmp_path: Path) -> None:
    plan = JobPlan(**GIVEN, start={"seq": 7}, parallelism=2)
    path = tmp_path / "plan.json"
    path.write_text(plan.to_json())
    assert read(plan.to_json()) == read(str(path)) == plan


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"guarantee": "maybe"}, "at_least_once or exactly_once expected"),
        ({"parallelism": 5}, "1 to 4"),
        ({"max_parallelism": 3}, "4 (shards) to 32768 expected"),
        ({"start": {"offset": 3}}, 'earliest or {"seq": n} expected'),
        ({"tables": ()}, "at least one table"),
        ({"name": "a-b"}, "a letter, then letters"),
        ({"speed": 1}, "unknown speed"),
    ],
)
def test_a_plan_that_no_job_can_have_is_refused(change: dict[str, Any], said: str) -> None:
    text = json.dumps({**GIVEN, **change})
    with pytest.raises(ConfigError) as refused:
        from_json(text)
    assert said in str(refused.value)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match="operator"):
        from_json('{"name": "minute"}')


def test_equal_code_makes_equal_archives_and_a_file_of_ones_own_another(tmp_path: Path) -> None:
    first, second = archive(tmp_path / "one"), archive(tmp_path / "two")
    assert first.digest == second.digest
    assert first.path.read_bytes() == second.path.read_bytes()
    own = tmp_path / "own.py"
    own.write_text("A = 1\n")
    third = archive(tmp_path / "one", str(own))
    assert third.digest != first.digest
    with pytest.raises(OperatorError, match="no such file"):
        archive(tmp_path, str(tmp_path / "absent.py"))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("import pandas\n", "1: import of pandas"), ("from . import more\n", "1: import of . seen"),
        ("from .types import x\n", "1: import of . seen"),
        ("import numpy\n\ndef f():\n    from helper.deep import x\n", "4: import of helper.deep"),
    ],
)  # fmt: skip
def test_a_file_of_ones_own_that_needs_more_than_a_cluster_has_is_refused(
    text: str, line: str, tmp_path: Path
) -> None:
    own = tmp_path / "own.py"
    own.write_text(text)
    with pytest.raises(OperatorError, match=rf"own\.py:{line}.*into its one file"):
        archive(tmp_path / "one", str(own))


def test_what_a_file_of_ones_own_imports_of_ours_is_in_the_archive(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    typing = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas\n"
    own.write_text(typing + "from tickloop.core import clock\nimport tickloop.ingest.feed\n")
    with zipfile.ZipFile(archive(tmp_path / "one", str(own)).path) as found:
        assert "tickloop/ingest/feed.py" in found.namelist()


def test_an_archive_alone_holds_every_module_that_its_modules_import(tmp_path: Path) -> None:
    found = archive(tmp_path)
    code = (
        "import sys, tickloop\n"
        "tickloop.__path__ = [sys.argv[1] + '/tickloop']\n"
        "from tickloop.streaming.finding import find\n"
        "import tickloop.streaming.flink.plan\n"
        "print(*(find(n).name for n in ('bars', 'signals', 'pairs', 'quality')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(found.path)], capture_output=True, text=True, check=True,
        cwd=tmp_path, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.stdout.split() == ["bars", "signals", "pairs", "quality"]
