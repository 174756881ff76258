"""Values as bytes within q: -8! and -9!, the messages that peers exchange."""

import numpy as np

from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.registry import Interpreter, register
from tickloop.analytics.q.values import QType, Value, Vector
from tickloop.analytics.q.wire import from_wire, to_wire
from tickloop.core.errors import WireError
from tickloop.tickerplant.q_codec import MessageKind, encode, message, open_message

_BYTES_MAX = 1 << 31


@register("-8!", rank=1)
def serialise(value: Value) -> Value:
    """Give a value as the bytes of a message."""
    whole = message(MessageKind.ASYNC, encode(to_wire(value)))
    return Vector(QType.BYTE, np.frombuffer(bytearray(whole), dtype=np.uint8))


@register("-9!", rank=1, session=True)
def deserialise(session: Interpreter, value: Value) -> Value:
    """Read the value in a message's bytes; 'badmsg if they are none."""
    if not isinstance(value, Vector) or value.type is not QType.BYTE:
        raise type_error(
            "-9! of something that is no byte vector; bytes such as -8! gives expected"
        )
    try:
        _, found = open_message(value.data.tobytes(), size_max=_BYTES_MAX)
    except WireError as error:
        raise QError("badmsg", str(error)) from error
    return from_wire(found, lambda source, namespace: session.evaluate_text(source))
