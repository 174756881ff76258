"""One frozen configuration, read once from one TOML file; what it does not know it refuses."""

import dataclasses
import difflib
import json
import math
import re
import tomllib
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from tickloop.core.clock import is_zone
from tickloop.core.errors import ConfigError, SchemaError
from tickloop.core.user_tables import from_toml


def _at_least(minimum: float, unit: str = "") -> dict[str, Any]:
    return {"minimum": minimum, "unit": unit}


@dataclass(frozen=True, slots=True)
class PlantConfig:
    """The plant: its name, how durable an acknowledgement is, and when a session ends."""

    name: str = "tickloop"
    sync: Literal["none", "interval", "batch"] = "interval"
    sync_interval_ms: float = field(default=100.0, metadata=_at_least(1, "ms"))
    # Of the session; empty: the feed's.
    zone: str = field(
        default="", metadata={"check": is_zone, "expected": "a time zone such as America/New_York"}
    )
    roll_minutes: int = field(
        default=0, metadata={"minimum": 0, "maximum": 1439, "unit": "minutes after local midnight"}
    )
    clock_ms: int = field(default=1000, metadata=_at_least(0, "ms"))
    span_mib: int = field(default=4, metadata=_at_least(1, "MiB"))


@dataclass(frozen=True, slots=True)
class FeedConfig:
    """What feed handlers are told."""

    depth_levels: int = field(default=5, metadata=_at_least(0, "levels a side"))
    cut_messages: int = field(default=16_384, metadata=_at_least(1, "messages"))
    cut_ms: float = field(default=0.0, metadata=_at_least(0, "ms of feed time; 0 for none"))
    binance_stream: str = "wss://stream.binance.com:9443"
    binance_rest: str = "https://api.binance.com"
    live_attempts: int = field(default=10, metadata=_at_least(1, "connections or requests"))
    record: str = ""  # a new .gz file that gets every raw frame of binance-live
    # HOST:PORT of a capture's MoldUDP64 lines, comma-separated; empty: the busiest channel's.
    pcap_channel: str = ""
    mold_interface: str = "127.0.0.1"
    mold_rewinder: str = ""  # HOST:PORT that lost MoldUDP64 messages are asked for
    soup_user: str = ""
    soup_password_file: str = ""
    # Where a plant on Kafka is followed from the first time: seq=N, time=INSTANT, offset=N, end;
    # empty: the first row. After that the data directory knows.
    kafka_start: str = ""
    kafka_tables: str = ""  # names divided by spaces; empty: all that are there
    # A kdb+ tickerplant's names where they differ, theirs -> ours: a table, or TABLE.COLUMN ("" to
    # leave it out).
    kdb_names: dict[str, str] = field(default_factory=dict)
    kdb_log_folder: str = ""  # where its logs are found here; empty: where it says they are
    kdb_user: str = ""
    kdb_password_file: str = ""  # or env:NAME


@dataclass(frozen=True, slots=True)
class ServeConfig:
    """Where the plant listens; a wide bind needs a password file."""

    host: str = "127.0.0.1"
    port: int = field(default=5010, metadata={"minimum": 0, "maximum": 65535, "unit": "port"})
    password_file: str = ""
    # user -> the tables, divided by spaces, that he may publish into; empty: everybody, all.
    publish: dict[str, str] = field(default_factory=dict)
    queue_mib: int = field(default=64, metadata=_at_least(1, "MiB a subscriber"))
    slow: Literal["disconnect", "spill", "conflate"] = "spill"


@dataclass(frozen=True, slots=True)
class QueryConfig:
    """Where questions are answered, by how many workers; hosts and passwords are [serve]'s."""

    q_port: int = field(default=5011, metadata={"minimum": 0, "maximum": 65535, "unit": "port"})
    pg_port: int = field(default=5433, metadata={"minimum": 0, "maximum": 65535, "unit": "port"})
    workers: int = field(default=0, metadata=_at_least(0, "at once; 0: one more than cores"))
    processes: int = field(default=64, metadata=_at_least(4, "workers, with those kept for one"))
    connections: int = field(default=1000, metadata=_at_least(1, "connections"))
    nice: int = field(
        default=10, metadata={"minimum": 0, "maximum": 19, "unit": "priority given up to captures"}
    )
    rights: str = ""  # a TOML file of what each user may ask and what it may cost


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """Today's rows and history."""

    flush_rows: int = field(default=4_000_000, metadata=_at_least(1000, "rows"))
    fractional: bool = False  # sizes as floats; crypto feeds ask for it by themselves
    snapshot_rows: int = field(
        default=1_000_000, metadata=_at_least(1, "rows between two snapshots of a stream")
    )


@dataclass(frozen=True, slots=True)
class KafkaSinkConfig:
    """The bus: off while `bootstrap` is empty. Table names are divided by spaces."""

    bootstrap: str = ""  # HOST:PORT[,HOST:PORT]
    prefix: str = "tickloop."
    shards: int = field(
        default=8, metadata={"minimum": 1, "maximum": 4096, "unit": "partitions a table"}
    )
    tables: str = ""  # empty: all, of the log's own `control`
    json: str = "bar signal alert"  # of those that exist: also as one JSON record a row
    arrow: str = ""  # of those that exist: also as Arrow IPC streams of up to `rows` rows
    # Of those that exist: sent in transactions, so that readers never see half a publication.
    ledgers: str = "order parent route fill correction position"
    rows: int = field(default=8192, metadata=_at_least(1, "rows a message"))
    compression: Literal["none", "lz4", "zstd", "snappy", "gzip"] = "lz4"
    queue_mib: int = field(default=64, metadata=_at_least(1, "MiB not acknowledged yet"))
    linger_ms: float = field(default=2.0, metadata=_at_least(0, "ms"))
    progress_ms: float = field(default=100.0, metadata=_at_least(0, "ms"))
    replication: int = field(default=1, metadata=_at_least(1, "copies"))
    drain_s: float = field(default=30.0, metadata=_at_least(0, "s after the run's end"))
    properties: dict[str, str] = field(default_factory=dict)  # librdkafka's, e.g. for TLS


@dataclass(frozen=True, slots=True)
class QuestDbSinkConfig:
    """The SQL store: off while `address` is empty. Table names are divided by spaces."""

    address: str = ""  # HOST:PORT of its HTTP port
    tables: str = ""  # empty: all but the log's own
    user: str = ""
    password_file: str = ""
    rows: int = field(default=100_000, metadata=_at_least(1, "rows a request"))
    drain_s: float = field(default=60.0, metadata=_at_least(0, "s after the run's end"))


@dataclass(frozen=True, slots=True)
class KdbSinkConfig:
    """A kdb+ tickerplant: off while `address` is empty. Table names are divided by spaces."""

    address: str = ""  # HOST:PORT
    tables: str = ""  # ours; empty: all that the tickerplant has too, but the log's own
    # Where names differ, theirs -> ours: a table, or TABLE.COLUMN ("" for nulls).
    names: dict[str, str] = field(default_factory=dict)
    stamp: Literal["ours", "theirs"] = "ours"  # theirs: the first column is left out
    send: Literal["answered", "async"] = "answered"
    user: str = ""
    password_file: str = ""  # or env:NAME
    rows: int = field(default=10_000, metadata=_at_least(1, "rows a message"))
    messages: int = field(default=64, metadata=_at_least(1, "messages not answered yet"))
    drain_s: float = field(default=30.0, metadata=_at_least(0, "s after the run's end"))


@dataclass(frozen=True, slots=True)
class SinksConfig:
    """Where rows go beside this data directory."""

    nice: int = field(
        default=10, metadata={"minimum": 0, "maximum": 19, "unit": "priority given up to captures"}
    )
    kafka: KafkaSinkConfig = field(default_factory=KafkaSinkConfig)
    questdb: QuestDbSinkConfig = field(default_factory=QuestDbSinkConfig)
    kdb: KdbSinkConfig = field(default_factory=KdbSinkConfig)


@dataclass(frozen=True, slots=True)
class FlinkConfig:
    """The Flink cluster that streams are deployed to; addresses are as the cluster reaches them."""

    rest: str = ""  # http://HOST:PORT; empty: the cluster that `tickloop up flink` started
    streams: str = ""  # of [stream.NAME], divided by spaces: they run there, not in the plant
    brokers: str = ""  # HOST:PORT[,HOST:PORT]; empty: [sinks.kafka] bootstrap
    savepoints: str = ""  # folder or bucket; empty: the cluster's own
    parallelism: int = field(default=1, metadata=_at_least(1, "slots a job"))
    max_parallelism: int = field(
        default=128, metadata={"minimum": 1, "maximum": 32768, "unit": "key groups"}
    )
    guarantee: Literal["at_least_once", "exactly_once"] = "at_least_once"
    checkpoint_ms: int = field(default=1000, metadata=_at_least(10, "ms"))
    settings: dict[str, str] = field(default_factory=dict)  # Flink's own, for each job


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that is configured."""

    plant: PlantConfig = field(default_factory=PlantConfig)
    feed: FeedConfig = field(default_factory=FeedConfig)
    serve: ServeConfig = field(default_factory=ServeConfig)
    query: QueryConfig = field(default_factory=QueryConfig)
    store: StoreConfig = field(default_factory=StoreConfig)
    sinks: SinksConfig = field(default_factory=SinksConfig)
    flink: FlinkConfig = field(default_factory=FlinkConfig)
    schema: str = ""  # a kdb+ schema file (`sym.q` style) with more tables
    tables: dict[str, dict[str, str]] = field(default_factory=dict)  # table -> column -> q type
    # stream -> `operator` (its name or file; by default the stream's name) and its parameters
    stream: dict[str, dict[str, str | int | float]] = field(default_factory=dict)


def load(path: Path | None) -> Config:
    """Read a configuration; None gives the defaults.

    ConfigError names file, line and key, what was seen and what was expected.
    """
    if path is None:
        return Config()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check --config") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8; TOML is") from error
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # Numbers of thousands of digits and deep nesting are refused by Python, not by the parser.
        raise ConfigError(_not_toml(path, text, str(error))) from error
    config = _build(Config, values, _Place(path, text, ()))
    assert isinstance(config, Config)
    _check_tables(config, _Place(path, text, ("tables",)))
    return config


def _check_tables(config: Config, place: "_Place") -> None:
    """Refuse tables that cannot be, at the line of the column that makes it so."""
    for name, columns in config.tables.items():
        for one in ({key: kind} for key, kind in columns.items()):
            (key,) = one
            try:
                from_toml({name: one})
            except SchemaError as error:
                reason = str(error).removeprefix(f"tables.{name}: ")
                raise ConfigError(f"{place.inside(name).inside(key)}: {reason}") from error


def _not_toml(path: Path, text: str, reason: str) -> str:
    at = re.search(r" \(at line (\d+), column (\d+)\)", reason)
    if at is None:
        end = text.count("\n") + 1 if reason.endswith("(at end of document)") else 1
        return f"{path}:{end}: not TOML: {reason}"
    line = text.split("\n")[int(at[1]) - 1].strip()
    column = f"column {at[2]} of {line[:60]!r}"
    return f"{path}:{at[1]}: not TOML: {reason.replace(at[0], '')} at {column}"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the file a value stands."""

    path: Path
    text: str
    keys: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {'.'.join(self.keys) or 'file'}"

    def inside(self, key: str) -> "_Place":
        return _Place(self.path, self.text, (*self.keys, key))

    @property
    def line(self) -> int:
        """The line of the key, or of the table that holds it."""
        section: tuple[str, ...] = ()
        best = 1
        for number, line in enumerate(self.text.split("\n"), start=1):
            if header := re.match(r"\s*\[\[?\s*([^\]]+?)\s*\]", line):
                section = tuple(part.strip(" \"'") for part in header[1].split("."))
                if section == self.keys:
                    return number
                if section == self.keys[:-1]:
                    best = number
            elif pair := re.match(r"\s*([A-Za-z0-9_.\"'-]+)\s*=", line):
                key = tuple(part.strip(" \"'") for part in pair[1].split("."))
                if (*section, *key) == self.keys:
                    return number
                if (*section, *key) == self.keys[: len(section) + len(key)]:
                    best = number
        return best


def _build(kind: type, values: object, place: _Place) -> object:
    if not isinstance(values, dict):
        raise ConfigError(f"{place}: {_shown(values)} seen, a table expected")
    fields = {item.name: item for item in dataclasses.fields(kind)}
    hints = get_type_hints(kind)
    for key in values:
        if key not in fields:
            raise ConfigError(f"{place.inside(key)}: unknown key; {_suggestion(key, fields)}")
    built = {
        name: _value(hints[name], values[name], item, place.inside(name))
        for name, item in fields.items()
        if name in values
    }
    for name, item in fields.items():
        required = (
            item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        )
        if required and name not in built:
            raise ConfigError(f"{place.inside(name)}: missing, {_expected(hints[name])} expected")
    return kind(**built)


def _suggestion(key: str, fields: dict[str, Any]) -> str:
    close = difflib.get_close_matches(key, fields, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}expected one of {', '.join(fields)}"


def _value(hint: Any, value: object, item: Any, place: _Place) -> object:
    if dataclasses.is_dataclass(hint):
        assert isinstance(hint, type)
        return _build(hint, value, place)
    if get_origin(hint) is dict and isinstance(value, dict):
        inner = get_args(hint)[1]
        return {key: _value(inner, entry, item, place.inside(key)) for key, entry in value.items()}
    if not _fits(hint, value):
        raise ConfigError(f"{place}: {_shown(value)} seen, {_expected(hint)} expected")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ConfigError(
            f"{place}: a number of more than 64 bits seen, {_expected(hint)} expected"
        )
    if hint is float and isinstance(value, (int, float)):
        value = float(value)
        if not math.isfinite(value):
            raise ConfigError(f"{place}: {value} seen, a finite number expected")
    _check_bounds(value, item.metadata, place)
    return value


def _check_bounds(value: object, bounds: Any, place: _Place) -> None:
    if "check" in bounds and value and not bounds["check"](value):
        raise ConfigError(f"{place}: {value!r} seen, {bounds['expected']} expected")
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return
    unit = f" {bounds['unit']}" if bounds.get("unit") else ""
    # Written so that NaN, which compares false with everything, is refused too.
    if "minimum" in bounds and not value >= bounds["minimum"]:
        raise ConfigError(f"{place}: {value} seen, at least {bounds['minimum']}{unit} expected")
    if "maximum" in bounds and not value <= bounds["maximum"]:
        raise ConfigError(f"{place}: {value} seen, at most {bounds['maximum']}{unit} expected")


def _fits(hint: Any, value: object) -> bool:
    origin = get_origin(hint)
    if origin is Literal:
        return value in get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(option, value) for option in get_args(hint))
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    # A table's entries are looked at one by one, so that a refusal names the entry.
    return isinstance(value, origin or hint)


def _expected(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(repr(option) for option in get_args(hint))
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(_expected(option) for option in get_args(hint))
    names = {
        int: "a whole number",
        float: "a number",
        str: "a string",
        bool: "true or false",
        types.NoneType: "nothing",
    }
    return names.get(hint, "a table")


def _shown(value: object) -> str:
    return f"{value!r} ({type(value).__name__})"


def as_toml(config: object, section: str = "") -> str:
    """Spell a configuration, defaults included, as TOML that `load` reads back."""
    assert dataclasses.is_dataclass(config)
    plain: list[str] = []
    nested: list[str] = []
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            nested.append(as_toml(value, f"{section}{item.name}."))
        elif isinstance(value, dict) and item.type != dict[str, str]:
            for name, columns in value.items():
                body = "".join(f"{_key(key)} = {_toml(entry)}\n" for key, entry in columns.items())
                nested.append(f"[{section}{item.name}.{_key(name)}]\n{body}\n")
        else:
            unit = item.metadata.get("unit", "")
            plain.append(f"{item.name} = {_toml(value)}" + (f"  # {unit}" if unit else ""))
    head = f"[{section[:-1]}]\n" if section else ""
    own = head + "\n".join(plain) + "\n\n" if plain else ""
    return own + "".join(nested)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON escapes what TOML wants escaped, all but the delete character.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_toml(each)}" for key, each in value.items()) + "}"
    return repr(value)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)
