"""One run of the testbed: a folder, a network namespace, and the processes that were started in it.

Each process has a pid file that also holds when it started, so that a stale run is found and ended exactly, even after
its maker was killed and the kernel gave the pid to somebody else. The network namespace has a loopback device and no
other: what binds to all addresses is reached by nobody outside, and runs beside each other can use the same ports.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed import cgroups
from testbed.cache import UnavailableError

_STOP = 10.0
_SHOWN_LINES = 20
_OWNER = "owner"
# Before what is secluded; a run's name has none, so that no run's namespace begins with another's and this.
_SECLUDED = "+"
FORWARD = Path(__file__).with_name("forward.py")


@dataclass(frozen=True, slots=True)
class Run:
    """A run, by its name; it needs not be up.

    Attributes:
        name: What tells runs apart; a network namespace has this name too, with a prefix.
    """

    name: str

    @property
    def folder(self) -> Path:
        """Its data: pid files, logs, certificates, etcd's files."""
        return _home() / self.name

    @property
    def namespace(self) -> str:
        """Its network namespace."""
        return f"function-kratix-{self.name}"

    @property
    def etc(self) -> Path:
        """Files that are below /etc for the processes of the run: `ip netns exec` mounts them there."""
        return Path("/etc/netns", self.namespace)

    def create(self, *, owner: int | None) -> None:
        """Make its folder and network namespace; what an earlier run of the name left is ended first.

        Args:
            owner: The process that has to end it; without it, whoever says `testbed down`. A run whose owner is gone is
                stale.

        Raises:
            UnavailableError: Network namespaces cannot be made: the machine has no iproute2, or this is not root.
        """
        for stale in runs():
            if stale == self or stale._stale():
                stale.end()
        self.folder.mkdir(parents=True)
        if owner is not None:
            (self.folder / _OWNER).write_text(_identity(owner), encoding="utf-8")
        _make_namespace(self.namespace)
        self.etc.mkdir(parents=True)
        (self.etc / "hosts").write_text("127.0.0.1 localhost\n", encoding="utf-8")
        (self.etc / "resolv.conf").touch()  # nobody to ask

    def resolve(self, name: str, address: str) -> None:
        """Let all processes of the run find an address by a name: those that run already, too."""
        with (self.etc / "hosts").open("a", encoding="utf-8") as hosts:
            hosts.write(f"{address} {name}\n")

    def start(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        fds: Sequence[int] = (),
        namespace: str | None = None,
    ) -> None:
        """Start a process in the run's network namespace; its output goes to `<name>.log`.

        Args:
            env: Added to this process's environment.
            fds: Open files of this process that are handed on.
            namespace: What `secluded` made, to start it there instead.
        """
        with self._log(name).open("ab") as log:
            process = subprocess.Popen(
                _inside(namespace or self.namespace, command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**_environment(), **(env or {})},
                cwd=self.folder,
                pass_fds=fds,
                start_new_session=True,  # a group of its own, which a signal reaches as a whole
            )
        self._pid_file(name).write_text(_identity(process.pid), encoding="utf-8")

    def secluded(self, name: str, *, reaches: int) -> str:
        """Make a network namespace for a process whose ports another of the run has too, and no flag can change.

        Args:
            reaches: The port of the run's loopback that it reaches, on its own loopback, through a forwarder.

        Returns:
            What `start` takes.
        """
        namespace = f"{self.namespace}{_SECLUDED}{name}"
        _make_namespace(namespace)
        carry = _inside(self.namespace, [sys.executable, str(FORWARD), str(reaches)])
        listen = [sys.executable, str(FORWARD), "--listen", "127.0.0.1", str(reaches)]
        self.start(f"{name}-forward", [*listen, *carry], namespace=namespace)
        return namespace

    def call(self, command: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> str:
        """Run a command in the network namespace to its end.

        Raises:
            UnavailableError: It exits non-zero; with the last lines of what it said.
        """
        done = subprocess.run(
            _inside(self.namespace, command),
            env={**_environment(), **(env or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            last = "\n".join((done.stdout + done.stderr).splitlines()[-_SHOWN_LINES:])
            raise UnavailableError(f"cannot run {Path(command[0]).name}: it exited with {done.returncode}:\n{last}")
        return done.stdout

    def until(self, what: str, holds: Callable[[], object], *, process: str, timeout: float) -> None:
        """Wait until something holds.

        Raises:
            UnavailableError: The process that has to bring it about ended, or it took too long; with its log's end.
        """
        deadline = time.monotonic() + timeout
        while not holds():
            if not self.alive(process):
                raise UnavailableError(f"cannot wait until {what}: {process} ended:\n{self.log_end(process)}")
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"cannot wait until {what}: not within {timeout:.0f} s; {process} says:\n{self.log_end(process)}"
                )
            time.sleep(0.05)

    def listens(self, port: int) -> bool:
        """Whether something listens on a port of the network namespace's loopback."""
        probe = f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)"
        try:
            self.call([sys.executable, "-c", probe])
        except UnavailableError:
            return False
        return True

    def pid(self, name: str) -> int:
        """The pid of a process that was started; it may have ended since."""
        return _pid(self._pid_file(name))

    def alive(self, name: str) -> bool:
        """Whether the process runs, and is the one that was started."""
        return _alive(self._pid_file(name))

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process and its children, if it is there."""
        pid_file = self._pid_file(name)
        if _alive(pid_file):
            with contextlib.suppress(ProcessLookupError):  # it ended since
                os.killpg(_pid(pid_file), number)

    def stop(self, name: str) -> None:
        """End a process: SIGTERM, and SIGKILL if that does not do."""
        self.signal(name, signal.SIGTERM)
        deadline = time.monotonic() + _STOP
        while self.alive(name) and time.monotonic() < deadline:
            time.sleep(0.02)
        self.kill(name)

    def kill(self, name: str) -> None:
        """End a process by SIGKILL, and wait until it is gone."""
        self.signal(name, signal.SIGKILL)
        while self.alive(name):
            time.sleep(0.01)
        self._pid_file(name).unlink(missing_ok=True)

    def log_end(self, name: str) -> str:
        """The last lines of a process's log."""
        lines = self._log(name).read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-_SHOWN_LINES:])

    def end(self) -> None:
        """End every process, the last started first, then remove the namespace and the folder."""
        started = sorted(self.folder.glob("*.pid"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for pid_file in started:
            self.signal(pid_file.stem, signal.SIGTERM)
        for pid_file in started:
            self.stop(pid_file.stem)
        made = Path("/run/netns")
        for path in [made / self.namespace, *made.glob(f"{self.namespace}{_SECLUDED}*")]:
            if path.exists():
                _ip("netns", "delete", path.name)
        cgroups.remove(self.namespace)
        shutil.rmtree(self.etc, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def processes(self) -> Iterator[tuple[str, bool]]:
        """The processes that were started, and whether each still runs."""
        for pid_file in sorted(self.folder.glob("*.pid")):
            yield pid_file.stem, _alive(pid_file)

    def _stale(self) -> bool:
        owner = self.folder / _OWNER
        return owner.exists() and not _alive(owner)

    def _pid_file(self, name: str) -> Path:
        return self.folder / f"{name}.pid"

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


def runs() -> list[Run]:
    """Every run that left a folder, whether its processes still live or not."""
    return [Run(path.name) for path in sorted(_home().glob("*")) if path.is_dir()]


def _inside(namespace: str, command: Sequence[str | Path]) -> list[str]:
    return ["ip", "netns", "exec", namespace, *map(str, command)]


def _make_namespace(name: str) -> None:
    _ip("netns", "add", name)
    _ip("-netns", name, "link", "set", "lo", "up")


def _home() -> Path:
    return Path(tempfile.gettempdir(), f"function-kratix-testbed-{os.getuid()}")


def _environment() -> dict[str, str]:
    # A proxy for the internet has no say inside a namespace that has loopback only.
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def _ip(*arguments: str) -> None:
    try:
        done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UnavailableError("cannot make a network namespace: there is no ip; install iproute2") from None
    if done.returncode:
        raise UnavailableError(
            f"cannot make a network namespace: ip {' '.join(arguments)}: {done.stderr.strip()}; the testbed needs root"
        )


def _identity(pid: int) -> str:
    return f"{pid} {_started(pid)}"


def _pid(pid_file: Path) -> int:
    return int(pid_file.read_text(encoding="utf-8").split()[0])


def _alive(pid_file: Path) -> bool:
    try:
        pid, _, started = pid_file.read_text(encoding="utf-8").partition(" ")
    except FileNotFoundError:
        return False
    if not started:  # it had ended before its pid file was written
        return False
    _reap(int(pid))
    return _started(int(pid)) == started


def _reap(pid: int) -> None:
    """A child of ours that ended is a zombie until somebody asks for it."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks since boot; empty when there is none, or only its zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    fields = stat.rpartition(")")[2].split()  # the name before it may hold blanks; then state is field 3
    return "" if fields[0] == "Z" and not _has_threads(pid) else fields[19]


def _has_threads(pid: int) -> bool:
    """Whether threads of a process are left whose first one has ended: until the last is gone it holds its ports."""
    try:
        return len(list(Path(f"/proc/{pid}/task").iterdir())) > 1
    except (FileNotFoundError, ProcessLookupError):
        return False
