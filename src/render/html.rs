//! A run, or a comparison, as one page: who gets in where, before and after, at a glance.
//!
//! Owns the page as a whole: a single file without scripts that asks nothing of the network, in light and dark, readable
//! without colours and by a screen reader. Does not let a text from outside be markup.

mod details;
mod difference;
mod level;
mod matrix;
#[cfg(test)]
mod tests;
mod violations;

use std::collections::BTreeSet;
use std::fmt::Write as _;

pub(crate) use difference::difference;
use matrix::Row;

use super::finding::{Finding, Level, troubles};
use super::json::{Run, Severity};
use super::text;
use super::words::sanitize;
use crate::model::Key;
use crate::plan::{InstancePlan, Plan, Verdict};

const STYLE: &str = include_str!("html/page.css");

/// Finds the name that people know a key by, such as `ssh`.
pub(crate) type ServiceName<'a> = &'a dyn Fn(Key) -> Option<&'static str>;

/// The page of a run.
#[must_use]
pub(crate) fn page(run: &Run<'_>, service: ServiceName<'_>) -> String {
    let mut out = String::new();
    begin(&mut out, run.verb, &headline(run));
    if let Some(plan) = run.plan {
        tiles(&mut out, &of_plan(run, plan));
    }
    out.push_str("</header>\n<main>\n");
    found(&mut out, &troubles(run));
    violations::section(&mut out, run.violations);
    if let Some(plan) = run.plan {
        let instances = sorted(plan);
        let rows: Vec<Row<'_>> = instances.iter().map(|plan| matrix::planned(plan)).collect();
        matrix::table(&mut out, &rows, service);
        details::sections(&mut out, &instances, run);
        details::rest(&mut out, plan);
    }
    end(&mut out, run.exit_code);
    out
}

/// All before the numbers.
fn begin(out: &mut String, verb: &str, headline: &str) {
    let verb = escaped(verb);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>portward {verb}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n\
         <p class=\"tool\">portward {verb}</p>\n<h1>{}</h1>\n",
        escaped(headline)
    );
}

fn end(out: &mut String, exit_code: u8) {
    let version = env!("CARGO_PKG_VERSION");
    let _ = write!(
        out,
        "</main>\n<footer>portward {version}, exit code {exit_code}</footer>\n</body>\n</html>\n",
    );
}

fn headline(run: &Run<'_>) -> String {
    if let Some(problem) = &run.error {
        return problem.message.clone();
    }
    match run.plan {
        Some(plan) => text::summary(plan, run.asked()),
        None if run.problems.iter().any(|p| p.severity == Severity::Error) => {
            "The configuration is not valid".to_owned()
        }
        None if !run.violations.is_empty() => {
            "The configuration is valid, and breaks its policies".to_owned()
        }
        None => "The configuration is valid".to_owned(),
    }
}

/// A number, what it counts, and how it looks where it is not 0.
type Tile = (usize, &'static str, &'static str);

fn of_plan(run: &Run<'_>, plan: &Plan) -> Vec<Tile> {
    let count = |is: fn(&InstancePlan) -> bool| plan.instances.iter().filter(|i| is(i)).count();
    let unseen =
        plan.unreadable.len() + plan.sites_unreadable.len() + count(|i| i.incomplete.is_some());
    let broken: BTreeSet<&str> = run.violations.iter().map(|v| v.policy.as_str()).collect();
    let refusals = run.refusals.len() + run.violations.iter().filter(|v| v.refuses()).count();
    let mut tiles = vec![
        (count(|i| i.verdict == Verdict::InSync), "in sync", ""),
        (count(|i| i.verdict.differs()), "differ", ""),
        (count(|i| !i.exposure.gained.is_empty()), OPENS, "up"),
        (count(|i| !i.exposure.lost.is_empty()), CLOSES, "down"),
        (refusals, "refusals", "bad"),
        (broken.len(), "policies broken", "bad"),
        (unseen, "unreadable", "bad"),
    ];
    let rare = [
        (plan.undecided.len(), "undecided", "bad"),
        (plan.unplanned.len(), "not part of the plan", ""),
    ];
    tiles.extend(rare.into_iter().filter(|(n, ..)| *n > 0));
    tiles
}

const OPENS: &str = "open something";
const CLOSES: &str = "close something";

/// The numbers that decide whether one has to read on.
fn tiles(out: &mut String, tiles: &[Tile]) {
    out.push_str("<ul class=\"tiles\">\n");
    for (n, what, class) in tiles {
        let class = if *n == 0 { "" } else { class };
        let _ = writeln!(
            out,
            "<li class=\"{class}\"><strong>{n}</strong> {what}</li>"
        );
    }
    out.push_str("</ul>\n");
}

/// What stands in the way or is odd.
fn found(out: &mut String, findings: &[Finding]) {
    if findings.is_empty() {
        return;
    }
    out.push_str("<section aria-labelledby=\"found\">\n<h2 id=\"found\">Look at this first</h2>\n<ul class=\"found\">\n");
    for finding in findings {
        let (class, word) = match finding.level {
            Level::Error => ("bad", "error"),
            Level::Warning | Level::Note => ("odd", "warning"),
        };
        let _ = write!(
            out,
            "<li class=\"{class}\"><span class=\"tag\">{word}</span> {}",
            prose(&finding.message)
        );
        if let Some(at) = &finding.location {
            let _ = write!(out, " <code>{}:{}</code>", escaped(&at.file), at.line);
        }
        if let Some(hint) = &finding.hint {
            let _ = write!(out, "<br><small>hint: {}</small>", prose(hint));
        }
        out.push_str("</li>\n");
    }
    out.push_str("</ul>\n</section>\n");
}

/// What opens the most first, then what differs, then what is in sync.
fn sorted(plan: &Plan) -> Vec<&InstancePlan> {
    let mut instances: Vec<&InstancePlan> = plan.instances.iter().collect();
    instances.sort_by_cached_key(|instance| {
        (
            std::cmp::Reverse(text::severity(&instance.exposure)),
            !instance.verdict.differs(),
            instance.instance.id.clone(),
        )
    });
    instances
}

/// A sentence fragment as HTML; what it has in backticks is shown as code.
fn prose(text: &str) -> String {
    let parts = text.split('`').enumerate().map(|(at, part)| match at % 2 {
        1 if !part.is_empty() => format!("<code>{}</code>", escaped(part)),
        _ => escaped(part),
    });
    parts.collect()
}

/// Text as HTML, in an element or in a quoted attribute.
pub(super) fn escaped(text: &str) -> String {
    sanitize(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
