"""A subscriber on the wire: what it wants, and what happens when it reads too slowly."""

from collections.abc import Mapping
from enum import Enum
from typing import Protocol

from tickloop.core.batch import Batch, concatenate
from tickloop.core.schema import Table
from tickloop.tickerplant.catch_up import CatchUp, Missed
from tickloop.tickerplant.conflate import KEYS, conflate
from tickloop.tickerplant.encode import Encoder
from tickloop.tickerplant.publication import Filter, Publication

_CONFLATE_ROWS = 50_000


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
    """Opens the log for a subscriber that missed something."""

    def __call__(self, start: Missed | int) -> CatchUp: ...


class WireSubscriber:
    """One peer's subscriptions."""

    def __init__(
        self, outlet: Outlet, encoder: Encoder, backlog: Backlog, *, policy: SlowPolicy,
        low_water: int,
    ) -> None:  # fmt: skip
        """`low_water`: catching up goes on while fewer bytes than this are queued."""
        self.outlet = outlet
        self._encoder = encoder
        self._backlog = backlog
        self.policy = policy
        self._low_water = low_water
        self._filters: dict[str, Filter] = {}
        self._behind: CatchUp | None = None
        self._held: Batch | None = None
        self._conflated: dict[str, list[Batch]] = {}
        self.overflows = 0

    def want(self, filters: Mapping[str, Filter]) -> None:
        """Add tables, or replace what is wanted of them."""
        self._filters.update(filters)

    def unwant(self, table: str) -> None:
        """Stop one table."""
        self._filters.pop(table, None)

    def start_from(self, seq: int) -> None:
        """Begin with logged rows from `seq` on, then go on live without a gap."""
        self._behind = self._backlog(seq)

    @property
    def is_behind(self) -> bool:
        """Tell whether the log, not the plant, serves this subscriber now."""
        return self._behind is not None or bool(self._conflated)

    def offer(self, publication: Publication) -> None:
        """Send what is wanted of rows; never waits."""
        rows = publication.rows
        wanted = self._filters.get(rows.table.name)
        if wanted is None or self._behind is not None:
            return
        if rows.table.name in self._conflated:
            self._hold(rows, wanted)
            return
        if wanted.is_everything:
            self._post(publication.wire, rows)
            return
        kept = wanted.apply(rows)
        if kept is not None:
            self._post(self._encoder.publication(kept), rows)

    def offer_raw(self, table: Table, wire: bytes, rows: Batch) -> None:
        """Send rows that are encoded already, one message each."""
        wanted = self._filters.get(table.name)
        if wanted is None or self._behind is not None:
            return
        if wanted.is_everything and table.name not in self._conflated:
            self._post(wire, rows)
        else:
            self.offer(Publication(rows, self._encoder))

    def _post(self, wire: bytes, rows: Batch) -> None:
        if self.outlet.post(wire):
            return
        self.overflows += 1
        if self.policy is SlowPolicy.DISCONNECT:
            self.outlet.close()
        elif self.policy is SlowPolicy.CONFLATE and rows.table.name in KEYS:
            self._hold(rows, self._filters[rows.table.name])
        else:
            self._behind = self._backlog(Missed(rows.table.name, int(rows.columns["seq"][0])))

    def _hold(self, rows: Batch, wanted: Filter) -> None:
        kept = Filter(wanted.symbols).apply(rows)
        if kept is None:
            return
        held = self._conflated.setdefault(rows.table.name, [])
        held.append(kept)
        if sum(map(len, held)) > _CONFLATE_ROWS:
            held[:] = [conflate(concatenate(held))]

    def pump(self) -> None:
        """Send what the queue has room for of what was missed; the plant calls it between rows."""
        # What is held for conflation is older than anything that the log is read for.
        if self._conflated and self.outlet.queued_bytes < self._low_water:
            self._pump_conflated()
        if self._behind is not None and not self._conflated:
            self._pump_log(self._behind)

    def _pump_log(self, behind: CatchUp) -> None:
        while self.outlet.queued_bytes < self._low_water:
            rows = self._held if self._held is not None else behind.next()
            self._held = None
            if rows is None:
                self._behind = None
                return
            wanted = self._filters.get(rows.table.name)
            kept = wanted.apply(rows) if wanted is not None else None
            if kept is not None and not self.outlet.post(self._encoder.publication(kept)):
                self._held = rows
                return

    def _pump_conflated(self) -> None:
        held, self._conflated = self._conflated, {}
        for table, batches in held.items():
            rows = conflate(concatenate(batches))
            columns = Filter((), self._filters[table].columns).apply(rows)
            if columns is not None and not self.outlet.post(self._encoder.publication(columns)):
                self._conflated[table] = [rows]
