"""What each user may ask and what it may cost, from one TOML file."""

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tickloop.core.errors import ConfigError

# What reaches beyond the database: other machines, files, the process itself.
OUTSIDE = frozenset(
    {"exit", "getenv", "hclose", "hcount", "hdel", "hopen", "load", "read0", "read1"}
    | {"rload", "rsave", "save", "setenv", "0:", "1:", "2:", "dsave", "0::", "1::"}
)


@dataclass(frozen=True, slots=True)
class Rights:
    """What one user may do. `tables` None means all of them.

    `write` lets q text change variables of its own connection; nothing in the database can be
    changed by anyone. `share` lets it save and drop names that every session has. `outside` lets
    it reach files and other machines.
    """

    tables: frozenset[str] | None = None
    write: bool = True
    outside: bool = False
    share: bool = False
    verbs_denied: frozenset[str] = frozenset()
    rows: int = 100_000_000
    memory_mib: int = 4096
    timeout_s: float = 60.0
    queue: int = 100

    @property
    def denied(self) -> frozenset[str]:
        """Names of built-ins that this user may not call."""
        return self.verbs_denied if self.outside else self.verbs_denied | OUTSIDE


_LEAST = {"rows": 1, "memory_mib": 64, "timeout_s": 0.001, "queue": 1}
_FIELDS = {field.name: field for field in dataclasses.fields(Rights)}


class RightsTable:
    """The rights of every user; those who are not named have the rights of `default`."""

    def __init__(self, default: Rights, users: dict[str, Rights]) -> None:
        self.default = default
        self.users = users

    def of(self, user: str) -> Rights:
        """Give a user's rights."""
        return self.users.get(user, self.default)


def everything() -> RightsTable:
    """Give everybody the same rights: all tables, no reach outside the database."""
    return RightsTable(Rights(), {})


def read_rights(path: Path) -> RightsTable:
    """Read `[default]` and `[users.NAME]`; what a user leaves out is as in `[default]`.

    ConfigError names the file and the key.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check --rights") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    unknown = found.keys() - {"default", "users"}
    users = found.get("users", {})
    if unknown or not isinstance(users, dict):
        raise ConfigError(
            f"{path}: {', '.join(sorted(unknown)) or 'users'} seen, the tables [default] and"
            " [users.NAME] expected"
        )
    default = _merged(Rights(), found.get("default", {}), f"{path}: default")
    return RightsTable(
        default,
        {name: _merged(default, given, f"{path}: users.{name}") for name, given in users.items()},
    )


def _merged(base: Rights, given: object, where: str) -> Rights:
    if not isinstance(given, dict):
        raise ConfigError(f"{where}: {given!r} seen, a table expected")
    changes = {}
    for key, value in given.items():
        if key not in _FIELDS:
            raise ConfigError(f"{where}.{key}: unknown key; expected one of {', '.join(_FIELDS)}")
        changes[key] = _checked(key, value, f"{where}.{key}")
    return dataclasses.replace(base, **changes)


def _checked(key: str, value: Any, where: str) -> Any:
    if key in ("tables", "verbs_denied"):
        if key == "tables" and value == "*":
            return None
        if isinstance(value, list) and all(isinstance(name, str) for name in value):
            return frozenset(value)
        raise ConfigError(f"{where}: {value!r} seen, a list of names expected")
    if key in ("write", "outside", "share"):
        if isinstance(value, bool):
            return value
        raise ConfigError(f"{where}: {value!r} seen, true or false expected")
    number = int | float if key == "timeout_s" else int
    if isinstance(value, bool) or not isinstance(value, number) or value < _LEAST[key]:
        raise ConfigError(f"{where}: {value!r} seen, a number of at least {_LEAST[key]} expected")
    return value
