"""A cluster in trouble: a job whose submission nobody confirmed is found, or given up with why."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath

import pytest

from tickloop.core.errors import JobError, ServerError
from tickloop.streaming.flink import operations
from tickloop.streaming.flink.deployed import of_plan
from tickloop.streaming.flink.operations import Operations
from tickloop.streaming.flink.plan import JobPlan
from tickloop.streaming.flink.rest import Rest

WANTED = of_plan(
    JobPlan(
        "desk", "pairs", "127.0.0.1:9092", "x.", 2, ("quote", "control"), {"entry": 2.0},
        state_version=2, code_digest="aa",
    )
)  # fmt: skip
RUNS = {
    "state": "RUNNING", "timestamps": {"RUNNING": 1}, "now": 2,
    "vertices": [{"id": "v", "name": "v", "parallelism": 1, "tasks": {"RUNNING": 1}}],
}  # fmt: skip


ELECTION = (503, {"errors": ["Service temporarily unavailable due to an ongoing leader election."]})
TERMINATED = (
    500, {"errors": ["Recipient [Actor[pekko://flink/user/rpc/dispatcher_1]] had already been"
                     " terminated."]},
)  # fmt: skip


class Cluster(ThreadingHTTPServer):
    """Answers as Flink does, but for submissions: those it keeps to itself, or refuses."""

    looks = 0  # how often it was asked for its jobs since a submission
    submits_after: int | None = None  # so many looks later the job is there
    refuses = ""
    elections = 0  # so often it says that nobody leads it
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.over = threading.Event()
        self.asked: list[str] = []

    def answer(self, path: str) -> object:
        if path == "/jobs/overview":
            self.looks += 1
            if self.submits_after is None or self.looks <= self.submits_after:
                return {"jobs": []}
            line = {"jid": "j1", "name": WANTED.job_name, "state": "RUNNING"}
            return {"jobs": [{**line, "start-time": 1, "end-time": -1}]}
        return {
            "/jobs/j1": RUNS,
            "/jobs/j1/status": {"status": "RUNNING"},
            "/jobs/j1/config": {"execution-config": {"user-config": WANTED.marks()}},
            "/jobs/j1/exceptions": {"exceptionHistory": {"entries": []}},
            "/jobs/j1/checkpoints": {"request-id": "r"},
            "/jobs/j1/checkpoints/r": {"status": {"id": "COMPLETED"}, "operation": {}},
        }[path]


class Answer(BaseHTTPRequestHandler):
    server: Cluster

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.server.elections:
            self.server.elections -= 1
            self._send(*(ELECTION if self.server.elections % 2 else TERMINATED))
            return
        if self.path.startswith("/jars/"):
            if not self.server.refuses:
                self.server.over.wait(60)
                return
            self._send(400, {"errors": [self.server.refuses]})
            return
        self._send(200, self.server.answer(self.path))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.do_GET()

    def _send(self, code: int, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setattr(operations, "_POLL_S", 0.01)
    monkeypatch.setattr(operations, "_LATE_S", 1.0)
    found = Cluster()
    thread = threading.Thread(target=found.serve_forever, daemon=True)
    thread.start()
    yield found
    found.over.set()
    found.shutdown()
    found.server_close()
    thread.join()


def rest_of(cluster: Cluster) -> Rest:
    return Rest(f"http://127.0.0.1:{cluster.server_address[1]}", timeout_s=5)


def start(cluster: Cluster, told: list[str]) -> str:
    rest = rest_of(cluster)
    patient = Operations(rest, told.append, timeout_s=0.3)
    return patient._start(WANTED, PurePosixPath("/jars/code.jar"), None)


def test_a_job_that_is_submitted_after_nobody_waited_any_more_is_taken_for_ours(
    cluster: Cluster,
) -> None:
    cluster.submits_after = 3
    told: list[str] = []
    assert start(cluster, told) == "j1"
    assert told == ["submitted desk as j1"]
    assert "/jobs/j1/checkpoints/r" in cluster.asked  # and verified as any other


def test_a_job_that_never_appears_is_given_up_with_what_was_seen(cluster: Cluster) -> None:
    with pytest.raises(JobError, match=r"desk could not be submitted: .* does not answer"):
        start(cluster, [])
    assert cluster.looks > 3


def test_what_the_cluster_refuses_is_told_at_once(cluster: Cluster) -> None:
    cluster.refuses = "no such jar"
    with pytest.raises(JobError, match=r"desk could not be submitted: .*no such jar"):
        start(cluster, [])
    assert cluster.looks == 0


def test_a_cluster_that_chooses_who_leads_it_is_asked_again(cluster: Cluster) -> None:
    cluster.elections = 4
    assert rest_of(cluster).state("j1") == "RUNNING"
    assert cluster.asked == ["/jobs/j1/status"] * 5


def test_one_that_never_comes_to_a_choice_is_given_up_with_what_it_says(cluster: Cluster) -> None:
    cluster.elections = 10**6
    with pytest.raises(ServerError, match=r"refused GET /jobs/j1/status: .*(election|terminated)"):
        Rest(rest_of(cluster).url, timeout_s=0.3).state("j1")
    assert len(cluster.asked) > 1
