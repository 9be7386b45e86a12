#!/bin/sh
# Says which version this commit is: its tag; without one, a version that sorts before every tag, as Go makes them.
# A tag has to be the version in pyproject.toml, or that one on its way (v1.2.0-rc.1).
set -eu
cd "$(dirname "$0")/.."
tag=$(git -c versionsort.suffix=- tag --points-at HEAD --list 'v[0-9]*' --sort=v:refname | tail -n 1)
if [ -z "$tag" ]; then
    date=$(TZ=UTC git show --no-patch --format=%cd --date=format-local:%Y%m%d%H%M%S HEAD)
    echo "v0.0.0-$date-$(git rev-parse --short=12 HEAD)"
    exit
fi
project=v$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
if [ "${tag%%-*}" != "$project" ]; then
    echo "version: cannot be $tag: pyproject.toml says $project" >&2
    exit 1
fi
echo "$tag"
