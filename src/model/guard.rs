//! How much a single run may change before somebody has to say that it is meant.
//!
//! Owns the limits and their defaults. Refuses to judge a plan by them; `policy` does.

use super::Rule;

/// The share of the declared instances that may change in one run where the configuration names no number: a fifth, so
/// that a mistake in a shared ruleset is stopped and everyday work is not.
const SHARE: usize = 5;

/// A share of a small fleet would stop everything; this many instances may always change.
const AT_LEAST: usize = 5;

/// Rules that may be closed in one run where the configuration names no number: more than a person reads line by line.
const MAX_CLOSED: usize = 25;

/// `[guard]`, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    #[must_use]
    pub fn most_instances(&self, scope: usize) -> usize {
        self.max_instances
            .unwrap_or_else(|| (scope / SHARE).max(AT_LEAST))
    }

    /// The limits for one of `shards` equal parts of a scope in which `scope` instances are declared: its share of what
    /// the whole may change, rounded up. A shard cannot see what the others change, so together they may change up to
    /// `shards - 1` more than one run.
    #[must_use]
    pub fn part(&self, scope: usize, shards: u16) -> Self {
        let shards = usize::from(shards.max(1));
        Self {
            keep: self.keep.clone(),
            max_instances: Some(self.most_instances(scope).div_ceil(shards)),
            max_closed: self.max_closed.div_ceil(shards),
        }
    }
}

#[cfg(test)]
mod tests {
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
    fn a_part_is_a_share_of_the_whole_rounded_up() {
        let part = Guard::default().part(1000, 8);
        assert_eq!((part.max_instances, part.max_closed), (Some(25), 4));
        let small = Guard::default().part(3, 8);
        assert_eq!((small.max_instances, small.max_closed), (Some(1), 4));
        let none = Guard {
            max_instances: Some(0),
            max_closed: 0,
            ..Guard::default()
        };
        assert_eq!(none.part(1000, 8), none);
        let whole = Guard::default().part(30, 1);
        assert_eq!(
            (whole.max_instances, whole.max_closed),
            (Some(6), MAX_CLOSED)
        );
    }
}
