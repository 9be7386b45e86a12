"""Expressions against the process that evaluates them: no code is run, and time and memory are bounded.

Each is evaluated in a process of its own, with as much memory as it may take, so that what would end the function ends a
test instead.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 5.0  # of processor time; the estimate allows a fifth of it on an idle machine
_MIB = 400  # on top of what the imports take
# An XR of nearly the size that etcd takes, whose author chose every value in it.
_PROGRAM = """
import json, resource, sys, time
from function import cel
from function.api.errors import InvalidError
size = 1_000_000
data = {
    "text": "a" * size,
    "lines": [str(i) for i in range(9_000)],
    "numbers": list(range(9_000)),
    "fields": {f"k{i}": "v" * 50 for i in range(9_000)},
    "pattern": "(a?){500}" * 8,
}
scope = cel.Scope({"request": {"spec": data}, "promise": {}, "context": {}, "destinations": []})
used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = time.process_time()
try:
    value = cel.expression(sys.argv[1], "checks[0].expression", cel.GATE).evaluate(scope)
    said = {"gives": repr(value)[:200]}
except (InvalidError, cel.EvaluationError) as error:
    said = {"refused": str(error)}
said["seconds"] = time.process_time() - before
said["mib"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used) / 1024
print(json.dumps(said))
"""


def _evaluated(expression: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, expression],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"the process ended with {done.returncode}: {done.stderr[-400:]}"
    found: dict[str, object] = json.loads(done.stdout)
    return found


def _doubled(first: str) -> str:
    """Ten bindings, each twice the one before."""
    expression = "size(j) > 0"
    for this, before in ("ji", "ih", "hg", "gf", "fe", "ed", "dc", "cb", "ba"):
        expression = f"cel.bind({this}, {before} + {before}, {expression})"
    return f"cel.bind(a, {first}, {expression})"


GREEDY = {
    "loops in loops": "request.spec.numbers.all(a, request.spec.numbers.all(b, request.spec.numbers.all(c, true)))",
    "a list that is copied at each step": "request.spec.numbers.map(a, request.spec.numbers.map(b, b))",
    "a text that doubles": _doubled("request.spec.text"),
    "a list that doubles": _doubled("request.spec.numbers"),
    "a text in each item": "request.spec.numbers.map(a, request.spec.text).join('')",
    "every character replaced by all": "request.spec.text.replace('a', request.spec.text).size()",
    "a text between all characters": "request.spec.text.replace('', 'xxxxxxxxxxxxxxxxxxxx').size()",
    "a text cut into characters": "request.spec.text.split('').map(c, c + c).size()",
    "quotes of quotes": f"{'strings.quote(' * 12}request.spec.text{')' * 12}.size()",
    "base64 of base64": f"{'base64.encode(bytes(' * 12}request.spec.text{'))' * 12}.size()",
    "a text searched in itself": "request.spec.numbers.all(n, request.spec.text.contains(request.spec.text + 'b'))",
    "a regular expression that backtracks": "request.spec.text.matches('(a*)*b')",
    "a regular expression that is large": "request.spec.text.matches('((((a{0,30}){0,30}){0,30}){0,30})b')",
    "a regular expression in a loop": "request.spec.numbers.all(n, request.spec.text.matches('(.*a){12}b'))",
    "a regular expression of the author's": "request.spec.text.matches(request.spec.pattern)",
    "a text as its own regular expression": "request.spec.text.matches(request.spec.text)",
    "a format with a huge precision": "'%.2147483647f'.format([1.5])",
    "a format of everything": "'%s%s%s%s%s%s'.format([request, request, request, request, request, request])",
    "maps compared in a loop": "request.spec.numbers.all(n, request.spec.fields == request.spec.fields)",
    "a list searched in a loop": "request.spec.lines.all(a, request.spec.lines.exists(b, b == a + 'x'))",
    "keys sorted in a loop": "request.spec.fields.map(a, request.spec.fields.map(b, b)).size() > 0",
    "reversed in a loop": "request.spec.numbers.all(n, request.spec.text.reverse() != '')",
    "many at once": " && ".join(["request.spec.text.lowerAscii() != ''"] * 100),
    "a long list": f"[{', '.join(['request.spec.text'] * 200)}].map(x, x + x).size()",
    "macros that double": ".".join(["optional.of(1)", *["optMap(x, x)"] * 20]),
    "nesting": f"{'(' * 1000}1{')' * 1000}",
    "brackets": f"{'[' * 1000}1{']' * 1000}",
    "a chain of fields": f"request{'.a' * 2000}",
    "a chain of signs": f"{'-' * 2000}1",
    "a chain of conditions": f"{'true ? 1 : ' * 360}1",
    "a huge index": "request.spec.lines[9223372036854775807]",
    "a shift out of all bounds": "math.bitShiftLeft(1, 1000000)",
}


@pytest.mark.parametrize("name", GREEDY)
def test_no_expression_takes_much_time_or_memory(name: str) -> None:
    expression = GREEDY[name]
    assert len(expression) <= 4096, "a longer one is refused for its length"
    found = _evaluated(expression)
    assert found["seconds"] < _SECONDS, found  # type: ignore[operator]
    assert found["mib"] < _MIB, found  # type: ignore[operator]


# Each would be a way out of the language, into Python, the library or the machine.
WAYS_OUT = {
    "an attribute of Python": "request.__class__",
    "its classes": "request.spec.__class__.__mro__[1].__subclasses__()",
    "a builtin": "__import__('os').system('id')",
    "eval": "eval('1')",
    "open": "open('/etc/passwd')",
    "the environment": "os.environ",
    "this project's own function": "@keys(['b', 'a'])",
    "it, quoted": "`@keys`(['b', 'a'])",
    "its variables": "@r",
    "a message of protobuf": "google.protobuf.Any{type_url: 'x'}",
    "an extension of Kubernetes": "url('http://127.0.0.1').getHost()",
    "a file": "file('/etc/passwd')",
    "the clock": "now()",
    "a variable of gates on documents": "document.kind",
    "a variable that is none": "secrets.all",
    "a template in an expression": "${request}",
}


@pytest.mark.parametrize("name", WAYS_OUT)
def test_no_expression_runs_code(name: str) -> None:
    found = _evaluated(WAYS_OUT[name])
    assert "refused" in found, found
    assert "root:" not in str(found)
