"""Inside rows to surface rows: exact floats, complete columns, schema order."""

from collections import Counter

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.dialects.numpy import nulls, surface_dtype
from tickloop.core.instruments import DEFAULT_PRICE_UNIT, DEFAULT_SIZE_UNIT, Instruments
from tickloop.core.schema import Column, Kind
from tickloop.core.units import to_floats


class Surfacer:
    """Converts batches; values that do not survive the round trip become null and are counted."""

    def __init__(self, instruments: Instruments, *, fractional: bool) -> None:
        self._instruments = instruments
        self._fractional = fractional
        self.refused: Counter[str] = Counter()

    def surface(
        self, batch: Batch, times: npt.NDArray[np.int64], seqs: npt.NDArray[np.int64]
    ) -> Batch:
        """Convert one batch of inside columns, adding the plant's time and seq."""
        columns: dict[str, npt.NDArray[np.generic]] = {}
        for column in batch.table.columns:
            if column.name == "time":
                columns["time"] = times
            elif column.name == "seq":
                columns["seq"] = seqs
            else:
                columns[column.name] = self._column(batch, column)
        return Batch(batch.table, columns)

    def _column(self, batch: Batch, column: Column) -> npt.NDArray[np.generic]:
        values = batch.columns.get(column.name)
        dtype = surface_dtype(column.kind, fractional=self._fractional)
        if values is None:
            return nulls(column.kind, len(batch), dtype=dtype)
        if dtype == "<f8" and values.dtype.kind == "i":
            return self._floats(batch, column, values)
        return np.ascontiguousarray(values, dtype=dtype)

    def _floats(
        self, batch: Batch, column: Column, values: npt.NDArray[np.generic]
    ) -> npt.NDArray[np.float64]:
        is_price = column.kind is Kind.PRICE
        units = self._instruments.price_units if is_price else self._instruments.size_units
        default = DEFAULT_PRICE_UNIT if is_price else DEFAULT_SIZE_UNIT
        floats, refused = to_floats(
            values.astype(np.int64, copy=False),
            batch.columns["sym"].astype(np.int32, copy=False), units, default,
        )  # fmt: skip
        if refused:
            self.refused[f"{batch.table.name}.{column.name}"] += refused
        return floats
