//! Leases: access granted until an instant, and recorded in a tag of the instance.
//!
//! **Owns** the lease, its encoding as the value of a tag (`tag`), and what `[grants]` permits (`permit`). A lease opens
//! nothing by itself: it is a rule with an end, and the planner treats it as one. A tag that cannot be decoded grants
//! nothing, and is named. **Does not** read a clock or call the service: the time is passed in, and `apply::leases` writes the
//! tags.

mod permit;
mod tag;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use strum::{IntoStaticStr, VariantArray};
use time::OffsetDateTime;

use crate::model::{Declaration, Key, Origin, Rule, Sources, instant};

pub use permit::{CLOCK_SKEW, GrantLimits, NotPermitted};
pub use tag::{LeaseSizeError, LeaseTagError, MAX_VALUE_CHARS, caller_name};

/// The prefix of the tag keys that the IAM policy for granting allows to write.
pub const NAMESPACE: &str = "portward:";

/// The prefix of the tag key of a lease; its id follows.
pub const PREFIX: &str = "portward:grant:";

/// The name of a lease: 4 to 16 lower-case letters and digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct LeaseId(String);

impl LeaseId {
    /// The characters of a new id. Those that look alike are left out.
    const LETTERS: &'static [u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

    /// An id of eight characters from the lowest forty of these random bits.
    pub fn from_bits(bits: u64) -> Self {
        let letter = |place: u32| {
            let five = usize::try_from((bits >> (5 * place)) & 31).unwrap_or_default();
            char::from(Self::LETTERS[five])
        };
        Self((0..8).map(letter).collect())
    }

    /// Parses an id.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        ((4..=16).contains(&text.len()) && text.chars().all(plain)).then(|| Self(text.to_owned()))
    }

    /// The key of its tag.
    pub fn tag_key(&self) -> String {
        format!("{PREFIX}{}", self.0)
    }

    /// The lease that a rule comes from, by the rule's origin; `None` for a rule of a file.
    pub fn of_origin(origin: &Origin) -> Option<Self> {
        Self::parse(origin.tag()?.strip_prefix(PREFIX)?)
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Access for a time. Two people's leases of the same access are two leases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// Unique on the instance.
    pub id: LeaseId,
    /// The first instant at which it is expired; whole seconds.
    #[serde(with = "instant")]
    #[cfg_attr(test, schemars(with = "instant::Instant"))]
    pub until: OffsetDateTime,
    /// The ports that it opens; never empty.
    pub keys: BTreeSet<Key>,
    /// The addresses and networks that it lets in; never empty, and no alias.
    #[serde(flatten)]
    pub sources: Sources,
    /// The caller that asked for it, by [`caller_name`]; `unknown` where STS did not say.
    pub by: String,
    /// The reason; empty where none was given, and cut to what fits into the tag.
    pub why: String,
}

impl Lease {
    /// The rules that it declares, one for each key.
    pub fn rules(&self) -> Vec<Rule> {
        let from: Arc<[String]> = self
            .sources
            .cidrs()
            .chain(self.sources.ipv6_cidrs())
            .collect();
        let rule = |key: &Key| Rule {
            key: *key,
            sources: self.sources.clone(),
            declared: Arc::new(Declaration {
                allow: key.to_string().into(),
                from: Arc::clone(&from),
                origin: Origin::of_tag(self.id.tag_key()),
                why: Some(self.why.clone()).filter(|why| !why.is_empty()),
                owner: Some(self.by.clone()),
                until: Some(self.until),
            }),
        };
        self.keys.iter().map(rule).collect()
    }

    /// Whether this caller asked for it, whose name may have been cut to fit into the tag.
    pub fn is_by(&self, caller: &str) -> bool {
        self.by == tag::by_in_tag(caller)
    }

    /// Whether its end has come.
    pub fn is_expired(&self, now: OffsetDateTime) -> bool {
        self.until <= now
    }
}

/// `tcp/22 from 203.0.113.7/32`.
impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<String> = self.keys.iter().map(ToString::to_string).collect();
        write!(f, "{} from {}", keys.join(", "), self.sources)
    }
}

/// The leases among the tags of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leases {
    /// Those that can be decoded, in the order of their ids.
    pub leases: Vec<Lease>,
    /// The keys of tags under [`PREFIX`] that cannot be decoded, each with the reason.
    pub unreadable: Vec<(String, LeaseTagError)>,
}

impl Leases {
    /// Decodes every tag under [`PREFIX`].
    pub fn of(tags: &BTreeMap<String, String>) -> Self {
        let mut found = Self::default();
        for (key, value) in lease_tags(tags) {
            match tag::decode(key, value) {
                Ok(lease) => found.leases.push(lease),
                Err(why) => found.unreadable.push((key.to_owned(), why)),
            }
        }
        found
    }
}

/// The tags under [`PREFIX`], whether or not they can be decoded.
pub fn lease_tags(tags: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    let from = tags.range(PREFIX.to_owned()..);
    from.take_while(|(key, _)| key.starts_with(PREFIX))
        .map(|(key, value)| (key.as_str(), value.as_str()))
}

/// A lease of an instance, judged by the configuration and the time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Judged {
    /// The key of the tag.
    pub tag: String,
    /// Whether it grants access.
    pub state: LeaseState,
    /// Why it grants nothing although it is not expired, or why its end closes nothing, as a fragment.
    pub reason: Option<String>,
    /// The lease; `null` where the tag cannot be decoded.
    pub lease: Option<Lease>,
}

/// Whether a lease grants access.
// In the order in which grants are listed.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, IntoStaticStr, VariantArray,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum LeaseState {
    /// Its end has come: what it opened is to be closed.
    Expired,
    /// The tag cannot be read, so it grants nothing.
    Unreadable,
    /// `[grants]` does not permit it, or nothing declares its instance, so it grants nothing.
    NotHonoured,
    /// It counts as declared.
    Live,
}

impl LeaseState {
    /// The spelling of documents.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
