"""Reference pages that are written from the code: the fields of models, `--help` of the commands, metrics."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic

DOCS = Path(__file__).resolve().parents[1] / "docs"


@dataclass(frozen=True)
class Models:
    """A page with a section for each model: a heading, and below it a table of its fields.

    Attributes:
        root: A model; the sections are of it and of all that it refers to, as their module names them.
    """

    page: Path
    root: type[pydantic.BaseModel]

    @property
    def all(self) -> dict[str, Mapping[str, Any]]:
        """The JSON schema of each model that has fields, by its name."""
        schema = self.root.model_json_schema(by_alias=True)
        found = {self.root.__name__: schema, **schema["$defs"]}
        return {name: model for name, model in found.items() if model.get("properties")}

    def table(self, name: str) -> str:
        """The Markdown table of a model's fields."""
        schema, definitions = self.all[name], self.root.model_json_schema(by_alias=True)["$defs"]
        own: type[pydantic.BaseModel] = getattr(sys.modules[self.root.__module__], name)
        rows = []
        for field, info in own.model_fields.items():
            alias = info.alias or field
            given = schema["properties"][alias]
            default = "required" if info.is_required() else _default(info.get_default(call_default_factory=True))
            rows.append(f"| `{alias}` | {_type(given, definitions)} | {default} | {_meaning(given, definitions)} |")
        return "\n".join(["| field | type | default | meaning |", "|---|---|---|---|", *rows])


def _type(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})" if definitions[name].get("properties") else "`{}`"
    if "anyOf" in field:
        return " or ".join(_type(option, definitions) for option in field["anyOf"] if option.get("type") != "null")
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("type") == "array":
        return f"list of {_type(field['items'], definitions)}{_limit(field, 'maxItems')}"
    if field.get("type") == "object":
        of = field.get("additionalProperties")
        strings = isinstance(of, Mapping) and of.get("type") == "string"
        return f"map of strings{_limit(field, 'maxProperties')}" if strings else "object"
    return f"{field['type']}{_limit(field, 'maxLength')}"


def _limit(field: Mapping[str, Any], keyword: str) -> str:
    return f" (up to {field[keyword]})" if keyword in field else ""


def _meaning(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    # pydantic leaves a field's description out where it is the docstring of the field's model.
    text = str(field.get("description") or definitions[field["$ref"].rpartition("/")[2]]["description"])
    return re.sub(r"\$\{CEL\}|context\.<name>|<name>\.yaml", r"`\g<0>`", text)


def _default(value: object) -> str:
    if isinstance(value, pydantic.BaseModel):
        labels = getattr(value, "match_labels", {})
        return ", ".join(f"`{key}: {each}`" for key, each in labels.items())
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if value else ""


@dataclass(frozen=True)
class Generated:
    """A page's part between two comments, which is written from the code."""

    page: Path
    name: str

    @property
    def _part(self) -> re.Pattern[str]:
        return re.compile(
            rf"(?<=^<!-- {self.name}: begin -->\n)(.*?)(?=^<!-- {self.name}: end -->$)", re.MULTILINE | re.DOTALL
        )

    def read(self) -> str:
        found = self._part.search(self.page.read_text(encoding="utf-8"))
        assert found, f"{self.page.name} has no part {self.name}"
        return found[0].strip("\n") + "\n"

    def write(self, text: str) -> None:
        whole = self._part.sub(lambda _: f"\n{text}\n", self.page.read_text(encoding="utf-8"))
        self.page.write_text(whole, encoding="utf-8")


def commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """A command and those below it, as typer knows them."""
    if (below := getattr(command, "commands", None)) is None:
        yield path
        return
    for name, each in below.items():
        yield from commands(each, (*path, name))
