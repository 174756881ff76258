"""A kdb+ tickerplant as a feed: subscribe, replay its log, follow it, come back without a loss.

The opening call is a kdb+ RDB's own: subscribe to everything and ask, in one request, how many
messages the log holds. A table's rows have one order in the log and on the wire, also where a
tickerplant publishes in turns; so how many rows of each table came says where to go on after a
connection broke: the log is read again and as many rows are left out. Without a log that can be
read here, what was published meanwhile is lost, and counted as a gap.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from pathlib import Path

import numpy as np

from tickloop.core.batch import Batch, Slice, concatenate
from tickloop.core.clock import DAY_NS, EPOCH_DATE, monotonic_ns, sleep, today_utc
from tickloop.core.errors import (
    CorruptJournalError,
    FeedError,
    LoginError,
    QueryError,
    SchemaError,
    WireError,
)
from tickloop.ingest.feed import Health
from tickloop.tickerplant import q_values as q
from tickloop.tickerplant.foreign_log import messages
from tickloop.tickerplant.q_client import QClient
from tickloop.tickerplant.q_codec import encode
from tickloop.tickerplant.tick_rows import TickRows

_OPENING = "(.u.sub[`;`];.u `i`L)"
_BACKOFF_S = (0.2, 10.0)
_MESSAGES_AT_ONCE = 2000
_UPD, _END = "upd", ".u.end"


@dataclass(frozen=True, slots=True)
class TickConfig:
    """Where the tickerplant is and who asks; no limit has a default."""

    host: str
    port: int
    user: str
    password: str
    timeout_s: float
    attempts: int  # connections in a row without a message before the feed gives up
    log_folder: str  # where its logs are found here; empty: where it says they are


@dataclass(slots=True)
class _Place:
    """Where the tickerplant is in its day."""

    log: str = ""  # as it names it
    messages: int = 0  # in its log, as far as is known
    rows: Counter[str] = field(default_factory=Counter)  # of each table that came from this log
    midnight: int = 0
    last: dict[str, bytes] = field(default_factory=dict)  # of each table, the row that came last


class TickFeed:
    """Rows of one tickerplant, live; `chapter` names its log while that can be read here."""

    venue = ""

    def __init__(self, config: TickConfig, rows: TickRows) -> None:
        self.name = f"kdb:{config.host}:{config.port}"
        self.health = Health()
        self.messages = 0
        self.chapter = ""
        self.caught_up = False  # what comes is not in what was read of the log
        self.finished = False
        self._config = config
        self._rows = rows
        self._client: QClient | None = None
        self._place = _Place()
        self._replay: Iterator[tuple[str, q.Value]] | None = None
        self._pending_end: q.Value | None = None
        self._skip: Counter[str] = Counter()
        self._expected: dict[str, bytes] = {}  # the last row that is left out, by table
        self._failures = 0
        self._due_ns = monotonic_ns()

    def slices(self) -> Iterator[Slice]:
        """Yield rows until `stop`."""
        try:
            while not self.finished:
                found = self.poll(0.1)
                if found is not None:
                    yield found
        finally:
            self.stop()

    def stop(self) -> None:
        """End, and let the tickerplant know by closing."""
        self.finished = True
        if self._client is not None:
            self._client.close()
            self._client = None

    def poll(self, timeout_s: float) -> Slice | None:
        """Give the rows that are there, up to the end of a day; None if none come in time."""
        if self.finished:
            return None
        try:
            if self._client is None and not self._connect(timeout_s):
                return None
            taken = self._gather(timeout_s)
        except (LoginError, FeedError) as error:
            self._give_up(FeedError(f"{self.name}: {error}"))
            return None
        except WireError as error:
            self._drop(str(error))
            return None
        return _slice(taken) if taken else None

    # Connecting

    def _connect(self, timeout_s: float) -> bool:
        wait_s = (self._due_ns - monotonic_ns()) / 1e9
        if wait_s > 0:
            sleep(min(wait_s, timeout_s))
            return False
        config = self._config
        self._client = QClient(
            config.host, config.port, user=config.user, password=config.password,
            timeout_s=config.timeout_s,
        )  # fmt: skip
        try:
            answer = self._client.call(_OPENING)
        except QueryError as error:
            raise FeedError(
                f"answers {error} to {_OPENING}; a kdb+ tickerplant is expected there"
            ) from error
        schemas, count, log = _opened(answer)
        self._rows.learn(schemas, "the tickerplant")
        for name in self._rows.left_out:
            self.health.count(f"kdb_table_left_out_{name}", 1)
        self._arrive(count, log)
        return True

    def _arrive(self, count: int, log: str) -> None:
        """Find out what was missed, and read it from the log where that is possible."""
        before = self._place
        path = self._path(log)
        if path is None:
            if self._was_in and (before.log, before.messages) != (log, count):
                self.health.count("kdb_gaps")
            if not self._was_in and count:
                self.health.count("kdb_messages_before", count)
            self._place = _Place(log, count, before.rows, _midnight(log))
            return
        parts: list[tuple[Path, int | None]] = [(path, count)]
        if before.log not in ("", log):
            # The day ended while nobody listened: the rest of it comes first.
            old = self._path(before.log)
            if old is None:
                self.health.count("kdb_gaps")
            else:
                parts.insert(0, (old, None))
        first = before.log if len(parts) == 2 else log
        # What a replay that broke off had still to leave out came before it, too.
        self._skip = before.rows + self._skip if first == before.log else Counter()
        self._expected = {**self._expected, **before.last} if first == before.log else {}
        self._place = _Place(first, count, Counter(), _midnight(first))
        self.chapter = first
        self.caught_up = False
        self._replay = self._logged(parts, log)

    @property
    def _was_in(self) -> bool:
        """Tell whether this is not the first connection."""
        return self.health.counts["kdb_reconnects"] > 0

    def _path(self, log: str) -> Path | None:
        """Give the log as a file here, if it is one and can be read."""
        if not log:
            return None
        path = Path(log)
        if self._config.log_folder:
            path = Path(self._config.log_folder) / path.name
        try:
            with path.open("rb"):
                return path
        except OSError:
            return None

    def _logged(
        self, parts: list[tuple[Path, int | None]], log: str
    ) -> Iterator[tuple[str, q.Value]]:
        """Read logs message by message; a new day begins with each but the first."""
        for number, (path, count) in enumerate(parts):
            if number:
                yield _END, q.symbol(log)
            try:
                for each in islice(messages(path), count):
                    if each.function.removeprefix(".u.") == _UPD:
                        yield each.table, each.data
            except CorruptJournalError as error:
                self.health.damage.append(FeedError(str(error)))

    # Reading

    def _gather(self, timeout_s: float) -> list[Batch]:
        """Take what is there: from the log first, then from the wire."""
        taken: list[Batch] = []
        for _ in range(_MESSAGES_AT_ONCE):
            found = self._next(0.0 if taken else timeout_s)
            if found is None:
                break
            name, data = found
            if name == _END:
                if taken:
                    self._pending_end = data
                    break
                self._turn(data)
                continue
            rows = self._take(name, data)
            if rows is not None:
                taken.append(rows)
        return taken

    def _next(self, timeout_s: float) -> tuple[str, q.Value] | None:
        """Give the next update: its table and data, or `.u.end` and what told of it."""
        if self._pending_end is not None:
            data, self._pending_end = self._pending_end, None
            return _END, data
        if self._replay is not None:
            logged = next(self._replay, None)
            if logged is not None:
                return logged
            # A tickerplant publishes before it logs: killed between, it has rows no log knows.
            self.health.count("kdb_rows_unlogged", self._skip.total())
            self._skip.clear()
            self._expected.clear()
            self._replay = None
            self.caught_up = True
            return None
        assert self._client is not None, "the feed is connected"
        while True:
            value = self._client.receive(timeout_s)
            if value is None:
                return None
            self._failures = 0
            found = _update(value)
            if found is not None:
                self._place.messages += found[0] != _END
                return found
            self.health.count("kdb_messages_unknown")

    def _take(self, name: str, data: q.Value) -> Batch | None:
        """Make rows of an update, without those that came before a connection broke."""
        self.messages += 1
        try:
            rows = self._rows.rows(name, data, self._place.midnight)
        except SchemaError as error:
            if not self.health.counts["kdb_refused"]:
                self.health.damage.append(FeedError(f"{self.name}: {error}; the update is aside"))
            self.health.count("kdb_refused")
            self.health.keep_aside(self.messages, encode(data))
            return None
        if rows is None or not len(rows):
            return None
        self._place.rows[name] += len(rows)
        known = min(self._skip[name], len(rows))
        if not known:
            self._place.last[name] = _row(rows, -1)
        else:
            self._skip[name] -= known
            if not self._skip[name]:
                self._compare(name, _row(rows, known - 1))
            rows = Batch(rows.table, {key: each[known:] for key, each in rows.columns.items()})
        return rows if len(rows) else None

    def _compare(self, name: str, left_out: bytes) -> None:
        """Say so if the log has another row where the last one that came should be."""
        if self._expected.pop(name, left_out) != left_out:
            self.health.count("kdb_log_differs")
            self.health.damage.append(
                FeedError(
                    f"{self.name}: {self._place.log} has other rows of {name} than were published,"
                    " as a tickerplant leaves it that was killed before it logged; a few rows"
                    " after them may be missing: compare with the log"
                )
            )

    def _turn(self, told: q.Value) -> None:
        """Begin the next day's log."""
        log = q.name_of(told)
        if log is None:
            assert self._client is not None, "the feed is connected"
            try:
                log = (q.name_of(self._client.call(".u.L")) or "").removeprefix(":")
            except QueryError:
                log = ""
        midnight = _midnight(log)
        if isinstance(told, q.Atom) and told.type is q.QType.DATE and isinstance(told.value, int):
            midnight = (told.value + 1) * DAY_NS
        self._place = _Place(log, 0, Counter(), midnight)
        self._skip.clear()
        self._expected.clear()
        self.chapter = log if self._path(log) is not None else ""

    # Failing

    def _drop(self, why: str) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
            self.health.count("kdb_reconnects")
        # What of the log was not read yet is read when the connection is there again.
        self._replay = None
        self._failures += 1
        if self._failures > self._config.attempts:
            self._give_up(
                FeedError(f"{self.name}: {why}; given up after {self._failures} attempts in a row")
            )
            return
        wait_s = min(_BACKOFF_S[0] * 2 ** min(self._failures - 1, 30), _BACKOFF_S[1])
        self._due_ns = monotonic_ns() + int(wait_s * 1e9)

    def _give_up(self, error: FeedError) -> None:
        self.health.damage.append(error)
        self.stop()


def _opened(answer: q.Value) -> tuple[dict[str, q.Table], int, str]:
    """Read the answer to the opening call: ((table; schema) ...; (messages; log))."""
    if isinstance(answer, q.List) and len(answer) == 2 and isinstance(answer.items[1], q.List):
        pairs, position = answer.items
        schemas = dict(filter(None, map(_schema, pairs.items if isinstance(pairs, q.List) else ())))
        assert isinstance(position, q.List)
        count, log = position.items if len(position) == 2 else (None, None)
        name = q.name_of(log) if log is not None else None
        if schemas and isinstance(count, q.Atom) and isinstance(count.value, int):
            return schemas, max(count.value, 0), (name or "").removeprefix(":")
    raise FeedError(
        f"something else than schemas and a position in a log is answered to {_OPENING}; a kdb+"
        " tickerplant is expected there"
    )


def _schema(pair: q.Value) -> tuple[str, q.Table] | None:
    if isinstance(pair, q.List) and len(pair) == 2:
        name, schema = q.name_of(pair.items[0]), pair.items[1]
        if name and isinstance(schema, q.Table):
            return name, schema
    return None


def _update(value: q.Value) -> tuple[str, q.Value] | None:
    """Read what was pushed: an update, or the end of a day."""
    if not isinstance(value, q.List) or len(value) < 2:
        return None
    function = q.name_of(value.items[0]) or q.text_of(value.items[0])
    if function == _END:
        return _END, value.items[1]
    table = q.name_of(value.items[1])
    if function == _UPD and table and len(value) == 3:
        return table, value.items[2]
    return None


def _midnight(log: str) -> int:
    """Give the day of a log named after it, as kdb+tick names them; today if it is not."""
    try:
        day = date.fromisoformat(log[-10:].replace(".", "-"))
    except ValueError:
        day = today_utc()
    return (day - EPOCH_DATE).days * DAY_NS


def _row(rows: Batch, at: int) -> bytes:
    """Spell a row so that equal rows are equal bytes."""
    place = at % len(rows)
    cells = (values[place : place + 1] for values in rows.columns.values())
    return b"".join(
        repr(cell.tolist()).encode() if cell.dtype == object else cell.tobytes() for cell in cells
    )


def _slice(taken: list[Batch]) -> Slice:
    """Join batches of one table; every row keeps its place among all."""
    by_table: dict[str, list[Batch]] = {}
    start = 0
    for rows in taken:
        place = np.arange(start, start + len(rows), dtype=np.int64)
        start += len(rows)
        named = Batch(rows.table, {**rows.columns, "_place": place})
        key = f"{rows.table.name} {' '.join(rows.columns)}"
        by_table.setdefault(key, []).append(named)
    return Slice(tuple(concatenate(batches) for batches in by_table.values()))
