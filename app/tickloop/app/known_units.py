"""An instrument keeps its units for as long as its data directory lives, also over runs."""

import numpy as np

from tickloop.core.dialects.numpy import NULL_INT
from tickloop.core.instruments import Instruments
from tickloop.core.schema import INSTRUMENT
from tickloop.core.symbols import Symbols
from tickloop.core.units import UNIT_MIN
from tickloop.tickerplant.database import Database
from tickloop.tickerplant.part import Part

_COLUMNS = ("sym", "price_unit", "size_unit")


def recall(database: Database, symbols: Symbols, instruments: Instruments) -> None:
    """Declare the units that instruments were first captured with.

    Rows of peers may say anything: units that no instrument can have are passed over.
    """
    for part in database.snapshot().parts(INSTRUMENT.name, columns=_COLUMNS):
        _recall_part(part, symbols, instruments)


def _recall_part(part: Part, symbols: Symbols, instruments: Instruments) -> None:
    ids, price_units, size_units = (np.asarray(part.columns[name]) for name in _COLUMNS)
    names = part.names_of("sym")
    # A symbol's rows are in the order of their seq, in history as in today.
    first_ids, first_rows = np.unique(ids, return_index=True)
    for id_, row in zip(first_ids.tolist(), first_rows.tolist(), strict=True):
        price_unit, size_unit = int(price_units[row]), int(size_units[row])
        size_unit = 0 if size_unit == NULL_INT else size_unit
        if not (0 <= id_ < len(names) and _is_unit(price_unit) and _is_unit(size_unit)):
            continue
        symbol = symbols.id(names[id_])
        if instruments.declared(symbol) is None:
            instruments.declare(symbol, price_unit=price_unit, size_unit=size_unit)


def _is_unit(power: int) -> bool:
    return UNIT_MIN <= power <= 0
