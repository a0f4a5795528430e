//! From leases to the rules: opened, closed, and proved, however many others write at the same time.
//!
//! **Owns** beginning again from what is live where somebody else wrote meanwhile, and taking back what was opened for a lease
//! that is gone by then. **Does not** touch what no lease of the aim names, but for the leases of others that its own writes
//! may have overwritten.

use std::time::Duration;

use time::OffsetDateTime;

use super::{Aim, Declared, Obstacle, Unsettled, cannot_read, holds, live_leases, look};
use crate::apply::outcomes::plain;
use crate::apply::{self, Journal, Progress, Settings, Stop, Tools, Validity};
use crate::exposure;
use crate::lease::Lease;
use crate::lightsail::{Reader, Writer};
use crate::model::{
    DesiredInstance, Expiry, Instance, InstanceId, LiveFirewall, Mode, Origin, Rule, Strategy,
};
use crate::plan::lint::lint;
use crate::plan::{Call, Failure, InstancePlan, InstanceResult, Outcome, Plan, Verdict};

/// How often it begins again from what is live. Each time somebody else has written, and got on by it.
const ROUNDS: u32 = 12;

/// How long before the end of a lease nothing is opened for it any more. A request that is sent may be under way for as long
/// as it may take to be answered, and must not arrive once whoever closes what is over has looked.
pub const TOO_LATE: Duration = Duration::from_secs(30);

/// How many reads in a row must show what was not written here: that nothing is open of what is to be closed, or that the tag
/// of a lease is gone. One may be an old view.
pub(super) const READS: u32 = 3;

/// What became of it.
#[derive(Debug, Default)]
pub struct Settled {
    /// Whether anything was written.
    pub wrote: bool,
    /// Whether a write may have overwritten what others were granted, so that it is to be looked at again.
    pub(super) again: bool,
    /// What is declared and not open, where somebody else wrote at the same time and what that one opened may have been
    /// overwritten.
    pub lost: Vec<Rule>,
}

/// Makes it so.
///
/// # Errors
/// It could not be done; `wrote` says whether something may have been opened or closed all the same.
pub async fn settle<R: Reader, W: Writer, J: Journal, P: Progress, D: Declared>(
    id: &InstanceId,
    aim: &Aim<'_>,
    declared: &mut D,
    tools: &Tools<'_, R, W, J, P>,
) -> Result<Settled, Unsettled<D::Error>> {
    go_on(id, aim, Work::default(), declared, tools).await
}

/// As [`settle`], where it was so a moment ago: that nothing is to be done is believed at once, and everybody's leases are
/// looked after.
///
/// # Errors
/// As [`settle`].
pub(super) async fn settle_again<R: Reader, W: Writer, J: Journal, P: Progress, D: Declared>(
    id: &InstanceId,
    aim: &Aim<'_>,
    declared: &mut D,
    tools: &Tools<'_, R, W, J, P>,
) -> Result<Settled, Unsettled<D::Error>> {
    let work = Work {
        quiet: READS,
        everybody: true,
        ..Work::default()
    };
    go_on(id, aim, work, declared, tools).await
}

async fn go_on<R: Reader, W: Writer, J: Journal, P: Progress, D: Declared>(
    id: &InstanceId,
    aim: &Aim<'_>,
    mut work: Work,
    declared: &mut D,
    tools: &Tools<'_, R, W, J, P>,
) -> Result<Settled, Unsettled<D::Error>> {
    let mut aim = aim.clone();
    for round in 0..ROUNDS {
        if round > 0 {
            tools.clock.sleep(work.pause(round, tools.settings)).await;
        }
        let wrote = work.wrote;
        let unsettled = |why| Unsettled { wrote, why };
        let failed = |failure| unsettled(Obstacle::Failed(failure));
        if !wrote && tools.stop.is_set() {
            return Err(unsettled(Obstacle::Interrupted));
        }
        let instance = look(id, tools).await.map_err(failed)?;
        let live = tools.reader.rules(id).await;
        let live = live.map_err(|error| failed(cannot_read(&error)))?;
        let now = tools.validity.now(tools.clock.now());
        let wanted = declared.wanted(&instance, now);
        let wanted = wanted.map_err(|error| unsettled(Obstacle::Declared(error)))?;
        let wanted = wanted.as_deref().cloned().unwrap_or_else(nothing);
        if wanted.mode == Mode::Observe {
            return Err(unsettled(Obstacle::Observed));
        }
        let is_declared = |lease: &&Lease| wanted.rules.iter().any(|rule| holds(&[lease], rule));
        if !aim.open.iter().all(is_declared) {
            work.unseen += 1;
            if work.unseen < READS {
                continue;
            }
            work.give_up(&mut aim)?;
            continue;
        }
        work.unseen = 0;
        let live_now = live_leases(&instance, &wanted);
        let (plan, ends) = work.plan(&aim, &instance, &wanted, &live, (&live_now, now));
        match &plan.verdict {
            Verdict::Refused { reason, hint } => {
                let mut failure = plain(reason.clone());
                failure.hint.clone_from(hint);
                return Err(failed(failure));
            }
            Verdict::Change => {}
            _ if !aim.close.is_empty() && work.quiet + 1 < READS => {
                work.quiet += 1;
                continue;
            }
            _ => return work.done(&instance, &wanted, &live, false),
        }
        work.quiet = 0;
        work.see(live_now);
        if aim.open.iter().any(|lease| is_too_late(lease, now)) {
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
            // Proved, which is the moment for whoever ends a lease to remove its tag: others open it until they see that.
            Outcome::Applied { .. } => {
                let after = LiveFirewall::from(&after);
                return work.done(&instance, &wanted, &after, !opens);
            }
            Outcome::AlreadyApplied => {}
            Outcome::Stale(why) => work.last = why,
            Outcome::ForeignWriter(foreign) => {
                work.last = foreign.to_string();
                // What crossed with another writer may have taken away what that one had opened.
                work.everybody = true;
                work.crossed |= writes > 0;
            }
            Outcome::Failed(failure) => {
                let why = Obstacle::Failed(failure);
                return Err(Unsettled { wrote, why });
            }
            Outcome::NotStarted(_) => {
                let why = Obstacle::Interrupted;
                return Err(Unsettled { wrote, why });
            }
            Outcome::Reverted(why) => {
                let why = Obstacle::Failed(plain(why));
                return Err(Unsettled { wrote, why });
            }
        }
    }
    Err(Unsettled {
        wrote: work.wrote,
        why: Obstacle::Contended(work.last),
    })
}

/// How far it is.
#[derive(Debug, Default)]
struct Work {
    wrote: bool,
    /// Once the whole firewall was replaced, or somebody else wrote meanwhile, everybody's leases are looked after, in case one
    /// was overwritten.
    everybody: bool,
    /// Whether somebody else wrote while we did.
    crossed: bool,
    /// How many reads in a row showed nothing to do.
    quiet: u32,
    /// How many reads in a row did not show the tag of a lease that is to be open.
    unseen: u32,
    /// The leases that were live when something was about to be written: a write sends what they opened again.
    seen: Vec<Lease>,
    /// What was to be opened and is to be closed again, because its tag is gone or its time is nearly over.
    over: Option<crate::lease::LeaseId>,
    /// What the last of the others did.
    last: String,
}

impl Work {
    /// Longer from round to round where others write too; as long as a read-back waits where an old view is to pass.
    fn pause(&self, round: u32, settings: &Settings) -> Duration {
        if self.quiet > 0 || self.unseen > 0 {
            return settings.first_pause;
        }
        Duration::from_millis(fastrand::u64(1..=200 * u64::from(round)))
    }

    /// What was to be opened is not wanted any more: it is closed where it may be open.
    fn give_up<E>(&mut self, aim: &mut Aim<'_>) -> Result<(), Unsettled<E>> {
        let Some(first) = aim.open.first() else {
            return Ok(());
        };
        let id = first.id.clone();
        if !self.wrote {
            return Err(Unsettled {
                wrote: false,
                why: Obstacle::Over(id),
            });
        }
        self.over = Some(id);
        self.unseen = 0;
        aim.close.append(&mut aim.open);
        Ok(())
    }

    /// What leads to the aim now, and when a lease that it opens ends.
    fn plan(
        &self,
        aim: &Aim<'_>,
        instance: &Instance,
        wanted: &DesiredInstance,
        live: &LiveFirewall,
        (live_now, now): (&[Lease], OffsetDateTime),
    ) -> (InstancePlan, Option<OffsetDateTime>) {
        let of_all = |all: &[&Lease], one: &Lease| all.iter().any(|lease| lease.id == one.id);
        let others = live_now.iter().filter(|_| self.everybody);
        let others = others.filter(|lease| !is_too_late(lease, now) && !of_all(&aim.close, lease));
        let open: Vec<&Lease> = aim.open.iter().copied().chain(others).collect();
        // What was revoked while we wrote may have been opened again by that.
        let live_now: Vec<&Lease> = live_now.iter().collect();
        let gone = self.seen.iter().filter(|lease| {
            self.crossed && [&live_now, &aim.open].iter().all(|all| !of_all(all, lease))
        });
        let close = aim.close.iter().copied().chain(gone);
        let ends = open.iter().map(|lease| lease.until).min();
        let aim = Aim {
            open,
            close: close.collect(),
        };
        (aim.plan(instance, wanted, live), ends)
    }

    fn see(&mut self, live: Vec<Lease>) {
        for lease in live {
            if self.seen.iter().all(|seen| seen.id != lease.id) {
                self.seen.push(lease);
            }
        }
    }

    fn done<E>(
        self,
        instance: &Instance,
        wanted: &DesiredInstance,
        live: &LiveFirewall,
        again: bool,
    ) -> Result<Settled, Unsettled<E>> {
        if let Some(id) = self.over {
            return Err(Unsettled {
                wrote: false,
                why: Obstacle::Over(id),
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
            again,
            lost: lost.filter(is_lost).cloned().collect(),
        })
    }
}

fn is_too_late(lease: &Lease, now: OffsetDateTime) -> bool {
    lease.until.saturating_sub(too_late()) <= now
}

fn too_late() -> time::Duration {
    time::Duration::try_from(TOO_LATE).unwrap_or(time::Duration::MAX)
}

/// Carries out a plan for one instance. Once something was written, it is brought to its end whoever wishes to stop.
async fn carry_out<R: Reader, W: Writer, J: Journal, P: Progress>(
    one: InstancePlan,
    ends: Option<OffsetDateTime>,
    wrote: bool,
    tools: &Tools<'_, R, W, J, P>,
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
        let at = until.saturating_sub(too_late());
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

/// What is wanted where nothing declares the instance any more: what was granted is closed, and all else is left alone.
fn nothing() -> DesiredInstance {
    DesiredInstance {
        mode: Mode::Additive,
        strategy: Strategy::Auto,
        rules: Vec::new(),
        absent: Vec::new(),
        expired: Vec::new(),
        notes: Vec::new(),
    }
}
