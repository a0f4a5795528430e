//! `[guard]`: how much a run may change.
//!
//! Owns its keys. Does not know what the limits are when nothing is said; the model does.

use toml::de::DeValue;

use super::super::definitions::GuardDef;
use super::super::keys;
use super::super::tree::{Cx, Value};
use super::rules::{Kind, rules};
use crate::model::Code;

pub(super) fn read(cx: &mut Cx<'_>, value: &Value<'_>) -> GuardDef {
    let mut guard = GuardDef::default();
    let Some(table) = cx.table(value, "`[guard]`", keys::GUARD) else {
        return guard;
    };
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "keep" => guard.keep = rules(cx, value, "`keep`", Kind::Kept),
            "max-instances" => guard.max_instances = number(cx, value, "`max-instances`"),
            "max-closed" => guard.max_closed = number(cx, value, "`max-closed`"),
            _ => {}
        }
    }
    guard
}

/// A number of things: 0 or more.
fn number(cx: &mut Cx<'_>, value: &Value<'_>, subject: &str) -> Option<usize> {
    let DeValue::Integer(number) = value.get_ref() else {
        return cx.wrong_type(value, subject, "an integer");
    };
    let read = i64::from_str_radix(number.as_str(), number.radix())
        .ok()
        .and_then(|number| usize::try_from(number).ok());
    if let Some(number) = read {
        return Some(number);
    }
    let span = cx.span(value);
    cx.report
        .error(
            Code::InvalidValue,
            span,
            format!("{subject} must be 0 or more, found {number}"),
        )
        .hint("write how many one run may change; without the key the default holds");
    None
}
