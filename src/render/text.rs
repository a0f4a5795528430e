//! Plans and reports for people, on 80 columns and in a CI log.
//!
//! Owns order, folding and layout: the widest change first, instances that change alike in one block, the file and line
//! of every rule, a summary at the end. Does not leave an instance out, and does not convey anything by colour alone.

mod block;
mod change;
mod policy;
mod report;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use block::blocks;
pub(super) use block::{calls_text, severity};
pub(super) use change::missing_from;
pub(crate) use policy::violations;
pub(super) use report::outcome;
pub use report::report;

use super::cost::{self, Cost};
use super::formats::{count, format_minute, nonzero_counts, sanitize};
use super::group::group_by_key;
use super::metadata::LastChange;
use crate::model::{InstanceId, Missing, Note, Origin, Shard, Undeclared, Unreadable};
use crate::plan::{InstancePlan, Override, Plan, Verdict};
use crate::policy::Refusal;

pub use super::metadata::PlanView;

const GAIN: Style = AnsiColor::Green.on_default();
const LOSS: Style = AnsiColor::Red.on_default();
const CHANGE: Style = AnsiColor::Yellow.on_default();
const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// The whole plan, ending in a summary line. Changes are laid out for `width` columns; sentences are left to `wrap`.
pub fn plan(plan: &Plan, view: PlanView<'_>, width: usize) -> String {
    let mut text = write_differences(plan, view, width, true);
    missing(&mut text, &plan.missing);
    in_sync(&mut text, plan);
    write_names_or_count(
        &mut text,
        "not part of the plan: ",
        &plan.unplanned.iter().collect::<Vec<_>>(),
    );
    undeclared(&mut text, &plan.undeclared);
    notes(&mut text, "", &plan.notes);
    summary_line(&mut text, plan, view);
    text
}

/// The same without notes and without whatever needs nothing; empty where nothing does.
pub(crate) fn brief(plan: &Plan, view: PlanView<'_>, width: usize) -> String {
    let mut text = write_differences(plan, view, width, false);
    missing(&mut text, &plan.missing);
    undeclared(&mut text, &plan.undeclared);
    if !text.is_empty() {
        summary_line(&mut text, plan, view);
    }
    text
}

fn summary_line(text: &mut String, plan: &Plan, view: PlanView<'_>) {
    let label = match view {
        PlanView::Plan => "Plan:",
        PlanView::Drift | PlanView::InventoryDrift(_) => "Drift:",
    };
    let _ = writeln!(text, "{BOLD}{label}{BOLD:#} {}", summary(plan, view));
}

/// The changes, and the unreadable instances.
fn write_differences(plan: &Plan, view: PlanView<'_>, width: usize, has_notes: bool) -> String {
    let mut text = String::new();
    for block in blocks(plan, view, width, has_notes) {
        let _ = writeln!(text, "{block}");
    }
    for (id, unreadable) in &plan.unreadable {
        unknown(&mut text, &place(id), "could not be read", unreadable);
    }
    for (id, cause) in &plan.undecided {
        unknown(&mut text, &place(id), "undecided", cause);
    }
    for (site, unreadable) in &plan.sites_unreadable {
        let region = format!("region {}", sanitize(&site.to_string()));
        unknown(&mut text, &region, "could not be read", unreadable);
    }
    text
}

/// Declared instances that do not exist.
pub(crate) fn missing(text: &mut String, all: &[Missing]) {
    for Missing { name, origin, hint } in all {
        let name = sanitize(name);
        let _ = writeln!(
            text,
            "{LOSS}{name}{LOSS:#}: declared at {} and does not exist",
            sanitize(&origin.to_string())
        );
        if let Some(hint) = hint {
            let _ = writeln!(text, "  hint: did you mean `{}`?", sanitize(hint));
        }
    }
}

/// Instances that nothing declares.
pub(crate) fn undeclared(text: &mut String, all: &[Undeclared]) {
    let ids = all.iter().map(|undeclared| &undeclared.id);
    listed(text, "not in the configuration: ", ids);
}

/// The calls behind a plan and those ahead, and whose rules nobody looked at one by one; empty where there is nothing
/// worth telling.
pub(crate) fn calls(cost: &Cost, view: PlanView<'_>) -> String {
    let mut text = String::new();
    if let Some(seen) = cost::only_listed(cost) {
        let _ = writeln!(text, "{seen}");
    }
    for line in cost::lines(cost, view == PlanView::Plan) {
        let _ = writeln!(text, "{line}");
    }
    text
}

/// One line that counts everything.
pub(super) fn summary(plan: &Plan, view: PlanView<'_>) -> String {
    let number =
        |is: fn(&InstancePlan) -> bool| plan.instances.iter().filter(|plan| is(plan)).count();
    let changing = number(|plan| plan.verdict == Verdict::Change);
    let refused = number(|plan| matches!(plan.verdict, Verdict::Refused { .. }));
    let observed = number(|plan| plan.verdict == Verdict::Observed);
    let still_open = number(|plan| !plan.still_open.is_empty());
    let incomplete = number(|plan| plan.incomplete.is_some());
    let differing = number(|plan| plan.verdict.differs());
    let unreadable = plan.unreadable.len() + plan.sites_unreadable.len();
    let calls = plan.instances.iter().map(|i| i.calls.len()).sum();
    let unknown = plan.unreadable.len() + plan.undecided.len();
    let mut of = count(plan.instances.len() + unknown, "instance");
    if let PlanView::InventoryDrift(inventory) = view {
        let _ = write!(of, " of the inventory `{}`", sanitize(inventory));
    }
    let head = match view {
        _ if plan.instances.is_empty()
            && !(plan.sites_unreadable.is_empty() && plan.undecided.is_empty()) =>
        {
            "no instance could be looked at".to_owned()
        }
        // A plan file has the instances that it changes.
        PlanView::Plan if plan.instances.is_empty() && !plan.unplanned.is_empty() => {
            "nothing to do".to_owned()
        }
        _ if plan.instances.is_empty() && plan.unreadable.is_empty() => {
            "no instance that exists is declared, so nothing was compared".to_owned()
        }
        PlanView::Plan if changing + refused == 0 => format!("nothing to do on {of}"),
        PlanView::Plan => format!("{changing} of {of} to change, {}", count(calls, "call")),
        _ if differing == 0 => format!("no difference seen on {of}"),
        _ if differing == 1 => format!("1 of {of} differs"),
        _ => format!("{differing} of {of} differ"),
    };
    let rest = nonzero_counts(&[
        (refused, "refused"),
        (observed, "observed to differ"),
        (still_open, "still open through other rules"),
        (plan.missing.len(), "missing"),
        (unreadable, "unreadable"),
        (plan.undecided.len(), "undecided"),
        (incomplete, "not fully readable"),
        (plan.unplanned.len(), "not part of the plan"),
        (plan.undeclared.len(), "undeclared"),
    ]);
    if rest.is_empty() {
        format!("{head}.")
    } else {
        format!("{head}; {}.", rest.join(", "))
    }
}

/// That this was a part of the fleet, which has this many declared instances.
pub(crate) fn shard_note(shard: Shard, all: usize) -> String {
    let are = if all == 1 { "is" } else { "are" };
    let all = count(all, "instance");
    format!("This was shard {shard}; {all} {are} declared in all.\n")
}

/// When the rules of some instances were changed last, a line for each that the service remembers a change of.
pub(crate) fn last_changes(changes: &BTreeMap<InstanceId, LastChange>) -> String {
    let mut text = String::new();
    for (id, change) in changes {
        let text_of_change = match change {
            LastChange::Known { action, at } => {
                let at = at.map_or_else(String::new, |at| format!(" at {}", format_minute(at)));
                format!("{}{at}", sanitize(action))
            }
            // Nothing to tell; the JSON says that it was asked.
            LastChange::Forgotten => continue,
            LastChange::Unreadable { reason } => {
                format!("could not be read: {}", sanitize(reason))
            }
        };
        let _ = writeln!(text, "{}: last change: {text_of_change}", place(id));
    }
    text
}

/// The consent in the plan, and the refusals of guards; empty if there is neither.
pub(crate) fn guards(overrides: &[Override], refusals: &[Refusal]) -> String {
    let mut text = String::new();
    for allowed in overrides {
        let (guard, reason) = (allowed.guard, sanitize(&allowed.reason));
        let on = allowed
            .selector
            .as_deref()
            .map(|on| format!(" on {}", sanitize(on)));
        let on = on.unwrap_or_default();
        let _ = writeln!(text, "{CHANGE}allowed:{CHANGE:#} {guard}{on}: {reason}");
    }
    for refusal in refusals {
        let (guard, code, reason) = (refusal.guard, refusal.code, sanitize(&refusal.reason));
        let on = refusal
            .instance
            .as_ref()
            .map(|id| format!(" on {}", place(id)));
        let on = on.unwrap_or_default();
        let _ = writeln!(
            text,
            "{LOSS}refused by {guard}{on} [{code}]:{LOSS:#} {reason}"
        );
        let _ = writeln!(text, "  hint: {}", sanitize(&refusal.hint));
    }
    text
}

/// Notes that say the same as one, with all their places.
pub(super) fn group_notes(notes: &[Note]) -> Vec<(&str, Vec<String>)> {
    let groups = group_by_key(notes.iter().map(|note| (note.text.as_str(), &note.origin)));
    let with_places = |(text, origins): (_, Vec<&Option<Origin>>)| {
        let origins = origins.into_iter().flatten();
        let mut places: Vec<String> = origins.map(|at| sanitize(&at.to_string())).collect();
        places.dedup();
        (text, places)
    };
    groups.into_iter().map(with_places).collect()
}

/// Notes, those that say the same in one line with all their places.
pub(crate) fn notes(text: &mut String, indent: &str, notes: &[Note]) {
    for (note, origins) in group_notes(notes) {
        let note = format!("{indent}note: {}", sanitize(note));
        let _ = match &origins[..] {
            [] => writeln!(text, "{note}"),
            [origin] => writeln!(text, "{note} {DIM}({origin}){DIM:#}"),
            _ => writeln!(
                text,
                "{note}\n{indent}      {DIM}{}{DIM:#}",
                origins.join(", ")
            ),
        };
    }
}

/// More instances than this that need nothing are only counted; the JSON report names them.
const NAMED: usize = 40;

/// Instances that are in sync in one paragraph, and one for those that have the same notes.
fn in_sync(text: &mut String, plan: &Plan) {
    let in_sync: Vec<&InstancePlan> = plan
        .instances
        .iter()
        .filter(|i| i.verdict == Verdict::InSync)
        .collect();
    let quiet = in_sync.iter().filter(|i| i.notes.is_empty());
    let quiet: Vec<&InstanceId> = quiet.map(|instance| &instance.instance.id).collect();
    write_names_or_count(text, "in sync: ", &quiet);
    let mut noted = BTreeMap::<&[Note], Vec<&InstanceId>>::new();
    for instance in in_sync.iter().filter(|i| !i.notes.is_empty()) {
        let alike = noted.entry(&instance.notes).or_default();
        alike.push(&instance.instance.id);
    }
    for (same, ids) in noted {
        listed(text, "in sync: ", ids.into_iter());
        notes(text, "  ", same);
    }
}

/// A subject that could not be read, and the reason.
pub(super) fn unknown(text: &mut String, subject: &str, state: &str, unreadable: &Unreadable) {
    let _ = writeln!(
        text,
        "{LOSS}{subject}{LOSS:#}: {state}: {}",
        sanitize(&unreadable.reason)
    );
    if let Some(hint) = &unreadable.hint {
        let _ = writeln!(text, "  hint: {}", sanitize(hint));
    }
}

/// A paragraph of instances behind a label; nothing where there are none.
fn listed<'a>(text: &mut String, label: &str, ids: impl Iterator<Item = &'a InstanceId>) {
    let names = places(ids);
    if !names.is_empty() {
        let _ = writeln!(text, "{label}{}", names.join(", "));
    }
}

/// The same, with their number in place of their names where there are too many.
fn write_names_or_count(text: &mut String, label: &str, ids: &[&InstanceId]) {
    if ids.len() > NAMED {
        let _ = writeln!(text, "{label}{}", count(ids.len(), "instance"));
    } else {
        listed(text, label, ids.iter().copied());
    }
}

/// Names that share a region name it once, behind the last of them: `web-1`, `web-2 (eu-central-1)`.
pub(super) fn places<'a>(ids: impl Iterator<Item = &'a InstanceId>) -> Vec<String> {
    let ids: Vec<&InstanceId> = ids.collect();
    let ends_region = |at: usize| {
        ids.get(at + 1)
            .is_none_or(|next| next.site() != ids[at].site())
    };
    let word = |(at, id): (usize, &&InstanceId)| {
        if ends_region(at) {
            place(id)
        } else {
            sanitize(&id.name)
        }
    };
    ids.iter().enumerate().map(word).collect()
}

/// `web-1 (eu-central-1)`.
pub(super) fn place(id: &InstanceId) -> String {
    format!(
        "{} ({})",
        sanitize(&id.name),
        sanitize(&id.site().to_string())
    )
}
