"""Operators: ticks a second in batches of 1,000 and one by one, and bytewax on the same bars.

Run as `python tests/bench/bench_operators.py`. 500 symbols, a tick every 10 µs of feed time, a
clock row a second; batches by turns of trades and of quotes. 400 pairs of 400 symbols take quotes
alone. Bytewax gets the same trades in batches of 1,000 and folds them with its `stateful_batch`;
its bars are checked against ours. Rates are by processor time: nothing here waits, and the machine
has other users.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.bench.figures import Figure, figure, table
from tickloop.core.batch import Batch
from tickloop.core.kernel import warm_up
from tickloop.core.operator import Operator
from tickloop.core.parameters import Settings, settings
from tickloop.core.schema import CLOCK, QUOTE, SYMBOL, TRADE
from tickloop.streaming.finding import find

SYMBOLS = 500
PAIRS = 400
STEP_NS = 10_000
SECOND = 1_000_000_000
RUNS = 5
BATCH = 1000
BATCHES = 2000
SINGLE = 100_000
PEER_TICKS = 100_000


def seconds(run: Callable[[], object]) -> float:
    """Give the processor time of a call."""
    started = time.process_time_ns()
    run()
    return (time.process_time_ns() - started) / 1e9


def _venue(draw: np.random.Generator, number: npt.NDArray[np.int64]) -> dict[str, Any]:
    rows = len(number)
    delay = draw.integers(1000, 100_000, rows)
    return {"ex": np.full(rows, SYMBOLS, dtype=np.int32), "venue_time": number * STEP_NS - delay}


def trades(draw: np.random.Generator, rows: int, seq: int) -> Batch:
    """Make trades around a price that each symbol keeps to."""
    sym = draw.integers(0, SYMBOLS, rows).astype(np.int32)
    number = np.arange(seq, seq + rows)
    return Batch(
        TRADE,
        {
            "time": number * STEP_NS,
            "sym": sym,
            "price": (100 + sym) * 10_000 + draw.integers(-50, 51, rows) * 100,
            "size": draw.integers(1, 500, rows),
            "side": draw.choice(np.frombuffer(b"BS", dtype=np.uint8), rows),
            **_venue(draw, number),
            "seq": number,
        },
    )


def quotes(draw: np.random.Generator, rows: int, seq: int, symbols: int = SYMBOLS) -> Batch:
    """Make quotes around the same prices."""
    sym = draw.integers(0, symbols, rows).astype(np.int32)
    number = np.arange(seq, seq + rows)
    bid = (100 + sym) * 10_000 + draw.integers(-50, 50, rows) * 100
    sizes = {name: draw.integers(1, 500, rows) for name in ("bsize", "asize")}
    return Batch(
        QUOTE,
        {"time": number * STEP_NS, "sym": sym, "bid": bid, "ask": bid + 100, **sizes,
         **_venue(draw, number), "seq": number},
    )  # fmt: skip


def market(rows: int, batches: int, *, quotes_only: bool = False) -> list[Batch]:
    """Make batches and the clock rows between them."""
    draw = np.random.default_rng(11)
    made: list[Batch] = []
    seq, tick = 1, 0
    for number in range(batches):
        if seq * STEP_NS // SECOND > tick:
            tick = seq * STEP_NS // SECOND
            stamps = {"time": np.array([tick * SECOND]), "seq": np.array([seq])}
            made.append(Batch(CLOCK, stamps))
            seq += 1
        if quotes_only:
            made.append(quotes(draw, rows, seq, PAIRS))
        else:
            made.append(trades(draw, rows, seq) if number % 2 else quotes(draw, rows, seq))
        seq += rows
    return made


@dataclass(frozen=True)
class Contest:
    """One operator as it is measured."""

    operator: str
    params: dict[str, Any]
    at_least: float | None  # million ticks a second in batches
    quotes_only: bool = False


CHAIN = " ".join(f"S{n}/S{(n + 1) % PAIRS}" for n in range(PAIRS))
CONTESTS = (
    Contest("bars", {"interval": "1s"}, 20),
    Contest("signals", {"interval": "1s"}, 20),
    Contest("pairs", {"pairs": CHAIN, "entry": 4.0, "stop": 6.0}, 5, quotes_only=True),
    Contest("quality", {}, None),
)


def _fold(operator: Operator, params: Settings, batches: Sequence[Batch]) -> None:
    state = operator.initial(params)
    names = np.array([f"S{n}".encode() for n in range(PAIRS)])
    ids = np.arange(PAIRS, dtype=np.int32)
    if "symbol" in operator.tables:
        state, _ = operator.step(state, Batch(SYMBOL, {"id": ids, "sym": ids, "name": names}))
    for batch in batches:
        state, _ = operator.step(state, batch)


def _rates(contest: Contest, rows: int, batches: int) -> list[float]:
    """Measure million ticks a second."""
    operator = find(contest.operator)
    params = settings(operator.parameters, contest.params, contest.operator)
    fed = market(rows, batches, quotes_only=contest.quotes_only)
    _fold(operator, params, fed[:10])
    ticks = rows * batches / 1e6
    return [ticks / seconds(lambda: _fold(operator, params, fed)) for _ in range(RUNS)]


# Bytewax


def _ticks() -> list[tuple[str, tuple[int, int, int]]]:
    draw = np.random.default_rng(11)
    batch = trades(draw, PEER_TICKS, 1)
    names = [str(sym) for sym in batch.columns["sym"].tolist()]
    values = zip(*(batch.columns[name].tolist() for name in ("time", "price", "size")), strict=True)
    return list(zip(names, values, strict=True))


def _bytewax_flow(ticks: list[Any], out: list[Any]) -> Any:
    """Build the dataflow: bars of a second by symbol, a Python fold over each batch of a key."""
    from bytewax import operators as op
    from bytewax.dataflow import Dataflow
    from bytewax.operators import StatefulBatchLogic
    from bytewax.testing import TestingSink, TestingSource

    class Bars(StatefulBatchLogic):  # type: ignore[misc]
        """Open, high, low, close, volume, notional of the second that is open."""

        def __init__(self) -> None:
            self.bar: list[int] | None = None

        def on_batch(self, values: list[tuple[int, int, int]]) -> tuple[list[Any], bool]:
            done = []
            bar = self.bar
            for instant, price, size in values:
                start = instant - instant % SECOND
                if bar is None or bar[0] != start:
                    if bar is not None:
                        done.append(tuple(bar))
                    bar = [start, price, price, price, price, size, price * size]
                    continue
                bar[2] = max(bar[2], price)
                bar[3] = min(bar[3], price)
                bar[4] = price
                bar[5] += size
                bar[6] += price * size
            self.bar = bar
            return done, False

        def on_eof(self) -> tuple[list[Any], bool]:
            return ([tuple(self.bar)] if self.bar else []), True

        def snapshot(self) -> Any:
            return self.bar

    flow = Dataflow("bars")
    stream = op.input("in", flow, TestingSource(ticks, batch_size=BATCH))
    bars = op.stateful_batch("bars", stream, lambda _: Bars())
    op.output("out", bars, TestingSink(out))
    return flow


def _ours(batches: Sequence[Batch]) -> Iterator[Batch]:
    operator = find("bars")
    state = operator.initial(settings(operator.parameters, {"interval": "1s"}, "bars"))
    for batch in batches:
        state, rows = operator.step(state, batch)
        yield from rows


def _peer() -> tuple[list[float], list[float]]:
    """Measure bytewax and us on the same trades; ticks a second in millions."""
    from bytewax.testing import run_main

    ticks = _ticks()
    whole = trades(np.random.default_rng(11), PEER_TICKS, 1)
    end = {"time": np.array([3600 * SECOND]), "seq": np.array([PEER_TICKS + 1])}
    batches = [
        Batch(TRADE, {name: values[at : at + BATCH] for name, values in whole.columns.items()})
        for at in range(0, PEER_TICKS, BATCH)
    ] + [Batch(CLOCK, end)]
    theirs: list[float] = []
    for _ in range(3):
        out: list[Any] = []
        flow = _bytewax_flow(ticks, out)
        theirs.append(PEER_TICKS / 1e6 / seconds(lambda flow=flow: run_main(flow)))  # type: ignore[misc]
    found = {
        (int(sym), int(start)): (open_, high, low, close, volume)
        for rows in _ours(batches)
        for sym, start, open_, high, low, close, volume in zip(
            *(rows.columns[n].tolist() for n in ("sym", "start", "open", "high", "low", "close",
                                                 "volume")), strict=True)
    }  # fmt: skip
    assert found == {(int(key), bar[0]): tuple(bar[1:6]) for key, bar in out}, "unlike bars"
    ours = [PEER_TICKS / 1e6 / seconds(lambda: list(_ours(batches))) for _ in range(RUNS)]
    return ours, theirs


def measure() -> list[Figure]:
    """Measure every operator, and bars beside bytewax."""
    for contest in CONTESTS:
        find(contest.operator)
    warm_up()
    found = []
    for contest in CONTESTS:
        what = f"{contest.operator}{' of 400 pairs' if contest.quotes_only else ''}"
        found.append(
            figure(f"{what}, batches of 1,000", "M ticks/s", _rates(contest, BATCH, BATCHES),
                   at_least=contest.at_least)
        )  # fmt: skip
        found.append(
            figure(f"{what}, one by one", "M ticks/s", _rates(contest, 1, SINGLE), at_least=0.5)
        )
    ours, theirs = _peer()
    ratios = [each / max(theirs) for each in ours]
    found.append(figure("bytewax 0.21, the same bars, batched", "M ticks/s", theirs))
    found.append(figure("bars, times bytewax", "×", ratios, at_least=20))
    return found


def main() -> None:
    """Print the figures."""
    for row in table(measure()):
        print(f"{row[0]:44} {row[1]:>8} {row[2]:>16} {row[3]:10} {row[4]:>8}  {row[5]}")


if __name__ == "__main__":
    main()
