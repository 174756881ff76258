"""A statement bound to its values: its rows are taken as the client asks for them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tickloop.analytics.pg.binary_fields import binary_fields
from tickloop.analytics.pg.commands import Command
from tickloop.analytics.pg.copying import Copy
from tickloop.analytics.pg.failures import PgError, SqlState
from tickloop.analytics.pg.fields import framed
from tickloop.analytics.pg.oids import WireType, of_duck
from tickloop.analytics.pg.statements import Described, Question, ResultColumn, Rows, Statements
from tickloop.analytics.pg.text_fields import text_fields

if TYPE_CHECKING:
    import pyarrow as pa

# Below this many rows a batch is encoded where it stands; a thread would cost more.
_ROWS_IN_PLACE = 2048


@dataclass(slots=True)
class Prepared:
    """A statement as it was parsed; `described` is found when somebody needs it."""

    text: str
    oids: tuple[int, ...]
    command: Command | None
    copy: Copy | None
    parameters: int
    described: Described | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it but space and comments."""
        return not self.text


def wire_columns(columns: Sequence[ResultColumn]) -> list[tuple[str, WireType]]:
    """Give columns as the wire describes them."""
    return [(column.name, of_duck(column.type)) for column in columns]


def formats_for(formats: Sequence[int], count: int) -> list[int]:
    """Spread formats as Bind gives them: none is text, one is for all."""
    if len(formats) <= 1:
        return [formats[0] if formats else 0] * count
    if len(formats) != count:
        raise PgError(
            SqlState.PROTOCOL_VIOLATION,
            f"{len(formats)} formats seen, {count} expected: one a column",
        )
    return list(formats)


class Portal:
    """Rows of one statement, from its start to its end."""

    def __init__(self, prepared: Prepared, question: Question, formats: Sequence[int]) -> None:
        self.prepared = prepared
        self.question = question
        self.columns: list[tuple[str, WireType]] = []
        self.formats: list[int] = []
        self.is_done = False
        self.holds = False  # past the end of its transaction
        self._wanted = tuple(formats)
        self._rows: Rows | None = None
        self._rest: pa.RecordBatch | None = None
        self._taken = 0

    async def start(self, statements: Statements) -> None:
        """Begin to run, unless it has begun: the columns are known then."""
        if self._rows is None:
            self._rows = await statements.execute(self.question)
            self.columns = wire_columns(self._rows.columns)
            self.formats = self.spread(len(self.columns))

    def spread(self, count: int) -> list[int]:
        """Give a format for each of so many columns."""
        return formats_for(self._wanted, count)

    async def take(self, limit: int, rows_max: int) -> "pa.RecordBatch | None":
        """Give the next rows, at most `limit` of them if that is not 0; None after the last."""
        assert self._rows is not None, "a portal is started before its rows are taken"
        batch = self._rest if self._rest is not None else await self._next()
        self._rest = None
        if batch is None:
            self.is_done = True
            return None
        if limit and batch.num_rows > limit:
            self._rest = batch.slice(limit)
            batch = batch.slice(0, limit)
        self._taken += batch.num_rows
        if self._taken > rows_max:
            raise PgError(
                SqlState.LIMIT_EXCEEDED,
                f"the result has more than {rows_max:,} rows, which is the most that is given",
                hint="Aggregate, filter by date and sym, or take it in parts with LIMIT.",
            )
        return batch

    async def _next(self) -> "pa.RecordBatch | None":
        assert self._rows is not None, "a portal is started before its rows are taken"
        batch = await self._rows.next()
        while batch is not None and batch.num_rows == 0:
            batch = await self._rows.next()
        return batch

    async def encoded(self, batch: "pa.RecordBatch") -> memoryview:
        """Spell rows as DataRow messages."""
        if batch.num_rows <= _ROWS_IN_PLACE:
            return self._encode(batch)
        return await asyncio.to_thread(self._encode, batch)

    def _encode(self, batch: Any) -> memoryview:
        fields = [
            binary_fields(array, wire) if code else text_fields(array, wire)
            for array, (_, wire), code in zip(
                batch.columns, self.columns, self.formats, strict=True
            )
        ]
        return framed(b"D", fields, batch.num_rows)

    async def close(self) -> None:
        """Stop what still runs."""
        if self._rows is not None:
            await self._rows.close()
            self._rest = None
