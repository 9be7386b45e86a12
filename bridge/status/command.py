"""`kratix-crossplane status`: how the platform and its Crossplane clusters are."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.errors import FolderError, KubeconfigError

# What opens connections, and rich's tables, are imported where they are used: help is there at once.
if TYPE_CHECKING:
    from bridge.status.model import Status
    from bridge.status.reading import Reading

OK, ERROR, STUCK = 0, 1, 2
# A burst of changes is one: no person reads faster.
_REST = 0.5
# Each is a thread and a connection.
_XR_KINDS = 500


class Format(StrEnum):
    """How a status is written."""

    text = "text"
    yaml = "yaml"
    json = "json"


_KUBECONFIG = typer.Option("--kubeconfig", envvar="KUBECONFIG", metavar="FILE", help="Of the platform cluster.")
_CONTEXT = typer.Option("--context", help="Of the kubeconfig.")
_OUTPUT = typer.Option("--output", "-o", help="text for people, yaml or json for machines.")
_WATCH = typer.Option("--watch", "-w", help="Follow changes, until Ctrl-C.")
_XRS = typer.Option("--xrs", help="XRs too, where Crossplane is beside Kratix: each published kind is watched.")
_WITHIN = typer.Option("--within", metavar="DURATION", help="How long to wait for what does not answer.")


def status(
    kubeconfig: Annotated[Path | None, _KUBECONFIG] = None,
    context: Annotated[str, _CONTEXT] = "",
    output: Annotated[Format, _OUTPUT] = Format.text,
    watch: Annotated[bool, _WATCH] = False,  # noqa: FBT002 - typer makes it a flag
    xrs: Annotated[bool, _XRS] = False,  # noqa: FBT002 - so too
    within: Annotated[str, _WITHIN] = "20s",
) -> int:
    """Show what is published where, what requests wait for, and what is stuck and why.

    Reads CrossplaneClusters, Promises, Destinations, WorkPlacements and mirrored requests of the platform cluster, and
    changes nothing; what you may not read is said and left out. Exit code: 0 nothing is stuck, 2 something is, 1 not
    all could be read.

    \b
    Examples:
      kratix-crossplane status
      kratix-crossplane status --kubeconfig ~/.kube/platform --watch
      kratix-crossplane status -o json | jq -r '.stuck[] | "\\(.about): \\(.why)"'
      kratix-crossplane status -o yaml > status.yaml
    """
    from bridge import credentials
    from bridge.clusters import Cluster
    from bridge.status.reading import Reading
    from function.api.fields import seconds

    try:
        patience = seconds(within)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--within") from None
    path = kubeconfig or Path.home() / ".kube" / "config"
    try:
        who = credentials.of_file(path, context)
    except KubeconfigError as error:
        raise FolderError(f"cannot connect to the platform cluster: {error}") from None
    changed = threading.Event()
    cluster = Cluster("platform", who, clock=time.monotonic)
    reading = Reading(cluster, changed.set, time.monotonic, xrs=_XR_KINDS if xrs else 0)
    try:
        found = reading.read(float(patience), time.sleep)
        return _followed(reading, changed, found, output) if watch else _written(found, output)
    finally:
        reading.stop()


def code(found: Status) -> int:
    """The exit code that says how it is; what a reader may not read is no error, but for what all depends on."""
    missing = [each for each in found.unread if not each.forbidden or each.what in ("CrossplaneCluster", "Promise")]
    return ERROR if missing else STUCK if found.stuck else OK


def _written(found: Status, output: Format) -> int:
    _write(found, output)
    _complain(found)
    return code(found)


def _write(found: Status, output: Format, *, line: bool = False) -> None:
    if output is Format.text:
        from bridge import screen
        from bridge.status import show

        console = screen.console()
        screen.write(console, *show.parts(found, console.width))
        return
    from bridge.status.model import plain

    if output is Format.json:
        import json

        text = json.dumps(plain(found), indent=None if line else 2, sort_keys=True, ensure_ascii=False) + "\n"
    else:
        from function.api import files

        text = f"{'---' if line else ''}{chr(10) if line else ''}{files.to_yaml(plain(found))}"
    sys.stdout.write(text)
    sys.stdout.flush()


def _complain(found: Status) -> None:
    for each in found.unread:
        sys.stderr.write(f"kratix-crossplane: {'left out: ' if each.forbidden else ''}{each.why}\n")
    sys.stderr.flush()


def _followed(reading: Reading, changed: threading.Event, found: Status, output: Format) -> int:
    """Show each change; the last one is the exit code."""
    show = _live() if output is Format.text and sys.stdout.isatty() else _listed(output)
    shown: Status | None = None
    try:
        with show as each:
            while True:
                if found != shown:
                    each(found)
                    shown = found
                changed.wait(2 * _REST)  # errors of a watch come without a change
                changed.clear()
                time.sleep(_REST)
                found = reading.status()
    except KeyboardInterrupt:
        # A terminal goes back to what it showed before.
        return _written(found, output) if output is Format.text and sys.stdout.isatty() else code(found)


@contextlib.contextmanager
def _live() -> Iterator[Callable[[Status], None]]:
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from bridge import screen
    from bridge.status import show

    console = screen.console()
    with Live(console=console, screen=True, auto_refresh=False) as live:

        def update(found: Status) -> None:
            said = [Text(each.why, "yellow") for each in found.unread]
            parts = show.parts(found, console.width, stuck_first=True)
            live.update(Group(*parts, *said), refresh=True)

        yield update


@contextlib.contextmanager
def _listed(output: Format) -> Iterator[Callable[[Status], None]]:
    """In a pipe each change is a block of its own; as JSON, a line."""
    told: set[str] = set()

    def write(found: Status) -> None:
        _write(found, output, line=True)
        for each in found.unread:
            if each.why not in told:
                sys.stderr.write(f"kratix-crossplane: {each.why}\n")
        told.clear()
        told.update(each.why for each in found.unread)
        if output is Format.text:
            sys.stdout.write("\n")
            sys.stdout.flush()

    yield write
