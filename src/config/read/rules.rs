//! The rules of a table.
//!
//! Owns the keys of one rule. Does not read what they name.

use toml::de::DeValue;

use super::super::definitions::RuleDef;
use super::super::source::Span;
use super::super::tree::{Cx, Text, Value};
use super::super::{habits, keys, until};
use crate::model::{Code, is_unsafe};

/// What a list of rules is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// They are wanted.
    Wanted,
    /// They must go.
    Absent,
    /// What they name must stay.
    Kept,
    /// What they name must be open.
    Required,
}

/// The rules in a list.
pub(super) fn rules(cx: &mut Cx<'_>, value: &Value<'_>, subject: &str, kind: Kind) -> Vec<RuleDef> {
    let DeValue::Array(items) = value.get_ref() else {
        cx.wrong_type::<()>(value, subject, "a list of rules");
        return Vec::new();
    };
    // Of the right size at once: most of a large configuration is lists of rules.
    let mut rules = Vec::with_capacity(items.len());
    rules.extend(items.iter().filter_map(|item| rule(cx, item, kind)));
    rules
}

/// One rule of a list.
pub(super) fn rule(cx: &mut Cx<'_>, value: &Value<'_>, kind: Kind) -> Option<RuleDef> {
    let (subject, known) = match kind {
        Kind::Wanted => ("a rule", keys::RULE),
        Kind::Absent => ("a rule of `absent`", keys::ABSENT),
        Kind::Kept => ("a rule of `keep`", keys::KEEP),
        Kind::Required => ("`require`", keys::REQUIRE),
    };
    let table = cx.table(value, subject, known)?;
    let span = cx.span(value);
    let mut rule = RuleDef {
        span,
        allow: Vec::new(),
        from: None,
        until: None,
        owner: None,
        why: None,
        waive: Vec::new(),
        any_family: false,
    };
    match table.get("allow") {
        Some(value) => {
            let hint =
                "name a service or a port, as in `allow = \"ssh\"` or `allow = \"tcp/8080\"`";
            rule.allow = match value.get_ref() {
                DeValue::Integer(port) => {
                    let hint = habits::allow(port.as_str()).unwrap_or_else(|| hint.to_owned());
                    let message = "`allow` must be a string or a list of strings, found an integer";
                    cx.report
                        .error(Code::WrongType, cx.span(value), message)
                        .hint(hint);
                    Vec::new()
                }
                _ => cx.some_texts(value, "`allow`", hint).unwrap_or_default(),
            };
        }
        None => cx.missing(
            span,
            "the rule has no `allow`",
            "add what it opens, as in `allow = \"ssh\"`",
        ),
    }
    match table.get("from") {
        Some(value) => {
            let hint = "a rule without sources would open the port to everyone: name one, or write \"anywhere\"";
            rule.from = Some(cx.some_texts(value, "`from`", hint).unwrap_or_default());
        }
        None if kind != Kind::Absent => {
            cx.missing(
                span,
                "the rule has no `from`",
                "name who gets in, or write `from = \"anywhere\"` for everyone",
            );
        }
        None => {}
    }
    if let Some(value) = table.get("until").filter(|_| kind == Kind::Wanted) {
        rule.until = until(cx, value);
    }
    rule.owner = table
        .get("owner")
        .and_then(|value| free_text(cx, value, "`owner`"));
    rule.why = table
        .get("why")
        .and_then(|value| free_text(cx, value, "`why`"));
    if let Some(value) = table.get("any-family").filter(|_| kind == Kind::Wanted) {
        rule.any_family = match value.get_ref() {
            DeValue::Boolean(any_family) => *any_family,
            _ => cx
                .wrong_type(value, "`any-family`", "a boolean")
                .unwrap_or_default(),
        };
    }
    if let Some(value) = table.get("waive").filter(|_| kind == Kind::Wanted) {
        rule.waive = cx
            .some_texts(
                value,
                "`waive`",
                "name the policy that is to overlook the rule",
            )
            .unwrap_or_default();
        let lacking: Vec<String> = ["why", "owner", "until"]
            .into_iter()
            .filter(|key| !table.contains_key(*key))
            .map(|key| format!("`{key}`"))
            .collect();
        if !lacking.is_empty() {
            let message = format!("`waive` needs {}", lacking.join(" and "));
            let hint = "an exception says why it is one, who answers for it, and when it ends";
            cx.missing(cx.span(value), &message, hint);
        }
    }
    Some(rule)
}

fn until(cx: &mut Cx<'_>, value: &Value<'_>) -> Option<time::OffsetDateTime> {
    let span = cx.span(value);
    match value.get_ref() {
        DeValue::Datetime(datetime) => match until::parse(datetime) {
            Ok(until) => Some(until),
            Err(wrong) => {
                let problem = cx.report.error(Code::InvalidValue, span, wrong.message);
                wrong.hint.into_iter().for_each(|hint| {
                    problem.hint(hint);
                });
                None
            }
        },
        DeValue::String(_) => {
            let message = "`until` must be a date or a date-time, found a string";
            cx.report
                .error(Code::WrongType, span, message)
                .hint("write it without quotes, as in `until = 2031-12-31`");
            None
        }
        _ => cx.wrong_type(value, "`until`", "a date or a date-time"),
    }
}

/// Text that reports repeat as it is, so it must be fit for a terminal.
pub(super) fn free_text(cx: &mut Cx<'_>, value: &Value<'_>, subject: &str) -> Option<String> {
    let Text { text, span } = cx.text(value, subject)?;
    is_plain(cx, &text, span, subject).then_some(text)
}

/// Whether a text can be shown as it is; an error where it cannot.
pub(super) fn is_plain(cx: &mut Cx<'_>, text: &str, span: Span, subject: &str) -> bool {
    let Some(c) = text.chars().find(|c| is_unsafe(*c)) else {
        return true;
    };
    let code = u32::from(c);
    let message = format!("{subject} holds a line break or an invisible character, U+{code:04X}");
    cx.report
        .error(Code::InvisibleText, span, message)
        .hint("reports show it on one line: write plain text");
    false
}
