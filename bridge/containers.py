"""Pipelines on this machine, for `simulate`: as local commands, or as containers by docker or podman.

A local command gets Kratix's variables and a scratch tree of its own. Where this process may (Linux, root) the tree is
at /kratix, in a mount namespace of the command's own; else KRATIX_INPUT_DIR, KRATIX_OUTPUT_DIR and KRATIX_METADATA_DIR,
which are set in any case, say where it is. Containers get the tree at /kratix by volumes. What is left behind is read
by the code that the writer in a real pod runs.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from rich.console import Console

from bridge.folder import Folder
from bridge.known import guess
from bridge.screen import clean
from function.api import folders, names, promise
from function.api.errors import InvalidError
from function.api.output import OutputError
from function.model import JsonObject, lookup, objects
from function.simulate import kubelet
from function.simulate.cluster import Cluster, Ref
from function.simulate.errors import SimulationError

ENGINES = ("docker", "podman")
FOLDERS = ("input", "output", "metadata")
_ROOT = Path("/kratix")
_MADE = ".function-kratix"
_SHOWN = 40
_LOOK_SECONDS = 10
_VARIABLE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


@dataclass(frozen=True)
class Local:
    """Runs the containers of Jobs here.

    Attributes:
        commands: Pipeline to the shell command that runs in place of its containers.
        screen: Where progress and logs go.
    """

    commands: Mapping[str, str]
    screen: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))

    def __call__(self, job: JsonObject, cluster: Cluster) -> kubelet.Outcome | None:
        """What became of a Job's containers.

        Raises:
            SimulationError: Nothing here can run them.
        """
        pipeline = str(lookup(job, "metadata", "labels", names.PIPELINE_LABEL))
        with tempfile.TemporaryDirectory(prefix="kratix-", ignore_cleanup_errors=True) as scratch:
            tree = Path(scratch)
            for name in FOLDERS:
                (tree / name).mkdir()
                (tree / name).chmod(0o777)  # a container's user is not this one
            (tree / "input" / "object.yaml").write_text(_input(job, cluster))
            ran = self._ran(pipeline, job, tree)
            if ran is not None:
                return ran
            try:
                return kubelet.Wrote(folders.collect(str(tree / "output"), str(tree / "metadata")))
            except OutputError as error:
                return kubelet.Refused(str(error))

    def _ran(self, pipeline: str, job: JsonObject, tree: Path) -> kubelet.Failed | None:
        limit = float(lookup(job, "spec", "activeDeadlineSeconds") or 3600)
        end = time.monotonic() + limit
        with _mount_point():
            for what, command, environment in self._commands(pipeline, job, tree):
                failed = self._run(pipeline, what, command, environment, end)
                if failed is not None:
                    return failed
        return None

    def _commands(self, pipeline: str, job: JsonObject, tree: Path) -> Iterator[tuple[str, list[str], dict[str, str]]]:
        """What runs one after the other: its name, its arguments, and its environment."""
        containers = objects(lookup(job, "spec", "template", "spec", "initContainers"))[1:]  # behind the reader
        if pipeline in self.commands:
            given = _variables(pipeline, containers[0]) if containers else {}
            kratix = {name: value for name, value in given.items() if name.startswith("KRATIX_")}
            where = {f"KRATIX_{name.upper()}_DIR": str(tree / name) for name in FOLDERS}
            command = ["sh", "-c", self.commands[pipeline]]
            yield "its command", _mounted(command, tree), {**os.environ, **kratix, **where}
            return
        for container in containers:
            yield f"container {container['name']}", self._container(pipeline, container, tree), dict(os.environ)

    def _container(self, pipeline: str, container: JsonObject, tree: Path) -> list[str]:
        if self._engine is None:
            raise SimulationError(
                f"cannot run pipeline {pipeline}: neither docker nor podman answers here; give a local command for it "
                f"by --pipeline {pipeline}=COMMAND, or set workflow.pipelines to None in the input"
            )
        values = _variables(pipeline, container)
        command = [_expanded(str(part), values) for part in container.get("command") or ()]
        arguments = [_expanded(str(part), values) for part in container.get("args") or ()]
        read_only = {"input": ":ro"}
        return [
            self._engine,
            "run",
            "--rm",
            *(part for name in FOLDERS for part in ("-v", f"{tree / name}:{_ROOT / name}{read_only.get(name, '')}")),
            *(part for name, value in values.items() for part in ("-e", f"{name}={value}")),
            *(["--entrypoint", command[0]] if command else []),
            str(container["image"]),
            *command[1:],
            *arguments,
        ]

    @cached_property
    def _engine(self) -> str | None:
        for engine in ENGINES:
            found = shutil.which(engine)
            if found is None:
                continue
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                # The client alone runs nothing: its server has to answer.
                asked = [found, "version", "--format", "{{.Server.Version}}"]
                done = subprocess.run(asked, capture_output=True, timeout=_LOOK_SECONDS, check=False)  # noqa: S603 - found on the PATH
                if done.returncode == 0:
                    return found
        return None

    def _run(
        self, pipeline: str, what: str, command: Sequence[str], environment: Mapping[str, str], end: float
    ) -> kubelet.Failed | None:
        began = time.monotonic()
        with tempfile.TemporaryFile() as log, self._progress(f"pipeline {pipeline}: {what}"):
            code = _waited(command, environment, log, end)
            took = f"{time.monotonic() - began:.1f} s"
            if code == 0:
                self._say(f"pipeline {pipeline}: {what} ended after {took}")
                return None
            self._say(f"pipeline {pipeline}: {what} failed after {took}")
            log.seek(0)
            lines = log.read().decode("utf-8", "replace").splitlines()
            for line in lines[-_SHOWN:]:
                self._say(f"  {line}")
        if code is None:
            return kubelet.Failed("DeadlineExceeded")
        last = f": {lines[-1].strip()}" if lines and lines[-1].strip() else ""
        return kubelet.Failed("ContainerFailed", f"{what} ended with code {code}{last}")

    @contextlib.contextmanager
    def _progress(self, text: str) -> Iterator[None]:
        if not self.screen.is_terminal:
            yield
            return
        with self.screen.status(clean(text)):
            yield

    def _say(self, line: str) -> None:
        self.screen.print(clean(line), markup=False, soft_wrap=True)


def check(commands: Iterable[str], folder: Folder) -> None:
    """Refuse a command for a pipeline that nothing in the folder has.

    Raises:
        SimulationError: There is one.
    """
    known = set(_pipelines(folder))
    for name in commands:
        if name not in known:
            raise SimulationError(f"cannot use --pipeline {name}: there is no such pipeline{guess(name, known)}")


def _pipelines(folder: Folder) -> Iterator[str]:
    inputs = [step.input for case in folder.cases for step in case.steps if step.is_ours]
    specs = [lookup(given, "promise", "spec") for given in inputs]
    specs += [body.get("spec") for body in folder.objects if body["kind"] == "Promise"]
    listed: list[Any] = [lookup(spec, "workflows", "resource", "configure") for spec in specs]
    listed += [lookup(given, "workflow", "pipelines") for given in inputs]
    for pipelines in listed:
        if isinstance(pipelines, list):
            with contextlib.suppress(InvalidError):
                yield from promise.pipeline_names(pipelines, "")


def _input(job: JsonObject, cluster: Cluster) -> str:
    """The request as the reader would find it: the ConfigMap that was composed with the Job."""
    namespace = str(lookup(job, "metadata", "namespace"))
    for volume in objects(lookup(job, "spec", "template", "spec", "volumes")):
        name = lookup(volume, "configMap", "name")
        body = cluster.get(Ref("v1", "ConfigMap", namespace, str(name))) if name else None
        text = lookup(body, "data", "object.yaml")
        if isinstance(text, str):
            return text
    raise SimulationError(f"cannot run Job {Ref.of(job).name}: its input is not there")


def _variables(pipeline: str, container: JsonObject) -> dict[str, str]:
    """A container's environment, where it can be known here."""
    if container.get("envFrom"):
        raise _unknown(pipeline, container, "envFrom")
    values: dict[str, str] = {}
    for variable in objects(container.get("env")):
        if "valueFrom" in variable:
            raise _unknown(pipeline, container, f"variable {variable.get('name')}")
        values[str(variable.get("name"))] = _expanded(str(variable.get("value", "")), values)
    return values


def _unknown(pipeline: str, container: JsonObject, what: str) -> SimulationError:
    whose = f"container {container.get('name')} of pipeline {pipeline}"
    return SimulationError(
        f"cannot run {whose}: its {what} comes from the cluster; give a local command by --pipeline {pipeline}=COMMAND"
    )


def _expanded(text: str, values: Mapping[str, str]) -> str:
    # As Kubernetes does it: what is not known stays as it is.
    return _VARIABLE.sub(lambda match: values.get(match[1], match[0]), text)


@contextlib.contextmanager
def _mount_point() -> Iterator[None]:
    """A folder /kratix to mount trees on, for as long as one process needs it, where this one may make it."""
    held = _held() if sys.platform.startswith("linux") and os.geteuid() == 0 else None
    try:
        yield
    finally:
        if held is not None:
            _let_go(held)


def _held() -> int | None:
    """The folder, locked with whoever else simulates here: the kernel takes their mounts away where it is removed."""
    while True:
        try:
            with contextlib.suppress(FileExistsError):
                _ROOT.mkdir()
                (_ROOT / _MADE).touch()  # there before us is not ours to remove
            held = os.open(_ROOT, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue  # another process was the last to need it, just now
        except OSError:
            return None
        fcntl.flock(held, fcntl.LOCK_SH)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(held), _ROOT.stat()):
                return held
        os.close(held)


def _let_go(held: int) -> None:
    with contextlib.suppress(OSError):  # others need it, or it was there before
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (_ROOT / _MADE).unlink()
        _ROOT.rmdir()
    os.close(held)


def _mounted(command: list[str], tree: Path) -> list[str]:
    """The command with the tree at /kratix, where this process can do that for it alone."""
    unshare = shutil.which("unshare")
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or unshare is None:
        return command
    # Where the kernel or a sandbox says no, the command still runs, and finds the folders by its variables.
    inner = f'mount --bind {shlex.quote(str(tree))} {_ROOT} 2>/dev/null; exec "$@"'
    private = [unshare, "--mount", "--propagation", "private"]
    can = subprocess.run([*private, "true"], capture_output=True, check=False).returncode == 0  # noqa: S603 - a fixed command
    return [*private, "sh", "-c", inner, "sh", *command] if can else command


def _waited(command: Sequence[str], environment: Mapping[str, str], log: IO[bytes], end: float) -> int | None:
    """The exit code; None where it did not end in time."""
    process = subprocess.Popen(  # noqa: S603 - what the user asked to run
        command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )
    try:
        return process.wait(max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        return None
    finally:
        # Also on Ctrl-C, and whatever it left running.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
