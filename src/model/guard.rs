//! How much a single run may change before somebody has to say that it is meant.
//!
//! Owns the limits and their defaults. Does not judge a plan by them; `policy` does.

use serde::{Deserialize, Serialize};

use super::{Rule, Shard};

/// The share of the declared instances that may change in one run where the configuration names no number: a fifth, so
/// that a mistake in a shared ruleset is stopped and everyday work is not.
const SHARE: usize = 5;

/// A share of a small fleet would stop everything; this many instances may always change.
const AT_LEAST: usize = 5;

/// Rules that may be closed in one run where the configuration names no number: more than a person reads line by line.
const MAX_CLOSED: usize = 25;

/// `[guard]`, resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Guard {
    /// Access that no change may take from those who have it.
    pub keep: Vec<Rule>,
    /// The most instances that one run may change; `None` is a share of the whole scope.
    pub max_instances: Option<usize>,
    /// The most rules that one run may close.
    pub max_closed: usize,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            keep: Vec::new(),
            max_instances: None,
            max_closed: MAX_CLOSED,
        }
    }
}

impl Guard {
    /// The most instances that one run may change where `scope` of them are declared: what the configuration says, or
    /// a fifth of them, rounded down, and at least five.
    pub fn most_instances(&self, scope: usize) -> usize {
        self.max_instances
            .unwrap_or_else(|| (scope / SHARE).max(AT_LEAST))
    }

    /// The limits for one shard of a scope in which `scope` instances are declared: its part of what the whole may change.
    /// The parts add up to the whole, since no shard sees what the others change; what does not divide goes to the first.
    pub fn part(&self, scope: usize, shard: Shard) -> Self {
        let (index, of) = (usize::from(shard.index()), usize::from(shard.of()));
        let part = |whole: usize| whole / of + usize::from(index <= whole % of);
        Self {
            keep: self.keep.clone(),
            max_instances: Some(part(self.most_instances(scope))),
            max_closed: part(self.max_closed),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn without_a_number_it_is_a_fifth_and_at_least_five() {
        let guard = Guard::default();
        for (scope, most) in [(0, 5), (1, 5), (25, 5), (29, 5), (30, 6), (1000, 200)] {
            assert_eq!(guard.most_instances(scope), most, "{scope}");
        }
        let none = Guard {
            max_instances: Some(0),
            ..guard
        };
        assert_eq!(none.most_instances(1000), 0);
    }

    #[test]
    fn parts_differ_by_one_at_most() {
        let part = |guard: &Guard, scope, index, of| {
            let shard = Shard::new(index, of).expect("a shard");
            let part = guard.part(scope, shard);
            (part.max_instances, part.max_closed)
        };
        let usual = Guard::default();
        assert_eq!(part(&usual, 1000, 1, 8), (Some(25), 4));
        assert_eq!(part(&usual, 1000, 8, 8), (Some(25), 3));
        assert_eq!(part(&usual, 3, 5, 8), (Some(1), 3));
        assert_eq!(part(&usual, 3, 6, 8), (Some(0), 3));
        assert_eq!(part(&usual, 30, 1, 1), (Some(6), MAX_CLOSED));
    }

    proptest! {
        #[test]
        fn all_shards_together_have_the_limit_of_one_run(
            max_instances in prop::option::of(0..2_000_usize),
            max_closed in 0..2_000_usize,
            scope in 0..5_000_usize,
            of in 1..=Shard::MOST,
        ) {
            let guard = Guard { keep: Vec::new(), max_instances, max_closed };
            let shards = (1..=of).filter_map(|index| Shard::new(index, of));
            let parts: Vec<Guard> = shards.map(|shard| guard.part(scope, shard)).collect();
            let instances: Option<usize> = parts.iter().map(|part| part.max_instances).sum();
            let closed: usize = parts.iter().map(|part| part.max_closed).sum();
            prop_assert_eq!((instances, closed), (Some(guard.most_instances(scope)), max_closed));
        }
    }
}
