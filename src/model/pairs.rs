//! Lists of what something is about and what is said of it, each pair as one object with the members of both.
//!
//! Owns that form, for `#[serde(with)]`. Does not know what the pairs are.

use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What something is about, and what is said of it.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, schemars(inline, description = "What cannot be read, and why."))]
pub(crate) struct Pair<A, B> {
    #[serde(flatten)]
    about: A,
    #[serde(flatten)]
    said: B,
}

/// For `#[serde(with)]`.
pub(crate) fn serialize<A: Serialize, B: Serialize, S: Serializer>(
    pairs: &impl Deref<Target = [(A, B)]>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(pairs.iter().map(|(about, said)| Pair { about, said }))
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
        .map(|pair| (pair.about, pair.said))
        .collect();
    Ok(pairs.into())
}
