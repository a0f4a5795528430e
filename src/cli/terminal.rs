//! The terminal: whether there is one, its width, and its input.
//!
//! **Owns** that only input after a question answers it. **Does not** word questions.

use std::io::{self, IsTerminal as _};

use crate::render::DEFAULT_WIDTH;

/// Whether a user can read and answer a question.
pub(super) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Longer lines are hard to read.
const MAX_WIDTH: usize = 120;

/// Columns of stdout, and of a log or a file where it is no terminal.
pub(super) fn stdout_width() -> usize {
    width(terminal_size::terminal_size_of(io::stdout()))
}

/// Columns of stderr, likewise.
pub(super) fn stderr_width() -> usize {
    width(terminal_size::terminal_size_of(io::stderr()))
}

fn width(size: Option<(terminal_size::Width, terminal_size::Height)>) -> usize {
    size.map_or(DEFAULT_WIDTH, |(width, _)| {
        usize::from(width.0).min(MAX_WIDTH)
    })
}

/// Discards unread input, which was typed before the question.
#[cfg(unix)]
pub(super) fn discard_input() -> io::Result<()> {
    use rustix::termios::{QueueSelector, tcflush};
    Ok(tcflush(io::stdin(), QueueSelector::IFlush)?)
}

/// Unread input cannot be discarded here.
#[cfg(not(unix))]
pub(super) fn discard_input() -> io::Result<()> {
    Ok(())
}

/// The next line of input, without its end; `None` at the end of the input. Another thread reads it, which does not delay
/// the end of the process.
pub(super) async fn read_line() -> io::Result<Option<String>> {
    tokio::task::spawn_blocking(read_line_blocking)
        .await
        .map_err(io::Error::other)?
}

/// Reads byte by byte: bytes that the standard library buffers could not be discarded.
#[cfg(unix)]
fn read_line_blocking() -> io::Result<Option<String>> {
    use std::fs::File;
    use std::io::Read as _;
    use std::os::fd::AsFd as _;

    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        match input.read(&mut byte) {
            Ok(0) => return Ok(None),
            Ok(_) if byte == *b"\n" => {
                return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
            }
            Ok(_) => line.extend(byte),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(not(unix))]
fn read_line_blocking() -> io::Result<Option<String>> {
    let mut line = String::new();
    let bytes = io::stdin().read_line(&mut line)?;
    Ok((bytes > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
}
