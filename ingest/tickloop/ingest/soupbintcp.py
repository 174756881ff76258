"""SoupBinTCP 3.0 sessions, both sides, without sockets: bytes and instants in, bytes out."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from tickloop.core.errors import FeedError, WireError
from tickloop.ingest import soup_wire as wire
from tickloop.ingest.feed import Health
from tickloop.ingest.soup_wire import SoupControl, SoupFrames, SoupReceiver, number, packet

HEARTBEAT_NS = 1_000_000_000  # silence after which each side says that it lives
SILENCE_NS = 15_000_000_000  # silence after which the peer is dead

REJECTIONS = {
    b"A": "not authorised: check the user and the password",
    b"S": "session not available: check the session's name, or leave it empty",
}


@dataclass(frozen=True, slots=True)
class Login:
    """What a client asks for; `sequence` 0 means from the next message on."""

    user: str
    password: str = field(repr=False)
    session: str = ""
    sequence: int = 1


class SoupState(Enum):
    """Where a session stands."""

    LOGGING_IN = "logging in"
    ACTIVE = "active"
    ENDED = "ended"
    REJECTED = "rejected"


class SoupSession:
    """The client's side of one connection.

    Fill `space()`, tell `filled(size, now_ns)`, and take `frames()`: messages in sequence, each
    once, from `login.sequence` on. Send what `outgoing(now_ns)` gives, which logs in first and
    beats when there was silence. `now_ns` is any clock that does not jump.
    """

    def __init__(self, login: Login, *, health: Health, now_ns: int) -> None:
        self.state = SoupState.LOGGING_IN
        self.session = login.session
        self.next_sequence = login.sequence
        self.error: FeedError | None = None
        self._health = health
        self._receiver = SoupReceiver(data=wire.SEQUENCED)
        self._seen_ns = now_ns
        self._sent_ns = now_ns
        self._known = 0  # messages that the venue sends again although they were not asked for
        self._outgoing = packet(wire.LOGIN_REQUEST, _login_payload(login))

    def space(self) -> memoryview:
        """Give room for the venue's next bytes."""
        return self._receiver.space()

    def filled(self, size: int, now_ns: int) -> None:
        """Tell how many bytes were put into `space`."""
        self._receiver.filled(size)
        self._seen_ns = now_ns

    def frames(self) -> Iterator[SoupFrames]:
        """Yield the messages that arrived; WireError if the bytes are not SoupBinTCP."""
        for item in self._receiver.packets():
            if isinstance(item, SoupControl):
                self._control(item)
            elif self.state is SoupState.ACTIVE:
                yield from self._sequenced(item)
            else:
                raise WireError(
                    f"{len(item)} messages seen while {self.state.value}, a login reply expected;"
                    " check that the port is the venue's SoupBinTCP port"
                )

    def outgoing(self, now_ns: int) -> bytes:
        """Give the bytes to send now."""
        if self.state is SoupState.ACTIVE and now_ns - self._sent_ns >= HEARTBEAT_NS:
            self._outgoing += packet(wire.CLIENT_HEARTBEAT)
        sending, self._outgoing = self._outgoing, b""
        if sending:
            self._sent_ns = now_ns
        return sending

    def is_silent(self, now_ns: int) -> bool:
        """Tell whether the venue has been silent for so long that it must be gone."""
        return now_ns - self._seen_ns > SILENCE_NS

    def log_out(self) -> None:
        """Ask the venue to close the connection."""
        self._outgoing += packet(wire.LOGOUT)

    def _sequenced(self, frames: SoupFrames) -> Iterator[SoupFrames]:
        again = min(self._known, len(frames))
        self._known -= again
        self._health.count("duplicate_messages", again)
        self.next_sequence += len(frames) - again
        if again < len(frames):
            yield frames.after(again)

    def _control(self, control: SoupControl) -> None:
        if control.kind == wire.LOGIN_ACCEPTED and len(control.payload) == 30:
            self._accepted(control.payload)
        elif control.kind == wire.LOGIN_REJECTED:
            reason = REJECTIONS.get(control.payload[:1], "for an unknown reason: ask the venue")
            self.error = FeedError(f"login rejected ({control.payload!r}): {reason}")
            self.state = SoupState.REJECTED
        elif control.kind == wire.END_OF_SESSION:
            self.state = SoupState.ENDED
        elif control.kind == wire.UNSEQUENCED:
            self._health.count("soup_unsequenced_messages")
        else:
            raise WireError(
                f"packet {chr(control.kind)!r} of {len(control.payload)} bytes seen, which no"
                " server sends; check that the port is the venue's SoupBinTCP port"
            )

    def _accepted(self, payload: bytes) -> None:
        session = payload[:10].decode("ascii", "replace").strip()
        sequence = number(payload[10:])
        if self.next_sequence == 0:
            self.next_sequence = sequence
        # A venue may have lost what was asked for, or insist on sending more than that.
        if sequence > self.next_sequence:
            self._health.count("gaps")
            self._health.count("gap_messages", sequence - self.next_sequence)
            self.next_sequence = sequence
        self._known = self.next_sequence - sequence
        self.session = session
        self.state = SoupState.ACTIVE


def _login_payload(login: Login) -> bytes:
    parts = ((login.user, 6), (login.password, 10))
    for (text, width), name in zip(parts, ("user", "password"), strict=True):
        if len(text) > width or not text.isascii():
            raise FeedError(
                f"SoupBinTCP {name} of {len(text)} characters seen, at most {width} ASCII ones"
                " expected; check the feed's configuration"
            )
    text = f"{login.user:<6}{login.password:<10}{login.session:>10}{login.sequence:>20}"
    return text.encode("ascii")


class SoupServerSession:
    """The venue's side of one connection, for replays and tests.

    Take `requests()`: first the Login, to be answered with `accept` or `reject`, then the
    client's unsequenced messages. Send what `outgoing(now_ns)` gives.
    """

    def __init__(self, *, now_ns: int) -> None:
        self.logged_out = False
        self.next_sequence = 0
        self._receiver = SoupReceiver(data=wire.UNSEQUENCED)
        self._active = False
        self._seen_ns = now_ns
        self._sent_ns = now_ns
        self._outgoing: list[bytes] = []

    @property
    def heartbeats(self) -> int:
        """Client heartbeats seen so far."""
        return self._receiver.heartbeats

    def space(self) -> memoryview:
        """Give room for the client's next bytes."""
        return self._receiver.space()

    def filled(self, size: int, now_ns: int) -> None:
        """Tell how many bytes were put into `space`."""
        self._receiver.filled(size)
        self._seen_ns = now_ns

    def requests(self) -> Iterator[Login | SoupFrames]:
        """Yield what the client asks for; WireError if the bytes are not SoupBinTCP."""
        for item in self._receiver.packets():
            if isinstance(item, SoupFrames):
                yield item
            elif item.kind == wire.LOGIN_REQUEST and len(item.payload) == 46:
                yield _read_login(item.payload)
            elif item.kind == wire.LOGOUT:
                self.logged_out = True
            else:
                raise WireError(
                    f"packet {chr(item.kind)!r} of {len(item.payload)} bytes seen, which no"
                    " client sends; close the connection"
                )

    def accept(self, session: str, next_sequence: int) -> None:
        """Let the client in; `next_sequence` is the number of the first message it will get."""
        self.next_sequence = next_sequence
        self._active = True
        reply = f"{session:>10}{next_sequence:>20}".encode("ascii")
        self._outgoing.append(packet(wire.LOGIN_ACCEPTED, reply))

    def reject(self, reason: bytes) -> None:
        """Keep the client out: b"A" not authorised, b"S" no such session."""
        self._outgoing.append(packet(wire.LOGIN_REJECTED, reason))

    def send(self, message: bytes) -> None:
        """Queue one sequenced message."""
        self._outgoing.append(packet(wire.SEQUENCED, message))
        self.next_sequence += 1

    def end_session(self) -> None:
        """Tell the client that nothing more will come."""
        self._outgoing.append(packet(wire.END_OF_SESSION))

    def is_silent(self, now_ns: int) -> bool:
        """Tell whether the client has been silent for so long that it must be gone."""
        return now_ns - self._seen_ns > SILENCE_NS

    def outgoing(self, now_ns: int) -> bytes:
        """Give the bytes to send now."""
        if self._active and now_ns - self._sent_ns >= HEARTBEAT_NS:
            self._outgoing.append(packet(wire.SERVER_HEARTBEAT))
        sending = b"".join(self._outgoing)
        self._outgoing.clear()
        if sending:
            self._sent_ns = now_ns
        return sending


def _read_login(payload: bytes) -> Login:
    text = payload.decode("ascii", "replace")
    sequence = number(payload[26:46])
    return Login(text[:6].strip(), text[6:16].strip(), text[16:26].strip(), sequence)
