"""One run of the gateway: its ports over a data directory, until it is stopped."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tickloop.analytics.gateway.front import Front, FrontSettings
from tickloop.analytics.gateway.pg_front import PgFront
from tickloop.analytics.gateway.pg_process import PgSettings
from tickloop.analytics.gateway.pool import PoolLimits
from tickloop.analytics.gateway.rights import everything, read_rights
from tickloop.app.capture import Stop
from tickloop.app.password_file import read_passwords
from tickloop.core.config import Config
from tickloop.tickerplant.usage import UsageLog

_LOGIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the gateway listens."""

    host: str
    q: int
    pg: int


class GatewayRun:
    """Opens the ports over a directory; workers start at once."""

    def __init__(
        self, root: Path, config: Config, *, q_port: int | None, pg_port: int | None
    ) -> None:
        wanted, serve = config.query, config.serve
        workers = wanted.workers or (os.cpu_count() or 1) + 1
        settings = FrontSettings(
            host=serve.host, port=wanted.q_port if q_port is None else q_port,
            connections=wanted.connections, login_s=_LOGIN_S,
            authenticate=read_passwords(serve.password_file) if serve.password_file else None,
            rights=read_rights(Path(wanted.rights)) if wanted.rights else everything(),
        )  # fmt: skip
        limits = PoolLimits(
            workers=workers, processes=max(wanted.processes, 4 * workers), nice=wanted.nice
        )
        usage = _usage_log(root)
        self.front = Front(root, settings, limits, usage)
        try:
            self.pg = PgFront(
                PgSettings(
                    root=str(root), host=serve.host,
                    port=wanted.pg_port if pg_port is None else pg_port, workers=workers,
                    connections=wanted.connections, rights=wanted.rights,
                    password_file=serve.password_file, writes_usage=usage is not None,
                    nice=wanted.nice,
                )
            )  # fmt: skip
        except BaseException:
            self.front.close()
            raise
        self.ports = Ports(serve.host, self.front.port, self.pg.port)

    def serve(
        self, stop: Stop, *, ready: Callable[[Ports], None], beside: int | None = None
    ) -> None:
        """Answer until a stop is requested; `ready` is told when the first answer can come.

        With `beside`, the process that started this one, it ends when that one is gone.
        """
        try:
            self.front.start()
            ready(self.ports)
            while not stop.is_due and beside in (None, os.getppid()):
                self.front.poll(0.25)
                self.pg.poll()
        finally:
            self.front.close()
            self.pg.close()


def _usage_log(root: Path) -> UsageLog | None:
    """Keep a log of what was asked, unless the directory cannot be written."""
    try:
        return UsageLog(root)
    except OSError:
        return None
