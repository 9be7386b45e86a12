"""`kratix-crossplane stage`: the containers of this project in Kratix pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bridge.errors import FolderError

app = typer.Typer(
    name="stage",
    help="Run as a container of a Kratix pipeline.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_MADE_NAME = 16  # see bridge.translate.promise.MADE_NAME
_FOLDER = typer.Option("--folder", help="Holds Kratix's input, output and metadata.")
_PROMISE = typer.Option("--promise", envvar="KRATIX_PROMISE_NAME", help="The Promise's name.")
_GROUP = typer.Option("--group", help="The XR's (or claim's) API group.")
_KIND = typer.Option("--kind", help="The XR's (or claim's) kind.")
_CLUSTER = typer.Option("--cluster-scoped", help="XRs have no namespace.")
_NAMESPACE = typer.Option("--namespace", help="Where all XRs go; by default each stays in its request's namespace.")
_SECRET = typer.Option("--connection-secret", help="Ask for a Secret with connection details.")
_LIMIT = typer.Option("--name-limit", min=_MADE_NAME, max=63, help="How long an XR's name may be.")


@app.callback()
def _main() -> None:
    # With a callback a single command still is a subcommand: others join it.
    pass


@app.command()
def delegate(
    promise: Annotated[str, _PROMISE],
    group: Annotated[str, _GROUP],
    kind: Annotated[str, _KIND],
    cluster_scoped: Annotated[bool, _CLUSTER] = False,  # noqa: FBT002 - typer makes it a flag
    namespace: Annotated[str, _NAMESPACE] = "",
    connection_secret: Annotated[bool, _SECRET] = False,  # noqa: FBT002 - typer makes it a flag
    name_limit: Annotated[int, _LIMIT] = 63,
    folder: Annotated[Path, _FOLDER] = Path("/kratix"),
) -> None:
    """Write the XR (or claim) that stands for a request.

    Kratix delivers it to a cluster that has Crossplane; when the request goes, it goes. `promise from-xrd` makes the
    Promise that runs this.
    """
    # Imported where they are used: help is there at once.
    from bridge.stage import delegate
    from bridge.stage.folders import Folders
    from function.api.errors import InvalidError

    folders = Folders(folder)
    target = delegate.Target(promise, group, kind, not cluster_scoped, namespace, connection_secret, name_limit)
    request = folders.request()
    try:
        made = delegate.xr(request, target)
    except InvalidError as error:
        raise FolderError(f"cannot delegate {request['kind']} {request['metadata']['name']}: {error}") from None
    folders.write_document(f"{kind.lower()}.yaml", made)
    folders.write_status(delegate.status(made))
