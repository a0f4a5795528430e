#!/usr/bin/env bash
# A machine without Rust: the system of this one, with everything that is written thrown away, no home of anybody and no
# network that is needed. Installs the package and the archive there, as root, and does the main job with each.
# usage: unshare --mount --pid --fork tests/release/machine.sh DIST
# Exits with 77 where such a machine cannot be made here.
set -euo pipefail
cd "$(dirname "$0")/../.."
dist=$(realpath "$1")

top=$(mktemp -d)
mount -t tmpfs tmpfs "$top" 2>/dev/null || exit 77
mkdir "$top/upper" "$top/work" "$top/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$top/upper,workdir=$top/work" "$top/root" 2>/dev/null || exit 77
for folder in root home tmp; do mount -t tmpfs tmpfs "$top/root/$folder"; done
mount -t proc proc "$top/root/proc"
mount --bind /dev "$top/root/dev"
mkdir "$top/root/tmp/job"
cp "$dist"/*.deb "$dist"/*.tar.gz "$top/root/tmp"
cp firewall.example.toml examples/fleet.json "$top/root/tmp/job"
mkdir "$top/root/tmp/job/examples"
cp -r examples/fleet "$top/root/tmp/job/examples"

# shellcheck disable=SC2016 # the script is for the shell of that machine
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root chroot "$top/root" bash -euo pipefail -c '
  fail() { echo "FAILED: $1"; exit 1; }
  for tool in cargo rustc; do ! command -v "$tool" >/dev/null || fail "there is Rust on this machine"; done

  # Plans, applies, finds no drift, and plans again with nothing to do.
  job() {
    cp /tmp/job/fleet.json /tmp/fleet.json
    cd /tmp/job
    run() { "$program" "$@" --config firewall.example.toml --emulator /tmp/fleet.json >/tmp/said 2>&1; }
    local program=$1 code=0
    run plan --detailed-exitcode || code=$?
    [ "$code" -eq 2 ] || { cat /tmp/said; fail "the plan of the example fleet ends with $code"; }
    run apply --yes || { code=$?; [ "$code" -eq 2 ]; } || { cat /tmp/said; fail "apply ends with $code"; }
    code=0
    run plan --detailed-exitcode || code=$?
    grep -q "^Plan: nothing to do" /tmp/said || { cat /tmp/said; fail "the plan after it has something to do"; }
    run drift || [ $? -eq 2 ] || { cat /tmp/said; fail "drift has no answer"; }
    cd /
  }

  dpkg --install /tmp/portward_*.deb >/tmp/said 2>&1 || { cat /tmp/said; fail "the package cannot be installed"; }
  [ "$(command -v portward)" = /usr/bin/portward ] || fail "the package has no program"
  [ -z "$(dpkg --verify portward)" ] || fail "the package is not what it says"
  job /usr/bin/portward
  gzip -dc /usr/share/man/man1/portward-plan.1.gz | grep -q "portward.-plan" || fail "there is no manual page"
  bash -c ". /usr/share/bash-completion/completions/portward && complete -p portward" >/dev/null || fail "bash completes nothing"
  if command -v systemd-analyze >/dev/null; then
    said=$(systemd-analyze verify --man=no /usr/lib/systemd/system/portward-drift.service /usr/lib/systemd/system/portward-drift.timer 2>&1) || fail "$said"
    ! grep -F portward <<<"$said" || fail "the units are not clean"
  fi
  if command -v systemd-sysusers >/dev/null; then getent passwd portward >/dev/null || fail "the units have no user"; fi
  dpkg --remove portward >/tmp/said 2>&1 || { cat /tmp/said; fail "the package cannot be removed"; }
  [ -z "$(find /usr -name "*portward*")" ] || fail "the package leaves something behind"

  mkdir /tmp/unpacked
  tar -xzf /tmp/portward-*.tar.gz -C /tmp/unpacked
  cd /tmp/unpacked/portward-*
  for part in LICENSE README.md CHANGELOG.md firewall.example.toml man/portward.1 man/portward-apply.1 completions/_portward; do
    [ -s "$part" ] || fail "the archive has no $part"
  done
  job "$PWD/portward"
'
echo "machine: 2 passed, 0 failed"
