"""What a job's former code had taken is folded by that code, before the code of now goes on.

A state on Flink is a base and the messages since: so an upgrade in between would have them folded
by code that never saw them, though the rows that follow from them were sent long ago.
"""

import json
import logging
from collections.abc import Sequence

from tickloop.streaming.flink.share import plan_of
from tickloop.streaming.flink.unpack import beside

_log = logging.getLogger(__name__)


def settled(
    digest: str, share: int, base: bytes, since: Sequence[bytes]
) -> tuple[bytes, Sequence[bytes]]:
    """Give a base without messages that code of another digest took.

    Where that code is not at hand, which is said, they are left to the code of now.
    """
    plan = plan_of(base)
    former = str(json.loads(plan)["code_digest"]) if plan else ""
    if not (since and former and digest) or former == digest:
        return base, since
    with beside(former) as is_here:
        if is_here:
            from tickloop.streaming.flink.share import opened

            there = opened(plan)(share, base)
            there.replay(since)
            return there.base()
    _log.warning(
        "the last %d messages before this start were taken by code %s, which is not here; code %s"
        " folds them again", len(since), former, digest,
    )  # fmt: skip
    return base, since
