"""`kratix-crossplane stage`: the containers of this project in Kratix pipelines."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.errors import FolderError

# What a stage needs is imported where it is used: help is there at once.
if TYPE_CHECKING:
    from bridge.manifest import Manifest
    from function.simulate.cluster import Reader

app = typer.Typer(
    name="stage",
    help="Run as a container of a Kratix pipeline.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Action(StrEnum):
    """What Kratix runs a pipeline for."""

    configure = "configure"
    delete = "delete"


class WhenDenied(StrEnum):
    """What becomes of the workflow when a gate denies, or an input is not there."""

    fail = "Fail"
    retry = "Retry"
    suspend = "Suspend"


_FOLDER = typer.Option("--folder", help="Holds Kratix's input, output and metadata.")
_PROMISE = typer.Option("--promise", envvar="KRATIX_PROMISE_NAME", help="The Promise's name.")
_GROUP = typer.Option("--group", help="The XR's (or claim's) API group.")
_KIND = typer.Option("--kind", help="The XR's (or claim's) kind.")
_CLUSTER = typer.Option("--cluster-scoped", help="XRs have no namespace.")
_NAMESPACE = typer.Option("--namespace", help="Where all XRs go; by default each stays in its request's namespace.")
_SECRET = typer.Option("--connection-secret", help="Ask for a Secret with connection details.")
_WHEN = typer.Option("--when", metavar="CEL", help="Only if this is true of the request, as in request.spec.size > 1.")
_LIMIT = typer.Option("--name-limit", min=1, max=63, help="How long an XR's name may be.")
_INPUT = typer.Option("--input", metavar="FILE", help="The PromiseInput; by default the text in PROMISE_INPUT.")
_TEXT = typer.Option("--input-text", envvar="PROMISE_INPUT", hidden=True)
_CONTEXT = typer.Option(
    "--context", metavar="PATH", help="Files or folders to read Promise and context from, instead of the cluster."
)
_SELECTOR = typer.Option("--selector", "-l", metavar="KEY=VALUE", help="A label of the Destinations that get them.")
_DOCUMENTS = typer.Option("--documents", envvar="DOCUMENTS", hidden=True)
_CHARTS = typer.Option("--charts", metavar="FOLDER", help="Crossplane's charts, one folder a version.")
_HELM = typer.Option("--helm", help="The program that renders them.")
_ACTION = typer.Option("--action", envvar="KRATIX_WORKFLOW_ACTION", help="configure or delete.")
_WHEN_DENIED = typer.Option(
    "--when-denied",
    help="Fail the workflow; or Retry it after the input's ttl, or Suspend it, with the sentence in the status.",
)


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
    when: Annotated[str, _WHEN] = "",
    folder: Annotated[Path, _FOLDER] = Path("/kratix"),
) -> None:
    """Write the XR (or claim) that stands for a request.

    Kratix delivers it to a cluster that has Crossplane; when the request goes, it goes. `promise from-xrd` makes the
    Promise that runs this.
    """
    from bridge.stage.folders import Folders
    from bridge.translate import delegate
    from function.api.errors import InvalidError

    folders = Folders(folder)
    target = delegate.Target(promise, group, kind, not cluster_scoped, namespace, connection_secret, name_limit)
    request = folders.request()
    if when and not _holds(when, request):
        return
    try:
        made = delegate.xr(request, target)
    except InvalidError as error:
        what = f"{request['kind']} {request['metadata']['name']}"
        raise FolderError(f"cannot delegate {what}: {folders.input}, {error}") from None
    folders.write_document(f"{kind.lower()}.yaml", made)
    folders.write_status(delegate.status(made))


@app.command()
def dependencies(
    documents: Annotated[str, _DOCUMENTS] = "",
    selector: Annotated[list[str] | None, _SELECTOR] = None,
    folder: Annotated[Path, _FOLDER] = Path("/kratix"),
) -> None:
    """Write the manifests in DOCUMENTS, in their order, for Destinations of their own.

    For a Promise's own workflow: its `spec.dependencies` go wherever requests may go, and some are for Crossplane
    alone.
    """
    from bridge import manifest
    from bridge.stage import dependencies
    from bridge.stage.folders import Folders

    made = dependencies.files(manifest.parse(documents, "DOCUMENTS"))
    folders = Folders(folder)
    for filepath, document in made:
        folders.write_document(filepath, document)
    labels = pairs(selector or (), "--selector")
    folders.write_selectors([(".", labels)] if labels else [])


@app.command()
def promise(
    input_: Annotated[Path | None, _INPUT] = None,
    text: Annotated[str, _TEXT] = "",
    context: Annotated[list[Path] | None, _CONTEXT] = None,
    when_denied: Annotated[WhenDenied, _WHEN_DENIED] = WhenDenied.fail,
    folder: Annotated[Path, _FOLDER] = Path("/kratix"),
) -> None:
    """Run a PromiseInput for a request, with the code that a Composition runs.

    Gates judge the request and its documents; documents, destination selectors and the status are written for Kratix,
    which schedules and delivers. A gate that denies writes nothing, so what was delivered before stays.
    """
    from bridge.stage import promise
    from bridge.stage.folders import Folders
    from function.simulate.errors import SimulationError

    folders = Folders(folder)
    request, given = folders.request(), _input(input_, text)
    shown = f"{request['kind']} {request['metadata']['name']}"
    try:
        with given.located():
            found = promise.run(request, given.body, _reader(context or ()), folders)
    except SimulationError as error:
        raise FolderError(f"cannot run the Promise for {shown}: {error}") from None
    if isinstance(found, promise.Made):
        for warning in found.warnings:
            sys.stderr.write(f"warning: {warning}\n")
        for document in found.documents:
            if document.manifest is not None:  # only a pipeline's files have none, and none runs here
                adopted = document.filepath in found.adopted
                folders.write_document(document.filepath, document.manifest, adopted=adopted)
        folders.write_selectors(found.selectors)
        folders.write_status(found.status)
    elif when_denied is WhenDenied.fail or not found.retry_after:
        raise FolderError(f"refused {shown}: {found.message}")
    else:
        later = {"suspend": True} if when_denied is WhenDenied.suspend else {"retryAfter": found.retry_after}
        folders.write_control({**later, "message": found.message})


@app.command()
def crossplane(
    promise: Annotated[str, _PROMISE] = "crossplane",
    action: Annotated[Action, _ACTION] = Action.configure,
    charts: Annotated[Path, _CHARTS] = Path("/charts"),
    helm: Annotated[str, _HELM] = "helm",
    folder: Annotated[Path, _FOLDER] = Path("/kratix"),
) -> None:
    """Write the documents of a Crossplane installation.

    `promise crossplane` makes the Promise that runs this. In its deletion workflow it refuses while there are managed
    resources, unless the request says that it does not matter.
    """
    from bridge.stage import crossplane
    from bridge.stage.folders import Folders
    from function.api.errors import InvalidError

    folders = Folders(folder)
    request = folders.request()
    try:
        if action is Action.delete:
            crossplane.check_deletion(request)
            return
        made = crossplane.documents(request, crossplane.Charts(charts, helm), promise)
    except InvalidError as error:
        verb = "delete" if action is Action.delete else "install"
        what = f"{verb} Crossplane {request['metadata']['name']}"
        raise FolderError(f"cannot {what}: {folders.input}, {error}") from None
    for filepath, document in made:
        folders.write_document(filepath, document)
    destination = request["spec"].get("destination")
    folders.write_selectors([(".", destination)] if destination else [])
    folders.write_status(crossplane.status(request, len(made)))


def _holds(when: str, request: Mapping[str, Any]) -> bool:
    from function import cel
    from function.api.errors import InvalidError

    try:
        return cel.expression(when, "--when", cel.REQUEST).is_true(cel.Scope({"request": request}))
    except InvalidError as error:
        raise FolderError(f"cannot use {error}") from None
    except cel.EvaluationError as error:
        raise FolderError(f"cannot use --when: it cannot be evaluated: {error}") from None


def pairs(given: Sequence[str], option: str, form: str = "KEY=VALUE") -> dict[str, str]:
    """KEY=VALUE, as a person types labels.

    Raises:
        BadParameter: Something else.
    """
    found = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise typer.BadParameter(f"must be {form}, not {text}", param_hint=option)
        found[key] = value
    return found


def _input(file: Path | None, text: str) -> Manifest:
    from bridge import manifest

    shown = str(file) if file else "PROMISE_INPUT"
    if not file and not text:
        raise typer.BadParameter("must name a file, where PROMISE_INPUT is not set", param_hint="--input")
    found = manifest.read(file, shown) if file else manifest.parse(text, shown)
    if len(found) != 1:
        raise FolderError(f"cannot read {shown}: it must hold one PromiseInput, not {len(found)} objects")
    return found[0]


def _reader(paths: Sequence[Path]) -> Reader:
    if not paths:
        from bridge.stage.live import Live

        return Live()
    from bridge.manifest import read_all
    from function.simulate.cluster import Cluster

    return Cluster.of(manifest.body for path in paths for manifest in read_all(path))
