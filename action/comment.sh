#!/usr/bin/env bash
# Posts a review on a pull request, or changes the one that is there. usage: comment.sh FILE
# The text goes from the file into a request and passes no shell. Only the bot's own comment that begins with the mark is ever
# changed, since anybody may write a comment that begins with it.
set -euo pipefail

mark='<!-- portward:diff -->'
body=$(mktemp)
trap 'rm -f "$body"' EXIT
jq --raw-input --slurp --arg mark "$mark" 'if startswith($mark) then {body: .[:65000]} else error("not a comment") end' "$1" >"$body"
old=$(gh api --paginate "repos/$REPOSITORY/issues/$NUMBER/comments" \
  | jq --slurp --raw-output --arg mark "$mark" \
    '[.[][] | select(.user.login == "github-actions[bot]" and (.body | startswith($mark)))][0].id // empty')
if [ -n "$old" ]; then
  gh api --method PATCH "repos/$REPOSITORY/issues/comments/$old" --input "$body" >/dev/null
else
  gh api --method POST "repos/$REPOSITORY/issues/$NUMBER/comments" --input "$body" >/dev/null
fi
