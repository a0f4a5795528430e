//! The signals that ask a run to end: SIGINT, SIGTERM and SIGHUP.
//!
//! **Owns** the listening, and which exit code each of them stands for. A terminal or a session that goes away (SIGHUP) ends
//! a run just as SIGTERM does. **Does not** decide what ending means.

use std::pin::pin;

use super::error::CommandError;
use super::exit::Exit;
use super::streams::say;
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
    /// The exit code that it stands for.
    pub(super) fn exit(self) -> Exit {
        match self {
            Self::Interrupt => Exit::Interrupted,
            Self::Terminate | Self::HangUp => Exit::Terminated,
        }
    }

    /// Whether a second one ends the process at once. A hang-up never does: the kernel and the shell both send one when a
    /// terminal is closed, and nobody is there who insists.
    pub(super) fn insists(self) -> bool {
        self != Self::HangUp
    }
}

/// Hears every signal from the moment that it is made, whether or not anybody waits for one.
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
            // Without handlers the operating system's own apply.
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

    /// Works until a signal ends it, for work that leaves nothing behind which would have to be finished. `message` says then
    /// what was interrupted.
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

    /// Works to the end, for work that must finish what is in flight: the first signal sets `stop`, and whoever insists ends the
    /// process at once, after `quit`. Says which signal came first.
    pub(super) async fn stopping<T>(
        &mut self,
        stop: &Stop,
        quit: fn(),
        work: impl Future<Output = T>,
    ) -> (T, Option<Signal>) {
        let mut work = pin!(work);
        let (mut first, mut insisted) = (None, false);
        loop {
            let signal = tokio::select! {
                biased;
                done = &mut work => return (done, first),
                signal = self.next() => signal,
            };
            if insisted && signal.insists() {
                quit();
                std::process::exit(i32::from(signal.exit().code()));
            }
            insisted |= signal.insists();
            if first.is_none() {
                first = Some(signal);
                stop.set();
                say(match signal {
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

/// Works until a signal ends it, for work that leaves nothing behind which would have to be finished.
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
            // To be asked before the first handler is there, which is what it would then find.
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
