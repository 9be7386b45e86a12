"""The workflows of CI: they parse, run what people run, pin what they use, and may write only where they publish."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed import tools
from testbed.versions import ACTIONLINT

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(path.name for path in FOLDER.iterdir())
USES = re.compile(r"^\s*(?:- )?uses: (\S+)(?: # (v\d+(?:\.\d+){0,2}))?$", re.MULTILINE)
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
# Beside make: what a runner has, or a step before has installed.
PROGRAMS = {"make", "cosign", "gh", "head", "apt-get", ".ci/run"}
WORDS = {"while", "do", "done", "read", "if", "then", "fi"}


def load(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load((FOLDER / name).read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 - `on` is no boolean there
    return found


def steps(name: str) -> Iterator[dict[str, Any]]:
    for job in load(name)["jobs"].values():
        yield from job.get("steps", ())


@pytest.mark.parametrize("name", FILES)
def test_it_parses_and_says_when_it_runs(name: str) -> None:
    workflow = load(name)
    assert {"name", "on", "permissions", "jobs"} <= workflow.keys()
    assert "pull_request_target" not in workflow["on"], "it would run a stranger's code with this repository's secrets"


@pytest.mark.parametrize("name", FILES)
def test_every_action_is_pinned_by_its_commit_and_says_its_version(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    used = USES.findall(text)
    assert len(used) == text.count("uses: ")
    for action, version in used:
        if action.startswith("./"):
            assert (ROOT / action).is_file()
            continue
        assert PINNED.fullmatch(action), f"{action} can become something else over night"
        assert version, f"{action}: which version that is, for a person"


@pytest.mark.skipif(
    os.environ.get(tools.WITHOUT_CROSSPLANE) == "1",
    reason=f"LEFT OUT by {tools.WITHOUT_CROSSPLANE}=1: no program was built to read the workflows",
)
def test_the_forge_would_take_them() -> None:
    done = subprocess.run(
        [tools.find(ACTIONLINT), "-no-color", "-shellcheck=", "-pyflakes=", *(FOLDER / name for name in FILES)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_one_action_has_one_version() -> None:
    pinned: dict[str, set[tuple[str, str]]] = {}
    for name in FILES:
        for action, version in USES.findall((FOLDER / name).read_text(encoding="utf-8")):
            path, _, commit = action.partition("@")
            pinned.setdefault(path, set()).add((commit, version))
    assert {path: found for path, found in pinned.items() if len(found) > 1} == {}


def commands() -> Iterator[tuple[str, list[str]]]:
    for name in FILES:
        for step in steps(name):
            for line in step.get("run", "").splitlines():
                words = shlex.split(line.replace("$(", " ( ").replace("`", " ( "), comments=True)
                yield name, [word for word in words if word not in WORDS]


def test_what_is_run_is_what_people_run() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    made = set()
    for name, words in commands():
        if not words or "<" in words[0] or words[0].startswith("package="):
            continue
        program = words[0]
        if program.startswith("-"):  # `read -r`
            continue
        assert program in PROGRAMS, f"{name}: {program}"
        if program == "make":
            assert words[1] in targets, f"{name}: make {words[1]}"
            made.add(words[1])
    assert made == {"check", "test", "audit", "programs", "xpkg", "push"}


@pytest.mark.parametrize("name", FILES)
def test_nothing_from_outside_is_in_a_script(name: str) -> None:
    """An expression in a script is pasted into it: a branch's name could be a command."""
    for step in steps(name):
        assert "${{" not in step.get("run", ""), step


def test_only_what_publishes_may_write() -> None:
    for name in FILES:
        workflow = load(name)
        assert workflow["permissions"] == {"contents": "read"}, name
        writing = {job for job, body in workflow["jobs"].items() if "permissions" in body}
        assert writing == ({"publish"} if name == "release.yml" else set()), name
    release = load("release.yml")
    assert release["on"] == {"push": {"tags": ["v*"]}}, "versions come from tags"
    assert release["jobs"]["publish"]["permissions"] == {"contents": "write", "id-token": "write"}
    assert release["jobs"]["publish"]["needs"] == "ci", "nothing is published that was not tested, audited and scanned"


def test_what_is_published_was_on_the_testbeds() -> None:
    """All of ci.yml is needed for a release: what is run on testbeds, and that on programs that are built once."""
    job = load("ci.yml")["jobs"]["e2e"]
    assert not {"if", "continue-on-error"} & job.keys()
    assert job["timeout-minutes"] == "90"
    said = [step.get("run") or step["uses"].partition("@")[0] for step in job["steps"]]
    programs = said.index("make programs")
    assert said[programs - 1] == "actions/cache/restore"
    assert said[programs + 1 :] == ["actions/cache/save", ".ci/run testbeds"]
    taken, kept = job["steps"][programs - 1], job["steps"][programs + 1]
    assert taken["with"] == kept["with"]
    assert taken["with"]["path"] == "~/.cache/function-kratix"
    assert "hashFiles('tests/testbed/versions.py', 'tests/testbed/go/**')" in taken["with"]["key"]
    others = [step["with"]["key"] for step in steps("ci.yml") if step.get("uses", "").startswith("actions/cache@")]
    assert taken["with"]["key"] not in others, "they keep fewer programs, and who is first keeps them"


_TESTBEDS = [
    "programs",
    "e2e",
    "e2e BEDS=2 ON_TESTBEDS=tests/fleet tests/tutorials tests/bench",
    "soak MINUTES=3 REQUESTS=60",
]
RUNS: dict[str, tuple[list[str], str, int, list[str]]] = {
    "all": ([], "", 0, ["check", "demo", *_TESTBEDS, "test"]),
    "testbeds": (["testbeds"], "", 0, _TESTBEDS),
    "once more": (["testbeds"], "e2e", 0, ["programs", "e2e", "e2e ARGS=--failed-files", *_TESTBEDS[2:]]),
    "not the soak": (["testbeds"], _TESTBEDS[-1], 2, _TESTBEDS),
    "another": (["testbed"], "", 2, []),
}
_MAKE = """#!/bin/sh
shift
echo "$*" >> made
test "$*" != "$FAILS" || exit 2
"""


@pytest.mark.parametrize(("arguments", "fails", "code", "made"), RUNS.values(), ids=RUNS.keys())
def test_what_ci_makes(tmp_path: Path, arguments: list[str], fails: str, code: int, made: list[str]) -> None:
    for path, content in {".ci/run": (ROOT / ".ci/run").read_text(encoding="utf-8"), "bin/make": _MAKE}.items():
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_text(content, encoding="utf-8")
        (tmp_path / path).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "FAILS": fails}
    done = subprocess.run([tmp_path / ".ci/run", *arguments], env=environment, capture_output=True, check=False)
    assert done.returncode == code
    log = tmp_path / "made"
    assert (log.read_text(encoding="utf-8").splitlines() if log.exists() else []) == made


def test_a_checkout_leaves_no_credentials_behind() -> None:
    for name in FILES:
        for step in steps(name):
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"] == {"persist-credentials": "false"}, name


def test_what_is_scanned_is_what_is_packed() -> None:
    build = {step.get("name"): step for step in steps("build.yml")}
    file = "runtime-${{ matrix.arch }}.tar"
    assert build["Build the image"]["with"]["outputs"] == f"type=docker,dest={file}"
    scan = build["Scan the image"]["with"]
    assert (scan["image"], scan["severity-cutoff"]) == (f"docker-archive:{file}", "high")
    assert "fail-build" not in scan, "it fails by default"
    assert 'RUNTIME="runtime-$ARCH.tar"' in build["Build the package"]["run"]
    assert load("build.yml")["jobs"]["package"]["strategy"]["matrix"] == {"arch": ["amd64", "arm64"]}


def only(wanted: str) -> tuple[int, dict[str, Any]]:
    """The one step of a release that runs or uses this: which it is, and what it says."""
    [found] = [
        (number, step)
        for number, step in enumerate(steps("release.yml"))
        if wanted in step.get("run", "") or step.get("uses", "").startswith(wanted)
    ]
    return found


def test_what_is_pushed_is_signed_before_anybody_is_told() -> None:
    """All of build/pushed, and of an index each image too."""
    signs, step = only("cosign sign ")
    loop = 'while read -r reference; do\n  cosign sign --yes --recursive "$reference"\ndone < build/pushed\n'
    assert loop in step["run"]
    pushes, _ = only("make push")
    tells, _ = only("gh release create")
    assert pushes < signs < tells


def test_a_release_says_what_is_in_it() -> None:
    makes, sbom = only("anchore/sbom-action@")
    attests, step = only("cosign attest ")
    file, form = sbom["with"]["output-file"], sbom["with"]["format"]
    assert sbom["with"]["image"] == "${{ vars.REGISTRY }}/function-kratix:${{ github.ref_name }}", "of what was pushed"
    assert form == "spdx-json"
    package = "package=$(head -n 1 build/pushed)\n"
    attested = f'cosign attest --yes --type spdxjson --predicate {file} "$package"\n'
    assert package + attested in step["run"], (
        "the file that was made is attested, to the package, which is pushed first"
    )
    pushes, _ = only("make push")
    tells, told = only("gh release create")
    assert pushes < makes < attests < tells
    assert re.search(r"(?<!\S)build/\*\.spdx\.json(?!\S)", told["run"])
    assert fnmatch(file, "build/*.spdx.json"), "and whoever looks at the release finds it there"


def test_no_step_of_a_release_may_fail_or_be_left_out() -> None:
    for step in steps("release.yml"):
        assert not {"if", "continue-on-error"} & step.keys(), step


def test_no_registry_is_named() -> None:
    for name in FILES:
        text = (FOLDER / name).read_text(encoding="utf-8")
        assert not re.search(r"\b(ghcr|docker|quay|gcr|xpkg)\.\w+", text), "vars.REGISTRY says which"


def _git(folder: Path, *words: str) -> None:
    own = [
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.org",
        "-c",
        "commit.gpgsign=false",
        "-c",
        "tag.gpgsign=false",
    ]
    subprocess.run(["git", *own, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One with version.sh and a commit."""
    (tmp_path / "package").mkdir()
    script = tmp_path / "package" / "version.sh"
    script.write_bytes((ROOT / "package" / "version.sh").read_bytes())
    script.chmod(0o755)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "p"\nversion = "1.2.0"\n')
    _git(tmp_path, "init", "--quiet")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "--quiet", "-m", "one", "--date=2026-11-26T08:00:00Z")
    return tmp_path


def version(repository: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([repository / "package/version.sh"], cwd="/", capture_output=True, text=True, check=False)


def test_a_version_comes_from_the_tag(repository: Path) -> None:
    for tag in ("v1.2.0-rc.1", "v1.2.0"):
        _git(repository, "tag", tag)
        assert version(repository).stdout == f"{tag}\n"


def test_without_a_tag_a_version_sorts_before_all_tags(repository: Path) -> None:
    found = version(repository)
    assert re.fullmatch(r"v0\.0\.0-\d{14}-[0-9a-f]{12}\n", found.stdout), found


def test_a_tag_that_is_not_the_projects_version_is_none(repository: Path) -> None:
    _git(repository, "tag", "v1.3.0")
    found = version(repository)
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr == "version: cannot be v1.3.0: pyproject.toml says v1.2.0\n"
