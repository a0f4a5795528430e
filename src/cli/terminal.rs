//! The terminal: whether there is one to ask a question on, and how wide it is.
//!
//! **Owns** its width, and that only what is typed after a question answers it. **Does not** word questions.

use std::io::{self, IsTerminal as _};

use crate::render::DEFAULT_WIDTH;

/// Whether somebody can read a question and answer it.
pub(super) fn is_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// A line that is longer is hard to read, however wide the window is.
const WIDEST: usize = 120;

/// Columns of stdout, and of a log or a file where it is no terminal.
pub(super) fn stdout_width() -> usize {
    width(terminal_size::terminal_size_of(io::stdout()))
}

/// Columns of stderr, likewise.
pub(super) fn stderr_width() -> usize {
    width(terminal_size::terminal_size_of(io::stderr()))
}

fn width(size: Option<(terminal_size::Width, terminal_size::Height)>) -> usize {
    size.map_or(DEFAULT_WIDTH, |(width, _)| usize::from(width.0).min(WIDEST))
}

/// Throws away what was typed and not read yet: it was meant for something else.
#[cfg(unix)]
pub(super) fn forget_typed() -> io::Result<()> {
    use rustix::termios::{QueueSelector, tcflush};
    Ok(tcflush(io::stdin(), QueueSelector::IFlush)?)
}

/// There is no way to throw it away here.
#[cfg(not(unix))]
pub(super) fn forget_typed() -> io::Result<()> {
    Ok(())
}

/// The next line that is typed, without its end; `None` where the input ends. It is waited for on a thread of its own, which
/// does not hold the end of the process back.
pub(super) async fn line() -> io::Result<Option<String>> {
    tokio::task::spawn_blocking(read_line)
        .await
        .map_err(io::Error::other)?
}

/// Reads byte by byte and keeps nothing back: what the standard library has read ahead could not be thrown away.
#[cfg(unix)]
fn read_line() -> io::Result<Option<String>> {
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
fn read_line() -> io::Result<Option<String>> {
    let mut line = String::new();
    let bytes = io::stdin().read_line(&mut line)?;
    Ok((bytes > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
}
