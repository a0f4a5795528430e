//! Lease engine: opens what a lease grants, and closes what an ended lease granted.
//!
//! **Owns** the order of writes that keeps access from outliving its lease: the tag is written before anything is opened and
//! removed after everything is closed, so the next `apply --only-expired` ends what a killed process left behind. **Does
//! not** choose calls (`plan` does) or judge whether a lease is permitted (`lease` does).

mod settle;
mod tags;

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use time::OffsetDateTime;

use super::{Stop, Tools};
use crate::lease::{Lease, LeaseId, Leases};
use crate::lightsail::{Reader, Writer};
use crate::model::{DesiredInstance, Instance, InstanceId, LiveFirewall, Rule};
use crate::plan::{self, Failure, InstancePlan, Plan, Report, Verdict};
use settle::{Rounds, Settled};

pub use settle::MIN_REMAINING;

/// For work that has to be finished. Nobody sets it.
static NEVER: LazyLock<Stop> = LazyLock::new(Stop::new);

/// The desired state of an instance with its present tags at this instant, live leases included; `None` where no table declares it.
pub type Declared<'a, E> =
    dyn FnMut(&Instance, OffsetDateTime) -> Result<Option<Arc<DesiredInstance>>, E> + 'a;

/// Opens and closes leases on one instance.
pub struct LeaseEngine<'a, R, W, E> {
    /// The instance.
    pub id: &'a InstanceId,
    /// The configuration, asked again for each read.
    pub declared: &'a mut Declared<'a, E>,
    /// The dependencies.
    pub tools: Tools<'a, R, W>,
}

/// The leases that are to be open, and those that are to be closed, on one instance.
#[derive(Clone, Debug, Default)]
pub struct Aim<'a> {
    /// Live leases.
    pub open: Vec<&'a Lease>,
    /// Leases that end now, whether or not they are expired.
    pub close: Vec<&'a Lease>,
}

impl Aim<'_> {
    /// The plan that reaches this state. What is closed is taken from the leases themselves, since their tags may be removed
    /// already.
    pub fn plan(
        &self,
        instance: &Instance,
        wanted: &DesiredInstance,
        live: &LiveFirewall,
    ) -> InstancePlan {
        let rules = wanted.rules.iter();
        let declared = rules.filter(|rule| !declares(&self.close, rule));
        let declared: Vec<Rule> = declared.cloned().collect();
        let open = declared.iter().filter(|rule| declares(&self.open, rule));
        let open: Vec<Rule> = open.cloned().collect();
        let close: Vec<Rule> = self.close.iter().flat_map(|lease| lease.rules()).collect();
        plan::plan_grants(instance, &declared, live, &open, &close)
    }
}

/// Whether a rule comes from one of these leases.
fn declares(leases: &[&Lease], rule: &Rule) -> bool {
    let id = LeaseId::of_origin(&rule.declared.origin);
    id.is_some_and(|id| leases.iter().any(|lease| lease.id == id))
}

/// Why the leases of an [`Aim`] are not opened and closed.
#[derive(Debug)]
pub struct SettleError<E> {
    /// Whether something may have been opened or closed.
    pub wrote: bool,
    /// The cause.
    pub why: Obstacle<E>,
}

/// What prevents leases from being opened or closed.
#[derive(Debug)]
pub enum Obstacle<E> {
    /// The desired state of the instance cannot be resolved.
    Declared(E),
    /// The lease that was to be opened was revoked meanwhile, or is about to expire. Nothing of it is open.
    Ended(LeaseId),
    /// The instance is in observe mode, and never written to.
    Observed,
    /// A stop was requested before anything was written.
    Interrupted,
    /// Other writers interfered in every round; what the last of them did.
    Contended(String),
    /// A call failed.
    Failed(Failure),
}

impl<E> From<Failure> for Obstacle<E> {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl<R: Reader, W: Writer, E> LeaseEngine<'_, R, W, E> {
    /// Opens a lease: writes its tag, opens its ports, closes the leases that it replaces, and proves the result.
    ///
    /// A stop is honoured until a rule was written; from then on the work is finished.
    ///
    /// # Errors
    /// The lease is not open, or whether it is open is unknown.
    pub async fn grant(
        mut self,
        lease: &Lease,
        replaced: &[&Lease],
    ) -> Result<Granted<E>, NotGranted<E>> {
        let untagged = |why| NotGranted {
            why,
            tag: TagOutcome::Removed,
        };
        if self.tools.stop.is_set() {
            return Err(untagged(Obstacle::Interrupted));
        }
        let written = self.tools.write_tag(self.id, lease).await;
        written.map_err(|failure| untagged(failure.into()))?;
        let aim = Aim {
            open: vec![lease],
            close: replaced.to_vec(),
        };
        let Settled { mut lost, recheck } = match self.settle(&aim, Rounds::default()).await {
            Ok(settled) => settled,
            Err(SettleError { wrote, why }) => {
                let tag = if wrote {
                    TagOutcome::Kept
                } else {
                    self.withdraw(lease).await
                };
                return Err(NotGranted { why, tag });
            }
        };
        let tags = replaced.iter().map(|lease| lease.id.tag_key()).collect();
        let tags_left = self.tools.remove_tags(self.id, &tags).await.err();
        let mut unverified = None;
        if recheck {
            match self.settle(&aim, Rounds::again()).await {
                Ok(settled) => lost.extend(settled.lost),
                Err(SettleError { why, .. }) => unverified = Some(why),
            }
        }
        // It may have been revoked before it was open.
        if !self.tools.has_tag(self.id, lease).await {
            let why = Obstacle::Ended(lease.id.clone());
            let tag = self.withdraw(lease).await;
            return Err(NotGranted { why, tag });
        }
        Ok(Granted {
            tags_left,
            unverified,
            lost,
        })
    }

    /// Ends a lease that could not be granted. An `apply` that saw its tag may have opened it by then.
    async fn withdraw(mut self, lease: &Lease) -> TagOutcome {
        self.tools.stop = &NEVER;
        let (id, tools) = (self.id, Tools { ..self.tools });
        let tags = [lease.id.tag_key()].into();
        let left = match self.revoke(&[lease], &tags).await {
            Ok(Revoked { tags_left, .. }) => tags_left,
            Err(SettleError {
                wrote: false,
                why: Obstacle::Observed,
            }) => tools.remove_tags(id, &tags).await.err(),
            Err(_) => return TagOutcome::Kept,
        };
        left.map_or(TagOutcome::Removed, TagOutcome::Left)
    }

    /// Ends leases: closes what they opened, proves the result, and removes these tags.
    ///
    /// A stop is honoured until something was written.
    ///
    /// # Errors
    /// Something may still be open. The tags are kept then, so that it is closed when the leases expire.
    pub async fn revoke(
        mut self,
        close: &[&Lease],
        tags: &BTreeSet<String>,
    ) -> Result<Revoked, SettleError<E>> {
        let aim = Aim {
            open: Vec::new(),
            close: close.to_vec(),
        };
        let mut lost = Vec::new();
        if !close.is_empty() {
            lost = self.settle(&aim, Rounds::default()).await?.lost;
        }
        let tags_left = self.tools.remove_tags(self.id, tags).await.err();
        if !close.is_empty() && tags_left.is_none() {
            // An `apply` that saw the tags may have opened it again before they were removed.
            self.tools.stop = &NEVER;
            lost.extend(self.settle(&aim, Rounds::again()).await?.lost);
        }
        Ok(Revoked { tags_left, lost })
    }
}

/// A lease that is open.
#[derive(Debug)]
pub struct Granted<E> {
    /// Why the tags of the leases that it replaced are still there. Their ports are closed.
    pub tags_left: Option<Failure>,
    /// Why it is unknown whether the leases of others are still open.
    pub unverified: Option<Obstacle<E>>,
    /// Declared rules that are not open. Not empty only where another writer interfered, whose rules a write of this process
    /// may have replaced.
    pub lost: Vec<Rule>,
}

/// Why a lease was not opened.
#[derive(Debug)]
pub struct NotGranted<E> {
    /// The cause.
    pub why: Obstacle<E>,
    /// The state of its tag.
    pub tag: TagOutcome,
}

/// The state of the tag of a lease that was not opened.
#[derive(Debug)]
pub enum TagOutcome {
    /// Removed, and nothing is open.
    Removed,
    /// Nothing is open, but the tag could not be removed.
    Left(Failure),
    /// Kept, since something may be open: it is closed when the lease expires.
    Kept,
}

/// The result of [`LeaseEngine::revoke`]: everything is closed.
#[derive(Debug)]
pub struct Revoked {
    /// Why the tags are still there.
    pub tags_left: Option<Failure>,
    /// See [`Granted::lost`].
    pub lost: Vec<Rule>,
}

/// Whether the plan of an instance was reached, so that the tags of the leases that it ended may be removed.
pub fn is_done(plan: &Plan, report: Option<&Report>, id: &InstanceId) -> bool {
    let mut plans = plan.instances.iter();
    let Some(plan) = plans.find(|plan| plan.instance.id == *id) else {
        return false;
    };
    match plan.verdict {
        Verdict::InSync => true,
        Verdict::Change => {
            let mut results = report.iter().flat_map(|report| &report.results);
            let result = results.find(|result| result.id == *id);
            let applied = result.is_some_and(|result| result.outcome.status().is_success());
            applied && plan.still_open.is_empty()
        }
        _ => false,
    }
}

/// The leases of an instance that the desired state includes.
fn live_leases(instance: &Instance, wanted: &DesiredInstance) -> Vec<Lease> {
    let ids = wanted.rules.iter();
    let ids: BTreeSet<LeaseId> = ids
        .filter_map(|rule| LeaseId::of_origin(&rule.declared.origin))
        .collect();
    let leases = Leases::of(&instance.tags).leases.into_iter();
    leases.filter(|lease| ids.contains(&lease.id)).collect()
}
