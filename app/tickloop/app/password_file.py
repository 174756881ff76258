"""Who may log in: a file of `user:password` lines. Complaints about it hold no secret."""

import hmac
from collections.abc import Callable
from pathlib import Path

from tickloop.core.errors import ConfigError


def read_passwords(name: str) -> Callable[[str, str], bool]:
    """Read a password file; give the check of a login.

    Empty lines and lines that begin with `#` are passed over. ConfigError names the line.
    """
    try:
        lines = Path(name).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(
            f"{name}: cannot be read ({error.strerror}); check [serve] password_file"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: byte {error.start} is not UTF-8") from error
    known: dict[str, bytes] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.startswith("#"):
            user, password = _entry(f"{name}:{number}", line)
            if user in known:
                raise ConfigError(f"{name}:{number}: user {user!r} seen twice; keep one line")
            known[user] = password
    if not known:
        raise ConfigError(f"{name}: no user in it; write a line `user:password`")

    def check(user: str, password: str) -> bool:
        # A login ends at its first NUL, so nobody can send what stands for an unknown user.
        expected = known.get(user, b"\0")
        return hmac.compare_digest(expected, password.encode(errors="surrogateescape"))

    return check


def _entry(where: str, line: str) -> tuple[str, bytes]:
    user, colon, password = line.partition(":")
    if not colon or not user or not password:
        raise ConfigError(f"{where}: a line that is not `user:password` seen; both are needed")
    return user, password.encode()
