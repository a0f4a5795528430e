//! A comparison as JSON: `{"instances": [{"name", "region", "equal", "gained", "lost"}]}`, with `"account"` where there are
//! several, `"undeclared"` (`"old"` or `"new"`) where the configuration on that side does not declare an instance that
//! exists, `"doubts"` where entries cannot be read for certain, `"every"` where it is about every instance that this
//! describes rather than about one with a name, `"condition"` where it holds only if this is true of the instance,
//! `"undecided"` where something else could not be decided, and no member more. With doubts, or where something is not
//! decided, `"equal"` is `null`.
//!
//! A box that names the whole family of the browser client includes it, but where it got in on the other side already.
//!
//! Owns that shape. Does not say why something differs; the text does.

use serde::Serialize;

use crate::exposure::{Compared, ComparedDocument, ComparisonSubject, Doubtful, Exposed};
use crate::render::formats::to_json;

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(in crate::render) struct ComparisonDoc<'a> {
    instances: Vec<InstanceDoc<'a>>,
    /// The difference of what may be granted for a time; left out if there is none.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    grants: &'a [String],
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct InstanceDoc<'a> {
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    region: Option<&'a str>,
    equal: Option<bool>,
    gained: &'a [Exposed],
    lost: &'a [Exposed],
    #[serde(skip_serializing_if = "Option::is_none")]
    undeclared: Option<ComparedDocument>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    doubts: Vec<DoubtDoc<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    every: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    undecided: &'a [String],
}

/// An entry that cannot be read for certain, and what it may let in besides.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct DoubtDoc<'a> {
    side: ComparedDocument,
    entry: &'a str,
    reason: &'a str,
    access: Vec<Exposed>,
}

/// The document, indented, with a final newline. A name or a region that is not known is `null`.
pub(crate) fn comparison(all: &[Compared], grants: &[String]) -> String {
    let instances = all
        .iter()
        .map(|compared| {
            let id = compared.subject.id();
            let every = match &compared.subject {
                ComparisonSubject::Every(instances) => Some(instances.as_str()),
                ComparisonSubject::Unnamed | ComparisonSubject::Instance(_) => None,
            };
            InstanceDoc {
                name: id.map(|id| id.name.as_str()),
                account: id.and_then(|id| id.account.as_deref()),
                region: id.map(|id| id.region.as_str()).filter(|r| !r.is_empty()),
                equal: compared.direction().map(|_| compared.is_equal()),
                gained: &compared.diff.gained,
                lost: &compared.diff.lost,
                undeclared: compared.undeclared,
                doubts: compared
                    .doubts()
                    .map(|(which, doubt)| self::doubt(which, doubt, compared))
                    .collect(),
                every,
                condition: compared.condition.as_deref(),
                undecided: &compared.undecided,
            }
        })
        .collect();
    to_json(&ComparisonDoc { instances, grants })
}

fn doubt<'a>(which: ComparedDocument, doubt: &'a Doubtful, compared: &Compared) -> DoubtDoc<'a> {
    let side = match which {
        ComparedDocument::Old => &compared.before,
        ComparedDocument::New => &compared.after,
    };
    let family = side.reach.family;
    DoubtDoc {
        side: which,
        entry: &doubt.entry,
        reason: &doubt.why,
        access: doubt.effective(family).boxes(family),
    }
}

#[cfg(test)]
mod tests;
