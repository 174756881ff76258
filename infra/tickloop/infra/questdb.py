"""A QuestDB server: loopback only, bounded memory, nothing sent home."""

from tickloop.infra.launch import Launcher, Place, get_json
from tickloop.infra.pins import QUESTDB
from tickloop.infra.processes import Known, spawn, wait_healthy

_START_S = 60.0
USER, PASSWORD = "admin", "quest"  # QuestDB's own; loopback is what keeps others out


def environment(place: Place) -> dict[str, str]:
    """Give the settings: by default it would listen on every interface, on four ports."""
    ports = place.ports
    return {
        "QDB_HTTP_BIND_TO": f"127.0.0.1:{ports['http']}",
        "QDB_PG_NET_BIND_TO": f"127.0.0.1:{ports['pg']}",
        "QDB_HTTP_MIN_NET_BIND_TO": f"127.0.0.1:{ports['health']}",
        "QDB_LINE_TCP_ENABLED": "false",
        "QDB_TELEMETRY_ENABLED": "false",
        "QDB_METRICS_ENABLED": "true",
        "QDB_PG_USER": USER,
        "QDB_PG_PASSWORD": PASSWORD,
        "QDB_SHARED_WORKER_COUNT": "2",
        "QDB_CAIRO_O3_COLUMN_MEMORY_SIZE": "256k",
    }


def start(place: Place) -> tuple[Known, ...]:
    """Start the server and wait until it answers a query."""
    log = place.folder / "questdb.log"
    (place.folder / "data").mkdir(exist_ok=True)
    (jar,) = (place.files / "lib").glob("questdb-*.jar")
    known, process = spawn(
        "server",
        [str(place.java.path), "-XX:+UseParallelGC", f"-Xmx{place.memory_mib}m", "-p", str(jar),
         "-m", "io.questdb/io.questdb.ServerMain", "-d", str(place.folder / "data")],
        log=log, folder=place.folder, env=environment(place),
    )  # fmt: skip
    wait_healthy(
        process, lambda: answers("127.0.0.1", place.ports["http"]), name="questdb", log=log,
        timeout_s=_START_S,
    )  # fmt: skip
    process.returncode = 0  # it outlives this command
    return (known,)


def answers(host: str, port: int) -> bool:
    """Ask a query that needs no table."""
    found = get_json(f"http://{host}:{port}/exec?query=select%201")
    return isinstance(found, dict) and found.get("count") == 1


LAUNCHER = Launcher(QUESTDB, {"http": 9000, "pg": 8812, "health": 9003}, 1024, start, answers)
