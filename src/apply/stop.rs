//! Stop: a request to stop, shared between the signal handler and the executor.
//!
//! **Owns** a flag and a way to wait for it. **Does not** know signals.

use std::sync::Arc;

use tokio::sync::watch;

/// Once set, no other instance is started; started ones are finished and verified. A clone shares the flag.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Stop {
    /// A flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the flag.
    pub fn set(&self) {
        self.0.send_replace(true);
    }

    /// Whether the flag is set.
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns as soon as the flag is set.
    pub async fn wait(&self) {
        // Cannot fail: the sender lives in `self`.
        let _ = self.0.subscribe().wait_for(|set| *set).await;
    }
}
