//! Counts calls and their results.
//!
//! Owns the counters. Does not evaluate them.

use std::collections::BTreeMap;

use super::Kind;

/// Calls by action, such as `GetInstances`. Each attempt counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<&'static str, Answers>);

/// The results of the calls of one action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Successful calls.
    pub answered: u64,
    /// Throttled calls.
    pub throttled: u64,
    /// Calls that failed in any other way.
    pub failed: u64,
}

impl Tally {
    /// Counts a call.
    pub fn count(&mut self, action: &'static str, error: Option<Kind>) {
        let answers = self.0.entry(action).or_default();
        let counter = match error {
            None => &mut answers.answered,
            Some(Kind::Throttled) => &mut answers.throttled,
            Some(_) => &mut answers.failed,
        };
        *counter = counter.saturating_add(1);
    }

    /// Adds the counts of another connection.
    pub fn add(&mut self, other: &Self) {
        for (action, theirs) in other.iter() {
            let ours = self.0.entry(action).or_default();
            ours.answered = ours.answered.saturating_add(theirs.answered);
            ours.throttled = ours.throttled.saturating_add(theirs.throttled);
            ours.failed = ours.failed.saturating_add(theirs.failed);
        }
    }

    /// Every action that was called, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, Answers)> {
        self.0.iter().map(|(action, answers)| (*action, *answers))
    }

    /// All calls together.
    pub fn total(&self) -> u64 {
        self.0.values().map(Answers::total).sum()
    }
}

impl Answers {
    /// All calls of the action.
    pub fn total(&self) -> u64 {
        self.answered
            .saturating_add(self.throttled)
            .saturating_add(self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tally_counts_every_attempt() {
        let mut tally = Tally::default();
        tally.count("GetInstances", Some(Kind::Throttled));
        tally.count("GetInstances", None);
        tally.count("GetInstance", Some(Kind::Timeout));
        let mut both = tally.clone();
        both.add(&tally);
        let all: Vec<_> = both.iter().collect();
        let answers = |answered, throttled, failed| Answers {
            answered,
            throttled,
            failed,
        };
        assert_eq!(
            all,
            [
                ("GetInstance", answers(0, 0, 2)),
                ("GetInstances", answers(2, 2, 0))
            ]
        );
        assert_eq!((tally.total(), both.total()), (3, 6));
    }
}
