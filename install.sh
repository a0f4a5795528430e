#!/bin/sh
# Installs portward from a release, without a compiler and without root:
#
#   curl --proto '=https' --tlsv1.2 -fsSL https://github.com/portward.example/portward/releases/latest/download/install.sh | sh
#
# It fetches the archive for this machine and SHA256SUMS, and installs the program only if the archive has the sum that is
# written there. Where `gh` is installed and logged in, the archive must also have been built by the release workflow of the
# repository. Everything is in one function, which the last line calls: half of this file does nothing.
#
# PORTWARD_VERSION      the version, such as 0.1.0; without it the latest release
# PORTWARD_INSTALL_DIR  where the program goes; without it ~/.local/bin
# PORTWARD_SHA256       the sum that the archive must have, for one version; without it the one of SHA256SUMS
# PORTWARD_ATTESTATION  auto (as above), require (it is an error if `gh` cannot tell), or skip
# PORTWARD_RELEASES     another place with the same files; https, or http on loopback
# PORTWARD_CACHE        a folder where archives are kept; what is in it is used only if its sum is right
set -eu

main() {
  repository=portward.example/portward # from release/place
  releases=${PORTWARD_RELEASES:-https://github.com/$repository/releases}
  version=${PORTWARD_VERSION:-}
  version=${version#v}
  folder=${PORTWARD_INSTALL_DIR:-$HOME/.local/bin}
  attestation=${PORTWARD_ATTESTATION:-auto}

  case $version in *[!0-9A-Za-z.+-]*) fail "\`$version\` is not a version" ;; esac
  case $attestation in auto | require | skip) ;; *) fail "PORTWARD_ATTESTATION is auto, require or skip" ;; esac
  # A host name that only begins with that of loopback is another host.
  case $releases in
    https://*) protocol='=https' ;;
    http://127.0.0.1:*@* | http://localhost:*@*) fail "\`$releases\` is not on loopback" ;;
    http://127.0.0.1:* | http://127.0.0.1/* | http://localhost:* | http://localhost/*) protocol='=http' ;;
    *) fail "\`$releases\` is not https" ;;
  esac
  for tool in curl tar uname mktemp; do
    command -v "$tool" >/dev/null || fail "$tool is needed, and is not installed"
  done

  case $(uname -s):$(uname -m) in
    Linux:x86_64 | Linux:amd64) target=x86_64-unknown-linux-musl ;;
    Linux:aarch64 | Linux:arm64) target=aarch64-unknown-linux-musl ;;
    Darwin:x86_64) target=x86_64-apple-darwin ;;
    Darwin:arm64) target=aarch64-apple-darwin ;;
    *) fail "there is no archive for $(uname -s) on $(uname -m); \`cargo install --locked portward\` compiles one" ;;
  esac

  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  if [ -n "$version" ]; then from=$releases/download/v$version; else from=$releases/latest/download; fi

  if [ -n "${PORTWARD_SHA256:-}" ]; then
    [ -n "$version" ] || fail "PORTWARD_SHA256 is of one version, and PORTWARD_VERSION does not say of which"
    name=portward-$version-$target.tar.gz
    wanted=$PORTWARD_SHA256
  else
    # The list has the names too, and so the version of the latest release. One line must be of this target.
    fetch "$from/SHA256SUMS" "$work/SHA256SUMS"
    name=$(sed -n "s/^[0-9a-f]\{64\}  \(portward-[0-9A-Za-z.+-]*-$target\.tar\.gz\)\$/\1/p" "$work/SHA256SUMS")
    [ -n "$name" ] || fail "$from/SHA256SUMS names no archive for $target"
    [ "$(echo "$name" | wc -l)" -eq 1 ] || fail "$from/SHA256SUMS names several archives for $target"
    wanted=$(sed -n "s/^\([0-9a-f]\{64\}\)  $name\$/\1/p" "$work/SHA256SUMS")
  fi
  found=${name#portward-}
  found=${found%-"$target".tar.gz}
  [ -z "$version" ] || [ "$version" = "$found" ] || fail "$from has version $found"

  kept=${PORTWARD_CACHE:+$PORTWARD_CACHE/$name}
  if [ -n "$kept" ] && [ -f "$kept" ] && [ "$(sum "$kept")" = "$wanted" ]; then
    cp "$kept" "$work/$name"
  else
    fetch "$from/$name" "$work/$name"
  fi
  sum=$(sum "$work/$name")
  [ "$sum" = "$wanted" ] || fail "$name has the SHA-256 $sum, and not $wanted: it was changed or cut off on the way"
  attested "$work/$name"
  if [ -n "$kept" ]; then
    mkdir -p "$PORTWARD_CACHE"
    cp "$work/$name" "$kept"
  fi

  tar -xzf "$work/$name" -C "$work" "${name%.tar.gz}/portward"
  program=$work/${name%.tar.gz}/portward
  [ "$("$program" --version)" = "portward $found" ] || fail "the program in $name does not run here, or is of another version"
  mkdir -p "$folder"
  # Next to where it goes, so that it takes the place of the old one in one step.
  cp "$program" "$folder/.portward.$$"
  chmod 755 "$folder/.portward.$$"
  mv -f "$folder/.portward.$$" "$folder/portward"
  echo "portward $found is installed as $folder/portward"
  case :$PATH: in *:"$folder":*) ;; *) echo "$folder is not in your PATH" ;; esac
}

# By whom it was built, where that can be asked.
attested() {
  [ "$attestation" != skip ] || return 0
  if command -v gh >/dev/null && gh auth status >/dev/null 2>&1; then
    gh attestation verify "$1" --repo "$repository" --signer-workflow "$repository/.github/workflows/release.yml" >&2 \
      || fail "${1##*/} was not built by the release workflow of $repository"
  elif [ "$attestation" = require ]; then
    fail "\`gh\` is not installed or not logged in, so nobody can tell who built ${1##*/}"
  fi
}

# fetch URL FILE. Redirects may not leave the protocol.
fetch() {
  curl --proto "$protocol" --proto-redir "$protocol" --tlsv1.2 --fail --silent --show-error --location --retry 2 \
    --connect-timeout 20 --max-time 600 --output "$2" "$1" || fail "cannot fetch $1"
}

sum() {
  if command -v sha256sum >/dev/null; then sha256sum <"$1"; else shasum -a 256 <"$1"; fi | cut -d ' ' -f 1
}

fail() {
  echo "install.sh: $1" >&2
  exit 1
}

main
