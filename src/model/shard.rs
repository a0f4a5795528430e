//! One of several parts of a fleet, for processes that share the work.
//!
//! Owns the assignment of instances to shards. It never changes, because reports and plans of other versions name the same
//! shards. Does not know what the run of a shard may do.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::InstanceId;

/// Shard `index` of `of`, counted from 1. Displays as `3/8`.
///
/// An instance belongs to the shard whose index is one more than the remainder, on division by `of`, of the first eight
/// bytes (most significant first) of the SHA-256 of the text `region/name`, or `account/region/name` where the
/// configuration names accounts. So every instance belongs to exactly one, whatever else exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "Unchecked")]
pub struct Shard {
    #[cfg_attr(test, schemars(range(min = 1, max = 1000)))]
    index: u16,
    #[cfg_attr(test, schemars(range(min = 1, max = 1000)))]
    of: u16,
}

/// A shard as it is read.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Unchecked {
    index: u16,
    of: u16,
}

impl TryFrom<Unchecked> for Shard {
    type Error = String;

    fn try_from(Unchecked { index, of }: Unchecked) -> Result<Self, String> {
        Self::new(index, of).ok_or_else(|| format!("there is no shard {index}/{of}"))
    }
}

/// The text is not a valid shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected K/N, such as 3/8: shard K of N, counted from 1, and N at most {}",
    Shard::MAX
)]
pub struct ShardError;

impl Shard {
    /// The most shards there may be: more would each have less than one call in a hundred seconds.
    pub const MAX: u16 = 1000;

    /// Shard `index` of `of`; `None` if `index` is not within `1..=of`, or `of` is above [`MAX`](Self::MAX).
    pub fn new(index: u16, of: u16) -> Option<Self> {
        (1..=of)
            .contains(&index)
            .then_some(Self { index, of })
            .filter(|shard| shard.of <= Self::MAX)
    }

    /// The number of this shard, from 1.
    pub fn index(self) -> u16 {
        self.index
    }

    /// The number of shards.
    pub fn of(self) -> u16 {
        self.of
    }

    /// Whether an instance belongs to this shard.
    pub fn holds(self, id: &InstanceId) -> bool {
        self.holds_name(&id.to_string())
    }

    /// Whether an instance belongs to this shard of which only the full name is known, such as one that does not exist.
    pub fn holds_name(self, text: &str) -> bool {
        let hash = Sha256::digest(text);
        let number = hash
            .iter()
            .take(8)
            .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        number % u64::from(self.of) == u64::from(self.index - 1)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let (index, of) = text.split_once('/').ok_or(ShardError)?;
        let number = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| digits)
        };
        let (index, of) = number(index).zip(number(of)).ok_or(ShardError)?;
        Self::new(index, of).ok_or(ShardError)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(account: Option<&str>, region: &str, name: &str) -> InstanceId {
        InstanceId {
            account: account.map(str::to_owned),
            region: region.to_owned(),
            name: name.to_owned(),
        }
    }

    fn index(id: &InstanceId, of: u16) -> Vec<u16> {
        let shards = (1..=of).filter_map(|index| Shard::new(index, of));
        shards
            .filter(|shard| shard.holds(id))
            .map(Shard::index)
            .collect()
    }

    /// A plan or a report of one version must be usable by another.
    #[test]
    fn shard_assignment_is_stable() {
        for (account, region, name, eighth, third) in [
            (None, "eu-central-1", "web-1", 1, 2),
            (None, "eu-central-1", "web-2", 3, 1),
            (None, "us-east-1", "db-1", 6, 3),
            (Some("prod"), "eu-central-1", "web-1", 1, 1),
        ] {
            let id = id(account, region, name);
            assert_eq!(
                (index(&id, 8), index(&id, 3)),
                (vec![eighth], vec![third]),
                "{id}"
            );
        }
    }

    #[test]
    fn instances_are_spread_evenly_over_shards() {
        let mut sizes = [0; 8];
        for n in 0..1000 {
            let index = index(&id(None, "eu-central-1", &format!("web-{n}")), 8)[0];
            sizes[usize::from(index - 1)] += 1;
        }
        assert!(
            sizes.iter().all(|size| (90..=160).contains(size)),
            "{sizes:?}"
        );
    }

    #[test]
    fn invalid_shard_is_refused() {
        for text in [
            "", "3", "0/8", "9/8", "1/0", "+1/8", "1/+8", "1/8 ", "1/1001", "1/99999", "-1/8",
            "1/8/2",
        ] {
            assert_eq!(text.parse::<Shard>(), Err(ShardError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_instance_belongs_to_exactly_one_shard(name in "[a-z0-9-]{1,12}", of in 1_u16..40) {
            prop_assert_eq!(index(&id(None, "eu-west-1", &name), of).len(), 1);
        }

        #[test]
        fn shard_survives_a_text_round_trip(of in 1_u16..=1000, at in any::<u16>()) {
            let shard = Shard::new(at % of + 1, of).expect("a shard");
            prop_assert_eq!(shard.to_string().parse(), Ok(shard));
        }
    }
}
