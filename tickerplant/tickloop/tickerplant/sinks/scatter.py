"""Rows sorted by shard in one pass a column: read in order, written to as many ends as shards."""

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.kernel import kernel
from tickloop.core.schema import Kind

_Longs = npt.NDArray[np.int64]


@kernel("void(int16[::1], int64[::1], int64[::1])")
def _places(
    shards: npt.NDArray[np.int16], starts: npt.NDArray[np.int64], places: npt.NDArray[np.int64]
) -> None:
    """Number rows within their shards, shards one after the other; `starts` are used up."""
    for row in range(shards.shape[0]):
        shard = shards[row]
        places[row] = starts[shard]
        starts[shard] += 1


@kernel(
    "void(int64[::1], int64[::1], int64[::1])",
    "void(int32[::1], int64[::1], int32[::1])",
    "void(int16[::1], int64[::1], int16[::1])",
    "void(uint8[::1], int64[::1], uint8[::1])",
)
def _scatter(
    values: npt.NDArray[np.generic], places: npt.NDArray[np.int64], out: npt.NDArray[np.generic]
) -> None:
    for row in range(values.shape[0]):
        out[places[row]] = values[row]


_VIEWS = {8: "<i8", 4: "<i4", 2: "<i2", 1: "|u1"}


def sorted_by_shard(
    rows: Batch, shards: npt.NDArray[np.int16], count: int
) -> tuple[Batch, list[int]]:
    """Give rows sorted by shard, in seq order within one, and where each shard ends."""
    sizes = np.bincount(shards, minlength=count)
    ends = np.cumsum(sizes)
    places = np.empty(len(rows), dtype=np.int64)
    _places(np.ascontiguousarray(shards), (ends - sizes).astype(np.int64), places)
    columns = {
        column.name: _sorted(column.kind, rows.columns[column.name], places)
        for column in rows.table.columns
    }
    return Batch(rows.table, columns), [int(end) for end in ends]


def _sorted(kind: Kind, values: npt.NDArray[np.generic], places: _Longs) -> npt.NDArray[np.generic]:
    out = np.empty_like(values)
    view = _VIEWS.get(values.dtype.itemsize)
    if kind in (Kind.TEXT, Kind.GUID) or view is None:
        out[places] = values
        return out
    _scatter(np.ascontiguousarray(values).view(view), places, out.view(view))
    return out
