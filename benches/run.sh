#!/usr/bin/env bash
# Measures portward beside its goals, and beside boto3, the AWS CLI, Ansible and Terraform.
#
#   benches/run.sh                  everything; a quarter of an hour, after the builds
#   benches/run.sh --only 1,2,6     some of the goals
#   benches/run.sh --only 6 --sides one goal, and the side-by-side table
#   benches/run.sh --quick          fewer repeats, smaller fleets
#   benches/run.sh --only 10 --ci   .ci/run from cold too
#
# It builds the program as it is published, and what it is measured against, installs the Python tools from PyPI into a virtual
# environment under target/, and talks to nothing but `portward emulate` on loopback. Terraform takes part where it is
# installed and TF_PROVIDER_MIRROR names a filesystem mirror with hashicorp/aws. Run it on a machine that does nothing else.
#
#   PORTWARD, STAGES, BASELINE  measure these programs instead of building them
set -euo pipefail
cd "$(dirname "$0")/.."

command -v python3 >/dev/null || { echo "python3 is not installed" >&2; exit 1; }
target=${CARGO_TARGET_DIR:-target}
venv=$target/bench-venv

if [ -z "${PORTWARD:-}" ] || [ -z "${STAGES:-}" ] || [ -z "${BASELINE:-}" ]; then
  echo "building" >&2
  cargo build --locked --profile dist --quiet --target-dir "$target/bench" --bin portward
  PORTWARD=$target/bench/dist/portward
  cargo build --locked --profile dist --quiet --target-dir "$target/bench" --example stages
  STAGES=$target/bench/dist/examples/stages
  # With a profile of its own, see there.
  cargo build --locked --release --quiet --manifest-path benches/baseline/Cargo.toml --target-dir "$target/baseline"
  BASELINE=$target/baseline/release/portward-baseline
fi

# The virtual environment is made once for each list of tools.
if ! cmp --silent benches/requirements.txt "$venv/made-from"; then
  echo "installing what it is compared with" >&2
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-compile --requirement benches/requirements.txt
  # Of Ansible's hundred collections only the two for AWS are needed.
  collections=$(echo "$venv"/lib/python3.*/site-packages/ansible_collections)
  find "$collections" -mindepth 1 -maxdepth 1 ! -name amazon ! -name community ! -name '*.py' -exec rm -rf {} +
  find "$collections/community" -mindepth 1 -maxdepth 1 ! -name aws -exec rm -rf {} +
  "$venv/bin/python" -m compileall -q -j 0 "$venv/lib" >/dev/null || true
  cp benches/requirements.txt "$venv/made-from"
fi

exec "$venv/bin/python" -B benches/harness \
  --portward "$(realpath "$PORTWARD")" --stages "$(realpath "$STAGES")" --baseline "$(realpath "$BASELINE")" \
  --venv "$venv" "$@"
