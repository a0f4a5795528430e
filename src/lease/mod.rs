//! Leases: access that is granted for a time, and that a tag of the instance remembers.
//!
//! **Owns** what a lease says, how it is written into the value of a tag (`tag`), and what `[grants]` permits (`permit`). A
//! lease opens nothing by itself: it is a rule with an end, and whoever plans treats it as one. What cannot be read grants
//! nothing, and is named. **Does not** know a clock and the service: the time is passed in, and whoever writes tags does so
//! elsewhere.

mod permit;
mod tag;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::model::{Declaration, Key, Origin, Rule, Sources, instant};

pub use permit::{CLOCK_SKEW, Limits, NotPermitted};
pub use tag::{MOST_IN_VALUE, NotALease, TooLong, caller_name};

/// What the keys of tags begin with that whoever may grant may write.
pub const NAMESPACE: &str = "portward:";

/// What the key of a tag begins with that holds a lease; the id follows.
pub const PREFIX: &str = "portward:grant:";

/// The name of a lease: 4 to 16 small letters and digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct LeaseId(String);

impl LeaseId {
    /// The characters of a new id. Those that look alike are left out.
    const LETTERS: &'static [u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

    /// An id of eight characters from forty bits of chance.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        let letter = |place: u32| {
            let five = usize::try_from((bits >> (5 * place)) & 31).unwrap_or_default();
            char::from(Self::LETTERS[five])
        };
        Self((0..8).map(letter).collect())
    }

    /// An id as it is written.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        ((4..=16).contains(&text.len()) && text.chars().all(plain)).then(|| Self(text.to_owned()))
    }

    /// The key of its tag.
    #[must_use]
    pub fn tag_key(&self) -> String {
        format!("{PREFIX}{}", self.0)
    }

    /// The id in what stands for the place of a lease's rule.
    #[must_use]
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
    /// Which one.
    pub id: LeaseId,
    /// The first instant at which it is over; whole seconds.
    #[serde(with = "instant")]
    #[cfg_attr(test, schemars(with = "instant::Instant"))]
    pub until: OffsetDateTime,
    /// What it opens; never empty.
    pub keys: BTreeSet<Key>,
    /// To whom; never empty, and no alias.
    #[serde(flatten)]
    pub sources: Sources,
    /// Who asked for it; `unknown` where that was not known.
    pub by: String,
    /// Why; empty where nothing was said, and cut where it is long.
    pub why: String,
}

impl Lease {
    /// The rules that it stands for, one for each key.
    #[must_use]
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

    /// Whether it was made by this caller, whose name may be longer than a tag takes.
    #[must_use]
    pub fn is_by(&self, caller: &str) -> bool {
        self.by == tag::by_in_tag(caller)
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self, now: OffsetDateTime) -> bool {
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

/// What the tags of an instance say of leases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leases {
    /// Those that can be read, by id.
    pub leases: Vec<Lease>,
    /// The keys of the tags that look like a lease and are none, each with why.
    pub unreadable: Vec<(String, NotALease)>,
}

impl Leases {
    /// Reads the leases among the tags of an instance.
    #[must_use]
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

/// The tags that hold leases, or look so.
pub fn lease_tags(tags: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> {
    let from = tags.range(PREFIX.to_owned()..);
    from.take_while(|(key, _)| key.starts_with(PREFIX))
        .map(|(key, value)| (key.as_str(), value.as_str()))
}

/// A lease of an instance, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Judged {
    /// The key of the tag.
    pub tag: String,
    /// What becomes of it.
    pub state: State,
    /// Why it grants nothing although it is not over, or why its end closes nothing, as a fragment.
    pub reason: Option<String>,
    /// What it says; `null` where the tag cannot be read.
    pub lease: Option<Lease>,
}

/// What becomes of a lease.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::IntoStaticStr,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum State {
    /// Its time is over: what it opened must go.
    Expired,
    /// The tag cannot be read, so it grants nothing.
    Unreadable,
    /// `[grants]` does not permit it, or nothing declares its instance, so it grants nothing.
    NotHonoured,
    /// It counts as declared.
    Live,
}

impl State {
    /// As documents spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Every state, as they are listed.
    pub const ALL: [Self; 4] = [
        Self::Expired,
        Self::Unreadable,
        Self::NotHonoured,
        Self::Live,
    ];
}
