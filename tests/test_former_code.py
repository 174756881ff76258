"""An upgraded job's state is what its former code made of what it took, not what newer would."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bus_messages import dictionary, messages
from tests.installed_operator import COUNTING
from tests.market_log import market_log
from tickloop.core.schema import TRADE
from tickloop.streaming.flink.package import archive
from tickloop.streaming.flink.plan import JobPlan

SHARDS = 2
FIRST, SECOND = 3, 5  # what the code of each version adds for a trade
LOG = market_log(300, seed=5)
TAKEN = [
    *dictionary(LOG, SHARDS),
    *(each.raw for each in messages(LOG, range(0, 300, 30), SHARDS) if each.table is TRADE),
]

# In a process of its own, since it lets go of modules: what a task manager does at an upgrade.
UPGRADE = """
import json, logging, sys
from pathlib import Path
logging.basicConfig(format="%(message)s", stream=sys.stdout)
told = json.loads(Path(sys.argv[1]).read_text())
first, second = told["plans"]
taken = [bytes.fromhex(each) for each in told["taken"]]
digest = json.loads(second)["code_digest"]
sys.path += told["archives"]

from tickloop.streaming.flink.unpack import use
use(json.loads(first)["code_digest"])
from tickloop.streaming.flink.share import opened
former = opened(first)(0, None)
beginning, none = former.base()
assert none == []
for raw in taken:
    former.take(raw)
exact, held = former.base()

sys.path += told["archives"]
use(digest)
from tickloop.streaming.flink import former, share
if told["is_lost"]:
    import shutil
    from tickloop.streaming.flink.unpack import _home
    shutil.rmtree(_home() / json.loads(first)["code_digest"])
before, path = dict(sys.modules), list(sys.path)
base, since = former.settled(digest, 0, beginning, taken)
assert {name: module for name, module in before.items() if sys.modules[name] is not module} == {}
assert sys.path == path
if told["is_lost"]:
    assert (base, since) == (beginning, taken)
else:
    # A base says from where on rows were sent, too; what was sent before is passed over there.
    known = [{**each, "sent": 0} for each in (share._parts(base)[0], share._parts(exact)[0])]
    assert known[0] == known[1]
    assert (share._parts(base)[1:], list(since)) == (share._parts(exact)[1:], held)
assert former.settled(digest, 0, base, []) == (base, [])

now = share.opened(second)(0, base)
now.replay(since)
assert not now.is_of(base)
made, _ = now.base()
assert now.is_of(made)
assert former.settled(digest, 0, made, taken) == (made, taken)
print(share._parts(made)[2] == share._parts(exact)[2])
"""


def version(folder: Path, step: int) -> tuple[JobPlan, Path]:
    """Pack the operator with a step of its own; give its plan and archive."""
    own = folder / str(step) / "count.py"
    own.parent.mkdir()
    own.write_text(
        COUNTING.replace("from {package}.sizes import STEP", f"STEP = {step}")
        .replace("from . import names", "")
        .replace("names.NAME", 'b"count"')
        .replace("{{", "{")
        .replace("}}", "}")
    )
    plan = JobPlan(
        name="count", operator="count.py", brokers="none:1", prefix="x.", shards=SHARDS,
        tables=("trade",), path=str(own), outputs=("signal",),
    )  # fmt: skip
    packed = archive(folder / "code", str(own))
    return replace(plan, code_digest=packed.digest), packed.path


@pytest.mark.parametrize("is_lost", [False, True])
def test_messages_since_the_last_base_are_folded_by_the_code_that_took_them(
    tmp_path: Path, is_lost: bool
) -> None:
    versions = [version(tmp_path, step) for step in (FIRST, SECOND)]
    told = tmp_path / "told.json"
    told.write_text(
        json.dumps({
            "plans": [plan.to_json() for plan, _ in versions],
            "archives": [str(path) for _, path in versions],
            "taken": [raw.hex() for raw in TAKEN], "is_lost": is_lost,
        })
    )  # fmt: skip
    (tmp_path / "tmp").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", UPGRADE, str(told)], capture_output=True, text=True, check=False,
        cwd=tmp_path, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path),
                           "TMPDIR": str(tmp_path / "tmp")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *said, is_exact = done.stdout.splitlines()
    assert is_exact == str(not is_lost)
    assert any("which is not here" in line for line in said) == is_lost
