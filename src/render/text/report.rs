//! What became of a plan, as text: a line for each instance that had calls, and a summary.
//!
//! Owns the words for endings. Does not say what was planned.

use std::fmt::Write as _;

use super::{BOLD, CHANGE, GAIN, LOSS, place};
use crate::plan::{InstanceResult, Outcome, Plan, Report, Verdict};
use crate::render::words::{count, sanitize};

/// What became of every instance that had calls, ending in a summary line.
#[must_use]
pub fn report(report: &Report, plan: &Plan) -> String {
    let mut text = String::new();
    for result in &report.results {
        let _ = writeln!(text, "{}", ending(result));
        if let Outcome::Failed(failure) = &result.outcome
            && let Some(hint) = &failure.hint
        {
            let _ = writeln!(text, "  hint: {}", sanitize(hint));
        }
        if let Some(note) = &result.note {
            let _ = writeln!(text, "  note: {}", sanitize(note));
        }
    }
    let applied = count_results(report, |outcome| matches!(outcome, Outcome::Applied { .. }));
    let already = count_results(report, |outcome| matches!(outcome, Outcome::AlreadyApplied));
    let not_started = count_results(report, |outcome| matches!(outcome, Outcome::NotStarted(_)));
    let reverted = count_results(report, |outcome| matches!(outcome, Outcome::Reverted(_)));
    let failed = report.results.len() - applied - already - not_started - reverted;
    let in_sync = plan
        .instances
        .iter()
        .filter(|i| i.verdict == Verdict::InSync)
        .count();
    let mut parts = vec![
        format!("{applied} changed"),
        format!("{failed} failed"),
        format!("{in_sync} in sync before"),
    ];
    if already > 0 {
        parts.push(format!("{already} already applied"));
    }
    if reverted > 0 {
        parts.push(format!("{reverted} put back"));
    }
    if !plan.unplanned.is_empty() {
        parts.push(format!("{} not part of the plan", plan.unplanned.len()));
    }
    if not_started > 0 {
        parts.push(format!("{not_started} not started"));
    }
    let cut = if report.interrupted {
        " (interrupted)"
    } else {
        ""
    };
    let writes = count(
        report.results.iter().map(|result| result.writes).sum(),
        "write",
    );
    let _ = writeln!(
        text,
        "{BOLD}Apply:{BOLD:#} {}; {writes}{cut}.",
        parts.join(", ")
    );
    text
}

fn count_results(report: &Report, is: impl Fn(&Outcome) -> bool) -> usize {
    report
        .results
        .iter()
        .filter(|result| is(&result.outcome))
        .count()
}

fn ending(result: &InstanceResult) -> String {
    let place = place(&result.id);
    let writes = count(result.writes, "write");
    match &result.outcome {
        Outcome::Applied { repaired: None } => {
            format!("{GAIN}{place}{GAIN:#}: applied and read back, {writes}")
        }
        Outcome::Applied {
            repaired: Some(why),
        } => {
            format!(
                "{GAIN}{place}{GAIN:#}: applied and read back after a repair ({}), {writes}",
                sanitize(why)
            )
        }
        Outcome::AlreadyApplied => format!("{place}: already applied, nothing written"),
        Outcome::Stale(why) => format!(
            "{LOSS}{place}{LOSS:#}: stale, nothing written: {}",
            sanitize(why)
        ),
        Outcome::ForeignWriter(why) => format!(
            "{LOSS}{place}{LOSS:#}: somebody else wrote, left alone: {} ({writes})",
            sanitize(&why.to_string())
        ),
        Outcome::Reverted(why) => format!(
            "{LOSS}{place}{LOSS:#}: put back to what it was: {} ({writes})",
            sanitize(why)
        ),
        Outcome::Failed(failure) => format!(
            "{LOSS}{place}{LOSS:#}: failed: {} ({writes})",
            sanitize(&failure.message)
        ),
        Outcome::NotStarted(why) => {
            format!("{CHANGE}{place}{CHANGE:#}: not started: {}", sanitize(why))
        }
    }
}
