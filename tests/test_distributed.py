"""A plant with Kafka, QuestDB and Flink, each of them killed once: the rows of an embedded run."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.command import good, running, sql, wait_for
from tests.kafka_plants import assert_all_there
from tests.runtimes import recorded
from tests.servers import Server
from tickloop.streaming.finding import find
from tickloop.streaming.job import job
from tickloop.tickerplant.sinks.cursor import CursorFile
from tickloop.tickerplant.sinks.questdb_rest import QuestDb

DAY = "lobster/LOBSTER_SampleFile_AMZN_2012-06-21_1.zip"
STREAMS = ("bars", "signals")
OPERATORS = '[stream.bars]\ninterval = "1m"\n[stream.signals]\n'
TABLES = ("trade", "quote", "bar", "signal")
# Slow enough that everything is killed before the day is over, on a slow machine too.
SPEED = "40"


def distributed(folder: Path, kafka: Server, questdb: Server, flink: Server, prefix: str) -> Path:
    """Write a configuration with every server in it."""
    path = folder / "distributed.toml"
    path.write_text(
        f'[sinks.kafka]\nbootstrap = "{kafka.address}"\nprefix = "{prefix}"\nshards = 2\n'
        f'drain_s = 60\n[sinks.questdb]\naddress = "{questdb.address}"\n'
        f'tables = "{" ".join(TABLES)}"\n[flink]\nrest = "http://{flink.address}"\n'
        f'streams = "{" ".join(STREAMS)}"\n{OPERATORS}'
    )
    return path


def cancel_jobs(config: Path) -> None:
    """Leave the cluster to the next test."""
    good("stream", "cancel", *STREAMS, "--config", config)


def rows(data: Path, *place: str | Path) -> dict[str, int]:
    """Count rows of the tables."""
    union = " UNION ALL ".join(f"SELECT '{t}' AS name, count(*) AS n FROM {t}" for t in TABLES)
    counted = good("sql", "--data", data, "--format", "csv", *place, union).rows
    return {each["name"]: int(each["n"]) for each in counted}


def test_every_server_is_killed_once_and_the_rows_are_those_of_an_embedded_run(
    mortal_kafka: Server, mortal_questdb: Server, mortal_flink: Server, prefix: str,
    market_data: Callable[[str], Path], tmp_path: Path,
) -> None:  # fmt: skip
    feed = ("--feed", f"lobster:{market_data(DAY)}")
    embedded = tmp_path / "embedded.toml"
    embedded.write_text(OPERATORS)
    one, other = tmp_path / "one", tmp_path / "other"
    good("run", *feed, "--data", one, "--config", embedded)
    empty(mortal_questdb)
    config = distributed(tmp_path, mortal_kafka, mortal_questdb, mortal_flink, prefix)
    command = ("run", *feed, "--data", other, "--config", config)
    try:
        with running(*command, "--speed", SPEED) as plant:
            results_come(other, plant)
            for server in (mortal_kafka, mortal_questdb, mortal_flink):
                server.kill()
                server.start()
            good("stream", "deploy", "--missing", "--config", config)
            before = taken(other)
            wait_for(lambda: taken(other) > before, plant)
            results_come(other, plant)
            assert plant.poll() is None, "the run ended before it could be killed"
            os.kill(plant.pid, signal.SIGKILL)
        good(*command)
        assert_all_there(other, mortal_kafka.address, prefix)
        assert rows(other) == rows(other, "--on", "questdb", "--config", config) == rows(one)
        for name in STREAMS:
            wanted = job(name, find(name), {"interval": "1m"} if name == "bars" else {})
            assert recorded(wanted, other) == recorded(wanted, one), name
    finally:
        cancel_jobs(config)


def test_a_run_that_is_killed_while_it_waits_for_results_goes_on_with_the_same_command(
    kafka: Server, mortal_flink: Server, prefix: str, tmp_path: Path
) -> None:
    data, config = tmp_path / "data", tmp_path / "c.toml"
    text = (
        f'[sinks.kafka]\nbootstrap = "{kafka.address}"\nprefix = "{prefix}"\nshards = 2\n'
        'drain_s = 60\n[stream.bars]\n[flink]\nstreams = "bars"\nrest = "http://{}"\n'
    )
    config.write_text(text.replace("{}", "127.0.0.1:1"))  # where nobody starts any job
    day = ("--feed", "synthetic:2024-01-02", "--messages", "20000", "--symbols", "5")
    with running("run", *day, "--data", data, "--config", config) as plant:
        wait_for((data / "cursors" / "kafka.json").exists, plant)
        expected = 0
        while (found := taken(data)) > expected or not found:
            expected = found
            time.sleep(1)
        assert plant.poll() is None
        os.kill(plant.pid, signal.SIGKILL)
    config.write_text(text.replace("{}", mortal_flink.address))
    try:
        done = good("run", *day, "--data", data, "--config", config)
    finally:
        good("stream", "cancel", "bars", "--config", config)
    assert re.search(r"bar +[\d,]+", done.out), "the summary counts what jobs made"
    (tmp_path / "bars.toml").write_text("[stream.bars]\n")
    good("run", *day, "--data", tmp_path / "one", "--config", tmp_path / "bars.toml")
    question = "SELECT * EXCLUDE (seq, time, cause) FROM bar ORDER BY ALL"
    assert sql(data, question) == sql(tmp_path / "one", question)
    assert len(sql(data, question)) > 100


def empty(questdb: Server) -> None:
    """Drop what other tests wrote, whose sizes may be of another kind."""
    server = QuestDb(questdb.address)
    for row in server.ask("SELECT table_name FROM tables()"):
        server.ask(f"DROP TABLE {row['table_name']}")


def taken(data: Path) -> int:
    """Say how many rows the brokers have."""
    cursor = CursorFile(data, "kafka").peek()
    return 0 if cursor is None else cursor.rows


def results_come(data: Path, plant: "subprocess.Popen[str]") -> None:
    """Wait until more rows that jobs made are in the log."""
    wait_for((data / "manifest.json").exists, plant)
    before = int(sql(data, "SELECT count(*) AS n FROM bar")[0]["n"])
    wait_for(lambda: int(sql(data, "SELECT count(*) AS n FROM bar")[0]["n"]) > before, plant)
