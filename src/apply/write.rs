//! Write: records a call in the journal, sends it, repeats it if that is safe, and waits for its operation.
//!
//! **Owns** the handling of responses. **Does not** repeat a call that may have had an effect, unless a read shows that it had none.

use super::instance::{Worker, WriteFailure};
use super::outcomes::{failure, plain, unrecorded};
use super::proof::WriteEffect;
use super::{Intent, Tools};
use crate::lightsail::{Error, ErrorKind, Operation, OperationStatus, Reader, Writer};
use crate::model::Firewall;
use crate::plan::undo::Step;
use crate::plan::{Call, Failure, Outcome};

impl<R: Reader, W: Writer> Worker<'_, R, W> {
    /// Sends a call until it is accepted, refused, or known to have had its effect. `from` and `to` are the rules before and
    /// after it.
    pub(super) async fn call(
        &mut self,
        call: &Call,
        from: &Firewall,
        to: &Firewall,
    ) -> Result<(), WriteFailure> {
        let intent = &Intent {
            instance: &self.plan.instance,
            known: &self.plan.before,
            before: from,
            call,
            after: to,
        };
        let mut backoff = self.tools.backoff(self.tools.settings.timeout);
        let mut sent = 0;
        loop {
            let error = match self.send(intent).await? {
                Ok(operation) => {
                    self.step(intent);
                    self.own_operations.accepted(&operation);
                    return self.finish(operation, intent).await;
                }
                Err(error) => error,
            };
            if error.kind() != ErrorKind::Throttled {
                self.had_anomaly = true;
                self.identity_checked_at = None;
            }
            let again = match error.kind() {
                ErrorKind::Throttled => {
                    self.waiting("the service asks for fewer requests");
                    !backoff.is_expired()
                }
                _ if error.is_outcome_unknown() => {
                    self.step(intent);
                    sent += 1;
                    self.own_operations.unclaimed(call, false);
                    self.waiting("a response was lost, so the rules are read");
                    match self.read_effect(intent).await? {
                        WriteEffect::Effect => return Ok(()),
                        WriteEffect::NoEffect => {
                            sent < self.tools.settings.attempts && !backoff.is_expired()
                        }
                        WriteEffect::Other(live) => {
                            return Err(self.foreign_write(&live, to).await);
                        }
                    }
                }
                // The request was not sent.
                ErrorKind::Connection | ErrorKind::Timeout => {
                    sent += 1;
                    sent < self.tools.settings.attempts && !backoff.is_expired()
                }
                ErrorKind::AccessDenied
                | ErrorKind::Unauthenticated
                | ErrorKind::SetupInProgress
                | ErrorKind::NotFound => false,
                _ => {
                    sent += 1;
                    self.own_operations.unclaimed(call, true);
                    match self.read_effect(intent).await? {
                        // The call was refused, so somebody else may have made the same change.
                        WriteEffect::Effect => {
                            self.check_for_foreign_writes().await?;
                            return Ok(());
                        }
                        WriteEffect::Other(live) => {
                            return Err(self.foreign_write(&live, to).await);
                        }
                        // An instance that is starting or stopping accepts no writes for a while.
                        WriteEffect::NoEffect
                            if sent < self.tools.settings.attempts && self.is_unsettled().await =>
                        {
                            self.settle().await?;
                            true
                        }
                        WriteEffect::NoEffect => {
                            return Err(WriteFailure::Refused(failure(&error)));
                        }
                    }
                }
            };
            if !again {
                return Err(WriteFailure::Final(Outcome::Failed(failure(&error))));
            }
            backoff.pause().await;
        }
    }

    /// Records a write that may have been carried out.
    fn step(&mut self, intent: &Intent<'_>) {
        self.steps.push(Step {
            before: intent.before.clone(),
            after: intent.after.clone(),
        });
    }

    /// Sends a call once and records it in the journal before and after. It is not sent if it cannot be recorded, or if a precondition
    /// does not hold.
    async fn send(
        &mut self,
        intent: &Intent<'_>,
    ) -> Result<Result<Operation, Error>, WriteFailure> {
        if let Err(error) = self.take_turn(intent.call.action()).await {
            return Ok(Err(error));
        }
        self.before_write().await?;
        self.turn = None;
        let Tools {
            writer, journal, ..
        } = *self.tools;
        let write = journal.intent(intent);
        let write = write.map_err(|error| Outcome::Failed(unrecorded(&error)))?;
        let reply = match intent.call {
            Call::Open { key, sources } => writer.open(self.id(), *key, sources).await,
            Call::Close { key, sources } => writer.close(self.id(), *key, sources).await,
            Call::Put { firewall } => writer.put(self.id(), firewall).await,
        };
        journal.outcome(write, reply.as_ref());
        Ok(reply)
    }

    /// Waits for an operation to succeed. If it cannot be read, the read-back decides.
    async fn finish(
        &mut self,
        mut operation: Operation,
        intent: &Intent<'_>,
    ) -> Result<(), WriteFailure> {
        let mut backoff = self.tools.backoff(self.tools.settings.operation_timeout);
        let message = loop {
            let Operation { id, action, .. } = &operation;
            match operation.status {
                OperationStatus::Succeeded => return Ok(()),
                OperationStatus::Failed => {
                    let why = operation
                        .error
                        .as_deref()
                        .unwrap_or("the service gives no reason");
                    break format!(
                        "`{action}` was accepted and then failed: {why} (operation {id})"
                    );
                }
                OperationStatus::Pending if backoff.is_expired() => {
                    let seconds = self.tools.settings.operation_timeout.as_secs();
                    break format!(
                        "`{action}` was accepted and has not ended after {seconds} s (operation {id})"
                    );
                }
                OperationStatus::Pending => {}
            }
            self.waiting(&format!("`{action}` is not done"));
            backoff.pause().await;
            match self.tools.reader.operation(self.id(), id).await {
                Ok(newer) => {
                    operation.status = newer.status;
                    operation.error = newer.error;
                }
                // The operation is not visible yet, or the request may be repeated.
                Err(error) if error.kind() == ErrorKind::NotFound || error.is_retryable() => {}
                Err(_) => return Ok(()),
            }
        };
        let seen = match self.read_effect(intent).await? {
            WriteEffect::Effect => "the rules are as planned all the same".to_owned(),
            WriteEffect::NoEffect => "the rules are as they were before it".to_owned(),
            WriteEffect::Other(live) => format!(
                "the rules are neither as before nor as planned: {}",
                self.difference(&live, intent.after)
            ),
        };
        let code = operation
            .error
            .as_deref()
            .and_then(|error| error.split(':').next())
            .map(str::to_owned);
        Err(WriteFailure::Final(Outcome::Failed(Failure {
            code,
            ..plain(format!("{message}; {seen}"))
        })))
    }
}
