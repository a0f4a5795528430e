#!/usr/bin/env bash
# Opens a pull request with a new inventory, or brings the open one up to date. usage: propose.sh FILE
# The file was made by a job with credentials for AWS, which this one does not have; its sum came another way.
set -euo pipefail

sha256sum --check --quiet <<<"$INVENTORY_SHA256  $1"
cp "$1" "$INVENTORY"
if [ -z "$(git status --porcelain -- "$INVENTORY")" ]; then
  echo "the inventory is up to date"
  exit 0
fi
gh auth setup-git
git switch --quiet --create firewall-inventory
git add -- "$INVENTORY"
git -c user.name='github-actions[bot]' -c user.email='41898282+github-actions[bot]@users.noreply.github.com' \
  commit --quiet --message 'Refresh the inventory of the firewalls'
git push --quiet --force origin firewall-inventory
open=$(gh pr list --head firewall-inventory --base "$BASE" --state open --json number --jq length)
if [ "$open" = 0 ]; then
  gh pr create --head firewall-inventory --base "$BASE" --title 'Refresh the inventory of the firewalls' \
    --body 'What the service showed last night. Changes of firewalls are judged by this file once it is merged.'
fi
