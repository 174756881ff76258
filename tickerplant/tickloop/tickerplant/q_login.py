"""The first bytes of a q connection: `user:password`, what the peer can do, a NUL."""

from dataclasses import dataclass

from tickloop.core.errors import WireError
from tickloop.tickerplant.q_codec import CAPABILITY
from tickloop.tickerplant.q_values import symbol_bytes, symbol_text

LOGIN_BYTES_MAX = 1024
# What a browser, or a scrape that was pointed at the wrong port, is told.
NOT_HTTP = (
    b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
    b"This port speaks q IPC (PyKX, kdb+ and the like), not HTTP.\n"
)


@dataclass(frozen=True, slots=True)
class Login:
    """Who asks to come in, and the capability that both sides have."""

    user: str
    password: str
    capability: int


def is_http(raw: bytes | bytearray) -> bool:
    """Tell whether the first bytes are an HTTP request's."""
    return raw.startswith((b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS "))


def take_login(inbox: bytearray) -> Login | None:
    """Take a login off the front of what arrived, or None if it is not complete yet.

    WireError once more came than a login may have.
    """
    end = inbox.find(b"\0", 0, LOGIN_BYTES_MAX)
    if end < 0:
        if len(inbox) >= LOGIN_BYTES_MAX:
            raise WireError(
                f"{len(inbox)} bytes without a NUL seen, a login of at most {LOGIN_BYTES_MAX}"
                " expected: is the peer a q client?"
            )
        return None
    raw = bytes(inbox[:end])
    del inbox[: end + 1]
    # Clients from before capabilities end with the password itself.
    offered = raw[-1] if raw and raw[-1] < 0x20 else 0
    text = symbol_text(raw[:-1] if raw and raw[-1] < 0x20 else raw)
    user, _, password = text.partition(":")
    return Login(user, password, min(offered, CAPABILITY))


def login_bytes(user: str, password: str, capability: int = CAPABILITY) -> bytes:
    """Spell a login as a client sends it."""
    for part in (user, password):
        if "\0" in part:
            raise WireError("a NUL in the user or password ends a login early; take it out")
    return symbol_bytes(f"{user}:{password}") + bytes((capability, 0))
