//! Which rules a change closes, by what people lose and not by how it is spelled.
//!
//! Owns the measure: a rule counts as closed when, on most of its ports, most of those who got in by it no longer get in by
//! any rule. IPv4 addresses, IPv6 addresses and aliases are each taken by themselves, so that no number of IPv6 addresses
//! outweighs the loss of IPv4, and most of any of them is enough. Half is not most. Does not know what the limit is.

use super::granted::without_ended;
use crate::exposure::{Access, Atom, Effective, Run, uncovered};
use crate::model::{Family, Key, Sources};
use crate::plan::{Call, InstancePlan};

/// How many rules a plan closes: those of the measure, and live entries of uncertain meaning that a Put replaces by nothing.
pub(super) fn closed(plan: &InstancePlan) -> usize {
    let family = plan.family();
    let before = without_ended(plan);
    let mut shrinks = plan
        .changes
        .iter()
        .filter_map(|change| Some((change, before.get(change.key)?)))
        .filter(|(change, before)| !uncovered(before, &change.after, family).is_empty())
        .peekable();
    let rules = if shrinks.peek().is_none() {
        0
    } else {
        // Entries that cannot be read may let in more; nobody can rely on that.
        let after = Effective::of(&plan.after, family);
        shrinks
            .filter(|(change, before)| is_closed(change.key, before, &after))
            .count()
    };
    rules + replaced(plan)
}

/// Whether a rule is closed where this access is all that is left.
pub(super) fn is_closed(key: Key, sources: &Sources, after: &Effective) -> bool {
    // To the letter: the browser client counts where it is named.
    let had = Access::from(sources);
    let (mut all, mut open) = (0_u32, 0_u32);
    for (atom, rule) in Effective::of_rules([(&key, sources)], Family::default()).iter() {
        all += cells(rule.from, rule.to);
        open += touching(after, atom, rule)
            .filter(|left| !loses_most(&had, &left.access))
            .map(|left| cells(left.from.max(rule.from), left.to.min(rule.to)))
            .sum::<u32>();
    }
    all - open > open
}

fn cells(from: u16, to: u16) -> u32 {
    u32::from(to - from) + 1
}

/// The runs that share a cell with a run of a rule.
fn touching<'a>(all: &'a Effective, atom: Atom, rule: &Run) -> impl Iterator<Item = &'a Run> {
    let runs = all.runs(atom);
    let first = runs.partition_point(|run| run.to < rule.from);
    let last = rule.to;
    runs[first..].iter().take_while(move |run| run.from <= last)
}

/// Whether, of any kind of source, fewer of those who had access are among these than not.
fn loses_most(had: &Access, left: &Access) -> bool {
    let (gone, kept) = (had.difference(left), had.intersection(left));
    gone.v4.count() > kept.v4.count()
        || gone.v6.count() > kept.v6.count()
        || gone.aliases.len() > kept.aliases.len()
}

/// Entries that cannot be read for certain, and whose key a Put leaves out.
fn replaced(plan: &InstancePlan) -> usize {
    if !matches!(plan.calls.first(), Some(Call::Put { .. })) {
        return 0;
    }
    let certain = |key| plan.before.firewall().get(key).is_some();
    let gone =
        |key: Option<Key>| key.is_none_or(|key| plan.after.get(key).is_none() && !certain(key));
    let uncertain = plan.before.uncertain().iter();
    uncertain.filter(|entry| gone(entry.key)).count()
}
