//! What a firewall lets in as far as it can be told: for certain, possibly, or not at all.
//!
//! Owns how far a doubt goes. An entry that cannot be read lets nobody in for certain. It may let in whom it names, or
//! everybody where that cannot be read, to its own protocol and ports, or to every cell where these cannot be read.
//! Does not decide what follows from a doubt.

use super::Effective;
use crate::model::{Family, Firewall, Key, LiveFirewall, PortState, Sources};

/// What a firewall lets in, in three answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Who gets in for certain.
    pub certain: Effective,
    /// Who gets in at most: those, and whoever a doubtful entry may let in.
    pub possible: Effective,
    /// The family over which the browser client comes.
    pub family: Family,
}

/// A live entry that cannot be read for certain, and the most that it may be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Doubtful {
    /// The entry as the service spells it, such as `tcp 22-22`.
    pub entry: String,
    /// What is doubtful about it, as a sentence fragment.
    pub why: String,
    /// What it may open.
    pub key: Key,
    /// To whom.
    pub sources: Sources,
}

impl Doubtful {
    /// Every doubtful entry of a live firewall.
    pub fn all(live: &LiveFirewall) -> Vec<Self> {
        let uncertain = live.uncertain().iter().map(|uncertain| {
            let why = uncertain.doubt.to_string();
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

    /// What it may let in.
    pub fn effective(&self, family: Family) -> Effective {
        Effective::of_rules([(&self.key, &self.sources)], family)
    }
}

impl Reach {
    /// What a firewall without doubt lets in.
    pub fn of(firewall: &Firewall, family: Family) -> Self {
        Self::of_certain(Effective::of(firewall, family), family)
    }

    /// Just this access, without doubt.
    pub fn of_certain(certain: Effective, family: Family) -> Self {
        Self {
            possible: certain.clone(),
            certain,
            family,
        }
    }

    /// What a live firewall lets in.
    pub fn of_live(live: &LiveFirewall, family: Family) -> Self {
        Self::with_doubts(live.firewall(), &Doubtful::all(live), family)
    }

    /// What a firewall lets in beside which there are doubtful entries.
    pub fn with_doubts(firewall: &Firewall, doubts: &[Doubtful], family: Family) -> Self {
        if doubts.is_empty() {
            return Self::of(firewall, family);
        }
        let doubtful = doubts.iter().map(|doubt| (&doubt.key, &doubt.sources));
        Self {
            certain: Effective::of(firewall, family),
            possible: Effective::of_rules(firewall.iter().chain(doubtful), family),
            family,
        }
    }

    /// Who may get in and does not for certain.
    pub fn doubt(&self) -> Effective {
        if self.certain == self.possible {
            Effective::default()
        } else {
            self.possible.difference(&self.certain)
        }
    }
}

#[cfg(test)]
mod tests;
