"""The Postgres-wire port in a process of its own: what a statement takes, the q port keeps."""

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tickloop.analytics.gateway.limits import die_with_parent
from tickloop.analytics.gateway.pg_statements import RightsOpener
from tickloop.analytics.gateway.rights import everything, read_rights
from tickloop.analytics.pg.scram import Verifier
from tickloop.analytics.pg.server import PgLimits, PgServer
from tickloop.analytics.pg.session import SessionLimits
from tickloop.analytics.questdb.place import place_of
from tickloop.core.errors import TickloopError
from tickloop.core.kernel import warm_up
from tickloop.core.priority import give_way
from tickloop.tickerplant.usage import UsageLog

_MESSAGE_BYTES = 1 << 26
_LOGIN_S = 10.0
_KEPT = 1000


@dataclass(frozen=True, slots=True)
class PgSettings:
    """What the process is told by the one that starts it, as JSON."""

    root: str
    host: str
    port: int
    workers: int
    connections: int
    rights: str
    password_file: str
    writes_usage: bool
    nice: int
    questdb: str = "{}"  # a Place, as it spells itself


def main() -> None:
    """Serve until SIGTERM; print the port once it is open, or why it cannot be."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings = PgSettings(**json.loads(sys.argv[1]))
    give_way(settings.nice)
    try:
        asyncio.run(_serve(settings))
    except TickloopError as error:
        print(json.dumps({"refused": str(error)}), flush=True)  # noqa: T201 - told to the parent
        sys.exit(1)


async def _serve(settings: PgSettings) -> None:
    rights = read_rights(Path(settings.rights)) if settings.rights else everything()
    root = Path(settings.root)
    usage = UsageLog(root) if settings.writes_usage else None
    opener = RightsOpener(root, rights, usage, workers=settings.workers,
                          questdb=place_of(settings.questdb))  # fmt: skip

    def session(user: str) -> SessionLimits:
        found = rights.of(user)
        return SessionLimits(rows=found.rows, statement_s=found.timeout_s, kept=_KEPT)

    limits = PgLimits(
        connections=settings.connections, message_bytes=_MESSAGE_BYTES, login_s=_LOGIN_S,
        session=session(""),
    )  # fmt: skip
    server = PgServer(
        opener, limits=limits, host=settings.host, port=settings.port,
        verifiers=_verifiers(settings.password_file), sessions=session,
    )  # fmt: skip
    await server.start()
    print(json.dumps({"port": server.port}), flush=True)  # noqa: T201 - told to the parent
    # Loading what spells rows takes a second, which the first client with many is not to wait for.
    warming = asyncio.create_task(asyncio.to_thread(warm_up))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await server.close()
    await warming
    opener.close()


def _verifiers(path: str) -> Callable[[str], Verifier | None] | None:
    """Read `user:password` lines; the file was checked by whoever started this process."""
    if not path:
        return None
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    pairs = [line.partition(":") for line in lines if line.strip() and not line.startswith("#")]
    known = {user: Verifier.of_text(password) for user, _, password in pairs}
    return known.get


if __name__ == "__main__":
    main()
