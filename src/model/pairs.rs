//! Lists of pairs in JSON, each pair as one object with the members of both.
//!
//! Owns this form, for `#[serde(with)]`. Does not know the types of the pairs.

use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A subject with details about it.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, schemars(inline, description = "What cannot be read, and why."))]
pub(crate) struct Pair<A, B> {
    #[serde(flatten)]
    subject: A,
    #[serde(flatten)]
    details: B,
}

/// For `#[serde(with)]`.
pub(crate) fn serialize<A: Serialize, B: Serialize, S: Serializer>(
    pairs: &impl Deref<Target = [(A, B)]>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let pairs = pairs.iter();
    serializer.collect_seq(pairs.map(|(subject, details)| Pair { subject, details }))
}

/// For `#[serde(with)]`.
pub(crate) fn deserialize<'de, A, B, L, D>(deserializer: D) -> Result<L, D::Error>
where
    A: Deserialize<'de>,
    B: Deserialize<'de>,
    L: From<Vec<(A, B)>>,
    D: Deserializer<'de>,
{
    let pairs = Vec::<Pair<A, B>>::deserialize(deserializer)?;
    let pairs: Vec<(A, B)> = pairs
        .into_iter()
        .map(|pair| (pair.subject, pair.details))
        .collect();
    Ok(pairs.into())
}
