"""A q session typed line by line, as a console shows it."""

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.session import Session


def typed(*lines: str, session: Session | None = None) -> str:
    """Type lines and give what the last one prints, without blanks at the ends of lines."""
    session = session or Session()
    shown = ""
    for line in lines:
        shown = session.show(line)
    return "\n".join(line.rstrip() for line in shown.rstrip("\n").split("\n"))


def refused(*lines: str, session: Session | None = None) -> QError:
    """Type lines and give the error of the last one."""
    session = session or Session()
    *before, last = lines
    for line in before:
        session.show(line)
    try:
        shown = session.show(last)
    except QError as error:
        return error
    raise AssertionError(f"{last} was answered: {shown}")
