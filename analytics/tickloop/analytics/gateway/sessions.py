"""q sessions as connections get them: the user's tables, and what is denied answers 'access."""

from tickloop.analytics.gateway.rights import Rights
from tickloop.analytics.q.session import Session
from tickloop.tickerplant.database import Database

CONSOLE_ROWS, CONSOLE_COLUMNS = 25, 80


def open_session(database: Database, rights: Rights) -> Session:
    """Begin a session over a database."""
    return Session(CONSOLE_ROWS, CONSOLE_COLUMNS, database=database)
