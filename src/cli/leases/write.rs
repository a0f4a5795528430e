//! Opening and closing leases for a verb, with a receipt of its own.
//!
//! **Owns** the messages about failures and about what they leave. **Does not** decide the order of the steps;
//! `apply::leases` does.

use std::collections::BTreeSet;
use std::path::Path;

use time::OffsetDateTime;

use super::{FleetSession, desired_instance};
use crate::apply::leases::{LeaseEngine, NotGranted, Obstacle, Revoked, SettleError, TagOutcome};
use crate::apply::receipt::{Header, ReceiptFile, RunScope};
use crate::apply::{Settings, Stop, SystemClock, Tools, Validity};
use crate::cli::connection::AnyReader;
use crate::cli::error::{CommandError, RunError};
use crate::cli::exit::Exit;
use crate::cli::streams::{caution, write_error};
use crate::lease::Lease;
use crate::lightsail::aws::AccountsWriter;
use crate::model::{Code, Instance, InstanceId, Rule, instant};
use crate::plan::Failure;

type Engine<'a> = LeaseEngine<'a, AnyReader, AccountsWriter, RunError>;

impl FleetSession {
    /// Opens a lease in place of others. `description` says so in the receipt. [`Exit::Partial`] if a declared rule may have been
    /// overwritten.
    ///
    /// # Errors
    /// The lease is not open, or that is unknown. The message says what is left of it.
    pub(in crate::cli) async fn grant(
        &mut self,
        id: &InstanceId,
        lease: &Lease,
        replaced: &[&Lease],
        description: String,
        receipts: &Path,
        stop: &Stop,
    ) -> Result<Exit, RunError> {
        let grant = async |engine: Engine<'_>| engine.grant(lease, replaced).await;
        match self.write(id, description, receipts, stop, grant).await? {
            Ok(granted) => {
                let exit = report_lost(id, &granted.lost);
                let unverified = granted
                    .unverified
                    .map(|obstacle| obstacle_error(id, obstacle));
                if let Some(RunError::Command(error)) = unverified {
                    let message = format!(
                        "granted, but it is not known whether the grants of others are still open: {}",
                        error.message
                    );
                    write_error(error.code, &message, Some("look with `portward plan`"));
                }
                if let Some(failure) = granted.tags_left {
                    report_tag_left(id, failure);
                }
                Ok(exit)
            }
            Err(NotGranted { why: obstacle, tag }) => {
                match tag {
                    TagOutcome::Removed => {}
                    TagOutcome::Left(failure) => report_tag_left(id, failure),
                    TagOutcome::Kept => caution(&format!(
                        "something may be open: the tag `{}` stays, so that `apply --only-expired` closes it after {}",
                        lease.id.tag_key(),
                        instant::format(lease.until)
                    )),
                }
                Err(obstacle_error(id, obstacle))
            }
        }
    }

    /// Closes leases and removes these tags. [`Exit::Partial`] if a declared rule may have been overwritten.
    ///
    /// # Errors
    /// Something may still be open.
    pub(in crate::cli) async fn revoke(
        &mut self,
        id: &InstanceId,
        close: &[&Lease],
        tags: &BTreeSet<String>,
        description: String,
        receipts: &Path,
        stop: &Stop,
    ) -> Result<Exit, RunError> {
        let revoke = async |engine: Engine<'_>| engine.revoke(close, tags).await;
        match self.write(id, description, receipts, stop, revoke).await? {
            Ok(Revoked { tags_left, lost }) => {
                let exit = report_lost(id, &lost);
                tags_left.map_or(Ok(exit), |failure| Err(tag_error(id, failure).into()))
            }
            Err(SettleError { why, .. }) => Err(obstacle_error(id, why)),
        }
    }

    /// Runs an operation that writes, with a receipt.
    async fn write<T>(
        &mut self,
        id: &InstanceId,
        description: String,
        receipts: &Path,
        stop: &Stop,
        work: impl AsyncFnOnce(Engine<'_>) -> T,
    ) -> Result<T, CommandError> {
        let writer = self.connection.writer().ok_or_else(|| {
            let message = "internal error: there is nothing to write to; please report this bug";
            CommandError::failed(message).with_code(Code::Internal)
        })?;
        let instance = self.live.instances.get(id);
        let scope = RunScope {
            account: instance.and_then(|instance| instance.account().map(str::to_owned)),
            regions: vec![id.region.clone()],
            targets: vec![id.to_string()],
        };
        let mut header = Header::new(OffsetDateTime::now_utc(), scope);
        header.grant = Some(description);
        let receipt = ReceiptFile::deferred(receipts, header);
        let settings = Settings::default();
        let validity = Validity {
            ahead: self.ahead,
            ..Validity::default()
        };
        let tools = Tools {
            reader: self.connection.reader(),
            writer: &writer,
            journal: &receipt,
            progress: &(),
            settings: &settings,
            stop,
            validity: &validity,
            clock: &SystemClock,
        };
        // Resolved for the instances as they were last read.
        let mut declared = |instance: &Instance, now| {
            let id = instance.id.clone();
            self.live.instances.insert(id.clone(), instance.clone());
            desired_instance(&self.config, &self.live, &self.listing, &id, now)
        };
        let engine = Engine {
            id,
            declared: &mut declared,
            tools,
        };
        let done = work(engine).await;
        if let Some(path) = receipt.path() {
            tracing::info!(receipt = %path.display(), "written");
            if let Err(error) = receipt.end(stop.is_set()) {
                let path = path.display();
                caution(&format!("the receipt `{path}` is not complete: {error}"));
            }
        }
        Ok(done)
    }
}

fn report_tag_left(id: &InstanceId, failure: Failure) {
    let error = tag_error(id, failure);
    write_error(error.code, &error.message, error.hint.as_deref());
}

fn tag_error(id: &InstanceId, failure: Failure) -> CommandError {
    let Failure { message, hint, .. } = failure;
    let otherwise = "the grant counts as declared until its end: remove the tag, or the next `apply` opens it again";
    CommandError::failed(format!("closed, but on `{id}` {message}"))
        .with_code(Code::NotApplied)
        .with_optional_hint(hint.or_else(|| Some(otherwise.to_owned())))
}

/// Reports declared rules that are not open because somebody else wrote at the same time.
fn report_lost(id: &InstanceId, lost: &[Rule]) -> Exit {
    for rule in lost {
        let (key, sources) = (rule.key, &rule.sources);
        let message = format!(
            "somebody else wrote to `{id}` at the same time, and {key} from {sources}, which is declared, is not open"
        );
        write_error(
            Code::NotApplied,
            &message,
            Some("`portward apply` opens it"),
        );
    }
    if lost.is_empty() {
        Exit::Done
    } else {
        Exit::Partial
    }
}

fn obstacle_error(id: &InstanceId, obstacle: Obstacle<RunError>) -> RunError {
    let error = match obstacle {
        Obstacle::Declared(error) => return error,
        Obstacle::Ended(lease) => {
            let message = format!("the grant {lease} was revoked, or its time is nearly over");
            CommandError::failed(message).with_code(Code::NotApplied)
        }
        Obstacle::Observed => CommandError::new(
            Exit::Refused,
            format!("`{id}` is in observe mode, and is never written to"),
        ),
        Obstacle::Interrupted => CommandError::new(
            Exit::Interrupted,
            format!("interrupted: nothing is granted or revoked on `{id}`"),
        ),
        Obstacle::Contended(last) => CommandError::new(
            Exit::Stale,
            format!("`{id}`: others wrote again and again: {last}"),
        )
        .with_code(Code::NotApplied)
        .with_hint("try again when nobody else writes"),
        Obstacle::Failed(Failure { message, hint, .. }) => {
            CommandError::failed(format!("`{id}`: {message}"))
                .with_code(Code::NotApplied)
                .with_optional_hint(hint)
        }
    };
    error.into()
}
