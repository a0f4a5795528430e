//! The blocks of a plan: what is done to an instance, and every instance to which the same is done.
//!
//! Owns which instances share a block, and what stands in one. Does not lay out the line of a rule, which `change` does.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::change::{self, Changed, change_lines, difference_lines, rank};
use super::{BOLD, CHANGE, DIM, GAIN, LOSS, PlanView, notes, places};
use crate::exposure::{self, Diff, Exposed, Line};
use crate::model::{Code, Mode, Note};
use crate::plan::{Call, Cause, InstancePlan, Plan, StillOpen, Verdict};
use crate::render::formats::{count, sanitize};
use crate::render::wrap::{columns, wrap};

/// Instances that differ, those that read alike together, the widest first. Instances read alike where they do so without
/// their places: tables of their own that say the same make one block with all places.
pub(super) fn blocks(
    plan: &Plan,
    view: PlanView<'_>,
    width: usize,
    has_notes: bool,
) -> Vec<String> {
    let mut alike: BTreeMap<String, Vec<&InstancePlan>> = BTreeMap::new();
    for instance in &plan.instances {
        if instance.verdict.differs() || instance.incomplete.is_some() {
            let without_places = body(&BlockContent::without_places(instance), view, width);
            let key = action_text(instance, "", view) + "\n" + &without_places;
            alike.entry(key).or_default().push(instance);
        }
    }
    let mut blocks: Vec<Vec<&InstancePlan>> = alike.into_values().collect();
    blocks.sort_by_key(|instances| {
        (
            Reverse(severity(&instances[0].exposure.gained)),
            instances[0].instance.id.clone(),
        )
    });
    blocks
        .into_iter()
        .map(|instances| {
            let mut all = BlockContent::merge(&instances);
            if !has_notes {
                all.notes.clear();
            }
            let body = body(&all, view, width);
            format!("{}\n{body}", heading(&instances, view, width))
        })
        .collect()
}

/// Instances with the same text, by the first of them.
struct BlockContent<'a> {
    first: &'a InstancePlan,
    changes: Vec<Changed<'a>>,
    notes: Vec<Note>,
}

impl<'a> BlockContent<'a> {
    /// One instance, without the places of what changes.
    fn without_places(first: &'a InstancePlan) -> Self {
        let mut content = Self::merge(&[first]);
        content
            .changes
            .iter_mut()
            .for_each(|changed| changed.causes.clear());
        content.notes.iter_mut().for_each(|note| note.origin = None);
        content
    }

    /// All of them, with every place that any of them has.
    fn merge(all: &[&'a InstancePlan]) -> Self {
        let first = all[0];
        let changes = first.changes.iter().map(|change| {
            let same = all.iter().flat_map(|instance| &instance.changes);
            let same = same.filter(|other| other.key == change.key);
            let mut causes: Vec<&Cause> = Vec::new();
            for cause in same.flat_map(|other| &other.causes) {
                if !causes.contains(&cause) {
                    causes.push(cause);
                }
            }
            Changed { change, causes }
        });
        let mut notes: Vec<Note> = Vec::new();
        for note in all.iter().flat_map(|instance| &instance.notes) {
            if !notes.contains(note) {
                notes.push(note.clone());
            }
        }
        let mut changes: Vec<Changed<'_>> = changes.collect();
        // Openings first.
        changes.sort_by_key(|changed| (rank(changed.change, first.family()), changed.change.key));
        Self {
            first,
            changes,
            notes,
        }
    }
}

/// The size of the opened access: cells times the share of the address space, so that both families are comparable.
pub(in crate::render) fn severity(gained: &[Exposed]) -> u128 {
    let share = |exposed: &Exposed| -> u128 {
        let v4 = exposed
            .sources
            .ipv4()
            .iter()
            .map(|net| 1 << (64 - u32::from(net.prefix_len())));
        let v6 = exposed.sources.ipv6().iter().map(|net| {
            (1_u128 << 64)
                .checked_shr(net.prefix_len().into())
                .unwrap_or(0)
        });
        let cells = u128::from(exposed.to - exposed.from) + 1;
        // The one more keeps what is too small to count, and aliases, above nothing.
        cells * (v4.chain(v6).sum::<u128>() + 1)
    };
    gained.iter().map(share).sum()
}

/// Names and action will be done, the latter at the right where it fits.
fn heading(instances: &[&InstancePlan], view: PlanView<'_>, width: usize) -> String {
    let names = places(instances.iter().map(|instance| &instance.instance.id)).join(", ");
    let each = if instances.len() > 1 { " each" } else { "" };
    let action = action_text(instances[0], each, view);
    let names = wrap(&names, width);
    let last = names.lines().next_back().map_or(0, columns);
    let names: Vec<String> = names
        .lines()
        .map(|line| format!("{BOLD}{line}{BOLD:#}"))
        .collect();
    if last + 2 + action.len() <= width {
        format!("{}{action:>pad$}", names.join("\n"), pad = width - last)
    } else {
        format!("{}\n{action:>width$}", names.join("\n"))
    }
}

/// The calls for an instance, or for `each` of several.
fn action_text(instance: &InstancePlan, each: &str, view: PlanView<'_>) -> String {
    let mut action = match &instance.verdict {
        Verdict::Change if view != PlanView::Plan => "differs".to_owned(),
        Verdict::Change => calls_text(&instance.calls, each),
        Verdict::Observed => "differs, mode observe: never written".to_owned(),
        Verdict::Refused { .. } => "refused".to_owned(),
        Verdict::StillOpen => "still open through other rules".to_owned(),
        Verdict::InSync | Verdict::Incomplete => "not fully readable".to_owned(),
    };
    if instance.mode == Mode::Additive {
        action.push_str(" (additive)");
    }
    action
}

/// `2 calls each: open, close`.
pub(in crate::render) fn calls_text(calls: &[Call], each: &str) -> String {
    let mut verbs: Vec<&str> = calls.iter().map(Call::verb).collect();
    verbs.dedup();
    let number = count(calls.len(), "call");
    format!("{number}{each}: {}", verbs.join(", "))
}

/// Everything about instances but their names.
fn body(all: &BlockContent<'_>, view: PlanView<'_>, width: usize) -> String {
    let plan = all.first;
    let mut text = String::new();
    if let Verdict::Refused { reason, hint } = &plan.verdict {
        let _ = writeln!(
            text,
            "  {LOSS}refused [{}]:{LOSS:#} {}",
            Code::NoSafeWay,
            sanitize(reason)
        );
        if let Some(hint) = hint {
            let _ = writeln!(text, "  hint: {}", sanitize(hint));
        }
    }
    if let Some(reason) = &plan.incomplete {
        let _ = writeln!(
            text,
            "  {CHANGE}not fully readable:{CHANGE:#} {}",
            sanitize(reason)
        );
    }
    if view == PlanView::Plan {
        change_lines(&mut text, &all.changes, width);
    } else {
        difference_from_live(&mut text, plan);
        difference_lines(&mut text, &all.changes, width);
    }
    if plan.verdict.differs() && plan.incomplete.is_none() {
        for uncertain in plan.before.uncertain() {
            let entry = sanitize(&uncertain.entry.to_string());
            let _ = writeln!(
                text,
                "  {LOSS}-{LOSS:#} {entry:<12}  uncertain live entry: {}",
                sanitize(&uncertain.doubt)
            );
        }
    }
    if view == PlanView::Plan {
        access(&mut text, plan);
    }
    still_open(&mut text, &plan.still_open);
    notes(&mut text, "  ", &all.notes);
    text
}

/// The column of the text after `still open:`.
const STILL_OPEN_COLUMN: usize = 14;

/// The access that is named as absent and stays open by undeclared rules, with the lines that name it.
fn still_open(text: &mut String, all: &[StillOpen]) {
    for open in all {
        let words = sanitize(&open.to_string());
        let _ = writeln!(text, "  {LOSS}still open:{LOSS:#} {words}");
        for cause in &open.causes {
            let line = change::cause(cause);
            let _ = writeln!(text, "{:STILL_OPEN_COLUMN$}{DIM}{line}{DIM:#}", "");
        }
        let _ = writeln!(text, "  hint: {}", sanitize(&open.hint));
    }
}

/// The further access of live entries that cannot be read for certain.
fn in_doubt(plan: &InstancePlan) -> Vec<Line> {
    if plan.before.is_certain() {
        return Vec::new();
    }
    let doubt = plan.reach_before().doubt();
    exposure::lines(&doubt.boxes(plan.family()))
}

/// The gained, lost and possible access.
fn access(text: &mut String, plan: &InstancePlan) {
    let Diff { gained, lost } = &plan.exposure;
    let gained = exposure::lines(gained).into_iter();
    let gained = gained.map(|line| ('+', GAIN, line));
    let lost = exposure::lines(lost).into_iter();
    let lost = lost.map(|line| ('-', LOSS, line));
    let doubts = in_doubt(plan).into_iter();
    let doubts = doubts.map(|line| ('?', CHANGE, line));
    for (i, (sign, style, line)) in gained.chain(lost).chain(doubts).enumerate() {
        let label = if i == 0 { "access:" } else { "" };
        let mut line = sanitize(&line.to_string());
        if sign == '?' {
            line.push_str(", perhaps open now");
        }
        let _ = writeln!(text, "  {label:<7} {style}{sign}{style:#} {line}");
    }
}

/// Whom the live firewall lets in and the configuration does not, then whom it does not let in.
fn difference_from_live(text: &mut String, plan: &InstancePlan) {
    let Diff { gained, lost } = &plan.exposure;
    for (label, style, lines) in [
        (
            "live allows more than declared",
            LOSS,
            exposure::lines(lost),
        ),
        ("live may allow more than declared", CHANGE, in_doubt(plan)),
        ("live lacks", CHANGE, exposure::lines(gained)),
    ] {
        for line in lines {
            let line = sanitize(&line.to_string());
            let _ = writeln!(text, "  {style}{label}:{style:#} {line}");
        }
    }
}
