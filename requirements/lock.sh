#!/usr/bin/env bash
# Pin both requirement sets with hashes and without index addresses. Needs `uv`.
set -euo pipefail
cd "$(dirname "$0")"
for set in test run; do
  constraint=(); [ $set = run ] && constraint=(-c test.txt)
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-header --no-annotate "${constraint[@]}" --output-file $set.txt $set.in
done
