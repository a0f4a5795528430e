//! The results of a plan as text: instances with equal results together, and a summary.
//!
//! Owns the words for endings, and their order: what is done, what was not begun, and last what asks for attention. Does not
//! say what was planned.

use std::fmt::Write as _;

use anstyle::Style;

use super::{BOLD, CHANGE, GAIN, LOSS, places};
use crate::plan::{InstanceResult, Outcome, Plan, Report, Verdict};
use crate::render::formats::{count, nonzero_counts, sanitize};
use crate::render::group::group_by_key;

/// The results of every instance with calls, and a summary line.
pub fn report(report: &Report, plan: &Plan) -> String {
    let results = report.results.iter();
    let mut groups = group_by_key(results.map(|result| (ResultText::of(result), result)));
    groups.sort_by_key(|(ending, _)| ending.rank);
    let mut text = String::new();
    for (ending, alike) in &groups {
        ending.write(&mut text, alike);
    }
    let _ = writeln!(text, "{BOLD}Apply:{BOLD:#} {}", outcome(report, plan));
    text
}

/// The summary.
pub(in crate::render) fn outcome(report: &Report, plan: &Plan) -> String {
    let applied = count_results(report, |one| matches!(one.outcome, Outcome::Applied { .. }));
    let already = count_results(report, |one| matches!(one.outcome, Outcome::AlreadyApplied));
    let not_started = count_results(report, |one| matches!(one.outcome, Outcome::NotStarted(_)));
    let reverted = count_results(report, |one| matches!(one.outcome, Outcome::Reverted(_)));
    let failed = report.results.len() - applied - already - not_started - reverted;
    let in_doubt = count_results(report, is_in_doubt);
    let in_sync = plan
        .instances
        .iter()
        .filter(|i| i.verdict == Verdict::InSync)
        .count();
    let mut parts = vec![
        format!("{applied} changed"),
        if in_doubt > 0 {
            format!("{failed} failed ({in_doubt} after a write)")
        } else {
            format!("{failed} failed")
        },
        format!("{in_sync} in sync before"),
    ];
    parts.extend(nonzero_counts(&[
        (already, "already applied"),
        (reverted, "put back"),
        (plan.unplanned.len(), "not part of the plan"),
        (not_started, "not started"),
    ]));
    let cut = if report.interrupted {
        " (interrupted)"
    } else {
        ""
    };
    let writes = count(
        report.results.iter().map(|result| result.writes).sum(),
        "write",
    );
    format!("{}; {writes}{cut}.", parts.join(", "))
}

fn count_results(report: &Report, is: impl Fn(&InstanceResult) -> bool) -> usize {
    report.results.iter().filter(|result| is(result)).count()
}

/// Whether a write was sent and did not end as planned, so that only another read shows the live rules.
fn is_in_doubt(result: &InstanceResult) -> bool {
    result.writes > 0 && matches!(result.outcome, Outcome::Failed(_))
}

/// The text about an instance, without its name.
#[derive(PartialEq)]
struct ResultText {
    /// Its rank among the others.
    rank: u8,
    style: Style,
    words: String,
    /// Behind the words; as many for each.
    writes: Option<usize>,
    hint: Option<String>,
    note: Option<String>,
}

impl ResultText {
    fn of(result: &InstanceResult) -> Self {
        let plain = Style::new();
        let (rank, style, words) = match &result.outcome {
            Outcome::Applied { repaired: None } => (0, GAIN, "applied and read back".to_owned()),
            Outcome::Applied {
                repaired: Some(reason),
            } => {
                let words = format!(
                    "applied and read back after a repair ({})",
                    sanitize(reason)
                );
                (1, GAIN, words)
            }
            Outcome::AlreadyApplied => {
                let words = "already applied, nothing written".to_owned();
                (2, plain, words)
            }
            Outcome::NotStarted(reason) => {
                (3, CHANGE, format!("not started: {}", sanitize(reason)))
            }
            Outcome::Reverted(reason) => {
                let words = format!("put back to what it was: {}", sanitize(reason));
                (4, LOSS, words)
            }
            Outcome::Stale(reason) => {
                let words = format!("stale, nothing written: {}", sanitize(reason));
                (5, LOSS, words)
            }
            Outcome::ForeignWriter(reason) => {
                let reason = sanitize(&reason.to_string());
                (
                    6,
                    LOSS,
                    format!("somebody else wrote, left alone: {reason}"),
                )
            }
            Outcome::Failed(failure) => {
                let reason = sanitize(&failure.message);
                if is_in_doubt(result) {
                    (8, LOSS, format!("failed after a write: {reason}"))
                } else {
                    (7, LOSS, format!("failed: {reason}"))
                }
            }
        };
        let hint = match &result.outcome {
            Outcome::Failed(failure) => failure.hint.as_deref().map(sanitize),
            _ => None,
        };
        let says_nothing_of_writes = matches!(
            result.outcome,
            Outcome::AlreadyApplied | Outcome::NotStarted(_) | Outcome::Stale(_)
        );
        Self {
            rank,
            style,
            words,
            writes: (!says_nothing_of_writes).then_some(result.writes),
            hint,
            note: result.note.as_deref().map(sanitize),
        }
    }

    fn write(&self, text: &mut String, alike: &[&InstanceResult]) {
        let Self { style, words, .. } = self;
        let names = places(alike.iter().map(|result| &result.id)).join(", ");
        let each = if alike.len() > 1 { " each" } else { "" };
        let writes = self.writes.map(|n| count(n, "write") + each);
        let writes = match (writes, self.rank) {
            (None, _) => String::new(),
            (Some(writes), 0 | 1) => format!(", {writes}"),
            (Some(writes), _) => format!(" ({writes})"),
        };
        let _ = writeln!(text, "{style}{names}{style:#}: {words}{writes}");
        if let Some(hint) = &self.hint {
            let _ = writeln!(text, "  hint: {hint}");
        }
        if let Some(note) = &self.note {
            let _ = writeln!(text, "  note: {note}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::InstanceId;
    use crate::plan::Failure;

    #[test]
    fn equal_outcomes_share_a_line_and_failures_come_last() {
        let result = |name: &str, writes, outcome| InstanceResult {
            id: InstanceId {
                account: None,
                region: "eu-central-1".to_owned(),
                name: name.to_owned(),
            },
            outcome,
            writes,
            operations: Vec::new(),
            steps: Vec::new(),
            note: None,
        };
        let failed = |message: &str| {
            Outcome::Failed(Failure {
                message: message.to_owned(),
                code: None,
                request_id: None,
                hint: Some("look at it".to_owned()),
            })
        };
        let done = || Outcome::Applied { repaired: None };
        let guard_finding = || Outcome::NotStarted("interrupted".to_owned());
        let results = vec![
            result("db-1", 1, failed("no reply")),
            result("web-1", 1, done()),
            result("web-2", 0, guard_finding()),
            result("web-3", 1, done()),
            result("web-4", 2, done()),
            result("web-5", 0, guard_finding()),
            result("web-6", 0, failed("not permitted")),
        ];
        let report = Report {
            results,
            interrupted: true,
        };
        let text = super::report(&report, &Plan::default());
        let text = anstream::adapter::strip_str(&text).to_string();
        insta::assert_snapshot!(text, @r"
        web-1, web-3 (eu-central-1): applied and read back, 1 write each
        web-4 (eu-central-1): applied and read back, 2 writes
        web-2, web-5 (eu-central-1): not started: interrupted
        web-6 (eu-central-1): failed: not permitted (0 writes)
          hint: look at it
        db-1 (eu-central-1): failed after a write: no reply (1 write)
          hint: look at it
        Apply: 3 changed, 2 failed (1 after a write), 0 in sync before, 2 not started; 5 writes (interrupted).
        ");
    }
}
