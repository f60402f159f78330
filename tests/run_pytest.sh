#!/usr/bin/env bash
# Runs one pytest file of the runfiles tree and leaves the report where Bazel looks for it.
set -eu
export PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 -m pytest -q -rs -p no:cacheprovider --junitxml="${XML_OUTPUT_FILE:-/dev/null}" \
  --rootdir="$(dirname "$1")" "$1"
