#!/usr/bin/env bash
# The step of action.yml that runs portward. Everything it is told comes in variables, and none of them is ever a script.
# Owns what each verb of the action does. Does not install, and hands nothing on: the steps around it do.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
folder=$RUNNER_TEMP/portward
PATH=$folder/bin:$PATH

fail() { echo "::error title=portward::$1"; exit 64; }

# The document that a pull request is judged by: the inventory of the base, so that none can choose its own.
base_inventory() {
  mkdir -p "$folder/base"
  git show "$1:$INVENTORY" >"$folder/base/fleet.json"
}

# What a review finds is all shown; its exit code is that of the first step that has no answer.
review() {
  git rev-parse --quiet --verify "origin/$BASE" >/dev/null || fail "the base branch is not checked out"
  local failed=0
  step 0 check --config "$CONFIG"
  base_inventory "origin/$BASE"
  step 2 diff "git:origin/$BASE:$CONFIG" "$CONFIG" --inventory "$folder/base/fleet.json" # 2: something changes
  step 0 plan --config "$CONFIG" --inventory "$folder/base/fleet.json"
  return "$failed"
}

# step ANSWER VERB...: runs a verb whose answers are 0 and that one.
step() {
  local code=0
  portward "${@:2}" --format github || code=$?
  if [ "$failed" -eq 0 ] && [ "$code" -ne "$1" ]; then failed=$code; fi
}

# The pull request is fetched as commits: no file of it is written, none is run, and what is posted is made here.
comment() {
  [[ $NUMBER =~ ^[0-9]+$ ]] || fail "there is no number of a pull request"
  gh auth setup-git
  git fetch --quiet --no-tags --depth=2 origin "refs/pull/$NUMBER/merge"
  base_inventory 'FETCH_HEAD^1'
  local code=0
  portward diff "git:FETCH_HEAD^1:$CONFIG" "git:FETCH_HEAD:$CONFIG" --inventory "$folder/base/fleet.json" \
    --format markdown >"$folder/diff.md" || code=$?
  # 0: nothing changes, 2: something does, 6: something is undecided, which the text says.
  case $code in 0 | 2 | 6) ;; *) return "$code" ;; esac
  "$here/comment.sh" "$folder/diff.md"
}

case $VERB in
  install) ;;
  check) portward check --config "$CONFIG" --format github ;;
  findings) portward check --config "$CONFIG" --report sarif=firewall.sarif ;;
  review) review ;;
  comment) comment ;;
  plan)
    portward plan --config "$CONFIG" --out plan.json --format github --report html=plan.html
    digest=$(jq --raw-output .digest plan.json)
    [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]]
    echo "digest=$digest" >>"$GITHUB_OUTPUT"
    ;;
  apply)
    # shellcheck disable=SC2153 # it comes from action.yml
    [[ $DIGEST =~ ^sha256:[0-9a-f]{64}$ ]] || fail "apply needs the digest of the plan"
    portward apply plan.json --config "$CONFIG" --digest "$DIGEST" --yes --format github --report json=report.json
    ;;
  drift)
    portward drift --config "$CONFIG" ${SHARD:+"--shard=$SHARD"} --format github --report json=report.json
    ;;
  expire) portward apply --only-expired --config "$CONFIG" --yes ;;
  merge)
    code=0
    # A part without a report makes it 6.
    portward report merge --format text --report markdown="$folder/answer.md" shards/*/report.json || code=$?
    [ ! -f "$folder/answer.md" ] || cat "$folder/answer.md" >>"$GITHUB_STEP_SUMMARY"
    exit "$code"
    ;;
  inventory)
    mkdir -p "$folder/inventory"
    portward inventory -c "$CONFIG" -o "$folder/inventory/fleet.json"
    digest=$(sha256sum <"$folder/inventory/fleet.json")
    echo "sha256=${digest%% *}" >>"$GITHUB_OUTPUT"
    ;;
  propose) "$here/propose.sh" "$folder/inventory/fleet.json" ;;
  *) fail "the action has no such verb" ;;
esac
