"""Which questions are answered without DuckDB: those of a simple shape over few rows."""

from collections.abc import Sequence

from tickloop.analytics.arrow_parts import DATE
from tickloop.analytics.direct.answer import DirectAnswer
from tickloop.analytics.direct.plan import Plan, plan_of
from tickloop.analytics.direct.selection import filter_of, stored
from tickloop.analytics.direct.shape import Constant, NotSimpleError, shape_of
from tickloop.analytics.pruning import Filter, Node
from tickloop.analytics.trace import active
from tickloop.analytics.views import Views, parts_of
from tickloop.tickerplant.database import Snapshot
from tickloop.tickerplant.part import Part

# With more rows than these in the parts that are left, two cores of DuckDB are faster, and keep to
# the memory that a user may have.
ROWS_MAX = 1 << 22
SORTED_ROWS_MAX = 1 << 20
_KEPT = 256


class Road:
    """Plans of statements that were seen, each for the tables as they were then."""

    def __init__(self, views: Views, quoted: frozenset[str]) -> None:
        self._views = views
        self._quoted = quoted
        # What was read last, by what was asked for; of one snapshot only.
        self._snapshot: Snapshot | None = None
        self._parts: dict[object, list[Part]] = {}

    def plan(self, tree: Node, snapshot: Snapshot) -> Plan | None:
        """Look at a statement; None where it is one for DuckDB."""
        shape = shape_of(tree)
        if shape is None:
            return None
        tables = {name.lower(): table for name, table in snapshot.tables.items()}
        table = tables.get(shape.table)
        if table is None or DATE in table.names:
            return None
        try:
            return plan_of(
                shape, table, self._views.spelling, fractional=snapshot.fractional,
                quoted=self._quoted,
            )  # fmt: skip
        except NotSimpleError:
            return None

    def start(
        self, plan: Plan, tree: Node, snapshot: Snapshot, values: Sequence[Constant]
    ) -> DirectAnswer | None:
        """Pin what a statement reads; None where DuckDB has to answer after all."""
        table = snapshot.tables.get(plan.table.name)
        if table is not plan.table and table != plan.table:
            return None
        try:
            wanted = plan.of(values)
            parts = self._read(plan, filter_of(wanted.conditions), snapshot)
        except NotSimpleError:
            return None
        answer = DirectAnswer(plan, wanted, parts, self._views.dictionaries, tree)
        limit = SORTED_ROWS_MAX if plan.keys else ROWS_MAX
        return answer if answer.rows_read <= limit else None

    def _read(self, plan: Plan, found: Filter, snapshot: Snapshot) -> list[Part]:
        """Find the parts that can pass a filter; the same ones as before in the same snapshot."""
        if snapshot is not self._snapshot:
            self._snapshot = snapshot
            self._parts.clear()
        key = plan.table.name, found, plan.columns
        known = None if active() is not None else self._parts.get(key)
        if known is None:
            known = parts_of(snapshot, plan.table, found, plan.columns, self._views.dictionaries)
            for part in known:
                for column in plan.columns:
                    stored(part, column.name)
            if len(self._parts) >= _KEPT:
                self._parts.clear()
            self._parts[key] = known
        return known
