//! Log lines on stderr, for people or as JSON.
//!
//! Owns the levels and the format, and escapes foreign text, so that no line is a command to a terminal or a CI runner. Does
//! not log the bodies of requests and responses.

use std::io;

use anstream::{AutoStream, ColorChoice};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::args::{LogFormat, LoggingArgs};
use crate::model::sanitize_json;
use crate::render::sanitize;

/// Starts to log on stderr: this crate at the level of `-v`, libraries at `info` from `-vvv` on.
pub(super) fn start(args: &LoggingArgs) {
    let (this_crate, libraries) = match args.verbose {
        0 => (LevelFilter::WARN, LevelFilter::ERROR),
        1 => (LevelFilter::INFO, LevelFilter::WARN),
        2 => (LevelFilter::DEBUG, LevelFilter::WARN),
        _ => (LevelFilter::TRACE, LevelFilter::INFO),
    };
    let filter = Targets::new()
        .with_target("portward", this_crate)
        .with_default(libraries);
    let registry = tracing_subscriber::registry().with(filter);
    let terminal = io::IsTerminal::is_terminal(&io::stderr());
    let colored = AutoStream::choice(&io::stderr()) != ColorChoice::Never;
    let stderr = tracing_subscriber::fmt::layer().with_ansi(terminal && colored);
    // A second start in one process has no effect.
    let _ = match args.log_format {
        // A terminal has no CI commands, and the layer itself escapes control characters.
        LogFormat::Text if terminal => registry
            .with(stderr.with_writer(io::stderr).with_target(false))
            .try_init(),
        LogFormat::Text => registry
            .with(stderr.with_writer(log_lines).with_target(false))
            .try_init(),
        LogFormat::Json => registry
            .with(stderr.with_writer(log_objects).json().with_target(true))
            .try_init(),
    };
}

/// A writer of log lines, each of which comes in one piece.
struct Log(fn(&str) -> String);

fn log_lines() -> Log {
    Log(|event| format!("{}\n", sanitize(event.strip_suffix('\n').unwrap_or(event))))
}

fn log_objects() -> Log {
    Log(|event| sanitize_json(event.to_owned()))
}

impl io::Write for Log {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(self.0(&String::from_utf8_lossy(event)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_are_not_ci_commands() {
        let event = "WARN the helper said: x\n::error::y ##[group]\n";
        assert_eq!(
            (log_lines().0)(event),
            "WARN the helper said: x\\u{a}\\u{3a}:error\\u{3a}:y \\u{23}#[group]\n"
        );
    }
}
