"""A status on a screen, with rich: what is as it should be in few words, what is stuck in full; plain in a pipe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bridge.screen import clean
from bridge.status import judge
from bridge.status.model import Cell, Condition, Promise, Publication, Request, State, Status, Stuck

_LISTED: Final = 20
_MARKS: Final[dict[State, tuple[str, str]]] = {
    "Ready": ("✓", "green"),
    "UnderWay": ("·", "yellow"),
    "Stuck": ("✗", "red"),
}
_CELLS: Final[dict[Publication, tuple[str, str]]] = {
    "Published": ("✓", "green"),
    "Refused": ("✗", "red"),
    "Kept": ("=", "yellow"),
    "Waiting": ("·", "yellow"),
    "Unlisted": ("?", "dim"),
}
# Between columns: a space of padding, and one of the table's own.
_GAP: Final = 2
_WIDE: Final = 100


def parts(status: Status, width: int, *, stuck_first: bool = False) -> Iterator[RenderableType]:
    """What is shown, below each other.

    Args:
        width: Of the screen, in columns.
        stuck_first: Where only the beginning may be seen.
    """
    yield _summary(status)
    stuck = _section("Stuck", _stuck(status.stuck))
    if stuck_first:
        yield from stuck
    yield from _section("Clusters", _clusters(status, width))
    yield from _section("Promises", _promises(status, width))
    yield from _section("Requests", _requests(status))
    yield from _section("Destinations", _destinations(status))
    if not stuck_first:
        yield from stuck


def _section(title: str, body: RenderableType | None) -> list[RenderableType]:
    return [] if body is None else [Text(), Text(title, "bold"), Padding(body, (0, 0, 0, 2))]


def _summary(status: Status) -> Text:
    reached = sum(judge.is_reached(each.reachable) for each in status.clusters)
    said = [
        _of(reached, len(status.clusters), "cluster", "reached"),
        _counted(len(status.promises), "Promise"),
        _counted(len(status.destinations), "Destination"),
    ]
    if status.requests:
        ready = sum(each.state == "Ready" for each in status.requests)
        said.append(_of(ready, len(status.requests), "request", "ready"))
    if status.stuck:
        return Text.assemble(("✗ ", "bold red"), (f"{len(status.stuck)} stuck", "bold red"), f"  {', '.join(said)}")
    lost = [each for each in status.unread if not each.forbidden]
    if lost:
        return Text.assemble(("? ", "bold yellow"), ("not all is known", "bold yellow"), f"  {', '.join(said)}")
    return Text.assemble(("✓ ", "bold green"), ("nothing is stuck", "bold green"), f"  {', '.join(said)}")


def _clusters(status: Status, width: int) -> RenderableType | None:
    if not status.clusters:
        return None
    wide = width >= _WIDE
    table = _table("", "Name", "Reached", "Synced", "Published", "Refused", "Kept")
    for head in ("Destinations", "Core", "Way") if wide else ():
        table.add_column(head, overflow="fold", header_style="dim")
    for each in status.clusters:
        name = Text(clean(each.name)).append("  draining" if each.draining else "", "yellow")
        table.add_row(
            _mark(each.state),
            name,
            _condition(each.reachable),
            _condition(each.synced),
            f"{each.published} of {each.promises}",
            Text(str(each.refused), "red" if each.refused else "dim"),
            Text(str(each.kept), "yellow" if each.kept else "dim"),
            *((str(each.destinations), clean(each.core), Text(each.way, "dim")) if wide else ()),
        )
    return table


def _promises(status: Status, width: int) -> RenderableType | None:
    """Promises x clusters; where these are too many for the screen, each Promise says on how many it is."""
    shown = [each for each in status.promises if each.on]
    others = [each.name for each in status.promises if not each.on]
    rest = f"{_counted(len(others), 'Promise')} on no cluster: {_few(others)}" if others else ""
    if not shown:
        return Text(clean(rest), "dim") if rest else None
    clusters = [each.name for each in status.clusters]
    mirrored = any(each.mirrored or each.requests for each in shown)
    heads = ["Name", "Version", *clusters, *(["Requests"] if mirrored else [])]
    rows = [[clean(p.name), p.version, *(_words(p.on.get(c)) for c in clusters)] for p in shown]
    needed = sum(max(len(line[i]) for line in (heads, *rows)) + _GAP for i in range(2 + len(clusters)))
    wide = needed + (14 if mirrored else 0) + _GAP <= width
    table = _table("Name", "Version", *(clusters if wide else ["Clusters"]), *(["Requests"] if mirrored else []))
    for each in shown:
        cells = [_cell(each.on.get(cluster)) for cluster in clusters] if wide else [_folded(each)]
        table.add_row(clean(each.name), clean(each.version), *cells, *([_numbers(each)] if mirrored else []))
    return Group(table, Text(clean(rest), "dim")) if rest else table


def _words(cell: Cell | None) -> str:
    if cell is None:
        return "–"
    return f"✓ {cell.version or 'published'}" if cell.state == "Published" else f"✗ {cell.state.lower()}"


def _cell(cell: Cell | None) -> Text:
    if cell is None:
        return Text("–", "dim")
    mark, style = _CELLS[cell.state]
    return Text.assemble(
        (mark, style), " ", clean(cell.version or "published") if cell.state == "Published" else cell.state.lower()
    )


def _folded(promise: Promise) -> Text:
    text = Text()
    by_state = Counter(cell.state for cell in promise.on.values())
    for state, (mark, style) in _CELLS.items():
        if not by_state[state]:
            continue
        where = [name for name, cell in promise.on.items() if cell.state == state]
        said = (
            f"{by_state[state]} of {len(promise.on)}" if state == "Published" else f"{state.lower()} on {_few(where)}"
        )
        text.append("  " if text else "").append(mark, style).append(f" {clean(said)}")
    return text


def _numbers(promise: Promise) -> Text:
    if not (promise.mirrored or promise.requests):
        return Text("–", "dim")
    text = Text()
    for state, (mark, style) in _MARKS.items():
        if promise.requests.get(state):
            text.append(" " if text else "").append(f"{mark} {promise.requests[state]}", style)
    return text or Text("none", "dim")


def _requests(status: Status) -> RenderableType | None:
    """Those that are not ready, the stuck ones first: who looks here looks for these."""
    waiting = sorted((r for r in status.requests if r.state != "Ready"), key=lambda each: each.state == "UnderWay")
    if not status.requests:
        return None
    ready = len(status.requests) - len(waiting)
    if not waiting:
        return Text.assemble(("✓", "green"), f" {_counted(ready, 'request')} ready")
    table = _table("", "Kind", "Request", "Cluster", "Ready", last="Message")
    for each in waiting[:_LISTED]:
        table.add_row(
            _mark(each.state), each.kind, _named(each), clean(each.cluster or "–"), each.ready, clean(each.message)
        )
    more = f"{len(waiting) - _LISTED} more that are not ready; " if len(waiting) > _LISTED else ""
    return Group(table, Text(f"{more}{ready} ready", "dim"))


def _named(request: Request) -> str:
    return clean(f"{request.namespace}/{request.name}" if request.namespace else request.name)


def _destinations(status: Status) -> RenderableType | None:
    if not status.destinations:
        return None
    table = _table("", "Name", "Ready", "Placements", last="Labels")
    for each in status.destinations:
        broken = each.ready.status == "False" or each.unwritten
        numbers = [f"{each.placements}"]
        numbers += [f"{each.unwritten} not written"] if each.unwritten else []
        numbers += [f"{each.misplaced} misplaced"] if each.misplaced else []
        labels = " ".join(f"{key}={value}" for key, value in sorted(each.labels.items()))
        mark = _mark("Stuck" if each.ready.status == "False" else "UnderWay" if broken else "Ready")
        table.add_row(mark, clean(each.name), _condition(each.ready), ", ".join(numbers), Text(clean(labels), "dim"))
    return table


def _stuck(stuck: Sequence[Stuck]) -> RenderableType | None:
    if not stuck:
        return None
    grid = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    grid.add_column()
    grid.add_column(overflow="fold")
    grid.add_column(overflow="fold", ratio=1)
    for each in stuck:
        grid.add_row(Text("✗", "red"), Text(clean(each.about), "red"), clean(each.why))
    return grid


def _table(*heads: str, last: str = "") -> Table:
    """A table whose last column, where it has a name of its own, takes what is left."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, _GAP - 1, 0, 0), show_edge=False)
    for head in heads:
        table.add_column(head, overflow="fold", header_style="dim")
    if last:
        table.add_column(last, overflow="fold", ratio=1, header_style="dim")
    return table


def _mark(state: State) -> Text:
    mark, style = _MARKS[state]
    return Text(mark, style)


def _condition(condition: Condition) -> Text:
    style = {"True": "green", "False": "red"}.get(condition.status, "yellow")
    said = condition.status or "–"
    return Text(clean(said if said == "True" or not condition.reason else condition.reason), style)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _of(number: int, total: int, what: str, how: str) -> str:
    return f"{_counted(total, what)} {how}" if number == total else f"{number} of {_counted(total, what)} {how}"


def _few(names: Sequence[str]) -> str:
    more = f", and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{', '.join(names[:5])}{more}"
