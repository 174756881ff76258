"""Pairs: how far two prices have drifted apart, and when a statistical arbitrageur would act."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from tickloop.analytics.operators.columns import (
    NO_CLOCKS,
    NO_QUOTES,
    caused,
    clock_columns,
    derived,
    quote_columns,
)
from tickloop.analytics.operators.heads import FULL
from tickloop.analytics.operators.pair_kernels import (
    LEG,
    MADE,
    PAIR,
    PAIR_ROW,
    SETTINGS,
    WORK,
    Records,
    fold_pairs,
)
from tickloop.analytics.operators.slots import Array
from tickloop.analytics.operators.unit_rows import DEFAULT_PRICE_SCALE, scales
from tickloop.core.batch import Batch
from tickloop.core.errors import ConfigError
from tickloop.core.operator import Scope, State
from tickloop.core.parameters import Parameter, Settings, live_change
from tickloop.core.schema import CLOCK, CONTROL, INSTRUMENT, QUOTE, SIGNAL, SYMBOL

NAMES = (
    "spread", "mean", "deviation", "z", "entry_long", "entry_short", "exit", "stop", "timeout",
)  # fmt: skip
_NAMES = np.array([name.encode() for name in NAMES])
_VACANT = "-"
_SECOND = 1_000_000_000


class Pairs:
    """Spread statistics of pairs of symbols, and entries, exits and stops of trading them.

    Formula: spread = ln mid(A) - beta × ln mid(B). Its mean m and variance v are exponentially
    weighted over time, the spread being constant between quotes: over a span dt with weight
    w = 1 - 2^(-dt / half_life), m += w (s - m) and v = (1 - w)(v + w (s - m)²) (West 1979, Finch
    2009). z = (s - m) / √v. Once `warm_up` has passed: entry_long at z ≤ -entry, entry_short at
    z ≥ entry (unless beyond `stop`, or a leg's quote is older than `stale`); exit when z is back
    within `exit` of the mean; stop when it goes on to `stop`; timeout after `hold`. After a stop
    or a timeout nothing is entered before z was within `exit` again. After Gatev, Goetzmann and
    Rouwenhorst (2006). Quotes with a side missing, or crossed, are passed over.

    Rows of `signal`: `sym` is the pair's name, A/B, `name` the event and `value` its z; every
    `interval` also spread, mean, deviation and z.

    Units: spread, mean and deviation in natural logarithms, z in deviations.
    State: 76 bytes a pair, 32 a leg, 4 a symbol. Cost: about 40 ns a quote and pair of its symbol.
    """

    name = "pairs"
    version = 1
    scope = Scope.GROUP
    tables = (SYMBOL.name, INSTRUMENT.name, QUOTE.name, CLOCK.name, CONTROL.name)
    together = frozenset({QUOTE.name, CLOCK.name})
    outputs = (SIGNAL.name,)
    parameters = (
        Parameter("pairs", "", "A/B or A/B*beta, divided by spaces"),
        Parameter("half_life", 600 * _SECOND, "of the weights", "ns", minimum=1),
        Parameter("warm_up", 600 * _SECOND, "before the first event", "ns", minimum=0),
        Parameter("entry", 2.0, "deviations from the mean", minimum=0, live=True),
        Parameter("exit", 0.5, "deviations from the mean", minimum=0, live=True),
        Parameter("stop", 4.0, "deviations from the mean", minimum=0, live=True),
        Parameter("stale", 60 * _SECOND, "age of a leg's quote at an entry", "ns", 0, live=True),
        Parameter("hold", 0, "longest time in a position; 0: no limit", "ns", 0, live=True),
        Parameter("interval", 60 * _SECOND, "between statistics; 0: none", "ns", 0),
    )

    def __init__(self) -> None:
        self._work = np.zeros(WORK, dtype=np.int64)
        self._kept_of: Mapping[str, Array] = {}
        self._kept: tuple[Array, ...] = ()
        self._made = np.empty(4096, dtype=PAIR_ROW)

    # Groups

    def groups(self, params: Settings) -> Sequence[tuple[str, ...]]:
        """Name the legs of each pair."""
        return [legs[:2] if legs else () for legs in _read(str(params["pairs"]))]

    def restricted(self, params: Settings, kept: Collection[int]) -> Settings:
        """Leave the other pairs' positions vacant."""
        words = str(params["pairs"]).split()
        left = [word if at in kept else _VACANT for at, word in enumerate(words)]
        return {**params, "pairs": " ".join(left)}

    # Folding

    def initial(self, params: Settings) -> State:
        """Make the state before the first row; ConfigError for pairs that are none."""
        wanted = _read(str(params["pairs"]))
        names = sorted({name for pair in wanted if pair for name in pair[:2]})
        leg = {name: at for at, name in enumerate(names)}
        pairs = np.zeros(len(wanted), dtype=PAIR)
        pairs["spread"] = pairs["mean"] = np.nan
        touching: list[list[int]] = [[] for _ in names]
        for at, pair in enumerate(wanted):
            if pair:
                first, second, beta = pair
                pairs[at]["first"], pairs[at]["second"] = leg[first], leg[second]
                pairs[at]["beta"] = beta
                touching[leg[first]].append(at)
                touching[leg[second]].append(at)
        legs = np.zeros(len(names), dtype=LEG)
        legs["price_scale"], legs["log_mid"] = DEFAULT_PRICE_SCALE, np.nan
        bounds = np.cumsum([0, *map(len, touching)])
        arrays = {
            "leg_names": np.array([name.encode() for name in names] or [b""]),
            "pair_names": np.array([f"{p[0]}/{p[1]}".encode() if p else b"" for p in wanted]),
            "leg_of": np.empty(0, dtype=np.int32),
            "first_pair": bounds.astype(np.int32),
            "touched": np.array([pair for found in touching for pair in found], dtype=np.int32),
            "legs": legs, "pairs": pairs, "settings": _settings(params),
        }  # fmt: skip
        return State(self.version, arrays)

    def step(self, state: State, batch: Batch) -> tuple[State, Sequence[Batch]]:
        """Fold rows of one table."""
        table = batch.table.name
        if table == "quote":
            return self._folded(state, (*quote_columns(batch), *NO_CLOCKS))
        if table == "clock":
            return self._folded(state, (*NO_QUOTES, *clock_columns(batch)))
        if table == "symbol":
            return _with_symbols(state, batch), ()
        if table == "instrument":
            return _with_instruments(state, batch), ()
        return _with_control(state, batch), ()

    def step_together(
        self, state: State, batches: Sequence[Batch]
    ) -> tuple[State, Sequence[Batch]]:
        """Fold quotes and clock rows."""
        quotes, clocks = NO_QUOTES, NO_CLOCKS
        for batch in batches:
            if batch.table.name == "quote":
                quotes = quote_columns(batch)
            else:
                clocks = clock_columns(batch)
        return self._folded(state, (*quotes, *clocks))

    def _folded(self, state: State, columns: tuple[Array, ...]) -> tuple[State, Sequence[Batch]]:
        arrays: Mapping[str, Array] = state.arrays
        outcome = self._fold(columns, arrays)
        if outcome == 0:
            return state, ()
        taken: list[Records] = []
        while outcome < 0:
            assert outcome == FULL, f"outcome {outcome}"
            taken.append(self._made[: self._work[MADE]].copy())
            self._work[MADE] = 0
            outcome = self._fold(columns, arrays)
        taken.append(self._made[:outcome])
        return state, _rows(np.concatenate(taken), arrays)

    def _fold(self, columns: tuple[Array, ...], arrays: Mapping[str, Array]) -> int:
        if arrays is not self._kept_of:
            # Looked up once, since most batches find the arrays that the last one left.
            self._kept_of = arrays
            room = 2 * len(arrays["pairs"]) + 8
            if len(self._made) < room:
                self._made = np.empty(room, dtype=PAIR_ROW)
            self._kept = (
                arrays["leg_of"], arrays["first_pair"], arrays["touched"], arrays["legs"],
                arrays["pairs"], arrays["settings"], self._work, self._made,
            )  # fmt: skip
        return fold_pairs(*columns, *self._kept)


def _read(text: str) -> list[tuple[str, str, float] | None]:
    """Read pairs; None for a vacant position."""
    found: list[tuple[str, str, float] | None] = []
    for word in text.split():
        if word == _VACANT:
            found.append(None)
            continue
        legs, _, beta = word.partition("*")
        first, _, second = legs.partition("/")
        try:
            slope = float(beta) if beta else 1.0
        except ValueError:
            slope = np.nan
        if not first or not second or "/" in second or first == second or not abs(slope) < np.inf:
            raise ConfigError(f"pairs: {word!r} seen, two symbols as A/B or A/B*1.5 expected")
        found.append((first, second, slope))
    return found


def _settings(params: Settings) -> Records:
    settings = np.zeros(1, dtype=SETTINGS)
    for name in SETTINGS.names or ():
        settings[name] = params.get(name, 0)
    return settings


def _with_symbols(state: State, batch: Batch) -> State:
    """Learn which ids the legs have."""
    legs = {name: at for at, name in enumerate(state.arrays["leg_names"].tolist())}
    leg_of: Array = state.arrays["leg_of"]
    ids, names = batch.columns["id"].tolist(), batch.columns["name"].tolist()
    for symbol, name in zip(ids, names, strict=True):
        leg = legs.get(name)
        if leg is None or not name:
            continue
        if symbol >= len(leg_of):
            more = np.full((1 << symbol.bit_length() | 1) - len(leg_of), -1, dtype=np.int32)
            leg_of = np.concatenate([leg_of, more])
        leg_of[symbol] = leg
    return State(state.version, {**state.arrays, "leg_of": leg_of})


def _with_instruments(state: State, batch: Batch) -> State:
    arrays: Mapping[str, Array] = state.arrays
    leg_of, legs = arrays["leg_of"], arrays["legs"]
    for symbol, price_scale, _ in scales(batch):
        if symbol < len(leg_of) and (leg := int(leg_of[symbol].item())) >= 0:
            legs["price_scale"][leg] = price_scale
    return state


def _with_control(state: State, batch: Batch) -> State:
    """Change what may change."""
    settings: Array = state.arrays["settings"]
    names, values = batch.columns["name"].tolist(), batch.columns["value"].tolist()
    for name, value in zip(names, values, strict=True):
        changed = live_change(Pairs.parameters, name.decode(errors="replace"), value)
        if changed is not None:
            settings[name.decode()] = changed
    return state


def _rows(made: Records, arrays: Mapping[str, Array]) -> Sequence[Batch]:
    columns: dict[str, Array] = {
        **caused(made), "sym": arrays["pair_names"][made["pair"]], "name": _NAMES[made["name"]],
        "value": made["value"].copy(),
    }  # fmt: skip
    return derived(SIGNAL, columns)
