//! Findings as SARIF 2.1.0, for code scanners.
//!
//! Owns the mapping and the fingerprints, which do not depend on line numbers: a finding that only moved is the same one.
//! Does not report what a change opens: that is for a reviewer to judge and no defect.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::finding::{Finding, Level, Location, Rule, findings};
use super::json::Run;
use crate::model::Code;
use crate::strings::hex;

/// What a configuration is called unless it was named.
const DEFAULT_CONFIG: &str = "firewall.toml";

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// The log, indented, with a final newline.
#[must_use]
pub(crate) fn document(run: &Run<'_>) -> String {
    let findings = findings(run);
    let rules: BTreeSet<&Rule> = findings.iter().map(|finding| &finding.rule).collect();
    let rules: Vec<&Rule> = rules.into_iter().collect();
    let mut seen = BTreeMap::new();
    let results: Vec<Value> = findings
        .iter()
        .map(|finding| result(finding, fallback(run), &rules, &mut seen))
        .collect();
    let rules: Vec<Value> = rules
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id(),
                "shortDescription": {"text": rule.about()},
                "helpUri": help(rule.code()),
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
fn help(code: Code) -> String {
    format!(
        "{}/blob/v{}/docs/src/errors.md#{}",
        env!("CARGO_PKG_REPOSITORY"),
        env!("CARGO_PKG_VERSION"),
        code.as_str().to_lowercase()
    )
}

/// Where a finding is shown that no line is known for: a scanner shows none without a place.
fn fallback<'a>(run: &Run<'a>) -> &'a str {
    if run.config.is_empty() {
        DEFAULT_CONFIG
    } else {
        run.config
    }
}

fn result<'a>(
    finding: &'a Finding,
    fallback: &'a str,
    rules: &[&Rule],
    seen: &mut BTreeMap<(&'a Rule, &'a str, &'a str), usize>,
) -> Value {
    let mut text = finding.message.clone();
    for line in finding.details.iter().chain(&finding.hint) {
        text.push('\n');
        text.push_str(line);
    }
    let place = finding.location.as_ref();
    let file = place.map_or(fallback, |at| at.file.as_str());
    let identity = finding.identity.as_ref().unwrap_or(&finding.message);
    let nth = seen
        .entry((&finding.rule, file, identity.as_str()))
        .or_default();
    *nth += 1;
    let id = finding.rule.id();
    let mut result = json!({
        "ruleId": id,
        "ruleIndex": rules.iter().position(|rule| **rule == finding.rule),
        "level": match finding.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "note",
        },
        "message": {"text": literal(&text)},
        "locations": [place.map_or_else(|| first_line(fallback), location)],
        "partialFingerprints": {"portward/v1": fingerprint((&id, file, identity), *nth)},
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

/// Which finding it is, whatever line it is on; `nth` tells apart those that read alike.
fn fingerprint(same: (&str, &str, &str), nth: usize) -> String {
    let mut hash = Sha256::new();
    let (rule, file, message) = same;
    for part in [rule, file, message] {
        // The length keeps `ab` + `c` apart from `a` + `bc`.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.update((nth as u64).to_be_bytes());
    hex(&hash.finalize())
}

/// A message is a template where it has braces, and a link where it has brackets.
fn literal(text: &str) -> String {
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
    use crate::render::json::{Problem, Severity};

    fn problem(message: &str, line: usize) -> Problem {
        Problem {
            severity: Severity::Warning,
            file: Some("a b/ü.toml".to_owned()),
            line: Some(line),
            column: Some(2),
            ..Problem::error(Code::UnknownKey, message, None)
        }
    }

    fn results(problems: Vec<Problem>) -> Vec<Value> {
        let run = Run {
            verb: "check",
            problems,
            ..Run::default()
        };
        let log: Value = serde_json::from_str(&document(&run)).expect("JSON");
        log["runs"][0]["results"]
            .as_array()
            .expect("results")
            .clone()
    }

    #[test]
    fn a_finding_that_moved_is_the_same_one() {
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
    fn places_and_texts_are_literal() {
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
