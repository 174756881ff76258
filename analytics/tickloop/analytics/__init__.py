"""Questions to a database: q, SQL, Arrow; `connect` is where to begin."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tickloop.analytics.gateway.connection import Connection, connect
    from tickloop.analytics.gateway.result import Result

__all__ = ["Connection", "Result", "connect"]


def __getattr__(name: str) -> Any:
    # Nothing is imported before it is asked for: operators run where little is installed.
    if name in ("Connection", "connect"):
        from tickloop.analytics.gateway import connection

        return getattr(connection, name)
    if name == "Result":
        from tickloop.analytics.gateway.result import Result

        return Result
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
