"""Expressions and templates: values, errors, types, order."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from function import cel
from function.api.errors import InvalidError

ROOT = Path(__file__).resolve().parents[2]
REQUEST: dict[str, Any] = {
    "metadata": {"name": "orders", "labels": {"zone": "z", "team": "a", "app": "b"}},
    "spec": {
        "env": "prod",
        "size": 7,
        "ratio": 1.5,
        "on": True,
        "nothing": None,
        "ports": [{"port": 80}, {"port": 443}],
    },
    "secret": "hunter2",
}
SCOPE = cel.Scope({"request": REQUEST, "promise": {}, "context": {}, "destinations": []})


@dataclass(frozen=True)
class Case:
    reason: str
    source: str
    expected: Any


def evaluated(source: str, scope: cel.Scope = SCOPE) -> Any:
    return cel.expression(source, "here", cel.GATE).evaluate(scope)


VALUES: dict[str, Case] = {
    "field": Case("fields are read", "request.spec.env", "prod"),
    "null": Case("null is a value", "request.spec.nothing", None),
    "boolean": Case("a boolean stays one", "request.spec.on", True),
    "int": Case("a whole number is an int", "request.spec.size + 1", 8),
    "float": Case("a fraction stays one", "request.spec.ratio", 1.5),
    "mixed comparison": Case("int and double compare", "request.spec.size > 6.5 && request.spec.size == 7.0", True),
    "whole double": Case("JSON has one kind of number", "double(request.spec.size) * 2.0", 14),
    "unsigned": Case("JSON has one kind of number", "7u", 7),
    "large double": Case("beyond 2^53 a double is no exact whole number", "1e20", 1e20),
    "list": Case("lists are plain", "request.spec.ports.map(p, p.port)", [80, 443]),
    "map": Case("maps are plain", "{'a': [request.spec.size]}", {"a": [7]}),
    "optional field": Case("a missing field has a default", "request.?spec.?nope.orValue('x')", "x"),
    "optional index": Case("a label may not be there", "request.metadata.labels[?'a/b'].orValue('none')", "none"),
    "optional entry": Case("an entry may be left out", "{?'a': request.?nope, 'b': 1}", {"b": 1}),
    "has": Case("has tells", "has(request.spec.env) && !has(request.spec.nope)", True),
    "missing or true": Case("|| hides an error, as CEL says", "request.nope == 1 || true", True),
    "strings": Case("the strings extension", "'A,b'.lowerAscii().split(',').join('-')", "a-b"),
    "format": Case("the strings extension", "'%s has %d'.format(['x', 2])", "x has 2"),
    "math": Case("the math extension", "math.greatest(1, request.spec.size)", 7),
    "binding": Case("cel.bind names a value", "cel.bind(s, request.spec, s.env + string(s.size))", "prod7"),
    "base64": Case("the encoders extension", "base64.encode(bytes('ab'))", "YWI="),
    "regex": Case("RE2", "request.metadata.name.matches('^[a-z]+$')", True),
    "timestamp as text": Case("what JSON lacks can be made text", "string(timestamp('2024-01-02T00:00:00Z'))", "2024-01-02T00:00:00Z"),
    "keys": Case("a loop over a map goes by its sorted keys", "request.metadata.labels.map(k, k)", ["app", "team", "zone"]),
    "filtered keys": Case("so do all loops", "request.metadata.labels.filter(k, k != 'team')", ["app", "zone"]),
    "literal map": Case("so do maps that an expression makes", "{'b': 1, 'a': 2}.map(k, k)", ["a", "b"]),
    "keys of types": Case("keys of several types have an order too", "{'b': 1, 2: 1, true: 1}.map(k, string(k))", ["true", "2", "b"]),
    "optional inside a looped map": Case("the library dies if this reaches Python", "{'a': optional.none()}.map(k, k)", ["a"]),
    "loop in a loop": Case("inner ranges too", "[1].map(x, request.metadata.labels.map(k, k + string(x)))", [["app1", "team1", "zone1"]]),
    "loop over a loop": Case("ranges that are loops", "[3, 1].filter(x, x > 0).map(x, x * 2)", [6, 2]),
    "exists_one": Case("every macro", "request.metadata.labels.exists_one(k, k == 'app')", True),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_values(name: str) -> None:
    case = VALUES[name]
    found = evaluated(case.source)
    assert found == case.expected, case.reason
    assert type(found) is type(case.expected), case.reason


FAILURES: dict[str, Case] = {
    "missing key": Case("the key is named", "request.spec.nope", "no such key: nope"),
    "field of null": Case("null has no fields", "request.spec.nothing.x", "a field is read of a value that is not a map"),
    "index": Case("the index is named", "request.spec.ports[5]", "no such index: 5 of a list of 2"),
    "index type": Case("a list has no names", "request.spec.ports[dyn('a')]", "the index of a list must be an int, not string"),
    "operator": Case("operator and types", "request.spec.env + request.spec.size", "+ cannot be used on string and int"),
    "double and int": Case("the commonest surprise", "request.spec.ratio * 2", "* cannot be used on double and int"),
    "condition": Case("what ? needs", "request.spec.size ? 1 : 2", "the condition before ? is not a boolean"),
    "loop": Case("what a loop needs", "request.spec.size.all(x, true)", "a loop needs a list or a map"),
    "conversion": Case("types, not the value", "int(request.secret)", "cannot convert string to int"),
    "bool conversion": Case("types, not the value", "bool(request.secret)", "cannot convert string to bool"),
    "pattern": Case("not the pattern, which may be data", "'a'.matches(request.secret + '(')", "invalid regular expression"),
    "division": Case("as it is", "1 / 0", "divide by zero"),
    "place": Case("function and cause", "request.secret.substring(99)", "substring is given a place past the end of the text"),
    "no variable": Case("not all scopes have all variables", "context.a", "context cannot be used here"),
    "duplicate key": Case("raised, not returned, by the library", "{request.secret: 1, request.secret: 2}", "a map has the same key twice"),
    "bytes": Case("JSON has no bytes", "b'a'", "gives bytes, which JSON does not have; string() makes a text of it"),
    "duration": Case("JSON has no durations", "[duration('1s')]", "gives a duration, which JSON does not have; string() makes a text of it"),
    "type": Case("JSON has no types", "type(1)", "gives a type, which JSON does not have"),
    "optional": Case("JSON has no optionals", "request.?spec", "gives an optional value; .orValue() or .value() takes what is in it"),
    "optional inside": Case("the library's own conversion crashes", "{'a': [optional.none()]}", "gives an optional value; .orValue() or .value() takes what is in it"),
    "infinity": Case("JSON has no infinity", "double('inf')", "gives a number that JSON does not have (infinity or not-a-number)"),
    "key": Case("JSON has string keys", "{1: 2}", "gives a map with a key that is not a string"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILURES)
def test_failures_are_sentences_without_data(name: str) -> None:
    case = FAILURES[name]
    scope = cel.Scope({"request": REQUEST})
    with pytest.raises(cel.EvaluationError) as caught:
        evaluated(case.source, scope)
    assert str(caught.value) == case.expected, case.reason
    assert "hunter2" not in str(caught.value)


VARIABLES = "context, destinations, promise, request may be used"
MISTAKES: dict[str, Case] = {
    "end": Case("where it stops", "request.spec.size >", "cannot be compiled: syntax error at column 20: unexpected end"),
    "empty": Case("nothing is no expression", "", "cannot be compiled: syntax error at column 1: unexpected end"),
    "line": Case("expressions have lines", "true ||\n  1 2", "cannot be compiled: syntax error at line 2, column 5: unexpected '2'"),
    "variable": Case("what may be used", "requst.spec", f"cannot be compiled: undeclared reference to 'requst'; {VARIABLES}"),
    "other scope": Case("no document yet", "document.kind", f"cannot be compiled: undeclared reference to 'document'; {VARIABLES}"),
    "function": Case("a function is not a variable", "now()", "cannot be compiled: there is no function now"),
    "hidden function": Case("ours cannot be called", "@keys([1])", "cannot be compiled: syntax error at column 1: token recognition error"),
    "types": Case("operator and types", "'a' + 1", "cannot be compiled: + cannot be used on string and int (column 5)"),
    "map type": Case("types may have commas", "{1: 2}[1.0]", "cannot be compiled: [] cannot be used on map(int, int) and double (column 7)"),
    "fields": Case("a list has none", "[1].x", "cannot be compiled: list(int) has no fields (column 4)"),
    "looped": Case("a number cannot be", "1.all(x, true)", "cannot be compiled: int cannot be looped over (column 1)"),
    "surrogate": Case("no text", "'\ud800'", "cannot be compiled: it is not Unicode text"),
    "depth": Case("the parser's bound", "(" * 40 + "1" + ")" * 40, "cannot be compiled: it is nested deeper than 32 levels"),
    "selects": Case("the parser's bound", "request" + ".a" * 40, "cannot be compiled: it is nested deeper than 32 levels"),
    "loops": Case("protobuf's bound", "[1].all(x, " * 26 + "true" + ")" * 26, "cannot be compiled: it is nested deeper than 32 levels"),
    "length": Case("its own bound", "'" + "a" * 4095 + "'", "is an expression of 4097 characters; at most 4096 are allowed"),
    "doubling": Case("each doubles the whole", "optional.of(1)" + ".optMap(x, x)" * 20, "cannot be compiled: uses optMap and optFlatMap 20 times; at most 4 are allowed"),
    "complexity": Case("takes long to compile", "optional.of([" + ",".join("1" * 1900) + "])" + ".optMap(x, x)" * 4, "cannot be compiled: it is too complex"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_sentence_with_the_path(name: str) -> None:
    case = MISTAKES[name]
    for path in ("checks[0].expression", "documents[1].when"):
        with pytest.raises(InvalidError) as caught:
            cel.expression(case.source, path, cel.GATE)
        assert (caught.value.path, caught.value.cause) == (path, case.expected), case.reason


MENTIONS: dict[str, Case] = {
    "one": Case("what is read", "request.spec.env == 'destinations'", {"request"}),
    "none": Case("a constant reads nothing", "1 + 1", set()),
    "field": Case("a field of that name is no variable", "request.destinations", {"request"}),
    "several": Case("all that are read", "destinations.exists(d, d.name == context.x.y) || promise.a", {"destinations", "context", "promise"}),
    "leading dot": Case("the root scope", ".request.spec", {"request"}),
}  # fmt: skip


@pytest.mark.parametrize("name", MENTIONS)
def test_mentions(name: str) -> None:
    case = MENTIONS[name]
    assert cel.expression(case.source, "here", cel.GATE).mentions == case.expected, case.reason
    assert cel.mentions({"a": ["x", f"y ${{{case.source}}}"]}, cel.GATE) == case.expected, case.reason


def test_only_a_boolean_is_true() -> None:
    assert cel.expression("request.spec.on", "here", cel.GATE).is_true(SCOPE) is True
    for source, kind in {
        "request.secret": "a string",
        "request.spec": "a map",
        "1": "a number",
        "null": "null",
        "[1]": "a list",
    }.items():
        with pytest.raises(cel.EvaluationError, match=f"^gives {kind}, not a boolean$"):
            cel.expression(source, "here", cel.GATE).is_true(SCOPE)


def test_extending_a_scope_changes_neither_it_nor_its_values() -> None:
    before = copy.deepcopy(REQUEST)
    inner = SCOPE.extend(document={"kind": "A"})
    both = cel.expression("document.kind + request.metadata.name", "here", cel.DOCUMENT)
    assert both.evaluate(inner) == "Aorders"
    assert both.evaluate(inner.extend(document={"kind": "B"})) == "Borders"
    with pytest.raises(cel.EvaluationError, match="document cannot be used here"):
        both.evaluate(SCOPE)
    assert before == REQUEST


def test_what_is_not_mentioned_is_never_read() -> None:
    scope = cel.Scope({"request": REQUEST, "destinations": object()})
    assert evaluated("request.spec.size", scope) == 7


def test_the_order_of_maps_is_the_same_in_every_process() -> None:
    # The library seeds its maps anew in each process, whatever PYTHONHASHSEED says.
    program = (
        "from function import cel; m = {f'k{i}': {'v': i} for i in range(40)}; s = cel.Scope({'request': m});"
        "print(cel.fill({'a': '${request.map(k, request[k].v)}', 'b': '${request}', 'c': '${\"%s\".format([request])}'},"
        " s, 'p', cel.REQUEST));"
        "\ntry: cel.fill('${request.all(k, request[k][k])}', s, 'p', cel.REQUEST)\nexcept Exception as e: print(e)"
    )
    found = {
        subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for _ in range(3)
    }
    assert len(found) == 1
    assert "no such key: k0" in found.pop()


TEMPLATES: dict[str, Case] = {
    "none": Case("text stays", "plain $ {text} $x", "plain $ {text} $x"),
    "typed": Case("one ${} keeps its type", "${request.spec.size}", 7),
    "typed null": Case("one ${} keeps its type", "${request.spec.nothing}", None),
    "typed map": Case("one ${} keeps its type", "${request.metadata.labels}", {"app": "b", "team": "a", "zone": "z"}),
    "spaces inside": Case("spaces in the braces are no text", "${ request.spec.size }", 7),
    "spaces outside": Case("spaces around are text", " ${request.spec.size}", " 7"),
    "text": Case("others become text", "${request.spec.env}-${request.spec.size}${request.spec.on}", "prod-7true"),
    "fraction": Case("as JSON writes it", "${request.spec.ratio}x", "1.5x"),
    "whole": Case("no trailing .0", "${double(request.spec.size)}x", "7x"),
    "escaped": Case("$${ stands for ${", "$${request} ${request.spec.env}", "${request} prod"),
    "escaped only": Case("a shell's variable", "echo $${HOME}", "echo ${HOME}"),
    "map literal": Case("braces nest", "${{'a': {'b': 1}}}", {"a": {"b": 1}}),
    "brace in a string": Case("strings may hold braces", "${'}' + \"{\"}", "}{"),
    "quote in a string": Case("strings may hold quotes", "${'\\'}' + \"\\\"}\"}", "'}\"}"),
    "raw string": Case("a raw string knows no escape", "${r'a\\n}' + '}'}", "a\\n}}"),
    "raw bytes": Case("in either order", "${string(bR'}')}", "}"),
    "triple": Case("a triple-quoted string holds quotes", "${'''}'\"''' + \"\"\"}'\"\"\"}", "}'\"}'"),
    "triple lines": Case("and lines", "${'''a\n}'''}", "a\n}"),
    "raw triple": Case("raw ones too", "${r'''\\}'''}", "\\}"),
    "comment": Case("a comment may hold a brace", "${1 // }\n + 1}", 2),
    "url": Case("two slashes in a string are no comment", "${'http://x'}/y", "http://x/y"),
    "dollar": Case("a dollar before", "$ ${1} $", "$ 1 $"),
    "template in a result": Case("results are not templates", "${'$' + '{request}'}", "${request}"),
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates(name: str) -> None:
    case = TEMPLATES[name]
    given_value = {"a": [case.source, 1, None], "${b}": case.source}
    before = copy.deepcopy(given_value)
    cel.verify(given_value, "doc", cel.GATE)
    assert cel.fill(given_value, SCOPE, "doc", cel.GATE) == {"a": [case.expected, 1, None], "${b}": case.expected}, (
        case.reason
    )
    assert given_value == before, "the template is not changed"
    if isinstance(case.expected, str | int | bool):
        assert cel.text(case.source, SCOPE, "doc", cel.GATE) == str(case.expected), case.reason


@dataclass(frozen=True)
class Bad:
    reason: str
    value: Any
    message: str


BAD: dict[str, Bad] = {
    "unterminated": Bad("a brace is missing", {"a": ["x ${request"]}, "doc.a[0]: '${request' has no closing brace; $${ stands for the characters ${"),
    "in a string": Bad("a quote is missing", "${'a}", "doc: cannot be compiled: syntax error at column 1: token recognition error"),
    "too long": Bad("bounded", "${" + "a" * 5000 + "}", "doc: '${" + "a" * 57 + "…' has no closing brace within 4096 characters; $${ stands for the characters ${"),
    "not compiled": Bad("the string's path", {"spec": {"x": "${1 +}"}}, "doc.spec.x: cannot be compiled: syntax error at column 4: unexpected end"),
    "odd key": Bad("a label's key has dots of its own", {"labels": {"a.b/c": "${nope}"}}, f"doc.labels[a.b/c]: cannot be compiled: undeclared reference to 'nope'; {VARIABLES}"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_templates_are_found_before_they_are_filled(name: str) -> None:
    bad = BAD[name]
    for call in (lambda: cel.verify(bad.value, "doc", cel.GATE), lambda: cel.fill(bad.value, SCOPE, "doc", cel.GATE)):
        with pytest.raises(InvalidError) as caught:
            call()
        assert str(caught.value) == bad.message, bad.reason


UNFILLED: dict[str, Bad] = {
    "missing": Bad("where and why", {"a": {"b": "${request.nope}"}}, "doc.a.b: cannot be evaluated: no such key: nope"),
    "list in text": Bad(
        "a list is no text", ["x ${[1]}"], "doc[0]: cannot be evaluated: ${[1]} gives a list, not a text"
    ),
    "null in text": Bad("null is no text", "x ${null}", "doc: cannot be evaluated: ${null} gives null, not a text"),
    "first": Bad(
        "by key, whatever their order",
        {"b": "${request.y}", "a": "${request.x}"},
        "doc.a: cannot be evaluated: no such key: x",
    ),
}


@pytest.mark.parametrize("name", UNFILLED)
def test_what_cannot_be_filled_says_where(name: str) -> None:
    bad = UNFILLED[name]
    cel.verify(bad.value, "doc", cel.GATE)
    with pytest.raises(InvalidError) as caught:
        cel.fill(bad.value, SCOPE, "doc", cel.GATE)
    assert str(caught.value) == bad.message, bad.reason


def test_text_is_a_string_always() -> None:
    assert cel.text("plain", SCOPE, "doc", cel.GATE) == "plain"
    assert cel.text("${request.spec.on}", SCOPE, "doc", cel.GATE) == "true"
    with pytest.raises(InvalidError, match="gives a map, not a text"):
        cel.text("${request.spec}", SCOPE, "doc", cel.GATE)


def test_depth_is_bounded() -> None:
    value: Any = "x"
    for i in range(65):
        value = {"a": value} if i % 2 else [value]
    for call in (lambda: cel.verify(value, "doc", cel.GATE), lambda: cel.fill(value, SCOPE, "doc", cel.GATE)):
        with pytest.raises(InvalidError, match="is nested deeper than 64 levels"):
            call()
    cel.verify(value[0], "doc", cel.GATE)


# Without NUL, which the library takes for the end of a string; what is read never holds one (function/structs.py).
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_any_json_value_comes_back_as_it_was(value: Any) -> None:
    found = cel.fill("${request}", cel.Scope({"request": value}), "doc", cel.REQUEST)
    assert found == value
    assert json.loads(json.dumps(found)) == value


@given(TEXT, TEXT)
def test_any_string_can_stand_in_a_template(before: str, inside: str) -> None:
    literal = "'" + "".join(f"\\U{ord(c):08x}" if c in "'\\\n\r" else c for c in inside) + "'"
    escaped = before.replace("${", "$${")
    if escaped.endswith("$"):
        escaped += " "
    assert cel.text(f"{escaped}${{{literal}}}", SCOPE, "doc", cel.GATE) == escaped.replace("$${", "${") + inside


@given(st.text("${}'\"ab \\/rR`\n", max_size=40))
def test_any_text_is_a_template_or_a_sentence(text: str) -> None:
    try:
        cel.verify(text, "doc", cel.GATE)
        cel.fill(text, SCOPE, "doc", cel.GATE)
    except InvalidError as error:
        assert str(error).startswith("doc: "), error
        assert len(str(error)) < 400
