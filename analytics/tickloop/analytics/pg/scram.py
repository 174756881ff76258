"""SCRAM-SHA-256: a password is proven without being sent, and is not kept as it is."""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import stringprep
import unicodedata
from dataclasses import dataclass

from tickloop.analytics.pg.failures import PgError, SqlState

MECHANISM = "SCRAM-SHA-256"
ITERATIONS = 4096
_SALT_BYTES = 16
_STORED = re.compile(r"SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)")
_FIRST = re.compile(r"(?P<gs2>[nyp](?:=[^,]*)?,(?:a=[^,]*)?,)(?P<bare>n=[^,]*,r=(?P<nonce>[!-+\--~]+)(?:,.*)?)")  # noqa: E501  # fmt: skip
_FINAL = re.compile(r"(?P<bare>c=(?P<binding>[A-Za-z0-9+/=]*),r=(?P<nonce>[!-+\--~]+)(?:,.*)?),p=(?P<proof>[A-Za-z0-9+/=]+)")  # noqa: E501  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verifier:
    """What is kept of a password: enough to check it, not enough to log in elsewhere."""

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes

    @classmethod
    def of_password(
        cls, password: str, *, salt: bytes | None = None, iterations: int = ITERATIONS
    ) -> "Verifier":
        """Derive from a password."""
        salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
        salted = hashlib.pbkdf2_hmac("sha256", prepared(password), salt, iterations)
        client = _hmac(salted, b"Client Key")
        return cls(salt, iterations, hashlib.sha256(client).digest(), _hmac(salted, b"Server Key"))

    @classmethod
    def of_text(cls, text: str) -> "Verifier":
        """Take a password, or what PostgreSQL keeps of one in pg_authid."""
        stored = _STORED.fullmatch(text)
        if stored is None:
            return cls.of_password(text)
        salt, stored_key, server_key = (base64.b64decode(stored[group]) for group in (2, 3, 4))
        return cls(salt, int(stored[1]), stored_key, server_key)

    def __str__(self) -> str:
        keys = [base64.b64encode(key).decode() for key in (self.stored_key, self.server_key)]
        salt = base64.b64encode(self.salt).decode()
        return f"{MECHANISM}${self.iterations}:{salt}${keys[0]}:{keys[1]}"


def prepared(password: str) -> bytes:
    """Bring a password to the one form that stands for all that look alike (SASLprep)."""
    if password.isascii():
        return password.encode()
    mapped = "".join(
        " " if stringprep.in_table_c12(c) else c for c in password if not stringprep.in_table_b1(c)
    )
    text = unicodedata.normalize("NFKC", mapped)
    # PostgreSQL takes a password that SASLprep forbids as it was typed.
    forbidden = (
        stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4,
        stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7,
        stringprep.in_table_c8, stringprep.in_table_c9,
    )  # fmt: skip
    if any(check(c) for c in text for check in forbidden):
        return password.encode()
    return text.encode()


def unknown_user(user: str, secret: bytes) -> Verifier:
    """Make up a verifier that nothing passes, the same one each time for a name.

    Whoever guesses at names cannot tell it from a real one.
    """
    salt = _hmac(secret, user.encode())[:_SALT_BYTES]
    return Verifier(salt, ITERATIONS, b"", b"")


class Exchange:
    """One login: two messages from the client, two answers."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier
        self._gs2 = b""
        self._first = ""
        self._challenge = ""
        self._nonce = ""

    def challenge(self, raw: bytes) -> bytes:
        """Answer the client's first message."""
        match = _FIRST.fullmatch(_decoded(raw))
        if match is None:
            raise _malformed("first")
        if match["gs2"].startswith("p"):
            raise PgError(
                SqlState.PROTOCOL_VIOLATION, "channel binding asked for, which was not offered"
            )
        self._gs2 = match["gs2"].encode()
        self._first = match["bare"]
        self._nonce = match["nonce"] + secrets.token_urlsafe(18)
        salt = base64.b64encode(self._verifier.salt).decode()
        self._challenge = f"r={self._nonce},s={salt},i={self._verifier.iterations}"
        return self._challenge.encode()

    def proof(self, raw: bytes) -> bytes | None:
        """Check the client's last message: the server's own proof, or None for a wrong password."""
        match = _FINAL.fullmatch(_decoded(raw))
        if match is None:
            raise _malformed("final")
        try:
            binding = base64.b64decode(match["binding"], validate=True)
            proof = base64.b64decode(match["proof"], validate=True)
        except binascii.Error as error:
            raise _malformed("final") from error
        if match["nonce"] != self._nonce or binding != self._gs2:
            raise _malformed("final")
        signed = f"{self._first},{self._challenge},{match['bare']}".encode()
        signature = _hmac(self._verifier.stored_key, signed)
        client = bytes(a ^ b for a, b in zip(proof, signature, strict=False))
        if not hmac.compare_digest(hashlib.sha256(client).digest(), self._verifier.stored_key):
            return None
        return b"v=" + base64.b64encode(_hmac(self._verifier.server_key, signed))


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise _malformed("first or final") from error


def _malformed(which: str) -> PgError:
    return PgError(SqlState.PROTOCOL_VIOLATION, f"malformed {MECHANISM} {which} message")
