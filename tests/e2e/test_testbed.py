"""The testbed itself: beside others, cleaned up after a crash, and loud when something does not start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed import debian, profiles, tools
from testbed.cache import UnavailableError
from testbed.run import Run, runs
from testbed.versions import KUBE_APISERVER

_SLEEP = ["sleep", "1000"]


@pytest.fixture
def run() -> Iterator[Run]:
    run = Run(f"test-{os.getpid()}")
    run.create(owner=os.getpid())
    yield run
    run.end()


def test_two_testbeds_beside_each_other_cost_little():
    names = [f"beside-{os.getpid()}-{number}" for number in (1, 2)]
    try:
        first, second = (profiles.up("api", Run(name), owner=os.getpid()).plane.cluster for name in names)
        # Ready after 3.5 s on a quiet machine of two cores. Of that, what does not depend on who else runs there.
        assert all(_processor_seconds(Run(name)) < 6 for name in names)
        first.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "only-here"}})
        assert first.get("v1", "Namespace", "only-here")
        assert second.get("v1", "Namespace", "only-here") is None
    finally:
        for name in names:
            Run(name).end()


def _processor_seconds(run: Run) -> float:
    """What the processes of a run have used so far, all threads, in user and in kernel mode."""
    used = 0
    for pid_file in run.folder.glob("*.pid"):
        stat = Path(f"/proc/{pid_file.read_text().split()[0]}/stat").read_text(encoding="utf-8")
        used += sum(map(int, stat.rpartition(")")[2].split()[11:13]))  # utime and stime, in ticks
    return used / os.sysconf("SC_CLK_TCK")


def test_a_run_whose_owner_was_killed_is_ended_by_the_next():
    code = (
        "import os, time; from testbed.run import Run; run = Run('orphan'); run.create(owner=os.getpid());"
        "run.start('sleep', ['sleep', '1000']); print('up', flush=True); time.sleep(1000)"
    )
    tests = str(Path(__file__).parents[1])
    with subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": tests}, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout
        assert owner.stdout.readline() == "up\n"
        owner.send_signal(signal.SIGKILL)
    orphan = Run("orphan")
    assert orphan.alive("sleep"), "the process outlives its owner, or this test shows nothing"
    pid = int((orphan.folder / "sleep.pid").read_text().split()[0])
    other = Run(f"next-{os.getpid()}")
    other.create(owner=os.getpid())
    other.end()
    stat = Path(f"/proc/{pid}/stat")
    # A machine whose init reaps nobody keeps a zombie.
    assert not stat.exists() or stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    assert orphan not in runs()
    assert not Path("/run/netns", orphan.namespace).exists()


def test_a_pid_that_the_kernel_gave_to_another_process_is_not_touched(run: Run):
    with subprocess.Popen(_SLEEP, start_new_session=True) as stranger:
        (run.folder / "reused.pid").write_text(f"{stranger.pid} 1", encoding="utf-8")  # started at another time
        assert not run.alive("reused")
        run.stop("reused")
        run.kill("reused")
        assert stranger.poll() is None
        stranger.kill()


def test_a_run_ends_what_it_started_and_nothing_else(run: Run):
    other = Run(f"other-{os.getpid()}")
    other.create(owner=os.getpid())
    try:
        run.start("sleep", _SLEEP)
        other.start("sleep", _SLEEP)
        run.end()
        assert not run.folder.exists()
        assert other.alive("sleep")
    finally:
        other.end()


def test_a_program_that_ends_is_reported_with_its_last_lines(run: Run):
    run.start("broken", ["sh", "-c", "echo cannot open the database; exit 3"])
    with pytest.raises(
        UnavailableError, match=r"cannot wait until it is up: broken ended:\n  cannot open the database"
    ):
        run.until("it is up", lambda: False, process="broken", timeout=5)


def test_a_program_that_ended_before_its_pid_file_was_written_is_not_alive(run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("testbed.run._identity", lambda pid: f"{pid} ")  # what it is for a zombie
    run.start("quick", ["true"])
    assert not run.alive("quick")
    run.end()
    assert not run.folder.exists()


def test_a_testbed_without_the_right_to_make_namespaces_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ip = tmp_path / "ip"
    ip.write_text("#!/bin/sh\necho Operation not permitted >&2\nexit 1\n", encoding="utf-8")
    ip.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    run = Run(f"denied-{os.getpid()}")
    with pytest.raises(UnavailableError, match="Operation not permitted; the testbed needs root"):
        profiles.up("api", run, owner=os.getpid())
    assert run not in runs()


def test_a_program_that_takes_too_long_is_reported_with_its_last_lines(run: Run):
    run.start("slow", ["sh", "-c", "echo still loading; sleep 1000"])
    with pytest.raises(UnavailableError, match=r"not within 1 s; slow says:\n  still loading"):
        run.until("it is up", lambda: False, process="slow", timeout=1)


def test_a_testbed_that_cannot_start_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    broken = tmp_path / "kube-apiserver"
    broken.write_text("#!/bin/sh\necho no such flag >&2\nexit 1\n", encoding="utf-8")
    broken.chmod(0o755)
    monkeypatch.setenv(KUBE_APISERVER.variable, str(broken))
    run = Run(f"broken-{os.getpid()}")
    with pytest.raises(UnavailableError, match="kube-apiserver ended:\n  no such flag"):
        profiles.up("api", run, owner=os.getpid())
    assert run not in runs()
    assert not Path("/run/netns", run.namespace).exists()


def test_a_binary_that_cannot_be_run_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(KUBE_APISERVER.variable, str(tmp_path))
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UnavailableError, match=r"KUBE_APISERVER is .*, which is not an executable file"):
        tools.find(KUBE_APISERVER)


def test_a_missing_package_is_named_where_it_cannot_be_installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    missing = {"no-such-runtime": "some-runtime", "no-such-builder": "some-builder", "sh": "dash"}
    with pytest.raises(UnavailableError, match="some-builder some-runtime are missing, and only as root on Debian"):
        debian.need(missing)


def test_a_package_that_apt_cannot_install_is_an_error_with_its_last_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    apt = tmp_path / "apt-get"
    apt.write_text(
        '#!/bin/sh\n[ "$2" = update ] || { echo "E: Unable to locate package $5"; exit 100; }\n', encoding="utf-8"
    )
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(UnavailableError, match="apt-get exited with 100:\n  E: Unable to locate package some-runtime"):
        debian.need({"no-such-runtime": "some-runtime"})
