//! The number of rules that a change closes, by access and not by spelling.
//!
//! Owns the definition: a rule counts as closed if, on more than half of its ports, more than half of its sources no longer get in
//! by any rule. IPv4 addresses, IPv6 addresses and aliases are counted separately, and the loss of one kind is enough, so that no
//! number of IPv6 addresses outweighs the loss of IPv4. Does not know the limit.

use super::ended_leases::without_ended_leases;
use crate::exposure::{Access, Atom, CellRun, Effective, uncovered};
use crate::model::{Family, Key, Sources};
use crate::plan::{Call, InstancePlan};

/// The number of rules that a plan closes, including uncertain live entries that a Put drops.
pub(super) fn count_closed_rules(plan: &InstancePlan) -> usize {
    let family = plan.family();
    let before = without_ended_leases(plan);
    let mut narrowed = plan
        .changes
        .iter()
        .filter_map(|change| Some((change, before.get(change.key)?)))
        .filter(|(change, before)| !uncovered(before, &change.after, family).is_empty())
        .peekable();
    let rules = if narrowed.peek().is_none() {
        0
    } else {
        // Uncertain entries may let in more, but nobody can rely on that.
        let after = Effective::of(&plan.after, family);
        narrowed
            .filter(|(change, before)| is_closed(change.key, before, &after))
            .count()
    };
    rules + count_dropped_entries(plan)
}

/// Whether a rule counts as closed if this is the access afterwards.
pub(super) fn is_closed(key: Key, sources: &Sources, after: &Effective) -> bool {
    // The browser client counts only if the rule names it.
    let before = Access::from(sources);
    let (mut all, mut open) = (0_u32, 0_u32);
    for (atom, rule) in Effective::of_rules([(&key, sources)], Family::default()).iter() {
        all += cells(rule.from, rule.to);
        open += overlapping_runs(after, atom, rule)
            .filter(|run| !loses_most(&before, &run.access))
            .map(|run| cells(run.from.max(rule.from), run.to.min(rule.to)))
            .sum::<u32>();
    }
    all - open > open
}

fn cells(from: u16, to: u16) -> u32 {
    u32::from(to - from) + 1
}

/// The runs of `all` that share a cell with a run of a rule.
fn overlapping_runs<'a>(
    all: &'a Effective,
    atom: Atom,
    rule: &CellRun,
) -> impl Iterator<Item = &'a CellRun> {
    let runs = all.runs(atom);
    let first = runs.partition_point(|run| run.to < rule.from);
    let last = rule.to;
    runs[first..].iter().take_while(move |run| run.from <= last)
}

/// Whether more than half of the sources of any kind are not in `after`.
fn loses_most(before: &Access, after: &Access) -> bool {
    let (gone, kept) = (before.difference(after), before.intersection(after));
    gone.v4.count() > kept.v4.count()
        || gone.v6.count() > kept.v6.count()
        || gone.aliases.len() > kept.aliases.len()
}

/// The number of uncertain entries whose key a Put drops.
fn count_dropped_entries(plan: &InstancePlan) -> usize {
    if !plan.calls.iter().any(Call::replaces) {
        return 0;
    }
    let is_dropped =
        |key: Key| plan.after.get(key).is_none() && plan.before.firewall().get(key).is_none();
    let uncertain = plan.before.uncertain().iter();
    uncertain
        .filter(|entry| entry.key.is_none_or(is_dropped))
        .count()
}
