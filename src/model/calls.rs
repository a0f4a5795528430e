//! The number of calls of an action, by result.
//!
//! **Owns** the wire type. **Does not** count; `lightsail` does.

use serde::{Deserialize, Serialize};

/// The number of calls of one action. Each attempt counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Calls {
    /// Such as `GetInstances`.
    pub action: String,
    /// Those that succeeded.
    pub answered: u64,
    /// Those that the service refused because there were too many at once.
    pub throttled: u64,
    /// Those with another error, or without a response.
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
