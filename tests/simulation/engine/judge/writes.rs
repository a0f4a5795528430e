//! The invariants of every single write that the emulator accepted.
//!
//! Owns the comparison of the journal with the plan. Does not use reports.

use portward::apply::Settings;
use portward::emulator::{Author, PutSteps, Write};
use portward::exposure::Effective;
use portward::model::{Key, LiveFirewall, Mode, PortState, Sources, Strategy};
use portward::plan::{Call, Outcome};

use super::super::act::RunRecord;
use super::super::adapter::RecordedRead;
use super::{Broken, Case};

/// The most times that a call may be sent.
fn attempts() -> usize {
    usize::try_from(Settings::default().attempts).unwrap_or(usize::MAX)
}

/// The invariants about one instance.
pub(super) fn all(case: &Case<'_>) -> Result<(), Broken> {
    intermediate_states_are_within_bounds(case)?;
    writes_reach_only_the_planned_instance(case)?;
    unmanaged_rules_are_kept(case)?;
    number_of_writes_is_bounded(case)?;
    no_write_after_expiry(case)?;
    detected_foreign_writes_are_not_overwritten(case)?;
    lost_foreign_changes_are_reported(case)
}

/// The writes of this run on this instance.
fn ours<'a>(case: &'a Case<'_>) -> impl Iterator<Item = (usize, &'a Write)> {
    case.records(case.act.planned, case.act.journal.len())
        .filter(|(_, write)| write.by == Author::Client)
}

/// Access that is allowed before and after stays allowed, and access that neither allows is never allowed. Another writer changes the
/// state before, and a service with a two-step Put has intermediate states of its own.
fn intermediate_states_are_within_bounds(case: &Case<'_>) -> Result<(), Broken> {
    if case.scene.quirks.put == PutSteps::Two {
        return Ok(());
    }
    let foreign = case.foreign().unwrap_or(usize::MAX);
    let family = case.plan.family();
    let effective = |rules: &[PortState]| {
        Effective::of(&case.possible(LiveFirewall::read(rules).firewall()), family)
    };
    let mut ends: Option<(Effective, Effective)> = None;
    // The way back leads to what was read, which may be older than what was.
    let read = if case.act.denied && !case.reads_are_fresh() {
        Effective::of(&case.possible(case.plan.before.firewall()), family)
    } else {
        Effective::default()
    };
    for (place, write) in ours(case) {
        if place > foreign || write.arn != case.plan.instance.arn {
            return Ok(());
        }
        let (before, after) = ends.get_or_insert_with(|| {
            let after = Effective::of(&case.possible(&case.plan.after), family);
            (effective(&write.before), after)
        });
        let now = effective(&write.after);
        if !now.is_superset(&before.intersection(after)) {
            return Err(case.broken("no gap on the way", format_args!("{write:?}")));
        }
        if !before
            .joined(after, family)
            .joined(&read, family)
            .is_superset(&now)
        {
            return Err(case.broken("no opening on the way", format_args!("{write:?}")));
        }
    }
    Ok(())
}

/// A write reaches another instance of the same name only if that got the name after the last check of the identity, which precedes
/// every write.
fn writes_reach_only_the_planned_instance(case: &Case<'_>) -> Result<(), Broken> {
    let arn = &case.plan.instance.arn;
    for (place, write) in ours(case).filter(|(_, write)| write.step == 1) {
        let mut identity_reads = case.act.identity_reads.iter();
        let last = identity_reads.rfind(|look| look.id == *case.id() && look.at <= place);
        if last.is_none_or(|look| look.arn.as_ref() != Some(arn)) {
            return Err(case.broken(
                "only the instance that was planned for",
                format_args!("{last:?}, and then {write:?}"),
            ));
        }
    }
    Ok(())
}

/// No write is started after the end of its rule.
fn no_write_after_expiry(case: &Case<'_>) -> Result<(), Broken> {
    let Some(end) = case.act.ends.get(case.id()) else {
        return Ok(());
    };
    let mut bound = case.act.intents[..case.act.bound].iter();
    match bound.find(|told| told.id == *case.id() && told.at >= *end) {
        None => Ok(()),
        Some(told) => Err(case.broken(
            "nothing is written after its end",
            format_args!("{end}, and then {told:?}"),
        )),
    }
}

/// Without consent, writes in additive mode change no other key and remove no source that is not declared absent.
fn unmanaged_rules_are_kept(case: &Case<'_>) -> Result<(), Broken> {
    const NAME: &str = "rules that are not ours are left alone";
    let Some(wanted) = case.act.desired.instances.get(case.id()) else {
        return Err(case.broken(NAME, "it is not in the configuration"));
    };
    if wanted.mode != Mode::Additive
        || wanted.strategy == Strategy::Put
        || case.act.denied
        || case.exchanged()
    {
        return Ok(());
    }
    let foreign = case.foreign().unwrap_or(usize::MAX);
    let declared: Vec<Key> = wanted.rules.iter().map(|rule| rule.key).collect();
    let gone = |key: Key| -> Option<Sources> {
        let mut gone = Sources::new();
        for absent in wanted.absent.iter().filter(|absent| absent.key == key) {
            gone.extend(absent.sources.as_ref()?);
        }
        for expired in wanted.expired.iter().filter(|rule| rule.key == key) {
            gone.extend(&expired.sources);
        }
        Some(gone)
    };
    for (place, write) in ours(case) {
        if place > foreign {
            return Ok(());
        }
        if write.action == "PutInstancePublicPorts" {
            return Err(case.broken(NAME, format_args!("a Put without consent: {write:?}")));
        }
        let before = LiveFirewall::read(&write.before);
        let after = LiveFirewall::read(&write.after);
        let (before, after) = (
            case.possible(before.firewall()),
            case.possible(after.firewall()),
        );
        for key in before.keys().chain(after.keys()) {
            let only = |sources: Option<&Sources>| {
                let sources = sources.cloned().unwrap_or_default();
                Effective::of_rules([(&key, &sources)], case.plan.family())
            };
            let (was, is) = (only(before.get(key)), only(after.get(key)));
            let stays = match gone(key) {
                // The whole key goes.
                None => continue,
                Some(gone) => was.difference(&only(Some(&gone))),
            };
            let grown = !was.is_superset(&is) && !declared.contains(&key);
            if grown || !is.is_superset(&stays) {
                return Err(case.broken(NAME, format_args!("{key}: {write:?}")));
            }
        }
    }
    Ok(())
}

/// Each call and the fallback are sent at most as often as they may be lost.
fn number_of_writes_is_bounded(case: &Case<'_>) -> Result<(), Broken> {
    const NAME: &str = "a bounded number of writes";
    let told = case.act.intents.iter().filter(|told| told.id == *case.id());
    let told: Vec<&Call> = told.map(|told| &told.call).collect();
    let planned_put = case.plan.calls.iter().any(is_put);
    let puts = told.iter().filter(|call| is_put(call)).count();
    // The way back is a call for each key that changed, or a Put, and begins anew where somebody else writes meanwhile.
    let keys = case.plan.changes.len().max(1);
    let way_back = usize::from(case.act.denied) * 3 * (keys + 1) * attempts();
    let fallback = usize::from(case.plan.fallback.is_some()) * attempts();
    // A call that was throttled was not taken; each of those is told too.
    let throttled = told.len();
    let accepted = ours(case).filter(|(_, write)| write.step == 1).count();
    let most = case.plan.calls.len() * attempts() + fallback + way_back;
    if accepted > most {
        return Err(case.broken(
            NAME,
            format_args!("{accepted} of at most {most}, {throttled} told"),
        ));
    }
    if puts > 0 && !planned_put && case.plan.fallback.is_none() && !case.act.denied {
        return Err(case.broken(NAME, "a Put that the plan does not hold"));
    }
    let accepted_puts = ours(case)
        .filter(|(_, write)| write.step == 1 && write.action == "PutInstancePublicPorts")
        .count();
    let most = usize::from(planned_put) * attempts() + fallback + way_back;
    if accepted_puts > most {
        return Err(case.broken(NAME, format_args!("{accepted_puts} Puts of at most {most}")));
    }
    let allowed = |call: &&Call| {
        let fallback =
            matches!(call, Call::Put { firewall } if case.plan.fallback.as_ref() == Some(firewall));
        case.plan.calls.contains(call) || fallback || case.act.denied
    };
    match told.iter().find(|call| !allowed(call)) {
        None => Ok(()),
        Some(call) => Err(case.broken(NAME, format_args!("the plan does not hold {call:?}"))),
    }
}

fn is_put(call: &Call) -> bool {
    matches!(call, Call::Put { .. })
}

/// After a read that shows a foreign write, the run does not write. A write that matches an unanswered call of the run does not
/// count as foreign.
fn detected_foreign_writes_are_not_overwritten(case: &Case<'_>) -> Result<(), Broken> {
    let Some(foreign) = case.foreign() else {
        return Ok(());
    };
    let mut intents = case.act.intents.iter();
    let unanswered = intents.any(|told| told.id == *case.id() && told.unanswered);
    if !case.reads_are_fresh() || unanswered || case.act.denied || case.exchanged() {
        return Ok(());
    }
    let write = &case.act.journal[foreign];
    if LiveFirewall::read(&write.before) == LiveFirewall::read(&write.after) {
        return Ok(());
    }
    // It may have been undone before anybody looked: then the rules are as planned.
    let shows = |look: &&RecordedRead| {
        look.id == *case.id() && look.at > foreign && case.state_at(look.at) != case.plan.before
    };
    let Some(noticed) = case.act.rule_reads.iter().find(shows) else {
        return Ok(());
    };
    match ours(case).find(|(place, _)| *place >= noticed.at) {
        None => Ok(()),
        Some((_, write)) => Err(case.broken(
            "what was noticed is not overwritten",
            format_args!("{write:?}"),
        )),
    }
}

/// What somebody writes between our last read and an Open or a Close may go with it, if Open replaces or Close removes the
/// key. The rules are as planned then, and it must be said all the same that somebody else was at work, or that nobody
/// knows.
fn lost_foreign_changes_are_reported(case: &Case<'_>) -> Result<(), Broken> {
    let mut results = case.act.report.results.iter();
    let result = results.find(|result| result.id == *case.id());
    let unknown = |note: &String| note.contains("is not known");
    let Some(result) = result.filter(|result| !result.note.as_ref().is_some_and(unknown)) else {
        return Ok(());
    };
    let puts = case.plan.calls.iter().any(is_put);
    let mut intents = case.act.intents.iter();
    // What fits a call of ours that was never answered may have been ours.
    let unanswered = intents.any(|told| told.id == *case.id() && told.unanswered);
    let applied = matches!(result.outcome, Outcome::Applied { .. });
    if puts || unanswered || !applied || case.exchanged() {
        return Ok(());
    }
    let Some((written, _)) = ours(case).next() else {
        return Ok(());
    };
    let mut rule_reads = case.act.rule_reads.iter();
    let Some(read) = rule_reads.rfind(|look| look.id == *case.id() && look.at <= written) else {
        return Ok(());
    };
    let mut between = case.records(read.at, written);
    match between.find(|(_, write)| write.by == Author::ForeignWriter) {
        None => Ok(()),
        Some((_, write)) => Err(case.broken(
            "what a call took with it is named",
            format_args!("{write:?}"),
        )),
    }
}

/// There is no write to an instance without calls in the plan: undeclared, observed, in sync, refused or unreadable.
pub(super) fn only_where_planned(act: &RunRecord) -> Result<(), Broken> {
    let written = act.journal[act.planned..]
        .iter()
        .filter(|write| write.by == Author::Client);
    for write in written {
        let mut plans = act.plan.instances.iter();
        let plan = plans.find(|plan| plan.instance.id == write.instance);
        let planned = plan.is_some_and(|plan| !plan.calls.is_empty() && plan.mode != Mode::Observe);
        if !planned {
            return Err(format!("only what is planned is written: {write:?}"));
        }
    }
    Ok(())
}

/// Every write was recorded in the journal of the run before it was sent, and a real receipt has all of them.
pub(super) fn every_write_has_an_intent(act: &RunRecord) -> Result<(), Broken> {
    const NAME: &str = "no write without an intent";
    let mut told = act.intents.iter();
    let accepted = act.journal[act.planned..]
        .iter()
        .filter(|write| write.by == Author::Client && write.step == 1);
    let mut ids: Vec<_> = accepted.clone().map(|write| &write.instance).collect();
    ids.sort();
    ids.dedup();
    for id in ids {
        let mut intents = act.intents.iter().filter(|told| told.id == *id);
        for write in accepted.clone().filter(|write| write.instance == *id) {
            if !intents.any(|told| told.call.action() == write.action) {
                return Err(format!("{NAME}: {write:?}"));
            }
        }
    }
    let Some(receipt) = &act.receipt else {
        return Ok(());
    };
    let same = receipt.writes.len() == act.intents.len()
        && receipt.writes.iter().all(|write| {
            told.next().is_some_and(|told| {
                (&told.id, told.call.action()) == (&write.id, write.call.action())
            })
        });
    if same && receipt.has_ended() && receipt.torn.is_none() {
        return Ok(());
    }
    Err(format!("{NAME}: the receipt is not the run: {receipt:?}"))
}
