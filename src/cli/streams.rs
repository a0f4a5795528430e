//! Stdout and stderr: one place that writes to either.
//!
//! Owns what happens when nobody reads on or the disk is full, and that foreign text is harmless where people see it. Does not decide what
//! is said.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anstream::adapter::strip_str;
use indicatif::ProgressBar;

use super::exit::Exit;
use super::terminal::{stderr_width, stdout_width};
use crate::config::Diagnostic;
use crate::model::{Code, sanitize_lines};
use crate::render::{sanitize, wrap};

/// The line on a terminal that is drawn anew while a run goes on, where there is one.
static DRAWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// This line is drawn anew from now on, or none.
pub(super) fn draw(line: Option<ProgressBar>) {
    *DRAWN.lock().unwrap_or_else(PoisonError::into_inner) = line;
}

/// Writes to stderr, above the line that is drawn anew.
fn to_stderr(text: &str) {
    let write = || {
        let _ = anstream::stderr().lock().write_all(text.as_bytes());
    };
    let drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner);
    match &*drawn {
        Some(line) => line.suspend(write),
        None => write(),
    }
}

/// Whether nothing shall be said that is neither a change, nor a difference, nor trouble.
static QUIET: AtomicBool = AtomicBool::new(false);

pub(super) fn set_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

pub(super) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// A note on stderr, which a quiet run leaves out.
pub(super) fn note(text: &str) {
    if !is_quiet() {
        say(&format!("note: {text}"));
    }
}

/// A warning on stderr.
pub(super) fn caution(text: &str) {
    say(&format!("warning: {text}"));
}

/// A line on stderr that is neither data nor an error, and that a quiet run has as well.
pub(super) fn say(line: &str) {
    let line = wrap(&sanitize(line), stderr_width());
    to_stderr(&format!("{line}\n"));
}

/// Sentences, broken where stdout ends.
pub(super) fn fit(text: &str) -> String {
    wrap(text, stdout_width())
}

/// An error and its hint on stderr.
pub(super) fn complain(code: Code, message: &str, hint: Option<&str>) {
    let style = anstyle::AnsiColor::Red.on_default().bold();
    let mut text = format!("{style}error[{code}]:{style:#} {}\n", sanitize(message));
    if let Some(hint) = hint {
        text.push_str("hint: ");
        text.push_str(&sanitize(hint));
        text.push('\n');
    }
    to_stderr(&wrap(&text, stderr_width()));
}

/// Warnings on a configuration on stderr.
pub(super) fn warn(warnings: &[Diagnostic]) {
    for warning in warnings {
        diagnostics(&format!("{}\n", warning.render(true)));
    }
}

/// Rendered problems of a configuration on stderr. Sentences are broken where a line ends; what is quoted from a file is not.
pub(super) fn diagnostics(text: &str) {
    let width = stderr_width();
    let is_sentence = |line: &str| {
        let plain = strip_str(line).to_string();
        let plain = plain.trim_start();
        let starts = ["error", "warning", "note: ", "= help: "];
        starts.iter().any(|start| plain.starts_with(start))
    };
    let lines = text.split_inclusive('\n').map(|line| {
        if is_sentence(line) {
            wrap(line, width)
        } else {
            line.to_owned()
        }
    });
    to_stderr(&lines.collect::<String>());
}

/// Help, version or a usage error, as clap words them.
pub(super) fn clap_message(error: &clap::Error, hint: Option<&str>) -> Exit {
    let text = error.render();
    if error.use_stderr() {
        // What was typed may come from a pipeline's variables, line breaks included.
        let text = sanitize_lines(&text.to_string());
        let text = text.replacen("error:", &format!("error[{}]:", Code::Usage), 1);
        let hint = hint.map(|hint| format!("\nhint: {}\n", sanitize(hint)));
        let text = text + &hint.unwrap_or_default();
        to_stderr(&wrap(&text, stderr_width()));
        return Exit::Usage;
    }
    to_stdout(&text.to_string())
}

/// Writes data, and gives the exit code for that alone. Whoever closed the pipe has seen enough.
pub(super) fn to_stdout(text: &str) -> Exit {
    match try_stdout(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(
                Code::File,
                &format!("cannot write to stdout: {error}"),
                None,
            );
            Exit::Failed
        }
        _ => Exit::Done,
    }
}

/// Writes data that somebody has to see before the run goes on.
pub(super) fn try_stdout(text: &str) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let mut stdout = anstream::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
}
