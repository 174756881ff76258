"""What a feed yields, gathered by table, with what must hold of every feed asserted on the way."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.clock import NULL_TIME
from tickloop.core.instruments import Instruments
from tickloop.core.symbols import Symbols
from tickloop.ingest.feed import CutRule, Feed, FeedContext

Columns = dict[str, npt.NDArray[np.generic]]


def new_context(
    *,
    cut: CutRule | None = None,
    symbol: str = "",
    session_date: date | None = None,
    depth_levels: int = 5,
) -> FeedContext:
    """Make a context with nothing in it yet."""
    return FeedContext(
        Symbols(),
        Instruments(),
        cut=cut or CutRule(),
        symbol=symbol,
        session_date=session_date,
        depth_levels=depth_levels,
    )


def rows_of(feed: Feed) -> dict[str, Columns]:
    """Gather a feed's rows by table; `place` is a row's position among all of the feed's rows."""
    parts: defaultdict[str, list[Columns]] = defaultdict(list)
    rows, latest = 0, NULL_TIME
    for piece in feed.slices():
        assert piece.rows > 0, "an empty slice"
        latest = _check_order(piece.batches, latest)
        for batch in piece.batches:
            place = batch.columns["_place"].astype(np.int64) + rows
            parts[batch.table.name].append({**batch.columns, "place": place})
            unknown = set(batch.columns) - {*batch.table.names, "_place"}
            assert not unknown, f"{batch.table.name} has no columns {unknown}"
        rows += piece.rows
    return {table: _joined(columns) for table, columns in parts.items()}


def _check_order(batches: Sequence[Batch], latest: int) -> int:
    ordinals = np.concatenate([batch.columns["_place"] for batch in batches])
    times = np.concatenate([batch.columns["time"] for batch in batches])
    assert sorted(ordinals.tolist()) == list(range(len(ordinals)))
    times = times[np.argsort(ordinals)]
    assert times[0] >= latest
    assert (np.diff(times.astype(np.int64)) >= 0).all()
    return int(times[-1])


def _joined(parts: list[Columns]) -> Columns:
    shared = [name for name in parts[0] if name != "_place"]
    return {name: np.concatenate([part[name] for part in parts]) for name in shared}


def same_rows(some: dict[str, Columns], others: dict[str, Columns]) -> bool:
    """Tell whether two feeds gave the same rows in the same order."""
    return some.keys() == others.keys() and all(
        some[table].keys() == others[table].keys()
        and all(
            np.array_equal(values, others[table][name], equal_nan=values.dtype.kind == "f")
            for name, values in columns.items()
        )
        for table, columns in some.items()
    )


def written(path: Path, content: bytes) -> Path:
    """Write a file and give its path."""
    path.write_bytes(content)
    return path
