//! SIGINT and SIGTERM: the first asks to stop, the second ends the process.
//!
//! Owns the listening. Refuses to decide what stopping means.

use super::exit::Exit;

/// Waits for a signal and says which exit code it stands for.
#[cfg(unix)]
pub(super) async fn received() -> Exit {
    use tokio::signal::unix::{SignalKind, signal};

    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        // Without handlers the operating system's own apply.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => Exit::Interrupted,
        _ = terminate.recv() => Exit::Terminated,
    }
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
pub(super) async fn received() -> Exit {
    match tokio::signal::ctrl_c().await {
        Ok(()) => Exit::Interrupted,
        Err(_) => std::future::pending().await,
    }
}
