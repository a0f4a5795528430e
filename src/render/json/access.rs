//! A comparison as JSON: `{"instances": [{"name", "region", "equal", "gained", "lost"}]}`, with `"account"` where there are
//! several, `"undeclared"` (`"old"` or `"new"`) where the configuration on that side does not declare an instance that
//! exists, and no member more.
//!
//! Owns that shape. Refuses to say why something differs; the text does.

use serde::Serialize;

use super::fill::exposed;
use super::shape::BoxDoc;
use crate::exposure::{Compared, Which};

#[derive(Serialize)]
struct ComparisonDoc<'a> {
    instances: Vec<InstanceDoc<'a>>,
}

#[derive(Serialize)]
struct InstanceDoc<'a> {
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    region: Option<&'a str>,
    equal: bool,
    gained: Vec<BoxDoc>,
    lost: Vec<BoxDoc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    undeclared: Option<&'static str>,
}

/// The document, indented, with a final newline. A name or a region that is not known is `null`.
///
/// # Panics
/// Never: the shape has no map with keys that are not strings.
#[must_use]
pub fn comparison(all: &[Compared]) -> String {
    let instances = all
        .iter()
        .map(|compared| {
            let id = compared.id.as_ref();
            InstanceDoc {
                name: id.map(|id| id.name.as_str()),
                account: id.and_then(|id| id.account.as_deref()),
                region: id.map(|id| id.region.as_str()).filter(|r| !r.is_empty()),
                equal: compared.diff.is_empty(),
                gained: compared.diff.gained.iter().map(exposed).collect(),
                lost: compared.diff.lost.iter().map(exposed).collect(),
                undeclared: compared.undeclared.map(Which::as_str),
            }
        })
        .collect();
    let mut text = serde_json::to_string_pretty(&ComparisonDoc { instances })
        .expect("strings and numbers are always JSON");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
