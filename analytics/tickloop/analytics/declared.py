"""Connections to DuckDB whose views stand: the next statement of the same kind finds them so.

A connection serves one statement at a time. Its views are over one snapshot; where the snapshot
is another one, only the columns that lie elsewhere or have grown are registered anew.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tickloop.analytics.pruning import Filter
from tickloop.analytics.statement import Reading
from tickloop.analytics.views import View, Views
from tickloop.tickerplant.database import Snapshot

_IDLE_MAX = 8

Key = tuple[frozenset[tuple[str, Filter]], frozenset[str] | None]


@dataclass(slots=True)
class Lent:
    """A connection and what is declared in it; whoever has it closes it or gives it back."""

    owner: "Declared"
    connection: Any
    key: Key
    snapshot: Snapshot
    views: Mapping[str, View] = field(default_factory=dict)

    def give_back(self) -> None:
        """Keep the connection for the next statement that reads alike."""
        self.owner.keep(self)

    def close(self) -> None:
        """Let everything go."""
        self.connection.close()


class Declared:
    """Idle connections, the ones that were used last; `keep` may be called from any thread."""

    def __init__(self, connection: Any, views: Views) -> None:
        self._connection = connection
        self._views = views
        self._idle: list[Lent] = []
        self._guard = threading.Lock()

    def lend(self, snapshot: Snapshot, need: Reading, defined: frozenset[str]) -> Lent:
        """Give a connection with every view that is needed; duckdb.Error if one cannot be made."""
        key = frozenset(need.filters.items()), need.columns
        found = self._taken(key, snapshot)
        if found is not None and self._is_renewed(found, snapshot, need):
            return found
        lent = Lent(self, self._connection.cursor(), key, snapshot)
        try:
            lent.views = self._declare(lent.connection, snapshot, need, defined)
        except BaseException:
            lent.close()
            raise
        return lent

    def keep(self, lent: Lent) -> None:
        """Keep a connection, and let the one go that was used longest ago if there are too many."""
        with self._guard:
            self._idle.append(lent)
            surplus = self._idle[:-_IDLE_MAX]
            del self._idle[:-_IDLE_MAX]
        for one in surplus:
            one.close()

    def forget(self) -> None:
        """Let every idle connection go."""
        with self._guard:
            idle, self._idle = self._idle, []
        for one in idle:
            one.close()

    close = forget

    def _taken(self, key: Key, snapshot: Snapshot) -> Lent | None:
        """Take an idle connection; those with views over files that may be gone are closed."""
        with self._guard:
            old = [one for one in self._idle if one.snapshot.manifest is not snapshot.manifest]
            self._idle = [one for one in self._idle if one.snapshot.manifest is snapshot.manifest]
            found = next((one for one in reversed(self._idle) if one.key == key), None)
            if found is not None:
                self._idle.remove(found)
        for one in old:
            one.close()
        return found

    def _is_renewed(self, lent: Lent, snapshot: Snapshot, need: Reading) -> bool:
        """Bring a connection's views up to a snapshot; False if it had to be closed instead."""
        if lent.snapshot is snapshot:
            return True
        tables = snapshot.tables
        for name, view in lent.views.items():
            table = tables.get(view.table.name)
            if table != view.table or not self._views.renew(
                lent.connection, snapshot, view, need.filters[name], need.columns
            ):
                lent.close()
                return False
        lent.snapshot = snapshot
        return True

    def _declare(
        self, connection: Any, snapshot: Snapshot, need: Reading, defined: frozenset[str]
    ) -> dict[str, View]:
        """Make a view for every table that is named; for all, without rows, if one is unknown."""
        known = {name.lower(): table for name, table in snapshot.tables.items()}
        made = {
            name: self._views.declare(connection, snapshot, known[name], found, need.columns)
            for name, found in need.filters.items()
            if name in known
        }
        unknown = need.filters.keys() - known.keys() - defined
        if unknown or not need.filters:
            for name, table in known.items():
                if name not in need.filters:
                    self._views.declare_empty(connection, snapshot, table)
        return made
