#!/bin/sh
# Asks the vulnerability service about every dependency that a lock pins, with pip-audit from an environment of its own.
# Exit code 0: none is known to be vulnerable. 1: some are, and are named. 3: the service could not be asked, or not about
# all: that is no answer, and never taken for a good one. AUDIT=osv asks another service than the package index, and
# AUDIT=<URL of its query> a copy of that one.
set -eu
cd "$(dirname "$0")/.."
venv=.venv-audit
lock=requirements/audit.lock
service=${AUDIT:-pypi}
case $service in
*://*) set -- --vulnerability-service osv --osv-url "$service" ;;
*) set -- --vulnerability-service "$service" ;;
esac
vulnerable=1
unanswered=3

say() { echo "audit: $*" >&2; }

if ! cmp -s "$lock" "$venv/audit.lock"; then
    say "setting up $venv from $lock (once)"
    "${PYTHON:-python3}" -m venv --clear "$venv"
    "$venv/bin/python" -m pip --quiet --disable-pip-version-check install --no-deps --require-hashes -r "$lock"
    cp "$lock" "$venv/audit.lock"
fi

answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
result=0
for each in requirements/*.lock; do
    : >"$answer"
    # Every lock is whole and has hashes, so nothing is resolved and nothing is downloaded.
    if "$venv/bin/pip-audit" --disable-pip --require-hashes --requirement "$each" "$@" \
        --strict --progress-spinner off --output "$answer"; then
        say "$each: nothing is known of any of its $(grep -c '^[a-z0-9]' "$each") dependencies"
    elif [ -s "$answer" ]; then
        say "$each: VULNERABLE"
        cat "$answer"
        [ "$result" -ne 0 ] || result=$vulnerable
    else
        say "$each: NOT AUDITED: the vulnerability service ($service) could not be asked; this is no answer"
        result=$unanswered
    fi
done
exit "$result"
