"""Signals of each symbol's market: where it is, which way it leans, how one-sided it trades."""

from collections.abc import Mapping, Sequence

import numpy as np

from tickloop.analytics.operators.columns import (
    NO_CLOCKS,
    NO_SIZED_QUOTES,
    NO_TRADES,
    caused,
    clock_columns,
    derived,
    sized_quote_columns,
    trade_columns,
)
from tickloop.analytics.operators.heads import FULL, GROW, NEVER
from tickloop.analytics.operators.signal_kernels import (
    MADE,
    SETTINGS,
    SIGNAL_ROW,
    SYMBOL_SIGNALS,
    WANTED,
    WORK,
    Records,
    fold_signals,
)
from tickloop.analytics.operators.slots import Array, none_yet, take_slot, with_room
from tickloop.analytics.operators.trade_sign import NULL
from tickloop.analytics.operators.unit_rows import (
    DEFAULT_PRICE_SCALE,
    DEFAULT_SIZE_SCALE,
    scales,
)
from tickloop.core.batch import Batch
from tickloop.core.errors import ConfigError
from tickloop.core.operator import Scope, State
from tickloop.core.parameters import Parameter, Settings
from tickloop.core.schema import CLOCK, INSTRUMENT, QUOTE, SIGNAL, TRADE

NAMES = ("mid", "microprice", "ofi", "queue_imbalance", "vpin", "volatility", "trade_sign")
_NAMES = np.array([name.encode() for name in NAMES])
_ROWS_AT_ONCE = 4096


class Signals:
    """Mid, microprice, order flow, queue imbalance, VPIN, realised volatility and trade sign.

    Each is a row of `signal`, at the end of every interval in which the symbol had a row, caused
    by the first row at or past its end (a clock row at the latest); with `interval = 0` at every
    trade and quote. A signal that is not known yet has no row.

    - mid = (bid + ask) / 2.
    - microprice = (bid × asize + ask × bsize) / (bsize + asize): the weighted mid (Gatheral and
      Oomen 2010).
    - ofi = Σ [bid ≥ bid'] bsize - [bid ≤ bid'] bsize' - [ask ≤ ask'] asize + [ask ≥ ask'] asize'
      over the interval's quotes, where ' is the quote before (Cont, Kukanov and Stoikov 2014).
    - queue_imbalance = (bsize - asize) / (bsize + asize) (Gould and Bonart 2016).
    - vpin = Σ |bought - sold| / (n × bucket) over the last n full buckets of equal volume
      (Easley, López de Prado and O'Hara 2012); volume is signed trade by trade, not in bulk.
    - volatility = √Σ r², r the log returns of mid between the last `samples` interval ends.
    - trade_sign = 1 bought, -1 sold, 0 unknown: the last trade, as the venue says, else as in Lee
      and Ready (1991).

    Units: mid and microprice in currency; ofi in quantity; the others are numbers.
    State: 144 bytes a symbol and 8 for each bucket and each sample. Cost: about 15 ns a tick; a
    clock row that ends intervals, about 100 ns a symbol.
    """

    name = "signals"
    version = 1
    scope = Scope.SYMBOL
    tables = (INSTRUMENT.name, TRADE.name, QUOTE.name, CLOCK.name)
    together = frozenset({TRADE.name, QUOTE.name, CLOCK.name})
    outputs = (SIGNAL.name,)
    parameters = (
        Parameter("interval", 1_000_000_000, "between two rows of a signal", "ns", minimum=0),
        Parameter("bucket", 10_000.0, "quantity in one VPIN bucket", minimum=1e-9),
        Parameter("buckets", 50, "buckets that VPIN looks back", minimum=1, maximum=10_000),
        Parameter("samples", 60, "returns that volatility looks back", minimum=1, maximum=10_000),
        Parameter("only", "", f"signals wanted, divided by spaces: {' '.join(NAMES)}"),
    )

    def __init__(self) -> None:
        self._work = np.zeros(WORK, dtype=np.int64)
        self._kept_of: Mapping[str, Array] = {}
        self._kept: tuple[Array, ...] = ()
        self._made = np.empty(_ROWS_AT_ONCE, dtype=SIGNAL_ROW)

    def initial(self, params: Settings) -> State:
        """Make the state before the first row."""
        settings = np.zeros(1, dtype=SETTINGS)
        settings[0] = (int(params["interval"]), _mask(str(params["only"])), NEVER)
        arrays = {
            **none_yet(), "symbols": np.empty(0, dtype=SYMBOL_SIGNALS),
            "vpins": np.empty((0, int(params["buckets"])), dtype=np.int64),
            "returns": np.empty((0, int(params["samples"])), dtype=np.float64),
            "settings": settings, "bucket": np.full(1, float(params["bucket"])),
        }  # fmt: skip
        return State(self.version, arrays)

    def step(self, state: State, batch: Batch) -> tuple[State, Sequence[Batch]]:
        """Fold rows of one table."""
        table = batch.table.name
        if table == "trade":
            return self._folded(state, (*trade_columns(batch), *NO_SIZED_QUOTES, *NO_CLOCKS))
        if table == "quote":
            return self._folded(state, (*NO_TRADES, *sized_quote_columns(batch), *NO_CLOCKS))
        if table == "clock":
            return self._folded(state, (*NO_TRADES, *NO_SIZED_QUOTES, *clock_columns(batch)))
        return self._with_instruments(state, batch), ()

    def step_together(
        self, state: State, batches: Sequence[Batch]
    ) -> tuple[State, Sequence[Batch]]:
        """Fold trades, quotes and clock rows."""
        trades, quotes, clocks = NO_TRADES, NO_SIZED_QUOTES, NO_CLOCKS
        for batch in batches:
            table = batch.table.name
            if table == "trade":
                trades = trade_columns(batch)
            elif table == "quote":
                quotes = sized_quote_columns(batch)
            else:
                clocks = clock_columns(batch)
        return self._folded(state, (*trades, *quotes, *clocks))

    def _folded(self, state: State, columns: tuple[Array, ...]) -> tuple[State, Sequence[Batch]]:
        outcome = self._fold(columns, state.arrays)
        if outcome == 0:
            return state, ()
        arrays: Mapping[str, Array] = state.arrays
        taken: list[Records] = []
        while outcome < 0:
            if outcome == GROW:
                arrays = with_room(arrays, int(self._work[WANTED]), _blanks(arrays))
            else:
                assert outcome == FULL, f"outcome {outcome}"
                taken.append(self._made[: self._work[MADE]].copy())
                self._work[MADE] = 0
            outcome = self._fold(columns, arrays)
        taken.append(self._made[:outcome])
        return State(state.version, arrays), _rows(np.concatenate(taken))

    def _fold(self, columns: tuple[Array, ...], arrays: Mapping[str, Array]) -> int:
        if arrays is not self._kept_of:
            # Looked up once, since most batches find the arrays that the last one left.
            self._kept_of = arrays
            self._kept = (
                arrays["slots"], arrays["used"], arrays["symbols"], arrays["vpins"],
                arrays["returns"], arrays["settings"], self._work, self._made,
            )  # fmt: skip
        return fold_signals(*columns, *self._kept)

    def _with_instruments(self, state: State, batch: Batch) -> State:
        arrays: dict[str, Array] = dict(state.arrays)
        for symbol, price_scale, size_scale in scales(batch):
            arrays, slot = take_slot(arrays, symbol, _blanks(arrays))
            arrays["symbols"]["price_scale"][slot] = price_scale
            arrays["symbols"]["size_scale"][slot] = size_scale
            arrays["symbols"]["bucket_size"][slot] = _bucket_size(arrays, size_scale)
        return State(state.version, arrays)


def _mask(only: str) -> int:
    unknown = [name for name in only.split() if name not in NAMES]
    if unknown:
        raise ConfigError(f"only: {unknown[0]!r} seen, some of {', '.join(NAMES)} expected")
    return sum(1 << NAMES.index(name) for name in only.split() or NAMES)


def _bucket_size(arrays: Mapping[str, Array], size_scale: float) -> int:
    return max(1, round(float(arrays["bucket"][0]) * size_scale))


def _blanks(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Make the state of a symbol without a row, and without an `instrument` row for now."""
    blank = np.zeros(1, dtype=SYMBOL_SIGNALS)
    for name in ("bid", "ask", "bsize", "asize", "last_price"):
        blank[name] = NULL
    blank["end"] = NEVER
    blank["last_mid"] = np.nan
    blank["price_scale"] = DEFAULT_PRICE_SCALE
    blank["size_scale"] = DEFAULT_SIZE_SCALE
    blank["bucket_size"] = _bucket_size(arrays, DEFAULT_SIZE_SCALE)
    return {
        "symbols": blank,
        "vpins": np.zeros((1, arrays["vpins"].shape[1]), dtype=np.int64),
        "returns": np.zeros((1, arrays["returns"].shape[1]), dtype=np.float64),
    }


def _rows(made: Records) -> Sequence[Batch]:
    columns: dict[str, Array] = {
        **caused(made), "sym": made["sym"].copy(), "name": _NAMES[made["name"]],
        "value": made["value"].copy(),
    }  # fmt: skip
    return derived(SIGNAL, columns)
