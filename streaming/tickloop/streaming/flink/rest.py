"""A Flink cluster through its REST endpoint: typed answers, and refusals that say what to do."""

import json
import re
import secrets
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tickloop.core.clock import monotonic_ns, sleep
from tickloop.core.errors import ServerAwayError, ServerError

ENDED = frozenset({"FINISHED", "CANCELED", "FAILED", "SUSPENDED"})
_PYTHON_DRIVER = "org.apache.flink.client.python.PythonDriver"
_POLL_S = 0.1
# A log is followed from its start; no more than this of its end is kept.
_LOG_BYTES_MAX = 4 << 20
_NAMES_MAX = 200  # metrics asked for at once, so that an address stays short
# How a cluster says that nobody leads it at the moment: after a crash, or on a machine that stood
# still. What was asked for did not reach anybody.
_NO_LEADER = re.compile("leader election|had already been terminated")
_ELECTION_S = 30.0


@dataclass(frozen=True, slots=True)
class JobLine:
    """A job as the cluster lists it; instants in milliseconds since 1970, the cluster's clock."""

    id: str
    name: str
    state: str
    start_ms: int
    end_ms: int  # -1 while it runs

    @property
    def runs(self) -> bool:
        """Tell whether it has not ended."""
        return self.state not in ENDED


@dataclass(frozen=True, slots=True)
class Vertex:
    """A part of a job that is scheduled as one."""

    id: str
    name: str
    parallelism: int
    tasks: Mapping[str, int]  # how many are in which state


@dataclass(frozen=True, slots=True)
class JobDetail:
    """A job with its parts."""

    state: str
    uptime_ms: int  # since its tasks last began to run; 0 if they do not
    now_ms: int  # the cluster's clock
    vertices: tuple[Vertex, ...]

    @property
    def is_running(self) -> bool:
        """Tell whether every task runs; a job counts as RUNNING while it still waits for slots."""
        tasks = [(state, n) for each in self.vertices for state, n in each.tasks.items() if n]
        return self.state == "RUNNING" and all(state == "RUNNING" for state, _ in tasks)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that was completed."""

    id: int
    time_ms: int
    size: int  # bytes of state
    duration_ms: int
    path: str
    is_savepoint: bool


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """How often a job's state was kept, and the last of it."""

    completed: int
    failed: int
    restored: int
    latest: Checkpoint | None
    latest_savepoint: Checkpoint | None


@dataclass(frozen=True, slots=True)
class Failure:
    """What ended a job's tasks once."""

    time_ms: int
    stack: str
    task: str

    @property
    def root(self) -> str:
        """The first line of what lies beneath it all."""
        return root_cause(self.stack)


@dataclass(frozen=True, slots=True)
class Slots:
    """The places that a cluster has for tasks."""

    total: int
    free: int
    task_managers: int
    version: str


@dataclass(frozen=True, slots=True)
class Jar:
    """An uploaded archive; Flink takes no other name than one that ends in .jar."""

    id: str
    name: str


def root_cause(stack: str) -> str:
    """Give the last cause that a stack trace of Java, of Python, or of both names."""
    java = re.findall(r"^\s*(?:Caused by)?: (.*)$", stack, re.M)
    python = re.findall(r"^(\w[\w.]*(?:Error|Exception|Interrupt|Exit)\b: .*)$", stack, re.M)
    # A Python error that only says that Java failed, and how, is no cause of its own.
    own = [each for each in python if not each.startswith("py4j.")]
    causes = (own if "Traceback (most" in stack else []) or java or stack.strip().splitlines()[:1]
    return causes[-1].strip() if causes else "no reason was given"


class _NoLeaderError(ServerError):
    """A cluster that nobody leads at the moment."""


class Rest:
    """The endpoint. Every method raises ServerError if Flink refuses or somebody else answers, and
    ServerAwayError if nobody does.
    """

    def __init__(self, url: str, timeout_s: float = 60.0) -> None:
        """Take an address such as http://127.0.0.1:8081."""
        given = url if "://" in url else f"http://{url}"
        parts = urllib.parse.urlsplit(given)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ServerError(
                f"Flink at {url!r}: an address such as http://127.0.0.1:8081 expected"
            )
        self.url = given.rstrip("/")
        self._timeout_s = timeout_s

    # Asking

    def _ask(
        self, method: str, path: str, body: bytes | None = None, kind: str = "application/json",
        timeout_s: float | None = None,
    ) -> bytes:  # fmt: skip
        """Ask, and again while the cluster chooses who leads it."""
        deadline = monotonic_ns() + int(min(self._timeout_s, _ELECTION_S) * 1e9)
        while True:
            try:
                return self._ask_once(method, path, body, kind, timeout_s or self._timeout_s)
            except _NoLeaderError:
                if monotonic_ns() > deadline:
                    raise
            sleep(_POLL_S)

    def _ask_once(
        self, method: str, path: str, body: bytes | None, kind: str, timeout_s: float
    ) -> bytes:
        request = urllib.request.Request(  # noqa: S310 - the scheme was looked at
            self.url + path, data=body, method=method, headers={"Content-Type": kind}
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
                found = b""
                while piece := answer.read(1 << 20):
                    found = (found + piece)[-_LOG_BYTES_MAX:]
                return bytes(found)
        except urllib.error.HTTPError as error:
            with error:
                told = _errors(error.read())
            kind_of = _NoLeaderError if _NO_LEADER.search(told) else ServerError
            raise kind_of(f"Flink at {self.url} refused {method} {path}: {told}") from error
        except (OSError, urllib.error.URLError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise ServerAwayError(
                f"Flink at {self.url} does not answer ({reason}); start one with"
                " `tickloop up flink`, or name yours with --flink URL or [flink] rest"
            ) from error

    def _json(
        self, method: str, path: str, body: Mapping[str, object] | None = None,
        timeout_s: float | None = None,
    ) -> Any:  # fmt: skip
        spelled = None if body is None else json.dumps(body).encode()
        text = self._ask(method, path, spelled, timeout_s=timeout_s)
        try:
            return json.loads(text or b"{}")
        except ValueError as error:
            raise ServerError(
                f"{self.url}{path} answers {text[:60]!r}, JSON expected: is it a Flink endpoint?"
            ) from error

    # The cluster

    def slots(self) -> Slots:
        """Count slots."""
        found = self._json("GET", "/overview")
        if "slots-total" not in found:
            raise ServerError(f"{self.url} answers, but not as Flink does: check the address")
        return Slots(
            int(found["slots-total"]), int(found["slots-available"]), int(found["taskmanagers"]),
            str(found["flink-version"]),
        )  # fmt: skip

    def task_managers(self) -> list[str]:
        """List the ids of task managers."""
        return [str(each["id"]) for each in self._json("GET", "/taskmanagers")["taskmanagers"]]

    def log(self, task_manager: str | None = None) -> str:
        """Read a task manager's log, or the job manager's; of a long one its end."""
        name = f"/taskmanagers/{task_manager}/log" if task_manager else "/jobmanager/log"
        return self._ask("GET", name).decode(errors="replace")

    # Jobs

    def jobs(self) -> list[JobLine]:
        """List the jobs that the cluster remembers, the last started first."""
        found = [
            JobLine(each["jid"], each["name"], each["state"], each["start-time"], each["end-time"])
            for each in self._json("GET", "/jobs/overview")["jobs"]
        ]
        return sorted(found, key=lambda each: -each.start_ms)

    def job(self, job: str) -> JobDetail:
        """Ask for one job."""
        found = self._json("GET", f"/jobs/{job}")
        vertices = tuple(
            Vertex(each["id"], each["name"], int(each["parallelism"]), each["tasks"])
            for each in found["vertices"]
        )
        running_ms = int(found["timestamps"].get("RUNNING", 0))
        up = int(found["now"]) - running_ms if found["state"] == "RUNNING" and running_ms else 0
        return JobDetail(found["state"], up, int(found["now"]), vertices)

    def state(self, job: str) -> str:
        """Ask for a job's state alone, which the cluster looks up anew every time."""
        return str(self._json("GET", f"/jobs/{job}/status")["status"])

    def user_config(self, job: str) -> Mapping[str, str]:
        """Read what a job was started with, as its starter wrote it."""
        found = self._json("GET", f"/jobs/{job}/config")
        user: Mapping[str, str] = (found.get("execution-config") or {}).get("user-config") or {}
        return user

    def failures(self, job: str) -> list[Failure]:
        """List what went wrong in a job, the last first."""
        found = self._json("GET", f"/jobs/{job}/exceptions")
        return [
            Failure(int(each["timestamp"]), each["stacktrace"], each.get("taskName") or "")
            for each in found["exceptionHistory"]["entries"]
        ]

    def checkpoints(self, job: str) -> Checkpoints:
        """Ask how a job's state was kept."""
        found = self._json("GET", f"/jobs/{job}/checkpoints")
        if not found.get("counts"):
            return Checkpoints(0, 0, 0, None, None)
        counts, latest = found["counts"], found["latest"]
        done = [_checkpoint(latest.get(name)) for name in ("completed", "savepoint")]
        return Checkpoints(counts["completed"], counts["failed"], counts["restored"], *done)

    def metrics(self, job: str, vertex: str, endings: tuple[str, ...]) -> dict[str, float]:
        """Sum a part's metrics over its subtasks, of those whose names end so."""
        path = f"/jobs/{job}/vertices/{vertex}/subtasks/metrics"
        names = [str(each["id"]) for each in self._json("GET", path)]
        wanted = [name for name in names if name.endswith(endings)][:_NAMES_MAX]
        if not wanted:
            return {}
        asked = urllib.parse.quote(",".join(wanted), safe=",")
        found = self._json("GET", f"{path}?get={asked}&agg=sum")
        return {str(each["id"]): float(each["sum"]) for each in found}

    # Changing what runs

    def upload(self, name: str, content: bytes) -> str:
        """Bring an archive to the cluster; give its path there."""
        assert name.endswith(".jar"), "Flink takes no other name"
        mark = secrets.token_hex(16)
        head = (
            f'--{mark}\r\nContent-Disposition: form-data; name="jarfile"; filename="{name}"\r\n'
            "Content-Type: application/x-java-archive\r\n\r\n"
        )
        body = head.encode() + content + f"\r\n--{mark}--\r\n".encode()
        answer = self._ask("POST", "/jars/upload", body, f"multipart/form-data; boundary={mark}")
        return str(json.loads(answer)["filename"])

    def jars(self) -> Iterator[Jar]:
        """List uploaded archives, the last first."""
        files = self._json("GET", "/jars")["files"]
        for each in sorted(files, key=lambda each: -int(each["uploaded"])):
            yield Jar(each["id"], each["name"])

    def remove(self, jar: str) -> None:
        """Delete an uploaded archive."""
        self._json("DELETE", f"/jars/{jar}")

    def run_python(
        self, jar: str, arguments: list[str], conf: Mapping[str, str], savepoint: str | None,
        timeout_s: float | None = None,
    ) -> str:  # fmt: skip
        """Run an uploaded archive's Python module; give the id of the job that it submitted.

        ServerAwayError if that is not known within the time: it may be submitted later.
        """
        body: dict[str, object] = {
            "entryClass": _PYTHON_DRIVER, "programArgsList": arguments, "flinkConfiguration": conf,
        }  # fmt: skip
        if savepoint:
            body |= {"savepointPath": savepoint, "allowNonRestoredState": False}
        return str(self._json("POST", f"/jars/{jar}/run", body, timeout_s)["jobid"])

    def cancel(self, job: str) -> None:
        """End a job at once."""
        self._json("PATCH", f"/jobs/{job}?mode=cancel")

    def savepoint(self, job: str, folder: str | None, *, stop: bool, timeout_s: float) -> str:
        """Keep a job's state, and stop it if so wanted; give the savepoint's path."""
        body: dict[str, object] = {"targetDirectory": folder} if folder else {}
        path = "stop" if stop else "savepoints"
        body |= {"drain": False} if stop else {"cancel-job": False}
        trigger = self._json("POST", f"/jobs/{job}/{path}", body)["request-id"]
        done = self._wait(f"/jobs/{job}/savepoints/{trigger}", timeout_s, "a savepoint")
        return str(done["location"])

    def checkpoint(self, job: str, *, timeout_s: float) -> None:
        """Have a checkpoint made, and wait until it is complete."""
        trigger = self._json("POST", f"/jobs/{job}/checkpoints", {})["request-id"]
        self._wait(f"/jobs/{job}/checkpoints/{trigger}", timeout_s, "a checkpoint")

    def _wait(self, path: str, timeout_s: float, what: str) -> Any:
        deadline = monotonic_ns() + int(timeout_s * 1e9)
        while True:
            found = self._json("GET", path)
            if found["status"]["id"] == "COMPLETED":
                done = found.get("operation") or {}
                cause = done.get("failure-cause")
                if cause:
                    raise ServerError(f"{what} failed: {root_cause(str(cause['stack-trace']))}")
                return done
            if monotonic_ns() > deadline:
                raise ServerError(
                    f"{what} was not complete within {timeout_s:.0f} s; `tickloop stream status`"
                    " shows the job, --timeout waits longer"
                )
            sleep(_POLL_S)


def _checkpoint(found: Any) -> Checkpoint | None:
    if not found:
        return None
    return Checkpoint(
        int(found["id"]), int(found["latest_ack_timestamp"]), int(found["state_size"]),
        int(found["end_to_end_duration"]), str(found.get("external_path") or ""),
        bool(found["is_savepoint"]),
    )  # fmt: skip


def _errors(body: bytes) -> str:
    """Read the reason from an error's body."""
    try:
        told = json.loads(body)["errors"]
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace") or "it gave no reason"
    return root_cause("\n".join(map(str, told)))
