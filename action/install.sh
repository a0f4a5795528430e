#!/usr/bin/env bash
# The step of action.yml that installs: the repository's own install.sh, with the archive kept for the next run.
# Owns where things are on a runner. Does not decide what is a right archive.
set -euo pipefail

folder=$RUNNER_TEMP/portward
# A sum that the workflow names leaves nothing open. One that comes from where the archive comes from does, so that then the
# attestation must hold.
if [ -n "$PORTWARD_SHA256" ]; then attestation=auto; else attestation=require; fi
if [ -z "$PORTWARD_RELEASES" ]; then unset PORTWARD_RELEASES; fi
PORTWARD_CACHE=$folder/archive PORTWARD_INSTALL_DIR=$folder/bin PORTWARD_ATTESTATION=$attestation \
  sh "$GITHUB_ACTION_PATH/../install.sh"
echo "$folder/bin" >>"$GITHUB_PATH"
