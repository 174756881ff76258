"""A Kafka broker of one node: KRaft, loopback, bounded memory, history kept for ever."""

import struct
import subprocess
from pathlib import Path

from tickloop.core.errors import ServerError
from tickloop.infra.launch import Launcher, Place, exchange
from tickloop.infra.pins import KAFKA
from tickloop.infra.processes import Known, spawn, tail, wait_healthy

_START_S = 90.0
_API_VERSIONS = 18
_CORRELATION = 20
_LOG4J = """<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="WARN">
  <Appenders>
    <Console name="out"><PatternLayout pattern="%d{ISO8601} %p %c{1} %m%n"/></Console>
  </Appenders>
  <Loggers>
    <Root level="WARN"><AppenderRef ref="out"/></Root>
    <Logger name="kafka.server.KafkaRaftServer" level="INFO"/>
  </Loggers>
</Configuration>
"""


def properties(folder: Path, *, port: int, controller: int) -> str:
    """Spell server.properties.

    Replayed history carries stamps of its own day, so nothing is deleted for its age, and stamps
    ahead of this machine's clock are taken.
    """
    lines = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(folder / "data"),
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "group.initial.rebalance.delay.ms": "0",
        "auto.create.topics.enable": "false",
        "message.max.bytes": "8388608",
        "transaction.max.timeout.ms": "900000",
        "broker.heartbeat.interval.ms": "500",
        "broker.session.timeout.ms": "2000",
        "log.retention.ms": "-1",
        "log.message.timestamp.after.max.ms": "9223372036854775807",
        # Empty folders of one-node clusters are cheap; index files of 10 MB each are not.
        "log.index.size.max.bytes": "1048576",
        # The names of symbols are all that is compacted; 128 MB kept for it are most of the heap.
        "log.cleaner.dedupe.buffer.size": "16777216",
        "num.network.threads": "2",
        "num.io.threads": "4",
    }
    return "".join(f"{key}={value}\n" for key, value in lines.items())


def start(place: Place) -> tuple[Known, ...]:
    """Format the data folder the first time, start the broker, and wait until it serves."""
    folder = place.folder
    port, controller = place.ports["client"], place.ports["controller"]
    config, log4j, log = (
        folder / name for name in ("server.properties", "log4j2.xml", "kafka.log")
    )
    config.write_text(properties(folder, port=port, controller=controller))
    log4j.write_text(_LOG4J)
    java = [
        str(place.java.path), "-XX:+UseG1GC", f"-Dlog4j2.configurationFile=file:{log4j}",
        "-cp", f"{place.files / 'lib'}/*",
    ]  # fmt: skip
    if not (folder / "data" / "meta.properties").exists():
        _format(java, config, folder)
    seen = log.stat().st_size if log.exists() else 0
    memory = f"-Xmx{place.memory_mib}m"
    known, process = spawn(
        "broker", [java[0], memory, "-Xms128m", *java[1:], "kafka.Kafka", str(config)],
        log=log, folder=folder, env={},
    )  # fmt: skip

    def serves() -> bool:
        with log.open("rb") as file:
            file.seek(seen)
            started = b"Kafka Server started" in file.read()
        return started and answers("127.0.0.1", port)

    wait_healthy(process, serves, name="kafka", log=log, timeout_s=_START_S)
    process.returncode = 0  # it outlives this command
    return (known,)


def _format(java: list[str], config: Path, folder: Path) -> None:
    """Give a new data folder its cluster's identity."""
    tool = [java[0], "-Xmx256m", *java[1:], "kafka.tools.StorageTool"]
    cluster = subprocess.run(  # noqa: S603 - our own words and paths
        [*tool, "random-uuid"], capture_output=True, text=True, check=False
    ).stdout.split()
    done = subprocess.run(  # noqa: S603 - our own words and paths
        [*tool, "format", "--standalone", "-t", *cluster[-1:], "-c", str(config)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        log = folder / "format.log"
        log.write_text(done.stdout + done.stderr)
        raise ServerError(f"kafka: {folder / 'data'} could not be formatted:\n{tail(log)}")


def answers(host: str, port: int) -> bool:
    """Ask which requests the broker knows; only Kafka answers with the same number."""
    client = b"tickloop"
    body = struct.pack(">hhih", _API_VERSIONS, 0, _CORRELATION, len(client)) + client
    found = exchange(host, port, struct.pack(">i", len(body)) + body, 10)
    return len(found) == 10 and struct.unpack(">iih", found)[1:] == (_CORRELATION, 0)


LAUNCHER = Launcher(KAFKA, {"client": 9092, "controller": 9093}, 512, start, answers)
