"""Rows in the order that is asked for: nulls last, rows alike as they lie."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.analytics.arrow_parts import UNIX_DAYS
from tickloop.analytics.direct.columns import Shown
from tickloop.analytics.direct.selection import Positions, Selection
from tickloop.analytics.direct.shape import NotSimpleError
from tickloop.core.clock import EPOCH_DATE
from tickloop.core.dialects.numpy import NULL_INT, NULL_LONG, NULL_SHORT
from tickloop.core.schema import Kind

Key = npt.NDArray[Any]
_NULLS = {Kind.INT: NULL_INT, Kind.SHORT: NULL_SHORT}
_SORTED = frozenset({Kind.INSTANT, Kind.LONG, Kind.SPAN, Kind.SIZE, Kind.PRICE, Kind.FLOAT, *_NULLS})  # noqa: E501  # fmt: skip
# Below this share of all rows, the first ones are found before they are sorted.
_FEW = 8


def check_key(shown: Shown) -> None:
    """Refuse a column whose order is not that of its numbers."""
    if shown.kind is not None and shown.kind not in _SORTED:
        raise NotSimpleError


def key_of(shown: Shown, selection: Selection) -> tuple[Key, Key | None]:
    """Give numbers that order rows of a column, and which of them are null if any is."""
    if shown.kind is None:
        session = selection.part.session
        day = 0 if session is None else (session - EPOCH_DATE).days + UNIX_DAYS
        rows = selection.rows
        return np.full(rows, day), np.ones(rows, np.bool_) if session is None else None
    values = selection.values(shown.source)
    if shown.is_float:
        absent = np.isnan(values)
        values = np.where(absent, 0.0, values)
    else:
        absent = values == _NULLS.get(shown.kind, NULL_LONG)
        values = values.astype(np.int64)
        values[absent] = 0
    return values, absent if absent.any() else None


def ordered(
    keys: Sequence[tuple[Shown, bool]], selections: Sequence[Selection], wanted: int | None
) -> Positions:
    """Give places in all rows together, in order; of them the first `wanted` if that is set."""
    columns: list[Key] = []
    for shown, is_descending in keys:
        pairs = [key_of(shown, one) for one in selections]
        values = np.concatenate([values for values, _ in pairs]) if pairs else np.zeros(0, np.int64)
        columns.append(-values if is_descending else values)
        if any(absent is not None for _, absent in pairs):
            nulls = [np.zeros(len(v), np.bool_) if n is None else n for v, n in pairs]
            # Nulls come last whichever way the others go.
            columns.insert(-1, np.concatenate(nulls))
    order = _order_of_one(columns[0], wanted) if len(columns) == 1 else np.lexsort(columns[::-1])
    return order if wanted is None else order[:wanted]


def _order_of_one(key: Key, wanted: int | None) -> Positions:
    if len(key) < 2 or bool((key[1:] >= key[:-1]).all()):
        return np.arange(len(key) if wanted is None else min(wanted, len(key)))
    if bool((key[1:] < key[:-1]).all()):
        return np.arange(len(key))[::-1]
    if wanted is not None and 0 < wanted < len(key) // _FEW:
        last = np.partition(key, wanted - 1)[wanted - 1]
        some = np.flatnonzero(key <= last)
        return some[np.argsort(key[some], kind="stable")]
    return np.argsort(key, kind="stable")
