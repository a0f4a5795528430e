#!/usr/bin/env bash
# What is published, made of a debug build and installed: the archive and the package on a machine without Rust, the installer
# against a file server that lies, the image, the formula, the list of what goes to crates.io, and the alerts.
# It is root's: what cannot be made here is said to be skipped. usage: tests/release/run.sh PORTWARD
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
portward=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$here/../.."
fail() { echo "FAILED: $1"; exit 1; }

if command -v apt-get >/dev/null && ! { command -v promtool && command -v buildah; } >/dev/null; then
  { apt-get update && apt-get install --yes --no-install-recommends buildah prometheus; } >"$work/apt.log" 2>&1 || true
fi
if command -v promtool >/dev/null; then
  promtool check rules examples/prometheus/alerts.yml >"$work/log" 2>&1 || { cat "$work/log"; fail "the alerts are not valid"; }
  promtool test rules examples/prometheus/alerts.test.yml >"$work/log" 2>&1 || { cat "$work/log"; fail "the alerts do not do what they should"; }
  # Tests that pass whatever the rules are would prove nothing.
  sed 's/> 0$/> 1000/' examples/prometheus/alerts.yml >"$work/alerts.yml"
  cp examples/prometheus/alerts.test.yml "$work"
  if promtool test rules "$work/alerts.test.yml" >"$work/log" 2>&1; then fail "the alerts pass their tests without raising any"; fi
  echo "alerts: 2 passed, 0 failed"
else
  echo "skipped, so no alert was tested: Debian cannot install prometheus"
fi
python3 "$here/metrics.py" "$portward" examples/prometheus/alerts.yml examples/prometheus/alerts.test.yml examples/prometheus/dashboard.json

# The hook of pre-commit, of a valid configuration and of one that is not.
if { python3 -m venv "$work/venv" && "$work/venv/bin/pip" install --quiet --disable-pip-version-check 'pre-commit==4.7.0'; } >"$work/pip.log" 2>&1; then
  mkdir "$work/hooks" "$work/fleet"
  git -C "$work/hooks" init --quiet
  cp .pre-commit-hooks.yaml "$work/hooks"
  git -C "$work/hooks" add .
  git -C "$work/hooks" -c user.name=somebody -c user.email=somebody@example.com commit --quiet --message hooks
  git -C "$work/fleet" init --quiet
  hook() {
    printf 'version = 1\ndefaults = { region = "eu-central-1" }\n[instances.web-1]\nrules = [%s]\n' "$1" >"$work/fleet/firewall.toml"
    git -C "$work/fleet" add .
    (cd "$work/fleet" && PATH=${portward%/*}:$PATH HOME=$work PRE_COMMIT_HOME=$work/cache "$work/venv/bin/pre-commit" try-repo "$work/hooks" portward-check --all-files) >"$work/log" 2>&1
  }
  hook '' || { cat "$work/log"; fail "the hook refuses a valid configuration"; }
  if hook '{ allow = "sssh", from = "anywhere" }'; then fail "the hook lets a configuration pass that is not valid"; fi
  grep -qF 'there is no service' "$work/log" || { cat "$work/log"; fail "the hook does not say why"; }
  echo "pre-commit: 2 passed, 0 failed"
else
  echo "skipped, so no hook was run: PyPI cannot install pre-commit"
fi

# The program for Windows, which a release makes there, compiles. What it needs of C is compiled by Debian's compiler for it.
windows=x86_64-pc-windows-gnu
if { rustup target add "$windows" && { command -v x86_64-w64-mingw32-gcc || apt-get install --yes --no-install-recommends gcc-mingw-w64-x86-64; }; } >"$work/log" 2>&1; then
  cargo check --locked --quiet --target "$windows" --bin portward || fail "it does not compile for Windows"
  echo "windows: 1 passed, 0 failed"
else
  echo "skipped, so nothing was compiled for Windows: its target or its C compiler cannot be installed"
fi

# What goes to crates.io: enough to compile, and no test or fixture of one.
cargo package --locked --allow-dirty --no-verify --list >"$work/package" 2>"$work/log" || { cat "$work/log"; fail "there is no package"; }
for part in Cargo.lock Cargo.toml LICENSE README.md schemas/report.v1.json src/lib.rs src/main.rs src/render/html/page.css; do
  grep -qxF "$part" "$work/package" || fail "the package lacks $part"
done
if grep -vE '^(src/.*\.(rs|css)|schemas/.*\.json|[A-Za-z_.-]+)$' "$work/package"; then fail "this is no part of the package"; fi
while IFS= read -r part; do
  grep -qxF "$part" "$work/package" || fail "the package lacks $part, which is compiled in"
done < <(grep -rhoE 'include_(str|bytes)!\("[^"]*schemas/[^"]*"' src | sed 's#.*\(schemas/[^"]*\)"#\1#' | sort -u)
echo "package: $(wc -l <"$work/package") files"

# Everything that names the place of publication names the same.
. release/place
owner=${REPOSITORY%%/*}
if git grep -nE '(github\.com|ghcr\.io|raw\.githubusercontent\.com|CI_SERVER_FQDN)/[A-Za-z0-9._-]+/portward' -- ':!tests/release/run.sh' ':!docs' \
  | grep -vF "/$owner/portward"; then
  fail "these name another place than release/place"
fi
[ "$(git grep -lF "$REPOSITORY" -- Cargo.toml install.sh release/place templates examples/ci | wc -l)" -ge 9 ] || fail "hardly any file names the place"
grep -qxF "REPOSITORY=$REPOSITORY" release/place || fail "release/place is more than a name"

# Twice the same program, twice the same bytes.
target=$(uname -m)-unknown-linux-musl
# A bill of materials where its tool is installed: compiling that takes minutes.
sbom=() files=3
cargo cyclonedx --version >/dev/null 2>&1 || { sbom=(--without-sbom) files=2; echo "skipped, so there is no bill of materials: cargo-cyclonedx is not installed"; }
for turn in first second; do
  release/build --profile dev "${sbom[@]}" --binary "$portward" --out "$work/$turn" "$target" >"$work/log" 2>&1 || { cat "$work/log"; fail "nothing can be packed"; }
done
diff -r "$work/first" "$work/second" || fail "two packings of one program differ"
(cd "$work/first" && sha256sum --check --quiet --strict SHA256SUMS) || fail "the sums are wrong"
[ "$(wc -l <"$work/first/SHA256SUMS")" -eq "$files" ] || fail "the sums are not those of what was made"
if [ "$files" -eq 3 ]; then
  python3 - "$work"/first/*.cdx.json <<'PYTHON' || fail "the bill of materials is not that of the program"
import json, os, sys
text = open(sys.argv[1], encoding="utf-8").read()
names = {component["name"] for component in json.loads(text)["components"]}
assert {"aws-sdk-lightsail", "ring", "toml"} <= names, "a crate is missing"
assert not {"proptest", "insta", "jsonschema"} & names, "a crate is of tests only"
assert os.getcwd() not in text, "it names this folder"
PYTHON
fi
if tar -tvzf "$work"/first/*.tar.gz | grep -vE '^[-d]rw[-x]r-[-x]r-[-x] root/root '; then fail "the archive has an owner or an odd mode"; fi
echo "packing: 2 passed, 0 failed"

# What cannot be built here is said, before anything is compiled.
for case in 69:aarch64-apple-darwin 69:x86_64-pc-windows-msvc 64:x86_64-unknown-nothing 64:--colour; do
  [ "$(uname -s)" = Linux ] || break
  code=0
  release/build "${case#*:}" >"$work/log" 2>&1 || code=$?
  [ "$code" -eq "${case%%:*}" ] || { cat "$work/log"; fail "release/build ${case#*:} ends with $code"; }
done

# The formula takes all four archives or none.
for other in aarch64-unknown-linux-musl x86_64-unknown-linux-musl aarch64-apple-darwin x86_64-apple-darwin; do
  printf '%064d  portward-1.2.3-%s.tar.gz\n' "${#other}" "$other"
done >"$work/sums"
release/formula "$work/sums" >"$work/portward.rb"
if grep -n '@' "$work/portward.rb"; then fail "the formula is not filled in"; fi
[ "$(grep -c "^ *sha256 \"[0-9]\{64\}\"$" "$work/portward.rb")" -eq 4 ] || fail "the formula has not four sums"
if command -v ruby >/dev/null; then ruby -c "$work/portward.rb" >/dev/null; fi
head -n 3 "$work/sums" >"$work/fewer"
if release/formula "$work/fewer" >/dev/null 2>&1; then fail "a formula is made without an archive"; fi
echo "formula: 2 passed, 0 failed"

python3 "$here/install.py" "$work/first"

if [ "$(id -u)" -ne 0 ] || ! unshare --mount true 2>/dev/null; then
  echo "skipped, so nothing was installed as root: no mount can be made here"
  exit 0
fi
# The image, by a builder that needs no daemon, and run without a container.
images() { buildah --storage-driver vfs --root "$work/images" --runroot "$work/images.run" "$@"; }
mkdir "$work/nothing"
if [ ! -f /etc/ssl/certs/ca-certificates.crt ]; then
  echo "skipped, so no image was made: ca-certificates is not installed"
elif ! images bud --quiet --isolation chroot --file <(echo 'FROM scratch') --tag nothing "$work/nothing" >"$work/log" 2>&1; then
  echo "skipped, so no image was made: buildah is not installed or may not build here"
else
  release/image "$work/first" "$work/image"
  architecture=$(uname -m)
  architecture=${architecture/x86_64/amd64}
  images bud --quiet --isolation chroot --platform "linux/${architecture/aarch64/arm64}" --file release/Dockerfile --tag portward "$work/image" \
    >"$work/log" 2>&1 || { cat "$work/log"; fail "the image cannot be built"; }
  images inspect --type image portward >"$work/image.json"
  unshare --mount python3 "$here/image.py" "$(images mount "$(images from portward)")" "$work/image.json"
fi

unshare --mount --pid --fork "$here/machine.sh" "$work/first" || { code=$?; [ "$code" -eq 77 ] || exit "$code"; echo "skipped, so nothing was installed without Rust: no overlay can be mounted here"; }
