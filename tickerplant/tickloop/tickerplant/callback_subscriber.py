"""A subscriber in the plant's own process: a function that is given rows as they enter the log."""

import logging
from collections.abc import Callable, Sequence
from datetime import date

from tickloop.core.batch import Batch
from tickloop.core.errors import SchemaError
from tickloop.core.schema import Table
from tickloop.tickerplant.plant import Plant
from tickloop.tickerplant.publication import Filter, Update


class CallbackSubscriber:
    """Calls a function with surface rows, in log order, in the plant's thread.

    ``plant.subscribe(CallbackSubscriber(plant, function, tables=["trade"]))`` gives rows from now
    on; with `start=seq` also those of the past, before it returns, without a gap or a repeat.
    A function that raises is not called again: the error is logged and kept in `failure`, and
    the plant goes on. It must not publish, and it may keep the rows.
    """

    def __init__(
        self, plant: Plant, function: Callable[[Batch], None], *,
        tables: Sequence[str] = (), symbols: Sequence[str] = (), columns: Sequence[str] = (),
        on_end: Callable[[date], None] | None = None,
    ) -> None:  # fmt: skip
        """Empty `tables`, `symbols` or `columns` mean all; SchemaError for an unknown name."""
        self.failure: Exception | None = None
        self._function = function
        self._on_end = on_end
        names = tables or tuple(plant.catalog.by_name)
        wanted = [_table(plant, name) for name in names]
        for table in wanted:
            _check_columns(table, columns)
        self._filters = {
            table.name: Filter(table, plant.symbols, names=symbols, columns=columns)
            for table in wanted
        }

    def offer(self, update: Update) -> None:
        """Hand over what is wanted of rows."""
        wanted = self._filters.get(update.table.name)
        if wanted is None or self.failure is not None:
            return
        rows = wanted.apply(update.rows)
        if rows is not None:
            self._call(lambda: self._function(rows))

    def ended(self, session: date) -> None:
        """Hand over the date of a session that ended."""
        if self._on_end is not None and self.failure is None:
            on_end = self._on_end
            self._call(lambda: on_end(session))

    def _call(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:
            # The function is the user's; whatever is wrong with it must not end a capture.
            self.failure = error
            logging.getLogger(__name__).exception(
                "a subscriber's function failed and is not called again"
            )


def _table(plant: Plant, name: str) -> Table:
    if name not in plant.catalog:
        raise SchemaError(
            f"table {name!r} seen, one of {', '.join(sorted(plant.catalog.by_name))} expected"
        )
    return plant.catalog[name]


def _check_columns(table: Table, columns: Sequence[str]) -> None:
    unknown = [name for name in columns if name not in table.names]
    if unknown:
        raise SchemaError(
            f"{table.name}: column {unknown[0]!r} seen, one of {', '.join(table.names)} expected"
        )
