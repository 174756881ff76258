"""A run starts its jobs on Flink: again if the cluster is not there yet, and not for ever."""

from dataclasses import replace
from pathlib import Path

import pytest

from tickloop.app import job_start
from tickloop.app.capture import Stop
from tickloop.app.job_start import JobStart
from tickloop.app.sink_processes import CONFIG
from tickloop.core.config import Config, FlinkConfig, load

NOBODY = """
[stream.bars]
[sinks.kafka]
bootstrap = "127.0.0.1:1"
[flink]
rest = "http://127.0.0.1:1"
streams = "bars"
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(job_start, "_PAUSE_S", 0.01)
    (tmp_path / "cursors").mkdir()
    (tmp_path / "cursors" / CONFIG).write_text(NOBODY)
    return tmp_path


def started(root: Path, config: Config) -> JobStart:
    found = JobStart(root, config)
    found.wait(Stop())
    assert found.is_done
    return found


def test_a_cluster_that_never_answers_is_told_of_each_time_and_given_up_with_what_to_do(
    root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    jobs = started(root, load(root / "cursors" / CONFIG))
    told = capfd.readouterr().err.splitlines()
    assert len(told) == 3
    assert all("Flink at http://127.0.0.1:1 does not answer" in line for line in told)
    assert all("the capture goes on" in line and str(jobs.log) in line for line in told)
    assert [line.endswith("is tried again in 0 s") for line in told] == [True, True, False]
    assert told[-1].endswith("`tickloop stream deploy` tries again")
    assert jobs.log.read_text().count("does not answer") == 3


def test_one_that_answers_later_is_told_of_once(
    root: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["Flink does not answer", None])
    monkeypatch.setattr(JobStart, "_attempt", lambda _: next(answers))
    started(root, load(root / "cursors" / CONFIG))
    (told,) = capfd.readouterr().err.splitlines()
    assert told.startswith("jobs on Flink: Flink does not answer")
    assert next(answers, "none left") == "none left"


def test_without_streams_on_flink_nothing_is_started(root: Path) -> None:
    config = replace(load(root / "cursors" / CONFIG), flink=FlinkConfig())
    jobs = JobStart(root, config)
    assert jobs.is_done
    jobs.wait(Stop())
    assert not (root / "cursors" / "flink.log").exists()
