# shellcheck shell=bash
# What the scripts here share: a server of their own, and nothing of the person who runs them. Sourced, not run.

# Leaves a temporary folder in $work, which is removed at the end together with the server.
begin() {
  work=$(mktemp -d)
  server=
  trap finish EXIT
}

finish() {
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  rm -rf "$work"
}

# isolate: no settings, no credentials, and no way to any host but this one.
isolate() {
  local name
  for name in $(compgen -e | grep -E '^(AWS|TF|PORTWARD)_' || true); do unset "$name"; done
  export HOME=$work/home
  mkdir -p "$HOME"
  export AWS_CONFIG_FILE=$work/none AWS_SHARED_CREDENTIALS_FILE=$work/none AWS_EC2_METADATA_DISABLED=true
  export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=eu-central-1 AWS_REGION=eu-central-1
  # Nobody listens on this port, so a request to anywhere else fails at once.
  export http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 no_proxy=127.0.0.1
  export HTTP_PROXY=$http_proxy HTTPS_PROXY=$https_proxy NO_PROXY=$no_proxy
}

# serve PORTWARD STATE [ARGUMENT...]: starts an emulator and leaves its address in $url.
serve() {
  local portward=$1 state=$2
  shift 2
  mkfifo "$work/url"
  "$portward" emulate --listen 127.0.0.1:0 --state "$state" "$@" >"$work/url" &
  server=$!
  # One line on standard output says where it listens, as soon as it does.
  url=
  IFS= read -r -t 30 url <"$work/url" || true
  case $url in
    http://127.0.0.1:*) ;;
    *)
      echo "not ok - the emulator printed no URL: '$url'"
      exit 1
      ;;
  esac
  export AWS_ENDPOINT_URL_LIGHTSAIL=$url AWS_ENDPOINT_URL_STS=$url
}
