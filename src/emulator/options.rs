//! What can be chosen about an emulator: its one pair of credentials, how it behaves where the service is not documented,
//! and what goes wrong.
//!
//! Owns the defaults: `test`/`test`, as documented or observed, and nothing goes wrong.

use std::fmt;
use std::time::Duration;

use super::faults::Faults;
use super::quirks::Quirks;

/// How an emulator is set up. The default accepts `test`/`test` and behaves as documented.
#[derive(Clone, PartialEq, Eq)]
pub struct Options {
    /// The only access key that is known.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
    /// Behaviour.
    pub quirks: Quirks,
    /// What goes wrong.
    pub faults: Faults,
    /// How late every reply over HTTP is, as over a network. Nothing by default.
    pub latency: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            access_key: "test".to_owned(),
            secret_key: "test".to_owned(),
            quirks: Quirks::default(),
            faults: Faults::default(),
            latency: Duration::ZERO,
        }
    }
}

/// Without the secret: this one may be harmless, but habits are not.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            access_key,
            secret_key: _,
            quirks,
            faults,
            latency,
        } = self;
        f.debug_struct("Options")
            .field("access_key", access_key)
            .field("quirks", quirks)
            .field("faults", faults)
            .field("latency", latency)
            .finish_non_exhaustive()
    }
}
