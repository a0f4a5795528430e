//! Reader of rules.
//!
//! Owns the keys of one rule. Does not resolve names; `link` does.

use toml::de::{DeTable, DeValue};

use super::super::definitions::RuleDef;
use super::super::source::{Span, SpannedString};
use super::super::tree::{FileReader, Value};
use super::super::{hints, keys, until};
use crate::model::{Code, is_unsafe};

/// The key that a rule is declared under, which decides the keys that it can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RuleKind {
    /// `rules`, or a ruleset.
    Rule,
    Absent,
    /// `keep` of `[guard]`.
    Keep,
    /// `require` of a policy.
    Require,
}

pub(super) fn read_rules(
    reader: &mut FileReader<'_>,
    value: &Value<'_>,
    subject: &str,
    kind: RuleKind,
) -> Vec<RuleDef> {
    let DeValue::Array(items) = value.get_ref() else {
        reader.report_wrong_type::<()>(value, subject, "a list of rules");
        return Vec::new();
    };
    // With the right capacity, because most of a large configuration is lists of rules.
    let mut rules = Vec::with_capacity(items.len());
    rules.extend(
        items
            .iter()
            .filter_map(|item| read_rule(reader, item, kind)),
    );
    rules
}

pub(super) fn read_rule(
    reader: &mut FileReader<'_>,
    value: &Value<'_>,
    kind: RuleKind,
) -> Option<RuleDef> {
    let (subject, known) = match kind {
        RuleKind::Rule => ("a rule", keys::RULE),
        RuleKind::Absent => ("a rule of `absent`", keys::ABSENT),
        RuleKind::Keep => ("a rule of `keep`", keys::KEEP),
        RuleKind::Require => ("`require`", keys::REQUIRE),
    };
    let table = reader.read_table(value, subject, known)?;
    let span = reader.span(value);
    let mut rule = empty_rule(span);
    match table.get("allow") {
        Some(value) => {
            let hint =
                "name a service or a port, as in `allow = \"ssh\"` or `allow = \"tcp/8080\"`";
            if let DeValue::Integer(port) = value.get_ref() {
                let hint = hints::for_allow(port.as_str()).unwrap_or_else(|| hint.to_owned());
                let message = "`allow` must be a string or a list of strings, found an integer";
                reader
                    .error(Code::WrongType, reader.span(value), message)
                    .hint(hint);
            } else {
                rule.allow = reader.read_nonempty_strings(value, "`allow`", hint);
            }
        }
        None => reader.report_missing(
            span,
            "the rule has no `allow`",
            "add what it opens, as in `allow = \"ssh\"`",
        ),
    }
    match table.get("from") {
        Some(value) => {
            let hint = "a rule without sources would open the port to everyone: name one, or write \"anywhere\"";
            rule.from = Some(reader.read_nonempty_strings(value, "`from`", hint));
        }
        None if kind != RuleKind::Absent => {
            reader.report_missing(
                span,
                "the rule has no `from`",
                "name who gets in, or write `from = \"anywhere\"` for everyone",
            );
        }
        None => {}
    }
    if let Some(value) = table.get("until").filter(|_| kind == RuleKind::Rule) {
        rule.until = read_until(reader, value);
    }
    rule.owner = read_printable(reader, table, "owner");
    rule.why = read_printable(reader, table, "why");
    if let Some(value) = table.get("any-family").filter(|_| kind == RuleKind::Rule) {
        rule.any_family = match value.get_ref() {
            DeValue::Boolean(any_family) => *any_family,
            _ => reader
                .report_wrong_type(value, "`any-family`", "a boolean")
                .unwrap_or_default(),
        };
    }
    if let Some(value) = table.get("waive").filter(|_| kind == RuleKind::Rule) {
        let hint = "name the policy that is to overlook the rule";
        rule.waive = reader.read_nonempty_strings(value, "`waive`", hint);
        let missing: Vec<String> = ["why", "owner", "until"]
            .into_iter()
            .filter(|key| !table.contains_key(*key))
            .map(|key| format!("`{key}`"))
            .collect();
        if !missing.is_empty() {
            let message = format!("`waive` needs {}", missing.join(" and "));
            let hint = "an exception needs a reason, an owner and an end";
            reader.report_missing(reader.span(value), &message, hint);
        }
    }
    Some(rule)
}

/// A rule without any key.
pub(super) fn empty_rule(span: Span) -> RuleDef {
    RuleDef {
        span,
        allow: Vec::new(),
        from: None,
        until: None,
        owner: None,
        why: None,
        waive: Vec::new(),
        any_family: false,
    }
}

fn read_until(reader: &mut FileReader<'_>, value: &Value<'_>) -> Option<time::OffsetDateTime> {
    let span = reader.span(value);
    match value.get_ref() {
        DeValue::Datetime(datetime) => match until::parse(datetime) {
            Ok(until) => Some(until),
            Err(error) => {
                error.report(reader.report, Code::InvalidValue, span);
                None
            }
        },
        DeValue::String(_) => {
            let message = "`until` must be a date or a date-time, found a string";
            reader
                .error(Code::WrongType, span, message)
                .hint("write it without quotes, as in `until = 2031-12-31`");
            None
        }
        _ => reader.report_wrong_type(value, "`until`", "a date or a date-time"),
    }
}

/// Reads the text under a key, which reports print unchanged.
pub(super) fn read_printable(
    reader: &mut FileReader<'_>,
    table: &DeTable<'_>,
    key: &str,
) -> Option<String> {
    let subject = format!("`{key}`");
    let SpannedString { text, span } = reader.read_string(table.get(key)?, &subject)?;
    check_printable(reader, &text, span, &subject).then_some(text)
}

/// Whether a text can be printed unchanged; an error if it cannot.
pub(super) fn check_printable(
    reader: &mut FileReader<'_>,
    text: &str,
    span: Span,
    subject: &str,
) -> bool {
    let Some(c) = text.chars().find(|c| is_unsafe(*c)) else {
        return true;
    };
    let code = u32::from(c);
    let message = format!("{subject} holds a line break or an invisible character, U+{code:04X}");
    reader
        .error(Code::InvisibleText, span, message)
        .hint("reports show it on one line: write plain text");
    false
}
