"""What an upgrade would change, what its state would not survive, and how SQL files are read."""

import io
import json
import re
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from tests.market_log import market_log
from tests.test_operator_runtimes import joined, make
from tickloop.app.flink_jobs import bearing, chosen, wanted
from tickloop.core.batch import Batch
from tickloop.core.config import Config, FlinkConfig, KafkaSinkConfig, SinksConfig
from tickloop.core.errors import ConfigError, JobError
from tickloop.core.operator import State
from tickloop.core.schema import CONTROL
from tickloop.streaming.finding import find
from tickloop.streaming.flink import sql_plan
from tickloop.streaming.flink.changes import Bearing, Comparison, compare
from tickloop.streaming.flink.code_jar import as_jar
from tickloop.streaming.flink.deployed import Deployed, Deployment, of_plan
from tickloop.streaming.flink.operations import Operations, job_settings, python_error
from tickloop.streaming.flink.plan import JobPlan
from tickloop.streaming.flink.rest import JobLine, Rest, root_cause
from tickloop.streaming.fold import Fold

PLAN = JobPlan(
    "desk", "pairs", "127.0.0.1:9092", "x.", 2, ("quote", "control"), {"entry": 2.0, "interval": 1},
    state_version=2, code_digest="aa",
)  # fmt: skip
LIVE = Bearing(live=frozenset({"entry"}))
CONFIG = Config(sinks=SinksConfig(kafka=KafkaSinkConfig(bootstrap="127.0.0.1:9092", prefix="x.")))


def runs(what: Deployment) -> Deployed:
    return Deployed(JobLine("j1", what.job_name, "RUNNING", 1, -1), what)


def against(before: JobPlan, after: JobPlan, bears: Bearing = LIVE) -> Comparison:
    return compare(of_plan(after), runs(of_plan(before)), bears)


# Comparing


def test_a_plan_that_runs_changes_nothing_and_one_that_does_not_is_deployed() -> None:
    assert against(PLAN, PLAN).verb == "nothing"
    assert compare(of_plan(PLAN), None, LIVE).verb == "deploy"


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (replace(PLAN, params={"entry": 3.0, "interval": 1}), "parameter entry: 2.0 -> 3.0"),
        (replace(PLAN, code_digest="bb"), "code digest: aa -> bb"),
        (replace(PLAN, parallelism=2), "parallelism: 1 -> 2"),
        (replace(PLAN, guarantee="exactly_once"), "guarantee: at_least_once -> exactly_once"),
        (replace(PLAN, checkpoint_ms=50), "checkpoint ms: 1000 -> 50"),
        (replace(PLAN, brokers="b:1"), "brokers: 127.0.0.1:9092 -> b:1"),
    ],
)
def test_what_a_state_survives_is_an_upgrade(after: JobPlan, told: str) -> None:
    found = against(PLAN, after)
    assert (found.verb, [str(change) for change in found.changes]) == ("upgrade", [told])


@pytest.mark.parametrize(
    ("after", "why"),
    [
        (replace(PLAN, max_parallelism=64), "max parallelism: 128 -> 64  REFUSED: it decides"),
        (replace(PLAN, shards=4), "shards: 2 -> 4  REFUSED: a shard is a key of the state"),
        (replace(PLAN, operator="bars"), "operator: pairs -> bars  REFUSED: a state belongs"),
        (replace(PLAN, prefix="y."), "prefix: x. -> y.  REFUSED"),
        (replace(PLAN, tables=("quote",)), "tables: .* REFUSED: the state knows its place"),
        (replace(PLAN, state_version=3), "state version: 2 -> 3  REFUSED: the operator has no"),
        (replace(PLAN, state_version=1), "state version: 2 -> 1  REFUSED: newer code wrote"),
        (replace(PLAN, params={"entry": 2.0, "interval": 2}), "parameter interval: 1 -> 2  REF"),
    ],
)  # fmt: skip
def test_what_a_state_does_not_survive_is_refused_with_the_reason(after: JobPlan, why: str) -> None:
    found = against(PLAN, after)
    assert found.verb == "refused"
    assert re.search(why, found.reasons[0]), found.reasons


def test_a_newer_state_version_is_taken_over_by_an_operator_that_migrates() -> None:
    after = replace(PLAN, state_version=3)
    assert against(PLAN, after, replace(LIVE, migrates=True)).verb == "upgrade"
    older = replace(PLAN, state_version=1)
    assert against(PLAN, older, replace(LIVE, migrates=True)).verb == "refused"


def test_another_execution_mode_is_refused_because_its_savepoints_are_empty() -> None:
    before = replace(of_plan(PLAN), mode="process")
    found = compare(of_plan(PLAN), runs(before), LIVE)
    assert found.verb == "refused"
    assert "execution mode: process -> thread  REFUSED: a savepoint of one" in found.reasons[0]


def test_where_a_first_start_begins_and_where_a_file_lies_change_nothing_that_runs() -> None:
    assert against(PLAN, replace(PLAN, start={"seq": 7}, path="/other/my_op.py")).verb == "nothing"


def test_operators_say_what_their_state_bears() -> None:
    class Newer(type(find("pairs"))):  # type: ignore[misc]
        """Reads older states."""

        def migrate(self, state: State) -> State:
            return state

    assert bearing(find("pairs")).live == {"entry", "exit", "stop", "stale", "hold"}
    assert not bearing(find("pairs")).migrates
    assert bearing(Newer()).migrates


# Jobs from a configuration


def test_a_stream_s_section_becomes_a_plan_with_a_value_for_every_parameter() -> None:
    config = replace(
        CONFIG, stream={"desk": {"operator": "pairs", "pairs": "A/B", "entry": 2.5}},
        flink=FlinkConfig(parallelism=2, max_parallelism=64, streams="desk"),
    )  # fmt: skip
    (made,) = chosen(config, (), {"exit": "0.25"})
    plan = made.what.plan
    assert (plan["name"], plan["operator"], plan["brokers"]) == ("desk", "pairs", "127.0.0.1:9092")
    assert (plan["parallelism"], plan["max_parallelism"]) == (2, 64)
    assert set(plan["params"]) == {each.name for each in find("pairs").parameters}
    assert (plan["params"]["entry"], plan["params"]["exit"]) == (2.5, 0.25)
    assert made.topics == {"x.quote": 8, "x.control": 8, "x.dictionary.symbols": 1,
                           "x.derived.desk": 1}  # fmt: skip
    with zipfile.ZipFile(io.BytesIO(made.jar)) as jar:
        assert "tickloop/streaming/flink/entry.py" in jar.namelist()


def test_jobs_that_cannot_be_are_refused_with_what_to_give() -> None:
    with pytest.raises(ConfigError, match=r"no brokers: .*--brokers HOST:PORT"):
        wanted(Config(), "bars", {})
    with pytest.raises(ConfigError, match=r"no job named: .*\[flink\] streams"):
        chosen(Config(), (), {})
    with pytest.raises(ConfigError, match=r"--set with 2 jobs seen"):
        chosen(CONFIG, ("bars", "signals"), {"interval": "1s"})
    with pytest.raises(ConfigError, match=r"unknown parameter; did you mean 'interval'"):
        wanted(CONFIG, "bars", {"intervall": "1s"})
    with pytest.raises(ConfigError, match=r"none.sql: cannot be read .*asof.sql, ohlc.sql"):
        wanted(CONFIG, "none.sql", {})
    with pytest.raises(ConfigError, match=r"no \$\{hours\} in it; there are .*minutes"):
        wanted(CONFIG, "ohlc.sql", {"hours": "1"})


# SQL files


@pytest.mark.parametrize("name", sql_plan.shipped())
def test_shipped_sql_reads_the_plant_s_topics_and_writes_one_of_its_own(name: str) -> None:
    made = wanted(CONFIG, name, {})
    stem = Path(name).stem
    assert f"x.sql.{stem}" in made.topics
    assert set(made.topics) - {f"x.sql.{stem}"} <= {"x.bar.json", "x.signal.json"}
    text = "\n".join(made.what.plan["statements"])
    assert "${" not in text
    assert text.count("INSERT INTO") == 1


def test_statements_are_split_where_no_quote_and_no_comment_is() -> None:
    text = "-- one; two\nSET 'a;b' = 'c''; d'; /* ; */ CREATE VIEW `v;` AS SELECT 1 - 2 / 3;\nINSERT INTO t SELECT 1"  # noqa: E501
    assert sql_plan.statements(text, "f.sql") == [
        "SET 'a;b' = 'c''; d'", "CREATE VIEW `v;` AS SELECT 1 - 2 / 3", "INSERT INTO t SELECT 1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELECT 1", "a statement begins with SELECT, one of CREATE, SET, INSERT"),
        ("EXECUTE STATEMENT SET BEGIN", "begins with EXECUTE.*without EXECUTE STATEMENT SET"),
        ("CREATE VIEW v AS SELECT 1;", "no INSERT in it"),
    ],
)
def test_sql_that_no_job_can_run_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        sql_plan.statements(text, "f.sql")


def test_values_take_the_place_of_names_and_cannot_end_a_quote() -> None:
    text = "'${a:1}' '${b}' '${a:1}'"
    assert sql_plan.with_values(text, {"b": "x y"}, "f.sql") == "'1' 'x y' '1'"
    with pytest.raises(ConfigError, match=r"\$\{b\} has no value: give --set b=VALUE"):
        sql_plan.with_values(text, {}, "f.sql")
    with pytest.raises(ConfigError, match="without quotes expected"):
        sql_plan.with_values(text, {"b": "x'; DROP"}, "f.sql")


def test_other_statements_are_refused_and_another_parallelism_is_not() -> None:
    plan = sql_plan.SqlPlan("ohlc", ("INSERT INTO a SELECT 1",), 1, 128, 1000, "aa")
    before = runs(sql_plan.deployment(plan))
    other = sql_plan.deployment(replace(plan, statements=("INSERT INTO a SELECT 2",)))
    wider = sql_plan.deployment(replace(plan, parallelism=2))
    assert compare(other, before, Bearing()).verb == "refused"
    assert compare(wider, before, Bearing()).verb == "upgrade"
    assert compare(of_plan(replace(PLAN, name="ohlc")), before, Bearing()).verb == "refused"


# What travels, and what comes back


def test_a_job_carries_its_plan_where_rest_shows_it() -> None:
    told = job_settings(of_plan(PLAN), "/uploads/code.jar")
    marks = json.loads(told["pipeline.global-job-parameters"])
    assert json.loads(marks["tickloop.plan"]) == json.loads(json.dumps(asdict(PLAN)))
    assert marks["tickloop.mode"] == told["python.execution-mode"] == "thread"
    assert told["pipeline.max-parallelism"] == "128"
    assert told["python.files"] == "/uploads/code.jar"


def test_archives_with_the_same_files_have_the_same_bytes_and_folders_of_their_own() -> None:
    files = {"a/b/c.py": b"1", "d.py": b"2"}
    assert as_jar(files) == as_jar(dict(reversed(files.items())))
    with zipfile.ZipFile(io.BytesIO(as_jar(files))) as jar:
        assert jar.namelist() == ["a/", "a/b/", "a/b/c.py", "d.py"]


JAVA = "java.lang.RuntimeException: outer\n\tat a.b(C.java:1)\nCaused by: java.io.IOException: deep\n\tat d.e"  # noqa: E501
PYTHON = (
    "java.lang.RuntimeException: outer\nCaused by: pemja.core.PythonException:"
    " <class 'ValueError'>: no\nTraceback (most recent call last):\n  File 'x'\nValueError: no"
)
BOTH = (
    "Traceback (most recent call last):\npy4j.protocol.Py4JJavaError: An error occurred while"
    " calling o8.executeSql.\n: org.apache.flink.SqlParserException: SQL parse failed\n\tat a"
)


@pytest.mark.parametrize(
    ("stack", "root"),
    [
        (JAVA, "java.io.IOException: deep"), (PYTHON, "ValueError: no"),
        (BOTH, "org.apache.flink.SqlParserException: SQL parse failed"),
        ("alone", "alone"), ("", "no reason was given"),
    ],
)  # fmt: skip
def test_the_root_of_a_stack_trace_is_found_in_java_python_and_both(stack: str, root: str) -> None:
    assert root_cause(stack) == root


def test_the_reason_of_a_submission_that_failed_is_in_the_job_manager_s_log() -> None:
    line = "2026 INFO  org.apache.flink.client.python.PythonDriver  [] - {}\n"
    words = ("--- Python Process Started ---", "Traceback (most recent call last):",
             "  File 'x'", "ValueError: no brokers", "--- Python Process Exited ---")  # fmt: skip
    log = "".join(map(line.format, ("--- Python Process Started ---", "KeyError: old", *words)))
    assert python_error(log) == "ValueError: no brokers"
    assert python_error("nothing here") == ""


def test_an_upgrade_that_cannot_be_is_refused_before_anything_is_stopped() -> None:
    # Nobody listens there: a refusal asks nobody.
    operations = Operations(Rest("http://127.0.0.1:9"), print)
    with pytest.raises(JobError, match=r"(?s)take over the state of job j1.*max parallelism"):
        operations.upgrade(against(PLAN, replace(PLAN, max_parallelism=64)), b"")


# Live parameters


def test_a_fold_that_takes_up_a_changed_parameter_does_as_if_a_control_row_had_come() -> None:
    groups = list(market_log(900, seed=3).groups([300, 600]))
    half = len(groups) // 2
    assert 0 < half < len(groups)
    told, upgraded, unchanged = (Fold(make("pairs")) for _ in range(3))
    first = [[row for group in groups[:half] for row in fold.take(group)]
             for fold in (told, upgraded, unchanged)]  # fmt: skip
    columns = {name: np.zeros(1, dtype=np.int64) for name in CONTROL.names}
    name, value = np.array([b"pairs.entry"]), np.array([0.5])
    told.take([Batch(CONTROL, {**columns, "name": name, "value": value})])
    upgraded.change({"entry": 0.5})
    made = [joined([*rows, *(row for group in groups[half:] for row in fold.take(group))])
            for rows, fold in zip(first, (told, upgraded, unchanged), strict=True)]  # fmt: skip
    assert made[0] == made[1] != made[2]
    assert told.snapshot() == upgraded.snapshot()
