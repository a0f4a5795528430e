//! The findings of policies, as text.
//!
//! Owns the words for a violation. Instances with the same violation share a block, so that a fleet with one mistake
//! makes one of them. Does not leave a violation out.

use std::fmt::Write as _;

use super::{BOLD, CHANGE, LOSS, places};
use crate::model::{InstanceId, PolicySeverity};
use crate::policy::{Subject, Violation};
use crate::render::finding::policies::{SHOWN, group_violations, occurrence};
use crate::render::formats::sanitize;

/// Every violation; empty where there is none.
pub(crate) fn violations(violations: &[Violation]) -> String {
    let mut text = String::new();
    for mistake in group_violations(violations) {
        let _ = writeln!(text, "{}", head(mistake.violation));
        let _ = writeln!(text, "  {BOLD}on{BOLD:#} {}", named(&mistake.on).join(", "));
        for line in mistake.access(SHOWN) {
            let _ = writeln!(text, "  {line}");
        }
        let _ = writeln!(text, "  hint: {}", sanitize(&mistake.violation.hint));
    }
    text
}

fn head(violation: &Violation) -> String {
    let (style, word) = match violation.severity {
        _ if violation.is_refusal() => (LOSS, "refused by policy"),
        PolicySeverity::Deny => (LOSS, "against policy"),
        PolicySeverity::Warn => (CHANGE, "warning: against policy"),
    };
    let seen = occurrence(violation.occurrence);
    let policy = sanitize(&violation.policy);
    format!(
        "{style}{word} `{policy}`{style:#} ({seen}) [{}]: {}",
        violation.code,
        sanitize(&violation.reason)
    )
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
