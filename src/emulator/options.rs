//! Options of an emulator: its credentials, quirks and faults.
//!
//! Owns the defaults: `test`/`test`, documented or observed behaviour, and no faults. Does not apply them.

use std::fmt;
use std::time::Duration;

use super::faults::Faults;
use super::quirks::Quirks;

/// The options of an emulator. The default accepts `test`/`test` and behaves as documented.
#[derive(Clone, PartialEq, Eq)]
pub struct EmulatorOptions {
    /// The access key.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: String,
    /// The behaviour where the service is not documented.
    pub quirks: Quirks,
    /// The faults to inject.
    pub faults: Faults,
    /// The delay of every response over HTTP. None by default.
    pub latency: Duration,
}

impl Default for EmulatorOptions {
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

/// Does not print the secret.
impl fmt::Debug for EmulatorOptions {
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
