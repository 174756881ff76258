"""The language itself: order, application, assignment, control, functions, names."""

import pytest

from tests.q_lines import refused, typed
from tickloop.analytics.q.parser import parse
from tickloop.analytics.q.syntax import Template

ANSWERS = [
    # Right to left, no precedence.
    ("7*2+4", "42"),
    ("2*3+4", "14"),
    ("(2*3)+4", "10"),
    ("neg 3+4", "-7"),
    ("3-2-1", "2"),
    ("(x+5;x:20;x-5)", "25 20 5"),
    # Application: brackets, juxtaposition, verbs.
    ("+[2;3]", "5"),
    ("til[3]", "0 1 2"),
    ("count each(1 2;3)", "2 1"),
    ("{x+y}[1;2]", "3"),
    ("{x+y}[1]2", "3"),
    ("{x+y}[;1]2", "3"),
    ("f[1;;3]2", "6"),
    ("f[;2;][1;3]", "6"),
    ("f . 1 2 3", "6"),
    ("f[1]. 2 3", "6"),
    ("`f[1;2;3]", "6"),
    ("`f . 1 2 3", "6"),
    ("{x}@5", "5"),
    ("2 rotate til 5", "2 3 4 0 1"),
    ("(+)over 1 2 3", "6"),
    ("(neg)1 2", "-1 -2"),
    ("($)42", '"42"'),
    ("#:[1 2 3]", "3"),
    # Projections and compositions.
    ("(2*)5", "10"),
    ("(2*)each 1 2", "2 4"),
    ("(neg abs@)3", "-3"),
    ("(105>sum@)84 20", "1b"),
    ("'[neg;+][1;2]", "-3"),
    ("(('[;])over(neg;abs;+))[1;-5]", "-4"),
    ("(1;;3)2", "1 2 3"),
    ("-[;1]5", "4"),
    # Indexing.
    ("m[1;2]", "6"),
    ("m[1]", "4 5 6"),
    ("m[;1]", "2 5"),
    ("m[0 1;1 2]", "2 3\n5 6"),
    ("m . 0 1", "2"),
    ("m 0", "1 2 3"),
    ("m[0]1", "2"),
    ("(til 5)99", "0N"),
    ("1 2 3(0 1;2)", "1 2\n3"),
    ('"abcdef"1 0 3', '"bad"'),
    ("d`b", "2"),
    ("d`a`zz", "1 0N"),
    ("d.b", "2"),
    ("t`a", "1 2"),
    ("t[1;`b]", "`y"),
    ("t[;`a]", "1 2"),
    ("t 1", "a| 2\nb| `y"),
    ("t 1 0", "a b\n---\n2 y\n1 x"),
    ("t.a", "1 2"),
    ("k`two", "v| 2"),
    ("k[`two;`v]", "2"),
    ("5[]", "5"),
    # Conditions and loops.
    ("$[1b;`yes;`no]", "`yes"),
    ("$[0;1;0;2;3]", "3"),
    ("i:0;while[i<5;i+:2];i", "6"),
    ("i:0;do[3;i+:1];i", "3"),
    ("i:0;if[1;i:5;i+:1];i", "6"),
    ("{if[x<0;:`neg];`pos}each -1 1", "`neg`pos"),
    ("$[1;[a:1;a+1];0]", "2"),
    # Functions.
    ("{x*x}each 1 2 3", "1 4 9"),
    ("{[a;b]a-b}[5;3]", "2"),
    ("{z}[1;2;3]", "3"),
    ("{[]7}[]", "7"),
    ("{7}[]", "7"),
    ("{a:x;b:a+1;a*b}3", "12"),
    ("{:x;5}3", "3"),
    ("{$[x<2;x;.z.s[x-1]+.z.s x-2]}10", "55"),
    ("{x}", "{x}"),
    ("{[(a;b);c]a+b*c}[1 2;3]", "7"),
    ("g:{x+1};h:{g[x]*2};h 3", "8"),
    ("{v:99;v}[],v:1", "99 1"),
    # Lists, tables and dictionaries written out.
    ("(1;2;3)", "1 2 3"),
    ("(1;`a)", "1\n`a"),
    ("()", "()"),
    ("count()", "0"),
    ("([]a:1 2;b:`x`y)", "a b\n---\n1 x\n2 y"),
    ("([]a:1 2;b:0)", "a b\n---\n1 0\n2 0"),
    ("([q:1 2]b:3 4)", "q| b\n-| -\n1| 3\n2| 4"),
    ("([]0 1)", "x\n-\n0\n1"),
    ("a:1 2;([]a;a)", "a a1\n----\n1 1\n2 2"),
    ("([a:1;b:`x])", "a| 1\nb| `x"),
    # Traps and signals.
    ("@[{1+`a};1;{x}]", '"type"'),
    ("@[{'`bad};1;`caught]", "`caught"),
    (".[{x+y};(1;`a);{\"E:\",x}]", '"E:type"'),
    (".[+;1 2;`no]", "3"),
    ("@[value;\"1+\";{`bad}]1", "2"),
    ("@[{'x};\"boom\";{x}]", '"boom"'),
    # Text and trees.
    ('value"1+2"', "3"),
    ("value(`f;1;2;3)", "6"),
    ('value("{x+y}";1;2)', "3"),
    ("eval(+;1;(*;2;3))", "7"),
    ("eval enlist`d", "`d"),
    ('eval parse"2+3*4"', "14"),
    ('eval parse"select a from t where b=`y"', "a\n-\n2"),
    ('eval parse"$[0;1;2]"', "2"),
    ('eval parse"1 2 3+/:5 7"', "6 7 8\n8 9 10"),
    ('eval parse"if[1;w:5]";w', "5"),
    ('eval parse"m[0;0]:9";m', "9 2 3\n4 5 6"),
    ('eval parse"n:4;n*2"', "8"),
    ('eval parse"([]c:1 2)"', "c\n-\n1\n2"),
    ('reval parse"1+1"', "2"),
    ("-6!(+;1;2)", "3"),
    ("value[{[a]b:a+g;b*h}]1", ",`a"),
    ("value[{[a]b:a+g;b*h}]2", ",`b"),
    ("value[{[a]b:a+g;b*h}]3", "``g`h"),
    ("last value{x+y}", '"{x+y}"'),
    ("value(2*)", "*\n2"),
    # Assignment.
    ("a:b:3;a,b", "3 3"),
    ("3+a:4", "7"),
    ("a:1;a+:2;a", "3"),
    ("a:1;1+a+:2", "4"),
    ("a:1 2 3;a[1]:9;a", "1 9 3"),
    ("a:1 2 3;a[0 2]+:10;a", "11 2 13"),
    ("a:1 2 3;a[0 0]+:10;a", "21 2 3"),
    ("a:1 2 3;a[0 2]:7 8;a", "7 2 8"),
    ("a:(1 2;3 4);a[1;0]:9;a", "1 2\n9 4"),
    ("a:(1 2;3 4);a[;0]:8 9;a", "8 2\n9 4"),
    ("a:(1 2;3 4);a[1]:`x;a", "1 2\n`x"),
    ("a:(1;`a;3);a[1]:2;a", "1 2 3"),
    ("a:1 2;(a[0]):5;a", "5 2"),
    ("(a;b):1 2;a-b", "-1"),
    ("(a;(b;c)):(1;2 3);a+b+c", "6"),
    ("(a;;c):1 2 3;c", "3"),
    ("d[`c]:3;d", "a| 1\nb| 2\nc| 3"),
    ("d[`a`c]:10 30;d", "a| 10\nb| 2\nc| 30"),
    ("d[`a]+:5;d", "a| 6\nb| 2"),
    ("d.c:9;d`c", "9"),
    ("t[0;`a]:7;t", "a b\n---\n7 x\n2 y"),
    ("t[`a]:5 6;t", "a b\n---\n5 x\n6 y"),
    ("t[`c]:5 6;t", "a b c\n-----\n1 x 5\n2 y 6"),
    ("t[1]:`a`b!(9;`z);t", "a b\n---\n1 x\n9 z"),
    ("k[`one;`v]:9;k", "n  | v\n---| -\none| 9\ntwo| 2"),
    ("k[`six]:6;k", "n  | v\n---| -\none| 1\ntwo| 2\nsix| 6"),
    ("l:();l,:1;l,:2;l", "1 2"),
    ("unknown,:5;unknown", ",5"),
    ("{gl::x}5;gl", "5"),
    ("{a:1;a::2;a}[]", "2"),
    ("s:\"abc\";s[1]:\"X\";s", '"aXc"'),
    # Functional amend.
    ("@[1 2 3;1;:;9]", "1 9 3"),
    ("@[1 2 3;0 2;+;10 20]", "11 2 23"),
    ("@[1 2 3;0 0;+;1]", "3 2 3"),
    ("@[1 2 3;1;neg]", "1 -2 3"),
    ("@[1 2 3;::;neg]", "-1 -2 -3"),
    ("@[d;`a;+;1]", "a| 2\nb| 2"),
    (".[m;(0;1);:;9]", "1 9 3\n4 5 6"),
    (".[m;(::;1);neg]", "1 -2 3\n4 -5 6"),
    (".[m;(0 1;1 2);+;10]", "1 12 13\n4 15 16"),
    (".[1 2;();,;3]", "1 2 3"),
    ("@[`m;0;:;7 8 9];m", "7 8 9\n4 5 6"),
    ("@[`m;0;neg]", "`m"),
    (".[`d;();,;(enlist`z)!enlist 5];d", "a| 1\nb| 2\nz| 5"),
    ("@[t;`a;2*]", "a b\n---\n2 x\n4 y"),
    (".[t;(1;`a);:;9]", "a b\n---\n1 x\n9 y"),
]  # fmt: skip
SETUP = (
    "x:10",
    "f:{[a;b;c]a+b+c}",
    "m:(1 2 3;4 5 6)",
    "d:`a`b!1 2",
    "t:([]a:1 2;b:`x`y)",
    "k:([n:`one`two]v:1 2)",
)


@pytest.mark.parametrize(("text", "shown"), ANSWERS)
def test_a_line_prints_what_the_language_says(text: str, shown: str) -> None:
    assert typed(*SETUP, text) == shown


REFUSALS = [
    ("foo", "foo", 0),
    ("1+foo", "foo", 2),
    ("1+`a", "type", 1),
    ("1 2+1 2 3", "length", 3),
    ("{x+y}[1;2;3]", "rank", 0),
    ("'`bad", "bad", 0),
    ('\'"oops"', "oops", 0),
    ("'5", "stype", 0),
    ("(1;2", "parse", 4),
    ("1+2)", ")", 3),
    ("f[1;2", "parse", 5),
    ("select from", "parse", 11),
    ("select a t", "parse", 10),
    ("if", "parse", 2),
    ("if[]", "if", 0),
    ("{[a;a]a}[1;2]", "params", 1),
    ("{[1+2]x}1", "params", 1),
    ("-x", "-", 0),
    ("a:1 2;a[5]:1", "length", 10),
    ("a:1 2;a[0]:`b", "type", 10),
    ("(a;b):1 2 3", "length", 0),
    ("([]a:1 2;b:1 2 3)", "length", 0),
    ("count:5", "assign", 5),
    ("$[`a;1;2]", "type", 0),
    ("while[`a;1]", "type", 0),
    ("m[0;0;0]", "rank", 0),
    ("x -1", "type", 0),
    ("\x01", "char", 0),
    ("{x", "parse", 2),
]


@pytest.mark.parametrize(("text", "name", "position"), REFUSALS)
def test_a_mistake_is_named_placed_and_explained(text: str, name: str, position: int) -> None:
    error = refused(*SETUP, text)
    assert error.name == name
    assert error.frames[-1] == (text, position)


def test_an_error_tells_of_every_function_that_it_came_through() -> None:
    error = refused("inner:{1+x+`a}", "outer:{2*inner x}", "3,outer 1")
    frames = [("inner:{1+x+`a}", 10), ("outer:{2*inner x}", 9), ("3,outer 1", 2)]
    assert error.frames == frames


def test_a_signal_belongs_to_the_line_that_called() -> None:
    error = refused("f:{'`bad}", "1+f[]")
    assert (error.name, error.frames) == ("bad", [("1+f[]", 2)])


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("1+2", "+\n1\n2"),
        ("f[]", "`f\n::"),
        ("f x", "`f`x"),
        ("`a", ",`a"),
        ("x+/y", "(/;+)\n`x\n`y"),
        ("(1;`a)", "enlist\n1\n,`a"),
        ("a:5", ":\n`a\n5"),
        ("a[1]+:5", "+:\n(`a;1)\n5"),
        ("a;b", '";"\n`a\n`b'),
        ("select from t", "?\n`t\n()\n0b\n()"),
        ("select a from t where b,c", "?\n`t\n,`b`c\n0b\n(,`a)!,`a"),
        ("select by a from t", "?\n`t\n()\n(,`a)!,`a\n()"),
        ("exec a from t", "?\n`t\n()\n()\n,`a"),
        ("update b:1 from `t", "!\n,`t\n()\n0b\n(,`b)!,1"),
        ("delete a from t", "!\n`t\n()\n0b\n,,`a"),
        ("select[5;>a]b from t", "?\n`t\n()\n0b\n(,`b)!,`b\n5\n,(>:;`a)"),
    ],
)
def test_text_has_a_parse_tree(text: str, tree: str) -> None:
    assert typed(f'parse"{text}"') == tree


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        ("a", "a"),
        ("a+b", "a"),
        ("2*a", "x"),
        ("sum a", "a"),
        ("b wavg a", "a"),
        ("5 xbar a", "a"),
        ("a,b,a", "a b a1"),
        ("2,3", "x x1"),
        ("count i", "x"),
        ("v:a", "v"),
        ("(a+b)*2", "a"),
        ("neg sum a", "a"),
        ("m.minute", "minute"),
    ],
)
def test_columns_without_a_name_are_named_by_their_expression(columns: str, names: str) -> None:
    node = parse(f"select {columns} from t").statements[0]
    assert isinstance(node, Template)
    assert node.columns is not None
    assert " ".join(name for name, _ in node.columns) == names


def test_locals_are_seen_in_templates_after_columns() -> None:
    setup = ("t:([]a:1 2 3)", "n:100")
    assert typed(*setup, "{[v]exec a from t where a>v}1") == "2 3"
    assert typed(*setup, "{[a]exec a from t where a>1}99") == "2 3"
    assert typed(*setup, "{n:2;exec a+n from t}[]") == "3 4 5"
    assert typed(*setup, "{[c]exec a from t where a in c}1 3") == "1 3"
    assert typed("{[v]exec s from([]s:`x`y)where s=v}`y") == ",`y"


def test_a_function_sees_its_own_locals_only() -> None:
    assert typed("a:5", "{a:1;{a}[]}[]") == "5"


def test_assigning_through_a_verb_or_an_index_makes_no_local() -> None:
    lines = ("j:1; w:`a`b!1 2; r:()", "{j+:x; w[`a]+:x; w[`c]:x; r,:x} each 1 2;", "(j;w;r)")
    assert typed(*lines) == "4\n`a`b`c!4 2 2\n1 2"
    assert typed("{i:0; i+:x; i} 5") == "5"


def test_a_function_within_a_named_one_is_told_by_its_owner() -> None:
    assert refused("f:{{x+y}[x;`a]}", "f 1").frames[0] == ("f@:{x+y}", 5)
    assert refused("{x+`a} 1").frames[0] == ("{x+`a}", 2)


def test_a_verb_without_a_right_side_composes() -> None:
    assert typed("type(0|+)") == "105h"
    assert typed("0 (0|+)\\1 2 -10 5") == "1 3 0 5"
