"""Jobs on a real cluster through REST: deployed, watched, upgraded, rolled back."""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.command import good, tickloop
from tests.market_log import market_log
from tests.on_flink import OnFlink, finish, logged, packed, sent
from tests.runtimes import embedded, opened, recorded
from tests.servers import CACHE, Server
from tests.test_kafka_sink import symbols_of
from tests.test_operator_runtimes import make
from tests.test_streams import MY_OPERATOR
from tickloop.core.batch import Batch, Slice, slice_of
from tickloop.core.errors import JobError
from tickloop.core.schema import CONTROL
from tickloop.core.symbols import Symbols
from tickloop.infra.pins import FLINK
from tickloop.streaming.flink.changes import Bearing, compare
from tickloop.streaming.flink.deployed import deployed, of_plan, running
from tickloop.streaming.flink.operations import Operations
from tickloop.streaming.job import Job, job
from tickloop.tickerplant.sinks.kafka_client import ensure_topics
from tickloop.tickerplant.sinks.kafka_names import Names

LIVE = Bearing(live=frozenset({"entry", "exit"}))


@pytest.fixture
def on_flink(kafka: Server, flink: Server, request: pytest.FixtureRequest) -> Iterator[OnFlink]:
    """Give a cluster whose jobs are ended afterwards, whatever became of the test."""
    prefix = f"{request.node.originalname[:40]}.{os.urandom(3).hex()}."
    found = OnFlink(kafka, flink, prefix)
    yield found
    for each in deployed(found.operations.rest):
        found.operations.cancel(each.line.id)


def control(symbols: Symbols, name: str, value: float, like: Slice) -> Slice:
    """Change a parameter at the instant of a slice's last row."""
    time = max(int(batch.columns["time"][-1]) for batch in like.batches)
    columns = {
        "time": np.array([time]), "sym": np.array([-1], dtype=np.int32),
        "name": np.array([symbols.id(name)], dtype=np.int32), "value": np.array([value]),
    }  # fmt: skip
    return slice_of(Batch(CONTROL, columns))


def taken(on_flink: OnFlink, wanted: Job, root: Path, slices: Sequence[Slice]) -> None:
    """Log rows, send them, and wait until their results are in the log."""
    symbols = symbols_of(root) if root.exists() else Symbols(market_log(900, seed=3).symbols)
    for each in ("pairs.entry", "nobody.entry"):
        symbols.id(each)
    last = logged(root, symbols, slices)
    sent(root, on_flink.bus, on_flink.prefix, on_flink.rows_max)
    plant = opened(root, symbols_of(root))
    finish(on_flink.returning(wanted, on_flink.plan(wanted), plant, last), plant)


def start(on_flink: OnFlink, wanted: Job, **more: object) -> tuple[str, bytes]:
    """Deploy a job; give its id and its code."""
    plan = on_flink.plan(wanted, **more)
    names = Names(plan.prefix)
    topics = {names.table(table): plan.shards for table in plan.inputs}
    ensure_topics(on_flink.bus, {**topics, names.symbols: 1, plan.topic: 1},
                  compacted=names.dictionaries, replication=1)  # fmt: skip
    plan, jar = packed(plan, on_flink.cluster.home)
    return on_flink.operations.deploy(of_plan(plan), jar), jar


def test_an_upgraded_parameter_holds_from_the_savepoint_on_and_no_state_is_lost(
    on_flink: OnFlink, tmp_path: Path
) -> None:
    """As if a `control` row had changed it there, in a run that nothing interrupts."""
    wanted = make("pairs")
    log = market_log(900, seed=3)
    slices = log.slices(40)
    half = len(slices) // 2
    symbols = Symbols(log.symbols)
    names = [symbols.id(name) for name in ("pairs.entry", "nobody.entry")]
    assert names == sorted(names)
    change = control(symbols, "pairs.entry", 0.5, slices[half - 1])
    reference = embedded(
        wanted, [*slices[:half], change, *slices[half:]], symbols, tmp_path / "reference"
    )
    unchanged = embedded(wanted, slices, Symbols(log.symbols), tmp_path / "unchanged")
    assert len(reference["signal"]) != len(unchanged["signal"])

    root = tmp_path / "cluster"
    first, jar = start(on_flink, wanted)
    taken(on_flink, wanted, root, slices[:half])
    other = job(wanted.name, wanted.operator, {**wanted.params, "entry": 0.5})
    plan, _ = packed(on_flink.plan(other), on_flink.cluster.home)
    operations = on_flink.operations
    comparison = compare(of_plan(plan), running(operations.rest, "pairs"), LIVE)
    assert [str(change) for change in comparison.changes] == ["parameter entry: 1.0 -> 0.5"]
    second = operations.upgrade(comparison, jar)
    assert second != first
    assert operations.rest.checkpoints(second).restored == 1
    placeholder = control(symbols, "nobody.entry", 0.5, slices[half - 1])
    taken(on_flink, other, root, [placeholder, *slices[half:]])
    assert recorded(wanted, root) == reference


def broken(body: str) -> str:
    """Spell an operator that works here and fails where a condition holds."""
    return MY_OPERATOR.replace(
        "import numpy as np\n", f"import sys\n\nimport numpy as np\n{body}", 1
    )


AT_SUBMISSION = 'if "pyflink" in sys.modules:\n    raise RuntimeError("no licence here")\n'
IN_A_TASK = (
    'if any("pemja" in name for name in sys.modules):\n    raise RuntimeError("no licence here")\n'
)


@pytest.mark.parametrize("body", [AT_SUBMISSION, IN_A_TASK], ids=["submission", "task"])
def test_a_job_that_does_not_start_is_rolled_back_to_what_ran(
    kafka: Server, on_flink: OnFlink, body: str, tmp_path: Path
) -> None:
    file = tmp_path / "my_op.py"
    file.write_text(MY_OPERATOR)
    config = tmp_path / "c.toml"
    config.write_text(
        f'[sinks.kafka]\nbootstrap = "{kafka.address}"\nprefix = "{on_flink.prefix}"\nshards = 2\n'
        f'[flink]\nrest = "http://{on_flink.cluster.address}"\n'
    )
    options = ("--config", config)
    deployed_as = good("stream", "deploy", file, *options, "--json").json["job"]
    file.write_text(broken(body))
    failed = tickloop("stream", "upgrade", file, *options)
    failed.refused("no licence here", "Rolled back: my_op runs as it did before, as [0-9a-f]{32}")
    file.write_text(MY_OPERATOR)
    assert "runs as it should" in good("stream", "plan", file, *options).out
    (status,) = good("stream", "status", *options, "--json").json["jobs"]
    assert (status["name"], status["state"]) == ("my_op", "RUNNING")
    assert status["job"] != deployed_as
    assert on_flink.operations.rest.checkpoints(status["job"]).restored == 1


def test_two_people_see_one_job_and_cannot_start_it_twice(
    kafka: Server, on_flink: OnFlink, tmp_path: Path
) -> None:
    """The second one has the configuration and nothing else of the first one."""
    config = tmp_path / "c.toml"
    config.write_text(
        f'[sinks.kafka]\nbootstrap = "{kafka.address}"\nprefix = "{on_flink.prefix}"\nshards = 2\n'
        '[flink]\nstreams = "quality"\n'
    )
    options = ("--config", config, "--flink", on_flink.cluster.address)
    assert tickloop("stream", "plan", *options).code == 3
    job = good("stream", "deploy", *options, "--json").json["job"]
    again = tickloop("stream", "deploy", *options, cwd=tmp_path)
    again.refused(f"quality runs on .* already, as {job}: `tickloop stream upgrade quality`")
    assert good("stream", "plan", *options, "--json").json[0]["verb"] == "nothing"
    changed = tickloop("stream", "plan", *options, "--parallelism", "2", "--json")
    assert (changed.code, changed.json[0]["verb"]) == (3, "upgrade")
    anew = tickloop("stream", "plan", *options, "--set", "interval=3s")
    assert (anew.code, "REFUSED: it holds for as long as" in anew.out) == (1, True)
    kept = good("stream", "savepoint", "quality", *options).out.strip()
    assert kept.startswith("file:")
    assert "quality" in good("stream", "logs", "quality", "--lines", "3", *options).out
    wide = tickloop("stream", "deploy", "signals", *options, "--parallelism", "2", "--timeout", "6")
    wide.refused(r"signals did not start: .*\d of 2 slots are free, .* needs 2")
    assert "last kept in file:" in good("stream", "cancel", "quality", *options).out
    tickloop("stream", "upgrade", "quality", *options).refused("quality does not run on")
    from_there = good("stream", "deploy", *options, "--from", kept, "--json").json["job"]
    assert on_flink.operations.rest.checkpoints(from_there).restored == 1


def test_what_was_told_to_stop_keeps_its_state(on_flink: OnFlink, tmp_path: Path) -> None:
    job_id, _ = start(on_flink, make("quality"))
    operations = on_flink.operations
    assert operations.stop(job_id).startswith("file:")
    assert running(operations.rest, "quality") is None
    ended = [each for each in deployed(operations.rest, ended=True) if each.line.id == job_id]
    assert [each.line.state for each in ended] == ["FINISHED"]


def test_a_failed_rollback_says_where_the_state_is(on_flink: OnFlink, tmp_path: Path) -> None:
    """A cluster that loses its uploads between the stop and the start cannot roll back."""
    wanted = make("quality")
    _, jar = start(on_flink, wanted)
    operations = on_flink.operations
    found = running(operations.rest, "quality")
    plan, _ = packed(on_flink.plan(wanted, checkpoint_ms=700), on_flink.cluster.home)
    bad = of_plan(replace(plan, brokers="127.0.0.1:9"))
    told: list[str] = []

    def forget(text: str) -> None:
        told.append(text)
        if text.startswith("kept its state"):
            for upload in operations.rest.jars():
                operations.rest.remove(upload.id)

    forgetful = Operations(operations.rest, forget, timeout_s=20.0)
    with pytest.raises(JobError, match=r"(?s)does NOT run; its state is safe in file:.*--from"):
        forgetful.upgrade(compare(bad, found, LIVE), jar)
    assert running(operations.rest, "quality") is None


def test_flink_s_environment_is_proven_before_it_is_relied_on(
    flink: Server, tmp_path: Path
) -> None:
    assert good("stream", "setup", "--json").json["flink"] == FLINK.version
    folder = tmp_path / FLINK.folder
    shutil.copytree(CACHE / FLINK.folder / "lib", folder / "lib")
    (folder / "packages.done").write_text(FLINK.version)
    python = folder / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho 'ImportError: half of it' >&2\nexit 1\n")
    python.chmod(0o755)
    half = tickloop("stream", "setup", "--cache", tmp_path)
    half.refused(r"\[3/3\] trying", "does not work: ImportError: half of it; delete .* and run")


def test_a_cluster_that_is_none_is_refused_with_how_to_name_one(tmp_path: Path) -> None:
    nobody = tickloop("stream", "status", "--flink", "http://127.0.0.1:9")
    nobody.refused(r"Flink at http://127\.0\.0\.1:9 does not answer .*`tickloop up flink`")
    unnamed = tickloop("stream", "status", "--home", tmp_path)
    unnamed.refused(r"no Flink cluster named: give --flink URL, set \[flink\] rest, or start one")
    tickloop("stream", "status", "--flink", "ftp://x").refused(
        "an address such as http://127.0.0.1:8081 expected"
    )
    tickloop("stream", "cancel").refused("a NAME or --job ID", code=2)
