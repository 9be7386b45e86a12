"""Looks through this project's image, and what is applied beside it, with Trivy: `make scan`.

Secrets and misconfigurations need nothing but Trivy, which brings its checks. What is known of vulnerabilities is in a
database that Trivy downloads, once a day at most (`TRIVY_DB_REPOSITORY` names a copy of it in another registry); where it
cannot be had, that is said, and is never taken for a good answer. What is found and meant so is in `.trivyignore.yaml`, each
with its reason.

Exit code 0: nothing was found. 1: something was, and is named. 2: the scan could not be done. 3: all but the vulnerabilities
was looked for, and nothing was found.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from testbed import image, tools
from testbed.cache import UnavailableError, folder, locked
from testbed.versions import TRIVY

_ROOT = Path(__file__).resolve().parents[2]
_FOUND = 10  # Trivy's own errors are 1
# It tells nobody that it runs, and asks nobody for newer checks than its own: the same tree, the same answer.
_ALONE = ("--quiet", "--table-mode=detailed", "--skip-version-check", "--disable-telemetry")
_IGNORED = f"--ignorefile={_ROOT / '.trivyignore.yaml'}"
_EMBEDDED = "--skip-check-update"
# But for what tests plant to be found, and what is made of the rest.
SHIPPED = ("--skip-dirs=tests,build,.venv,.venv-audit", str(_ROOT))
# As of the forge's scan: what is severe and has a version without it.
_SEVERE = ("--scanners=vuln", "--severity=HIGH,CRITICAL", "--ignore-unfixed")


class Verdict(IntEnum):
    """How a scan ends, as an exit code."""

    CLEAN = 0
    FOUND = 1
    FAILED = 2
    UNANSWERED = 3


@dataclass(frozen=True, slots=True)
class _Look:
    """Attributes:
    what: Is looked at, for a person.
    arguments: Of Trivy.
    asks: It needs the database of vulnerabilities.
    """

    what: str
    arguments: tuple[str, ...]
    asks: bool = False


def scan(archive: Path) -> Verdict:
    """Scan an image's file, as `docker save` writes it, and what is applied beside it; what is found is printed.

    Raises:
        UnavailableError: There is no such file, Trivy can be neither found nor built, or it fails.
    """
    if not archive.is_file():
        raise UnavailableError(f"cannot scan {archive}: there is no such file")
    _say(str(archive))
    from_archive = ("image", f"--input={archive}")
    config_too = ("--scanners=secret,misconfig", "--image-config-scanners=secret,misconfig")
    looks = (
        _Look("secrets and misconfigurations of the image", (*from_archive, _EMBEDDED, *config_too)),
        _Look("secrets in the sources", ("filesystem", "--scanners=secret", *SHIPPED)),
        _Look("misconfigurations of what is built and applied", ("config", _EMBEDDED, *SHIPPED)),
        _Look("known vulnerabilities of the image", (*from_archive, *_SEVERE), asks=True),
    )
    verdicts = [_look(look) for look in looks]
    return next((worst for worst in (Verdict.FOUND, Verdict.UNANSWERED) if worst in verdicts), Verdict.CLEAN)


def _look(look: _Look) -> Verdict:
    code, errors = _trivy(*look.arguments)
    if code == 0:
        _say(f"{look.what}: none")
        return Verdict.CLEAN
    if code == _FOUND:
        _say(f"{look.what}: FOUND, see above")
        return Verdict.FOUND
    if look.asks:
        _say(f"{look.what}: NOT SCANNED: the database could not be had; this is no answer:\n{errors}")
        return Verdict.UNANSWERED
    raise UnavailableError(f"cannot look for {look.what}: Trivy exited with {code}:\n{errors}")


def _trivy(*arguments: str) -> tuple[int, str]:
    """Run Trivy; returns its exit code and the end of what it said is wrong. What it found goes to standard output."""
    cache = folder("trivy")
    with locked(cache):  # it waits for no other
        done = subprocess.run(
            [tools.find(TRIVY), *arguments, *_ALONE, _IGNORED, f"--exit-code={_FOUND}", f"--cache-dir={cache}"],
            env={name: value for name, value in os.environ.items() if name != "TRIVY_CONFIG"},
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    return done.returncode, "\n".join(f"  {line}" for line in done.stderr.strip().splitlines()[-3:])


def _say(message: str) -> None:
    print(f"scan: {message}", file=sys.stderr, flush=True)  # noqa: T201 - progress, for people


def main(arguments: Sequence[str]) -> Verdict:
    """Scan the image whose file is named, or else this project's, built of the work tree."""
    try:
        return scan(Path(arguments[0]) if arguments else image.ours().archive)
    except UnavailableError as error:
        _say(str(error))
        return Verdict.FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
