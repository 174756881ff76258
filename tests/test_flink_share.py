"""One share of a job, without Flink: whatever order and however often messages come, once."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.bus_messages import Sent, dictionary, messages
from tests.market_log import MarketLog, market_log
from tests.test_operator_runtimes import joined, make
from tickloop.core.batch import Batch
from tickloop.core.errors import SnapshotError, WireError
from tickloop.core.schema import CLOCK
from tickloop.core.schema import TABLES as ALL_TABLES
from tickloop.streaming.flink.gather import Gather
from tickloop.streaming.flink.keys import key_of, task_of
from tickloop.streaming.flink.plan import JobPlan
from tickloop.streaming.flink.results import read
from tickloop.streaming.flink.returned import in_order
from tickloop.streaming.flink.share import Share, count_of, reads_all
from tickloop.streaming.job import Job
from tickloop.streaming.order import one_per_table
from tickloop.tickerplant.sinks.envelope import Message, decode, schema_id

SHARDS = 2
NAMES = ("minute", "signals", "pairs", "quality")
Elements = list[bytes]


@pytest.fixture(params=NAMES)
def wanted(request: pytest.FixtureRequest) -> Job:
    return make(request.param)


def plan_of(job: Job) -> JobPlan:
    return JobPlan(
        name=job.name, operator=job.operator.name, brokers="none:1", prefix="md.", shards=SHARDS,
        tables=tuple(job.operator.tables), params=dict(job.params),
    )  # fmt: skip


def elements_of(plan: JobPlan, job: Job, share: int, sent: Sequence[Sent]) -> Elements:
    """Route as the job does: a share's own shard, or everything."""
    return [
        each.raw
        for each in sent
        if each.table.name in plan.inputs
        and (reads_all(job) or each.table.name == "control" or each.shard == share)
    ]


def rows_of(job: Job, results: Iterable[bytes]) -> dict[str, bytes]:
    """Take results in as a plant does, from all shares, in any order between shares."""
    inputs = [
        (schema_id(table), share)
        for table in ALL_TABLES
        if table.name in job.operator.outputs
        for share in range(count_of(plan_of(job), job))
    ]
    gather = Gather[int](inputs, -1, ordered=in_order)
    made: list[Batch] = []
    for raw in results:
        result = read(raw)
        if gather.is_new(result.header):
            clocks = Batch(result.rows.table, {"seq": np.empty(0, dtype=np.int64)})
            made += gather.add(0, Message(result.header, result.rows, clocks))
    return joined([_as_made(batch) for batch in made if len(batch)])


def _as_made(batch: Batch) -> Batch:
    return Batch(batch.table, {n: each for n, each in batch.columns.items() if n != "seq"})


def expected(job: Job, log: MarketLog) -> dict[str, bytes]:
    from tickloop.core.batch import concatenate
    from tickloop.streaming.drivers.batch import Driver

    rows = [row for row in Driver(job, log.groups([])).rows() if len(row)]
    tables = sorted({row.table.name for row in rows})
    whole = [concatenate([row for row in rows if row.table.name == name]) for name in tables]
    return joined([read_back(each) for each in whole])


def read_back(rows: Batch) -> Batch:
    """Add the columns that a message has and an operator leaves out, which are null."""
    from tickloop.streaming.flink.results import Writer

    (raw,) = Writer(0, 1, 7).messages(rows, -1, 1 << 40)
    return _as_made(read(raw).rows)


def run(job: Job, elements: Callable[[int], Elements]) -> list[bytes]:
    plan = plan_of(job)
    made = []
    for number in range(count_of(plan, job)):
        share = Share(plan, job, number)
        made += [each for raw in elements(number) for each in share.take(raw)]
    return made


LOG = market_log(400, seed=3)
SENT = messages(LOG, list(range(0, len(LOG.rows), 30)), SHARDS)
WORDS = dictionary(LOG, SHARDS)


def test_messages_in_their_order_give_the_rows_of_a_batch(wanted: Job) -> None:
    plan = plan_of(wanted)
    made = run(wanted, lambda share: [*WORDS, *elements_of(plan, wanted, share, SENT)])
    assert rows_of(wanted, made) == expected(wanted, LOG)
    assert rows_of(wanted, made)


@given(data=st.data())
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_topics_and_shards_are_interleaved_the_rows_are_the_same(
    wanted: Job, data: st.DataObject
) -> None:
    plan = plan_of(wanted)

    def mixed(share: int) -> Elements:
        mine = [each for each in SENT if each.raw in set(elements_of(plan, wanted, share, SENT))]
        queues: dict[Any, Elements] = {None: [*WORDS]}
        for each in mine:
            queues.setdefault((each.table.name, each.shard), []).append(each.raw)
        found: Elements = []
        while queues:
            key = data.draw(st.sampled_from(sorted(queues, key=str)))
            count = data.draw(st.integers(1, 12))
            found += queues[key][:count]
            queues[key] = queues[key][count:]
            if not queues[key]:
                del queues[key]
        return found

    assert rows_of(wanted, run(wanted, mixed)) == expected(wanted, LOG)


@given(starts=st.lists(st.integers(0, 10**6), max_size=6), back=st.integers(1, 40))
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_delivered_again_also_out_of_order_changes_nothing(
    wanted: Job, starts: list[int], back: int
) -> None:
    plan = plan_of(wanted)

    def stuttering(share: int) -> Elements:
        elements = [*WORDS, *elements_of(plan, wanted, share, SENT)]
        for start in sorted(starts, reverse=True):
            at = start % len(elements)
            again = elements[max(at - back, 0) : at]
            elements[at:at] = [*again, *reversed(again)]
        return elements

    made = run(wanted, stuttering)
    assert rows_of(wanted, made) == expected(wanted, LOG)


@given(cuts=st.lists(st.integers(0, 10**6), min_size=1, max_size=8), rebase=st.integers(1, 30))
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_going_on_from_a_state_repeats_results_that_are_recognised(
    wanted: Job, cuts: list[int], rebase: int
) -> None:
    """Restart as Flink does: the state of a checkpoint, its elements again, results repeated."""
    plan = plan_of(wanted)
    made: list[bytes] = []
    for number in range(count_of(plan, wanted)):
        elements = [*WORDS, *elements_of(plan, wanted, number, SENT)]
        crashes = sorted({cut % len(elements) for cut in cuts})
        share, at = Share(plan, wanted, number), 0
        base, since = share.base()
        kept = (base, list(since), at)
        while at < len(elements):
            made += share.take(elements[at])
            since.append(elements[at])
            at += 1
            if at % rebase == 0:
                base, since = share.base()
            if at % 7 == 0:
                kept = (base, list(since), at)
            if crashes and at > crashes[0]:
                del crashes[0]
                base, since, at = kept[0], list(kept[1]), kept[2]
                share = Share(plan, wanted, number, base)
                share.replay(since)
    assert rows_of(wanted, made) == expected(wanted, LOG)


def test_a_message_that_is_missing_is_told_of() -> None:
    job = make("minute")
    plan = plan_of(job)
    elements = elements_of(plan, job, 0, SENT)
    share = Share(plan, job, 0)
    with pytest.raises(WireError, match="a message is missing"):
        for raw in [*WORDS, *elements[:6], *elements[9:]]:
            share.take(raw)


def test_a_message_of_another_number_of_shards_is_told_of() -> None:
    job = make("minute")
    (raw, *_) = elements_of(plan_of(job), job, 0, SENT)
    share = Share(replace(plan_of(job), shards=3), job, 0)
    with pytest.raises(WireError, match=r"of 2 shards seen, 3 expected.*under another name"):
        share.take(raw)


def test_a_damaged_state_is_refused() -> None:
    job = make("minute")
    base, _ = Share(plan_of(job), job, 0).base()
    with pytest.raises(SnapshotError, match="is damaged"):
        Share(plan_of(job), job, 0, base[:30])


@pytest.mark.parametrize(("shares", "most"), [(1, 128), (2, 128), (8, 128), (8, 8), (200, 4096)])
def test_every_task_gets_its_part_of_the_shares(shares: int, most: int) -> None:
    keys = [key_of(share, shares, most) for share in range(shares)]
    for parallelism in range(1, min(shares, 16) + 1):
        tasks = [task_of(key, parallelism, most) for key in keys]
        counts = np.bincount(tasks, minlength=parallelism)
        assert counts.max() - counts.min() <= 1, f"{parallelism}: {counts}"


def test_an_input_far_ahead_of_another_costs_no_more_than_one_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As when a job begins with the first row of a day that came in small messages."""
    joined: list[int] = []

    def counted(batches: Sequence[Batch]) -> list[Batch]:
        joined.append(len(batches))
        return one_per_table(batches)

    monkeypatch.setattr("tickloop.streaming.flink.gather.one_per_table", counted)
    log = market_log(900, seed=3)
    sent = messages(log, range(0, 900, 3), 1)
    ahead = [each for each in sent if each.table.name == "quote"]
    behind = [each for each in sent if each.table.name == "trade"]
    gather = Gather[int]([(schema_id(each[0].table), 0) for each in (ahead, behind)], -1)
    rows = told = 0
    for each in [*ahead, *behind]:
        message = decode(bytearray(each.raw), each.table)
        told += message.header.rows
        made = gather.add(0, message)
        rows += sum(len(batch) for batch in made if batch.table is not CLOCK)
    assert rows == told > 0
    assert len(joined) > 100
    assert sum(joined) <= 3 * len([*ahead, *behind])
    assert gather.settled()[1] == []
