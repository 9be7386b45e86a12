"""What is documented against what is there: fields, commands, metrics, conditions, the README's Composition and files."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import yaml
from prometheus_client.parser import text_string_to_metric_families

from bridge import cli, metrics, queue
from bridge.api.crossplanecluster import CrossplaneCluster
from bridge.watch import Health
from function import validate
from function.api import names
from function.api.histogram import Histogram
from function.api.input import PromiseInput, parse
from reference import DOCS, Generated, Models, commands

ROOT = DOCS.parent
PAGES = (
    Models(DOCS / "input.md", PromiseInput),
    Models(DOCS / "crossplanecluster.md", CrossplaneCluster),
)
MODELS = [(page, name) for page in PAGES for name in page.all]


@pytest.mark.parametrize(("page", "name"), MODELS, ids=[name for _, name in MODELS])
def test_every_field_is_in_the_reference(page: Models, name: str, update: bool):
    text = page.page.read_text(encoding="utf-8")
    section = re.search(rf"^### {name}$(.*?)(?=^##+ |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section, f"{page.page.name} has no section {name}"
    first = re.search(r"(^\|.*\n)+", section[1], re.MULTILINE)
    given = first[0].rstrip("\n") if first else ""
    wanted = page.table(name)
    if given != wanted and update:
        assert given, f"section {name} needs a table to update"
        page.page.write_text(text.replace(section[0], section[0].replace(given, wanted)), encoding="utf-8")
        given = wanted
    assert given == wanted, (
        f"the table of {name} in {page.page.name} is not what the model says (make update writes it)"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.page.stem)
def test_no_section_describes_a_model_that_is_gone(page: Models):
    sections = re.findall(r"^### (\w+)$", page.page.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(sections) == sorted(page.all), "each model has its section, and each section a model"


def held(part: Generated, wanted: str, *, update: bool) -> None:
    """Hold a part of a page to the code, or write it anew."""
    if update and part.read() != wanted:
        part.write(wanted)
    assert part.read() == wanted, f"{part.name} in {part.page.name} is not what the code says (make update writes it)"


def test_every_command_and_flag_is_in_the_reference(update: bool):
    programs = [("function-kratix",), *commands(typer.main.get_command(cli.app), ("kratix-crossplane",))]
    wanted = "\n".join(f"## {' '.join(path)}\n\n```text\n{help_of(path)}```\n" for path in programs)
    held(Generated(DOCS / "commands.md", "commands"), wanted, update=update)


def help_of(path: tuple[str, ...]) -> str:
    """What `--help` prints, in 100 columns."""
    done = subprocess.run(
        [Path(sys.executable).with_name(path[0]), *path[1:], "--help"],
        env={"COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=True,
    )
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.strip("\n").splitlines())


def test_every_metric_of_the_bridge_is_in_the_reference(update: bool):
    took = Histogram((1.0,))
    numbers = queue.Numbers(0, 0, 0, 0, 0, took, took, 0.0, 0.0)
    watch = Health(synced=True, contact=None, error="", alive=True, lists=1, streams=1)
    found = metrics.Metrics(
        metrics.Live(lambda: {"q": numbers}, lambda: {("c", "r"): watch}, lambda: {"c": True}, lambda: {"c": {"s": 1}})
    )
    found.reconciled("promise", "error", 0.1)
    found.under_way("promise", 1)
    found.requested("host", "GET", "200")
    found.leads("lease", leading=True)
    rows = ["| metric | type | labels | meaning |", "|---|---|---|---|", *sorted(metric_rows(found.text().decode()))]
    held(Generated(DOCS / "metrics.md", "bridge"), "\n".join(rows) + "\n", update=update)


def metric_rows(text: str) -> Iterator[str]:
    """A row for each metric in Prometheus' text format."""
    for family in text_string_to_metric_families(text):
        if family.name.startswith("process_"):  # every Prometheus client's own
            continue
        labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
        assert labels, f"{family.name} has no sample here, so its labels are not known"
        name = f"{family.name}_total" if family.type == "counter" else family.name
        yield f"| `{name}` | {family.type} | {', '.join(f'`{label}`' for label in labels)} | {family.documentation} |"


CONDITIONS = DOCS / "conditions.md"


def documented() -> set[tuple[str, str, str]]:
    """Condition, status and reason of each row; a condition that is not said again is that of the row before."""
    found, condition = set(), ""
    for row in re.findall(r"^\| (.*) \|$", CONDITIONS.read_text(encoding="utf-8"), re.MULTILINE)[1:]:
        cells = [cell.strip() for cell in row.split("|")]
        condition = cells[0] or condition
        found |= {
            (type_, status.strip(), reason.strip())
            for type_ in (names.CONDITIONS if condition == "any" else (condition,))
            for status in cells[1].split(",")
            for reason in cells[2].split(",")
        }
    return found


def test_every_condition_of_a_golden_case_is_in_the_reference():
    told = set()
    for path in sorted((ROOT / "tests/cases").glob("*.yaml")):
        for condition in yaml.safe_load(path.read_text(encoding="utf-8"))["response"].get("conditions", ()):
            status = condition["status"].rpartition("_")[2].capitalize()
            told.add((condition["type"], status, condition["reason"]))
    assert len(told) > len(names.CONDITIONS)
    assert told - documented() == set()


def test_every_reason_in_the_reference_is_one_of_the_code():
    sources = [path for path in (ROOT / "function").rglob("*.py") if "simulate" not in path.parts]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sources]
    texts = {node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert {reason for _, _, reason in documented()} - texts == set()


README = ROOT / "README.md"


def test_the_composition_in_the_readme_works():
    blocks = re.findall(r"^```yaml\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    compositions = [body for block in blocks for body in yaml.safe_load_all(block) if body["kind"] == "Composition"]
    assert compositions
    for composition in compositions:
        for step in composition["spec"]["pipeline"]:
            validate.plan(parse(step["input"]))


def test_files_in_the_readme_are_there():
    named = re.findall(r"`((?:function|bridge)/[^`]+)`", README.read_text(encoding="utf-8"))
    assert named
    assert [name for name in named if not (README.parent / name).exists()] == []
