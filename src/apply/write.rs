//! One write: told to the journal, sent, repeated where that is safe, and waited for.
//!
//! Does not send anything twice whose first sending may have had an effect, unless a read shows that it had none.

use super::instance::{Trouble, Worker};
use super::outcomes::{failure, plain, untold};
use super::proof::Seen;
use super::rules::difference;
use super::{Intent, Journal, Progress, Tools};
use crate::lightsail::{Error, Kind, Operation, OperationStatus, Reader, Writer};
use crate::model::Firewall;
use crate::plan::undo::Step;
use crate::plan::{Call, Failure, Outcome};

impl<R: Reader, W: Writer, J: Journal, P: Progress> Worker<'_, R, W, J, P> {
    /// One write: sent until it is answered, refused, or known to have had its effect. `from` and `to` are the rules
    /// before and after it.
    pub(super) async fn call(
        &mut self,
        call: &Call,
        from: &Firewall,
        to: &Firewall,
    ) -> Result<(), Trouble> {
        let mut backoff = self.backoff(self.tools.settings.timeout);
        let mut sent = 0;
        loop {
            let error = match self.send(call, from, to).await? {
                Ok(operation) => {
                    self.writes += 1;
                    self.step(from, to);
                    self.own_operations.accepted(&operation);
                    return self.finish(operation, call, from, to).await;
                }
                Err(error) => error,
            };
            if error.kind() != Kind::Throttled {
                self.disturbed = true;
                self.confirmed = None;
            }
            let again = match error.kind() {
                Kind::Throttled => {
                    self.waiting("the service asks for fewer requests");
                    !backoff.is_over()
                }
                _ if error.is_outcome_unknown() => {
                    self.writes += 1;
                    self.step(from, to);
                    sent += 1;
                    self.own_operations.unclaimed(call, false);
                    self.waiting("a reply was lost, so the rules are read");
                    match self.look(call, from, to).await? {
                        Seen::Effect => return Ok(()),
                        Seen::NoEffect => sent < self.tools.settings.attempts && !backoff.is_over(),
                        Seen::Other(live) => return Err(self.overtaken(&live, to).await),
                    }
                }
                // It never left.
                Kind::Connection | Kind::Timeout => {
                    sent += 1;
                    sent < self.tools.settings.attempts && !backoff.is_over()
                }
                Kind::AccessDenied
                | Kind::Unauthenticated
                | Kind::SetupInProgress
                | Kind::NotFound => false,
                _ => {
                    sent += 1;
                    self.own_operations.unclaimed(call, true);
                    match self.look(call, from, to).await? {
                        // It was refused, so that somebody else may have done the same.
                        Seen::Effect => return self.undisturbed().await.map_err(Trouble::Over),
                        Seen::Other(live) => return Err(self.overtaken(&live, to).await),
                        // An instance that has begun to start or stop takes no writes; that passes.
                        Seen::NoEffect
                            if sent < self.tools.settings.attempts && self.is_unsettled().await =>
                        {
                            self.settle().await.map_err(Trouble::Over)?;
                            true
                        }
                        Seen::NoEffect => return Err(Trouble::Refused(failure(&error))),
                    }
                }
            };
            if !again {
                return Err(Trouble::Over(Outcome::Failed(failure(&error))));
            }
            backoff.pause().await;
        }
    }

    /// Remembers a write that may have been carried out.
    fn step(&mut self, before: &Firewall, after: &Firewall) {
        self.steps.push(Step {
            before: before.clone(),
            after: after.clone(),
        });
    }

    /// Sends it once, told to the journal before and after. What cannot be told, or is no longer true, is not sent.
    async fn send(
        &mut self,
        call: &Call,
        from: &Firewall,
        to: &Firewall,
    ) -> Result<Result<Operation, Error>, Trouble> {
        if let Err(error) = self.take_turn(call.action()).await {
            return Ok(Err(error));
        }
        self.before_write().await.map_err(Trouble::Over)?;
        self.turn = None;
        let Tools {
            writer, journal, ..
        } = self.tools;
        let intent = Intent {
            instance: &self.plan.instance,
            known: &self.plan.before,
            before: from,
            call,
            after: to,
        };
        let write = journal
            .intent(&intent)
            .map_err(|error| Trouble::Over(Outcome::Failed(untold(&error))))?;
        let reply = match call {
            Call::Open { key, sources } => writer.open(self.id(), *key, sources).await,
            Call::Close { key, sources } => writer.close(self.id(), *key, sources).await,
            Call::Put { firewall } => writer.put(self.id(), firewall).await,
        };
        journal.outcome(write, reply.as_ref());
        Ok(reply)
    }

    /// Waits for an operation to end well. One that cannot be asked about is left to the read-back.
    async fn finish(
        &mut self,
        mut operation: Operation,
        call: &Call,
        from: &Firewall,
        to: &Firewall,
    ) -> Result<(), Trouble> {
        let mut backoff = self.backoff(self.tools.settings.operation_timeout);
        let message = loop {
            let Operation { id, kind, .. } = &operation;
            match operation.status {
                OperationStatus::Succeeded => return Ok(()),
                OperationStatus::Failed => {
                    let why = operation
                        .error
                        .as_deref()
                        .unwrap_or("the service gives no reason");
                    break format!("`{kind}` was accepted and then failed: {why} (operation {id})");
                }
                OperationStatus::Pending if backoff.is_over() => {
                    let seconds = self.tools.settings.operation_timeout.as_secs();
                    break format!(
                        "`{kind}` was accepted and has not ended after {seconds} s (operation {id})"
                    );
                }
                OperationStatus::Pending => {}
            }
            self.waiting(&format!("`{kind}` is not done"));
            backoff.pause().await;
            match self.tools.reader.operation(self.id(), id).await {
                Ok(newer) => {
                    operation.status = newer.status;
                    operation.error = newer.error;
                }
                // Not visible yet, or not now.
                Err(error) if error.kind() == Kind::NotFound || error.is_retryable() => {}
                Err(_) => return Ok(()),
            }
        };
        let seen = match self.look(call, from, to).await? {
            Seen::Effect => "the rules are as planned all the same".to_owned(),
            Seen::NoEffect => "the rules are as they were before it".to_owned(),
            Seen::Other(live) => format!(
                "the rules are neither as before nor as planned: {}",
                difference(&live, to, self.plan.family())
            ),
        };
        let code = operation
            .error
            .as_deref()
            .and_then(|error| error.split(':').next())
            .map(str::to_owned);
        Err(Trouble::Over(Outcome::Failed(Failure {
            code,
            ..plain(format!("{message}; {seen}"))
        })))
    }
}
