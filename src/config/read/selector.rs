//! Reader of `match` and `expect`.
//!
//! Owns the keys of `match`. Does not match instances; `selector` does.

use toml::de::DeValue;

use super::super::expected_count::ExpectedCount;
use super::super::selector::{Glob, Selector};
use super::super::source::{Span, SpannedString, quote};
use super::super::tree::{FileReader, Value};
use super::super::{keys, names, regions};
use super::rules::check_printable;
use crate::lease::NAMESPACE;
use crate::model::Code;

/// Reads the number of instances that a group is expected to match.
pub(super) fn read_expect(
    reader: &mut FileReader<'_>,
    value: &Value<'_>,
) -> Option<(ExpectedCount, Span)> {
    let span = reader.span(value);
    let text = match value.get_ref() {
        DeValue::String(text) => text.clone().into_owned(),
        DeValue::Integer(number) => number.to_string(),
        _ => {
            let wanted = "a number or a range such as \"1..200\"";
            return reader.report_wrong_type(value, "`expect`", wanted);
        }
    };
    let Some(expect) = ExpectedCount::parse(&text) else {
        let message = format!("`expect` cannot be {}", quote(&text));
        reader
            .error(Code::InvalidValue, span, message)
            .hint("write a number as in \"3\", or a range as in \"1..200\" or \"1..\"");
        return None;
    };
    Some((expect, span))
}

/// Reads the conditions of a group or a policy. Also returns the span of the first region that is a pattern.
pub(super) fn read_selector(
    reader: &mut FileReader<'_>,
    value: &Value<'_>,
) -> (Selector, Option<Span>) {
    let mut selector = Selector::default();
    let mut region_glob = None;
    let Some(table) = reader.read_table(value, "`match`", keys::MATCH) else {
        return (selector, region_glob);
    };
    if table.is_empty() {
        let hint = "to take every instance, write `match = { name = \"*\" }`";
        reader.report_missing(reader.span(value), "`match` has no condition", hint);
    }
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "name" => {
                for (glob, text) in globs(reader, value, "`name`") {
                    if let Some(Err(hint)) = glob.literal().map(names::validate_instance) {
                        let message =
                            format!("{} cannot be the name of an instance", quote(&text.text));
                        reader
                            .error(Code::InvalidName, text.span, message)
                            .hint(hint);
                    }
                    selector.names.push(glob);
                }
            }
            "account" => {
                let globs = globs(reader, value, "`account`").into_iter();
                (selector.accounts, selector.account_spans) =
                    globs.map(|(glob, text)| (glob, text.span)).unzip();
            }
            "region" => {
                for (glob, text) in globs(reader, value, "`region`") {
                    match glob.literal() {
                        Some(region) if !regions::check(reader.report, region, text.span) => {
                            continue;
                        }
                        Some(_) => {}
                        None => region_glob = region_glob.or(Some(text.span)),
                    }
                    selector.regions.push(glob);
                }
            }
            "tags" => {
                let Some(tags) = reader.read_any_table(value, "`tags`") else {
                    continue;
                };
                for (key, value) in tags {
                    let span = reader.span(key);
                    check_printable(reader, key.get_ref(), span, "the key of a tag");
                    if key.get_ref().starts_with(NAMESPACE) {
                        let message = format!(
                            "{} cannot be matched: whoever may grant access for a time may write tags whose keys begin with `{NAMESPACE}`",
                            quote(key.get_ref())
                        );
                        reader.error(Code::InvalidName, span, message).hint(
                            "match a tag that nobody writes who may only grant, such as `role`",
                        );
                    }
                    let values = globs(reader, value, &format!("tag {}", quote(key.get_ref())));
                    let values = values.into_iter().map(|(glob, _)| glob).collect();
                    let key = key.get_ref().clone().into_owned();
                    selector.tags.push((key, values));
                }
            }
            _ => {}
        }
    }
    (selector, region_glob)
}

fn globs(
    reader: &mut FileReader<'_>,
    value: &Value<'_>,
    subject: &str,
) -> Vec<(Glob, SpannedString)> {
    let hint = "name a value, or a pattern such as \"web-*\"";
    let mut globs = Vec::new();
    for text in reader.read_nonempty_strings(value, subject, hint) {
        if !check_printable(reader, &text.text, text.span, subject) {
            continue;
        }
        match Glob::new(&text.text) {
            Ok(glob) => globs.push((glob, text)),
            Err(error) => {
                let message = format!("{} is not a valid pattern: {error}", quote(&text.text));
                reader
                    .error(Code::InvalidValue, text.span, message)
                    .hint("`*` is any text, `?` one character, `[ab]` one of these");
            }
        }
    }
    globs
}
