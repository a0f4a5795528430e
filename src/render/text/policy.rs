//! What the policies say, for people.
//!
//! Owns the words for a violation. Instances with the same violation share a block, so that a fleet with one mistake
//! makes one of them. Does not leave a violation out.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{BOLD, CHANGE, LOSS, places};
use crate::exposure::Diff;
use crate::model::{InstanceId, PolicySeverity};
use crate::policy::{Subject, Violation};
use crate::render::finding::policies::seen;
use crate::render::words::sanitize;

/// Lines of access that one violation shows; the exact boxes are in the machine-readable reports.
const ACCESS_SHOWN: usize = 6;

/// Every violation; empty where there is none.
#[must_use]
pub fn violations(violations: &[Violation]) -> String {
    let mut blocks: Vec<(String, String, Vec<&Subject>)> = Vec::new();
    let mut known = BTreeMap::new();
    for violation in violations {
        let (head, body) = (head(violation), body(violation));
        let at = *known
            .entry((head.clone(), body.clone()))
            .or_insert_with(|| {
                blocks.push((head, body, Vec::new()));
                blocks.len() - 1
            });
        blocks[at].2.push(&violation.on);
    }
    let mut text = String::new();
    for (head, body, on) in blocks {
        let _ = writeln!(text, "{head}");
        let _ = writeln!(text, "  {BOLD}on{BOLD:#} {}", named(&on).join(", "));
        text.push_str(&body);
    }
    text
}

fn head(violation: &Violation) -> String {
    let (style, word) = match violation.severity {
        _ if violation.refuses() => (LOSS, "refused by policy"),
        PolicySeverity::Deny => (LOSS, "against policy"),
        PolicySeverity::Warn => (CHANGE, "warning: against policy"),
    };
    let seen = seen(violation.seen);
    let policy = sanitize(&violation.policy);
    format!(
        "{style}{word} `{policy}`{style:#} ({seen}) [{}]: {}",
        violation.code,
        sanitize(&violation.reason)
    )
}

fn body(violation: &Violation) -> String {
    let mut text = String::new();
    let diff = Diff {
        gained: violation.access.clone(),
        lost: Vec::new(),
    };
    let lines = diff.lines().gained;
    let verb = violation.kind.state();
    for line in lines.iter().take(ACCESS_SHOWN) {
        let _ = writeln!(text, "  {verb}: {}", sanitize(&line.to_string()));
    }
    if lines.len() > ACCESS_SHOWN {
        let _ = writeln!(text, "  {verb}: {} more", lines.len() - ACCESS_SHOWN);
    }
    let _ = writeln!(text, "  hint: {}", sanitize(&violation.hint));
    text
}

fn named(on: &[&Subject]) -> Vec<String> {
    let ids = on.iter().filter_map(|on| match on {
        Subject::Instance(id) => Some(id),
        Subject::Table(_) => None,
    });
    let ids: Vec<&InstanceId> = ids.collect();
    let mut names = places(ids.into_iter());
    names.extend(on.iter().filter_map(|on| match on {
        Subject::Table(table) => Some(format!("[{}]", sanitize(table))),
        Subject::Instance(_) => None,
    }));
    names
}
