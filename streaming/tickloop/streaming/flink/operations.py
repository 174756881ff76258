"""Deploy, upgrade and end jobs, each step verified; what fails to start is rolled back."""

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from tickloop.core.clock import monotonic_ns, sleep
from tickloop.core.errors import JobError, ServerAwayError, ServerError
from tickloop.streaming.flink.changes import Comparison
from tickloop.streaming.flink.code_jar import find, jar_name, tidy, upload
from tickloop.streaming.flink.deployed import SQL, Deployment, deployed, running
from tickloop.streaming.flink.rest import ENDED, Rest, root_cause

_POLL_S = 0.2
_LATE_S = 60.0
# A job that fails so often before it first runs will not run.
_FAILURES_MAX = 2
_NO_SLOT = "NoResourceAvailableException"
_ENTRY = "tickloop.streaming.flink.entry"
_SQL_ENTRY = "tickloop.streaming.flink.sql_entry"
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Operations:
    """How a cluster is operated: where, how patiently, and who is told."""

    rest: Rest
    tell: Tell
    timeout_s: float = 120.0
    savepoints: str | None = None  # folder or bucket; None: the cluster's own
    settings: Mapping[str, str] = field(default_factory=dict)  # of Flink, for each job

    def deploy(self, wanted: Deployment, jar: bytes, savepoint: str | None = None) -> str:
        """Start a job that does not run yet; give its id. JobError tells why it did not start."""
        found = running(self.rest, wanted.name)
        if found is not None:
            raise JobError(
                f"{wanted.name} runs on {self.rest.url} already, as {found.line.id}:"
                f" `tickloop stream upgrade {wanted.name}` changes it, `cancel` ends it"
            )
        job = self._start(wanted, upload(self.rest, wanted.code_digest, jar), savepoint)
        self._tidy()
        return job

    def upgrade(self, comparison: Comparison, jar: bytes) -> str:
        """Replace a running job by a changed one that takes over its state; give the new id.

        If the new one does not start, the old one is started again from the savepoint.
        """
        found, wanted = comparison.found, comparison.wanted
        assert found is not None and found.what is not None, "an upgrade replaces something"
        if comparison.reasons:
            raise JobError(
                f"{wanted.name} cannot take over the state of job {found.line.id}:\n  "
                + "\n  ".join(comparison.reasons)
            )
        there = find(self.rest, found.what.code_digest)
        if there is None:
            raise JobError(
                f"the code that {wanted.name} runs ({jar_name(found.what.code_digest)}) is no"
                f" longer on {self.rest.url}, so a failed start could not be rolled back: take a"
                " `savepoint --stop`, then `deploy --from` it"
            )
        code = upload(self.rest, wanted.code_digest, jar)
        self.tell(f"stopping {wanted.name} ({found.line.id}) with a savepoint")
        savepoint = self.stop(found.line.id)
        self.tell(f"kept its state in {savepoint}")
        try:
            job = self._start(wanted, code, savepoint, former=code.parent / there)
        except (JobError, ServerError) as error:
            raise self._rolled_back(found.what, code.parent, savepoint, error) from error
        self._tidy()
        return job

    def stop(self, job: str) -> str:
        """End a job and keep its state; give the savepoint's path."""
        savepoint = self.rest.savepoint(job, self.savepoints, stop=True, timeout_s=self.timeout_s)
        self._ended(job)
        return savepoint

    def cancel(self, job: str) -> None:
        """End a job, and wait until it is gone."""
        self.rest.cancel(job)
        self._ended(job)

    def _rolled_back(
        self, before: Deployment, folder: PurePosixPath, savepoint: str, error: Exception
    ) -> JobError:
        """Start what ran before from the savepoint; give the error that tells of both."""
        self.tell("it did not start; rolling back to what ran before")
        try:
            code = find(self.rest, before.code_digest)
            if code is None:
                raise JobError(f"{jar_name(before.code_digest)} is no longer there")
            job = self._start(before, folder / code, savepoint)
        except (JobError, ServerError) as second:
            return JobError(
                f"{error}\nWhat ran before does not start either: {second}\n{before.name} does NOT"
                f" run; its state is safe in {savepoint}: `tickloop stream deploy {before.name}"
                f" --from {savepoint}`"
            )
        return JobError(
            f"{error}\nRolled back: {before.name} runs as it did before, as {job}, from {savepoint}"
        )

    # One start

    def _start(
        self, what: Deployment, code: PurePosixPath, savepoint: str | None,
        former: PurePosixPath | None = None,
    ) -> str:  # fmt: skip
        """Submit and verify; `former` is the code that the savepoint's state was made by."""
        files = dict.fromkeys(str(each) for each in (code, former) if each is not None)
        try:
            job = self.rest.run_python(
                code.name, ["-pym", entry_of(what), what.text],
                {**self.settings, **job_settings(what, ",".join(files))}, savepoint, self.timeout_s,
            )  # fmt: skip
        except ServerAwayError as error:
            job = self._submitted_late(what, error)
        except ServerError as error:
            reason = python_error(self.rest.log()) if "Python process exits" in str(error) else ""
            raise JobError(f"{what.name} could not be submitted: {reason or error}") from error
        self.tell(f"submitted {what.name} as {job}")
        try:
            self._verify(what, job)
        except (JobError, ServerError):
            # One that keeps failing would hold its slots and try for ever.
            if self._state(job) not in ENDED:
                self.cancel(job)
            raise
        return job

    def _submitted_late(self, what: Deployment, error: ServerAwayError) -> str:
        """Find a job whose submission nobody confirmed: a cluster in trouble may do it later."""
        deadline = monotonic_ns() + int(_LATE_S * 1e9)
        while monotonic_ns() < deadline:
            with suppress(ServerError):
                found = running(self.rest, what.name)
                if found is not None:
                    return found.line.id
            sleep(_POLL_S)
        raise JobError(f"{what.name} could not be submitted: {error}") from error

    def _verify(self, what: Deployment, job: str) -> None:
        """Wait until every task runs and a checkpoint is complete."""
        deadline = monotonic_ns() + int(self.timeout_s * 1e9)
        while not (detail := self.rest.job(job)).is_running:
            failures = self.rest.failures(job)
            if detail.state in ENDED or len(failures) > _FAILURES_MAX:
                reason = failures[0].root if failures else detail.state
                raise _not_started(what, self._waiting(what) if _NO_SLOT in reason else reason)
            if monotonic_ns() > deadline:
                reason = failures[0].root if failures else self._waiting(what)
                raise _not_started(what, f"not within {self.timeout_s:.0f} s: {reason}")
            sleep(_POLL_S)
        try:
            self.rest.checkpoint(job, timeout_s=self.timeout_s)
        except ServerError as error:
            failures = self.rest.failures(job)
            raise _not_started(what, failures[0].root if failures else str(error)) from error

    def _waiting(self, what: Deployment) -> str:
        slots = self.rest.slots()
        return (
            f"{slots.free} of {slots.total} slots are free, {what.name} needs {what.parallelism};"
            " start more task managers, or cancel a job"
        )

    def _state(self, job: str) -> str:
        """Ask for a job's state; while it goes over to those that ended, nobody knows it."""
        try:
            return self.rest.state(job)
        except ServerError:
            sleep(_POLL_S)
            return self.rest.job(job).state

    def _ended(self, job: str) -> None:
        deadline = monotonic_ns() + int(self.timeout_s * 1e9)
        while (state := self._state(job)) not in ENDED:
            if monotonic_ns() > deadline:
                raise JobError(f"job {job} is {state} after {self.timeout_s:.0f} s")
            sleep(_POLL_S)

    def _tidy(self) -> None:
        tidy(self.rest, {each.what.code_digest for each in deployed(self.rest) if each.what})


def entry_of(what: Deployment) -> str:
    """Name the module that submits a job."""
    return _SQL_ENTRY if what.kind == SQL else _ENTRY


def _not_started(what: Deployment, reason: str) -> JobError:
    return JobError(f"{what.name} did not start: {reason}")


def job_settings(what: Deployment, code: str) -> dict[str, str]:
    """Give Flink's own settings of a job."""
    plan = what.plan
    found = {
        "pipeline.name": what.job_name,
        "pipeline.global-job-parameters": json.dumps(what.marks()),
        "pipeline.max-parallelism": str(plan["max_parallelism"]),
        "parallelism.default": str(what.parallelism),
        "execution.checkpointing.interval": f"{plan['checkpoint_ms']} ms",
        # What is cancelled without a savepoint can still be taken up from its last checkpoint.
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "python.files": code,
    }
    return found if what.kind == SQL else {**found, "python.execution-mode": what.mode}


def python_error(log: str) -> str:
    """Find what the last submitting Python process ended with, in the job manager's log."""
    _, _, last = log.rpartition("Python Process Started")
    block = last.partition("Python Process Exited")[0]
    told = re.findall(r"PythonDriver +\[\] - (.*)", block)
    if any("Traceback" in line for line in told):
        return root_cause("\n".join(told))
    return told[-1].strip() if told else ""
