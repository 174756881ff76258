"""A subscriber on the wire: what it wants, and what happens when it reads too slowly."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Protocol

from tickloop.core.batch import Batch
from tickloop.core.clock import EPOCH_DATE
from tickloop.tickerplant import q_values as q
from tickloop.tickerplant.catch_up import CatchUp, Ended, Logged, Position
from tickloop.tickerplant.conflate import KEYS, Latest
from tickloop.tickerplant.encode import Encoder
from tickloop.tickerplant.journal_reader import after
from tickloop.tickerplant.publication import Filter, Update
from tickloop.tickerplant.q_codec import MessageKind, encode, message

# How much of the log one subscriber is served between two looks at everybody else.
_PUMP_BYTES = 1 << 20


class SlowPolicy(Enum):
    """What happens to a subscriber whose bounded queue is full."""

    DISCONNECT = "disconnect"
    SPILL = "spill"  # it is served from the journal until it has caught up
    CONFLATE = "conflate"  # as spill, but of quote and depth it gets the latest state only


class Outlet(Protocol):
    """Where messages go; `tickloop.tickerplant.q_connection.Connection` is one."""

    @property
    def queued_bytes(self) -> int:
        """Bytes that the peer has not taken yet."""
        ...

    def post(self, whole: bytes) -> bool:
        """Queue a message; False if the bound would be passed."""
        ...

    def close(self) -> None:
        """Disconnect."""
        ...


class Backlog(Protocol):
    """The log, for a subscriber that missed something."""

    @property
    def next_seq(self) -> int:
        """The seq of the next row that enters the log."""
        ...

    def here(self) -> Position | None:
        """Give the end of the log, where everything before it was offered; None if none is open."""
        ...

    def open(self, start: Position | int) -> CatchUp:
        """Read on from a position or a seq."""
        ...


@dataclass(slots=True)
class _Wanted:
    """One table's subscription and how far it was served: no seq up to `through` is sent again."""

    filter: Filter
    through: int
    from_log: bool = False


class WireSubscriber:
    """One peer's subscriptions.

    Every table is in one of three states: live; served from the log, because the peer asked for
    rows of the past or was slow; or conflated. What was served already is known by seq, so that
    changing between them neither loses nor repeats a row.
    """

    def __init__(
        self, outlet: Outlet, encoder: Encoder, backlog: Backlog, *, policy: SlowPolicy,
        low_water: int,
    ) -> None:  # fmt: skip
        """`low_water`: catching up goes on while fewer bytes than this are queued."""
        self.outlet = outlet
        self.policy = policy
        self.overflows = 0
        self._encoder = encoder
        self._backlog = backlog
        self._low_water = low_water
        # Falls when a message is refused: trying again makes sense once the peer has taken more.
        self._room_below = low_water
        self._wanted: dict[str, _Wanted] = {}
        self._latest: dict[str, Latest] = {}
        self._behind: CatchUp | None = None
        self._behind_seq = 0
        self._refused: Logged | Ended | None = None
        # Everything before this position of the log was offered.
        self._mark = backlog.here()

    def want(self, filters: Mapping[str, Filter], *, through: int) -> None:
        """Add tables from the live row past `through` on, or replace what is wanted of them.

        What a table that is behind has not been sent yet is still sent, as it is wanted now.
        """
        for name, wanted in filters.items():
            before = self._wanted.get(name)
            served = through if before is None else min(through, before.through)
            self._wanted[name] = _Wanted(wanted, served, self._behind is not None)

    def want_from(self, filters: Mapping[str, Filter], seq: int) -> None:
        """Want tables from the seq `seq` on, whatever was sent before: from the log, then live."""
        for name, wanted in filters.items():
            self._latest.pop(name, None)
            self._wanted[name] = _Wanted(wanted, seq - 1)
        self._behind_seq = min(seq, self._behind_seq) if self._behind is not None else seq
        self._behind = self._backlog.open(self._behind_seq)
        self._refused = None
        for table in self._wanted.values():
            table.from_log = True

    @property
    def is_behind(self) -> bool:
        """Tell whether something is still to be sent that the plant does not offer again."""
        return self._behind is not None or bool(self._latest)

    @property
    def has_room(self) -> bool:
        """Tell whether the peer has taken enough to be sent what it missed."""
        return self.outlet.queued_bytes < self._room_below

    def offer(self, update: Update) -> None:
        """Send what is wanted of rows; never waits."""
        name = update.table.name
        wanted = self._wanted.get(name)
        if wanted is None or wanted.from_log:
            return
        if name in self._latest:
            self._hold(wanted, update)
        elif not self._send(wanted, update):
            self._missed(wanted, update)

    def ended(self, session: date) -> None:
        """Say `.u.end` after the session's last row; a peer that is behind hears of it there."""
        if self._behind is None and (self._latest or not self.outlet.post(end_message(session))):
            if self.policy is SlowPolicy.DISCONNECT:
                self.disconnect()
            else:
                self._fall_behind(self._backlog.next_seq)
        # The log that the mark is in tells of the end, so it is not read again.
        self._mark = None

    def _send(self, wanted: _Wanted, update: Update) -> bool:
        """Queue the part of an update that is wanted and new; False if the queue is full."""
        wire = self._wire(wanted, update)
        if wire is not None and not self.outlet.post(wire):
            return False
        wanted.through = max(wanted.through, update.last_seq)
        return True

    def _wire(self, wanted: _Wanted, update: Update) -> bytes | None:
        """Spell the part of an update that is wanted and new; None if there is none."""
        if wanted.filter.is_everything and update.first_seq > wanted.through:
            return update.wire
        kept = _new_rows(wanted, update)
        if kept is None:
            return None
        return self._encoder.publication(wanted.filter.columns_of(kept))

    def _missed(self, wanted: _Wanted, update: Update) -> None:
        self.overflows += 1
        if self.policy is SlowPolicy.DISCONNECT:
            self.disconnect()
        elif self._is_state(update.table.name):
            self._latest[update.table.name] = Latest()
            self._hold(wanted, update)
        else:
            self._fall_behind(max(update.first_seq, wanted.through + 1))

    def disconnect(self) -> None:
        """Close the connection; nothing more is sent."""
        self._wanted.clear()
        self._latest.clear()
        self._behind = None
        self.outlet.close()

    def _is_state(self, table: str) -> bool:
        return self.policy is SlowPolicy.CONFLATE and table in KEYS

    def _fall_behind(self, seq: int) -> None:
        self._behind = self._backlog.open(seq if self._mark is None else self._mark)
        self._behind_seq = seq
        self._refused = None
        for name, wanted in self._wanted.items():
            wanted.from_log = not self._is_state(name)

    def _hold(self, wanted: _Wanted, update: Update) -> None:
        latest = self._latest[update.table.name]
        kept = _new_rows(wanted, update)
        wanted.through = max(wanted.through, update.last_seq)
        if kept is not None:
            latest.add(kept)
            if latest.is_too_large:
                self.disconnect()

    # Between publications

    def pump(self) -> None:
        """Send what the queue has room for of what was missed; the plant calls it between rows."""
        if self._latest and self.has_room:
            self._pump_latest()
        if self._behind is None:
            self._mark = self._backlog.here()
        else:
            self._pump_log(self._behind)

    def _pump_log(self, behind: CatchUp) -> None:
        budget = _PUMP_BYTES
        while budget > 0 and self.has_room:
            logged = self._refused or behind.next()
            self._refused = None
            if logged is None:
                self._catch_up_done()
                return
            if not self._send_logged(logged):
                self._refused = logged
                return
            budget -= logged.size if isinstance(logged, Logged) else 0

    def _catch_up_done(self) -> None:
        self._behind = None
        self._mark = self._backlog.here()
        for wanted in self._wanted.values():
            wanted.from_log = False

    def _send_logged(self, logged: Logged | Ended) -> bool:
        if isinstance(logged, Ended):
            return self._post_late(end_message(logged.session))
        wanted = self._wanted.get(logged.table.name)
        if wanted is None or not wanted.from_log:
            return True
        wire = self._wire(wanted, logged)
        if wire is not None and not self._post_late(wire):
            return False
        wanted.through = max(wanted.through, logged.last_seq)
        return True

    def _post_late(self, whole: bytes) -> bool:
        sent = self.outlet.post(whole)
        self._room_below = (
            self._low_water if sent else min(self._low_water, self.outlet.queued_bytes)
        )
        return sent

    def _pump_latest(self) -> None:
        held, self._latest = self._latest, {}
        for table, latest in held.items():
            wanted = self._wanted[table].filter
            for rows in latest.pieces():
                kept = wanted.apply(rows)
                if kept is not None and (
                    table in self._latest or not self._post_late(self._encoder.publication(kept))
                ):
                    self._latest.setdefault(table, Latest()).add(rows)


def _new_rows(wanted: _Wanted, update: Update) -> Batch | None:
    """Take the rows of wanted symbols that were not served yet, with all columns."""
    if update.last_seq <= wanted.through:
        return None
    rows: Batch | None = update.rows
    if update.first_seq <= wanted.through:
        rows = after(update.rows, wanted.through)
    return None if rows is None else wanted.filter.rows_of(rows)


def end_message(session: date) -> bytes:
    """Spell ``(`.u.end;session)`` as an asynchronous message."""
    day = q.atom(q.QType.DATE, (session - EPOCH_DATE).days)
    return message(MessageKind.ASYNC, encode(q.items(q.symbol(".u.end"), day)))
