"""Streams and SQL files as jobs for a Flink cluster, from configuration to submission."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tickloop.app.catalogs import OPERATOR, tables_for
from tickloop.core.config import Config
from tickloop.core.errors import ConfigError
from tickloop.core.operator import Migrating, Operator
from tickloop.core.own_tables import spelled
from tickloop.streaming import finding
from tickloop.streaming.finding import find, names
from tickloop.streaming.flink.changes import Bearing
from tickloop.streaming.flink.code_jar import jar_of_zip
from tickloop.streaming.flink.deployed import SQL, Deployment, of_plan
from tickloop.streaming.flink.package import archive
from tickloop.streaming.flink.plan import JobPlan
from tickloop.streaming.flink.sql_plan import (
    SqlPlan,
    code,
    deployment,
    statements,
    text_of,
    with_values,
)
from tickloop.streaming.job import job
from tickloop.tickerplant.sinks.kafka_names import Names


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job as it should run."""

    what: Deployment
    jar: bytes  # its code
    bearing: Bearing
    topics: Mapping[str, int]  # that have to be there before it starts: their partitions

    @property
    def name(self) -> str:
        """What people call it."""
        return self.what.name


def chosen(config: Config, given: Sequence[str], settings: Mapping[str, str]) -> list[Wanted]:
    """Give the jobs that are meant: those named, else all of `[flink] streams`."""
    found = list(given) or config.flink.streams.split()
    if not found:
        raise ConfigError(
            "no job named: give the name of a [stream.NAME] section, an operator"
            f" ({', '.join(names())}), a file of your own or a .sql file, or set [flink] streams"
        )
    if settings and len(found) > 1:
        raise ConfigError(
            f"--set with {len(found)} jobs seen ({', '.join(found)}), one expected: name the one"
            " that is meant"
        )
    return [wanted(config, name, settings) for name in found]


def wanted(config: Config, name: str, given: Mapping[str, str]) -> Wanted:
    """Make a job: of a `[stream.NAME]` section, an operator, a Python file or a SQL file."""
    if name.endswith(".sql"):
        return _sql(config, Path(name), given)
    return _stream(config, name, given)


def _brokers(config: Config) -> str:
    found = config.flink.brokers or config.sinks.kafka.bootstrap
    if not found:
        raise ConfigError(
            "no brokers: a job on Flink reads the plant's topics; set [sinks.kafka] bootstrap,"
            " or give --brokers HOST:PORT; `tickloop up kafka` starts one"
        )
    return found


def _stream(config: Config, name: str, given: Mapping[str, str]) -> Wanted:
    stem = Path(name).stem if finding.is_file(name) else name.rpartition(":")[2]
    section = dict(config.stream.get(stem, {}))
    named = str(section.pop(OPERATOR, name)) if stem == name else name
    operator = find(named)
    made = job(stem, operator, {**section, **given})
    own = Path(named) if finding.is_file(named) else None
    place = own.name if own else finding.in_full(named)
    with TemporaryDirectory() as folder:
        packed = archive(Path(folder), named)
        jar = jar_of_zip(packed.path.read_bytes())
    schemas = spelled(tables_for(config, made))
    flink, kafka = config.flink, config.sinks.kafka
    plan = JobPlan(
        name=made.name, operator=place, brokers=_brokers(config),
        prefix=kafka.prefix, shards=kafka.shards, tables=tuple(operator.tables),
        params=made.params, outputs=tuple(operator.outputs), schemas=schemas,
        path=str(own.resolve()) if own else "",
        parallelism=flink.parallelism, max_parallelism=flink.max_parallelism,
        guarantee=flink.guarantee, checkpoint_ms=flink.checkpoint_ms,
        state_version=operator.version, code_digest=packed.digest,
    )  # fmt: skip
    bus = Names(kafka.prefix)
    topics = {bus.table(table): kafka.shards for table in plan.inputs}
    return Wanted(of_plan(plan), jar, bearing(operator), {**topics, bus.symbols: 1, plan.topic: 1})


def bearing(operator: Operator) -> Bearing:
    """Say what an operator's state bears."""
    live = frozenset(each.name for each in operator.parameters if each.live)
    return Bearing(isinstance(operator, Migrating), live)


def _sql(config: Config, path: Path, given: Mapping[str, str]) -> Wanted:
    values = {**given, "brokers": _brokers(config), "prefix": config.sinks.kafka.prefix}
    text = with_values(text_of(path), values, str(path))
    digest, jar = code()
    plan = SqlPlan(
        path.stem.replace("-", "_"), tuple(statements(text, str(path))), config.flink.parallelism,
        config.flink.max_parallelism, config.flink.checkpoint_ms, digest,
    )  # fmt: skip
    topics = dict.fromkeys(plan.topics, config.sinks.kafka.shards)
    return Wanted(deployment(plan), jar, Bearing(), topics)


def with_options(config: Config, brokers: str | None, prefix: str | None,
                 parallelism: int | None) -> Config:  # fmt: skip
    """Let options of the command line replace keys of the configuration."""
    kafka, flink = config.sinks.kafka, config.flink
    if prefix is not None:
        kafka = replace(kafka, prefix=prefix)
    if brokers is not None:
        flink = replace(flink, brokers=brokers)
    if parallelism is not None:
        flink = replace(flink, parallelism=parallelism)
    return replace(config, flink=flink, sinks=replace(config.sinks, kafka=kafka))


def ensure_topics(config: Config, wanted: Wanted) -> None:
    """Make the topics of a job that are missing: Flink makes none, and fails without them.

    SinkError if one has another number of partitions than the configuration says.
    """
    from tickloop.app.sinks import bus_of
    from tickloop.tickerplant.sinks import kafka_client

    kafka = config.sinks.kafka
    bus = bus_of(replace(kafka, bootstrap=kafka.bootstrap or config.flink.brokers))
    names = Names(kafka.prefix)
    topics = dict(wanted.topics)
    if wanted.what.kind == SQL:
        # What a SQL file names may be anybody's, with as many partitions as he likes.
        consumer = kafka_client.BusConsumer(bus)
        known = consumer.topics()
        consumer.close()
        topics = {name: count for name, count in topics.items() if name not in known}
    kafka_client.ensure_topics(
        bus, topics, compacted=names.dictionaries, replication=kafka.replication
    )
