//! Worker: carries out the plan of one instance, from the first read to the verification.
//!
//! **Owns** the order of steps and all outcomes. `precondition` checks the conditions of a write, `write` sends it, and `proof`
//! verifies its result. **Does not** send anything that the plan does not contain.

use std::time::Duration;

use super::Tools;
use super::failure_limit::{FailureLimit, interrupted};
use super::outcomes::{foreign_change, unplanned_result};
use super::own_operations::OwnOperations;
use super::rules::{describe_change, is_equivalent, result_of};
use crate::lightsail::{Reader, Writer};
use crate::model::InstanceId;
use crate::plan::undo::Step;
use crate::plan::{Call, Failure, InstancePlan, InstanceResult, Outcome};

/// The state of the work on one instance.
pub(super) struct Worker<'a, R, W> {
    pub(super) plan: &'a InstancePlan,
    pub(super) tools: &'a Tools<'a, R, W>,
    pub(super) failure_limit: &'a FailureLimit<'a>,
    pub(super) own_operations: OwnOperations<'a>,
    /// The writes that may have been carried out.
    pub(super) steps: Vec<Step>,
    /// The time at which the instance was last known to be the planned one; `None` if it has to be checked again.
    pub(super) identity_checked_at: Option<Duration>,
    /// The action for which a turn was taken that has not been used yet.
    pub(super) turn: Option<&'static str>,
    /// A note on a successful outcome.
    pub(super) note: Option<String>,
    /// Whether anything unusual happened, so that the operations are checked for another writer.
    pub(super) had_anomaly: bool,
}

/// Why the calls did not lead to `after`.
pub(super) enum WriteFailure {
    Final(Outcome),
    /// A call was refused, and the rules are as before the call.
    Refused(Failure),
    /// All calls were accepted, but the rules differ. Contains the difference.
    Differs(String),
}

impl From<Outcome> for WriteFailure {
    fn from(outcome: Outcome) -> Self {
        Self::Final(outcome)
    }
}

impl<'a, R: Reader, W: Writer> Worker<'a, R, W> {
    pub(super) fn new(
        plan: &'a InstancePlan,
        tools: &'a Tools<'a, R, W>,
        failure_limit: &'a FailureLimit<'a>,
    ) -> Self {
        Self {
            plan,
            tools,
            failure_limit,
            own_operations: OwnOperations::new(tools.clock),
            steps: Vec::new(),
            identity_checked_at: None,
            turn: None,
            note: None,
            had_anomaly: false,
        }
    }

    /// Carries out the plan and reports the result.
    pub(super) async fn run(mut self) -> InstanceResult {
        let outcome = match self.execute().await {
            Ok(outcome) | Err(outcome) => outcome,
        };
        self.failure_limit.record(&outcome);
        let result = InstanceResult {
            id: self.id().clone(),
            outcome,
            writes: self.steps.len(),
            operations: self.own_operations.operations,
            steps: self.steps,
            note: self.note,
        };
        self.tools.journal.result(&result);
        self.tools.progress.finished(&result);
        result
    }

    pub(super) fn id(&self) -> &'a InstanceId {
        &self.plan.instance.id
    }

    /// Whether a write may have been carried out.
    pub(super) fn has_written(&self) -> bool {
        !self.steps.is_empty()
    }

    pub(super) fn waiting(&self, why: &str) {
        self.tools.progress.waiting(self.id(), why);
    }

    async fn execute(&mut self) -> Result<Outcome, Outcome> {
        self.failure_limit.check()?;
        self.check_validity()?;
        self.tools.progress.started(self.id());
        let stop = self.failure_limit.stop;
        let live = tokio::select! {
            biased;
            () = stop.wait() => return Err(interrupted()),
            live = self.read_planned_instance() => live?,
        };
        if live != self.plan.before {
            let InstancePlan {
                before,
                after,
                calls,
                ..
            } = self.plan;
            let replaced = calls.iter().any(Call::replaces);
            let is_after = is_equivalent(&live, before, after, replaced, self.plan.family());
            let outcome = if is_after && self.plan.has_desired_spelling(&live) {
                Outcome::AlreadyApplied
            } else {
                Outcome::Stale(describe_change(&live, before, self.plan.family()))
            };
            return Ok(outcome);
        }
        self.failure_limit.check()?;
        match self.make_calls().await {
            Ok(()) => {
                self.check_for_foreign_writes().await?;
                Ok(Outcome::Applied { repaired: None })
            }
            Err(trouble) => self.repair(trouble).await,
        }
    }

    /// Makes the calls in order, and verifies that they lead to `after`.
    async fn make_calls(&mut self) -> Result<(), WriteFailure> {
        let InstancePlan { before, calls, .. } = self.plan;
        let mut reached = before.firewall().clone();
        for call in calls {
            let next = result_of(call, &reached);
            self.call(call, &reached, &next).await?;
            reached = next;
        }
        self.prove(calls.iter().any(Call::replaces)).await
    }

    /// Sends the fallback of the plan, if it has one, it was not just refused, and nobody else wrote.
    async fn repair(&mut self, trouble: WriteFailure) -> Result<Outcome, Outcome> {
        let (why, otherwise) = match trouble {
            WriteFailure::Final(outcome) => return Err(outcome),
            WriteFailure::Refused(failure) => (failure.message.clone(), failure),
            WriteFailure::Differs(difference) => (
                format!("the result was not as planned: {difference}"),
                unplanned_result(&difference),
            ),
        };
        self.had_anomaly = true;
        let put = self.plan.fallback_call();
        let refused = !self.has_written() && self.plan.calls.first() == put.as_ref();
        let Some(put) = put.filter(|_| !refused) else {
            if self.has_written() {
                self.refuse_foreign_operations().await?;
            }
            return Err(Outcome::Failed(otherwise));
        };
        self.waiting("the whole firewall is put instead");
        // Read first: then a Put can only overwrite changes that are made after the operations were read.
        let live = self.read_back().await?;
        if self.has_written() {
            self.refuse_foreign_operations().await?;
        } else if live != self.plan.before {
            return Err(foreign_change(describe_change(
                &live,
                &self.plan.before,
                self.plan.family(),
            )));
        }
        self.identity_checked_at = None;
        let proved = match self.call(&put, live.firewall(), &self.plan.after).await {
            Ok(()) => self.prove(true).await,
            Err(trouble) => Err(trouble),
        };
        match proved {
            Ok(()) => {
                self.check_for_foreign_writes().await?;
                Ok(Outcome::Applied {
                    repaired: Some(why),
                })
            }
            Err(WriteFailure::Final(outcome)) => Err(outcome),
            Err(WriteFailure::Refused(failure)) => Err(Outcome::Failed(failure)),
            Err(WriteFailure::Differs(difference)) => {
                self.refuse_foreign_operations().await?;
                Err(Outcome::Failed(unplanned_result(&difference)))
            }
        }
    }
}
