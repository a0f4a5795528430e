//! The invariants of every run, whatever the service does.
//!
//! Owns the invariants of whole runs; those of single writes are in `writes`. They are checked against the journal and the rules of
//! the emulator, never against what the run knew. Does not allow any exception that is not stated here.

mod writes;

use portward::cli::Exit;
use portward::emulator::{Author, PutSteps, ReadConsistency, Write};
use portward::exposure::{self, Effective};
use portward::inventory::Inventory;
use portward::model::{AddressType, Firewall, InstanceId, LiveFirewall, Mode, PortState, Sources};
use portward::plan::lint::lint;
use portward::plan::{InstancePlan, Outcome, Verdict};
use portward::render::text;

use super::SECRET;
use super::act::RunRecord;
use super::adapter::RecordedRead;
use super::scene::{Scene, restrict};

/// The violated invariant, and the observation.
pub(crate) type Broken = String;

/// Checks all invariants of a run.
pub(crate) fn act(scene: &Scene, act: &RunRecord) -> Result<(), Broken> {
    plan_is_sound(act)?;
    reading_writes_nothing(act)?;
    unreadable_is_not_reported_in_sync(act)?;
    for plan in &act.plan.instances {
        in_sync_is_correct(&Case { scene, act, plan })?;
    }
    ends(scene, act)?;
    output_contains_no_secret(act)
}

/// Checks the invariants of outcomes.
pub(crate) fn ends(scene: &Scene, act: &RunRecord) -> Result<(), Broken> {
    for plan in &act.plan.instances {
        outcome_is_correct(&Case { scene, act, plan })?;
    }
    writes(scene, act)?;
    exit_code_is_correct(scene, act)
}

/// Checks the invariants that hold at any time, also of a run that was killed.
pub(crate) fn writes(scene: &Scene, act: &RunRecord) -> Result<(), Broken> {
    for plan in &act.plan.instances {
        writes::all(&Case { scene, act, plan })?;
    }
    writes::only_where_planned(act)?;
    writes::every_write_has_an_intent(act)
}

/// One instance of a run.
pub(crate) struct Case<'a> {
    pub(crate) scene: &'a Scene,
    pub(crate) act: &'a RunRecord,
    pub(crate) plan: &'a InstancePlan,
}

impl Case<'_> {
    pub(crate) fn id(&self) -> &InstanceId {
        &self.plan.instance.id
    }

    pub(crate) fn broken(&self, invariant: &str, what: impl std::fmt::Display) -> Broken {
        format!("{invariant}: {}: {what}", self.id())
    }

    /// The records about this instance from one place of the journal to another.
    pub(crate) fn records(&self, from: usize, to: usize) -> impl Iterator<Item = (usize, &Write)> {
        let journal = self.act.journal.iter().enumerate();
        journal
            .skip(from)
            .take(to.saturating_sub(from))
            .filter(|(_, write)| write.instance == *self.id())
            .map(|(place, write)| (place, &**write))
    }

    /// The read that the plan is based on.
    pub(crate) fn plan_read(&self) -> Option<&RecordedRead> {
        self.act
            .plan_reads
            .iter()
            .rfind(|look| look.id == *self.id())
    }

    /// The index of the first write of somebody else after the read of the plan.
    pub(crate) fn foreign(&self) -> Option<usize> {
        let begin = self.act.begin;
        let from = self.plan_read().map_or(begin, |look| look.at.max(begin));
        self.records(from, self.act.journal.len())
            .find(|(_, write)| write.by == Author::ForeignWriter)
            .map(|(place, _)| place)
    }

    /// Whether the instance was deleted or replaced.
    pub(crate) fn exchanged(&self) -> bool {
        let arn = Some(self.plan.instance.arn.as_str());
        let is = |inventory: &Inventory| {
            let found = inventory.entries().find(|(id, _)| id == self.id());
            found.is_some_and(|(_, entry)| Some(entry.arn.as_str()) == arn)
        };
        let rule_reads = self.act.plan_reads.iter().chain(&self.act.rule_reads);
        let mut rule_reads = rule_reads.filter(|look| look.id == *self.id());
        !is(&self.act.first)
            || !is(&self.act.last)
            || rule_reads.any(|look| look.arn.as_deref() != arn)
    }

    /// The real rules when the journal had this length.
    pub(crate) fn state_at(&self, at: usize) -> LiveFirewall {
        let last = self.records(self.act.begin, at).last();
        match last {
            Some((_, write)) => LiveFirewall::read(&write.after),
            None => LiveFirewall::read(&rules(&self.act.first, self.id()).unwrap_or_default()),
        }
    }

    /// The part of these rules that the instance can have, without sources of missing families that the service may leave out.
    pub(crate) fn possible(&self, rules: &Firewall) -> Firewall {
        if self.scene.quirks.other_family == portward::emulator::UnsupportedFamily::Keep {
            return rules.clone();
        }
        let family: &AddressType = &self.plan.instance.address_type;
        let one = |(key, sources): (&_, &Sources)| {
            let mut sources = sources.clone();
            restrict(&mut sources, family);
            (*key, sources)
        };
        rules.iter().map(one).collect()
    }

    /// Whether reads show the last write at once.
    pub(crate) fn reads_are_fresh(&self) -> bool {
        self.scene.quirks.reads == ReadConsistency::Fresh && self.scene.quirks.put == PutSteps::One
    }

    fn means(&self, state: &LiveFirewall, wanted: &Firewall) -> bool {
        exposure::equivalent(
            &self.possible(state.firewall()),
            &self.possible(wanted),
            self.plan.family(),
        )
    }

    /// Whether the state is the desired one, without using the planner.
    fn satisfied(&self, state: &LiveFirewall) -> bool {
        let Some(wanted) = self.act.desired.instances.get(self.id()) else {
            return false;
        };
        let declared: Firewall = wanted
            .rules
            .iter()
            .map(|rule| (rule.key, rule.sources.clone()))
            .collect();
        if wanted.mode != Mode::Additive {
            return state.uncertain().is_empty() && self.means(state, &declared);
        }
        let family = self.plan.family();
        let live = Effective::of(&self.possible(state.firewall()), family);
        // What must go is gone, or another rule lets it in all the same and nothing would change.
        let gone = wanted.absent.iter().all(|absent| {
            let mut others = state.firewall().clone();
            let now = others.remove(absent.key).unwrap_or_default();
            let only = |sources: &Sources| -> Effective {
                Effective::of_rules([(&absent.key, sources)], family)
            };
            let left = match &absent.sources {
                None => Effective::default(),
                Some(sources) => only(&now).difference(&only(sources)),
            };
            Effective::of(&others, family).joined(&left, family)
                == Effective::of(state.firewall(), family)
        });
        gone && live.is_superset(&Effective::of(&self.possible(&declared), family))
    }
}

/// The rules of an instance in an inventory.
pub(crate) fn rules(inventory: &Inventory, id: &InstanceId) -> Option<Vec<PortState>> {
    let found = inventory.entries().find(|(of, _)| of == id);
    found.and_then(|(_, entry)| entry.port_states.as_deref().map(<[PortState]>::to_vec))
}

fn plan_is_sound(act: &RunRecord) -> Result<(), Broken> {
    let defects = lint(&act.plan);
    let told: Vec<String> = defects.iter().map(ToString::to_string).collect();
    if told.is_empty() {
        return Ok(());
    }
    Err(format!("the plan lint is clean: {}", told.join("; ")))
}

fn reading_writes_nothing(act: &RunRecord) -> Result<(), Broken> {
    let mut journal = act.journal[act.begin..act.planned].iter();
    match journal.find(|write| write.by == Author::Client) {
        None => Ok(()),
        Some(write) => Err(format!("reading writes nothing: {write:?}")),
    }
}

/// An instance that could not be read is reported as unreadable.
fn unreadable_is_not_reported_in_sync(act: &RunRecord) -> Result<(), Broken> {
    for id in act.desired.instances.keys() {
        let read = act.plan_reads.iter().any(|look| look.id == *id);
        let planned = act
            .plan
            .instances
            .iter()
            .any(|plan| plan.instance.id == *id);
        let named = act.plan.unreadable.iter().any(|(of, _)| of == id);
        if planned && !read && !act.again || planned == named {
            return Err(format!(
                "unreadable is never in sync: {id}: read {read}, planned {planned}, named {named}"
            ));
        }
    }
    let held = Exit::of_plan(&act.plan);
    let doubtful = !act.plan.unreadable.is_empty() || !act.plan.sites_unreadable.is_empty();
    if doubtful && !held.contains(&Exit::Incomplete) {
        return Err("unreadable is never in sync: the exit code says nothing".to_owned());
    }
    Ok(())
}

/// If the plan says in sync, the rules were in sync when they were read.
fn in_sync_is_correct(case: &Case<'_>) -> Result<(), Broken> {
    let Some(look) = case.plan_read() else {
        return Ok(());
    };
    let quiet = case.reads_are_fresh() || case.records(case.act.begin, look.at).next().is_none();
    // Where entries stay unread, the plan says so and no sync is claimed.
    let claimed =
        case.plan.verdict == Verdict::InSync && case.plan.incomplete.is_none() && !case.act.again;
    if !claimed || !quiet || case.exchanged() {
        return Ok(());
    }
    let state = case.state_at(look.at);
    if case.satisfied(&state) {
        return Ok(());
    }
    Err(case.broken("in sync is in sync", format_args!("{:?}", state.firewall())))
}

/// `applied` and `already-applied` are true of the emulator's rules at the last read or, if nobody else wrote, in the end. `reverted`
/// means as before, except for changes of others.
fn outcome_is_correct(case: &Case<'_>) -> Result<(), Broken> {
    const NAME: &str = "an end is what it is called";
    let mut results = case.act.report.results.iter();
    let result = results.find(|result| result.id == *case.id());
    let Some(result) = result else {
        if case.plan.calls.is_empty() {
            return Ok(());
        }
        return Err(case.broken(NAME, "it had calls and is not in the report"));
    };
    let accepted = case
        .records(case.act.planned, case.act.journal.len())
        .filter(|(_, write)| write.by == Author::Client && write.step == 1)
        .count();
    if result.writes < accepted && !case.act.denied {
        let writes = result.writes;
        return Err(case.broken(
            NAME,
            format_args!("{writes} writes told, {accepted} accepted"),
        ));
    }
    let wanted = match &result.outcome {
        // What was seen may have been an older view.
        Outcome::AlreadyApplied if !case.reads_are_fresh() => return Ok(()),
        Outcome::Applied { .. } | Outcome::AlreadyApplied => &case.plan.after,
        Outcome::Reverted(_) => case.plan.before.firewall(),
        Outcome::Stale(_) if accepted == 0 => return Ok(()),
        // It is the way back that was stale.
        Outcome::Stale(_) if case.act.denied => return Ok(()),
        Outcome::Stale(_) => {
            return Err(case.broken(NAME, format_args!("stale, and {accepted} writes were sent")));
        }
        outcome => {
            return match outcome.reason() {
                Some(reason) if !reason.is_empty() => Ok(()),
                _ => Err(case.broken(NAME, "no reason is given")),
            };
        }
    };
    if case.exchanged() {
        return Ok(());
    }
    let rule_reads = &case.act.rule_reads;
    let last = rule_reads.iter().rfind(|look| look.id == *case.id());
    let at = match (case.foreign(), last) {
        (None, _) => case.act.journal.len(),
        (Some(_), Some(look)) if case.reads_are_fresh() => look.at,
        _ => return Ok(()),
    };
    let state = case.state_at(at);
    // The plan may have been made from an older view than what somebody else had written by then.
    let mut all = case.records(case.act.begin, case.act.journal.len());
    let others = all.any(|(_, write)| write.by == Author::ForeignWriter);
    if others && matches!(result.outcome, Outcome::Reverted(_)) {
        return revert_leaves_no_own_change(case, &state, at);
    }
    let doubts = state.uncertain().len() <= case.plan.before.uncertain().len();
    if case.means(&state, wanted) && (doubts || matches!(result.outcome, Outcome::Reverted(_))) {
        return Ok(());
    }
    let status = result.outcome.status();
    Err(case.broken(
        NAME,
        format_args!("{status}, and it is {:?}", state.firewall()),
    ))
}

/// The access that the plan opened is closed and vice versa, unless somebody else changed it.
fn revert_leaves_no_own_change(
    case: &Case<'_>,
    state: &LiveFirewall,
    at: usize,
) -> Result<(), Broken> {
    let effective = |rules: &Firewall| Effective::of(&case.possible(rules), case.plan.family());
    let of = |entries: &[PortState]| effective(LiveFirewall::read(entries).firewall());
    let (before, after) = (
        effective(case.plan.before.firewall()),
        effective(&case.plan.after),
    );
    let (mut opened, mut closed) = (after.difference(&before), before.difference(&after));
    let theirs = case.records(case.act.begin, at);
    for (_, write) in theirs.filter(|(_, write)| write.by == Author::ForeignWriter) {
        let (was, is) = (of(&write.before), of(&write.after));
        opened = opened.difference(&is.difference(&was));
        closed = closed.difference(&was.difference(&is));
    }
    let is = effective(state.firewall());
    if opened.intersection(&is).is_empty() && is.is_superset(&closed) {
        return Ok(());
    }
    Err(case.broken(
        "nothing of ours is left",
        format_args!("{:?}", state.firewall()),
    ))
}

/// 0 means in sync, and 4 means nothing written.
fn exit_code_is_correct(scene: &Scene, act: &RunRecord) -> Result<(), Broken> {
    const NAME: &str = "an exit code means what it says";
    match exit(act) {
        Exit::Done => {
            for plan in &act.plan.instances {
                let case = Case { scene, act, plan };
                let undisturbed = case.foreign().is_none() && !case.exchanged();
                let state = case.state_at(act.journal.len());
                // An older view may be believed where nothing was written and proved in this run.
                let written = case
                    .records(act.planned, act.journal.len())
                    .next()
                    .is_some();
                let fresh = case.reads_are_fresh() || written;
                if plan.mode != Mode::Observe && undisturbed && fresh && !case.satisfied(&state) {
                    return Err(
                        case.broken(NAME, format_args!("0, and it is {:?}", state.firewall()))
                    );
                }
            }
            Ok(())
        }
        Exit::Stale => {
            let mut journal = act.journal[act.planned..].iter();
            match journal.find(|write| write.by == Author::Client) {
                None => Ok(()),
                Some(write) => Err(format!("{NAME}: 4, and this was written: {write:?}")),
            }
        }
        _ => Ok(()),
    }
}

/// The exit code of the command.
pub(crate) fn exit(act: &RunRecord) -> Exit {
    let mut held = Exit::of_plan(&act.plan);
    held.extend(Exit::of_report(&act.report));
    Exit::highest(&held)
}

fn output_contains_no_secret(act: &RunRecord) -> Result<(), Broken> {
    let texts = [
        text::plan(&act.plan, text::PlanView::Plan, 80),
        text::report(&act.report, &act.plan),
        format!("{:?}{:?}", act.report, act.receipt),
    ];
    match texts.iter().find(|text| text.contains(SECRET)) {
        None => Ok(()),
        Some(text) => Err(format!("no secret is told: {text}")),
    }
}
