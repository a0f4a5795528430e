//! The signals that end a run: SIGINT, SIGTERM and SIGHUP.
//!
//! **Owns** the handlers, and the exit code of each signal. SIGHUP ends a run as SIGTERM does. **Does not** decide what must
//! be finished.

use std::pin::pin;

use super::error::CommandError;
use super::exit::Exit;
use super::streams::write_status;
use crate::apply::Stop;

/// One signal.
#[cfg_attr(
    not(unix),
    expect(dead_code, reason = "elsewhere there is only the first")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGINT, such as Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP.
    HangUp,
}

impl Signal {
    pub(super) fn exit(self) -> Exit {
        match self {
            Self::Interrupt => Exit::Interrupted,
            Self::Terminate | Self::HangUp => Exit::Terminated,
        }
    }

    /// Whether a second signal ends the process at once. SIGHUP does not: the kernel and the shell both send one when a terminal
    /// is closed.
    fn forces_exit(self) -> bool {
        self != Self::HangUp
    }
}

/// Receives signals from its creation on, even while nothing waits for one.
pub(super) struct Signals(#[cfg(unix)] Option<unix::Streams>);

impl Signals {
    pub(super) fn listen() -> Self {
        Self(
            #[cfg(unix)]
            unix::Streams::open(),
        )
    }

    /// Waits for the next one.
    #[cfg(unix)]
    pub(super) async fn next(&mut self) -> Signal {
        match &mut self.0 {
            Some(streams) => streams.next().await,
            // Without handlers the default actions of the operating system apply.
            None => std::future::pending().await,
        }
    }

    /// Waits for the next one.
    #[cfg(not(unix))]
    pub(super) async fn next(&mut self) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::Interrupt,
            Err(_) => std::future::pending().await,
        }
    }

    /// Runs work that a signal may cancel at any time; the error then has this message.
    pub(super) async fn interruptible<T, E: From<CommandError>>(
        &mut self,
        message: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        tokio::select! {
            biased;
            signal = self.next() => Err(E::from(CommandError::new(signal.exit(), message.to_owned()))),
            done = work => done,
        }
    }

    /// Runs work that must finish its calls in flight: the first signal sets `stop`, and a second one calls `quit` and ends the
    /// process. Returns the first signal.
    pub(super) async fn run_gracefully<T>(
        &mut self,
        stop: &Stop,
        quit: fn(),
        work: impl Future<Output = T>,
    ) -> (T, Option<Signal>) {
        let mut work = pin!(work);
        let (mut first, mut has_forced) = (None, false);
        loop {
            let signal = tokio::select! {
                biased;
                done = &mut work => return (done, first),
                signal = self.next() => signal,
            };
            if has_forced && signal.forces_exit() {
                quit();
                std::process::exit(i32::from(signal.exit().code()));
            }
            has_forced |= signal.forces_exit();
            if first.is_none() {
                first = Some(signal);
                stop.set();
                write_status(match signal {
                    Signal::Interrupt => {
                        "Stopping: calls in flight will be finished; press Ctrl-C again to quit now"
                    }
                    Signal::Terminate | Signal::HangUp => {
                        "Stopping: calls in flight will be finished; send the signal again to quit now"
                    }
                });
            }
        }
    }
}

/// Runs work that a signal may cancel at any time.
pub(super) async fn interruptible<T, E: From<CommandError>>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    Signals::listen().interruptible("interrupted", work).await
}

#[cfg(unix)]
mod unix {
    use std::fs;
    use std::sync::OnceLock;

    use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

    use super::Signal;

    pub(super) struct Streams {
        interrupt: Stream,
        terminate: Stream,
        /// `None` where the program was started to outlive its terminal, as by `nohup`.
        hang_up: Option<Stream>,
    }

    impl Streams {
        pub(super) fn open() -> Option<Self> {
            // Must be read before the first handler replaces the disposition.
            let outlives = outlives_terminal();
            Some(Self {
                interrupt: signal(SignalKind::interrupt()).ok()?,
                terminate: signal(SignalKind::terminate()).ok()?,
                hang_up: (!outlives)
                    .then(|| signal(SignalKind::hangup()).ok())
                    .flatten(),
            })
        }

        pub(super) async fn next(&mut self) -> Signal {
            let hang_up = async {
                match &mut self.hang_up {
                    Some(stream) => stream.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = self.interrupt.recv() => Signal::Interrupt,
                _ = self.terminate.recv() => Signal::Terminate,
                _ = hang_up => Signal::HangUp,
            }
        }
    }

    /// Whether SIGHUP was ignored when the program was started. Only Linux tells without unsafe code; elsewhere it is taken
    /// as not ignored.
    fn outlives_terminal() -> bool {
        static IGNORED: OnceLock<bool> = OnceLock::new();
        *IGNORED.get_or_init(|| {
            let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
            is_hangup_ignored(&status)
        })
    }

    /// Reads the mask of ignored signals, of which SIGHUP is the first bit.
    fn is_hangup_ignored(status: &str) -> bool {
        let mut lines = status.lines();
        let mask = lines.find_map(|line| line.strip_prefix("SigIgn:"));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .is_some_and(|mask| mask & 1 == 1)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn ignored_signals_are_parsed_from_proc() {
            for (status, ignored) in [
                ("Name:\tportward\nSigIgn:\t0000000000001001\n", true),
                ("Name:\tportward\nSigIgn:\t0000000000001000\n", false),
                ("SigBlk:\t0000000000000001\nSigIgn:\tx\n", false),
                ("", false),
            ] {
                assert_eq!(is_hangup_ignored(status), ignored, "{status:?}");
            }
        }
    }
}
