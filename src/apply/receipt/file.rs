//! The file of a receipt while a run goes on, and the folder where receipts lie.
//!
//! Owns names, permissions and what is on disk when. After a line that could not be written whole it refuses to write
//! another, so that only ever the last line is torn.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use time::macros::format_description;

use super::line::{self, Line};
use super::{Damage, Header, Receipt};
use crate::apply::{Intent, Journal, Stage};
use crate::lightsail::{Error, Operation};
use crate::model::InstanceId;
use crate::plan::InstanceResult;

/// A receipt that is being written. It is told by [`Journal`].
#[derive(Debug)]
pub struct ReceiptFile {
    path: PathBuf,
    state: RefCell<FileState>,
}

#[derive(Debug)]
struct FileState {
    file: File,
    intents: usize,
    trouble: Option<String>,
}

impl ReceiptFile {
    /// Begins a receipt in a folder, which is made where there is none. Nobody but the owner may read either, where the
    /// system knows owners. The header is on disk when this returns.
    ///
    /// # Errors
    /// A folder or a file that cannot be made or written.
    pub fn create(folder: &Path, header: &Header) -> io::Result<Self> {
        make(folder)?;
        let (path, file) = open(folder, OffsetDateTime::now_utc())?;
        let receipt = Self {
            path,
            state: RefCell::new(FileState {
                file,
                intents: 0,
                trouble: None,
            }),
        };
        receipt.write(&Line::Header(header.clone()), true)?;
        // The name must outlast a power cut too. Not every system can do this for a folder.
        if let Ok(folder) = File::open(folder) {
            let _ = folder.sync_all();
        }
        Ok(receipt)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The last line of a run that came to its end. It and every line before it are on disk when this returns.
    ///
    /// # Errors
    /// This line, or any before it, could not be written.
    pub fn end(&self, interrupted: bool) -> io::Result<()> {
        self.write(&line::end(interrupted), true)
    }

    fn write(&self, line: &Line<'_>, on_disk: bool) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        if let Some(trouble) = &state.trouble {
            return Err(io::Error::other(trouble.clone()));
        }
        let written = serde_json::to_vec(line)
            .map_err(io::Error::other)
            .and_then(|mut text| {
                text.push(b'\n');
                state.file.write_all(&text)?;
                if on_disk {
                    state.file.sync_data()?;
                }
                Ok(())
            });
        if let Err(error) = &written {
            state.trouble = Some(format!("`{}`: {error}", self.path.display()));
        }
        written
    }

    /// A line whose absence stops nobody.
    fn note(&self, line: &Line<'_>) {
        if let Err(error) = self.write(line, false) {
            let path = self.path.display().to_string();
            tracing::warn!(receipt = path, %error, "the receipt cannot be written any more");
        }
    }
}

impl Journal for ReceiptFile {
    fn intent(&self, intent: &Intent<'_>) -> io::Result<usize> {
        let write = self.state.borrow().intents + 1;
        self.write(&line::intent(write, intent), true)?;
        self.state.borrow_mut().intents = write;
        Ok(write)
    }

    fn outcome(&self, write: usize, answer: Result<&Operation, &Error>) {
        self.note(&line::outcome(write, answer));
    }

    fn result(&self, result: &InstanceResult) {
        self.note(&line::result(result));
    }

    fn stage(&self, stage: Stage<'_>) {
        self.note(&line::confirmation(stage));
    }
}

/// Receipts of runs that wrote and have no end: they died, or go on at this moment. Newest first, and none that is older
/// than the last run which came to its end, because that run has named them. A receipt that cannot be read is among them.
///
/// # Errors
/// A folder that cannot be listed. One that does not exist has no receipts.
pub fn unended(folder: &Path) -> io::Result<Vec<(PathBuf, Result<Receipt, Damage>)>> {
    let mut found = Vec::new();
    for path in receipts(folder)? {
        match Receipt::read(&path) {
            Ok(receipt) if receipt.has_ended() => break,
            Ok(receipt) if receipt.writes().is_empty() => {}
            receipt => found.push((path, receipt)),
        }
    }
    Ok(found)
}

/// A run that had to be confirmed, and was not.
#[derive(Debug)]
pub struct Unconfirmed {
    /// Its receipt.
    pub path: PathBuf,
    /// What it says. One that is damaged may be of such a run.
    pub receipt: Result<Receipt, Damage>,
    /// Whether the run still goes on, as far as the system tells.
    pub goes_on: bool,
}

/// Runs that had to be confirmed, wrote, and have neither been confirmed nor come to an end. Newest first. One is left out
/// once later runs that came to their end wrote to every instance that it may have changed.
///
/// Of each receipt only the first line is read, unless it is one of these.
///
/// # Errors
/// A folder that cannot be listed. One that does not exist has no receipts.
pub fn unconfirmed(folder: &Path) -> io::Result<Vec<Unconfirmed>> {
    let mut found = Vec::new();
    let paths = receipts(folder)?;
    for (place, path) in paths.iter().enumerate() {
        if !had_to_be_confirmed(path) {
            continue;
        }
        let receipt = Receipt::read(path);
        let is_over = receipt.as_ref().is_ok_and(|receipt| {
            !receipt.died_unconfirmed() || is_overwritten(receipt, &paths[..place])
        });
        if !is_over {
            found.push(Unconfirmed {
                path: path.clone(),
                goes_on: goes_on(path),
                receipt,
            });
        }
    }
    Ok(found)
}

/// Whether later runs that came to their end wrote to every instance that this one may have changed.
fn is_overwritten(receipt: &Receipt, later: &[PathBuf]) -> bool {
    let ids = |receipt: &Receipt| -> BTreeSet<InstanceId> {
        let writes = receipt.writes().iter();
        let happened = writes.filter(|write| write.may_have_happened());
        happened.map(|write| write.id.clone()).collect()
    };
    let mut left = ids(receipt);
    for path in later {
        if let Ok(later) = Receipt::read(path)
            && later.has_ended()
        {
            let written = ids(&later);
            left.retain(|id| !written.contains(id));
        }
        if left.is_empty() {
            return true;
        }
    }
    left.is_empty()
}

/// Whether the first line of a receipt says so.
fn had_to_be_confirmed(path: &Path) -> bool {
    /// Longer than any header: it has the regions and selectors of a run.
    const LONGEST: u64 = 1 << 20;
    let first = || -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        let file = File::open(path)?.take(LONGEST);
        BufReader::new(file).read_until(b'\n', &mut line)?;
        Ok(line)
    };
    let line = first().unwrap_or_default();
    matches!(serde_json::from_slice(&line), Ok(Line::Header(header)) if header.confirm_within.is_some())
}

/// Whether the process that writes this receipt is there: it holds a lock on it. Where files cannot be locked nobody is
/// taken to be there.
pub fn goes_on(path: &Path) -> bool {
    let lock = File::open(path).map(|file| file.try_lock_shared());
    matches!(lock, Ok(Err(TryLockError::WouldBlock)))
}

/// The receipts in a folder, newest first.
fn receipts(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()?;
    // To open a pipe would wait for its other end.
    let is_file = |path: &Path| fs::metadata(path).is_ok_and(|there| there.is_file());
    paths.retain(|path| path.extension().is_some_and(|ending| ending == ENDING) && is_file(path));
    // Names begin with the time.
    paths.sort_unstable_by(|one, other| other.cmp(one));
    Ok(paths)
}

const ENDING: &str = "jsonl";

fn make(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// A file that was not there: `TIME-PID.jsonl`, with chance in its name where one run of this process follows the other
/// within a second.
fn open(folder: &Path, started: OffsetDateTime) -> io::Result<(PathBuf, File)> {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let time = started
        .to_offset(time::UtcOffset::UTC)
        .format(&format)
        .map_err(io::Error::other)?;
    let mut name = format!("{time}-{}", std::process::id());
    loop {
        let path = folder.join(format!("{name}.{ENDING}"));
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&path) {
            Ok(file) => {
                // Tells others that this run goes on. Elsewhere than on Unix a lock would keep them from reading.
                #[cfg(unix)]
                let _ = file.try_lock();
                return Ok((path, file));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                name = format!("{time}-{}-{:04x}", std::process::id(), fastrand::u16(..));
            }
            Err(error) => return Err(error),
        }
    }
}
