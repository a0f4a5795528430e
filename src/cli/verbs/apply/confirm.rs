//! Who confirms a run that has to be confirmed: somebody who presses Enter, or a command that succeeds.
//!
//! Owns the asking. Does not put anything back, which is the executor's.

use std::time::Duration;

use super::{ApplyArgs, probe};
use crate::apply::{self, Confirmation};
use crate::cli::error::CommandError;
use crate::cli::streams::write_status;
use crate::cli::terminal;
use crate::model::Code;
use crate::plan::Plan;

/// How long to wait before a probe that failed is tried again: a packet filter follows the API by some seconds.
const BETWEEN_PROBES: Duration = Duration::from_secs(1);

/// A confirmation that is wanted.
pub(super) struct ConfirmationRequest {
    /// Until then, counted from the proof.
    pub(super) timeout: Duration,
    probe: Option<String>,
}

impl ConfirmationRequest {
    /// What the arguments ask for; checked before anything is written.
    pub(super) fn from_args(args: &ApplyArgs, plan: &Plan) -> Result<Option<Self>, CommandError> {
        let Some(timeout) = args.confirm_within else {
            return Ok(None);
        };
        if args.probe.is_none() && !terminal::is_interactive() {
            return Err(CommandError::usage(
                "nobody can confirm: there is no terminal, and no `--probe`",
                "name a command that succeeds where all is well, such as `--probe 'ssh web-1 true'`",
            ));
        }
        if let Some((id, reason)) = apply::irreversible(plan).first() {
            return Err(
                CommandError::failed(format!("{id} could not be put back: {reason}"))
                    .with_code(Code::NoSafeWay)
                    .with_hint("apply it without `--confirm-within`, or leave it out"),
            );
        }
        Ok(Some(Self {
            timeout,
            probe: args.probe.clone(),
        }))
    }

    /// The confirmation, whenever it comes.
    pub(super) async fn wait(&self) -> Confirmation {
        let seconds = self.timeout.as_secs();
        let Some(probe) = &self.probe else {
            let question =
                format!("Press Enter within {seconds} s to keep this; otherwise it is put back.");
            return wait_for_enter(&question).await;
        };
        write_status(&format!(
            "Probing for at most {seconds} s; unless `{probe}` succeeds, this is put back."
        ));
        loop {
            match probe::run(probe).await {
                Ok(true) => return Confirmation::Given,
                Ok(false) => tokio::time::sleep(BETWEEN_PROBES).await,
                Err(error) => {
                    return Confirmation::Denied(format!("the probe could not be run: {error}"));
                }
            }
        }
    }
}

/// Enter confirms, once it is asked for; an end of input does not.
async fn wait_for_enter(question: &str) -> Confirmation {
    if let Err(error) = terminal::discard_input() {
        return Confirmation::Denied(format!("the terminal cannot be asked: {error}"));
    }
    write_status(question);
    match terminal::read_line().await {
        Ok(Some(_)) => Confirmation::Given,
        _ => Confirmation::Denied("nobody confirmed it".to_owned()),
    }
}
