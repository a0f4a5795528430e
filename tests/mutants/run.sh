#!/usr/bin/env bash
# Mutation tests of the modules that decide and of the one that writes: cargo-mutants on a crate of just those modules, which
# builds in seconds because it has no SDK. docs/src/testing.md says how to read the result and lists the explained survivors.
#
# usage: tests/mutants/run.sh MODULE [ARGUMENT...]
#   MODULE    exposure, policy, plan or apply, or a path below one of them such as plan/lint
#   ARGUMENT  anything that `cargo mutants` takes: --shard 0/8, --list, --re NAME
#
# CRATE=DIR keeps the crate elsewhere than in target/mutants, and UNIT=1 leaves the simulation out, which the applier has
# besides its own tests. cargo-mutants must be on the PATH (cargo install cargo-mutants).
set -euo pipefail
if [ $# -lt 1 ]; then
  sed -n 's/^# //; s/^#$//; 5,10p' "$0" >&2
  exit 64
fi
module=$1
shift
cd "$(dirname "$0")/../.."
root=$PWD
crate=${CRATE:-$root/target/mutants}
mkdir -p "$crate"
crate=$(realpath "$crate")

# The module and what it stands on, without what names the SDK.
case $module in
  exposure* | policy* | plan*) modules=("${module%%/*}") ;;
  # Most of what must hold of the applier is held by the simulation, which needs the emulator and the texts of reports.
  apply*) modules=(apply); [ -n "${UNIT:-}" ] || modules+=(emulator render) ;;
  *) echo "$module: expected exposure, policy, plan or apply" >&2; exit 64 ;;
esac
for ((at = 0; at < ${#modules[@]}; at++)); do
  for name in $(grep -rhoE 'crate::[a-z_]+' "src/${modules[at]}" "src/${modules[at]}.rs" --exclude-dir=aws 2>/dev/null | cut -d: -f3 | sort -u); do
    [[ " ${modules[*]} " == *" $name "* ]] || modules+=("$name")
  done
done
rm -rf "$crate/src" "$crate/tests" "$crate/schemas"
mkdir -p "$crate/src"
echo '//! A module under test and what it stands on.' >"$crate/src/lib.rs"
for name in "${modules[@]}"; do
  if [ -d "src/$name" ]; then cp -r "src/$name" "$crate/src"; else cp "src/$name.rs" "$crate/src"; fi
  echo "pub mod $name;" >>"$crate/src/lib.rs"
done
if [[ " ${modules[*]} " == *" emulator "* ]]; then
  mkdir -p "$crate/tests" "$crate/src/cli"
  cp -r tests/simulation "$crate/tests"
  cp -r schemas docs "$crate"
  cp src/cli/exit.rs "$crate/src/cli"
  printf 'mod exit;\npub use exit::Exit;\n' >"$crate/src/cli/mod.rs"
  echo "pub mod cli;" >>"$crate/src/lib.rs"
fi
# What a module stands on cannot see its mutants, so that their tests are left out. What they lend to tests stays.
find "$crate/src" -name '*.rs' -not -path "$crate/src/${modules[0]}/*" -not -path "$crate/src/${modules[0]}.rs" -print0 |
  xargs -0 perl -0pi -e 's/#\[cfg\(test\)\]\n((?:#\[[^\n]*\]\n)*mod \w*tests\b)/#[cfg(any())]\n$1/g'
# The first test that fails ends the run: that is all there is to know.
cat >>"$crate/src/lib.rs" <<'RUST'

#[cfg(test)]
#[used]
#[unsafe(link_section = ".init_array")]
static FAIL_FAST: extern "C" fn() = {
    extern "C" fn fail_fast() {
        std::panic::set_hook(Box::new(|failure| {
            eprintln!("{failure}");
            std::process::exit(101);
        }));
    }
    fail_fast
};
RUST
if [ -d "$crate/src/lightsail" ]; then
  rm -r "$crate/src/lightsail/aws"
  sed -i '/^pub mod aws;/d' "$crate/src/lightsail/mod.rs"
fi

# Their dependencies, word for word from Cargo.toml, and its lock file.
dependencies() {
  sed -n "/^\[$1\]/,/^\[/p" Cargo.toml | grep -E "^($2) = "
}
needed='anstream|anstyle|fastrand|futures-util|glob|hmac|http-body-util|hyper|hyper-util|icu_properties|ipnet|serde|serde_json|sha2|similar|strsim'
needed+='|tempfile|thiserror|time|tokio|tracing|uuid'
cat >"$crate/Cargo.toml" <<TOML
[package]
name = "portward"
version = "0.1.0"
edition = "2024"

[lib]
doctest = false

[features]
$(sed -n '/^\[features\]/,/^$/p' Cargo.toml | tail -n +2)

[dependencies]
$(dependencies dependencies "$needed")

[dev-dependencies]
$(dependencies dev-dependencies 'insta|proptest|range-set-blaze|regex-syntax')

# Mutants are built far more often than they run; what they stand on is built once.
[profile.dev]
debug = false
[profile.dev.package."*"]
opt-level = 2

[workspace]
TOML
cp Cargo.lock "$crate/Cargo.lock"

# Few cases of many: a property that needs thousands to see a mutant is too weak to count on.
export PROPTEST_CASES=${PROPTEST_CASES:-64} PROPTEST_MAX_SHRINK_ITERS=0
export INSTA_UPDATE=no INSTA_FORCE_PASS=0
# A hundred worlds of the simulation, and every schedule in which one thing happens.
export PORTWARD_SEEDS=${PORTWARD_SEEDS:-100} PORTWARD_DEPTH=${PORTWARD_DEPTH:-1}
# A mutant may loop and collect for ever.
ulimit -v $((6 << 20))
cd "$crate"
exec cargo mutants --in-place --output "$crate" --file "src/$module/**" --file "src/$module.rs" \
  --timeout "${TIMEOUT:-60}" --build-timeout 300 --colors never --no-times "$@"
