//! Stdout and stderr: one place that writes to either.
//!
//! Owns what happens when nobody reads on or the disk is full, and that foreign text is harmless where people see it. Does not decide what
//! is said.

use std::io::{self, Write as _};

use super::exit::Exit;
use super::terminal::{stderr_width, stdout_width};
use crate::config::Diagnostic;
use crate::model::{Code, sanitize_lines};
use crate::render::{sanitize, wrap};

/// A line on stderr that is neither data nor trouble.
pub(super) fn say(line: &str) {
    let line = wrap(&sanitize(line), stderr_width());
    let _ = writeln!(anstream::stderr(), "{line}");
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
    let _ = write!(anstream::stderr(), "{}", wrap(&text, stderr_width()));
}

/// Warnings on a configuration on stderr.
pub(super) fn warn(warnings: &[Diagnostic]) {
    let mut stderr = anstream::stderr().lock();
    for warning in warnings {
        let _ = writeln!(stderr, "{}", warning.render(true));
    }
}

/// Help, version or a usage error, as clap words them.
pub(super) fn clap_message(error: &clap::Error, hint: Option<&str>) -> Exit {
    let text = error.render();
    if error.use_stderr() {
        // What was typed may come from a pipeline's variables, line breaks included.
        let text = sanitize_lines(&text.to_string());
        let text = text.replacen("error:", &format!("error[{}]:", Code::Usage), 1);
        let mut stderr = anstream::stderr().lock();
        let _ = write!(stderr, "{text}");
        if let Some(hint) = hint {
            let _ = writeln!(stderr, "\nhint: {}", sanitize(hint));
        }
        return Exit::Usage;
    }
    to_stdout(&text.to_string())
}

/// Writes data, and gives the exit code for that alone. Whoever closed the pipe has seen enough.
#[must_use]
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
