//! Validity: until when what a plan wants is wanted.
//!
//! **Owns** the question, asked again right before every write, whether the plan still says what is wanted. **Does not**
//! know where the ends come from, and what time it is.

use std::collections::BTreeMap;

use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::model::{Expiry, InstanceId};

/// When a plan, or a part of it, is no longer valid.
#[derive(Clone, Debug, Default)]
pub struct Validity {
    /// The first instant at which the plan as a whole is no longer valid.
    pub until: Option<OffsetDateTime>,
    /// The first end of a declared rule, for each instance that has one. From then on another plan would be made.
    pub ends: BTreeMap<InstanceId, Expiry>,
    /// How far the time that the plan was made for is ahead of the clock.
    pub ahead: Duration,
}

impl Validity {
    /// Nothing ends.
    pub const UNLIMITED: &'static Self = &Self {
        until: None,
        ends: BTreeMap::new(),
        ahead: Duration::ZERO,
    };

    /// Why nothing of the plan may be written any more, as a fragment; `None` where it may.
    pub fn over(&self, now: OffsetDateTime) -> Option<String> {
        let until = self.until.filter(|until| *until <= self.now(now))?;
        Some(format!("the plan was valid until {}", shown(until)))
    }

    /// As [`Self::over`], of one instance.
    pub(super) fn over_for(&self, id: &InstanceId, now: OffsetDateTime) -> Option<String> {
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
        self.over(now).or_else(ended)
    }

    /// The time that the plan is for, of that of the clock.
    pub(super) fn now(&self, clock: OffsetDateTime) -> OffsetDateTime {
        clock.saturating_add(self.ahead)
    }
}

fn shown(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_else(|_| at.to_string())
}
