"""Questions that are asked in QuestDB: translated, bounded, and answered in the types used here."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tickloop.analytics.pg.failures import PgError
from tickloop.analytics.pg.questdb_sql import rewritten
from tickloop.analytics.questdb.columns import as_here, duck_type
from tickloop.analytics.questdb.export import Export, batches, shape
from tickloop.analytics.questdb.translate import Known, Translated, translated
from tickloop.analytics.sql import Shape, SqlSession
from tickloop.analytics.views import Spelling, as_postgres
from tickloop.core.errors import QueryError
from tickloop.tickerplant.database import Snapshot
from tickloop.tickerplant.sinks.questdb_rest import QuestDb

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one question may cost. `tables` None means all of them."""

    tables: frozenset[str] | None = None
    rows: int = 100_000_000
    memory_mib: int = 4096
    timeout_s: float = 60.0


class RoutedAnswer:
    """One question under way; has what an answer of the SQL session has."""

    def __init__(
        self, export: Export, shape_here: Shape | None, bounds: Bounds, *, cuts: bool
    ) -> None:
        self._export = export
        self._bounds = bounds
        self._cuts = cuts
        self._file: pq.ParquetFile | None = None
        self.tree = shape_here.tree if shape_here is not None else {}
        self._schema = shape_here.schema if shape_here is not None else None
        if shape_here is None:
            # Only the server knows the columns.
            self._file = export.run()
            found = shape(self._file)
            self.columns = tuple((one.name, duck_type(one.type)) for one in found)
        else:
            self.columns = shape_here.columns

    def batches(self, rows: int = _ROWS) -> Iterator["pa.RecordBatch"]:
        """Give the rows; QueryError if there are none, or too many."""
        file = self._file or self._export.run()
        count = file.metadata.num_rows
        if count > self._bounds.rows:
            raise QueryError(
                f"limit: more than {self._bounds.rows:,} rows in the answer, the limit of this"
                " user; select fewer, or add LIMIT"
            )
        for batch in batches(file, rows):
            yield batch if self._schema is None else as_here(batch, self._schema, cuts=self._cuts)

    def table(self) -> "pa.Table":
        """Give all rows."""
        import pyarrow as pa

        found = list(self.batches())
        if found:
            return pa.Table.from_batches(found)
        return self._schema.empty_table() if self._schema is not None else self._empty()

    def _empty(self) -> "pa.Table":
        assert self._file is not None, "who has no shape was asked at once"
        return shape(self._file).empty_table()

    def interrupt(self) -> None:
        """Stop; may be called from any thread."""
        self._export.interrupt()

    def close(self) -> None:
        """Let the rows go."""
        self._export.close()


class Route:
    """One server, asked with the rights of one user."""

    def __init__(self, server: QuestDb, bounds: Bounds) -> None:
        self._server = server
        self._bounds = bounds
        self._export: Export | None = None
        self._known: tuple[Snapshot, Known] | None = None

    def start(
        self,
        session: SqlSession,
        text: str,
        *,
        spelling: Spelling,
        here: str | None = None,
        timeout_s: float = 0.0,
    ) -> RoutedAnswer:
        """Translate a statement and say what its columns are; rows flow once they are asked for.

        `session` tells names and types as they are here, for `here`: the statement without
        QuestDB's forms, None where it cannot be spelled so.
        """
        question = self.translated(session, text, spelling=spelling)
        found = None
        if here is not None and question.is_ours:
            found = _shape(session, here)
        limit_s = min(one for one in (timeout_s, self._bounds.timeout_s) if one > 0)
        export = Export(
            self._server, question.text, timeout_s=limit_s,
            bytes_max=self._bounds.memory_mib << 20,
        )  # fmt: skip
        self._export = export
        return RoutedAnswer(export, found, self._bounds, cuts=spelling is as_postgres)

    def translated(self, session: SqlSession, text: str, *, spelling: Spelling) -> Translated:
        """Translate a statement; QueryError if it names what the user may not see."""
        known = self._knowledge(session, spelling)
        question = translated(text, known, rows_max=self._bounds.rows)
        if self._bounds.tables is not None:
            if not question.is_ours:
                raise QueryError(
                    "access: this user may see some tables only, and which ones this statement"
                    " reads cannot be told; write it in the SQL of `tickloop sql`"
                )
            hidden = question.tables - {name.lower() for name in self._bounds.tables}
            if hidden:
                raise QueryError(
                    f"Table with name {min(hidden)} does not exist!\nTables:"
                    f" {', '.join(sorted(self._bounds.tables))}"
                )
        return question

    def interrupt(self) -> None:
        """Stop the last question that was started."""
        if self._export is not None:
            self._export.interrupt()

    def _knowledge(self, session: SqlSession, spelling: Spelling) -> Known:
        snapshot = session.database.snapshot()
        manifest = snapshot.manifest
        tables = {name.lower(): table for name, table in snapshot.tables.items()}
        return Known(
            tables,
            {
                name: tuple(one.name for one in spelling(table, snapshot.fractional))
                for name, table in tables.items()
            },
            zone=manifest.zone,
            roll_ns=manifest.roll_ns,
            whole_division=spelling is as_postgres,
            cuts_instants=spelling is as_postgres,
        )


def _shape(session: SqlSession, here: str) -> Shape | None:
    tables = session.database.snapshot().tables
    try:
        return session.shape(rewritten(here, lambda table: tables[table].names))
    except (QueryError, PgError, KeyError):
        return None
