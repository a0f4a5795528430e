//! Validity: the time until which a plan and its rules are valid.
//!
//! **Owns** the check that precedes every write. **Does not** know where the ends come from, or the current time.

use std::collections::BTreeMap;

use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::model::{Expiry, InstanceId};

/// The ends of a plan and of its rules.
#[derive(Clone, Debug, Default)]
pub struct Validity {
    /// The first instant at which the plan is not valid.
    pub until: Option<OffsetDateTime>,
    /// The first end of a declared rule of each instance that has one. The desired state changes then.
    pub ends: BTreeMap<InstanceId, Expiry>,
    /// How far the time that the plan is made for is ahead of the clock.
    pub ahead: Duration,
}

impl Validity {
    /// No ends.
    pub const UNLIMITED: &'static Self = &Self {
        until: None,
        ends: BTreeMap::new(),
        ahead: Duration::ZERO,
    };

    /// Why the plan has expired, as a fragment; `None` if it has not.
    pub fn expired(&self, now: OffsetDateTime) -> Option<String> {
        let until = self.until.filter(|until| *until <= self.now(now))?;
        Some(format!("the plan was valid until {}", shown(until)))
    }

    /// Like [`Self::expired`], but also considers the rules of one instance.
    pub(super) fn expired_for(&self, id: &InstanceId, now: OffsetDateTime) -> Option<String> {
        let ended = || {
            let Expiry { at, origin } = self.ends.get(id)?;
            let over = *at <= self.now(now);
            over.then(|| {
                format!(
                    "the rule at {origin} ended at {}, so something else is wanted by now",
                    shown(*at)
                )
            })
        };
        self.expired(now).or_else(ended)
    }

    /// The time that the plan is for.
    pub(super) fn now(&self, clock: OffsetDateTime) -> OffsetDateTime {
        clock.saturating_add(self.ahead)
    }
}

fn shown(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_else(|_| at.to_string())
}
