"""Answers piece by piece, for what does not fit memory: the engine's side of `stream_q` and `_sql`.

A client sends (`.stream.q; text; rows; arguments...) or (`.stream.sql; text; rows), then
(`.stream.next;::) until `::` comes back. The connection keeps its worker meanwhile.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tickloop.analytics.gateway.arrow_values import whole_sums
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.values import Value, count_of

if TYPE_CHECKING:
    import pyarrow as pa

    from tickloop.analytics.sql import SqlSession

STREAM_Q, STREAM_SQL, STREAM_NEXT = ".stream.q", ".stream.sql", ".stream.next"
STREAM_CALLS = frozenset({STREAM_Q, STREAM_SQL, STREAM_NEXT})


def sql_tables(session: "SqlSession", text: str, rows: int) -> Iterator["pa.Table"]:
    """Run a statement as its rows are taken, in tables of at most `rows` rows, one at least."""
    import pyarrow as pa

    from tickloop.analytics.sql import in_utc

    if rows < 1:
        raise QError("length", f"{rows} rows a block seen, one at least expected")
    answer = session.start(text)
    try:
        batches = answer.batches(rows)
        given = False
        for batch in batches:
            for start in range(0, batch.num_rows, rows):
                given = True
                yield in_utc(pa.Table.from_batches([batch.slice(start, rows)]))
        if not given:
            yield in_utc(answer.table())
    finally:
        answer.close()


def sql_values(session: "SqlSession", text: str, rows: int) -> Iterator[Value]:
    """Run a statement as its rows are taken, as q tables."""
    from tickloop.analytics.q.convert_arrow import arrow_value

    for table in sql_tables(session, text, rows):
        yield arrow_value(whole_sums(table))


def limited(blocks: Iterator[Value], rows_max: int) -> Iterator[Value]:
    """Stop with 'limit once more rows came than a user may have."""
    rows = 0
    for block in blocks:
        rows += count_of(block)
        if rows > rows_max:
            raise QError(
                "limit", f"more than {rows_max:,} rows in the answer, the limit of this user"
            )
        yield block
