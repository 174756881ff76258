"""A SQL file as a job: its statements, values in place of names, the code that runs them."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

from tickloop.core.errors import ConfigError
from tickloop.streaming.flink.code_jar import as_jar
from tickloop.streaming.flink.deployed import SQL, Deployment

# How the Python of a SQL job runs: not at all, once it is submitted.
_MODE = "jvm"
_PACKAGE = "tickloop/streaming/flink"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_VALUE = re.compile(r"\$\{(\w+)(?::([^}]*))?\}")
_TOPIC = re.compile(r"'topic'\s*=\s*'([^']+)'")
# Text in quotes of either kind, comments, the end of a statement, anything else.
_PIECE = re.compile(r"'(?:[^']|'')*'|`[^`]*`|--[^\n]*|/\*.*?\*/|;|[^'`;/-]+|.", re.DOTALL)
_KINDS = ("CREATE", "SET", "INSERT", "DROP", "USE")


@dataclass(frozen=True, slots=True)
class SqlPlan:
    """Everything that decides what a SQL job computes."""

    name: str
    statements: tuple[str, ...]
    parallelism: int
    max_parallelism: int
    checkpoint_ms: int
    code_digest: str

    @property
    def topics(self) -> list[str]:
        """List the topics that it reads and writes."""
        return list(dict.fromkeys(_TOPIC.findall("\n".join(self.statements))))


def shipped() -> list[str]:
    """List the files that come with Tickloop."""
    folder = files("tickloop.streaming").joinpath("sql")
    return sorted(each.name for each in folder.iterdir() if each.name.endswith(".sql"))


def text_of(path: Path) -> str:
    """Read a file, or one that comes with Tickloop by its name alone."""
    if not path.is_file() and path.name in shipped() and path.parent == Path():
        return files("tickloop.streaming").joinpath("sql", path.name).read_text()
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: cannot be read ({error}); give a file, or one of {', '.join(shipped())}"
        ) from error


def with_values(text: str, values: Mapping[str, str], where: str) -> str:
    """Put values in place of `${name}` and `${name:default}`; ConfigError for what has none."""
    used: set[str] = set()

    def value(found: re.Match[str]) -> str:
        name, default = found[1], found[2]
        used.add(name)
        given = values.get(name, default)
        if given is None:
            raise ConfigError(f"{where}: ${{{name}}} has no value: give --set {name}=VALUE")
        if re.search(r"['`;\n]", given):
            raise ConfigError(f"{where}: {name} = {given!r} seen, a value without quotes expected")
        return given

    done = _VALUE.sub(value, text)
    if unknown := sorted(set(values) - used - {"brokers", "prefix"}):
        raise ConfigError(
            f"{where}: no ${{{unknown[0]}}} in it; there are {', '.join(sorted(used))}"
        )
    return done


def statements(text: str, where: str) -> list[str]:
    """Split a file into statements, without comments; ConfigError for one that no job can run."""
    found = [each for each in _split(text) if each]
    for each in found:
        kind = each.split(None, 1)[0].upper()
        if kind not in _KINDS:
            raise ConfigError(
                f"{where}: a statement begins with {kind}, one of {', '.join(_KINDS)} expected;"
                " what is inserted runs together as one job without EXECUTE STATEMENT SET"
            )
    if not any(each[:6].upper() == "INSERT" for each in found):
        raise ConfigError(f"{where}: no INSERT in it: a job writes somewhere")
    return found


def _split(text: str) -> Iterator[str]:
    statement: list[str] = []
    for piece in _PIECE.findall(text):
        if piece == ";":
            yield "".join(statement).strip()
            statement = []
        elif piece.startswith(("--", "/*")) and len(piece) > 1:
            statement.append(" ")
        else:
            statement.append(piece)
    yield "".join(statement).strip()


def code() -> tuple[str, bytes]:
    """Give the code that runs SQL on a cluster, and its digest."""
    source = files("tickloop.streaming").joinpath("flink", "sql_entry.py").read_bytes()
    packages = {f"{_PACKAGE}/__init__.py": b"", "tickloop/streaming/__init__.py": b""}
    jar = as_jar({**packages, f"{_PACKAGE}/sql_entry.py": source})
    return hashlib.blake2b(source, digest_size=8).hexdigest(), jar


def deployment(plan: SqlPlan) -> Deployment:
    """Make the deployment of a SQL job; ConfigError for a name that no job can have."""
    if not _NAME.fullmatch(plan.name):
        raise ConfigError(
            f"SQL job {plan.name!r} seen; a letter, then letters, digits and _ expected"
        )
    return Deployment(SQL, _MODE, json.dumps(asdict(plan), sort_keys=True))
