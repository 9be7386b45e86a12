"""`kratix-crossplane`: the command line for people.

Exit codes: 0 what was asked for is so, 2 it is not (an XR is not Ready), 1 an error, in one sentence on stderr.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge import promises, publish, stages, start
from bridge.errors import FolderError
from bridge.graph import command as graph
from bridge.status import command as status
from function.simulate import process

# gRPC, protobuf, rich's tables and the function itself are imported where they are used: help is there at once.
if TYPE_CHECKING:
    from bridge.simulation import Functions, Outcome
    from function.simulate.steps import Runner

READY, ERROR, NOT_READY = 0, 1, 2
_POLL_SECONDS = 0.3

app = typer.Typer(
    name="kratix-crossplane",
    help="Kratix Promises inside Crossplane, from the command line.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Output(StrEnum):
    """How an outcome is written."""

    text = "text"
    yaml = "yaml"
    json = "json"


app.command()(graph.graph)
app.command()(publish.publish)
app.command()(start.bridge)
app.command()(status.status)
app.add_typer(promises.app)
app.add_typer(stages.app)

_PATH = typer.Argument(
    help="Folder (or file) with XR, Composition, Promise, Destinations, context.", show_default=False
)
_XR = typer.Option("--xr", metavar="FILE", help="The file with the XR, where the folder does not say which it is.")
_OUTPUT = typer.Option("--output", "-o", help="text for people, yaml or json for machines.")
_WATCH = typer.Option("--watch", "-w", help="Run again when a file changes, until Ctrl-C.")
_FUNCTION = typer.Option(
    "--function", metavar="NAME=ADDRESS", help="Another function of the pipeline that runs already, without TLS."
)
_PIPELINE = typer.Option(
    "--pipeline", metavar="NAME=COMMAND", help="Run a pipeline of the Promise as a local command, not in containers."
)
_ADDRESS = typer.Option(
    "--address", metavar="ADDRESS", help="function-kratix runs there already (--insecure); start none."
)


@app.command()
def simulate(
    path: Annotated[Path, _PATH],
    xr: Annotated[Path | None, _XR] = None,
    output: Annotated[Output, _OUTPUT] = Output.text,
    watch: Annotated[bool, _WATCH] = False,  # noqa: FBT002 - typer makes it a flag
    function: Annotated[list[str] | None, _FUNCTION] = None,
    pipeline: Annotated[list[str] | None, _PIPELINE] = None,
    address: Annotated[str, _ADDRESS] = "",
) -> int:
    """Show what would become of a request, without a cluster.

    Starts the function, calls it as Crossplane does until nothing changes any more, and shows the gates, the
    placements, the files that each Destination gets, and the XR's conditions. Exit code: 0 Ready, 2 not ready, 1 error.

    \b
    Examples:
      kratix-crossplane simulate example/postgres
      kratix-crossplane simulate example/postgres --xr my-request.yaml --watch
      kratix-crossplane simulate . -o json | jq '.[].conditions'
      kratix-crossplane simulate . --function function-patch-and-transform=127.0.0.1:9444
      kratix-crossplane simulate . --pipeline configure=./configure.sh

    \b
    A Promise's own pipelines run as containers, by docker or podman, or as local commands: with Kratix's variables, and
    the folders at /kratix (Linux, root) or where KRATIX_INPUT_DIR, KRATIX_OUTPUT_DIR and KRATIX_METADATA_DIR say.

    \b
    In the folder, besides *.yaml and *.json:
      observed/           composed resources that the XR has already
      desired/STEP.yaml   what a step composes whose function is not running
    """
    others, commands = _addresses(function or []), _commands(pipeline or [])
    with contextlib.ExitStack() as stack:

        def reached() -> Runner:
            return stack.enter_context(process.connected(address))

        # Started first of all: it imports as much as this process then does meanwhile.
        own = reached if address else stack.enter_context(process.Process()).connect
        from bridge.simulation import Functions

        functions = stack.enter_context(Functions(own, others))

        def once() -> int:
            return _once(path, xr, output, functions, commands)

        return _watched(path, xr, once) if watch else once()


def _addresses(given: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, address = text.partition("=")
        if not (name and equals and ":" in address):
            raise typer.BadParameter(f"must be NAME=HOST:PORT, not {text}", param_hint="--function")
        found[name] = address
    return found


def _commands(given: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, command = text.partition("=")
        if not (name and equals and command.strip()):
            raise typer.BadParameter(f"must be NAME=COMMAND, not {text}", param_hint="--pipeline")
        found[name] = command
    return found


def _once(path: Path, xr: Path | None, output: Output, functions: Functions, commands: Mapping[str, str]) -> int:
    from bridge import containers, folder, simulation
    from function.simulate.errors import SimulationError

    try:
        read = folder.load(path, xr)
        containers.check(commands, read)
        outcomes = list(simulation.run(read, functions, containers.Local(commands)))
    except (FolderError, SimulationError) as error:
        _complain(str(error))
        return ERROR
    _write(outcomes, output)
    return READY if all(outcome.result.ready for outcome in outcomes) else NOT_READY


def _write(outcomes: Sequence[Outcome], output: Output) -> None:
    from bridge import screen, show, simulation

    if output is Output.text:
        show.outcomes(outcomes, screen.console())
        return
    plain: list[dict[str, Any]] = [simulation.plain(outcome) for outcome in outcomes]
    if output is Output.json:
        import json

        text = json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    else:
        from function.api import files

        text = files.to_yaml(plain)
    sys.stdout.write(text)
    sys.stdout.flush()


def _watched(path: Path, xr: Path | None, once: Callable[[], int]) -> int:
    """Run again on each change; the last outcome is the exit code."""
    code = READY
    seen: object = None
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            now = _fingerprint(path, xr)
            if now != seen:
                if sys.stdout.isatty():
                    sys.stdout.write("\x1b[2J\x1b[3J\x1b[H")
                code, seen = once(), now
                sys.stderr.write(f"watching {path}; Ctrl-C ends\n")
            time.sleep(_POLL_SECONDS)
    return code


def _fingerprint(path: Path, xr: Path | None) -> object:
    """What changes when a file does. Folders are looked at as deep as they are read."""
    folders = [path, path / "observed", path / "desired"] if path.is_dir() else []
    files = [*(file for folder in folders if folder.is_dir() for file in folder.iterdir()), path, *([xr] if xr else [])]
    found = {}
    for file in files:
        with contextlib.suppress(OSError):  # an editor may be replacing it just now
            stat = file.stat()
            found[file] = (stat.st_mtime_ns, stat.st_size)
    return found


def _complain(sentence: str) -> None:
    sys.stderr.write(f"kratix-crossplane: {sentence}\n")
    sys.stderr.flush()


def _terminated(*_: object) -> None:
    sys.exit(128 + signal.SIGTERM)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: exits with the command's code."""
    # As an exception, so that what was started is stopped.
    signal.signal(signal.SIGTERM, _terminated)
    try:
        code = app(args=None if arguments is None else list(arguments), standalone_mode=False)
    except FolderError as error:
        _complain(str(error))
        sys.exit(ERROR)
    except typer.TyperException as error:
        # Click would exit with 2, which here means "not ready".
        _complain(f"{error.format_message().rstrip('.')} (--help shows how)")
        sys.exit(ERROR)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except BrokenPipeError:
        # The reader (head, less) has seen enough; nothing more can be written, not even at exit.
        sys.stdout = None
        sys.exit(ERROR)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
