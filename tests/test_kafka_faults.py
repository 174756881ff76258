"""A broker, plants and sinks that are killed at random moments, under load: none lost or twice."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

from tests.command import Done, good, journal_bytes, running, tickloop, wait_for
from tests.kafka_plants import FEED, assert_all_there, config_file, sink_pids
from tests.servers import Server
from tickloop.tickerplant.sinks.cursor import CursorFile


def started(data: Path, *arguments: str | Path) -> list[str | Path]:
    return ["run", "--data", data, *FEED, *arguments]


def kill(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()


def sent(data: Path) -> int:
    cursor = CursorFile(data, "kafka").peek()
    return 0 if cursor is None else cursor.rows


def test_a_broker_that_is_killed_under_load_loses_and_repeats_nothing(
    mortal_kafka: Server, tmp_path: Path, prefix: str, moments: random.Random
) -> None:
    data = tmp_path / "data"
    config = config_file(tmp_path, mortal_kafka, prefix, drain_s=200)
    with running(*started(data, "--messages", "500000", "--config", config)) as process:
        wait_for(lambda: sent(data) > 0, process)
        time.sleep(moments.uniform(0, 1.0))
        mortal_kafka.kill()
        mortal_kafka.start()
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, (out, err)
    assert_all_there(data, mortal_kafka.address, prefix)


def test_a_broker_that_is_away_stops_nobody_and_gets_everything_later(
    mortal_kafka: Server, tmp_path: Path, prefix: str
) -> None:
    data = tmp_path / "data"
    good("run", "--data", data, *FEED, "--messages", "10000",
         "--config", config_file(tmp_path, mortal_kafka, prefix))  # fmt: skip
    mortal_kafka.kill()
    try:
        config = config_file(tmp_path, mortal_kafka, prefix, drain_s=1)
        done = good("run", "--data", data, "--feed", "synthetic:2024-01-03", "--symbols", "20",
                    "--messages", "60000", "--config", config)  # fmt: skip
        assert "the rest waits in the journal: tickloop sink kafka" in done.err
        left = tickloop("sink", "kafka", "--data", data, "--config", config)
        left.refused("rows are still waiting")
    finally:
        mortal_kafka.start()
    patient = config_file(tmp_path, mortal_kafka, prefix)
    good("sink", "kafka", "--data", data, "--config", patient)
    assert_all_there(data, mortal_kafka.address, prefix)


def test_a_broker_that_is_away_under_load_is_caught_up_with_by_the_same_run(
    mortal_kafka: Server, tmp_path: Path, prefix: str
) -> None:
    """`TICKLOOP_AWAY_S=600` makes it the ten minutes of a bad day."""
    away_s = float(os.environ.get("TICKLOOP_AWAY_S", "20"))
    data = tmp_path / "data"
    config = config_file(tmp_path, mortal_kafka, prefix, drain_s=120)
    speed = str(61_200 / (away_s + 15))  # the synthetic day's 17 hours, and some seconds beside
    with running(
        *started(data, "--messages", "200000", "--speed", speed, "--port", "0", "--config", config)
    ) as process:
        wait_for(lambda: sent(data) > 0, process)
        mortal_kafka.kill()
        before, rows = journal_bytes(data), sent(data)
        time.sleep(away_s)
        grown, reached = journal_bytes(data), sent(data)
        mortal_kafka.start()
        assert grown > before + 1_000_000  # the plant went on
        assert reached <= rows + 50_000  # and the sink, but for what was acknowledged before
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, (out, err)
    assert_all_there(data, mortal_kafka.address, prefix)


def test_plants_and_sinks_that_are_killed_lose_and_repeat_nothing(
    kafka: Server, tmp_path: Path, prefix: str, moments: random.Random
) -> None:
    data = tmp_path / "data"
    config = config_file(tmp_path, kafka, prefix)
    command = started(data, "--messages", "800000", "--config", config)
    for round_ in range(3):
        # At a pace: a fast machine would have the whole day before it is killed for the last time.
        with running(*command, "--speed", "8000", "--port", "0") as process:
            before = journal_bytes(data) if data.exists() else 0
            wait_for(lambda: journal_bytes(data) > before + 100_000, process)  # noqa: B023
            time.sleep(moments.uniform(0, 0.5))
            if round_ != 1:  # the sink alone, and then the plant beside the one that came for it
                for pid in sink_pids(data):
                    os.kill(pid, signal.SIGKILL)
                time.sleep(moments.uniform(0, 0.4))
            kill(process)
    ended: Done = good(*command)
    assert f"rows in {kafka.address} {prefix}*" in ended.err
    assert_all_there(data, kafka.address, prefix)
