"""QuestDB's tables are the schema's: made where missing, refused where they are others."""

from typing import Any

from tickloop.core.dialects import questdb
from tickloop.core.errors import SinkAwayError, SinkError
from tickloop.core.schema import Table
from tickloop.tickerplant.sinks.questdb_rest import QuestDb

# Of the reasons for which QuestDB suspends a table, those that end when there is room.
_FULL = (
    "DISK FULL",
    "NO SPACE LEFT",
    "ERRNO=28",
    "ERRNO: 28",
    "COULD NOT ALLOCATE",
    "NO DISK SPACE",
)
_KEYS = ("time", "sym", "seq")


def ensure_tables(server: QuestDb, tables: list[Table], *, fractional: bool) -> None:
    """Make missing tables and check all; SinkError names the first difference and its remedy."""
    known = {str(row["table_name"]): row for row in server.ask("SELECT * FROM tables()")}
    for table in tables:
        if table.name not in known:
            server.ask(questdb.create(table, fractional=fractional))
        else:
            _check_traits(table, known[table.name])
        _check_columns(server, table, fractional=fractional)


def _check_traits(table: Table, seen: dict[str, Any]) -> None:
    """Check what makes redelivery harmless."""
    remedy = (
        f"drop or rename it, or leave it out of [sinks.questdb] tables; `{table.name}` is then"
        " made anew"
    )
    if not seen["walEnabled"] or seen["designatedTimestamp"] != "time":
        raise SinkError(
            f"QuestDB's table {table.name} has designated timestamp"
            f" {seen['designatedTimestamp']!r} and WAL {'on' if seen['walEnabled'] else 'off'},"
            f" 'time' and on expected: {remedy}"
        )
    if not seen["dedup"]:
        raise SinkError(
            f"QuestDB's table {table.name} keeps duplicates, so rows sent again would count twice:"
            f" ALTER TABLE {table.name} DEDUP ENABLE UPSERT KEYS({', '.join(_KEYS)})"
        )


def _check_columns(server: QuestDb, table: Table, *, fractional: bool) -> None:
    seen = {row["column"]: row for row in server.ask(f"SHOW COLUMNS FROM {table.name}")}
    for column in table.columns:
        expected = questdb.type_text(column.kind, fractional=fractional)
        found = seen.get(column.name)
        if found is None:
            raise SinkError(
                f"QuestDB's table {table.name} has no column {column.name}, {expected} expected:"
                f" ALTER TABLE {table.name} ADD COLUMN {column.name} {expected}"
            )
        if found["type"] != expected:
            raise SinkError(
                f"QuestDB's column {table.name}.{column.name} is {found['type']}, {expected}"
                f" expected: ALTER TABLE {table.name} ALTER COLUMN {column.name} TYPE {expected},"
                " or rename the table and a new one is made"
            )
    keys = {name for name, row in seen.items() if row["upsertKey"]}
    if keys != set(_KEYS):
        raise SinkError(
            f"QuestDB's table {table.name} finds duplicates by"
            f" {', '.join(sorted(keys)) or 'nothing'}, {', '.join(_KEYS)} expected: ALTER TABLE"
            f" {table.name} DEDUP ENABLE UPSERT KEYS({', '.join(_KEYS)})"
        )


def last_seq(server: QuestDb, table: Table) -> int | None:
    """Give the highest seq among a table's latest rows; None if it has no rows."""
    name = table.name
    latest = server.ask(f"SELECT time::LONG AS time FROM {name} ORDER BY time DESC LIMIT 1")  # noqa: S608
    if not latest:
        return None
    asked = f"SELECT max(seq) AS seq FROM {name} WHERE time = {latest[0]['time']}::TIMESTAMP_NS"  # noqa: S608
    return int(server.ask(asked)[0]["seq"])


def is_applied(server: QuestDb, tables: list[Table]) -> bool:
    """Tell whether queries see every row that was acknowledged; errors as for `resume`."""
    names = {table.name for table in tables}
    pending = [row for row in server.ask("SELECT * FROM wal_tables()") if row["name"] in names]
    for row in pending:
        if row["suspended"]:
            raise _suspended(row)
    return all(row["writerTxn"] == row["sequencerTxn"] for row in pending)


def resume(server: QuestDb, tables: list[Table]) -> None:
    """Let tables go on that a full disk has suspended; what they had acknowledged is applied.

    SinkError for a table that is suspended for another reason: a person has to look at that.
    """
    for table in tables:
        for row in server.ask(f"SELECT * FROM wal_tables() WHERE name = '{table.name}'"):  # noqa: S608
            if row["suspended"]:
                if not _is_full(row):
                    raise _suspended(row)
                server.ask(f"ALTER TABLE {table.name} RESUME WAL")


def _is_full(row: dict[str, Any]) -> bool:
    told = f"{row.get('errorTag')} {row.get('errorMessage')}".upper()
    return any(word in told for word in _FULL)


def _suspended(row: dict[str, Any]) -> SinkError:
    """Say why a table shows no new rows, and who has to do what."""
    told = " ".join(filter(None, (row.get("errorTag"), row.get("errorMessage"))))
    said = f"QuestDB's table {row['name']} is suspended ({told or 'no reason given'})"
    if _is_full(row):
        return SinkAwayError(f"{said}: make room on its disk, the sink resumes it by itself")
    return SinkError(f"{said}: look at QuestDB's log, then ALTER TABLE {row['name']} RESUME WAL")
