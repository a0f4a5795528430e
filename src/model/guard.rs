//! The limits of what one run may change without explicit consent.
//!
//! Owns the limits and their defaults. Does not check a plan against them; `policy` does.

use serde::{Deserialize, Serialize};

use super::{Rule, Shard};

/// Without a number in the configuration, one run may change a fifth of the declared instances, so that a mistake in a shared
/// ruleset is stopped and everyday work is not.
const DEFAULT_INSTANCES_DIVISOR: usize = 5;

/// This many instances may change by default even in a small fleet, of which a fifth would be almost nothing.
const DEFAULT_MIN_INSTANCES: usize = 5;

/// The rules that one run may close without a number in the configuration: nobody reads more than this line by line.
const DEFAULT_MAX_CLOSED: usize = 25;

/// `[guard]`, resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Guard {
    /// Access that no change may take away.
    pub keep: Vec<Rule>,
    /// The most instances that one run may change; `None` is the default, which depends on the size of the scope.
    pub max_instances: Option<usize>,
    /// The most rules that one run may close.
    pub max_closed: usize,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            keep: Vec::new(),
            max_instances: None,
            max_closed: DEFAULT_MAX_CLOSED,
        }
    }
}

impl Guard {
    /// The most instances that one run may change if `scope` instances are declared: the number of the configuration, or a
    /// fifth of `scope`, rounded down, but at least five.
    pub fn instance_limit(&self, scope: usize) -> usize {
        self.max_instances
            .unwrap_or_else(|| (scope / DEFAULT_INSTANCES_DIVISOR).max(DEFAULT_MIN_INSTANCES))
    }

    /// The limits for one shard of a scope in which `scope` instances are declared. No shard sees what the others change, so the
    /// limits of all shards add up to those of an unsharded run; the first shards get the remainder of the division.
    pub fn part(&self, scope: usize, shard: Shard) -> Self {
        let (index, of) = (usize::from(shard.index()), usize::from(shard.of()));
        let part = |whole: usize| whole / of + usize::from(index <= whole % of);
        Self {
            keep: self.keep.clone(),
            max_instances: Some(part(self.instance_limit(scope))),
            max_closed: part(self.max_closed),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn default_instance_limit_is_a_fifth_and_at_least_five() {
        let guard = Guard::default();
        for (scope, most) in [(0, 5), (1, 5), (25, 5), (29, 5), (30, 6), (1000, 200)] {
            assert_eq!(guard.instance_limit(scope), most, "{scope}");
        }
        let none = Guard {
            max_instances: Some(0),
            ..guard
        };
        assert_eq!(none.instance_limit(1000), 0);
    }

    #[test]
    fn shard_limits_differ_by_at_most_one() {
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
        assert_eq!(part(&usual, 30, 1, 1), (Some(6), DEFAULT_MAX_CLOSED));
    }

    proptest! {
        #[test]
        fn shard_limits_add_up_to_the_limit_of_one_run(
            max_instances in prop::option::of(0..2_000_usize),
            max_closed in 0..2_000_usize,
            scope in 0..5_000_usize,
            of in 1..=Shard::MAX,
        ) {
            let guard = Guard { keep: Vec::new(), max_instances, max_closed };
            let shards = (1..=of).filter_map(|index| Shard::new(index, of));
            let parts: Vec<Guard> = shards.map(|shard| guard.part(scope, shard)).collect();
            let instances: Option<usize> = parts.iter().map(|part| part.max_instances).sum();
            let closed: usize = parts.iter().map(|part| part.max_closed).sum();
            prop_assert_eq!((instances, closed), (Some(guard.instance_limit(scope)), max_closed));
        }
    }
}
