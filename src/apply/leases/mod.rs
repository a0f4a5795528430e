//! Access for a time, carried out: from a lease to open rules, and from one that ends to closed ones.
//!
//! **Owns** the order that keeps a grant from outliving its end: the tag is written before anything is opened and removed
//! after it was closed, so that whatever dies in between is ended by the next `apply --only-expired`. **Does not** choose
//! calls, which `plan` does, and does not judge whether a lease is permitted.

mod settle;
mod tags;

use std::collections::BTreeSet;
use std::sync::Arc;

use time::OffsetDateTime;

use super::outcomes::failure;
use super::{Journal, Progress, Stop, Tools};
use crate::lease::{Lease, LeaseId, Leases};
use crate::lightsail::{Reader, Writer};
use crate::model::{DesiredInstance, Instance, InstanceId, LiveFirewall, Rule};
use crate::plan::{self, Failure, InstancePlan, Plan, Report, Verdict};

pub use settle::{Settled, TOO_LATE, settle};
pub use tags::forget;

/// What the configuration says of an instance as it is.
pub trait Declared {
    /// Why it says nothing.
    type Error;

    /// What is wanted of an instance with these tags at this instant, with the leases that they hold. `None` where nothing
    /// declares it.
    ///
    /// # Errors
    /// The configuration does not fit the instance.
    fn wanted(
        &mut self,
        instance: &Instance,
        now: OffsetDateTime,
    ) -> Result<Option<Arc<DesiredInstance>>, Self::Error>;
}

/// What is to be open and what is to be closed on an instance when it is done.
#[derive(Clone, Debug, Default)]
pub struct Aim<'a> {
    /// Leases that are live.
    pub open: Vec<&'a Lease>,
    /// Leases that are ended, whether or not their time is over.
    pub close: Vec<&'a Lease>,
}

impl Aim<'_> {
    /// The plan that leads there. The rules of what is closed are those of the leases themselves, since their tags may be
    /// gone.
    #[must_use]
    pub fn plan(
        &self,
        instance: &Instance,
        wanted: &DesiredInstance,
        live: &LiveFirewall,
    ) -> InstancePlan {
        let rules = wanted.rules.iter();
        let declared = rules.filter(|rule| !holds(&self.close, rule));
        let declared: Vec<Rule> = declared.cloned().collect();
        let open = declared.iter().filter(|rule| holds(&self.open, rule));
        let open: Vec<Rule> = open.cloned().collect();
        let close: Vec<Rule> = self.close.iter().flat_map(|lease| lease.rules()).collect();
        plan::plan_grants(instance, &declared, live, &open, &close)
    }
}

/// Whether a rule is that of one of these leases.
fn holds(leases: &[&Lease], rule: &Rule) -> bool {
    let id = LeaseId::of_origin(&rule.declared.origin);
    id.is_some_and(|id| leases.iter().any(|lease| lease.id == id))
}

/// Why it is not so.
#[derive(Debug)]
pub struct Unsettled<E> {
    /// Whether something may have been opened or closed.
    pub wrote: bool,
    /// What kept it from being so.
    pub why: Obstacle<E>,
}

/// What keeps leases from being opened or closed.
#[derive(Debug)]
pub enum Obstacle<E> {
    /// What is wanted of the instance cannot be told.
    Declared(E),
    /// A lease that was to be opened was revoked, or its time is nearly over. Nothing is open of it.
    Over(LeaseId),
    /// The instance is only observed, and never written to.
    Observed,
    /// Somebody wished to stop before anything was written.
    Interrupted,
    /// Others wrote again and again. Says what the last of them did.
    Contended(String),
    /// It failed.
    Failed(Failure),
}

/// Opens a lease: writes its tag, opens what it grants and closes what it takes the place of, and proves that.
///
/// Whoever wishes to stop is heeded until something was written to the rules; from then on it is brought to its end.
///
/// # Errors
/// It is not open, or that is not known.
pub async fn grant<R: Reader, W: Writer, J: Journal, P: Progress, D: Declared>(
    id: &InstanceId,
    lease: &Lease,
    replaced: &[&Lease],
    declared: &mut D,
    tools: &Tools<'_, R, W, J, P>,
) -> Result<Granted<D::Error>, Ungranted<D::Error>> {
    let untagged = |why| Ungranted {
        why,
        tag: Tag::Gone,
    };
    if tools.stop.is_set() {
        return Err(untagged(Obstacle::Interrupted));
    }
    let remembered = tags::remember(id, lease, tools).await;
    remembered.map_err(|failure| untagged(Obstacle::Failed(failure)))?;
    let aim = Aim {
        open: vec![lease],
        close: replaced.to_vec(),
    };
    let Settled {
        mut lost, again, ..
    } = match settle(id, &aim, declared, tools).await {
        Ok(settled) => settled,
        Err(Unsettled { wrote, why }) => {
            let tag = if wrote {
                Tag::Stays
            } else {
                take_back(id, lease, declared, tools).await
            };
            return Err(Ungranted { why, tag });
        }
    };
    let tags: BTreeSet<String> = replaced.iter().map(|lease| lease.id.tag_key()).collect();
    let left = tags::forget(id, &tags, tools).await.err();
    let mut unsure = None;
    if again {
        match settle::settle_again(id, &aim, declared, tools).await {
            Ok(settled) => lost.extend(settled.lost),
            Err(Unsettled { why, .. }) => unsure = Some(why),
        }
    }
    // Somebody may have revoked it before it was open.
    if !tags::is_there(id, lease, tools).await {
        let why = Obstacle::Over(lease.id.clone());
        let tag = take_back(id, lease, declared, tools).await;
        return Err(Ungranted { why, tag });
    }
    Ok(Granted { left, unsure, lost })
}

/// Ends a lease that is not to be granted after all. Whoever saw its tag may have opened it by then.
async fn take_back<R: Reader, W: Writer, J: Journal, P: Progress, D: Declared>(
    id: &InstanceId,
    lease: &Lease,
    declared: &mut D,
    tools: &Tools<'_, R, W, J, P>,
) -> Tag {
    let tools = &Tools {
        stop: &Stop::new(),
        ..*tools
    };
    let tags = [lease.id.tag_key()].into();
    match revoke(id, &[lease], &tags, declared, tools).await {
        Ok(Revoked { left: None, .. }) => Tag::Gone,
        Ok(Revoked {
            left: Some(failure),
            ..
        }) => Tag::Left(failure),
        Err(Unsettled {
            wrote: false,
            why: Obstacle::Observed,
        }) => match tags::forget(id, &tags, tools).await {
            Ok(()) => Tag::Gone,
            Err(failure) => Tag::Left(failure),
        },
        Err(_) => Tag::Stays,
    }
}

/// A lease that is open.
#[derive(Debug)]
pub struct Granted<E> {
    /// Why the tags of those whose place it took are still there. What they granted is closed.
    pub left: Option<Failure>,
    /// Why it is not known whether the access of others is as it was.
    pub unsure: Option<Obstacle<E>>,
    /// As of [`Settled`].
    pub lost: Vec<Rule>,
}

/// Why a lease is not open.
#[derive(Debug)]
pub struct Ungranted<E> {
    /// What kept it from being open.
    pub why: Obstacle<E>,
    /// What became of its tag.
    pub tag: Tag,
}

/// What became of the tag of a lease that is not open.
#[derive(Debug)]
pub enum Tag {
    /// It is not there, and nothing is open.
    Gone,
    /// It is there although nothing is open.
    Left(Failure),
    /// It stays, since something may be open: at its end that is closed.
    Stays,
}

/// Ends leases: closes what they opened, proves that, and removes these tags.
///
/// Whoever wishes to stop is heeded until something was written.
///
/// # Errors
/// Something may still be open. Then the tags stay, so that it is closed at its end.
pub async fn revoke<R: Reader, W: Writer, J: Journal, P: Progress, D: Declared>(
    id: &InstanceId,
    close: &[&Lease],
    tags: &BTreeSet<String>,
    declared: &mut D,
    tools: &Tools<'_, R, W, J, P>,
) -> Result<Revoked, Unsettled<D::Error>> {
    let aim = Aim {
        open: Vec::new(),
        close: close.to_vec(),
    };
    let mut lost = Vec::new();
    if !close.is_empty() {
        lost = settle(id, &aim, declared, tools).await?.lost;
    }
    let left = tags::forget(id, tags, tools).await.err();
    if !close.is_empty() && left.is_none() {
        // Whoever saw the tags may have opened it again before they went.
        let tools = &Tools {
            stop: &Stop::new(),
            ..*tools
        };
        let again = settle::settle_again(id, &aim, declared, tools).await?;
        lost.extend(again.lost);
    }
    Ok(Revoked { left, lost })
}

/// Leases whose rules are closed.
#[derive(Debug)]
pub struct Revoked {
    /// Why their tags are still there.
    pub left: Option<Failure>,
    /// As of [`Settled`].
    pub lost: Vec<Rule>,
}

/// Whether an instance has what its plan wants of it, so that the tags of what the plan ended may go.
#[must_use]
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

/// The leases of an instance that count as declared.
fn live_leases(instance: &Instance, wanted: &DesiredInstance) -> Vec<Lease> {
    let ids = wanted.rules.iter();
    let ids: BTreeSet<LeaseId> = ids
        .filter_map(|rule| LeaseId::of_origin(&rule.declared.origin))
        .collect();
    let leases = Leases::of(&instance.tags).leases.into_iter();
    leases.filter(|lease| ids.contains(&lease.id)).collect()
}

/// The instance as it is now, which is what the next step begins from.
async fn look<R: Reader, W: Writer, J: Journal, P: Progress>(
    id: &InstanceId,
    tools: &Tools<'_, R, W, J, P>,
) -> Result<Instance, Failure> {
    let instance = tools.reader.instance(id).await;
    instance.map_err(|error| cannot_read(&error))
}

fn cannot_read(error: &crate::lightsail::Error) -> Failure {
    let failure = failure(error);
    Failure {
        message: format!("it cannot be read: {}", failure.message),
        ..failure
    }
}
