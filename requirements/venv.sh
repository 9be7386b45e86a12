#!/bin/sh
# Makes .venv from requirements/dev.lock and puts the project into it, in place.
# `make` runs it when the lock or pyproject.toml changed. Needs a Python of 3.11 or newer with venv and ensurepip; where
# uv is on the PATH it does the same from the same lock in a tenth of the time.
set -eu
cd "$(dirname "$0")/.."
venv=.venv
lock=requirements/dev.lock
installed=$venv/dev.lock
candidates=${PYTHON:-python3 python3.13 python3.12 python3.11}

say() { echo "venv: $*" >&2; }

usable() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    for candidate in $candidates; do
        if usable "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    say "cannot make $venv: none of $candidates is a Python of 3.11 or newer with the modules venv and ensurepip" \
        "(on Debian: apt-get install python3-venv; elsewhere: make PYTHON=...)"
    return 1
}

# Without uv: the lock is complete, so pip has nothing to resolve; bytecode is written when a module is first imported.
install() {
    if command -v uv >/dev/null && uv pip install --quiet --python "$venv/bin/python" --no-deps "$@"; then
        return
    fi
    "$venv/bin/python" -m pip --quiet --disable-pip-version-check install --no-compile --no-deps "$@"
}

if ! cmp -s "$lock" "$installed"; then
    python=$(find_python)
    say "setting up $venv with $("$python" --version) from $lock (once; up to a minute)"
    "$python" -m venv --clear "$venv"
    install --require-hashes -r "$lock"
fi
install --no-build-isolation -e .
cp "$lock" "$installed" # the stamp that make looks at
