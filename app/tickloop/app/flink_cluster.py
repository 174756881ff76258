"""Which Flink cluster is meant: the one named, the configured one, or the one started here."""

import os
from pathlib import Path

from tickloop.core.config import Config
from tickloop.core.errors import ConfigError
from tickloop.infra import state
from tickloop.streaming.flink.rest import Rest


def server_cache() -> Path:
    """Give the folder that servers are installed in unless another one is named."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tickloop" / "servers"


def rest_of(given: str | None, config: Config, home: Path) -> Rest:
    """Give the endpoint; ConfigError if there is none to give."""
    url = given or config.flink.rest
    if not url:
        known = state.read(home.resolve()).get("flink")
        if known is None:
            raise ConfigError(
                "no Flink cluster named: give --flink URL, set [flink] rest, or start one with"
                f" `tickloop up flink` (none was started from {home})"
            )
        url = f"http://{known.address}"
    rest = Rest(url)
    rest.slots()
    return rest
