//! One instance, from the first read to the proof.
//!
//! Owns the order of steps and every way it may end. Does not send anything that the plan does not hold. What must be true
//! at the moment of a write is in `precondition`, how it is sent in `write`, and how its result is judged in `proof`.

use std::time::Duration;

use super::failure_limit::{FailureLimit, interrupted};
use super::outcomes::{differs, foreign, unproved};
use super::own_operations::OwnOperations;
use super::rules::{changed, means, result_of};
use super::wait::Backoff;
use super::{Journal, Progress, Tools};
use crate::lightsail::{Reader, Writer};
use crate::model::InstanceId;
use crate::plan::undo::Step;
use crate::plan::{Call, Failure, InstancePlan, InstanceResult, Outcome};

/// What it takes to work on one instance.
pub(super) struct Worker<'a, R, W, J, P> {
    pub(super) plan: &'a InstancePlan,
    pub(super) tools: &'a Tools<'a, R, W, J, P>,
    pub(super) failure_limit: &'a FailureLimit<'a>,
    pub(super) own_operations: OwnOperations<'a>,
    pub(super) writes: usize,
    /// The writes that may have been carried out.
    pub(super) steps: Vec<Step>,
    /// When the instance was last seen to be the one that was planned for, by the clock; `None` where that is to be asked
    /// again.
    pub(super) confirmed: Option<Duration>,
    /// The action for which a turn has come and that was not sent yet.
    pub(super) turn: Option<&'static str>,
    /// What should be known although all went well.
    pub(super) note: Option<String>,
    /// Whether anything was out of the ordinary, so that it is worth asking for another writer.
    pub(super) disturbed: bool,
}

/// Why the calls did not lead to `after`.
pub(super) enum Trouble {
    /// There is nothing more to do.
    Over(Outcome),
    /// A call was refused, and the rules are as they were before it.
    Refused(Failure),
    /// Everything was accepted, and the rules are something else. Holds what is different.
    Differs(String),
}

impl<'a, R: Reader, W: Writer, J: Journal, P: Progress> Worker<'a, R, W, J, P> {
    /// Nothing is asked yet.
    pub(super) fn new(
        plan: &'a InstancePlan,
        tools: &'a Tools<'a, R, W, J, P>,
        failure_limit: &'a FailureLimit<'a>,
    ) -> Self {
        Self {
            plan,
            tools,
            failure_limit,
            own_operations: OwnOperations::new(tools.clock),
            writes: 0,
            steps: Vec::new(),
            confirmed: None,
            turn: None,
            note: None,
            disturbed: false,
        }
    }

    /// All of it.
    pub(super) async fn run(mut self) -> InstanceResult {
        let outcome = match self.begin().await {
            Ok(outcome) | Err(outcome) => outcome,
        };
        self.failure_limit.ended(&outcome);
        let Self {
            plan,
            tools,
            own_operations,
            writes,
            steps,
            note,
            ..
        } = self;
        let result = InstanceResult {
            id: plan.instance.id.clone(),
            outcome,
            writes,
            operations: own_operations.into_operations(),
            steps,
            note,
        };
        tools.journal.result(&result);
        tools.progress.finished(&result);
        result
    }

    pub(super) fn id(&self) -> &'a InstanceId {
        &self.plan.instance.id
    }

    /// Patience for this long from now.
    pub(super) fn backoff(&self, timeout: Duration) -> Backoff<'a> {
        Backoff::new(self.tools.clock, self.tools.settings, timeout)
    }

    pub(super) fn waiting(&self, why: &str) {
        self.tools.progress.waiting(self.id(), why);
    }

    async fn begin(&mut self) -> Result<Outcome, Outcome> {
        self.failure_limit.check()?;
        self.still_wanted()?;
        self.tools.progress.started(self.id());
        let stop = self.failure_limit.stop;
        let live = tokio::select! {
            biased;
            () = stop.wait() => return Err(interrupted()),
            live = self.rules_of_the_instance() => live?,
        };
        if live != self.plan.before {
            let InstancePlan {
                before,
                after,
                calls,
                ..
            } = self.plan;
            let replaced = calls.iter().any(replaces);
            let is_after = means(&live, before, after, replaced, self.plan.family());
            let outcome = if is_after && self.plan.spelling_holds(&live) {
                Outcome::AlreadyApplied
            } else {
                Outcome::Stale(changed(&live, before, self.plan.family()))
            };
            return Ok(outcome);
        }
        self.failure_limit.check()?;
        match self.calls().await {
            Ok(()) => {
                self.undisturbed().await?;
                Ok(Outcome::Applied { repaired: None })
            }
            Err(trouble) => self.repair(trouble).await,
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
        self.disturbed = true;
        let put = self
            .plan
            .fallback
            .clone()
            .map(|firewall| Call::Put { firewall });
        let refused = self.writes == 0 && self.plan.calls.first() == put.as_ref();
        let Some(put) = put.filter(|_| !refused) else {
            if self.writes > 0 {
                self.nobody_else().await?;
            }
            return Err(Outcome::Failed(otherwise));
        };
        self.waiting("the whole firewall is put instead");
        // Read before anybody is asked about: what came later than the answers is all that a Put can overwrite unseen.
        let live = self
            .read()
            .await
            .map_err(|error| Outcome::Failed(unproved(&error)))?;
        if self.writes > 0 {
            self.nobody_else().await?;
        } else if live != self.plan.before {
            return Err(foreign(changed(
                &live,
                &self.plan.before,
                self.plan.family(),
            )));
        }
        self.confirmed = None;
        let proved = match self.call(&put, live.firewall(), &self.plan.after).await {
            Ok(()) => self.prove(true).await,
            Err(trouble) => Err(trouble),
        };
        match proved {
            Ok(()) => {
                self.undisturbed().await?;
                Ok(Outcome::Applied {
                    repaired: Some(why),
                })
            }
            Err(Trouble::Over(outcome)) => Err(outcome),
            Err(Trouble::Refused(failure)) => Err(Outcome::Failed(failure)),
            Err(Trouble::Differs(difference)) => {
                self.nobody_else().await?;
                Err(Outcome::Failed(differs(&difference)))
            }
        }
    }
}

/// Whether a call replaces the whole firewall.
pub(super) fn replaces(call: &Call) -> bool {
    matches!(call, Call::Put { .. })
}
