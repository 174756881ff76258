"""Operators with tables of their own on a real cluster: deployed, upgraded, the same bytes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import good, sql, tickloop
from tests.installed_operator import install
from tests.runtimes import recorded
from tests.servers import Server
from tests.test_distributed import empty
from tests.test_own_tables import FEED, FLOW, example
from tickloop.core.user_tables import KINDS
from tickloop.streaming.finding import find
from tickloop.streaming.job import Job, job

# Every kind of column that an operator can write, of a table that another stream writes.
KINDS_OWN = [*(kind for kind in KINDS if kind != "string"), "price", "size"]
EVERY = f'''
"""Repeats a number of another operator's table in a column of each kind."""

import numpy as np
from tickloop.core.batch import Batch
from tickloop.core.dialects.numpy import INSIDE
from tickloop.core.operator import Scope, State
from tickloop.core.own_tables import own_table
from tickloop.core.schema import Kind

KINDS = {KINDS_OWN}
EVERY = own_table("every", {{f"a_{{kind}}": kind for kind in KINDS}})


class Every:
    name, version, scope = "every", 1, Scope.ALL
    tables, outputs, own_tables, parameters = ("flow",), ("every",), (EVERY,), ()

    def initial(self, params):
        return State(1, {{"rows": np.zeros(1, dtype=np.int64)}})

    def step(self, state, batch):
        flow, columns = batch.columns, {{}}
        state.arrays["rows"][0] += len(batch)
        for column in EVERY.columns[2:-5]:
            columns[column.name] = as_kind(column.kind, flow["trades"] % 100)
        stamps = {{name: flow[name] for name in ("time", "cause_time", "sym")}}
        seqs = {{"cause": flow["seq"], "ordinal": np.zeros(len(batch), dtype=np.int64)}}
        return state, [Batch(EVERY, {{**stamps, **columns, **seqs}})]


def as_kind(kind, numbers):
    if kind is Kind.SYMBOL:
        return np.array([b"n%d" % each for each in numbers.tolist()])
    if kind is Kind.GUID:
        return np.array([each.to_bytes(16, "little") for each in numbers.tolist()], dtype="V16")
    if kind is Kind.CHAR:
        return (numbers % 26 + 65).astype(np.uint8)
    if kind is Kind.FLAG:
        return (numbers % 2).astype(np.uint8)
    return numbers.astype(INSIDE[kind])
'''
EVERY_SECTION = '[stream.every]\noperator = "every.py"\n'


def cluster(kafka: Server, flink: Server, prefix: str, streams: str, parallelism: int) -> str:
    """Spell what a configuration says about servers."""
    return (
        f'[sinks.kafka]\nbootstrap = "{kafka.address}"\nprefix = "{prefix}"\nshards = 2\n'
        f'drain_s = 60\n[flink]\nrest = "http://{flink.address}"\nstreams = "{streams}"\n'
        f"parallelism = {parallelism}\n"
    )


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Give a folder with both operators; jobs of its configuration are ended afterwards."""
    (tmp_path / "every.py").write_text(EVERY)
    yield tmp_path
    for name in ("flow", "every"):
        tickloop("stream", "cancel", name, "--config", "flow.toml", cwd=tmp_path)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the day as the plant alone makes it."""
    place = tmp_path_factory.mktemp("embedded")
    (place / "every.py").write_text(EVERY)
    example(place, EVERY_SECTION)
    done = tickloop("run", *FEED, "--config", "flow.toml", "--data", "day", cwd=place)
    assert done.code == 0, done.err
    return place


def jobs(folder: Path) -> tuple[Job, Job]:
    flow = job("flow", find(str(folder / "flow.py")), {"interval": "1m"})
    return flow, job("every", find(str(folder / "every.py")), {})


@pytest.mark.parametrize("parallelism", [1, 2])
def test_rows_of_own_tables_are_those_of_the_plant_byte_for_byte(
    kafka: Server, mortal_questdb: Server, mortal_flink: Server, prefix: str, parallelism: int,
    folder: Path, embedded: Path,
) -> None:  # fmt: skip
    """One job reads what the other one writes; with two slots taken, the second is in the plant."""
    empty(mortal_questdb)
    streams = "flow every" if parallelism == 1 else "flow"
    sink = f'[sinks.questdb]\naddress = "{mortal_questdb.address}"\ntables = "trade flow every"\n'
    example(
        folder, EVERY_SECTION + sink + cluster(kafka, mortal_flink, prefix, streams, parallelism)
    )
    good("stream", "deploy", "--config", "flow.toml", cwd=folder)
    good("run", *FEED, "--config", "flow.toml", "--data", "day", cwd=folder)
    flow, every = jobs(folder)
    for wanted, other in ((flow, every), (every, flow)):
        made = recorded(wanted, folder / "day", other)
        assert set(made) == set(wanted.operator.outputs)
        assert made == recorded(wanted, embedded / "day", other)
    count = "SELECT count(*) AS n FROM every WHERE a_symbol = 'n' || (a_long)::VARCHAR"
    assert int(sql(folder / "day", count)[0]["n"]) > 100
    for table in ("flow", "every"):
        question = f"SELECT count(*) AS n, sum(cause) AS c, sum(ordinal) AS o FROM {table}"
        place = ("--on", "questdb", "--config", folder / "flow.toml", "--format", "csv")
        there = good("sql", "--data", folder / "day", *place, question, cwd=folder).rows
        assert there == sql(folder / "day", question)


def test_such_a_job_is_planned_watched_and_upgraded_as_any_other(
    kafka: Server, mortal_flink: Server, prefix: str, folder: Path
) -> None:
    config = example(folder, cluster(kafka, mortal_flink, prefix, "flow", 1))
    options = ("--config", config)
    first = tickloop("stream", "plan", *options, "--json", cwd=folder)
    assert (first.code, first.json[0]["verb"]) == (3, "deploy")
    columns = first.json[0]["plan"]["schemas"]["flow"]
    assert "net:size trades:long last:price stream:symbol" in columns
    good("stream", "deploy", *options, cwd=folder)
    assert "runs as it should" in good("stream", "plan", *options, cwd=folder).out
    (status,) = good("stream", "status", *options, "--json", cwd=folder).json["jobs"]
    assert (status["name"], status["state"]) == ("flow", "RUNNING")
    (folder / "flow.py").write_text(FLOW + "\n# Another text, the same table.\n")
    upgraded = good("stream", "upgrade", *options, "--json", cwd=folder)
    assert json.loads(upgraded.out.splitlines()[-1])["changes"] == 1
    (folder / "flow.py").write_text(FLOW.replace('"trades": "long"', '"trades": "int"'))
    refused = tickloop("stream", "upgrade", *options, cwd=folder)
    refused.refused("schemas: .*trades:long.* -> .*trades:int.*REFUSED: rows with the columns of")
    (folder / "flow.py").write_text(FLOW.replace('("trade", "clock")', '("trayd", "clock")'))
    unknown = tickloop("stream", "plan", *options, cwd=folder)
    unknown.refused(r"stream flow reads trayd, which is no table here: add \[tables.trayd\]")


def test_an_installed_operator_runs_where_it_is_not_installed_and_is_upgraded_with_its_package(
    kafka: Server, mortal_flink: Server, prefix: str, folder: Path
) -> None:
    package = install(folder, "desk_ops", "desk-count")
    config = folder / "steps.toml"
    section = '[stream.steps]\noperator = "desk-count"\n'
    config.write_text(section + cluster(kafka, mortal_flink, prefix, "steps", 1))
    options = ("--config", config)
    try:
        good("stream", "deploy", *options, cwd=folder)
        good("run", *FEED, *options, "--data", "day", cwd=folder)
        (package / "sizes.py").write_text("STEP = 5\n")
        planned = tickloop("stream", "plan", *options, "--json", cwd=folder)
        assert (planned.code, planned.json[0]["verb"]) == (3, "upgrade")
        good("stream", "upgrade", *options, cwd=folder)
        later = ("--feed", "synthetic:2024-01-03", *FEED[2:])
        good("run", *later, *options, "--data", "day", cwd=folder)
    finally:
        tickloop("stream", "cancel", "steps", *options, cwd=folder)
    trades = sql(folder / "day", "SELECT count(*) AS n FROM trade GROUP BY date ORDER BY date")
    first, second = (int(each["n"]) for each in trades)
    question = "SELECT count(*) AS n, max(value) AS top FROM signal WHERE stream = 'steps'"
    (found,) = sql(folder / "day", question)
    assert (int(found["n"]), float(found["top"])) == (first + second, 3 * first + 5 * second)
