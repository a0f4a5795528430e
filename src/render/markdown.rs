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
use super::facts::Asked;
use super::finding::policies::{Broken, SHOWN, broken, occurrence, standing};
use super::finding::{Finding, Level, troubles};
use super::json::{Run, Severity};
use super::text;
use super::words::count;
use super::wrap::{DEFAULT_WIDTH, wrap};
use crate::exposure::Diff;
use crate::policy::Violation;

/// Characters that a comment has at most; GitHub takes 65,536.
pub(crate) const LIMIT: usize = 60_000;

/// How much is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Detail {
    /// Nothing.
    All,
    /// The plan as text.
    NoText,
    /// What closes is counted, and long lists are cut.
    Short,
    /// What opens is told for each kind of access rather than for each instance.
    Sums,
    /// What opens is counted.
    Counts,
}

/// The comment. Its first line is a mark that a bot knows its own comment by.
pub(crate) fn comment(run: &Run<'_>) -> String {
    let details = [
        Detail::All,
        Detail::NoText,
        Detail::Short,
        Detail::Sums,
        Detail::Counts,
    ];
    let mut text = String::new();
    for detail in details {
        text = composed(run, detail);
        if text.chars().count() <= LIMIT {
            break;
        }
    }
    text
}

fn composed(run: &Run<'_>, detail: Detail) -> String {
    let mut out = format!(
        "<!-- portward:{} -->\n### portward {}: {}\n\n",
        run.verb,
        run.verb,
        headline(run)
    );
    problems(&mut out, run, detail);
    if let Some(plan) = run.plan {
        access::parts(&mut out, &of_plan(plan, run.asked()), detail);
    }
    outcome(&mut out, run, detail);
    if let Some(plan) = run.plan {
        if detail == Detail::All {
            let plain =
                text::plan(plan, run.asked(), DEFAULT_WIDTH) + &text::guards(&plan.overrides, &[]);
            let plain = anstream::adapter::strip_str(&wrap(&plain, DEFAULT_WIDTH)).to_string();
            let title = match run.asked() {
                Asked::Plan => "The whole plan",
                Asked::Drift | Asked::DriftOf(_) => "All differences",
            };
            folded(&mut out, title, &fenced(&plain));
        } else {
            out.push_str(SHORTENED);
        }
    }
    out
}

/// The run in a few words.
fn headline(run: &Run<'_>) -> String {
    if run.error.is_some() {
        return "could not do the job".to_owned();
    }
    let errors = run
        .problems
        .iter()
        .filter(|p| p.severity == Severity::Error)
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
    let mut text = text::summary(plan, run.asked());
    let (sentence, wider): (&str, fn(&Diff) -> bool) = match run.asked() {
        Asked::Plan => ("Opens something on", |diff| !diff.gained.is_empty()),
        Asked::Drift | Asked::DriftOf(_) => ("Live allows more than declared on", |diff| {
            !diff.lost.is_empty()
        }),
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

/// What stands where something was left out.
const SHORTENED: &str =
    "_Shortened: the comment would be too long. The job's log has all of it._\n";

/// How many instances of a group, findings and places are named where it is to be short.
const NAMED: usize = 20;

/// What there is room for.
#[derive(Clone, Copy)]
struct Room {
    /// Entries of a list.
    entries: usize,
    /// Characters of a text.
    characters: usize,
}

impl Detail {
    fn room(self) -> Room {
        // The last form has to be short whatever the texts are.
        let (entries, characters) = match self {
            Self::All | Self::NoText => (usize::MAX, usize::MAX),
            Self::Short | Self::Sums => (NAMED, usize::MAX),
            Self::Counts => (NAMED / 4, 200),
        };
        Room {
            entries,
            characters,
        }
    }
}

impl Room {
    fn cut(self, text: &str) -> String {
        match text.char_indices().nth(self.characters) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text.to_owned(),
        }
    }

    fn at(self, file: &str, line: usize) -> String {
        format!(" at {}", code(&format!("{}:{line}", self.cut(file))))
    }

    /// The entries there is room for, and a line on the others.
    fn list<T>(self, out: &mut String, all: &[T], indent: &str, entry: impl Fn(&mut String, &T)) {
        all.iter()
            .take(self.entries)
            .for_each(|one| entry(out, one));
        if all.len() > self.entries {
            let _ = writeln!(out, "{indent}- and {} more", all.len() - self.entries);
        }
    }
}

fn sign(level: Level) -> &'static str {
    match level {
        Level::Error => "🛑 **error**",
        Level::Warning | Level::Note => "⚠️ warning",
    }
}

/// What stands in the way, then policies that do not hold, then what is odd.
fn problems(out: &mut String, run: &Run<'_>, detail: Detail) {
    let before = out.len();
    let (errors, others): (Vec<Finding>, Vec<Finding>) = troubles(run)
        .into_iter()
        .partition(|finding| finding.level == Level::Error);
    let room = detail.room();
    room.list(out, &errors, "", |out, finding| trouble(out, finding, room));
    room.list(out, &broken(run.violations), "", |out, broken| {
        policy(out, broken, detail);
    });
    room.list(out, &others, "", |out, finding| trouble(out, finding, room));
    if out.len() > before {
        out.push('\n');
    }
}

fn trouble(out: &mut String, finding: &Finding, room: Room) {
    let _ = write!(
        out,
        "- {} {}",
        sign(finding.level),
        prose(&room.cut(&finding.message))
    );
    if let Some(at) = &finding.location {
        out.push_str(&room.at(&at.file, at.line));
    }
    if let Some(hint) = &finding.hint {
        let _ = write!(out, "<br>hint: {}", prose(&room.cut(hint)));
    }
    out.push('\n');
}

/// A policy, with all the ways in which it does not hold.
fn policy(out: &mut String, broken: &Broken<'_>, detail: Detail) {
    let room = detail.room();
    let Violation {
        policy, declared, ..
    } = broken.violation;
    let head = format!(
        "{} policy `{}`",
        standing(broken.violation),
        room.cut(policy)
    );
    let _ = write!(out, "- {} {}", sign(broken.level()), prose(&head));
    if let Some(at) = declared {
        out.push_str(&room.at(&at.file, at.line));
    }
    out.push('\n');
    room.list(out, &broken.mistakes, "  ", |out, mistake| {
        let Violation {
            occurrence: how,
            reason,
            hint,
            lines,
            ..
        } = mistake.violation;
        let on = access::names(&mistake.subjects(), detail >= Detail::Short);
        let _ = write!(
            out,
            "  - on {on}, {}: {}",
            occurrence(*how),
            prose(&room.cut(reason))
        );
        if let Some(at) = lines.first() {
            out.push_str(&room.at(&at.file, at.line));
        }
        if detail <= Detail::NoText {
            for line in mistake.access(SHOWN) {
                let _ = write!(out, "<br>{}", prose(&line));
            }
        }
        let _ = writeln!(out, "<br>hint: {}", prose(&room.cut(hint)));
    });
}

/// What became of it, where something was tried.
fn outcome(out: &mut String, run: &Run<'_>, detail: Detail) {
    let (Some(report), Some(plan)) = (run.report, run.plan) else {
        return;
    };
    let text = anstream::adapter::strip_str(&text::report(report, plan)).to_string();
    if detail <= Detail::NoText {
        folded(out, "What became of it", &fenced(&text));
    } else if let Some(last) = text.lines().last() {
        let _ = writeln!(out, "{}\n", code(last));
    }
}

/// A part that a reader has to open. The blank lines make its inside Markdown again.
fn folded(out: &mut String, title: &str, inside: &str) {
    let _ = writeln!(
        out,
        "<details><summary>{title}</summary>\n\n{inside}\n</details>\n"
    );
}
