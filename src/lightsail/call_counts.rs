//! Counts of API calls by action and result.

use std::collections::BTreeMap;

use super::ErrorKind;

/// Calls by action, such as `GetInstances`. Each attempt counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CallCounts(BTreeMap<&'static str, ActionCounts>);

/// The calls of one action by result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ActionCounts {
    /// Successful calls.
    pub answered: u64,
    /// Throttled calls.
    pub throttled: u64,
    /// Calls that failed in any other way.
    pub failed: u64,
}

impl CallCounts {
    pub(crate) fn count(&mut self, action: &'static str, error: Option<ErrorKind>) {
        let counts = self.0.entry(action).or_default();
        match error {
            None => counts.answered += 1,
            Some(ErrorKind::Throttled) => counts.throttled += 1,
            Some(_) => counts.failed += 1,
        }
    }

    /// Adds the counts of another connection.
    pub(crate) fn add(&mut self, other: &Self) {
        for (action, added) in other.iter() {
            let counts = self.0.entry(action).or_default();
            counts.answered += added.answered;
            counts.throttled += added.throttled;
            counts.failed += added.failed;
        }
    }

    /// Every action that was called, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, ActionCounts)> {
        self.0.iter().map(|(action, counts)| (*action, *counts))
    }
}

impl ActionCounts {
    /// All calls of the action.
    pub(crate) fn total(&self) -> u64 {
        self.answered + self.throttled + self.failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attempt_is_counted() {
        let mut counts = CallCounts::default();
        counts.count("GetInstances", Some(ErrorKind::Throttled));
        counts.count("GetInstances", None);
        counts.count("GetInstance", Some(ErrorKind::Timeout));
        let mut sum = counts.clone();
        sum.add(&counts);
        let all: Vec<_> = sum
            .iter()
            .map(|(action, counts)| (action, counts.answered, counts.throttled, counts.total()))
            .collect();
        assert_eq!(all, [("GetInstance", 0, 0, 2), ("GetInstances", 2, 2, 4)]);
    }
}
