"""`python -m testbed`: a testbed for a person; the tests bring up their own.

python -m testbed up                  bring up everything, and print its KUBECONFIG
python -m testbed up -p api -n other  a smaller one, beside it
python -m testbed list                what is up
python -m testbed down                end what `up` started
"""

from __future__ import annotations

import argparse
import sys

from testbed import profiles
from testbed.cache import UnavailableError, say
from testbed.run import Run, runs

_NAME = "default"


def main() -> None:
    """Parse the command line and do what it says; exits 1 where that cannot be done."""
    parser = argparse.ArgumentParser(
        prog="python -m testbed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("up", "down", "list"))
    parser.add_argument("-p", "--profile", choices=tuple(profiles.PROFILES), default="kratix", help="what to bring up")
    parser.add_argument("-n", "--name", default=_NAME, help="which testbed; several can be up")
    arguments = parser.parse_args()
    run = Run(arguments.name)
    try:
        if arguments.command == "up":
            _up(arguments.profile, run)
        elif arguments.command == "down":
            _down(run)
        else:
            _list()
    except UnavailableError as error:
        sys.exit(f"testbed: {error}")


def _up(profile: str, run: Run) -> None:
    if any(alive for _, alive in run.processes()):
        raise UnavailableError(
            f"cannot bring up {run.name}: it is up already; say `down` first, or give another --name"
        )
    testbed = profiles.up(profile, run, owner=None)
    say(f"{run.name} is up; its logs are in {run.folder}")
    print(f"export KUBECONFIG={testbed.plane.kubeconfig}")  # noqa: T201 - for `eval`


def _down(run: Run) -> None:
    if not run.folder.exists():
        say(f"{run.name} is not up")
        return
    run.end()
    say(f"{run.name} is down")


def _list() -> None:
    for run in runs():
        for name, alive in run.processes():
            print(f"{run.name}  {name:32}  {'up' if alive else 'ended'}")  # noqa: T201 - the command's output


if __name__ == "__main__":
    main()
