//! Reader of `[[policy]]`: the requirements of firewalls.
//!
//! Owns the keys of a policy, and which of them can be combined. Does not resolve names; `link` does.

use toml::de::{DeTable, DeValue};

use super::super::definitions::{AtMost, PolicyDef, RuleDef, SeverityDef};
use super::super::source::{Span, SpannedString, quote};
use super::super::tree::{FileReader, Value};
use super::super::{keys, policy, source_expr};
use super::check_definition_name;
use super::rules::{RuleKind, empty_rule, read_printable, read_rule};
use super::selector::read_selector;
use crate::model::{Code, PolicySeverity};

const SEVERITIES: &[(&str, SeverityDef)] = &[
    ("deny", SeverityDef::On(PolicySeverity::Deny)),
    ("warn", SeverityDef::On(PolicySeverity::Warn)),
    ("off", SeverityDef::Off),
];

/// The keys of a policy that has the `id` of a built-in one.
const BUILT_IN_KEYS: [&str; 2] = ["id", "severity"];

pub(super) fn read(reader: &mut FileReader<'_>, value: &Value<'_>) {
    let DeValue::Array(items) = value.get_ref() else {
        let message = "`policy` must be a list of tables";
        reader
            .error(Code::WrongType, reader.span(value), message)
            .hint("each begins with `[[policy]]`, in two pairs of brackets");
        return;
    };
    for item in items {
        read_policy(reader, item);
    }
}

fn read_policy(reader: &mut FileReader<'_>, value: &Value<'_>) {
    let Some(table) = reader.read_table(value, "a policy", keys::POLICY) else {
        return;
    };
    let span = reader.span(value);
    let Some(id) = table.get("id") else {
        let hint = "name it, as in `id = \"database-is-private\"`: reports and `waive` say it";
        reader.report_missing(span, "the policy has no `id`", hint);
        return;
    };
    let Some(id) = reader.read_string(id, "`id`") else {
        return;
    };
    if !check_definition_name(reader, "a policy", &id) {
        return;
    }
    let severity = table
        .get("severity")
        .and_then(|value| reader.read_choice(value, "`severity`", SEVERITIES))
        .map(|(severity, _)| severity);
    let definition = if policy::is_built_in(&id.text) {
        read_built_in(reader, table, &id, severity)
    } else {
        read_custom(reader, table, &id, severity)
    };
    reader.define(|defs| &mut defs.policies, "policy", id, definition);
}

fn read_built_in(
    reader: &mut FileReader<'_>,
    table: &DeTable<'_>,
    id: &SpannedString,
    severity: Option<SeverityDef>,
) -> PolicyDef {
    let name = quote(&id.text);
    for (key, _) in table {
        if !BUILT_IN_KEYS.contains(&key.get_ref().as_ref()) {
            let message = format!("{name} is built in: only its `severity` can be set");
            reader
                .error(Code::Misplaced, reader.span(key), message)
                .hint("give a policy of your own another `id`");
        }
    }
    if !table.contains_key("severity") {
        reader.report_missing(
            id.span,
            &format!("the built-in policy {name} is named and not changed"),
            "set its `severity` to \"deny\", \"warn\" or \"off\"",
        );
    }
    PolicyDef {
        severity,
        ..PolicyDef::default()
    }
}

fn read_custom(
    reader: &mut FileReader<'_>,
    table: &DeTable<'_>,
    id: &SpannedString,
    severity: Option<SeverityDef>,
) -> PolicyDef {
    let services = table.get("services").map(|value| {
        let hint = "name a service or a port, as in `services = [\"ssh\", \"tcp/8080\"]`";
        reader.read_nonempty_strings(value, "`services`", hint)
    });
    let only_from = table.get("only-from").map(|value| {
        let texts = reader.read_strings(value, "`only-from`");
        rule_of(id.span, services.clone(), Some(texts))
    });
    let at_most = table
        .get("at-most")
        .map(|value| read_at_most(reader, value, rule_of(id.span, services.clone(), None)));
    let has_limit = only_from.is_some() || at_most.is_some();
    if has_limit && services.is_none() {
        let hint = "name what it is about, as in `services = [\"ssh\"]`, or [\"all\"]";
        reader.report_missing(id.span, "the policy has no `services`", hint);
    }
    let require = table.get("require");
    // An unknown key may be a misspelling of the missing one, and is reported anyway.
    let mut keys = table.iter().map(|(key, _)| key.get_ref().as_ref());
    let has_known_keys = keys.all(|key: &str| keys::POLICY.contains(&key));
    if has_known_keys && !has_limit && require.is_none() {
        let hint = "add `only-from`, `at-most` or `require`";
        reader.report_missing(id.span, "the policy asks for nothing", hint);
    } else if has_known_keys && !has_limit && services.is_some() {
        let hint =
            "what must be open is said in `require`; for a limit add `only-from` or `at-most`";
        reader.report_missing(id.span, "`services` has no meaning here", hint);
    }
    PolicyDef {
        severity,
        only_from,
        at_most,
        require: require.and_then(|value| read_rule(reader, value, RuleKind::Require)),
        selector: table
            .get("match")
            .map(|value| read_selector(reader, value).0),
        why: read_printable(reader, table, "why"),
    }
}

/// A rule with the services and sources of a policy, so that their names are resolved like those of a rule.
pub(super) fn rule_of(
    span: Span,
    allow: Option<Vec<SpannedString>>,
    from: Option<Vec<SpannedString>>,
) -> RuleDef {
    RuleDef {
        allow: allow.unwrap_or_default(),
        from,
        ..empty_rule(span)
    }
}

fn read_at_most(reader: &mut FileReader<'_>, value: &Value<'_>, services: RuleDef) -> AtMost {
    let mut limit = AtMost {
        services,
        ipv4: None,
        ipv6: None,
    };
    let Some(table) = reader.read_table(value, "`at-most`", keys::AT_MOST) else {
        return limit;
    };
    if table.is_empty() {
        let span = reader.span(value);
        let hint = "write `at-most = { ipv4 = \"/16\", ipv6 = \"/48\" }`; a family that is left out has no limit";
        reader.report_missing(span, "`at-most` has no limit", hint);
    }
    (limit.ipv4, limit.ipv6) = read_prefix_lengths(reader, table);
    limit
}

/// Reads the keys `ipv4` and `ipv6` of a table.
pub(super) fn read_prefix_lengths(
    reader: &mut FileReader<'_>,
    table: &DeTable<'_>,
) -> (Option<u8>, Option<u8>) {
    let mut read = |key: &str, longest| {
        let value = table.get(key)?;
        read_prefix_length(reader, value, &format!("`{key}`"), longest)
    };
    (read("ipv4", 32), read("ipv6", 128))
}

/// Reads a prefix length such as `/16`.
fn read_prefix_length(
    reader: &mut FileReader<'_>,
    value: &Value<'_>,
    subject: &str,
    longest: u8,
) -> Option<u8> {
    let SpannedString { text, span } = reader.read_string(value, subject)?;
    let digits = text.strip_prefix('/');
    let length = digits.and_then(|digits| source_expr::parse_prefix_length(digits, longest));
    if length.is_some() {
        return length;
    }
    let message = format!("{subject} cannot be {}", quote(&text));
    reader
        .error(Code::InvalidValue, span, message)
        .hint(format!(
            "write a prefix length from \"/0\" to \"/{longest}\": as many addresses as such a network holds"
        ));
    None
}
