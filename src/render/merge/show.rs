//! A joined report as text, Markdown and JSON.
//!
//! Owns the words. It tells which instances need a look and why; the rules themselves are in the JSON. Does not leave an
//! instance that differs or a shard that failed unnamed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::{Merged, place};
use crate::render::markdown::escape::{code, prose};
use crate::render::words::{count, sanitize, wrapped};

/// Columns of a terminal that nobody made wider.
const WIDTH: usize = 80;

/// Names in one list of a comment, which has a limit.
const NAMED: usize = 100;

/// The document, indented, with a final newline.
///
/// # Panics
/// Never: the shape has no map with keys that are not strings.
#[must_use]
pub fn json(merged: &Merged) -> String {
    let mut text =
        serde_json::to_string_pretty(merged).expect("strings and numbers are always JSON");
    text.push('\n');
    text
}

/// What needs a look, and a summary line.
#[must_use]
pub fn text(merged: &Merged) -> String {
    let mut text = String::new();
    for line in errors(merged) {
        let _ = writeln!(text, "{}", sanitize(&line));
    }
    for (label, lines) in lists(merged) {
        let label = format!("{label}: ");
        let names: Vec<String> = lines.iter().map(|line| sanitize(line)).collect();
        if !names.is_empty() {
            let lines = wrapped(&names, label.len(), WIDTH);
            let indent = format!("\n{:1$}", "", label.len());
            let _ = writeln!(text, "{label}{}", lines.join(&indent));
        }
    }
    let parts: Vec<String> = headline(merged).split(", ").map(str::to_owned).collect();
    let _ = writeln!(text, "{}", wrapped(&parts, 0, WIDTH).join("\n"));
    text
}

/// The same as a comment.
#[must_use]
pub fn markdown(merged: &Merged) -> String {
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

fn headline(merged: &Merged) -> String {
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
    for (names, what) in [(changed, "changed"), (failed, "failed")] {
        if !names.is_empty() {
            parts.push(format!("{} {what}", names.len()));
        }
    }
    for (number, what) in [
        (summary.refused, "refused"),
        (summary.still_open, "still open through other rules"),
        (summary.missing, "missing"),
        (summary.unreadable, "unreadable"),
        (summary.undecided, "undecided"),
        (summary.incomplete, "not fully readable"),
        (summary.not_planned, "not part of the plan"),
        (summary.undeclared, "undeclared"),
    ] {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    }
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

fn errors(merged: &Merged) -> Vec<String> {
    let problems = merged.problems.iter();
    let problems = problems.filter(|problem| problem.severity == "error");
    let refusals = merged.refusals.iter().map(|refusal| {
        let member = |name: &str| refusal[name].as_str().unwrap_or_default();
        let instance = &refusal["instance"];
        let on = if instance.is_null() {
            String::new()
        } else {
            format!(" on {}", name(instance))
        };
        format!("refused by {}{on}: {}", member("guard"), member("reason"))
    });
    merged
        .error
        .iter()
        .chain(problems)
        .map(|problem| problem.message.clone())
        .chain(refusals)
        .collect()
}

/// Names behind their labels, what is worst first.
fn lists(merged: &Merged) -> [(&'static str, Vec<String>); 9] {
    let names = |list: &[Value]| list.iter().map(name).collect::<Vec<_>>();
    let ended = |is: fn(&str) -> bool| {
        let instances = merged.instances.iter();
        let ended = instances.filter(|i| i["outcome"]["status"].as_str().is_some_and(is));
        ended.map(name).collect::<Vec<_>>()
    };
    let is_good = |status: &str| matches!(status, "applied" | "repaired" | "already-applied");
    let not_tried = differing(merged).into_iter();
    let not_tried = not_tried.filter(|instance| instance["outcome"].is_null());
    let mut violations = BTreeMap::<&str, usize>::new();
    for violation in &merged.violations {
        let policy = violation["policy"].as_str().unwrap_or_default();
        *violations.entry(policy).or_default() += 1;
    }
    let violations = violations
        .into_iter()
        .map(|(policy, number)| format!("`{policy}` ({})", count(number, "instance")));
    [
        (
            "failed",
            ended(|status| !matches!(status, "applied" | "repaired" | "already-applied")),
        ),
        ("changed", ended(is_good)),
        ("differ", not_tried.map(name).collect()),
        ("against a policy", violations.collect()),
        ("unreadable", names(&merged.unreadable)),
        ("undecided", names(&merged.undecided)),
        ("regions unreadable", names(&merged.regions_unreadable)),
        ("missing", names(&merged.missing)),
        ("not in the configuration", names(&merged.undeclared)),
    ]
}

fn differing(merged: &Merged) -> Vec<&Value> {
    let instances = merged.instances.iter();
    let differs =
        |instance: &&Value| !matches!(instance["verdict"].as_str(), Some("in-sync" | "incomplete"));
    instances.filter(differs).collect()
}

/// `account/region/name`, as far as there is one.
fn name(value: &Value) -> String {
    let parts = place(value).into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("/")
}
