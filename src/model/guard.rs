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
}
