"""`kratix-crossplane promise`: Promises made of files."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from bridge.errors import FolderError
from bridge.stages import pairs

app = typer.Typer(
    name="promise",
    help="Make Kratix Promises: of an XRD, or of Crossplane itself.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Format(StrEnum):
    """How a Promise is written."""

    yaml = "yaml"
    json = "json"


_OURS = "function-kratix"
_IMAGE = f"registry.example.org/{_OURS}:v"
_FILES = typer.Option(
    "--file", "-f", help="A file or folder with the XRD, its Compositions and Functions; give several.", metavar="PATH"
)
_XRD = typer.Option("--xrd", metavar="NAME", help="The XRD, where the files hold several.")
_NAME = typer.Option("--name", help="The Promise's name; the kind by default.")
_GROUP = typer.Option("--group", help="The API's group; the XRD's without xp. or with kratix. before it by default.")
_NAMESPACE = typer.Option("--namespace", help="Where all XRs go; by default each stays in its request's namespace.")
_VERSION = typer.Option("--version", help="The Promise's version, such as v1.0.0.")
_SELECTOR = typer.Option(
    "--selector", "-l", metavar="KEY=VALUE", help="A label of the Destinations that have Crossplane."
)
_CHARTS = typer.Option(
    "--charts", metavar="FOLDER", help="Crossplane's charts, one folder a version, as the image has."
)
_FUNCTION = typer.Option("--function", metavar="NAME=PACKAGE", help="A Function that is preselected.")
_WITH = typer.Option(
    "--with",
    metavar="PATH",
    help="A file or folder with manifests that Crossplane's Destinations get too, such as roles.",
)


def _image() -> str:
    from importlib import metadata  # here: it takes an eighth of the time that --help takes, and is not needed for it

    return _IMAGE + metadata.version(_OURS)


def _crossplane_image() -> str:
    return f"{_image()}-crossplane"


_HELP = "This project's image, where Kratix can pull it."
_IMAGE_OPTION = typer.Option("--image", help=_HELP, default_factory=_image, show_default=f"{_IMAGE}VERSION")
_CROSSPLANE_IMAGE_OPTION = typer.Option(
    "--image", help=_HELP, default_factory=_crossplane_image, show_default=f"{_IMAGE}VERSION-crossplane"
)
_OUTPUT = typer.Option("--output", "-o", help="How it is written.")


@app.callback()
def _main() -> None:
    pass


@app.command("from-xrd")
def from_xrd(
    file: Annotated[list[Path], _FILES],
    xrd: Annotated[str, _XRD] = "",
    name: Annotated[str, _NAME] = "",
    group: Annotated[str, _GROUP] = "",
    namespace: Annotated[str, _NAMESPACE] = "",
    version: Annotated[str, _VERSION] = "",
    selector: Annotated[list[str] | None, _SELECTOR] = None,
    *,
    image: Annotated[str, _IMAGE_OPTION],
    output: Annotated[Format, _OUTPUT] = Format.yaml,
) -> None:
    """Make a Promise that offers what an XRD defines.

    Requests are delegated to XRs (or claims) on the Destinations that have Crossplane. The XRD, its Compositions and
    Functions become the Promise's dependencies. What differs from the XRD's API, and what else the files hold, is said
    on stderr.

    \b
    Examples:
      kratix-crossplane promise from-xrd -f example/postgres | kubectl apply -f -
      kratix-crossplane promise from-xrd -f xrd.yaml -f composition.yaml --namespace databases -l zone=eu
    """
    # Imported where they are used: help is there at once.
    from bridge import sources
    from bridge.translate import promise
    from bridge.translate.notes import notes
    from bridge.translate.promise import CROSSPLANE_DESTINATIONS, Options
    from function.api.errors import InvalidError

    options = Options(
        image, pairs(selector or (), "--selector") or CROSSPLANE_DESTINATIONS, name, group, namespace, version
    )
    found = sources.load(file, xrd)
    try:
        made = promise.promise(found.definition, found.compositions, found.packages, options)
    except InvalidError as error:
        raise FolderError(f"cannot make a Promise of {found.definition.name}: --{error}") from None
    for note in notes(found.definition):
        sys.stderr.write(f"differs: {note}\n")
    if found.left_out:
        sys.stderr.write(f"left out: {', '.join(found.left_out)}\n")
    _write(made, output)


@app.command()
def crossplane(
    charts: Annotated[Path, _CHARTS] = Path("/charts"),
    function: Annotated[list[str] | None, _FUNCTION] = None,
    with_: Annotated[list[Path] | None, _WITH] = None,
    version: Annotated[str, _VERSION] = "",
    selector: Annotated[list[str] | None, _SELECTOR] = None,
    *,
    image: Annotated[str, _CROSSPLANE_IMAGE_OPTION],
    output: Annotated[Format, _OUTPUT] = Format.yaml,
) -> None:
    """Make the Promise whose requests are Crossplane installations.

    Each request is one installation: its version, features, providers and functions, on one Destination. The versions
    on offer are those of the charts in the image.

    \b
    Example:
      kratix-crossplane promise crossplane --with package/deploy/rbac.yaml | kubectl apply -f -
    """
    from bridge.stage.crossplane import Charts
    from bridge.translate import installation
    from bridge.translate.promise import CROSSPLANE_DESTINATIONS
    from function.api.errors import InvalidError

    options = installation.Options(
        image,
        Charts(charts).versions(),
        pairs(function or (), "--function", "NAME=PACKAGE") or {_OURS: _image()},
        pairs(selector or (), "--selector") or CROSSPLANE_DESTINATIONS,
        version,
        list(_dependencies(with_ or ())),
    )
    try:
        made = installation.promise(options)
    except InvalidError as error:
        raise FolderError(f"cannot make the Promise of Crossplane: --{error}") from None
    _write(made, output)


def _dependencies(paths: Sequence[Path]) -> Iterator[Mapping[str, Any]]:
    from bridge.manifest import read_all
    from function.api.manifest import check_manifest

    for manifest in (manifest for path in paths for manifest in read_all(path)):
        with manifest.located():
            check_manifest(manifest.body, "")
        yield manifest.body


def _write(manifest: Mapping[str, Any], output: Format) -> None:
    from function.api import files

    as_json = output is Format.json
    text = (
        f"{json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False)}\n"
        if as_json
        else files.to_yaml(manifest)
    )
    sys.stdout.write(text)
    sys.stdout.flush()
