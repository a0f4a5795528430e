//! Counts of API calls by action and result.

use std::collections::BTreeMap;

use super::ErrorKind;
use crate::model::Calls;

/// Calls by action, such as `GetInstances`. Each attempt counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CallCounts(BTreeMap<&'static str, Calls>);

impl CallCounts {
    pub(crate) fn count(&mut self, action: &'static str, error: Option<ErrorKind>) {
        let calls = self.entry(action);
        match error {
            None => calls.answered += 1,
            Some(ErrorKind::Throttled) => calls.throttled += 1,
            Some(_) => calls.failed += 1,
        }
    }

    /// Adds the counts of another connection.
    pub(crate) fn add(&mut self, other: &Self) {
        for (action, calls) in &other.0 {
            self.entry(action).add(calls);
        }
    }

    /// Every action that was called, by name.
    pub(crate) fn into_calls(self) -> Vec<Calls> {
        self.0.into_values().collect()
    }

    fn entry(&mut self, action: &'static str) -> &mut Calls {
        self.0.entry(action).or_insert_with(|| Calls {
            action: action.to_owned(),
            ..Calls::default()
        })
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
        let all = sum.into_calls().into_iter();
        let all = all.map(|calls| (calls.total(), calls.action, calls.answered, calls.throttled));
        let all: Vec<_> = all.collect();
        let (one, list) = ("GetInstance".to_owned(), "GetInstances".to_owned());
        assert_eq!(all, [(2, one, 0, 0), (4, list, 2, 2)]);
    }
}
