//! One instance, from the first read to the proof.
//!
//! Owns the order of steps and every way it may end. Refuses to send anything that the plan does not hold, and to send
//! anything twice whose first sending may have had an effect, unless a read shows that it had none.

use super::endings::{differs, failure, not_started, plain, same_instance, unproved};
use super::ours::Ours;
use super::rules::{changed, difference, means, result_of};
use super::wait::Patience;
use super::{Progress, Settings, Stop};
use crate::lightsail::{Error, Kind, Operation, OperationStatus, Reader, Writer};
use crate::model::{Firewall, InstanceId, LiveFirewall};
use crate::plan::{Call, Failure, InstancePlan, InstanceResult, Outcome};

/// What it takes to work on one instance.
pub(super) struct Worker<'a, R, W, P> {
    plan: &'a InstancePlan,
    reader: &'a R,
    writer: &'a W,
    settings: &'a Settings,
    progress: &'a P,
    stop: &'a Stop,
    ours: Ours,
    writes: usize,
}

/// Why the calls did not lead to `after`.
enum Trouble {
    /// There is nothing more to do.
    Over(Outcome),
    /// A call was refused, and the rules are as they were before it.
    Refused(Failure),
    /// Everything was accepted, and the rules are something else. Holds what is different.
    Differs(String),
}

/// What a read after an uncertain write shows.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    /// The rules that the write leads to.
    Effect,
    /// The rules from before the write.
    NoEffect,
    /// Neither.
    Other(LiveFirewall),
}

impl<'a, R: Reader, W: Writer, P: Progress> Worker<'a, R, W, P> {
    /// Nothing is asked yet.
    pub(super) fn new(
        plan: &'a InstancePlan,
        reader: &'a R,
        writer: &'a W,
        settings: &'a Settings,
        progress: &'a P,
        stop: &'a Stop,
    ) -> Self {
        Self {
            plan,
            reader,
            writer,
            settings,
            progress,
            stop,
            ours: Ours::new(),
            writes: 0,
        }
    }

    /// All of it.
    pub(super) async fn run(mut self) -> InstanceResult {
        let outcome = if self.stop.is_set() {
            not_started()
        } else {
            self.progress.started(self.id());
            match self.apply().await {
                Ok(outcome) | Err(outcome) => outcome,
            }
        };
        let Self {
            plan,
            progress,
            ours,
            writes,
            ..
        } = self;
        let result = InstanceResult {
            id: plan.instance.id.clone(),
            outcome,
            writes,
            operations: ours.into_operations(),
        };
        progress.finished(&result);
        result
    }

    fn id(&self) -> &'a InstanceId {
        &self.plan.instance.id
    }

    async fn apply(&mut self) -> Result<Outcome, Outcome> {
        if self.settings.recheck || !self.plan.instance.state.is_settled() {
            self.settle().await?;
        }
        self.ours = Ours::new();
        let live = self
            .read()
            .await
            .map_err(|error| Outcome::Failed(failure(&error)))?;
        let InstancePlan {
            before,
            after,
            calls,
            ..
        } = self.plan;
        if live != *before {
            let outcome = if means(&live, before, after, calls.iter().any(replaces)) {
                Outcome::AlreadyApplied
            } else {
                Outcome::Stale(changed(&live, before))
            };
            return Ok(outcome);
        }
        if self.stop.is_set() {
            return Err(not_started());
        }
        match self.calls().await {
            Ok(()) => Ok(Outcome::Applied { repaired: None }),
            Err(trouble) => self.repair(trouble).await,
        }
    }

    /// Waits for the instance to be in a state that takes writes. It must still be the one that was planned for.
    async fn settle(&mut self) -> Result<(), Outcome> {
        let mut patience = Patience::new(self.settings, self.settings.timeout);
        loop {
            let instance = match self.reader.instance(self.id()).await {
                Ok(instance) => instance,
                Err(error) if error.kind() == Kind::NotFound => {
                    return Err(Outcome::Stale("the instance is gone".to_owned()));
                }
                Err(error) => return Err(Outcome::Failed(failure(&error))),
            };
            same_instance(&instance, &self.plan.instance)?;
            if instance.state.is_settled() {
                return Ok(());
            }
            if patience.is_over() {
                let (state, seconds) = (&instance.state, self.settings.timeout.as_secs());
                let mut failure = plain(format!(
                    "the instance was still `{state}` after {seconds} s"
                ));
                failure.hint = Some(
                    "try again when it is running or stopped, or give it more `--timeout`"
                        .to_owned(),
                );
                return Err(Outcome::Failed(failure));
            }
            self.progress
                .waiting(self.id(), &format!("the instance is `{}`", instance.state));
            tokio::select! {
                () = patience.pause() => {}
                () = self.stop.wait(), if self.writes == 0 => return Err(not_started()),
            }
        }
    }

    /// Every call in order, and the proof that they lead to `after`.
    async fn calls(&mut self) -> Result<(), Trouble> {
        let InstancePlan { before, calls, .. } = self.plan;
        let mut reached = before.firewall().clone();
        for call in calls {
            let next = result_of(call, &reached);
            self.call(call, &reached, &next).await?;
            reached = next;
        }
        self.prove(calls.iter().any(replaces)).await
    }

    /// The plan's one fallback, where it has one that was not just refused and nobody else wrote.
    async fn repair(&mut self, trouble: Trouble) -> Result<Outcome, Outcome> {
        let (why, otherwise) = match trouble {
            Trouble::Over(outcome) => return Err(outcome),
            Trouble::Refused(failure) => (failure.message.clone(), failure),
            Trouble::Differs(difference) => (
                format!("the result was not as planned: {difference}"),
                differs(&difference),
            ),
        };
        if self.writes > 0 {
            self.nobody_else().await?;
        }
        let put = match &self.plan.fallback {
            Some(firewall) => Call::Put {
                firewall: firewall.clone(),
            },
            None => return Err(Outcome::Failed(otherwise)),
        };
        if self.writes == 0 && self.plan.calls.first() == Some(&put) {
            return Err(Outcome::Failed(otherwise));
        }
        self.progress
            .waiting(self.id(), "the whole firewall is put instead");
        let live = self
            .read()
            .await
            .map_err(|error| Outcome::Failed(unproved(&error)))?;
        let proved = match self.call(&put, live.firewall(), &self.plan.after).await {
            Ok(()) => self.prove(true).await,
            Err(trouble) => Err(trouble),
        };
        match proved {
            Ok(()) => Ok(Outcome::Applied {
                repaired: Some(why),
            }),
            Err(Trouble::Over(outcome)) => Err(outcome),
            Err(Trouble::Refused(failure)) => Err(Outcome::Failed(failure)),
            Err(Trouble::Differs(difference)) => {
                self.nobody_else().await?;
                Err(Outcome::Failed(differs(&difference)))
            }
        }
    }

    /// One write: sent until it is answered, refused, or known to have had its effect. `from` and `to` are the rules
    /// before and after it.
    async fn call(&mut self, call: &Call, from: &Firewall, to: &Firewall) -> Result<(), Trouble> {
        let mut patience = Patience::new(self.settings, self.settings.timeout);
        let mut sent = 0;
        loop {
            let error = match self.send(call).await {
                Ok(operation) => {
                    self.writes += 1;
                    self.ours.accepted(&operation);
                    return self.finish(operation, call, from, to).await;
                }
                Err(error) => error,
            };
            let again = match error.kind() {
                Kind::Throttled => {
                    self.progress
                        .waiting(self.id(), "the service asks for fewer requests");
                    !patience.is_over()
                }
                _ if error.is_outcome_unknown() => {
                    self.writes += 1;
                    sent += 1;
                    self.ours.unclaimed(call, false);
                    self.progress
                        .waiting(self.id(), "a reply was lost, so the rules are read");
                    match self.look(call, from, to).await? {
                        Seen::Effect => return Ok(()),
                        Seen::NoEffect => sent < self.settings.attempts && !patience.is_over(),
                        Seen::Other(live) => return Err(self.overtaken(&live, to).await),
                    }
                }
                // It never left.
                Kind::Connection | Kind::Timeout => {
                    sent += 1;
                    sent < self.settings.attempts && !patience.is_over()
                }
                Kind::AccessDenied
                | Kind::Unauthenticated
                | Kind::SetupInProgress
                | Kind::NotFound => false,
                _ => {
                    sent += 1;
                    self.ours.unclaimed(call, true);
                    match self.look(call, from, to).await? {
                        Seen::Effect => return Ok(()),
                        Seen::Other(live) => return Err(self.overtaken(&live, to).await),
                        // An instance that has begun to start or stop takes no writes; that passes.
                        Seen::NoEffect
                            if sent < self.settings.attempts && self.is_unsettled().await =>
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
            patience.pause().await;
        }
    }

    async fn send(&self, call: &Call) -> Result<Operation, Error> {
        match call {
            Call::Open { key, sources } => self.writer.open(self.id(), *key, sources).await,
            Call::Close { key, sources } => self.writer.close(self.id(), *key, sources).await,
            Call::Put { firewall } => self.writer.put(self.id(), firewall).await,
        }
    }

    /// Waits for an operation to end well. One that cannot be asked about is left to the read-back.
    async fn finish(
        &mut self,
        mut operation: Operation,
        call: &Call,
        from: &Firewall,
        to: &Firewall,
    ) -> Result<(), Trouble> {
        let mut patience = Patience::new(self.settings, self.settings.operation_timeout);
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
                OperationStatus::Pending if patience.is_over() => {
                    let seconds = self.settings.operation_timeout.as_secs();
                    break format!(
                        "`{kind}` was accepted and has not ended after {seconds} s (operation {id})"
                    );
                }
                OperationStatus::Pending => {}
            }
            self.progress
                .waiting(self.id(), &format!("`{kind}` is not done"));
            patience.pause().await;
            match self.reader.operation(&self.id().region, id).await {
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
                difference(&live, to)
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

    /// Reads back until the rules mean `after`. The first read is believed when it agrees; once one did not, two in a row
    /// must.
    async fn prove(&self, replaced: bool) -> Result<(), Trouble> {
        let mut patience = Patience::new(self.settings, self.settings.proof_timeout);
        let (mut needed, mut agreed) = (1, 0);
        let InstancePlan { before, after, .. } = self.plan;
        loop {
            let live = self
                .read()
                .await
                .map_err(|error| Trouble::Over(Outcome::Failed(unproved(&error))))?;
            if means(&live, before, after, replaced) {
                agreed += 1;
                if agreed >= needed {
                    return Ok(());
                }
            } else {
                (needed, agreed) = (2, 0);
                if patience.is_over() {
                    return Err(Trouble::Differs(difference(&live, after)));
                }
            }
            self.progress
                .waiting(self.id(), "the rules do not read back as planned yet");
            patience.pause().await;
        }
    }

    /// What a write did, by reading: its effect is believed at once, anything else only twice in a row.
    async fn look(&self, call: &Call, from: &Firewall, to: &Firewall) -> Result<Seen, Trouble> {
        let mut patience = Patience::new(self.settings, self.settings.proof_timeout);
        let before = &self.plan.before;
        let mut last = None;
        loop {
            let live = self
                .read()
                .await
                .map_err(|error| Trouble::Over(Outcome::Failed(unproved(&error))))?;
            let seen = if means(&live, before, to, replaces(call)) {
                Seen::Effect
            } else if means(&live, before, from, false) {
                Seen::NoEffect
            } else {
                Seen::Other(live)
            };
            // Rules that are neither may be an old view, so they are given the whole time.
            let settled = match (&last, &seen) {
                (None, Seen::Effect) => true,
                (None, _) => false,
                (Some(last), Seen::Effect | Seen::NoEffect) if *last == seen => true,
                (Some(_), _) => patience.is_over(),
            };
            if settled {
                return Ok(seen);
            }
            last = Some(seen);
            patience.pause().await;
        }
    }

    async fn read(&self) -> Result<LiveFirewall, Error> {
        Ok(LiveFirewall::read(
            &self.reader.port_states(self.id()).await?,
        ))
    }

    async fn is_unsettled(&self) -> bool {
        self.reader
            .instance(self.id())
            .await
            .is_ok_and(|instance| !instance.state.is_settled())
    }

    /// Refuses to go on where an operation shows another writer, or where the operations cannot be read.
    async fn nobody_else(&self) -> Result<(), Outcome> {
        match self.reader.operations_for(self.id()).await {
            Ok(operations) => match self.ours.foreign(&operations) {
                Some(foreign) => Err(Outcome::ForeignWriter(format!("{foreign} is not ours"))),
                None => Ok(()),
            },
            Err(error) => Err(Outcome::Failed(unproved(&error))),
        }
    }

    /// The rules are neither what a write started from nor what it leads to.
    async fn overtaken(&self, live: &LiveFirewall, to: &Firewall) -> Trouble {
        let operations = self
            .reader
            .operations_for(self.id())
            .await
            .unwrap_or_default();
        let difference = difference(live, to);
        Trouble::Over(Outcome::ForeignWriter(
            match self.ours.foreign(&operations) {
                Some(foreign) => format!("{foreign} is not ours; {difference}"),
                None => format!("the rules changed while we wrote: {difference}"),
            },
        ))
    }
}

fn replaces(call: &Call) -> bool {
    matches!(call, Call::Put { .. })
}
