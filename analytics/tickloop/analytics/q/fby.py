"""fby: an aggregate of each row's group, in every row."""

from collections.abc import Sequence

from tickloop.analytics.q.clause import Scope
from tickloop.analytics.q.codes import coded
from tickloop.analytics.q.errors import length_error, type_error
from tickloop.analytics.q.grouped import GroupedScope
from tickloop.analytics.q.groups import Groups
from tickloop.analytics.q.registry import Interpreter, register
from tickloop.analytics.q.values import List, Table, Value, count_of, is_list, items_of, symbol

_DATA = "x"


@register("fby", rank=2, operator=True, session=True)
def fby(session: Interpreter, left: Value, right: Value) -> Value:
    """Apply a function to the items of each group, and give the results where the items are."""
    parts = items_of(left)
    if not isinstance(left, List) or len(parts) != 2:
        raise type_error("fby needs (function;list) on its left")
    function, values = parts
    keys = _keys(right)
    if count_of(values) != count_of(right):
        raise length_error(count_of(values), count_of(right))
    scope = Scope(session, Table((_DATA,), (values,)))
    grouped = GroupedScope(scope, Groups.of_codes(coded(keys)))
    return grouped.rows_of(grouped.evaluate([List((function, symbol(_DATA)))])[0])


def _keys(right: Value) -> Sequence[Value]:
    if isinstance(right, Table):
        return right.columns
    if is_list(right):
        return [right]
    raise type_error("fby needs a list or a table to group by on its right")
