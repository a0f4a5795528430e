//! Certain and possible access of a firewall.
//!
//! Owns the bounds of doubt. An uncertain entry lets in nobody for certain. It may let in the sources that it names, or everyone if
//! they cannot be parsed, to the ports that it names, or to every cell if they cannot be parsed. Does not decide what follows from
//! doubt.

use super::Effective;
use crate::model::{Family, Firewall, Key, LiveFirewall, PortState, Sources};

/// The access of a firewall: certain, possible, or, outside of both, impossible.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// The access that is certain.
    pub certain: Effective,
    /// The access at most: the certain access, and all that a doubtful entry may give.
    pub possible: Effective,
    /// The family over which the browser client reaches the instance.
    pub family: Family,
}

/// A live entry whose meaning is uncertain, with the most access that it may give.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Doubtful {
    /// The entry as the service spells it, such as `tcp 22-22`.
    pub entry: String,
    /// Why it is uncertain, as a sentence fragment.
    pub why: String,
    /// The protocol and ports that it may open.
    pub key: Key,
    /// The sources that it may let in.
    pub sources: Sources,
}

impl Doubtful {
    /// Every doubtful entry of a live firewall.
    pub fn all(live: &LiveFirewall) -> Vec<Self> {
        let uncertain = live.uncertain().iter().map(|uncertain| {
            let why = uncertain.doubt.clone();
            Self::new(&uncertain.entry, why, uncertain.key)
        });
        let unknown = live.unknown().iter().map(|entry| {
            let why = format!("the protocol `{}` is not known", entry.protocol);
            Self::new(entry, why, None)
        });
        uncertain.chain(unknown).collect()
    }

    fn new(entry: &PortState, why: String, key: Option<Key>) -> Self {
        let sources = entry.sources().unwrap_or_else(|| {
            let mut everybody = Sources::anywhere();
            for alias in &entry.cidr_list_aliases {
                everybody.insert_alias(alias);
            }
            everybody
        });
        Self {
            entry: entry.to_string(),
            why,
            key: key.unwrap_or(Key::ALL),
            sources,
        }
    }

    /// The access that it may give.
    pub fn effective(&self, family: Family) -> Effective {
        Effective::of_rules([(&self.key, &self.sources)], family)
    }
}

impl Reach {
    /// Certain access only.
    pub fn of_certain(certain: Effective, family: Family) -> Self {
        Self {
            possible: certain.clone(),
            certain,
            family,
        }
    }

    /// The access of a live firewall.
    pub fn of_live(live: &LiveFirewall, family: Family) -> Self {
        Self::with_doubts(live.firewall(), &Doubtful::all(live), family)
    }

    /// The access of a firewall with doubtful entries.
    pub fn with_doubts(firewall: &Firewall, doubts: &[Doubtful], family: Family) -> Self {
        let certain = Effective::of(firewall, family);
        if doubts.is_empty() {
            return Self::of_certain(certain, family);
        }
        let doubtful = doubts.iter().map(|doubt| (&doubt.key, &doubt.sources));
        Self {
            possible: Effective::of_rules(firewall.iter().chain(doubtful), family),
            certain,
            family,
        }
    }

    /// The access that is possible and not certain.
    pub fn doubt(&self) -> Effective {
        self.possible.difference(&self.certain)
    }
}

#[cfg(test)]
mod tests;
