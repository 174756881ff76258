"""Bars by time, trades, volume or money: what traded between two moments, in one row."""

from collections.abc import Mapping, Sequence

import numpy as np

from tickloop.analytics.operators.bar_kernels import (
    BAR_ROW,
    BY_MONEY,
    BY_TIME,
    BY_TRADES,
    BY_VOLUME,
    MADE,
    SETTINGS,
    SYMBOL_BAR,
    WANTED,
    WORK,
    Records,
    fold_bars,
)
from tickloop.analytics.operators.columns import (
    NO_CLOCKS,
    NO_QUOTES,
    NO_TRADES,
    caused,
    clock_columns,
    derived,
    quote_columns,
    trade_columns,
)
from tickloop.analytics.operators.heads import FULL, GROW, NEVER
from tickloop.analytics.operators.slots import Array, none_yet, take_slot, with_room
from tickloop.analytics.operators.trade_sign import NULL
from tickloop.analytics.operators.unit_rows import (
    DEFAULT_PRICE_SCALE,
    DEFAULT_SIZE_SCALE,
    scales,
)
from tickloop.core.batch import Batch
from tickloop.core.dialects.numpy import NULL_LONG
from tickloop.core.operator import Scope, State
from tickloop.core.parameters import Parameter, Settings
from tickloop.core.schema import BAR, CLOCK, INSTRUMENT, QUOTE, TRADE

_KINDS = {"time": BY_TIME, "ticks": BY_TRADES, "volume": BY_VOLUME, "money": BY_MONEY}
_LETTERS = b"TNVM"
_ROWS_AT_ONCE = 4096


class Bars:
    """Open, high, low, close, volume, VWAP, count, mean spread and imbalance of each symbol.

    Formula: a bar by time holds the trades with `time` in [start, start + interval), where start
    is a multiple of the interval since 2000-01-01 UTC. It ends with the first row at or past its
    end, a clock row at the latest, so that a symbol that falls silent still gets its bar; without
    a trade there is none. Bars by ticks, volume and money (López de Prado, Advances in Financial
    Machine Learning, 2018, ch. 2) end with the trade that reaches the threshold, which is not
    split. vwap = Σ price × size / Σ size, summed trade by trade in float64. spread = ∫(ask - bid)
    dt / ∫dt over the bar while there is a quote that is not crossed. imbalance = (bought - sold) /
    (bought + sold), signed by the venue or as in Lee and Ready (1991). Trades without a price or
    with size 0 move nothing.

    Units: prices, vwap and spread in the instrument's currency, volume in its quantity.
    State: 160 bytes a symbol. Cost: about 10 ns a tick; a clock row that ends bars, 5 ns a symbol.
    """

    name = "bars"
    version = 1
    scope = Scope.SYMBOL
    tables = (INSTRUMENT.name, TRADE.name, QUOTE.name, CLOCK.name)
    together = frozenset({TRADE.name, QUOTE.name, CLOCK.name})
    outputs = (BAR.name,)
    parameters = (
        Parameter("kind", "time", "what ends a bar", choices=tuple(_KINDS)),
        Parameter("interval", 60_000_000_000, "length of a bar by time", "ns", minimum=1),
        Parameter(
            "threshold", 1000.0, "trades, quantity or money that end another bar", minimum=1e-9
        ),
    )

    def __init__(self) -> None:
        self._work = np.zeros(WORK, dtype=np.int64)
        self._kept_of: Mapping[str, Array] = {}
        self._kept: tuple[Array, ...] = ()
        self._made = np.empty(_ROWS_AT_ONCE, dtype=BAR_ROW)

    def initial(self, params: Settings) -> State:
        """Make the state before the first row."""
        kind = _KINDS[str(params["kind"])]
        settings = np.zeros(1, dtype=SETTINGS)
        settings[0] = (kind, int(params["interval"]), NEVER)
        threshold = np.full(1, float(params["threshold"]), dtype=np.float64)
        arrays = {
            **none_yet(), "bars": np.empty(0, dtype=SYMBOL_BAR), "settings": settings,
            "threshold": threshold,
        }  # fmt: skip
        return State(self.version, arrays)

    def step(self, state: State, batch: Batch) -> tuple[State, Sequence[Batch]]:
        """Fold rows of one table."""
        table = batch.table.name
        if table == "trade":
            return self._folded(state, (*trade_columns(batch), *NO_QUOTES, *NO_CLOCKS))
        if table == "quote":
            return self._folded(state, (*NO_TRADES, *quote_columns(batch), *NO_CLOCKS))
        if table == "clock":
            return self._folded(state, (*NO_TRADES, *NO_QUOTES, *clock_columns(batch)))
        return self._with_instruments(state, batch), ()

    def step_together(
        self, state: State, batches: Sequence[Batch]
    ) -> tuple[State, Sequence[Batch]]:
        """Fold trades, quotes and clock rows."""
        trades, quotes, clocks = NO_TRADES, NO_QUOTES, NO_CLOCKS
        for batch in batches:
            table = batch.table.name
            if table == "trade":
                trades = trade_columns(batch)
            elif table == "quote":
                quotes = quote_columns(batch)
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
                arrays = with_room(arrays, int(self._work[WANTED]), {"bars": _blank(arrays)})
            else:
                assert outcome == FULL, f"outcome {outcome}"
                taken.append(self._made[: self._work[MADE]].copy())
                self._work[MADE] = 0
            outcome = self._fold(columns, arrays)
        taken.append(self._made[:outcome])
        return State(state.version, arrays), _rows(np.concatenate(taken), arrays)

    def _fold(self, columns: tuple[Array, ...], arrays: Mapping[str, Array]) -> int:
        if arrays is not self._kept_of:
            # Looked up once, since most batches find the arrays that the last one left.
            self._kept_of = arrays
            self._kept = (
                arrays["slots"], arrays["used"], arrays["bars"], arrays["settings"], self._work,
                self._made,
            )  # fmt: skip
        return fold_bars(*columns, *self._kept)

    def _with_instruments(self, state: State, batch: Batch) -> State:
        arrays: dict[str, Array] = dict(state.arrays)
        for symbol, price_scale, size_scale in scales(batch):
            arrays, slot = take_slot(arrays, symbol, {"bars": _blank(arrays)})
            bar = arrays["bars"][slot]
            bar["price_scale"] = price_scale
            bar["limit"] = _limit(arrays, price_scale, size_scale)
        return State(state.version, arrays)


def _blank(arrays: Mapping[str, Array]) -> Records:
    """Make the state of a symbol without a row, and without an `instrument` row for now."""
    blank = np.zeros(1, dtype=SYMBOL_BAR)
    for name in ("bid", "ask", "open", "high", "low", "close", "last_price"):
        blank[name] = NULL
    blank["end"] = NEVER
    blank["price_scale"] = DEFAULT_PRICE_SCALE
    blank["limit"] = _limit(arrays, DEFAULT_PRICE_SCALE, DEFAULT_SIZE_SCALE)
    return blank


def _limit(arrays: Mapping[str, Array], price_scale: float, size_scale: float) -> float:
    """Give the threshold in inside units."""
    kind = int(arrays["settings"]["kind"][0])
    threshold = float(arrays["threshold"][0])
    if kind == BY_MONEY:
        return threshold * price_scale * size_scale
    return threshold * size_scale if kind == BY_VOLUME else threshold


def _rows(made: Records, arrays: Mapping[str, Array]) -> Sequence[Batch]:
    kind = int(arrays["settings"]["kind"][0])
    count = len(made)
    interval = int(arrays["settings"]["interval"][0]) if kind == BY_TIME else NULL_LONG
    threshold = np.nan if kind == BY_TIME else float(arrays["threshold"][0])
    names = ("sym", "open", "high", "low", "close", "volume", "vwap", "count", "start", "spread")
    columns: dict[str, Array] = {
        **caused(made),
        **{name: made[name].copy() for name in (*names, "imbalance")},
        "interval": np.full(count, interval, dtype=np.int64),
        "kind": np.full(count, _LETTERS[kind], dtype=np.uint8),
        "threshold": np.full(count, threshold, dtype=np.float64),
    }
    return derived(BAR, columns)
