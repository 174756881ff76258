"""A job: an operator under a name, with values for its parameters."""

import re
from dataclasses import dataclass, field

from tickloop.core.errors import ConfigError
from tickloop.core.operator import Operator
from tickloop.core.parameters import Settings, settings

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Job:
    """What a runtime runs. The name is in every row that it makes (`stream`), and in its files."""

    name: str
    operator: Operator
    params: Settings = field(default_factory=dict)


def job(name: str, operator: Operator, given: Settings) -> Job:
    """Make a job; ConfigError for a name that no file can have, or a parameter that is not so."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"stream {name!r} seen; a letter, then letters, digits and _ expected")
    return Job(name, operator, settings(operator.parameters, given, f"stream.{name}"))


def live_changes(job: Job, before: Settings) -> dict[str, float]:
    """Give the live parameters that have other values than a state was made with."""
    return {
        each.name: float(job.params[each.name])
        for each in job.operator.parameters
        if each.live and job.params[each.name] != before.get(each.name)
    }
