"""What is documented against what is there: every field of the input, the README's Composition, files and links."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from function import validate
from function.api.input import PromiseInput, parse

REFERENCE = Path(__file__).parent.parent / "docs" / "input.md"
SCHEMA = PromiseInput.model_json_schema(by_alias=True)
MODELS: dict[str, Any] = {"PromiseInput": {k: v for k, v in SCHEMA.items() if k != "$defs"}, **SCHEMA["$defs"]}


def _type(field: dict[str, Any]) -> str:
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in field:
        return " or ".join(_type(option) for option in field["anyOf"] if option.get("type") != "null")
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}{_limit(field, 'maxItems')}"
    if field.get("type") == "object":
        return "map of strings" if field.get("additionalProperties") == {"type": "string"} else "object"
    return f"{field['type']}{_limit(field, 'maxLength')}"


def _limit(field: dict[str, Any], keyword: str) -> str:
    return f" (up to {field[keyword]})" if keyword in field else ""


def _meaning(field: dict[str, Any]) -> str:
    # pydantic leaves a field's description out where it is the docstring of the field's model.
    text = str(field.get("description") or SCHEMA["$defs"][field["$ref"].rpartition("/")[2]]["description"])
    return re.sub(r"\$\{CEL\}|context\.<name>|<name>\.yaml", r"`\g<0>`", text)


def _default(name: str, field: dict[str, Any], model: dict[str, Any]) -> str:
    if name in model.get("required", ()):
        return "required"
    value = field.get("default")
    if value is None or value in ("", [], {}) or isinstance(value, dict):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def table(model: dict[str, Any]) -> str:
    """The Markdown table of a model's fields."""
    rows = [
        f"| `{name}` | {_type(field)} | {_default(name, field, model)} | {_meaning(field)} |"
        for name, field in model["properties"].items()
    ]
    return "\n".join(["| field | type | default | meaning |", "|---|---|---|---|", *rows])


@pytest.mark.parametrize("name", MODELS)
def test_every_field_is_in_the_reference(name: str, update: bool):
    text = REFERENCE.read_text(encoding="utf-8")
    section = re.search(rf"^### {name}$(.*?)(?=^##+ |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section, f"docs/input.md has no section {name}"
    first = re.search(r"(^\|.*\n)+", section[1], re.MULTILINE)
    given = first[0].rstrip("\n") if first else ""
    wanted = table(MODELS[name])
    if given != wanted and update:
        assert given, f"section {name} needs a table to update"
        REFERENCE.write_text(text.replace(section[0], section[0].replace(given, wanted)), encoding="utf-8")
        given = wanted
    assert given == wanted, f"the table of {name} in docs/input.md is not what the model says (make update writes it)"


def test_no_section_describes_a_model_that_is_gone():
    sections = re.findall(r"^### (\w+)$", REFERENCE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(sections) == sorted(MODELS), "each model has its section, and each section a model"


README = REFERENCE.parent.parent / "README.md"


def test_the_composition_in_the_readme_works():
    blocks = re.findall(r"^```yaml\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    compositions = [body for block in blocks for body in yaml.safe_load_all(block) if body["kind"] == "Composition"]
    assert compositions
    for composition in compositions:
        for step in composition["spec"]["pipeline"]:
            validate.plan(parse(step["input"]))


@pytest.mark.parametrize("path", [README, *sorted(REFERENCE.parent.glob("*.md"))], ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_files_in_the_readme_are_there():
    named = re.findall(r"`((?:function|bridge)/[^`]+)`", README.read_text(encoding="utf-8"))
    assert named
    assert [name for name in named if not (README.parent / name).exists()] == []
