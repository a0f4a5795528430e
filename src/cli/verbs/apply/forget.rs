//! The tags of leases that are over, once what they granted is closed.
//!
//! **Owns** which of them may go: those of instances whose rules are as the plan wants. **Does not** close anything.

use super::planned::Prepared;
use crate::cli::exit::Exit;
use crate::cli::streams::{complain, say};
use crate::lightsail::Writer;
use crate::model::Code;
use crate::plan::{Report, Verdict};
use crate::render::sanitize;

/// Removes the tags. A tag that stays opens nothing, and the next run tries again.
pub(super) async fn ended(
    prepared: &Prepared,
    report: Option<&Report>,
    writer: &impl Writer,
) -> Option<Exit> {
    let mut failed = None;
    for (id, tags) in &prepared.ended {
        let mut plans = prepared.plan.instances.iter();
        let Some(plan) = plans.find(|plan| plan.instance.id == *id) else {
            continue;
        };
        let results = report.map_or(&[][..], |report| &report.results);
        let done = match plan.verdict {
            Verdict::InSync => true,
            Verdict::Change => {
                let mut results = results.iter();
                let result = results.find(|result| result.id == *id);
                let applied = result.is_some_and(|result| result.outcome.status().is_success());
                applied && plan.still_open.is_empty()
            }
            _ => false,
        };
        if !done {
            continue;
        }
        let shown: Vec<String> = tags
            .iter()
            .map(|tag| format!("`{}`", sanitize(tag)))
            .collect();
        let shown = shown.join(", ");
        match writer.untag(id, tags).await {
            Ok(_) => say(&format!(
                "removed from {}: {shown}",
                sanitize(&id.to_string())
            )),
            Err(error) => {
                complain(
                    Code::NotApplied,
                    &format!("{shown} cannot be removed from {id}, and opens nothing: {error}"),
                    error.hint().as_deref(),
                );
                failed = Some(Exit::Failed);
            }
        }
    }
    failed
}
