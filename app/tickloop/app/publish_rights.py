"""Which users may publish into which tables: `[serve.publish]` of the configuration."""

from collections.abc import Callable, Collection, Mapping

from tickloop.core.config import ServeConfig
from tickloop.core.errors import ConfigError

EVERY = "*"


def read_rights(serve: ServeConfig, tables: Collection[str]) -> Callable[[str, str], bool]:
    """Give the check of (user, table); without any entry everybody who is let in may publish.

    An entry is `user = "table table"`, or `"*"` for every table. ConfigError if a table is
    unknown, or if nobody has to prove who he is.
    """
    if not serve.publish:
        return lambda user, table: True
    if not serve.password_file:
        raise ConfigError(
            "serve.publish: rights by user seen without a password file; without one everybody"
            " may call himself anything: set [serve] password_file"
        )
    granted = {user: frozenset(text.split()) for user, text in serve.publish.items()}
    _check_tables(granted, tables)

    def may_publish(user: str, table: str) -> bool:
        return bool(granted.get(user, frozenset()) & {table, EVERY})

    return may_publish


def _check_tables(granted: Mapping[str, Collection[str]], tables: Collection[str]) -> None:
    for user, names in granted.items():
        unknown = sorted(set(names) - set(tables) - {EVERY})
        if unknown:
            raise ConfigError(
                f"serve.publish.{user}: table {unknown[0]!r} seen, {EVERY!r} or some of"
                f" {', '.join(sorted(tables))} expected"
            )
