"""Outcomes on a screen, with rich: sober, whole (nothing is cut off), and plain text in a pipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from bridge.screen import clean, write
from bridge.simulation import Gate, Outcome
from function.api import files, goyaml, names
from function.model import Condition, JsonObject, lookup, objects

_CHAIN = 48
_FIRST = {"Ready": 0, "Synced": 1}
_STATUS_STYLE = {"True": "green", "False": "red", "Unknown": "yellow"}
_STATE_STYLE = {"Misplaced": "yellow", "Moved": "yellow"}
_PHASE_STYLE = {"Succeeded": "green", "Failed": "red", "Suspended": "yellow"}
_FAILED_STYLE = {"Deny": "red", "Warn": "yellow", "Audit": "yellow"}


def outcomes(found: Sequence[Outcome], screen: Console) -> None:
    """Show each XR, and of several how many are Ready."""
    parts: list[RenderableType] = [_outcome(outcome, screen.width) for outcome in found]
    if len(found) > 1:
        ready = sum(outcome.result.ready for outcome in found)
        parts.append(
            Text(f"{ready} of {len(found)} XRs are Ready", "bold green" if ready == len(found) else "bold yellow")
        )
    write(screen, *parts)


def _outcome(outcome: Outcome, width: int) -> RenderableType:
    sections: list[tuple[str, RenderableType | None]] = [
        ("Gates", _gates(outcome.gates)),
        ("Pipelines", _pipelines(outcome.result.status)),
        ("Placements", _placements(outcome)),
        ("Files", _files(outcome.result.files)),
        ("Objects", _objects(outcome.result.remote)),
        ("Composed", _composed(outcome)),
        ("Conditions", _conditions(outcome.result.conditions)),
        ("Status", _status(outcome.result.status)),
        ("Events", _events(outcome)),
    ]
    parts: list[RenderableType] = [_title(outcome, width), Text()]
    for name, body in sections:
        if body is not None:
            parts += [Text(name, "bold"), Padding(body, (0, 0, 1, 2))]
    return Group(*parts, _footer(outcome), Text())


def _title(outcome: Outcome, width: int) -> Text:
    """The XR and its verdict, with a line up to the edge; a name that does not fit is wrapped, where a Rule cuts it."""
    xr, result = outcome.result.xr, outcome.result
    namespace = lookup(xr, "metadata", "namespace")
    style = "green" if result.ready else "red"
    name = f"{xr['kind']} {xr['metadata']['name']}{f' ({namespace})' if namespace else ''}"
    verdict = "✓ Ready" if result.ready else "✗ not Ready" if result.synced else "✗ not Ready, not Synced"
    title = Text.assemble((clean(name), "bold"), "  ", (verdict, f"bold {style}"), " ")
    return title.append("─" * max(0, width - title.cell_len), style)


def _grid(*styles: str) -> Table:
    """A table without lines; each column but the last stays as narrow as it can, and all wrap rather than cut."""
    grid = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    for i, style in enumerate(styles):
        grid.add_column(style=style, overflow="fold", ratio=1 if i == len(styles) - 1 else None)
    return grid


def _gates(gates: Sequence[Gate]) -> RenderableType | None:
    if not gates:
        return None
    grid = _grid("", "", "dim", "dim", "")
    several = len({gate.step for gate in gates}) > 1
    for gate in gates:
        name = clean(f"{gate.step}/{gate.name}" if several else gate.name)
        failed = [verdict for verdict in gate.verdicts if not verdict.passed]
        if not gate.reached:
            grid.add_row(Text("·", "dim"), Text(name, "dim"), gate.action, _subject(gate), Text("not reached", "dim"))
        elif not failed:
            grid.add_row(Text("✓", "green"), name, gate.action, _subject(gate), "")
        for verdict in failed:
            style = _FAILED_STYLE[gate.action]
            subject = clean(verdict.document) or "request"
            grid.add_row(Text("✗", style), Text(name, style), gate.action, subject, clean(verdict.message))
    return grid


def _subject(gate: Gate) -> str:
    if gate.on == "Request":
        return "request"
    count = len(gate.verdicts)
    return f"{count or 'no'} document{'' if count == 1 else 's'}" if gate.reached else "documents"


def _pipelines(status: JsonObject) -> RenderableType | None:
    found = objects(lookup(status, "kratix", "workflows", "configure", "pipelines"))
    if not found:
        return None
    grid = _grid("", "", "")
    for pipeline in found:
        phase = str(pipeline.get("phase"))
        said = clean(str(pipeline.get("message") or ""))
        grid.add_row(clean(str(pipeline.get("name"))), Text(phase, _PHASE_STYLE.get(phase, "dim")), said)
    return grid


def _placements(outcome: Outcome) -> RenderableType | None:
    if not outcome.result.placements and not outcome.unplaced:
        return None
    grid = _grid("", "bold", "", "")
    for p in outcome.result.placements:
        state = Text(p.state, _STATE_STYLE.get(p.state, "green"))
        grid.add_row(_directory(p.where), clean(p.destination), state, clean(p.reason))
    for directory, reason in outcome.unplaced:
        grid.add_row(_directory(directory), "", Text("nowhere", "red"), clean(reason))
    return grid


def _directory(directory: str) -> str:
    return "root" if directory in ("", ".") else clean(f"{directory}/")


def _files(found: Mapping[str, Mapping[str, str]]) -> RenderableType | None:
    if not found:
        return None
    trees = []
    for destination, texts in found.items():
        tree = Tree(Text(clean(destination), "bold"), guide_style="dim")
        _grow(tree, {tuple(path.split("/")): text for path, text in texts.items()})
        trees.append(tree)
    return Group(*trees)


def _grow(tree: Tree, paths: Mapping[tuple[str, ...], str]) -> None:
    """Add files to a tree; folders that hold one folder only share a line, up to a length that is read at a glance."""
    for head in sorted({path[0] for path in paths}):
        below = {path[1:]: text for path, text in paths.items() if path[0] == head}
        if () in below:
            tree.add(Text.assemble(clean(head), (_described(below[()]), "dim")))
            continue
        chain = head
        while len(firsts := {path[0] for path in below}) == 1 and all(len(path) > 1 for path in below):
            (first,) = firsts
            if len(chain) + len(first) >= _CHAIN:
                break
            chain, below = f"{chain}/{first}", {path[1:]: text for path, text in below.items()}
        _grow(tree.add(Text(clean(f"{chain}/"), "cyan")), below)


def _described(text: str) -> str:
    """What a file holds, in a few words; empty where it is no manifest."""
    try:
        loaded = goyaml.documents(text)
    except goyaml.YamlError:
        return ""
    listed = [_object(body) for body in loaded if isinstance(body, Mapping) and "kind" in body]
    return f"  {', '.join(listed[:3])}{f' and {len(listed) - 3} more' if len(listed) > 3 else ''}" if listed else ""


def _object(body: JsonObject) -> str:
    name, namespace = lookup(body, "metadata", "name"), lookup(body, "metadata", "namespace")
    return clean(f"{body.get('kind')} {name or ''}{f' in {namespace}' if namespace else ''}")


def _objects(remote: Mapping[str, Sequence[JsonObject]]) -> RenderableType | None:
    if not remote:
        return None
    trees = []
    for destination, manifests in remote.items():
        tree = Tree(Text(clean(destination), "bold"), guide_style="dim")
        for manifest in manifests:
            tree.add(Text.assemble(_object(manifest), (f"  {clean(str(manifest.get('apiVersion')))}", "dim")))
        trees.append(tree)
    return Group(*trees)


def _composed(outcome: Outcome) -> RenderableType | None:
    result = outcome.result
    if not result.composed and not result.deleted:
        return None
    grid = _grid("", "dim")
    for key, body in result.composed.items():
        grid.add_row(clean(key), _object(body))
    # What goes with each Job that has ended is not news.
    for key in (key for key in result.deleted if names.RUN_KEY not in key):
        grid.add_row(Text(clean(key), "red"), Text("deleted", "red"))
    return grid


def _conditions(conditions: Sequence[Condition]) -> RenderableType | None:
    if not conditions:
        return None
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
    for header in ("Type", "Status", "Reason"):
        table.add_column(header, overflow="fold", header_style="dim")
    table.add_column("Message", overflow="fold", ratio=1, header_style="dim")
    # Crossplane's own first: they are what kubectl get shows.
    for c in sorted(conditions, key=lambda c: _FIRST.get(c.type, len(_FIRST))):
        status = Text(c.status, _STATUS_STYLE.get(c.status, ""))
        table.add_row(clean(c.type), status, clean(c.reason), clean(c.message))
    return table


def _status(status: JsonObject) -> RenderableType | None:
    return Text(clean(files.to_yaml(status)).rstrip(), "dim") if status else None


def _events(outcome: Outcome) -> RenderableType | None:
    if not outcome.result.events:
        return None
    grid = _grid("", "", "dim")
    for event in outcome.result.events:
        style = "yellow" if event.type == "Warning" else "dim"
        grid.add_row(Text(event.type, style), clean(event.reason), clean(event.message))
    return grid


def _footer(outcome: Outcome) -> RenderableType:
    result = outcome.result
    times = f"{result.reconciles} reconciles, {result.calls} function calls"
    if result.settled:
        return Text(f"settled after {times}", "dim")
    return Text(f"still changing after {times}: this never comes to rest", "bold yellow")
