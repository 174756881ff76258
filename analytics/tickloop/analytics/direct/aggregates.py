"""Aggregates over the rows that pass, put together block by block."""

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tickloop.analytics.direct.columns import Shown
from tickloop.analytics.direct.selection import Selection
from tickloop.analytics.direct.shape import NotSimpleError
from tickloop.analytics.direct.sorting import check_key, key_of
from tickloop.core.schema import Kind

if TYPE_CHECKING:
    import pyarrow as pa

_SUMMED = frozenset({Kind.LONG, Kind.SIZE, Kind.SPAN, Kind.INT, Kind.SHORT, Kind.PRICE, Kind.FLOAT})
_COUNTED = _SUMMED | {Kind.INSTANT}
_HALF = 32


def check_aggregate(name: str, shown: Shown | None) -> None:
    """Refuse what cannot be computed here."""
    if shown is None:
        return
    if shown.kind is None or shown.kind not in (_SUMMED if name in ("sum", "avg") else _COUNTED):
        raise NotSimpleError
    if name in ("sum", "avg") and shown.kind is Kind.INSTANT:
        raise NotSimpleError
    check_key(shown)


@dataclass(slots=True)
class Aggregate:
    """One aggregate of a column, or of rows where there is none."""

    name: str
    shown: Shown | None
    rows: int = 0
    total: Any = 0
    best: Selection | None = None  # the one row that is the least or greatest
    _best_key: Any = None

    def add(self, found: Selection) -> None:
        """Count rows in."""
        if self.shown is None:
            self.rows += found.rows
            return
        values, absent = key_of(self.shown, found)
        places = None if absent is None else np.flatnonzero(~absent)
        kept = values if places is None else values[places]
        if not len(kept):
            return
        self.rows += len(kept)
        if self.name in ("sum", "avg"):
            self.total += _sum(kept)
        elif self.name in ("min", "max"):
            self._compare(kept, places, found)

    def _compare(
        self, kept: npt.NDArray[Any], places: npt.NDArray[Any] | None, found: Selection
    ) -> None:
        at = int(kept.argmin() if self.name == "min" else kept.argmax())
        key = kept[at]
        is_better = self._best_key is None or (
            key < self._best_key if self.name == "min" else key > self._best_key
        )
        if is_better:
            self._best_key = key
            place = at if places is None else int(places[at])
            self.best = found.at(np.array([place]))

    def value(self, kind: str) -> "pa.Array | None":
        """Give the result as SQL's type; None for a value of the column itself, or no value."""
        import pyarrow as pa

        if self.name == "count":
            return pa.array([self.rows], type=pa.int64())
        if self.name in ("min", "max"):
            return None
        value: float | Decimal | None
        if not self.rows:
            value = None
        elif self.name == "avg":
            value = float(self.total) / self.rows
        else:
            value = Decimal(self.total) if kind == "HUGEINT" else self.total
        return pa.array([value], type=pa.decimal128(38, 0) if kind == "HUGEINT" else pa.float64())


def _sum(values: npt.NDArray[Any]) -> int | float:
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            return float(values.sum())
    # Whole sums are exact: in two halves, none of which leaves 64 bits.
    high, low = values >> _HALF, values & ((1 << _HALF) - 1)
    return (int(high.sum()) << _HALF) + int(low.sum())
