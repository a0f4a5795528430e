//! A run as one small JSON object for a chat's webhook: a `text` of one or a few lines, and the numbers behind it.
//!
//! Owns the words and the shape. In `text` nothing of others is taken for a mention or a link. Does not send it, and to
//! tell more than names: rules and addresses stay where they are.

use std::fmt::Write as _;

use serde::Serialize;

use super::formats::{count, sanitize};
use super::json::RunReport;
use super::prometheus::InstanceCounts;
use super::text;

/// The most instances that are named: a chat message is not a report.
const NAMED: usize = 10;

/// The notification.
#[derive(Clone, Debug)]
pub(crate) struct Notification {
    /// The JSON object.
    pub body: String,
    /// Whether something differs, failed or was changed.
    pub is_noteworthy: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    text: String,
    verb: &'a str,
    exit_code: u8,
    shard: Option<String>,
    summary: Option<Summary>,
    differing: Vec<String>,
}

#[derive(Serialize)]
struct Summary {
    #[serde(flatten)]
    counts: InstanceCounts,
    writes: usize,
}

/// The message about a run that ended with this exit code.
///
/// # Panics
/// Never: the shape has no map with keys that are not strings.
pub(crate) fn message(run: &RunReport<'_>, exit_code: u8) -> Notification {
    let writes = run.report.map_or(0, |report| {
        report.results.iter().map(|result| result.writes).sum()
    });
    let differing: Vec<String> = run.plan.map_or_else(Vec::new, |plan| {
        let differing = plan.instances.iter();
        let differing = differing.filter(|i| i.verdict.differs());
        differing.map(|i| i.instance.id.to_string()).collect()
    });
    let shard = run.metadata.and_then(|metadata| metadata.shard);
    let shard = shard.map(|shard| shard.to_string());
    let text = message_text(run, exit_code, shard.as_deref(), &differing, writes);
    let body = Body {
        text: escape_for_chat(&text),
        verb: run.verb,
        exit_code,
        shard,
        summary: InstanceCounts::of_run(run).map(|counts| Summary { counts, writes }),
        differing: differing.into_iter().take(NAMED).collect(),
    };
    Notification {
        body: serde_json::to_string(&body).expect("strings and numbers are always JSON"),
        is_noteworthy: exit_code != 0 || writes > 0,
    }
}

fn message_text(
    run: &RunReport<'_>,
    exit_code: u8,
    shard: Option<&str>,
    differing: &[String],
    writes: usize,
) -> String {
    let shard = shard.map_or_else(String::new, |shard| format!(" (shard {shard})"));
    let outcome = match (&run.error, run.plan) {
        (Some(error), _) => format!("could not do the job: {}.", error.message),
        (None, None) => "the configuration is not valid.".to_owned(),
        (None, Some(plan)) => text::summary(plan, run.plan_view()),
    };
    let mut text = format!("portward {}{shard}: {outcome}", run.verb);
    if !run.refusals.is_empty() {
        text.push_str(" Refused by a guard.");
    }
    if run.report.is_some() {
        let _ = write!(text, " {} sent.", count(writes, "write"));
    }
    let _ = write!(text, " Exit code {exit_code}.");
    if !differing.is_empty() {
        let named = &differing[..differing.len().min(NAMED)];
        let _ = write!(text, "\n{}", named.join(", "));
        if differing.len() > NAMED {
            let _ = write!(text, " and {} more", differing.len() - NAMED);
        }
    }
    text
}

/// Text that Slack and its kind take for text: no mention, no link, no channel. Line breaks are ours.
fn escape_for_chat(text: &str) -> String {
    let lines: Vec<String> = text
        .split('\n')
        .map(|line| {
            sanitize(line)
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace('@', "@\u{200b}")
                .replace("://", ":\u{200b}//")
                .replace("](", "]\u{200b}(")
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::json::Problem;

    #[test]
    fn text_from_outside_is_not_a_mention_or_link() {
        let run = RunReport {
            verb: "drift",
            error: Some(Problem::error(
                crate::model::Code::Failed,
                "<!channel> @all [x](https://example.com) & <https://example.com|y>",
                None,
            )),
            ..RunReport::default()
        };
        let message = message(&run, 1);
        let body: serde_json::Value = serde_json::from_str(&message.body).expect("JSON");
        let text = body["text"].as_str().expect("a text");
        for power in ["<", ">", "@a", "](", "://"] {
            assert!(!text.contains(power), "{power}: {text}");
        }
        assert!(
            text.starts_with("portward drift: could not do the job: "),
            "{text}"
        );
        assert!(message.is_noteworthy && body["summary"].is_null());
    }
}
