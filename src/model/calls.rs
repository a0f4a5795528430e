//! The number of calls of an action, by result.
//!
//! **Owns** the wire type. **Does not** count; `lightsail` does.

use serde::{Deserialize, Serialize};

/// The responses to the calls of one action. Each attempt counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Calls {
    /// Such as `GetInstances`.
    pub action: String,
    /// With what was asked for.
    pub answered: u64,
    /// That it was too much at once.
    pub throttled: u64,
    /// With another error, or not at all.
    pub failed: u64,
}

impl Calls {
    /// Adds those of another connection or run.
    pub(crate) fn add(&mut self, other: &Self) {
        self.answered = self.answered.saturating_add(other.answered);
        self.throttled = self.throttled.saturating_add(other.throttled);
        self.failed = self.failed.saturating_add(other.failed);
    }

    /// All attempts.
    pub(crate) fn total(&self) -> u64 {
        let failed = self.throttled.saturating_add(self.failed);
        self.answered.saturating_add(failed)
    }
}
