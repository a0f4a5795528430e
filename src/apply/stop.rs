//! The wish to stop, shared between whoever hears a signal and the executor.
//!
//! Owns one flag and the way to wait for it. Does not know signals.

use std::sync::Arc;

use tokio::sync::watch;

/// Once set, nothing new is begun; what is in flight is finished and proved. Cloning shares the flag.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Stop {
    /// Not set.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Sets it; setting it again changes nothing.
    pub fn set(&self) {
        self.0.send_replace(true);
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns as soon as it is set.
    pub async fn wait(&self) {
        // Cannot fail: the sender lives in `self`.
        let _ = self.0.subscribe().wait_for(|set| *set).await;
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}
