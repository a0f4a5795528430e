//! Settling: brings the rules of one instance to an [`Aim`] and proves it, while others may write at the same time.
//!
//! **Owns** the rounds: where another writer interfered, it plans again from the live rules; and what was opened for a lease
//! that was revoked meanwhile is closed. **Does not** change access that no lease of the aim names, except to restore the
//! leases of others that its own writes may have overwritten.

use std::collections::BTreeMap;
use std::time::Duration;

use time::OffsetDateTime;

use super::{Aim, LeaseEngine, NEVER, Obstacle, SettleError, declares, live_leases};
use crate::apply::outcomes::plain;
use crate::apply::{self, Settings, Tools, Validity};
use crate::exposure;
use crate::lease::{Lease, LeaseId};
use crate::lightsail::{Reader, Writer};
use crate::model::{DesiredInstance, Expiry, Instance, LiveFirewall, Mode, Origin, Rule};
use crate::plan::lint::lint;
use crate::plan::{Call, Failure, InstancePlan, InstanceResult, Outcome, Plan, Verdict};

/// The most rounds. A round fails only because another writer succeeded in it.
const ROUNDS: u32 = 12;

/// A lease that expires sooner than this is not opened any more. A request may arrive as late as its timeout allows, and it
/// must not arrive after `apply --only-expired` has read the expired lease as closed.
pub const MIN_REMAINING: time::Duration = time::Duration::seconds(30);

/// How many consecutive reads must agree on a state that this process did not write: nothing is open of what is to be closed,
/// or the tag of a lease is missing. A single read may be stale.
pub(super) const READS: u32 = 3;

/// The aim is reached.
pub(super) struct Settled {
    /// Whether a write may have overwritten the leases of others, so that they are to be checked.
    pub(super) recheck: bool,
    /// See [`Granted::lost`](super::Granted::lost).
    pub(super) lost: Vec<Rule>,
}

impl<R: Reader, W: Writer, E> LeaseEngine<'_, R, W, E> {
    /// Opens and closes the leases of the aim.
    ///
    /// # Errors
    /// The aim is not reached; `wrote` says whether something may have been opened or closed all the same.
    pub(super) async fn settle(
        &mut self,
        aim: &Aim<'_>,
        mut work: Rounds,
    ) -> Result<Settled, SettleError<E>> {
        let settled = self.work(aim.clone(), &mut work).await;
        settled.map_err(|why| SettleError {
            wrote: work.wrote,
            why,
        })
    }

    async fn work(&mut self, mut aim: Aim<'_>, work: &mut Rounds) -> Result<Settled, Obstacle<E>> {
        let Tools {
            settings,
            stop,
            validity,
            clock,
            ..
        } = self.tools;
        for round in 0..ROUNDS {
            if round > 0 {
                clock.sleep(work.pause(round, settings)).await;
            }
            if !work.wrote && stop.is_set() {
                return Err(Obstacle::Interrupted);
            }
            let instance = self.tools.read_instance(self.id).await?;
            let live = self.tools.read_rules(self.id).await?;
            let now = validity.now(clock.now());
            let wanted = (self.declared)(&instance, now).map_err(Obstacle::Declared)?;
            // On an instance that is no longer declared, what was granted is closed, and all else is kept.
            let wanted = wanted
                .as_deref()
                .cloned()
                .unwrap_or_else(|| DesiredInstance {
                    mode: Mode::Additive,
                    ..DesiredInstance::default()
                });
            if wanted.mode == Mode::Observe {
                return Err(Obstacle::Observed);
            }
            let is_declared =
                |lease: &&Lease| wanted.rules.iter().any(|rule| declares(&[lease], rule));
            if !aim.open.iter().all(is_declared) {
                work.reads_untagged += 1;
                if work.reads_untagged >= READS {
                    work.give_up(&mut aim)?;
                }
                continue;
            }
            work.reads_untagged = 0;
            let live_now = live_leases(&instance, &wanted);
            let (plan, ends) = work.plan(&aim, &instance, &wanted, &live, (&live_now, now));
            match &plan.verdict {
                Verdict::Refused { reason, hint } => {
                    let mut failure = plain(reason.clone());
                    failure.hint.clone_from(hint);
                    return Err(failure.into());
                }
                Verdict::Change => {}
                _ if !aim.close.is_empty() && work.reads_settled + 1 < READS => {
                    work.reads_settled += 1;
                    continue;
                }
                _ => return work.done(&instance, &wanted, &live, false),
            }
            work.reads_settled = 0;
            for lease in live_now {
                work.resent.entry(lease.id.clone()).or_insert(lease);
            }
            if aim.open.iter().any(|lease| expires_soon(lease, now)) {
                work.give_up(&mut aim)?;
                continue;
            }
            let mut calls = plan.calls.iter();
            let opens = calls.all(|call| matches!(call, Call::Open { .. }));
            let after = LiveFirewall::from(&plan.after);
            let InstanceResult {
                outcome, writes, ..
            } = self.carry_out(plan, ends, work.wrote).await?;
            work.wrote |= writes > 0;
            match outcome {
                // Proved. The tag of an ended lease is to be removed at once: an `apply` opens the lease until it sees that.
                Outcome::Applied { .. } => return work.done(&instance, &wanted, &after, !opens),
                Outcome::AlreadyApplied => {}
                Outcome::Stale(why) => work.interference = why,
                Outcome::ForeignWriter(foreign) => {
                    work.interference = foreign.to_string();
                    // A write that crossed with another writer may have closed what that writer had opened.
                    work.restore_all = true;
                    work.crossed |= writes > 0;
                }
                Outcome::Failed(failure) => return Err(failure.into()),
                Outcome::NotStarted(_) => return Err(Obstacle::Interrupted),
                Outcome::Reverted(why) => return Err(plain(why).into()),
            }
        }
        Err(Obstacle::Contended(std::mem::take(&mut work.interference)))
    }

    /// Applies the plan of one instance. Once something was written, a stop is not honoured any more.
    async fn carry_out(
        &self,
        one: InstancePlan,
        ends: Option<OffsetDateTime>,
        wrote: bool,
    ) -> Result<InstanceResult, Failure> {
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
            let at = until.saturating_sub(MIN_REMAINING);
            let origin = Origin::of_tag("portward:grant".to_owned());
            (self.id.clone(), Expiry { at, origin })
        });
        let tools = Tools {
            settings: &Settings {
                leases: true,
                ..*self.tools.settings
            },
            stop: if wrote { &NEVER } else { self.tools.stop },
            validity: &Validity {
                ends: ends.into_iter().collect(),
                ahead: self.tools.validity.ahead,
                ..Validity::default()
            },
            ..self.tools
        };
        let report = apply::run(&plan, &tools).await;
        let result = report.results.into_iter().next();
        result.ok_or_else(|| {
            plain("internal error: nothing became of a plan; please report this bug".to_owned())
        })
    }
}

/// What the rounds so far have done and seen.
#[derive(Default)]
pub(super) struct Rounds {
    /// Whether something may have been opened or closed.
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
    resent: BTreeMap<LeaseId, Lease>,
    /// The lease that was to be opened and is to be closed instead, because its tag is missing or it is about to expire.
    given_up: Option<LeaseId>,
    /// What the last other writer did.
    interference: String,
}

impl Rounds {
    /// For a check right after success: a read that shows nothing to do is believed at once, and the leases of others are
    /// restored too.
    pub(super) fn again() -> Self {
        Self {
            reads_settled: READS,
            restore_all: true,
            ..Self::default()
        }
    }

    /// Grows from round to round where others write too; the pause of a read-back where a stale read is to pass.
    fn pause(&self, round: u32, settings: &Settings) -> Duration {
        if self.reads_settled > 0 || self.reads_untagged > 0 {
            return settings.first_pause;
        }
        Duration::from_millis(fastrand::u64(1..=200 * u64::from(round)))
    }

    /// Closes what was to be opened, as far as it may be open.
    fn give_up<E>(&mut self, aim: &mut Aim<'_>) -> Result<(), Obstacle<E>> {
        let Some(first) = aim.open.first() else {
            return Ok(());
        };
        let id = first.id.clone();
        if !self.wrote {
            return Err(Obstacle::Ended(id));
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
        let revoked = self.resent.values().filter(|lease| {
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

    fn done<E>(
        &mut self,
        instance: &Instance,
        wanted: &DesiredInstance,
        live: &LiveFirewall,
        recheck: bool,
    ) -> Result<Settled, Obstacle<E>> {
        if let Some(id) = self.given_up.take() {
            // It is closed again.
            self.wrote = false;
            return Err(Obstacle::Ended(id));
        }
        let family = instance.address_type.client_family();
        let is_lost = |rule: &&Rule| {
            let now = live.firewall().get(rule.key);
            rule.declared.origin.tag().is_none()
                && now.is_none_or(|now| !exposure::uncovered(&rule.sources, now, family).is_empty())
        };
        let lost = wanted.rules.iter().filter(|_| self.crossed);
        Ok(Settled {
            recheck,
            lost: lost.filter(is_lost).cloned().collect(),
        })
    }
}

fn expires_soon(lease: &Lease, now: OffsetDateTime) -> bool {
    lease.until.saturating_sub(MIN_REMAINING) <= now
}
