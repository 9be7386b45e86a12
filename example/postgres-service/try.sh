#!/bin/sh
# What the Promise's pipeline makes of a request, without Kratix: its two containers, one after the other, over the folders
# that Kratix would give them. Shows the files for the Destination, the selectors that choose it, and the request's status.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
kratix=$(mktemp -d)
trap 'rm -r "$kratix"' EXIT
mkdir "$kratix/input"
cp "$here/$1" "$kratix/input/object.yaml"
export KRATIX_PROMISE_NAME=postgres-service

kratix-crossplane stage delegate --folder="$kratix" --group=cloud.example.org --kind=CloudPostgres \
  --when="request.spec.env == 'prod'"
kratix-crossplane stage promise --folder="$kratix" --input="$here/logic.yaml" --context="$here/context.yaml"

cd "$kratix"
tail -n +1 output/* metadata/*
