//! A joined report as text, Markdown and JSON.
//!
//! Owns the words. It tells which instances need a look and why; the rules themselves are in the JSON. Does not leave an
//! instance that differs or a shard that failed unnamed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Merged;
use crate::model::InstanceId;
use crate::plan::OutcomeStatus;
use crate::render::formats::{count, nonzero_counts, sanitize};
use crate::render::json::{ProblemSeverity, ReportDocument};
use crate::render::markdown::escape::{code, prose};

/// Names in one list of a comment, which has a limit.
const NAMED: usize = 100;

/// What needs a look, and a summary line.
pub(crate) fn text(Merged(merged): &Merged) -> String {
    let mut text = String::new();
    for line in errors(merged) {
        let _ = writeln!(text, "{}", sanitize(&line));
    }
    for (label, lines) in lists(merged) {
        let names: Vec<String> = lines.iter().map(|line| sanitize(line)).collect();
        if !names.is_empty() {
            let _ = writeln!(text, "{label}: {}", names.join(", "));
        }
    }
    let _ = writeln!(text, "{}", headline(merged));
    text
}

/// The same, but nothing where no shard found or changed anything.
pub(crate) fn brief(merged: &Merged) -> String {
    let document = &merged.0;
    let listed = lists(document).iter().any(|(_, names)| !names.is_empty());
    if document.exit_code == 0 && !listed && errors(document).is_empty() {
        return String::new();
    }
    text(merged)
}

/// The same as a comment.
pub(crate) fn markdown(Merged(merged): &Merged) -> String {
    let verb = prose(&merged.verb);
    let mut out = format!(
        "<!-- portward:{} -->\n### portward {}\n\n",
        merged
            .verb
            .replace(|c: char| !c.is_ascii_alphanumeric(), ""),
        prose(&headline(merged))
    );
    for line in errors(merged) {
        let _ = writeln!(out, "- 🛑 **error** {}", prose(&line));
    }
    for (label, lines) in lists(merged) {
        if lines.is_empty() {
            continue;
        }
        let names: Vec<String> = lines.iter().take(NAMED).map(|line| code(line)).collect();
        let _ = write!(out, "- {label}: {}", names.join(", "));
        if lines.len() > names.len() {
            let _ = write!(out, " and {} more", lines.len() - names.len());
        }
        out.push('\n');
    }
    let _ = writeln!(out, "\n| shard of {verb} | exit code |\n|---|---|");
    for shard in &merged.shards {
        let code = shard
            .exit_code
            .map_or("no report".to_owned(), |c| c.to_string());
        let _ = writeln!(out, "| {}/{} | {code} |", shard.index, merged.shards.len());
    }
    out
}

fn headline(merged: &ReportDocument<'_>) -> String {
    let summary = &merged.summary;
    let [(_, failed), (_, changed), (_, differing), ..] = lists(merged);
    let mut parts = vec!["in sync".to_owned()];
    if !differing.is_empty() || (failed.is_empty() && changed.is_empty()) {
        let differ = match differing.len() {
            1 => "differs",
            _ => "differ",
        };
        parts.push(format!("{} {differ}", differing.len()));
    }
    parts.extend(nonzero_counts(&[
        (changed.len(), "changed"),
        (failed.len(), "failed"),
        (summary.refused, "refused"),
        (summary.still_open, "still open through other rules"),
        (summary.missing, "missing"),
        (summary.unreadable, "unreadable"),
        (summary.undecided, "undecided"),
        (summary.incomplete, "not fully readable"),
        (summary.not_planned, "not part of the plan"),
        (summary.undeclared, "undeclared"),
    ]));
    if let Some(writes) = summary.writes {
        parts.push(count(writes, "write"));
    }
    let violations = merged.violations.len();
    if violations > 0 {
        parts.push(count(violations, "policy violation"));
    }
    format!(
        "{}, {}: {} of {} {}.",
        sanitize(&merged.verb),
        count(merged.shards.len(), "shard"),
        summary.in_sync,
        count(summary.declared, "instance"),
        parts.join(", ")
    )
}

fn errors(merged: &ReportDocument<'_>) -> Vec<String> {
    let problems = merged.problems.iter();
    let problems = problems.filter(|problem| problem.severity == ProblemSeverity::Error);
    let refusals = merged.refusals.iter().map(|refusal| {
        let on = refusal.instance.as_ref();
        let on = on.map_or_else(String::new, |id| format!(" on {id}"));
        format!("refused by {}{on}: {}", refusal.guard, refusal.reason)
    });
    let error = merged.error.as_deref();
    error
        .into_iter()
        .chain(problems)
        .map(|problem| problem.message.clone())
        .chain(refusals)
        .collect()
}

/// Names behind their labels, what is worst first.
fn lists(merged: &ReportDocument<'_>) -> [(&'static str, Vec<String>); 9] {
    let instances = || merged.instances.iter();
    let ended = |is: fn(OutcomeStatus) -> bool| {
        let ended = instances().filter(|i| i.outcome.as_ref().is_some_and(|o| is(o.status)));
        ended
            .map(|i| i.plan.instance.id.to_string())
            .collect::<Vec<_>>()
    };
    let not_tried = instances().filter(|i| i.differs() && i.outcome.is_none());
    let not_tried = not_tried.map(|i| i.plan.instance.id.to_string());
    let mut violations = BTreeMap::<&str, usize>::new();
    for violation in &*merged.violations {
        *violations.entry(&violation.policy).or_default() += 1;
    }
    let violations = violations
        .into_iter()
        .map(|(policy, number)| format!("`{policy}` ({})", count(number, "instance")));
    let regions = merged.regions_unreadable.iter();
    let missing = merged.missing.iter().map(|missing| missing.name.clone());
    let undeclared = merged
        .undeclared
        .iter()
        .map(|undeclared| undeclared.id.to_string());
    [
        ("failed", ended(|status| !status.is_success())),
        ("changed", ended(OutcomeStatus::is_success)),
        ("differ", not_tried.collect()),
        ("against a policy", violations.collect()),
        ("unreadable", names(&merged.unreadable)),
        ("undecided", names(&merged.undecided)),
        (
            "regions unreadable",
            regions.map(|(site, _)| site.to_string()).collect(),
        ),
        ("missing", missing.collect()),
        ("not in the configuration", undeclared.collect()),
    ]
}

fn names<T>(list: &[(InstanceId, T)]) -> Vec<String> {
    list.iter().map(|(id, _)| id.to_string()).collect()
}
