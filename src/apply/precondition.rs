//! Preconditions of a write.
//!
//! **Owns** the checks that the instance is the planned one, that its state accepts writes, and that the plan is still valid.
//! **Does not** compare rules, and does not write.

use std::time::Duration;

use super::failure_limit::interrupted;
use super::instance::Worker;
use super::outcomes::{
    failure, foreign_change, grant_difference, identity_difference, plain, unverified,
};
use super::own_operations::OwnOperations;
use crate::lightsail::{Error, ErrorKind, Reader, Writer};
use crate::model::{Instance, LiveFirewall};
use crate::plan::{Failure, Outcome};

/// How long a check of the identity is valid for the following writes of a plan with several calls, which take a second or two
/// each. To delete an instance and to create another one with its name takes longer.
const IDENTITY_VALID_FOR: Duration = Duration::from_secs(5);

/// The message if the instance does not exist.
const GONE: &str = "the instance is gone";

impl<R: Reader, W: Writer> Worker<'_, R, W> {
    /// The rules before the first write, once the state of the instance accepts writes. Checks that it is the planned instance.
    ///
    /// The identity is checked last. An ARN is never reused, so the rules were read from the same instance.
    pub(super) async fn read_planned_instance(&mut self) -> Result<LiveFirewall, Outcome> {
        if !self.plan.instance.state.is_settled() {
            self.settle().await?;
        }
        if let Some(call) = self.plan.calls.first() {
            let turn = self.take_turn(call.action()).await;
            turn.map_err(|error| Outcome::Failed(failure(&error)))?;
        }
        let live = self.first_read().await?;
        if self.check_identity().await? {
            return Ok(live);
        }
        // The instance has started or stopped since the plan was made.
        self.settle().await?;
        self.first_read().await
    }

    async fn first_read(&mut self) -> Result<LiveFirewall, Outcome> {
        self.own_operations = OwnOperations::new(self.tools.clock);
        self.read().await.map_err(|error| match error.kind() {
            ErrorKind::NotFound => Outcome::Stale(GONE.to_owned()),
            _ => Outcome::Failed(failure(&error)),
        })
    }

    /// Waits until the request rate permits a write. Must come before the reads, which would otherwise be old at the time of the write.
    pub(super) async fn take_turn(&mut self, action: &'static str) -> Result<(), Error> {
        if self.turn != Some(action) {
            self.tools.writer.reserve_call(self.id(), action).await?;
            self.turn = Some(action);
        }
        Ok(())
    }

    /// Checks, before every write, that the instance is the planned one and that the plan is valid.
    pub(super) async fn before_write(&mut self) -> Result<(), Outcome> {
        let now = self.tools.clock.elapsed();
        let fresh = |at: Duration| now.saturating_sub(at) < IDENTITY_VALID_FOR;
        if !self.identity_checked_at.is_some_and(fresh) {
            self.check_identity().await?;
        }
        self.check_validity()
    }

    /// Checks that the plan, and every rule of the instance, is still valid.
    pub(super) fn check_validity(&self) -> Result<(), Outcome> {
        let now = self.tools.clock.now();
        match self.tools.validity.expired_for(self.id(), now) {
            None => Ok(()),
            Some(why) if !self.has_written() => Err(Outcome::Stale(why)),
            Some(why) => Err(Outcome::Failed(Failure {
                hint: Some("plan again: a new plan leads on from here".to_owned()),
                ..plain(format!("{why}, and not every call had been made"))
            })),
        }
    }

    /// Checks once that the instance is the planned one. Returns whether its state accepts writes.
    async fn check_identity(&mut self) -> Result<bool, Outcome> {
        let instance = self.instance().await?;
        let settled = instance.state.is_settled();
        self.identity_checked_at = settled.then(|| self.tools.clock.elapsed());
        Ok(settled)
    }

    /// Reads the instance, which must be the planned one.
    async fn instance(&self) -> Result<Instance, Outcome> {
        let difference = match self.tools.reader.instance(self.id()).await {
            Ok(instance) => {
                let planned = &self.plan.instance;
                // A granter writes the tag first, so the plan may be about to close access that was just granted.
                let granted =
                    || grant_difference(&instance, planned).filter(|_| !self.has_written());
                match identity_difference(&instance, planned).or_else(granted) {
                    None => return Ok(instance),
                    Some(difference) => difference,
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => GONE.to_owned(),
            Err(error) if !self.has_written() => return Err(Outcome::Failed(failure(&error))),
            Err(error) => return Err(Outcome::Failed(unverified(&error))),
        };
        if !self.has_written() {
            return Err(Outcome::Stale(difference));
        }
        // No operation would show this writer.
        Err(foreign_change(difference))
    }

    /// Checks, after the verification, that the leases are those of the plan. If the tags cannot be read, the verification still counts.
    pub(super) async fn check_grants(&self) -> Result<(), Outcome> {
        let instance = self.tools.reader.instance(self.id()).await;
        let planned = &self.plan.instance;
        match instance
            .ok()
            .and_then(|now| grant_difference(&now, planned))
        {
            None => Ok(()),
            Some(difference) => Err(foreign_change(format!(
                "{difference}, and this run may have undone that"
            ))),
        }
    }

    /// Waits until the state of the instance accepts writes.
    pub(super) async fn settle(&mut self) -> Result<(), Outcome> {
        let timeout = self.tools.settings.timeout;
        let mut backoff = self.tools.backoff(timeout);
        loop {
            let instance = self.instance().await?;
            if instance.state.is_settled() {
                return Ok(());
            }
            if backoff.is_expired() {
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
                () = self.failure_limit.stop.wait(), if !self.has_written() => return Err(interrupted()),
                () = backoff.pause() => {}
            }
        }
    }
}
