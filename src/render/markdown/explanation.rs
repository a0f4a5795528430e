//! The answer to `explain` as a comment.
//!
//! Owns its layout and its limit: if there is more than a comment holds, the first lines are shown and the others counted.
//! Does not decide what is allowed.

use std::fmt::Write as _;

use super::escape::{code, prose};
use super::{SHORTENED, fits, truncate};
use crate::exposure::{DocumentFirewall, Line, RuleRef};
use crate::render::explanation::{Explanation, cause_text};
use crate::render::formats::truncate_list;

/// Lines of each state, and characters of each line, where the whole answer is too long.
const FEW: (usize, usize) = (10, 200);

/// Rules behind one line that are named.
const CAUSES: usize = 5;

/// The comment. Its first line is a mark that a bot knows its own comment by.
pub(crate) fn explanation(explanation: &Explanation<'_>) -> String {
    let text = render(explanation, (usize::MAX, usize::MAX));
    if fits(&text) {
        return text;
    }
    render(explanation, FEW) + "\n" + SHORTENED
}

fn render(explanation: &Explanation<'_>, most: (usize, usize)) -> String {
    let truncated = |text: &str| truncate(text, most.1);
    let (to, from) = (
        explanation.to.unwrap_or("everything"),
        explanation.from.unwrap_or("everyone"),
    );
    let mut out = format!(
        "<!-- portward:explain -->\n### portward explain: {} from {} on {}\n\n",
        code(&truncated(to)),
        code(&truncated(from)),
        code(&explanation.id.to_string())
    );
    let (live, desired) = explanation.live_and_desired();
    match &explanation.live {
        Err(cause) => {
            let _ = writeln!(
                out,
                "- live: **not known**: {}",
                prose(&truncated(&cause.to_string()))
            );
        }
        Ok(side) => {
            let words = live.map_or("", |allowed| allowed.text());
            let _ = writeln!(out, "- live: **{words}**");
            lines(&mut out, explanation, side, "rule", most);
        }
    }
    match &explanation.desired {
        None => out.push_str("- desired: **not in the configuration**\n"),
        Some(side) => {
            let words = desired.map_or("", |allowed| allowed.text());
            let _ = writeln!(out, "- desired{}: **{words}**", explanation.mode_suffix());
            lines(&mut out, explanation, side, "live rule", most);
        }
    }
    if let Some(note) = explanation.note() {
        let _ = writeln!(out, "\n{}", prose(&truncated(&note)));
    }
    if let Some(change) = explanation.how_to_allow() {
        let _ = writeln!(out, "\nTo let all of it in: {}", prose(&truncated(&change)));
    }
    out
}

fn lines(
    out: &mut String,
    explanation: &Explanation<'_>,
    side: &DocumentFirewall,
    rule: &str,
    (most, longest): (usize, usize),
) {
    let access = |line: &Line| code(&truncate(&explanation.access_text(line), longest));
    let (all, perhaps) = (
        explanation.allowed_lines(side),
        explanation.doubtful_lines(side),
    );
    for line in all.iter().take(most) {
        let cause = |cause: &RuleRef| code(&truncate(&cause_text(cause, rule), longest));
        let causes = side.causes(line).into_iter().map(cause).collect();
        let causes = truncate_list(causes, CAUSES).join(", ");
        let _ = writeln!(out, "  - {}, by {causes}", access(line));
    }
    let left = most.saturating_sub(all.len());
    for (line, doubt) in perhaps.iter().take(left) {
        let (entry, why) = (code(&truncate(&doubt.entry, longest)), prose(&doubt.why));
        let _ = writeln!(out, "  - perhaps {}, by {entry}: {why}", access(line));
    }
    let lines = all.len() + perhaps.len();
    if lines > most {
        let _ = writeln!(out, "  - and {} more", lines - most);
    }
}
