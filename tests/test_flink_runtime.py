"""The fourth runtime of operators: a real Flink cluster, real Kafka, the same bytes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.feed_rows import new_context
from tests.market_log import market_log
from tests.on_flink import OnFlink
from tests.runtimes import Runtime, batch, crashing, embedded
from tests.servers import Server
from tests.test_operator_runtimes import make
from tickloop.core.symbols import Symbols
from tickloop.ingest.lobster import LobsterFile
from tickloop.streaming.finding import find
from tickloop.streaming.job import job

SHIPPED = ("minute", "signals", "pairs", "quality")
DAY = "lobster/LOBSTER_SampleFile_AMZN_2012-06-21_1.zip"
LARGE: dict[str, dict[str, str | int | float]] = {
    "bars": {"interval": "10s"}, "signals": {"interval": "1s"}, "quality": {"interval": "10s"},
}  # fmt: skip


@pytest.fixture(
    params=[embedded, crashing, "flink-1", "flink-2"],
    ids=lambda each: getattr(each, "__name__", each),
)
def runtime(request: pytest.FixtureRequest, prefix: str) -> Runtime:
    """Every runtime but the batch, to which all are compared; two parallelisms of a cluster."""
    if not isinstance(request.param, str):
        found: Runtime = request.param
        return found
    kafka, flink = (request.getfixturevalue(name) for name in ("kafka", "flink"))
    return OnFlink(kafka, flink, prefix, parallelism=int(request.param[-1]))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_runtime_gives_the_same_bytes(runtime: Runtime, name: str, tmp_path: Path) -> None:
    wanted = make(name)
    log = market_log(900, seed=3)
    slices = log.slices(40)
    made = runtime(wanted, slices, Symbols(log.symbols), tmp_path / "one")
    assert set(made) == set(wanted.operator.outputs)
    assert made == batch(wanted, slices, Symbols(log.symbols), tmp_path / "other")


@pytest.mark.parametrize("name", LARGE)
def test_a_real_day_on_a_cluster_gives_the_bytes_of_the_plant(
    kafka: Server, flink: Server, prefix: str, market_data: Callable[[str], Path], name: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    wanted = job(name, find(name), LARGE[name])
    context = new_context()
    slices = list(LobsterFile(market_data(DAY), context).slices())
    symbols = context.symbols
    on_flink = OnFlink(kafka, flink, prefix, rows_max=1000)
    made = on_flink(wanted, slices, Symbols(symbols), tmp_path / "one")
    assert sum(map(len, made.values())) > 10_000
    assert made == embedded(wanted, slices, Symbols(symbols), tmp_path / "other")
