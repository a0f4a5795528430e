//! Preconditions: what must be true at the moment of a write.
//!
//! **Owns** the questions about the instance itself: which one has the name, whether its state takes writes, and whether
//! what the plan wants of it is still wanted. **Does not** judge rules, and does not write.

use std::time::Duration;

use super::failure_limit::interrupted;
use super::instance::Worker;
use super::outcomes::{another, failure, foreign, granted_since, plain, unproved};
use super::own_operations::OwnOperations;
use super::{Journal, Progress};
use crate::lightsail::{Error, Kind, Reader, Writer};
use crate::model::{Instance, LiveFirewall};
use crate::plan::{Failure, Outcome};

/// How long the answer to which instance has the name counts for the next write. The first write follows the answer at
/// once; this is for the other calls of a plan that has several, which follow each other in a second or two. To delete an
/// instance and to create another one with its name takes longer.
const FRESH: Duration = Duration::from_secs(5);

/// What is said where nothing has the name.
const GONE: &str = "the instance is gone";

impl<R: Reader, W: Writer, J: Journal, P: Progress> Worker<'_, R, W, J, P> {
    /// The rules right before the first write, of the instance that was planned for, once its state takes writes.
    ///
    /// Which instance it is comes last: what was read before was read of the same one, since an ARN never comes back.
    pub(super) async fn rules_of_the_instance(&mut self) -> Result<LiveFirewall, Outcome> {
        if !self.plan.instance.state.is_settled() {
            self.settle().await?;
        }
        if let Some(call) = self.plan.calls.first() {
            let turn = self.take_turn(call.action()).await;
            turn.map_err(|error| Outcome::Failed(failure(&error)))?;
        }
        let live = self.first_read().await?;
        if self.confirm().await? {
            return Ok(live);
        }
        // It has begun to start or to stop since the plan was made.
        self.settle().await?;
        self.first_read().await
    }

    async fn first_read(&mut self) -> Result<LiveFirewall, Outcome> {
        self.own_operations = OwnOperations::new(self.tools.clock);
        self.read().await.map_err(|error| match error.kind() {
            Kind::NotFound => Outcome::Stale(GONE.to_owned()),
            _ => Outcome::Failed(failure(&error)),
        })
    }

    /// Waits until a write may be sent at the rates of the service. What is looked at before that would be old by the time of
    /// the write.
    pub(super) async fn take_turn(&mut self, action: &'static str) -> Result<(), Error> {
        if self.turn != Some(action) {
            self.tools.writer.turn(self.id(), action).await?;
            self.turn = Some(action);
        }
        Ok(())
    }

    /// Right before every write: it goes to the instance that was planned for, and what it does is still wanted.
    pub(super) async fn before_write(&mut self) -> Result<(), Outcome> {
        let now = self.tools.clock.elapsed();
        let fresh = |at: Duration| now.saturating_sub(at) < FRESH;
        if !self.confirmed.is_some_and(fresh) {
            self.confirm().await?;
        }
        self.still_wanted()
    }

    /// Ends it where a rule, or the plan as a whole, is no longer valid.
    pub(super) fn still_wanted(&self) -> Result<(), Outcome> {
        let now = self.tools.clock.now();
        match self.tools.validity.over_for(self.id(), now) {
            None => Ok(()),
            Some(why) if self.writes == 0 => Err(Outcome::Stale(why)),
            Some(why) => Err(Outcome::Failed(Failure {
                hint: Some("plan again: a new plan leads on from here".to_owned()),
                ..plain(format!("{why}, and not every call had been made"))
            })),
        }
    }

    /// Asks once which instance has the name. Says whether its state takes writes.
    async fn confirm(&mut self) -> Result<bool, Outcome> {
        let instance = self.instance().await?;
        let settled = instance.state.is_settled();
        self.confirmed = settled.then(|| self.tools.clock.elapsed());
        Ok(settled)
    }

    /// The instance as it is. It must be the one that was planned for.
    async fn instance(&self) -> Result<Instance, Outcome> {
        let difference = match self.tools.reader.instance(self.id()).await {
            Ok(instance) => {
                let planned = &self.plan.instance;
                // Whoever grants writes the tag first, so the plan may be about to close what was just granted.
                let granted = || granted_since(&instance, planned).filter(|_| self.writes == 0);
                match another(&instance, planned).or_else(granted) {
                    None => return Ok(instance),
                    Some(difference) => difference,
                }
            }
            Err(error) if error.kind() == Kind::NotFound => GONE.to_owned(),
            Err(error) if self.writes == 0 => return Err(Outcome::Failed(failure(&error))),
            Err(error) => return Err(Outcome::Failed(unproved(&error))),
        };
        if self.writes == 0 {
            return Err(Outcome::Stale(difference));
        }
        // The rules would differ from what was planned, and no operation would show anybody.
        Err(foreign(difference))
    }

    /// After a proof: whether the same access is granted as when the plan was made. What cannot be read takes nothing from what
    /// was read back.
    pub(super) async fn nothing_granted(&self) -> Result<(), Outcome> {
        let instance = self.tools.reader.instance(self.id()).await;
        let planned = &self.plan.instance;
        match instance.ok().and_then(|now| granted_since(&now, planned)) {
            None => Ok(()),
            Some(difference) => Err(foreign(format!(
                "{difference}, and this run may have undone that"
            ))),
        }
    }

    /// Waits for the instance to be in a state that takes writes.
    pub(super) async fn settle(&mut self) -> Result<(), Outcome> {
        let timeout = self.tools.settings.timeout;
        let mut backoff = self.backoff(timeout);
        loop {
            let instance = self.instance().await?;
            if instance.state.is_settled() {
                return Ok(());
            }
            if backoff.is_over() {
                let (state, seconds) = (&instance.state, timeout.as_secs());
                let mut failure = plain(format!(
                    "the instance was still `{state}` after {seconds} s"
                ));
                failure.hint = Some(
                    "try again when it is running or stopped, or give it more `--timeout`"
                        .to_owned(),
                );
                return Err(Outcome::Failed(failure));
            }
            self.waiting(&format!("the instance is `{}`", instance.state));
            tokio::select! {
                biased;
                () = self.failure_limit.stop.wait(), if self.writes == 0 => return Err(interrupted()),
                () = backoff.pause() => {}
            }
        }
    }
}
