"""Users' tables from TOML and from the schema files that kdb+ tickerplants load."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickloop.core import user_tables
from tickloop.core.errors import SchemaError
from tickloop.core.schema import Kind, Table

# As such files look in the field: attributes, comments in every place, definitions over lines,
# types by character, both spellings of empties, and what follows the end of the script.
SCHEMA_FILE = """\
/ schema of the feed; loaded as tick.q's first argument
/
block comment: bad:([] broken
\\
quotes:([]time:`timespan$(); sym:`g#`symbol$(); bid:`float$(); ask:`float$(); bsize:`int$())
trades : ( [ ] time:`timespan$();sym:`g#`symbol$();price:`float$();size:`int$();stop:`boolean$();\
cond:`char$();ex:`char$())   / trailing comment
packets:([]
  time:`timestamp$();          / when it was captured
  sym:`p#`symbol$();

  / a line of its own
  dest:"s"$();
  host:"i"$();
  note:();
  delay:0#0Nn;
  who:0#`;
  big:0#0;
  ratio:0#0n
  );
\\
heartbeat: this is after the end of the script
"""


def _read(folder: Path, text: str) -> list[Table]:
    path = folder / "sym.q"
    path.write_text(text)
    return user_tables.from_q(path)


def test_a_schema_file_as_kdb_users_have_it_is_understood(tmp_path: Path) -> None:
    quotes, trades, packets = _read(tmp_path, SCHEMA_FILE)
    assert (quotes.name, quotes.names) == ("quotes", ("time", "sym", "bid", "ask", "bsize", "seq"))
    assert quotes.kinds[:3] == (Kind.INSTANT, Kind.SYMBOL, Kind.FLOAT)
    assert trades.names == ("time", "sym", "price", "size", "stop", "cond", "ex", "seq")
    assert trades.kinds[3:-1] == (Kind.INT, Kind.FLAG, Kind.CHAR, Kind.CHAR)
    assert packets.names == (
        *("time", "sym", "dest", "host", "note", "delay", "who", "big", "ratio", "seq"),
    )
    assert packets.kinds[2:] == (
        *(Kind.SYMBOL, Kind.INT, Kind.TEXT, Kind.SPAN, Kind.SYMBOL, Kind.LONG, Kind.FLOAT),
        Kind.LONG,
    )


def test_windows_line_ends_make_no_difference(tmp_path: Path) -> None:
    path = tmp_path / "sym.q"
    path.write_bytes(SCHEMA_FILE.replace("\n", "\r\n").encode())
    assert user_tables.from_q(path) == _read(tmp_path, SCHEMA_FILE)


@pytest.mark.parametrize(
    ("text", "line", "seen"),
    [
        ('system "l lib.q"\n', 1, "system"),
        ("a:([] x:`int$())\n\n.u.end:{x}\n", 3, ".u.end"),
        ("a:([sym:`symbol$()] x:`int$())\n", 1, "table definition"),
        ("a:([] x:`integer$())\n", 1, "x:`integer$()"),
        ("/ fine\na:([]\n x:`int$();\n y:1 2 3)\n", 2, "y:1 2 3"),
        ("a:([] x:`int$(); x:`long$())\n", 1, "'x' seen twice"),
        ("a:([] sym:`int$())\n", 1, "a.sym: int seen, symbol expected"),
        ("a:([] seq:`float$())\n", 1, "a.seq: float seen, long expected"),
        ("a:([] time:`float$())\n", 1, "a.time: float seen, timestamp or timespan or time"),
        ("a:([] x.y:`long$())\n", 1, "column name 'x.y' seen"),
        ("a:([] :`long$())\n", 1, "column name '' seen"),
        ("a_b:([] x:`int$()) 5\n", 1, "table definition"),
        (" a:([] x:`int$()\n", 1, "table definition"),
    ],
)
def test_anything_else_is_refused_with_its_line(
    tmp_path: Path, text: str, line: int, seen: str
) -> None:
    with pytest.raises(SchemaError) as refused:
        _read(tmp_path, text)
    assert str(refused.value).startswith(f"{tmp_path / 'sym.q'}:{line}: ")
    assert seen in str(refused.value)


@pytest.mark.parametrize("body", [None, b"\xff\xfe\x00"], ids=["missing", "not text"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, body: bytes | None) -> None:
    path = tmp_path / "sym.q"
    if body is not None:
        path.write_bytes(body)
    with pytest.raises(SchemaError, match=r"sym\.q: cannot be read"):
        user_tables.from_q(path)


@given(text=st.text(alphabet='ab:([]);`$"#/\\ \nint0N', max_size=60))
def test_any_text_is_understood_or_refused(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.mktemp("q") / "sym.q"
    path.write_text(text)
    try:
        tables = user_tables.from_q(path)
    except SchemaError as error:
        assert str(path) in str(error)
    else:
        assert all(table.names[-1] == "seq" for table in tables)


def test_toml_tables_have_every_type_and_time_sym_and_seq_added() -> None:
    columns = {"price": "float", "note": "string", "id": "guid", "seq": "long", "time": "timespan"}
    (made,) = user_tables.from_toml({"mine": columns})
    assert made.names == ("time", "sym", "price", "note", "id", "seq")
    assert made.kinds == (
        *(Kind.INSTANT, Kind.SYMBOL, Kind.FLOAT, Kind.TEXT, Kind.GUID, Kind.LONG),
    )
    assert not made.column("time").nullable


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"mine": {"x": "varchar"}}, r"tables\.mine: x = 'varchar' seen, one of boolean, guid"),
        ({"mi ne": {"x": "int"}}, "table name 'mi ne' seen"),
        ({"": {}}, "table name '' seen"),
        ({"mine": {"x-y": "int"}}, "column name 'x-y' seen"),
        ({"mine": {"sym": "string"}}, r"mine\.sym: string seen, symbol expected"),
    ],
)
def test_a_toml_table_that_makes_no_sense_is_refused(
    tables: dict[str, dict[str, str]], message: str
) -> None:
    with pytest.raises(SchemaError, match=message):
        user_tables.from_toml(tables)
