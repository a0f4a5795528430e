//! Output to stdout and stderr.
//!
//! **Owns** the errors of writes, and the sanitizing of foreign text. **Does not** word messages.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anstream::adapter::strip_str;
use indicatif::ProgressBar;

use super::exit::Exit;
use super::terminal::{stderr_width, stdout_width};
use crate::config::Diagnostic;
use crate::model::{Code, sanitize_lines};
use crate::render::json::Problem;
use crate::render::{sanitize, wrap};

/// The progress line on a terminal, if there is one.
static PROGRESS_LINE: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Sets or removes the progress line.
pub(super) fn set_progress_line(line: Option<ProgressBar>) {
    *PROGRESS_LINE.lock().unwrap_or_else(PoisonError::into_inner) = line;
}

/// Writes to stderr, above the progress line.
fn to_stderr(text: &str) {
    let write = || {
        let _ = anstream::stderr().lock().write_all(text.as_bytes());
    };
    let progress = PROGRESS_LINE.lock().unwrap_or_else(PoisonError::into_inner);
    match &*progress {
        Some(line) => line.suspend(write),
        None => write(),
    }
}

/// Whether only changes, differences and errors are printed.
static QUIET: AtomicBool = AtomicBool::new(false);

pub(super) fn set_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

pub(super) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Writes a note to stderr; a quiet run omits it.
pub(super) fn note(text: &str) {
    if !is_quiet() {
        write_status(&format!("note: {text}"));
    }
}

/// Writes a warning to stderr.
pub(super) fn caution(text: &str) {
    write_status(&format!("warning: {text}"));
}

/// Writes a line to stderr, even in a quiet run.
pub(super) fn write_status(line: &str) {
    let line = wrap(&sanitize(line), stderr_width());
    to_stderr(&format!("{line}\n"));
}

/// Wraps sentences to the width of stdout.
pub(super) fn wrap_to_stdout(text: &str) -> String {
    wrap(text, stdout_width())
}

/// Writes an error and its hint to stderr.
pub(super) fn write_error(code: Code, message: &str, hint: Option<&str>) {
    let style = anstyle::AnsiColor::Red.on_default().bold();
    let mut text = format!("{style}error[{code}]:{style:#} {}\n", sanitize(message));
    if let Some(hint) = hint {
        text.push_str("hint: ");
        text.push_str(&sanitize(hint));
        text.push('\n');
    }
    to_stderr(&wrap(&text, stderr_width()));
}

/// Writes an error and its hint to stderr, and returns it for reports.
pub(super) fn report_problem(code: Code, message: String, hint: Option<String>) -> Problem {
    write_error(code, &message, hint.as_deref());
    Problem::error(code, message, hint)
}

/// Writes the warnings of a configuration to stderr.
pub(super) fn write_warnings(warnings: &[Diagnostic]) {
    for warning in warnings {
        write_diagnostics(&format!("{}\n", warning.render(true)));
    }
}

/// Writes rendered diagnostics to stderr. Sentences are wrapped; lines quoted from a file are not.
pub(super) fn write_diagnostics(text: &str) {
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

/// Writes help, the version or a usage error of clap.
pub(super) fn write_clap_message(error: &clap::Error, hint: Option<&str>) -> Exit {
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
    write_stdout(&text.to_string())
}

/// Writes data, and returns the exit for that alone. A closed pipe is no error.
pub(super) fn write_stdout(text: &str) -> Exit {
    match try_write_stdout(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            write_error(
                Code::File,
                &format!("cannot write to stdout: {error}"),
                None,
            );
            Exit::Failed
        }
        _ => Exit::Done,
    }
}

/// Writes data, and returns every error.
pub(super) fn try_write_stdout(text: &str) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let mut stdout = anstream::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
}
