"""Forms that public q scripts are written in run here: plant functions, trains, odd spellings."""

import pytest

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.session import Session


@pytest.fixture
def q() -> Session:
    return Session()


def lines(session: Session, *texts: str) -> str:
    return "".join(session.show(text) for text in texts)


def test_colons_behind_a_function_make_a_composition(q: Session) -> None:
    assert q.show("f:sum not any flip::;f (101b;001b)") == "0i\n"
    assert q.show("(count distinct::) each (`a`b`a;`c`c)") == "2 1\n"
    assert lines(q, "g:abs::", "g", "type g") == "abs::\n105h\n"
    assert q.show("show ::") == "show::\n"


def test_a_composition_hands_two_arguments_to_the_function_before_its_colons(q: Session) -> None:
    assert q.show("max((|[0]) (+)::)\\[0;3 -5 4]") == "4\n"


def test_colons_behind_a_variable_compose_functions_and_keep_values(q: Session) -> None:
    q.eval("sq:{x*x};x:1 2 3")
    assert q.show("h:1f-sq::;h 3") == "-8f\n"
    assert q.show("x ::") == "1 2 3\n"


def test_a_word_without_its_right_side_ends_a_composition(q: Session) -> None:
    q.eval("merge:`a xdesc upsert")
    assert q.show("exec a from merge[([]a:1 3);([]a:enlist 2)]") == "3 2 1\n"


def test_every_key_may_start_with_an_empty_list(q: Session) -> None:
    assert q.show("d:`a`b!();d[`a],:3;d") == "a| ,3\nb| ()\n"


def test_a_string_is_one_key_among_strings(q: Session) -> None:
    q.eval('d:("ab";"cd")!1 2;d["ef"]:3;d["ab"]:10')
    assert q.show("d") == '"ab"| 10\n"cd"| 2\n"ef"| 3\n'


def test_nothing_is_inserted_by_an_empty_list(q: Session) -> None:
    assert q.show("t:([]a:1 2);`t insert ()") == "`long$()\n"


def test_where_is_a_function_before_from(q: Session) -> None:
    q.eval("t:([]s:`a`b`a;x:1 2 3;b:101b)")
    assert q.show("exec i where b by s from t") == "a| 0 2\nb| `long$()\n"
    assert q.show("exec sum x where b from t") == "4\n"
    assert q.show("select a:x from select from t where b") == "a\n-\n1\n3\n"


def test_words_of_templates_may_name_columns_and_variables(q: Session) -> None:
    assert q.show("([]from:1 2;by:3 4)") == "from by\n-------\n1    3 \n2    4 \n"
    assert q.show("from:3;from+1") == "4\n"


def test_a_number_may_follow_the_parameters_of_a_function(q: Session) -> None:
    assert q.show('{[x]-1 "said";x}[3]') == "said\n3\n"
    assert q.show("{[y;p].5*y*y-:p}[3;1]") == "2f\n"
    assert q.show("{x}[3]-1") == "2\n"


def test_comments_of_commands_need_no_blank_behind_the_slash(q: Session) -> None:
    assert lines(q, "\\P 0  /all of them", "1%3") == "0.33333333333333331\n"


def test_rows_of_a_table_with_two_keys_are_foreign_keys(q: Session) -> None:
    q.eval("k:([sym:`A`B;ex:`N`Q]n:10 20)")
    q.eval("t:([]sym:`$();f:`k$())")
    assert q.show("`t insert (`B;`k$`B`Q)") == ",0\n"
    assert q.show("exec f.n from t") == ",20\n"
    with pytest.raises(QError, match=r"^cast"):
        q.eval("`k$`A`Q")


def test_an_empty_dictionary_enlisted_is_one_item(q: Session) -> None:
    assert q.show("count enlist (0#`)!0#0N") == "1\n"


def test_value_of_a_primitive_is_its_number(q: Session) -> None:
    assert q.show("value each (::;+;-;*;%)") == "0 1 2 3 4\n"
    assert q.show("value each (get;neg;count)") == "19 2 13\n"


def test_a_list_sent_to_handle_0_calls_without_evaluating_names(q: Session) -> None:
    q.eval("t:([]x:1 2);upd:{[n;r] n insert r;count value n}")
    assert q.show("0(`upd;`t;([]x:3 4))") == "4\n"


def test_a_number_behind_t_sets_the_timer(q: Session) -> None:
    assert lines(q, "\\t", "\\t 1000", 'system"t"') == "0i\n1000i\n"


PLANT = r"""
trade:([]time:`timespan$();sym:`symbol$();price:`float$())
\d .u
init:{w::t!(count t::tables`.)#()}
del:{w[x]_:w[x;;0]?y};.z.pc:{del[;x]each t};
sel:{$[`~y;x;select from x where sym in y]}
pub:{[t;x]{[t;x;w]if[count x:sel[x]w 1;(neg first w)(`upd;t;x)]}[t;x]each w t}
add:{$[(count w x)>i:w[x;;0]?.z.w;.[`.u.w;(x;i;1);union;y];w[x],:enlist(.z.w;y)];
 (x;$[99=type v:value x;sel[v]y;@[0#v;`sym;`g#]])}
sub:{if[x~`;:sub[;y]each t];if[not x in t;'x];del[x].z.w;add[x;y]}
\d .
upd:insert
.u.init[]
"""


def test_a_plant_publishes_to_its_own_session(q: Session) -> None:
    q.eval(PLANT)
    assert q.show(".u.sub[`trade;`a];.u.w") == "trade| 0i `a\n"
    q.eval(".u.pub[`trade;([]time:2#0D10;sym:`a`z;price:1 2f)]")
    assert q.show("exec sym from trade") == ",`a\n"
    assert q.show(".u.add[`trade;`b];.u.w") == "trade| 0i `a`b\n"
    with pytest.raises(QError, match=r"^nope"):
        q.eval(".u.sub[`nope;`]")
    assert q.show(".z.pc 0i;count .u.w`trade") == "0\n"


def test_rows_of_a_table_with_one_key_are_looked_up_one_at_a_time(q: Session) -> None:
    q.eval("k:([s:`a`b]v:1 2)")
    assert q.show("k`b") == "v| 2\n"
    assert q.show("k([]s:`b`a)") == "v\n-\n2\n1\n"
    with pytest.raises(QError, match=r"^length: a key of one column needed, 2 items seen"):
        q.eval("k`a`b")


def test_a_composition_takes_as_many_arguments_as_what_its_colons_follow(q: Session) -> None:
    q.eval("wf:{[w;x]sum each w group x};wm:max wf::;m:wm[1 1 1]")
    assert q.show("m`a`b`a") == "2\n"


def test_views_are_pending_until_they_are_read(q: Session) -> None:
    q.eval("a:1")
    q.eval("b::a+1")
    assert q.show("\\B") == ",`b\n"
    assert lines(q, "b", "\\B") == "2\n`symbol$()\n"
    assert lines(q, "a:2", "\\B") == ",`b\n"


def test_a_verb_of_files_stands_before_a_long_number(q: Session) -> None:
    assert q.show("(0:30;10:30)") == "00:30 10:30\n"
    assert q.show('type parse"f 0:100000#x"') == "0h\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("`a`b,`c", "`a`b`c"),
        ('"ab",""', '"ab"'),
        ("(0#0),1", ",1"),
        ("(`s#1 2),3", "1 2 3"),
        ("1 2,3f", "1\n2\n3f"),
        ("count(2#0Ng),first 1?0Ng", "3"),
    ],
)
def test_lists_are_joined_with_what_is_alike_and_what_is_not(
    q: Session, text: str, shown: str
) -> None:
    assert q.show(text) == f"{shown}\n"


def test_functional_queries_see_the_locals_of_their_function(q: Session) -> None:
    q.eval("t:([]s:`a`b`a;p:1 2 3;lim:0 0 0)")
    q.eval("f:{[v]u:10;?[t;enlist(>;`p;`v);0b;`p`q!(`p;(+;`p;`u))]}")
    assert q.show("f 1") == "p q \n----\n2 12\n3 13\n"
    assert q.show("{[d]exec z from![t;();0b;(enlist`z)!enlist(*;`d;`p)]}5") == "5 10 15\n"


def test_columns_hide_locals_and_locals_hide_globals(q: Session) -> None:
    q.eval("t:([]p:1 2 3;lim:0 0 0);v:100")
    assert q.show("{[lim]count?[t;enlist(>;`p;`lim);0b;()]}2") == "3\n"
    assert q.show("{[v]?[t;enlist(>;`p;`v);();`p]}2") == ",3\n"
    assert q.show("{[w]?[t;enlist(<;`p;`v);();`p]}2") == "1 2 3\n"


def test_a_table_is_pivoted_by_a_function(q: Session) -> None:
    q.eval("pivot:{[c;g;d;t]u:asc distinct t c;?[t;();g!g,:();({x#y!z};`u;c;d)]}")
    shown = q.show("pivot[`c;`a;`v;([]a:1 1 2;c:`x`y`x;v:1 2 3)]")
    assert shown == "a| x y\n-| ---\n1| 1 2\n2| 3  \n"


def test_handlers_make_no_namespace(q: Session) -> None:
    q.eval(".z.pg:value;.mine.x:1")
    assert q.show("`z in key`") == "0b\n"
    assert q.show("`mine in key`") == "1b\n"
