"""What is published, as a tree: an API at a glance, how its requests are served, and what differs from the Promise."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text
from rich.tree import Tree

from bridge.offline import Published
from bridge.screen import clean, write
from bridge.translate.publication import Publication
from function.api.errors import shorten

_FIELDS = 24
_DEEP = 3


def show(found: Published, screen: Console) -> None:
    """Show each Promise's XRD and Composition, the inventory, and what would break."""
    parts: list[RenderableType] = [_publication(each, found.breaks) for each in found.publications]
    for title, manifests in (("Inventory", found.inventory), ("Works", found.works)):
        if manifests:
            parts.append(_objects(title, manifests))
    write(screen, *parts)


def _publication(each: Publication, breaks: Mapping[str, Sequence[str]]) -> Tree:
    version = f" {each.promise.version}" if each.promise.version else ""
    tree = Tree(Text.assemble(("Promise ", "dim"), (clean(f"{each.promise.name}{version}"), "bold")), guide_style="dim")
    manifest = each.definition.manifest
    name, spec = manifest["metadata"]["name"], manifest["spec"]
    xrd = tree.add(Text.assemble("XRD ", (clean(name), "bold"), (f"  {spec['scope']} {each.definition.kind}", "dim")))
    for item in spec["versions"]:
        _version(xrd, item)
    for note in each.definition.notes:
        xrd.add(Text(clean(f"differs: {note}"), "yellow"))
    for reason in breaks.get(name, ()):
        xrd.add(Text(clean(f"breaks: {reason}"), "red"))
    _composition(tree, each.composition)
    return tree


def _version(xrd: Tree, version: Mapping[str, Any]) -> None:
    words = [word for word, said in (("served", version["served"]), ("stored", version["referenceable"])) if said]
    words += ["deprecated"] if version.get("deprecated") else []
    branch = xrd.add(Text.assemble(version["name"], (f"  {', '.join(words)}", "dim")))
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    lines = list(_fields(spec, "", _DEEP))
    for line in lines[:_FIELDS]:
        branch.add(line)
    if len(lines) > _FIELDS:
        branch.add(Text(f"and {len(lines) - _FIELDS} more fields", "dim"))
    for rule in spec.get("x-kubernetes-validations") or ():
        branch.add(Text(clean(f"rule: {rule.get('message') or rule.get('rule')}"), "dim"))


def _fields(schema: Mapping[str, Any], path: str, deep: int) -> Iterator[Text]:
    """Fields with their types and bounds, those of objects below them."""
    required = schema.get("required") or ()
    for name, field in (schema.get("properties") or {}).items():
        where = f"{path}{name}"
        marked = Text.assemble(
            clean(where), ("*" if name in required else "", "bold"), (clean(f"  {_type(field)}"), "dim")
        )
        yield marked
        below, step = (field["items"], "[].") if isinstance(field.get("items"), Mapping) else (field, ".")
        if deep > 1:
            yield from _fields(below, f"{where}{step}", deep - 1)


def _type(field: Mapping[str, Any]) -> str:
    words = [str(field.get("type") or "anything")]
    if field.get("enum"):
        words.append(f"of {', '.join(map(_value, field['enum']))}")
    words += [f"{key} {_value(field[key])}" for key in ("minimum", "maximum", "maxLength", "pattern") if key in field]
    if "default" in field:
        words.append(f"= {_value(field['default'])}")
    return " ".join(words)


def _value(value: object) -> str:
    return shorten(value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False))


def _composition(tree: Tree, composition: Mapping[str, Any]) -> None:
    (step,) = composition["spec"]["pipeline"]
    given = step["input"]
    labels = " ".join(f"{key}={value}" for key, value in composition["metadata"]["labels"].items())
    branch = tree.add(
        Text.assemble("Composition ", (composition["metadata"]["name"], "bold"), (clean(f"  {labels}"), "dim"))
    )
    workflows = given["promise"]["spec"].get("workflows") or {}
    pipelines = (workflows.get("resource") or {}).get("configure") or ()
    selectors = given["promise"]["spec"].get("destinationSelectors") or ()
    said = (
        ("reads up front", [_required(item) for item in (step.get("requirements") or {}).get("requiredResources", ())]),
        ("checks", [f"{check['name']} ({check.get('action', 'Deny')})" for check in given.get("checks") or ()]),
        ("pipelines", [pipeline["metadata"]["name"] for pipeline in pipelines]),
        ("documents", [document["name"] for document in given.get("documents") or ()]),
        ("delivers as", [(given.get("deliver") or {}).get("as", "Work")]),
        ("to Destinations with", [_labels(selector) for selector in selectors]),
    )
    for title, items in said:
        if items:
            branch.add(Text.assemble((f"{title} ", "dim"), clean(", ".join(items))))


def _required(item: Mapping[str, Any]) -> str:
    where = "/".join(item[key] for key in ("namespace", "name") if key in item)
    return f"{item['kind']} {where}".rstrip()


def _labels(selector: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items())


def _objects(title: str, manifests: Sequence[Mapping[str, Any]]) -> Tree:
    tree = Tree(Text(title, "bold"), guide_style="dim")
    for manifest in manifests:
        tree.add(Text.assemble(f"{manifest['kind']} ", clean(manifest["metadata"]["name"])))
    return tree
