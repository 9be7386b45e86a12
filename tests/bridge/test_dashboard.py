"""The Grafana dashboard asks for what function and bridge tell, and for nothing else: held against real scrapes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from test_bridge_main import SIZE, Bench, bench  # noqa: F401 - a fixture

from bridge.sync import kinds
from function import metrics, scrape

FILE = Path(__file__).parents[2] / "package/deploy/dashboards/kratix-crossplane.json"
DASHBOARD = json.loads(FILE.read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
# PromQL's own words, of those that are used; anything else is a metric or a label.
WORDS = {"sum", "max", "count", "rate", "increase", "histogram_quantile", "by"}
METRIC = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{([^}]*)\})?")
GROUPED = re.compile(r"\bby \(([^)]*)\)")
OF_PROMETHEUS = {"job", "instance"}  # which it adds to what it scrapes

Told = dict[str, set[str]]


def told(text: str) -> Told:
    """The labels of every metric in a scrape, as it is asked for."""
    found: Told = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def asked(expression: str) -> dict[str, set[str]]:
    """The labels that an expression matches, by metric."""
    rest = GROUPED.sub("", re.sub(r"\[[^]]*\]", "", expression))
    found = {}
    for name, matchers in METRIC.findall(rest):
        if name not in WORDS:
            found[name] = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
    return found


def grouped(expression: str) -> set[str]:
    return {label.strip() for labels in GROUPED.findall(expression) for label in labels.split(",")}


@pytest.fixture
def scraped(bench: Bench) -> tuple[Told, Told]:  # noqa: F811 - it is the fixture
    """What the function tells, and what the bridge tells that has published a Promise."""
    pages: list[str] = []

    def then() -> None:
        bench.until_said("leading")
        bench.register()
        bench.publish(**SIZE)
        bench.until("it is published", lambda: bench.cluster.there(kinds.COMPOSITION))
        bench.until("it is counted", lambda: 'state="published"} 1' in bench.page("/metrics")[1])
        pages.append(bench.page("/metrics")[1])

    bench.run(then)  # how it ends is another test's
    numbers = metrics.Numbers()
    numbers.calls["apiextensions.fn.proto.v1.FunctionRunnerService"] = metrics.Calls()
    return told(scrape.text(numbers).decode()), told(pages[0])


def test_every_metric_and_label_is_there(scraped: tuple[Told, Told]) -> None:
    for expression in EXPRESSIONS:
        (there,) = [
            each for variable, each in zip(("$function", "$bridge"), scraped, strict=True) if variable in expression
        ]
        found = asked(expression)
        assert found, expression
        labels: set[str] = set()
        for name, matched in found.items():
            assert name in there, f"{name} is in no scrape: {expression}"
            assert matched - OF_PROMETHEUS <= there[name], expression
            labels |= there[name]
        assert grouped(expression) - OF_PROMETHEUS <= labels, expression


def test_what_is_asked_for_is_read_from_an_expression() -> None:
    expression = 'histogram_quantile(0.9, sum by (le, a) (rate(b_bucket{c="d", e=~"$f"}[$__rate_interval]))) / count(g)'
    assert asked(expression) == {"b_bucket": {"c", "e"}, "g": set()}
    assert grouped(expression) == {"le", "a"}


def test_every_outcome_of_the_function_is_known() -> None:
    named = {outcome for expression in EXPRESSIONS for outcome in re.findall(r'outcome=~?"([^"]*)"', expression)}
    assert {outcome for several in named for outcome in several.split("|")} <= set(metrics.OUTCOMES)


def test_it_can_be_imported() -> None:
    identities = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(identities)) == len(identities)
    assert all(panel["description"] and panel["title"] for panel in PANELS)
    assert {target["datasource"]["uid"] for panel in PANELS for target in panel["targets"]} == {"${datasource}"}
    taken = [(p["gridPos"]["y"], p["gridPos"]["x"]) for p in DASHBOARD["panels"]]
    assert len(set(taken)) == len(taken), "no panel is on another"
    variables = {each["name"] for each in DASHBOARD["templating"]["list"]}
    used = {name for expression in EXPRESSIONS for name in re.findall(r"\$(?!__)(\w+)", expression)}
    assert used <= variables
    for each in DASHBOARD["templating"]["list"]:
        if each["type"] == "query":
            assert each["definition"].startswith("label_values(")
