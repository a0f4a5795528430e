//! Findings as SARIF 2.1.0, for code scanners.
//!
//! Owns the mapping. Does not report what a change opens: that is for a reviewer to judge and no defect.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::finding::alerts::{Alert, alerts};
use super::finding::{FindingKind, Level, Location, findings};
use super::json::RunReport;
use crate::model::Code;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// The log, indented, with a final newline.
pub(crate) fn document(run: &RunReport<'_>) -> String {
    let findings = findings(run);
    let rules: BTreeSet<&FindingKind> = findings.iter().map(|finding| &finding.rule).collect();
    let rules: Vec<&FindingKind> = rules.into_iter().collect();
    let results: Vec<Value> = alerts(&findings, run)
        .iter()
        .map(|alert| result(alert, &rules))
        .collect();
    let rules: Vec<Value> = rules
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id(),
                "shortDescription": {"text": rule.about()},
                "helpUri": help_uri(rule.code()),
            })
        })
        .collect();
    let document = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "portward",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "automationDetails": {"id": format!("portward/{}/", run.verb)},
            "invocations": [{
                "executionSuccessful": run.error.is_none(),
                "exitCode": run.exit_code,
            }],
            "results": results,
        }],
    });
    format!("{document:#}\n")
}

/// The section of the book about a code, as it was in this version.
fn help_uri(code: Code) -> String {
    format!(
        "{}/blob/v{}/docs/src/errors.md#{}",
        env!("CARGO_PKG_REPOSITORY"),
        env!("CARGO_PKG_VERSION"),
        code.as_str().to_lowercase()
    )
}

fn result(alert: &Alert<'_>, rules: &[&FindingKind]) -> Value {
    let finding = alert.finding;
    let mut text = finding.message.clone();
    for line in finding.details.iter().chain(&finding.hint) {
        text.push('\n');
        text.push_str(line);
    }
    let place = finding.location.as_ref();
    let mut result = json!({
        "ruleId": finding.rule.id(),
        "ruleIndex": rules.iter().position(|rule| **rule == finding.rule),
        "level": match finding.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "note",
        },
        "message": {"text": escape_message(&text)},
        "locations": [place.map_or_else(|| first_line(alert.file), location)],
        "partialFingerprints": {"portward/v1": alert.fingerprint},
    });
    if !finding.related.is_empty() {
        result["relatedLocations"] = finding.related.iter().map(location).collect();
    }
    result
}

fn first_line(file: &str) -> Value {
    location(&Location {
        file: file.to_owned(),
        line: 1,
        column: None,
        end: None,
    })
}

fn location(at: &Location) -> Value {
    let artifact = json!({"uri": uri(&at.file)});
    let line = at.line.max(1);
    let (last, end) = at.end.unwrap_or((line, 0));
    let mut region = json!({"startLine": line, "endLine": last.max(line)});
    if let Some(column) = at.column {
        region["startColumn"] = column.into();
        if last > line || end >= column {
            region["endColumn"] = end.into();
        }
    }
    json!({"physicalLocation": {"artifactLocation": artifact, "region": region}})
}

/// A message is a template where it has braces, and a link where it has brackets.
fn escape_message(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '{' => out.push_str("{{"),
            '}' => out.push_str("}}"),
            '[' | ']' | '\\' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out
}

/// A path as a relative or absolute URI reference.
fn uri(path: &str) -> String {
    let mut out = String::new();
    for byte in path.replace('\\', "/").bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::json::{Problem, ProblemSeverity};

    fn problem(message: &str, line: usize) -> Problem {
        Problem {
            severity: ProblemSeverity::Warning,
            file: Some("a b/ü.toml".to_owned()),
            line: Some(line),
            column: Some(2),
            ..Problem::error(Code::UnknownKey, message, None)
        }
    }

    fn results(problems: Vec<Problem>) -> Vec<Value> {
        let run = RunReport {
            verb: "check",
            problems,
            ..RunReport::default()
        };
        let log: Value = serde_json::from_str(&document(&run)).expect("JSON");
        log["runs"][0]["results"]
            .as_array()
            .expect("results")
            .clone()
    }

    #[test]
    fn fingerprint_does_not_depend_on_the_line() {
        let one = results(vec![problem("odd", 3)]);
        let moved = results(vec![problem("odd", 30)]);
        let other = results(vec![problem("odder", 3)]);
        assert_eq!(
            one[0]["partialFingerprints"],
            moved[0]["partialFingerprints"]
        );
        assert_ne!(
            one[0]["partialFingerprints"],
            other[0]["partialFingerprints"]
        );
        let twice = results(vec![problem("odd", 3), problem("odd", 4)]);
        assert_ne!(
            twice[0]["partialFingerprints"],
            twice[1]["partialFingerprints"]
        );
    }

    #[test]
    fn uris_and_texts_are_escaped() {
        let found = results(vec![problem("a [link](x) {0} \\", 3)]);
        let at = &found[0]["locations"][0]["physicalLocation"];
        assert_eq!(at["artifactLocation"]["uri"], "a%20b/%C3%BC.toml");
        assert_eq!(
            at["region"],
            json!({"startLine": 3, "endLine": 3, "startColumn": 2})
        );
        assert_eq!(found[0]["message"]["text"], r"a \[link\](x) {{0}} \\");
    }
}
