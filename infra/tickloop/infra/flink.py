"""A Flink cluster of one job manager and its task managers, from the packages of pip.

Which jobs run is kept in a ZooKeeper of the cluster's own, and their code and last checkpoints in
its folder, so that a job manager that dies takes them up again when its keeper has started it.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from tickloop.infra import supervise
from tickloop.infra.launch import Launcher, Place, exchange, get_json
from tickloop.infra.pins import FLINK
from tickloop.infra.processes import Known, spawn, stop, wait_healthy

_Started = tuple[Known, "subprocess.Popen[bytes]"]
_START_S = 120.0
_JOB_MANAGER_MIB = 1024
_ZOOKEEPER_MIB = 64
# What only tells others what to do leaves the processors to them.
_QUIET_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


def packages(files: Path) -> Path:
    """Name the folder of the package that holds Flink's own scripts and jars."""
    (found,) = (files / "venv" / "lib").glob("python*/site-packages/pyflink")
    return found


def configuration(place: Place, java_options: str) -> str:
    """Spell config.yaml."""
    folder, ports, scratch = place.folder, place.ports, place.folder / "tmp"
    return f"""{java_options}
env.java.opts.jobmanager: {_QUIET_JAVA}
jobmanager:
  bind-host: 127.0.0.1
  rpc: {{address: 127.0.0.1, port: {ports["rpc"]}}}
  memory: {{process: {{size: {_JOB_MANAGER_MIB}m}}}}
taskmanager:
  bind-host: 127.0.0.1
  host: 127.0.0.1
  numberOfTaskSlots: 1
  memory:
    process: {{size: {place.memory_mib}m}}
    managed: {{size: 64m}}
    segment-size: 256 kb
blob: {{server: {{port: {ports["blob"]}}}}}
high-availability:
  type: zookeeper
  storageDir: file://{folder}/ha
  cluster-id: /tickloop
  jobmanager: {{port: {ports["rpc"]}}}
  zookeeper:
    quorum: 127.0.0.1:{ports["zookeeper"]}
    client:
      session-timeout: 8 s
      tolerate-suspended-connections: true
      retry-wait: 500 ms
      max-retry-attempts: 60
web:
  refresh-interval: 200 ms
  upload:
    dir: {folder}/uploads
io:
  tmp:
    dirs: {scratch}
parallelism: {{default: 1}}
rest: {{address: 127.0.0.1, bind-address: 127.0.0.1, port: {ports["rest"]}}}
heartbeat: {{interval: 1000, timeout: 10000}}
execution:
  checkpointing:
    dir: file://{folder}/checkpoints
    savepoint-dir: file://{folder}/savepoints
state: {{backend: {{type: hashmap}}}}
restart-strategy: {{type: fixed-delay, fixed-delay: {{attempts: 100, delay: 500 ms}}}}
"""


def keeper(place: Place) -> str:
    """Spell zoo.cfg.

    A job manager that was killed is given up within 8 seconds; one on a machine that stood still
    for less goes on.
    """
    return f"""tickTime=1000
initLimit=10
syncLimit=5
dataDir={place.folder}/zookeeper
clientPort={place.ports["zookeeper"]}
clientPortAddress=127.0.0.1
admin.enableServer=false
4lw.commands.whitelist=ruok
autopurge.purgeInterval=1
"""


def prepare(place: Place) -> dict[str, str]:
    """Lay out the cluster's folder; give the environment that Flink's scripts want.

    What processes of before left in `tmp` is deleted: none of them runs any more.

    The Python jar is linked into lib: a second job of a thread-mode task manager would otherwise
    load it twice and die.
    """
    own = packages(place.files)
    conf, lib = place.folder / "conf", place.folder / "lib"
    shutil.rmtree(place.folder / "tmp", ignore_errors=True)
    for name in ("conf", "lib", "log", "pid", "uploads", "tmp", "zookeeper"):
        (place.folder / name).mkdir(parents=True, exist_ok=True)
    for path in (own / "conf").iterdir():
        if path.is_file():
            shutil.copy(path, conf / path.name)
    shipped = (own / "conf" / "config.yaml").read_text()
    options = re.search(r"^env:\n(?:[ ]+.*\n)+", shipped, flags=re.MULTILINE)
    (conf / "config.yaml").write_text(configuration(place, options[0] if options else ""))
    (conf / "zoo.cfg").write_text(keeper(place))
    jars = [*(own / "lib").glob("*.jar"), *(own / "opt").glob("flink-python-*.jar")]
    for jar in [*jars, *(place.files / "lib").glob("*.jar")]:
        link = lib / jar.name
        link.unlink(missing_ok=True)
        link.symlink_to(jar)
    return script_environment(place.files, place.folder, str(place.java.home))


def script_environment(files: Path, folder: Path, java_home: str) -> dict[str, str]:
    """Give the environment of Flink's scripts; thread mode takes the first python3 on PATH."""
    search = f"{files / 'venv' / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {
        "PATH": search, "JAVA_HOME": java_home, "FLINK_CONF_DIR": str(folder / "conf"),
        "FLINK_LOG_DIR": str(folder / "log"), "FLINK_PID_DIR": str(folder / "pid"),
        "FLINK_LIB_DIR": str(folder / "lib"), "TMPDIR": str(folder / "tmp"),
    }  # fmt: skip


def start(place: Place) -> tuple[Known, ...]:
    """Start all processes of a cluster, and wait until its slots are registered."""
    env = prepare(place)
    scripts = packages(place.files) / "bin"
    started: list[_Started] = []
    try:
        started.append(_start_keeper(place, env, str(scripts / "flink-console.sh")))
        started.append(_start_one("jobmanager", place, env, scripts / "jobmanager.sh"))
        # One slot each: in thread mode two jobs of one process would share an interpreter lock.
        # They look for a job manager until there is one, so all of them start side by side.
        for number in range(1, place.workers + 1):
            role = f"taskmanager-{number}"
            started.append(_start_one(role, place, env, scripts / "taskmanager.sh"))
        for slots, each in enumerate(started[1:]):
            _wait_for_slots(place, each, slots)
    except BaseException:
        # A cluster without slots serves nobody, and nobody would know of it.
        for known, _ in started:
            stop(known, timeout_s=5.0)
        raise
    return tuple(known for known, _ in started)


def _start_keeper(place: Place, env: dict[str, str], script: str) -> _Started:
    """Start what remembers the jobs, and wait for it."""
    log, port = _log(place, "zookeeper"), place.ports["zookeeper"]
    # Not zookeeper.sh, whose server is a child of it and outlives it.
    config = str(place.folder / "conf" / "zoo.cfg")
    command = supervise.command(
        ["/bin/bash", script, "zookeeper", "--zkConfigFile", config, "--peerId", "1"]
    )
    heap = f"-Xms{_ZOOKEEPER_MIB}m -Xmx{_ZOOKEEPER_MIB}m"
    env = {**env, "JVM_ARGS": f"{heap} {_QUIET_JAVA} -Dzookeeper.jmx.log4j.disable=true"}
    known, process = spawn("zookeeper", command, log=log, folder=place.folder, env=env)
    wait_healthy(
        process, lambda: exchange("127.0.0.1", port, b"ruok", 4) == b"imok",
        name="flink zookeeper", log=log, timeout_s=_START_S,
    )  # fmt: skip
    process.returncode = 0  # it outlives this command
    return known, process


def _start_one(role: str, place: Place, env: dict[str, str], script: Path) -> _Started:
    foreground = supervise.command(["/bin/bash", str(script), "start-foreground"])
    return spawn(role, foreground, log=_log(place, role), folder=place.folder, env=env)


def _wait_for_slots(place: Place, started: _Started, slots: int) -> None:
    """Wait until so many slots are registered, or what was started ends."""
    known, process = started
    wait_healthy(
        process, lambda: slots_at("127.0.0.1", place.ports["rest"]) >= slots,
        name=f"flink {known.role}", log=_log(place, known.role), timeout_s=_START_S,
    )  # fmt: skip
    process.returncode = 0  # it outlives this command


def _log(place: Place, role: str) -> Path:
    return place.folder / "log" / f"{role}.log"


def slots_at(host: str, port: int) -> int:
    """Count the slots that are registered; -1 if nobody answers."""
    found = get_json(f"http://{host}:{port}/overview")
    return int(found["slots-total"]) if isinstance(found, dict) else -1


def answers(host: str, port: int) -> bool:
    """Ask the REST endpoint for the cluster's overview."""
    return slots_at(host, port) >= 0


LAUNCHER = Launcher(
    FLINK, {"rest": 8081, "rpc": 6123, "blob": 6124, "zookeeper": 2181}, 1728, start, answers
)
