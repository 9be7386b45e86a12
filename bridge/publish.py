"""`kratix-crossplane publish`: what the bridge would apply of a Promise, without a cluster."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

# pydantic, rich and what needs them are imported where they are used: help is there at once.
if TYPE_CHECKING:
    from bridge.offline import Published

_OK, _BREAKS = 0, 2


class Format(StrEnum):
    """How what is published is written."""

    tree = "tree"
    yaml = "yaml"
    json = "json"


class On(StrEnum):
    """Which kind of Crossplane cluster it is for."""

    together = "together"
    fleet = "fleet"


class Scope(StrEnum):
    """Of the XRs."""

    namespaced = "Namespaced"
    cluster = "Cluster"


_FILES = typer.Option(
    "--file", "-f", metavar="PATH", help="A file or folder with Promises and Destinations; give several."
)
_INPUT = typer.Option(
    "--input", metavar="FILE", help="A PromiseInput, or a Composition with one: checks, documents, schedule, deliver."
)
_ON = typer.Option("--on", help="together: Kratix is on that cluster too. fleet: it is not.")
_GITOPS = typer.Option("--gitops", help="As Kratix Works for Destinations labelled crossplane: enabled.")
_PREFIX = typer.Option("--prefix", help="What the XR's group has before the Promise's own.")
_SCOPE = typer.Option("--scope", help="Of the XRs.")
_REPLACES = typer.Option("--replaces", metavar="FILE", help="The XRD that is there: say what would break its XRs.")
_OUTPUT = typer.Option("--output", "-o", help="tree for people, yaml or json to apply. By default yaml in a pipe.")


def publish(
    file: Annotated[list[Path], _FILES],
    input_: Annotated[Path | None, _INPUT] = None,
    on: Annotated[On, _ON] = On.together,
    prefix: Annotated[str, _PREFIX] = "xp.",
    scope: Annotated[Scope, _SCOPE] = Scope.namespaced,
    gitops: Annotated[bool, _GITOPS] = False,  # noqa: FBT002 - typer makes it a flag
    replaces: Annotated[Path | None, _REPLACES] = None,
    output: Annotated[Format | None, _OUTPUT] = None,
) -> int:
    """Show what a Promise becomes on a Crossplane cluster: an XRD, and the Composition that runs its logic.

    It is what the bridge would apply; no cluster is asked. What else the files hold is left out, and named on stderr.
    Exit code: 0 published, 2 it would break XRs of the XRD that it replaces, 1 error.

    \b
    Examples:
      kratix-crossplane publish -f example/postgres/promise.yaml
      kratix-crossplane publish -f promise.yaml --input input.yaml | kubectl apply --server-side -f -
      kratix-crossplane publish -f promise.yaml -f destinations.yaml --on fleet -o tree
      kubectl get xrd caches.xp.example.org -o yaml > xrd.yaml
      kratix-crossplane publish -f promise.yaml --replaces xrd.yaml -o tree
    """
    from bridge import offline
    from bridge.translate.composition import Place
    from bridge.translate.publication import Settings

    settings = Settings(prefix=prefix, scope=scope.value, place=Place(on.value))
    found = offline.published(file, settings, logic=input_, replaced=replaces, by_gitops=gitops)
    _write(found, output or (Format.tree if sys.stdout.isatty() else Format.yaml))
    if found.left_out:
        sys.stderr.write(f"left out: {', '.join(found.left_out)}\n")
    for name, reasons in found.breaks.items():
        sys.stderr.write("".join(f"would break XRs of {name}: {reason}\n" for reason in reasons))
    return _BREAKS if found.breaks else _OK


def _write(found: Published, output: Format) -> None:
    if output is Format.tree:
        from bridge import outline, screen

        outline.show(found, screen.console())
        return
    if output is Format.json:
        text = json.dumps(list(found.manifests), indent=2, ensure_ascii=False) + "\n"
    else:
        from function.api import files

        text = "---\n".join(files.to_yaml(manifest) for manifest in found.manifests)
    sys.stdout.write(text)
    sys.stdout.flush()
