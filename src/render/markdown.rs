//! A run as a comment on a pull request, in GitHub's and GitLab's Markdown.
//!
//! Owns the order (what is wrong, what opens, what closes, the rest folded away) and the limit of length. Where the limit
//! is near it leaves out the least important first, and says so; what opens is counted at the very least. Does not let a
//! text from outside be anything but text.

mod access;
mod difference;
pub(super) mod escape;
mod explanation;
mod fleet;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt::Write as _;

pub(crate) use difference::difference;
use escape::{code, fenced, prose};
pub(crate) use explanation::explanation;
pub(crate) use fleet::explanations;

use super::access::of_plan;
use super::finding::policies::{
    BrokenPolicy, SHOWN, broken_policies, occurrence, violation_prefix,
};
use super::finding::{Finding, Level, findings_without_policies};
use super::formats::count;
use super::json::{ProblemSeverity, RunReport};
use super::metadata::PlanView;
use super::text;
use super::wrap::{DEFAULT_WIDTH, wrap};
use crate::exposure::Diff;
use crate::policy::Violation;

/// Characters that a comment has at most; GitHub takes 65,536.
pub(super) const LIMIT: usize = 60_000;

/// The level of detail, the highest first. Each level leaves out what those before it leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Detail {
    /// Everything is shown.
    All,
    /// The plan as text is left out.
    NoText,
    /// Closed access is counted, and long lists are truncated.
    Short,
    /// Opened access is shown for each kind of access rather than for each instance.
    Sums,
    /// Opened access is counted.
    Counts,
}

/// The comment. By its first line, a bot recognises its own comment.
pub(crate) fn comment(run: &RunReport<'_>) -> String {
    let details = [
        Detail::All,
        Detail::NoText,
        Detail::Short,
        Detail::Sums,
        Detail::Counts,
    ];
    first_that_fits(&details, |detail| render(run, detail))
}

fn fits(text: &str) -> bool {
    text.chars().count() <= LIMIT
}

/// The text at the first level of detail at which it fits, or else at the last one.
fn first_that_fits(details: &[Detail], render: impl Fn(Detail) -> String) -> String {
    let mut text = String::new();
    for detail in details {
        text = render(*detail);
        if fits(&text) {
            break;
        }
    }
    text
}

fn render(run: &RunReport<'_>, detail: Detail) -> String {
    let mut out = format!(
        "<!-- portward:{} -->\n### portward {}: {}\n\n",
        run.verb,
        run.verb,
        headline(run)
    );
    write_findings(&mut out, run, detail);
    if let Some(plan) = run.plan {
        access::parts(&mut out, &of_plan(plan, run.plan_view()), detail);
    }
    write_outcome(&mut out, run, detail);
    if let Some(plan) = run.plan {
        if detail == Detail::All {
            let plain = text::plan(plan, run.plan_view(), DEFAULT_WIDTH)
                + &text::guards(&plan.overrides, &[]);
            let plain = anstream::adapter::strip_str(&wrap(&plain, DEFAULT_WIDTH)).to_string();
            let title = match run.plan_view() {
                PlanView::Plan => "The whole plan",
                PlanView::Drift | PlanView::InventoryDrift(_) => "All differences",
            };
            folded(&mut out, title, &fenced(&plain));
        } else {
            out.push_str(SHORTENED);
        }
    }
    out
}

/// The run in a few words.
fn headline(run: &RunReport<'_>) -> String {
    if run.error.is_some() {
        return "could not do the job".to_owned();
    }
    let errors = run
        .problems
        .iter()
        .filter(|p| p.severity == ProblemSeverity::Error)
        .count();
    if errors > 0 {
        return format!("the configuration is not valid, {}", count(errors, "error"));
    }
    let broken: BTreeSet<&str> = run.violations.iter().map(|v| v.policy.as_str()).collect();
    let Some(plan) = run.plan else {
        let mut text = "valid".to_owned();
        if !run.problems.is_empty() {
            let _ = write!(text, ", {}", count(run.problems.len(), "warning"));
        }
        match broken.len() {
            0 => {}
            1 => text.push_str(", 1 policy does not hold"),
            n => {
                let _ = write!(text, ", {n} policies do not hold");
            }
        }
        return text;
    };
    let mut text = text::summary(plan, run.plan_view());
    let (sentence, wider): (&str, fn(&Diff) -> bool) = match run.plan_view() {
        PlanView::Plan => ("Opens something on", |diff| !diff.gained.is_empty()),
        PlanView::Drift | PlanView::InventoryDrift(_) => {
            ("Live allows more than declared on", |diff| {
                !diff.lost.is_empty()
            })
        }
    };
    let instances = plan.instances.iter();
    match instances.filter(|i| wider(&i.exposure)).count() {
        0 => {}
        n => {
            let _ = write!(text, " {sentence} {}.", count(n, "instance"));
        }
    }
    if !run.refusals.is_empty() || run.violations.iter().any(Violation::is_refusal) {
        text.push_str(" **Refused.**");
    }
    text
}

/// The text in place of what was left out.
const SHORTENED: &str =
    "_Shortened: the comment would be too long. The job's log has all of it._\n";

/// The most instances of a group, findings and locations that a short comment names.
const NAMED: usize = 20;

/// The limits of lists and texts at a level of detail.
#[derive(Clone, Copy)]
struct Limits {
    /// Entries of a list.
    entries: usize,
    /// Characters of a text.
    characters: usize,
}

impl Detail {
    fn limits(self) -> Limits {
        // The last form has to be short whatever the texts are.
        let (entries, characters) = match self {
            Self::All | Self::NoText => (usize::MAX, usize::MAX),
            Self::Short | Self::Sums => (NAMED, usize::MAX),
            Self::Counts => (NAMED / 4, 200),
        };
        Limits {
            entries,
            characters,
        }
    }
}

impl Limits {
    fn truncate(self, text: &str) -> String {
        truncate(text, self.characters)
    }

    fn at(self, file: &str, line: usize) -> String {
        format!(" at {}", code(&format!("{}:{line}", self.truncate(file))))
    }

    /// Writes the entries within the limit, and a line that counts the others.
    fn list<T>(self, out: &mut String, all: &[T], indent: &str, entry: impl Fn(&mut String, &T)) {
        all.iter()
            .take(self.entries)
            .for_each(|one| entry(out, one));
        if all.len() > self.entries {
            let _ = writeln!(out, "{indent}- and {} more", all.len() - self.entries);
        }
    }
}

/// A text of at most so many characters, with an ellipsis where it is cut.
fn truncate(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn sign(level: Level) -> &'static str {
    match level {
        Level::Error => "🛑 **error**",
        Level::Warning | Level::Note => "⚠️ warning",
    }
}

/// Writes the errors, then broken policies, then warnings.
fn write_findings(out: &mut String, run: &RunReport<'_>, detail: Detail) {
    let before = out.len();
    let (errors, others): (Vec<Finding>, Vec<Finding>) = findings_without_policies(run)
        .into_iter()
        .partition(|finding| finding.level == Level::Error);
    let limits = detail.limits();
    limits.list(out, &errors, "", |out, finding| {
        write_finding(out, finding, limits);
    });
    limits.list(out, &broken_policies(run.violations), "", |out, broken| {
        write_policy(out, broken, detail);
    });
    limits.list(out, &others, "", |out, finding| {
        write_finding(out, finding, limits);
    });
    if out.len() > before {
        out.push('\n');
    }
}

fn write_finding(out: &mut String, finding: &Finding, limits: Limits) {
    let _ = write!(
        out,
        "- {} {}",
        sign(finding.level),
        prose(&limits.truncate(&finding.message))
    );
    if let Some(at) = &finding.location {
        out.push_str(&limits.at(&at.file, at.line));
    }
    if let Some(hint) = &finding.hint {
        let _ = write!(out, "<br>hint: {}", prose(&limits.truncate(hint)));
    }
    out.push('\n');
}

/// A policy, with all the ways in which it does not hold.
fn write_policy(out: &mut String, broken: &BrokenPolicy<'_>, detail: Detail) {
    let limits = detail.limits();
    let violation = broken.violation;
    let head = format!(
        "{} policy `{}`",
        violation_prefix(violation),
        limits.truncate(&violation.policy)
    );
    let _ = write!(out, "- {} {}", sign(broken.level()), prose(&head));
    if let Some(at) = &violation.declared {
        out.push_str(&limits.at(&at.file, at.line));
    }
    out.push('\n');
    limits.list(out, &broken.mistakes, "  ", |out, mistake| {
        let violation = mistake.violation;
        let on = access::names(&mistake.subjects(), detail >= Detail::Short);
        let _ = write!(
            out,
            "  - on {on}, {}: {}",
            occurrence(violation.occurrence),
            prose(&limits.truncate(&violation.reason))
        );
        if let Some(at) = violation.lines.first() {
            out.push_str(&limits.at(&at.file, at.line));
        }
        if detail <= Detail::NoText {
            for line in mistake.access(SHOWN) {
                let _ = write!(out, "<br>{}", prose(&line));
            }
        }
        let _ = writeln!(
            out,
            "<br>hint: {}",
            prose(&limits.truncate(&violation.hint))
        );
    });
}

/// Writes the results of an executed plan.
fn write_outcome(out: &mut String, run: &RunReport<'_>, detail: Detail) {
    let (Some(report), Some(plan)) = (run.report, run.plan) else {
        return;
    };
    let text = anstream::adapter::strip_str(&text::report(report, plan)).to_string();
    if detail <= Detail::NoText {
        folded(out, "Results", &fenced(&text));
    } else if let Some(last) = text.lines().last() {
        let _ = writeln!(out, "{}\n", code(last));
    }
}

/// Writes a folded section. The blank lines make its content Markdown again.
fn folded(out: &mut String, title: &str, inside: &str) {
    let _ = writeln!(
        out,
        "<details><summary>{title}</summary>\n\n{inside}\n</details>\n"
    );
}
