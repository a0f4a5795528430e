//! Reader of `[guard]`: the limits of what one run may change.
//!
//! Owns the keys of the table. Does not know the default limits; the model does.

use toml::de::DeValue;

use super::super::definitions::GuardDef;
use super::super::keys;
use super::super::tree::{FileReader, Value};
use super::rules::{RuleKind, read_rules};
use crate::model::Code;

pub(super) fn read(reader: &mut FileReader<'_>, value: &Value<'_>) -> GuardDef {
    let mut guard = GuardDef::default();
    let Some(table) = reader.read_table(value, "`[guard]`", keys::GUARD) else {
        return guard;
    };
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "keep" => guard.keep = read_rules(reader, value, "`keep`", RuleKind::Keep),
            "max-instances" => guard.max_instances = read_count(reader, value, "`max-instances`"),
            "max-closed" => guard.max_closed = read_count(reader, value, "`max-closed`"),
            _ => {}
        }
    }
    guard
}

/// Reads a number that is 0 or more.
fn read_count(reader: &mut FileReader<'_>, value: &Value<'_>, subject: &str) -> Option<usize> {
    let DeValue::Integer(number) = value.get_ref() else {
        return reader.report_wrong_type(value, subject, "an integer");
    };
    let count = i64::from_str_radix(number.as_str(), number.radix());
    if let Some(count) = count.ok().and_then(|count| usize::try_from(count).ok()) {
        return Some(count);
    }
    let message = format!("{subject} must be 0 or more, found {number}");
    reader
        .error(Code::InvalidValue, reader.span(value), message)
        .hint("write how many one run may change; without the key the default holds");
    None
}
