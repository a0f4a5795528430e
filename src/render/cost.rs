//! The calls of a run, and the calls and the time that its plan needs.
//!
//! Owns the numbers as they are shown. Does not know how fast the service may be asked, which is passed in.

use std::collections::BTreeSet;
use std::time::Duration;

use super::formats::{format_duration, join_and, sanitize, thousands};
use crate::exposure::group_thousands;
use crate::model::{Calls, InstanceId};
use crate::strings;

/// The calls of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Those that were made, by name of the action.
    pub made: Vec<Calls>,
    /// The least time that the service takes for those.
    pub made_least: Duration,
    /// Those that carrying out the plan takes, if nothing unusual happens.
    pub needed: CallsNeeded,
    /// Instances whose rules were seen in a list and nowhere else.
    pub only_listed: BTreeSet<InstanceId>,
}

/// The cost of applying a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallsNeeded {
    /// Calls that write.
    pub writes: u64,
    /// Calls that read, before the writes and after them.
    pub reads: u64,
    /// The least time in which they get through.
    pub least: Duration,
    /// The part of the documented rates that this is for, such as `0.5`; `None` is all of them.
    pub share: Option<String>,
}

/// From this duration on, the reason for waiting is shown.
const MATTERS: Duration = Duration::from_secs(1);

/// More names than this are no help to anybody.
const NAMES: usize = 10;

/// Lines for people, the calls to come only where there is something `to_apply`; empty for a run in which nobody had or
/// will have to wait.
pub(crate) fn lines(cost: &Cost, to_apply: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let needed = &cost.needed;
    let will_wait = to_apply && needed.least >= MATTERS;
    if will_wait || cost.made_least >= MATTERS {
        let made = cost.made.iter();
        let made = made.map(|made| format!("{} {}", group_thousands(made.total()), made.action));
        let made: Vec<String> = made.collect();
        if !made.is_empty() {
            lines.push(format!("Asked {}.", join_and(&made)));
        }
    }
    if will_wait {
        let share = needed.share.as_ref().map(|share| format!("{share} of "));
        lines.push(format!(
            "Apply needs {} and {}: {} at {}the documented rates.",
            counted(needed.writes, "write"),
            counted(needed.reads, "read"),
            format_duration(needed.least),
            share.unwrap_or_default()
        ));
    }
    lines
}

/// The instances whose rules are only from a list; `None` if there are none.
pub(crate) fn only_listed(cost: &Cost) -> Option<String> {
    let ids = &cost.only_listed;
    if ids.is_empty() {
        return None;
    }
    if ids.len() > NAMES {
        return Some(format!(
            "seen in bulk only: {} instances, which the JSON report names",
            thousands(ids.len())
        ));
    }
    let names: Vec<String> = ids.iter().map(|id| sanitize(&id.to_string())).collect();
    Some(format!("seen in bulk only: {}", names.join(", ")))
}

fn counted(n: u64, one: &str) -> String {
    let number = usize::try_from(n).unwrap_or(usize::MAX);
    format!("{} {}", group_thousands(n), strings::plural(number, one))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(action: &str, throttled: u64, answered: u64) -> Calls {
        Calls {
            action: action.to_owned(),
            answered,
            throttled,
            failed: 0,
        }
    }

    #[test]
    fn only_long_durations_are_shown() {
        let mut cost = Cost {
            made: vec![
                made("GetInstancePortStates", 10, 990),
                made("GetInstances", 0, 3),
            ],
            made_least: Duration::from_secs(98),
            ..Cost::default()
        };
        let asked = "Asked 1,000 GetInstancePortStates and 3 GetInstances.";
        assert_eq!(lines(&cost, true), [asked]);
        cost.needed = CallsNeeded {
            writes: 1,
            reads: 2_000,
            least: Duration::from_secs(198),
            share: None,
        };
        let needs = "Apply needs 1 write and 2,000 reads: 3 min 18 s at the documented rates.";
        assert_eq!(lines(&cost, true), [asked, needs]);
        assert_eq!(lines(&cost, false), [asked]);
        cost.made_least = Duration::ZERO;
        cost.needed.least = Duration::from_millis(999);
        assert_eq!(lines(&cost, true), Vec::<String>::new());
    }

    #[test]
    fn few_names_are_listed_and_many_are_counted() {
        let id = |n: usize| InstanceId {
            account: None,
            region: "eu-central-1".to_owned(),
            name: format!("web-{n}"),
        };
        let of = |n: usize| Cost {
            only_listed: (0..n).map(id).collect(),
            ..Cost::default()
        };
        assert_eq!(only_listed(&of(0)), None);
        assert_eq!(
            only_listed(&of(2)).as_deref(),
            Some("seen in bulk only: eu-central-1/web-0, eu-central-1/web-1")
        );
        assert_eq!(
            only_listed(&of(1_000)).as_deref(),
            Some("seen in bulk only: 1,000 instances, which the JSON report names")
        );
    }
}
