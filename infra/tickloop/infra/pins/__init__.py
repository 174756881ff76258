"""Which versions of the servers are installed, and the checksum of every file of them."""

from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file in a Maven repository."""

    group: str
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.group}:{self.name}:{self.version}"


@dataclass(frozen=True, slots=True)
class Pin:
    """One server: what to ask Maven and pip for, and what it needs on this machine."""

    server: str
    version: str
    artifacts: tuple[Artifact, ...]
    java_min: int
    disk_bytes: int
    packages: bool = False  # pip requirements with hashes lie beside the checksums

    @property
    def folder(self) -> str:
        """Name the folder of the cache that holds it."""
        return f"{self.server}-{self.version}"

    def checksums(self) -> dict[str, str]:
        """Give the SHA-256 of every jar by its name."""
        text = (files(__name__) / f"{self.server}.sha256").read_text()
        return {name: digest for digest, name in (line.split() for line in text.splitlines())}

    def requirements(self) -> str:
        """Give the pip requirements, each with its hashes; empty if there are none."""
        return (files(__name__) / f"{self.server}.txt").read_text() if self.packages else ""


_LOG4J = "org.apache.logging.log4j"
_MIB = 1 << 20
KAFKA = Pin(
    "kafka", "4.3.1",
    (
        Artifact("org.apache.kafka", "kafka_2.13", "4.3.1"),
        # Kafka speaks slf4j 1.7, which log4j-slf4j2-impl does not serve.
        Artifact(_LOG4J, "log4j-slf4j-impl", "2.25.1"),
        Artifact(_LOG4J, "log4j-core", "2.25.1"),
        Artifact(_LOG4J, "log4j-api", "2.25.1"),
    ),
    java_min=17, disk_bytes=200 * _MIB,
)  # fmt: skip
QUESTDB = Pin(
    "questdb", "9.3.4", (Artifact("org.questdb", "questdb", "9.3.4"),),
    java_min=17, disk_bytes=200 * _MIB,
)  # fmt: skip
FLINK = Pin(
    "flink", "2.2.1", (Artifact("org.apache.flink", "flink-sql-connector-kafka", "5.0.0-2.2"),),
    java_min=17, disk_bytes=2048 * _MIB, packages=True,
)  # fmt: skip
PINS = {pin.server: pin for pin in (KAFKA, QUESTDB, FLINK)}
