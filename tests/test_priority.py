"""Giving way: who can wait gets the processor after who cannot."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import good, running, wait_for
from tickloop.core.priority import give_way

# On one processor; ready when asked, and then busy until asked again.
BUSY = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
if int(sys.argv[2]):
    from tickloop.core.priority import give_way
    give_way(int(sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
began = time.process_time()
until = time.monotonic() + 2
while time.monotonic() < until:
    pass
print(time.process_time() - began)
"""


def session(process: int | str = "self") -> str:
    """Tell what Linux says of a process's session; nothing where sessions are not told apart.

    The first session of a machine, or of a container, has none to say either.
    """
    path = Path(f"/proc/{process}/autogroup")
    return path.read_text() if path.exists() else ""


def busy(nice: int) -> "subprocess.Popen[str]":
    """Start a process of its own session that takes all of one processor."""
    return subprocess.Popen(
        [sys.executable, "-c", BUSY, str(min(os.sched_getaffinity(0))), str(nice)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="one processor cannot be chosen")
def test_a_session_that_gives_way_leaves_most_of_a_processor_to_one_that_does_not() -> None:
    first, second = busy(0), busy(10)
    for each in (first, second):
        assert each.stdout is not None and each.stdout.readline() == "ready\n"
    for each in (first, second):
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    stays, yields = (float(each.communicate(timeout=60)[0]) for each in (first, second))
    assert stays > 3 * yields


def test_a_process_just_started_can_be_told_to_give_way_with_its_session() -> None:
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, start_new_session=True) as child:
        give_way(7, child.pid)
        own = os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getpriority(os.PRIO_PROCESS, child.pid) == min(own + 7, 19)
        told = session(child.pid)
        assert not told or told.endswith("nice 7\n")


def test_a_process_that_has_ended_gives_way_silently() -> None:
    child = subprocess.Popen(["/bin/true"], start_new_session=True)
    child.wait()
    give_way(5, child.pid)


def test_the_session_of_a_terminal_stays_as_it_is_when_a_command_in_it_gives_way() -> None:
    code = (
        "import os\nfrom tests.test_priority import session\n"
        "from tickloop.core.priority import give_way\ngive_way(3)\n"
        "print(os.getpriority(os.PRIO_PROCESS, 0), session(), sep='\\n', end='')"
    )
    own = os.getpriority(os.PRIO_PROCESS, 0)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{min(own + 3, 19)}\n{session()}"


def test_a_sink_gives_way_as_far_as_it_is_configured(tmp_path: Path) -> None:
    data, config = tmp_path / "data", tmp_path / "tickloop.toml"
    config.write_text("[sinks]\nnice = 4\n")
    good("run", "--data", data, "--feed", "synthetic:2024-01-02", "--messages", "20000")
    nobody = "127.0.0.1:1"
    own = os.getpriority(os.PRIO_PROCESS, 0)
    with running(
        "sink", "questdb", "--data", data, "--config", config, "--address", nobody
    ) as sink:
        wait_for(lambda: os.getpriority(os.PRIO_PROCESS, sink.pid) == own + 4, sink)
