"""Operators with tables of their own, beside a capture and over a day: declared once."""

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.command import good, sql, tickloop
from tickloop.app.catalogs import catalog_of
from tickloop.core.config import Config, load
from tickloop.core.errors import OperatorError, SchemaError
from tickloop.core.own_tables import known_tables, own_table, spelled
from tickloop.core.schema import Kind
from tickloop.streaming.finding import find

PAGE = (Path(__file__).parents[1] / "docs" / "streams.md").read_text()
EXAMPLE = PAGE.split("### With a table of its own")[1]
FLOW = re.findall(r"```python\n(.*?)```", EXAMPLE, re.DOTALL)[0]
SECTION = re.findall(r"```toml\n(.*?)```", EXAMPLE, re.DOTALL)[0]
FEED = ("--feed", "synthetic:2024-01-02", "--messages", "20000", "--symbols", "5")
STAMPS = ("time", "cause_time", "seq")


def example(folder: Path, more: str = "") -> Path:
    """Write the page's files; give the configuration."""
    (folder / "flow.py").write_text(FLOW)
    config = folder / "flow.toml"
    config.write_text(SECTION + more)
    return config


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Capture a day as the page says."""
    folder = tmp_path_factory.mktemp("own")
    example(folder)
    done = tickloop("run", *FEED, "--config", "flow.toml", "--data", "day", cwd=folder)
    assert done.code == 0, done.err
    return folder


def test_the_page_s_table_can_be_asked_for_in_sql_and_q(captured: Path) -> None:
    data = captured / "day"
    flows = sql(data, "SELECT sym, sum(trades) AS n FROM flow GROUP BY sym ORDER BY sym")
    traded = sql(data, "SELECT sym, count(*) AS n FROM trade GROUP BY sym ORDER BY sym")
    # All but the last minute, which no clock row has closed.
    assert [each["sym"] for each in flows] == [each["sym"] for each in traded]
    assert all(0.9 < int(a["n"]) / int(b["n"]) <= 1 for a, b in zip(flows, traded, strict=True))
    last = "SELECT count(*) AS n FROM flow f JOIN trade t ON t.sym = f.sym AND t.price = f.last"
    assert int(sql(data, last)[0]["n"]) >= int(sql(data, "SELECT count(*) AS n FROM flow")[0]["n"])
    asked = good("q", "--data", data, "exec sum trades from flow where stream=`flow").out
    assert int(asked) == sum(int(each["n"]) for each in flows)


def test_a_run_over_the_day_gives_the_rows_that_the_capture_recorded(
    captured: Path, tmp_path: Path
) -> None:
    again, kept = tmp_path / "again.parquet", tmp_path / "kept.parquet"
    done = tickloop(
        "stream", "run", "flow.py", "--over", "2024-01-02", "--data", "day", "--set",
        "interval=1m", "--output", again, cwd=captured,
    )  # fmt: skip
    assert done.code == 0, done.err
    good("sql", "--data", captured / "day", "--format", "parquet", "--output", kept,
         "SELECT * FROM flow ORDER BY cause, ordinal")  # fmt: skip
    ours, theirs = pq.read_table(again), pq.read_table(kept)
    assert len(ours) == len(theirs) > 100
    for name in set(ours.column_names) - {"time", "cause_time"}:
        assert ours[name].to_pylist() == theirs[name].to_pylist(), name


def test_a_replay_of_the_log_computes_the_rows_again_and_takes_none_as_recorded(
    captured: Path, tmp_path: Path
) -> None:
    count = "SELECT count(*) AS n, count(DISTINCT (cause, ordinal)) AS d FROM flow"
    done = tickloop("replay", "--journal", "day", "--data", tmp_path / "again", "--config",
                    "flow.toml", cwd=captured)  # fmt: skip
    assert done.code == 0, done.err
    assert sql(tmp_path / "again", count) == sql(captured / "day", count)
    without = tickloop("replay", "--journal", "day", "--data", tmp_path / "none", cwd=captured)
    assert without.code == 0, without.err
    assert "flow" not in {row["name"] for row in sql(tmp_path / "none", "SHOW TABLES")}


def test_a_table_keeps_its_columns_and_an_operator_with_others_is_refused(
    captured: Path, tmp_path: Path
) -> None:
    config = example(tmp_path)
    (tmp_path / "flow.py").write_text(FLOW.replace('"net": "size"', '"net": "float"'))
    other = tickloop("run", *FEED, "--append", "--config", config, "--data", captured / "day",
                     cwd=tmp_path)  # fmt: skip
    other.refused(
        r"stream flow: table flow has \(.*net float.*\) in the operator, \(.*net size.*\) in .*day",
        "give the table another name in the operator, or take another --data directory",
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('"net": "size"', '"net": "money"'), "flow.net: 'money' seen, one of boolean, guid"),
        (('"net": "size"', '"net": "string"'), "flow.net: string seen; operators give names as"),
        (('"net": "size"', '"cause": "size"'), "every derived row has a column cause; leave it"),
        (('own_table("flow"', 'own_table("trade"'), "'trade' is one of tickloop's own names"),
        (('("flow",)\n', '("signal",)\n'), "declares table flow, which is not among its outputs"),
        (("own_tables = (FLOW,)", 'own_tables = ("flow",)'), "own_tables holds 'flow', a table"),
        (('outputs = ("trade", "clock"), ("flow",)', 'outputs = ("clock",), ("flow", "trade")'),
         r"writes trade, whose rows are no derived ones; declare a table of its own"),
    ],
)  # fmt: skip
def test_what_is_no_table_of_derived_rows_is_refused(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    path = tmp_path / "flow.py"
    assert change[0] in FLOW
    path.write_text(FLOW.replace(*change))
    with pytest.raises(OperatorError, match=said):
        find(str(path))


def test_two_tables_of_one_name_have_to_be_the_same(tmp_path: Path) -> None:
    config = load(example(tmp_path, '[tables.flow]\nnet = "long"\n'))
    path = tmp_path / "flow.py"
    given = {**config.stream["flow"], "operator": str(path)}
    clash = Config(stream={"flow": given}, tables=config.tables)
    with pytest.raises(SchemaError, match=r"stream flow writes table flow \(.*give one of them"):
        catalog_of(clash, fractional=False)
    twice = Config(stream={"flow": given, "again": given})
    assert catalog_of(twice, fractional=False)["flow"].is_derived


def test_a_stream_whose_rows_do_not_fit_stops_and_the_capture_goes_on(tmp_path: Path) -> None:
    config = example(tmp_path)
    (tmp_path / "flow.py").write_text(FLOW.replace('"cause": seq, ', ""))
    done = tickloop("run", *FEED, "--config", config, "--data", tmp_path / "day", cwd=tmp_path)
    assert "flow made rows of flow without cause: derived rows need time, cause_time" in done.err
    assert int(sql(tmp_path / "day", "SELECT count(*) AS n FROM trade")[0]["n"]) > 0


def test_columns_come_back_from_their_spelling() -> None:
    table = own_table("flow", {"net": "size", "last": "price", "who": "symbol"})
    back = known_tables(spelled([table]))["flow"]
    assert (back.names, back.kinds) == (table.names, table.kinds)
    assert back.kinds[2:5] == (Kind.SIZE, Kind.PRICE, Kind.SYMBOL)
    assert back.is_derived
    with pytest.raises(SchemaError, match="spells no columns"):
        known_tables({"flow": "net:money"})
