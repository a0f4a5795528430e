//! Settling: brings the rules of one instance to an [`Aim`] and proves it, while others may write at the same time.
//!
//! **Owns** the rounds: where another writer interfered, it plans again from the live rules; and what was opened for a lease
//! that was revoked meanwhile is closed. **Does not** change access that no lease of the aim names, except to restore the
//! leases of others that its own writes may have overwritten.

use std::time::Duration;

use time::OffsetDateTime;

use super::{
    Aim, Declared, Obstacle, SettleError, cannot_read, declares, live_leases, read_instance,
};
use crate::apply::outcomes::plain;
use crate::apply::{self, Settings, Stop, Tools, Validity};
use crate::exposure;
use crate::lease::Lease;
use crate::lightsail::{Reader, Writer};
use crate::model::{
    DesiredInstance, Expiry, Instance, InstanceId, LiveFirewall, Mode, Origin, Rule, Strategy,
};
use crate::plan::lint::lint;
use crate::plan::{Call, Failure, InstancePlan, InstanceResult, Outcome, Plan, Verdict};

/// The most rounds. A round fails only because another writer succeeded in it.
const ROUNDS: u32 = 12;

/// A lease that expires sooner than this is not opened any more. A request may arrive as late as its timeout allows, and it
/// must not arrive after `apply --only-expired` has read the expired lease as closed.
pub const MIN_REMAINING: Duration = Duration::from_secs(30);

/// How many consecutive reads must agree on a state that this process did not write: nothing is open of what is to be closed,
/// or the tag of a lease is missing. A single read may be stale.
pub(super) const READS: u32 = 3;

/// The aim is reached.
#[derive(Debug, Default)]
pub struct Settled {
    /// Whether anything was written.
    pub wrote: bool,
    /// Whether a write may have overwritten the leases of others, so that they are to be checked.
    pub(super) recheck: bool,
    /// Declared rules that are not open. Not empty only where another writer interfered, whose rules a write of this process
    /// may have replaced.
    pub lost: Vec<Rule>,
}

/// Opens and closes the leases of the aim.
///
/// # Errors
/// The aim is not reached; `wrote` says whether something may have been opened or closed all the same.
pub async fn settle<R: Reader, W: Writer, D: Declared>(
    id: &InstanceId,
    aim: &Aim<'_>,
    declared: &mut D,
    tools: &Tools<'_, R, W>,
) -> Result<Settled, SettleError<D::Error>> {
    settle_from(id, aim, Rounds::default(), declared, tools).await
}

/// As [`settle`], right after it succeeded: a read that shows nothing to do is believed at once, and the leases of others are
/// restored too.
///
/// # Errors
/// As [`settle`].
pub(super) async fn settle_rechecked<R: Reader, W: Writer, D: Declared>(
    id: &InstanceId,
    aim: &Aim<'_>,
    declared: &mut D,
    tools: &Tools<'_, R, W>,
) -> Result<Settled, SettleError<D::Error>> {
    let work = Rounds {
        reads_settled: READS,
        restore_all: true,
        ..Rounds::default()
    };
    settle_from(id, aim, work, declared, tools).await
}

async fn settle_from<R: Reader, W: Writer, D: Declared>(
    id: &InstanceId,
    aim: &Aim<'_>,
    mut work: Rounds,
    declared: &mut D,
    tools: &Tools<'_, R, W>,
) -> Result<Settled, SettleError<D::Error>> {
    let mut aim = aim.clone();
    for round in 0..ROUNDS {
        if round > 0 {
            tools.clock.sleep(work.pause(round, tools.settings)).await;
        }
        let wrote = work.wrote;
        let unsettled = |why| SettleError { wrote, why };
        let failed = |failure| unsettled(Obstacle::Failed(failure));
        if !wrote && tools.stop.is_set() {
            return Err(unsettled(Obstacle::Interrupted));
        }
        let instance = read_instance(id, tools).await.map_err(failed)?;
        let live = tools.reader.rules(id).await;
        let live = live.map_err(|error| failed(cannot_read(&error)))?;
        let now = tools.validity.now(tools.clock.now());
        let wanted = declared.wanted(&instance, now);
        let wanted = wanted.map_err(|error| unsettled(Obstacle::Declared(error)))?;
        let wanted = wanted.as_deref().cloned().unwrap_or_else(undeclared);
        if wanted.mode == Mode::Observe {
            return Err(unsettled(Obstacle::Observed));
        }
        let is_declared = |lease: &&Lease| wanted.rules.iter().any(|rule| declares(&[lease], rule));
        if !aim.open.iter().all(is_declared) {
            work.reads_untagged += 1;
            if work.reads_untagged < READS {
                continue;
            }
            work.give_up(&mut aim)?;
            continue;
        }
        work.reads_untagged = 0;
        let live_now = live_leases(&instance, &wanted);
        let (plan, ends) = work.plan(&aim, &instance, &wanted, &live, (&live_now, now));
        match &plan.verdict {
            Verdict::Refused { reason, hint } => {
                let mut failure = plain(reason.clone());
                failure.hint.clone_from(hint);
                return Err(failed(failure));
            }
            Verdict::Change => {}
            _ if !aim.close.is_empty() && work.reads_settled + 1 < READS => {
                work.reads_settled += 1;
                continue;
            }
            _ => return work.done(&instance, &wanted, &live, false),
        }
        work.reads_settled = 0;
        work.note_resent(live_now);
        if aim.open.iter().any(|lease| expires_soon(lease, now)) {
            work.give_up(&mut aim)?;
            continue;
        }
        let opens = plan
            .calls
            .iter()
            .all(|call| matches!(call, Call::Open { .. }));
        let after = plan.after.clone();
        let result = carry_out(plan, ends, wrote, tools).await;
        let InstanceResult {
            outcome, writes, ..
        } = result.map_err(failed)?;
        work.wrote |= writes > 0;
        let wrote = work.wrote;
        match outcome {
            // Proved. The tag of an ended lease is to be removed at once: an `apply` opens the lease until it sees that.
            Outcome::Applied { .. } => {
                let after = LiveFirewall::from(&after);
                return work.done(&instance, &wanted, &after, !opens);
            }
            Outcome::AlreadyApplied => {}
            Outcome::Stale(why) => work.interference = why,
            Outcome::ForeignWriter(foreign) => {
                work.interference = foreign.to_string();
                // A write that crossed with another writer may have closed what that writer had opened.
                work.restore_all = true;
                work.crossed |= writes > 0;
            }
            Outcome::Failed(failure) => {
                let why = Obstacle::Failed(failure);
                return Err(SettleError { wrote, why });
            }
            Outcome::NotStarted(_) => {
                let why = Obstacle::Interrupted;
                return Err(SettleError { wrote, why });
            }
            Outcome::Reverted(why) => {
                let why = Obstacle::Failed(plain(why));
                return Err(SettleError { wrote, why });
            }
        }
    }
    Err(SettleError {
        wrote: work.wrote,
        why: Obstacle::Contended(work.interference),
    })
}

/// What the rounds so far have done and seen.
#[derive(Debug, Default)]
struct Rounds {
    wrote: bool,
    /// Set once the whole firewall was replaced or another writer interfered: then the leases of others are restored, in case
    /// one was overwritten.
    restore_all: bool,
    /// Whether another writer interfered with a write of this process.
    crossed: bool,
    /// How many consecutive reads showed nothing to do.
    reads_settled: u32,
    /// How many consecutive reads did not show the tag of a lease that is to be open.
    reads_untagged: u32,
    /// The leases that were live before a write: an Open or a Put sends their sources again.
    resent: Vec<Lease>,
    /// The lease that was to be opened and is to be closed instead, because its tag is missing or it is about to expire.
    given_up: Option<crate::lease::LeaseId>,
    /// What the last other writer did.
    interference: String,
}

impl Rounds {
    /// Grows from round to round where others write too; the pause of a read-back where a stale read is to pass.
    fn pause(&self, round: u32, settings: &Settings) -> Duration {
        if self.reads_settled > 0 || self.reads_untagged > 0 {
            return settings.first_pause;
        }
        Duration::from_millis(fastrand::u64(1..=200 * u64::from(round)))
    }

    /// Closes what was to be opened, as far as it may be open.
    fn give_up<E>(&mut self, aim: &mut Aim<'_>) -> Result<(), SettleError<E>> {
        let Some(first) = aim.open.first() else {
            return Ok(());
        };
        let id = first.id.clone();
        if !self.wrote {
            return Err(SettleError {
                wrote: false,
                why: Obstacle::Ended(id),
            });
        }
        self.given_up = Some(id);
        self.reads_untagged = 0;
        aim.close.append(&mut aim.open);
        Ok(())
    }

    /// The plan from the live rules to the aim, and the earliest end of the leases that it opens.
    fn plan(
        &self,
        aim: &Aim<'_>,
        instance: &Instance,
        wanted: &DesiredInstance,
        live: &LiveFirewall,
        (live_now, now): (&[Lease], OffsetDateTime),
    ) -> (InstancePlan, Option<OffsetDateTime>) {
        let of_all = |all: &[&Lease], one: &Lease| all.iter().any(|lease| lease.id == one.id);
        let others = live_now.iter().filter(|_| self.restore_all);
        let others = others.filter(|lease| !expires_soon(lease, now) && !of_all(&aim.close, lease));
        let open: Vec<&Lease> = aim.open.iter().copied().chain(others).collect();
        // A lease that was revoked while this process wrote may have been opened again by that write.
        let live_now: Vec<&Lease> = live_now.iter().collect();
        let revoked = self.resent.iter().filter(|lease| {
            self.crossed && [&live_now, &aim.open].iter().all(|all| !of_all(all, lease))
        });
        let close = aim.close.iter().copied().chain(revoked);
        let ends = open.iter().map(|lease| lease.until).min();
        let aim = Aim {
            open,
            close: close.collect(),
        };
        (aim.plan(instance, wanted, live), ends)
    }

    fn note_resent(&mut self, live: Vec<Lease>) {
        for lease in live {
            if self.resent.iter().all(|resent| resent.id != lease.id) {
                self.resent.push(lease);
            }
        }
    }

    fn done<E>(
        self,
        instance: &Instance,
        wanted: &DesiredInstance,
        live: &LiveFirewall,
        recheck: bool,
    ) -> Result<Settled, SettleError<E>> {
        if let Some(id) = self.given_up {
            return Err(SettleError {
                wrote: false,
                why: Obstacle::Ended(id),
            });
        }
        let family = instance.address_type.client_family();
        let is_lost = |rule: &&Rule| {
            let now = live.firewall().get(rule.key);
            rule.declared.origin.tag().is_none()
                && now.is_none_or(|now| !exposure::uncovered(&rule.sources, now, family).is_empty())
        };
        let lost = wanted.rules.iter().filter(|_| self.crossed);
        Ok(Settled {
            wrote: self.wrote,
            recheck,
            lost: lost.filter(is_lost).cloned().collect(),
        })
    }
}

fn expires_soon(lease: &Lease, now: OffsetDateTime) -> bool {
    lease.until.saturating_sub(min_remaining()) <= now
}

fn min_remaining() -> time::Duration {
    time::Duration::try_from(MIN_REMAINING).unwrap_or(time::Duration::MAX)
}

/// Applies the plan of one instance. Once something was written, a stop is not honoured any more.
async fn carry_out<R: Reader, W: Writer>(
    one: InstancePlan,
    ends: Option<OffsetDateTime>,
    wrote: bool,
    tools: &Tools<'_, R, W>,
) -> Result<InstanceResult, Failure> {
    let id = one.instance.id.clone();
    let plan = Plan {
        instances: vec![one],
        ..Plan::default()
    };
    if let Some(defect) = lint(&plan).first() {
        return Err(plain(format!(
            "internal error: invalid plan: {defect}; please report this bug"
        )));
    }
    let ends = ends.map(|until| {
        let at = until.saturating_sub(min_remaining());
        let origin = Origin::of_tag("portward:grant".to_owned());
        (id, Expiry { at, origin })
    });
    let settings = &Settings {
        leases: true,
        ..*tools.settings
    };
    let tools = &Tools {
        settings,
        stop: if wrote { &Stop::new() } else { tools.stop },
        validity: &Validity {
            ends: ends.into_iter().collect(),
            ahead: tools.validity.ahead,
            ..Validity::default()
        },
        ..*tools
    };
    let report = apply::run(&plan, tools).await;
    let result = report.results.into_iter().next();
    result.ok_or_else(|| {
        plain("internal error: nothing became of a plan; please report this bug".to_owned())
    })
}

/// The desired state of an instance that is no longer declared: what was granted is closed, and all else is kept.
fn undeclared() -> DesiredInstance {
    DesiredInstance {
        mode: Mode::Additive,
        strategy: Strategy::Auto,
        rules: Vec::new(),
        absent: Vec::new(),
        expired: Vec::new(),
        notes: Vec::new(),
    }
}
