//! Unified diffs: of the rules of a plan, one file an instance, which `plan --diff` shows, and of edits to a file.
//!
//! Owns the one-line spelling of a rule that is compared. Does not compare by meaning, which is what the plan does.

use std::fmt::Write as _;

use similar::TextDiff;

use super::formats::{format_key, sanitize, source_words};
use crate::model::{Firewall, LiveFirewall, sanitize_lines};
use crate::plan::Plan;

/// Before and after of every instance that differs, as unified diffs with all lines as context.
pub(crate) fn unified(plan: &Plan) -> String {
    let mut text = String::new();
    for instance in plan
        .instances
        .iter()
        .filter(|instance| instance.verdict.differs())
    {
        let id = sanitize(&instance.instance.id.to_string());
        let (before, after) = (live_lines(&instance.before), lines(&instance.after));
        let diff = TextDiff::from_lines(&before, &after);
        let hunks = diff
            .unified_diff()
            .context_radius(usize::MAX / 2)
            .header(&format!("live/{id}"), &format!("desired/{id}"))
            .to_string();
        let _ = write!(text, "{hunks}");
    }
    text
}

/// The edits of one file as a unified diff.
pub(crate) fn file(name: &str, before: &str, after: &str) -> String {
    let name = sanitize(name);
    let diff = TextDiff::from_lines(before, after);
    let hunks = diff.unified_diff().header(&name, &name).to_string();
    sanitize_lines(&hunks)
}

fn live_lines(live: &LiveFirewall) -> String {
    let mut text = lines(live.firewall());
    for uncertain in live.uncertain() {
        let _ = writeln!(
            text,
            "{} uncertain: {}",
            sanitize(&uncertain.entry.to_string()),
            sanitize(&uncertain.doubt.to_string())
        );
    }
    for unknown in live.unknown() {
        let _ = writeln!(text, "{} unknown protocol", sanitize(&unknown.to_string()));
    }
    text
}

/// One line for each source, so that a diff has only the sources that change.
fn lines(firewall: &Firewall) -> String {
    let mut text = String::new();
    for (rule, sources) in firewall {
        for source in source_words(sources) {
            let _ = writeln!(text, "{:<14} from {source}", format_key(*rule));
        }
    }
    text
}
