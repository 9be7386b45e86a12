"""`kratix-crossplane graph`: where requests go, as a picture."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

# pydantic and CEL are imported where they are used: help is there at once.
if TYPE_CHECKING:
    from bridge.graph.sketch import Sketch


class Format(StrEnum):
    """How a graph is written."""

    mermaid = "mermaid"
    dot = "dot"
    svg = "svg"
    json = "json"


_PATH = typer.Argument(
    help="Folder (or file) with a Composition, a PromiseInput or Promises, and Destinations.", show_default=False
)
_OUTPUT = typer.Option("--output", "-o", help="svg needs Graphviz' program dot.")


def graph(path: Annotated[Path, _PATH], output: Annotated[Format, _OUTPUT] = Format.mermaid) -> int:
    """Draw what requests go through: Promise, gates, pipelines, documents, and the Destinations that may take them.

    No cluster is asked, and no request need be there: conditions are on the edges. Dashed is what depends on the
    request; a Destination that nothing reaches is faint. Exit code: 0 drawn, 1 error.

    \b
    Examples:
      kratix-crossplane graph example/postgres
      kratix-crossplane graph example/postgres -o svg > postgres.svg
      kratix-crossplane graph example/object -o dot | dot -Tpng > space.png
      kratix-crossplane graph . -o json | jq -r '.nodes[] | select(.kind == "gate") | .name'
    """
    from bridge.graph import files

    sys.stdout.write(_written(files.graph(path), output))
    sys.stdout.flush()
    return 0


def _written(sketch: Sketch, output: Format) -> str:
    if output is Format.mermaid:
        from bridge.graph import mermaid

        return mermaid.text(sketch)
    if output is Format.json:
        import json

        from bridge.graph.sketch import plain

        return json.dumps(plain(sketch), indent=2, ensure_ascii=False) + "\n"
    from bridge.graph import dot

    return dot.svg(sketch) if output is Format.svg else dot.text(sketch)
