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

from bridge import engine
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

FOLDERS = ("input", "output", "metadata")
_ROOT = Path("/kratix")
_MADE = ".function-kratix"
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class _Part:
    """What runs: one after the other, each when the one before has ended well.

    Attributes:
        container: Its name in the engine; empty for a local command.
        stuck: Why the kubelet would not start it.
    """

    what: str
    command: Sequence[str]
    environment: Mapping[str, str]
    container: str = ""
    stuck: kubelet.Stuck | None = None


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

    def _ran(self, pipeline: str, job: JsonObject, tree: Path) -> kubelet.Failed | kubelet.Stuck | None:
        limit = float(lookup(job, "spec", "activeDeadlineSeconds") or 3600)
        with _mount_point():
            parts = list(self._parts(pipeline, job, tree))
            end = time.monotonic() + limit
            for part in parts:
                if part.stuck is not None:
                    return part.stuck
            for part in parts:
                failed = self._run(pipeline, part, end)
                if failed is not None:
                    return failed
        return None

    def _parts(self, pipeline: str, job: JsonObject, tree: Path) -> Iterator[_Part]:
        pod = lookup(job, "spec", "template", "spec")
        containers = objects(lookup(pod, "initContainers"))[1:]  # behind the reader
        if pipeline in self.commands:
            # The containers' own variables may come from a cluster; it is in place of them.
            given = {str(v.get("name")): str(v.get("value", "")) for c in containers for v in objects(c.get("env"))}
            kratix = {name: value for name, value in given.items() if name.startswith("KRATIX_")}
            where = {f"KRATIX_{name.upper()}_DIR": str(tree / name) for name in FOLDERS}
            command = ["sh", "-c", self.commands[pipeline]]
            yield _Part("its command", _mounted(command, tree), {**os.environ, **kratix, **where})
            return
        if containers and self._engine is None:
            raise SimulationError(
                f"cannot run pipeline {pipeline}: neither docker nor podman answers here; give a local command for it "
                f"by --pipeline {pipeline}=COMMAND, or set workflow.pipelines to None in the input"
            )
        for container in containers:
            assert self._engine is not None  # noqa: S101 - else nothing came to here
            name = f"{tree.name}-{container['name']}"
            command = self._engine.command(name, container, pod, pipeline, tree)
            with self._progress(f"pipeline {pipeline}: looking at image {container['image']}"):
                stuck = self._engine.obstacle(container)
            yield _Part(f"container {container['name']}", command, dict(os.environ), name, stuck)

    @cached_property
    def _engine(self) -> engine.Engine | None:
        return engine.found()

    def _run(self, pipeline: str, part: _Part, end: float) -> kubelet.Failed | None:
        began, what = time.monotonic(), part.what
        with tempfile.TemporaryFile() as log, self._progress(f"pipeline {pipeline}: {what}"):
            code = None
            try:
                code = _waited(part.command, part.environment, log, end)
            finally:
                if code is None and part.container and self._engine is not None:
                    self._engine.remove(part.container)
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
