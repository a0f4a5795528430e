# To be sourced: a browser and what drives it. Whoever sources it says in `skip REASON` what happens where there is none.

# usage: browser FOLDER PACKAGE...; the packages from npm come into FOLDER/npm.
browser() {
  local folder=$1 as_root=()
  shift
  if [ ! -x "${CHROMIUM:-/usr/bin/chromium}" ]; then
    if [ "$(id -u)" -ne 0 ]; then
      sudo -n true 2>"$folder/sudo.log" || skip "there is no chromium, and only root may install it"
      as_root=(sudo -n)
    fi
    { "${as_root[@]}" apt-get update && "${as_root[@]}" apt-get install --yes --no-install-recommends chromium; } \
      >"$folder/apt.log" 2>&1 || skip "there is no chromium, and apt-get cannot install it"
  fi
  npm install --silent --no-audit --no-fund --prefix "$folder/npm" "$@" >"$folder/npm.log" 2>&1 \
    || skip "npm cannot install $*"
}
