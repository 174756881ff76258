"""Answers to what q clients ask on connecting, before a person asked anything.

PyKX sends three requests: what kind of thing a name is, as a marker symbol; what names a
namespace holds; and whether SQL is loaded. They are q code, recognised by shape, never run.
"""

from collections.abc import Mapping

from tickloop.tickerplant.q_values import List, Value, boolean, name_of, symbol, symbols, text_of

CONTEXT_MARKER = "_pykx_ctx_marker"
FUNCTION_MARKER = "_pykx_fn_marker"
SQL_LOADED = "@[{2<count .s};(::);{0b}]"
# What the plant itself can be asked for, by namespace.
NAMESPACES: Mapping[str, tuple[str, ...]] = {
    ".q": ("cols", "count", "meta", "tables"),
    ".u": ("sub", "upd", "end", "i", "j", "L", "d"),
}
FUNCTIONS = frozenset({".u.sub", ".u.upd", ".u.end", ".q.cols", ".q.count", ".q.meta", ".q.tables"})


def answer_probe(request: Value) -> Value | None:
    """Answer a client's opening question, or None if the request is not one."""
    if text_of(request) == SQL_LOADED:
        return boolean(False)
    if not isinstance(request, List) or len(request.items) != 2:
        return None
    text, name = text_of(request.items[0]), name_of(request.items[1])
    if text is None or name is None:
        return None
    if text.startswith("k)") and CONTEXT_MARKER in text and FUNCTION_MARKER in text:
        return _kind_of(name)
    if text == "key" and name in NAMESPACES:
        return symbols(NAMESPACES[name])
    return None


def _kind_of(name: str) -> Value | None:
    if name in NAMESPACES:
        return symbol(CONTEXT_MARKER)
    return symbol(FUNCTION_MARKER) if name in FUNCTIONS else None
