//! The notes on environment variables with an effect, added to a document of any format except a page.
//!
//! Owns where it stands in each. Without anything to say a document stays as it is. Does not read the environment,
//! nor write into a page, which has a section for it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::formats::sanitize;
use super::github::notice;
use super::markdown::escape::prose;

/// Lines above a text.
pub(crate) fn text(notes: &[String], document: &str) -> String {
    lines_above("", notes, document)
}

fn lines_above(start: &str, notes: &[String], document: &str) -> String {
    let lines = notes
        .iter()
        .map(|note| format!("{start}note: {}\n", sanitize(note)));
    lines.collect::<String>() + document
}

/// A list below a comment.
pub(crate) fn markdown(notes: &[String], document: &str) -> String {
    let mut text = document.to_owned();
    if !notes.is_empty() {
        text.push('\n');
    }
    for note in notes {
        let _ = writeln!(text, "- note: {}", prose(note));
    }
    text
}

/// Annotations below a log.
pub(crate) fn github(notes: &[String], document: &str) -> String {
    let mut text = document.to_owned();
    for note in notes {
        let _ = writeln!(text, "{}", notice("environment", note));
    }
    text
}

/// The first member of a document, `environment`.
pub(crate) fn json(notes: &[String], document: &str) -> String {
    if notes.is_empty() {
        return document.to_owned();
    }
    let notes: Vec<String> = notes.iter().map(|note| json!(note).to_string()).collect();
    let member = format!(
        "{{\n  \"environment\": [\n    {}\n  ],\n",
        notes.join(",\n    ")
    );
    document.replacen("{\n", &member, 1)
}

/// Notifications of the tool, which are no findings.
pub(crate) fn sarif(notes: &[String], document: &str) -> String {
    let log: Result<Value, _> = serde_json::from_str(document);
    let Some(mut log) = log.ok().filter(|_| !notes.is_empty()) else {
        return document.to_owned();
    };
    let note = |note: &String| json!({"level": "note", "message": {"text": sanitize(note)}});
    log["runs"][0]["invocations"][0]["toolExecutionNotifications"] =
        notes.iter().map(note).collect();
    format!("{log:#}\n")
}

/// Comments above metrics.
pub(crate) fn prometheus(notes: &[String], document: &str) -> String {
    lines_above("# ", notes, document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_note_leaves_every_format_unchanged() {
        let document = "{\n  \"a\": 1\n}\n";
        for add in [text, markdown, github, json, sarif, prometheus] {
            assert_eq!(add(&[], document), document);
        }
    }

    #[test]
    fn text_from_outside_in_a_note_is_escaped() {
        let notes = ["PORTWARD_TARGET=a\"<b>\n::error::x @all narrows this run".to_owned()];
        assert_eq!(
            json(&notes, "{\n  \"a\": 1\n}\n"),
            "{\n  \"environment\": [\n    \"PORTWARD_TARGET=a\\\"<b>\\n::error::x @all narrows this run\"\n  ],\n  \"a\": 1\n}\n"
        );
        for add in [text, github, prometheus] {
            assert_eq!(add(&notes, "").lines().count(), 1);
        }
        assert!(!markdown(&notes, "").contains("@all"));
    }
}
