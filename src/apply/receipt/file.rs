//! The file of a receipt during a run, and the folder of receipts.
//!
//! **Owns** the moment of creation, names, permissions and durability. After a line that could not be written completely, it writes no other, so that only
//! the last line can be torn. **Does not** know what lines mean.

use std::cell::{Cell, OnceCell};
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use time::macros::format_description;

use super::record::{self, Record};
use super::{Header, Receipt, ReceiptError};
use crate::apply::{Intent, Journal, Stage};
use crate::lightsail::{Error, Operation};
use crate::model::InstanceId;
use crate::plan::InstanceResult;

/// A receipt that is being written, or will be.
#[derive(Debug)]
pub struct ReceiptFile {
    folder: PathBuf,
    header: Header,
    file: OnceCell<OpenFile>,
}

#[derive(Debug)]
struct OpenFile {
    path: PathBuf,
    file: File,
    intents: Cell<usize>,
    /// Why a line could not be written.
    trouble: OnceCell<String>,
}

impl ReceiptFile {
    /// Creates a receipt in a folder, which is created if it does not exist. On Unix only the owner can read them. The header is
    /// durable when this returns.
    ///
    /// # Errors
    /// The folder or the file cannot be created or written.
    pub fn create(folder: &Path, header: &Header) -> io::Result<Self> {
        let receipt = Self::deferred(folder, header.clone());
        receipt.opened()?;
        Ok(receipt)
    }

    /// A receipt that is created with its first write, for a run that may have nothing to write.
    pub fn deferred(folder: &Path, header: Header) -> Self {
        Self {
            folder: folder.to_owned(),
            header,
            file: OnceCell::new(),
        }
    }

    /// The path of the file, once it exists.
    pub fn path(&self) -> Option<&Path> {
        self.file.get().map(|file| file.path.as_path())
    }

    /// Writes the last line of a run that has ended. It and every line before it are durable when this returns.
    ///
    /// # Errors
    /// This line or one before it could not be written.
    pub fn end(&self, interrupted: bool) -> io::Result<()> {
        let file = self.file.get();
        file.map_or(Ok(()), |file| file.write(&record::end(interrupted), true))
    }

    fn opened(&self) -> io::Result<&OpenFile> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        make(&self.folder)?;
        let (path, file) = open(&self.folder, OffsetDateTime::now_utc())?;
        let file = OpenFile {
            path,
            file,
            intents: Cell::new(0),
            trouble: OnceCell::new(),
        };
        file.write(&Record::Header(self.header.clone()), true)?;
        // Makes the name durable. Not every system can sync a folder.
        if let Ok(folder) = File::open(&self.folder) {
            let _ = folder.sync_all();
        }
        Ok(self.file.get_or_init(|| file))
    }

    /// Writes a line whose absence does not stop the run.
    fn note(&self, line: &Record<'_>) {
        if let Some(file) = self.file.get()
            && let Err(error) = file.write(line, false)
        {
            let path = file.path.display().to_string();
            tracing::warn!(receipt = path, %error, "the receipt cannot be written any more");
        }
    }
}

impl OpenFile {
    fn write(&self, line: &Record<'_>, on_disk: bool) -> io::Result<()> {
        if let Some(trouble) = self.trouble.get() {
            return Err(io::Error::other(trouble.clone()));
        }
        let written = serde_json::to_vec(line)
            .map_err(io::Error::other)
            .and_then(|mut text| {
                text.push(b'\n');
                (&self.file).write_all(&text)?;
                if on_disk {
                    self.file.sync_data()?;
                }
                Ok(())
            });
        if let Err(error) = &written {
            let trouble = format!("`{}`: {error}", self.path.display());
            self.trouble.get_or_init(|| trouble);
        }
        written
    }
}

impl Journal for ReceiptFile {
    fn intent(&self, intent: &Intent<'_>) -> io::Result<usize> {
        let file = self.opened().map_err(|error| {
            let folder = self.folder.display();
            io::Error::new(error.kind(), format!("`{folder}`: {error}"))
        })?;
        let write = file.intents.get() + 1;
        file.write(&record::intent(write, intent), true)?;
        file.intents.set(write);
        Ok(write)
    }

    fn outcome(&self, write: usize, response: Result<&Operation, &Error>) {
        self.note(&record::outcome(write, response));
    }

    fn result(&self, result: &InstanceResult) {
        self.note(&record::result(result));
    }

    fn stage(&self, stage: Stage<'_>) {
        self.note(&record::confirmation(stage));
    }
}

/// The receipts of runs that wrote and have not ended: they died or are running. Newest first, and none older than the last run that
/// ended, which has reported them. Includes receipts that cannot be read.
///
/// # Errors
/// The folder cannot be listed. A folder that does not exist has no receipts.
pub fn unfinished_runs(folder: &Path) -> io::Result<Vec<(PathBuf, Result<Receipt, ReceiptError>)>> {
    let mut found = Vec::new();
    for path in receipts(folder)? {
        match Receipt::read(&path) {
            Ok(receipt) if receipt.has_ended() => break,
            Ok(receipt) if receipt.writes.is_empty() => {}
            receipt => found.push((path, receipt)),
        }
    }
    Ok(found)
}

/// A run that had to be confirmed and was not.
#[derive(Debug)]
pub struct Unconfirmed {
    /// Its receipt.
    pub path: PathBuf,
    /// The content of the receipt. A damaged receipt may be from such a run.
    pub receipt: Result<Receipt, ReceiptError>,
    /// Whether the run is still running, as far as the system tells.
    pub is_running: bool,
}

/// The runs that had to be confirmed, wrote, and have neither been confirmed nor ended. Newest first. A run is left out if later
/// runs that ended wrote to every instance that it may have changed.
///
/// Reads only the first line of a receipt, unless its run had to be confirmed.
///
/// # Errors
/// The folder cannot be listed. A folder that does not exist has no receipts.
pub fn unconfirmed(folder: &Path) -> io::Result<Vec<Unconfirmed>> {
    let mut found = Vec::new();
    let paths = receipts(folder)?;
    for (place, path) in paths.iter().enumerate() {
        if !needs_confirmation(path) {
            continue;
        }
        let receipt = Receipt::read(path);
        let is_over = receipt.as_ref().is_ok_and(|receipt| {
            !receipt.died_unconfirmed() || is_overwritten(receipt, &paths[..place])
        });
        if !is_over {
            found.push(Unconfirmed {
                path: path.clone(),
                is_running: is_running(path),
                receipt,
            });
        }
    }
    Ok(found)
}

/// Whether later runs that ended wrote to every instance that this run may have changed.
fn is_overwritten(receipt: &Receipt, later: &[PathBuf]) -> bool {
    let ids = |receipt: &Receipt| -> BTreeSet<InstanceId> {
        let writes = receipt.writes.iter();
        let happened = writes.filter(|write| write.may_have_happened());
        happened.map(|write| write.id.clone()).collect()
    };
    let mut left = ids(receipt);
    for path in later {
        if left.is_empty() {
            break;
        }
        if let Ok(later) = Receipt::read(path)
            && later.has_ended()
        {
            let written = ids(&later);
            left.retain(|id| !written.contains(id));
        }
    }
    left.is_empty()
}

/// Whether the first line of a receipt says that its run has to be confirmed.
fn needs_confirmation(path: &Path) -> bool {
    /// Longer than any header, which has the regions and selectors of a run.
    const MAX_HEADER: u64 = 1 << 20;
    let Ok(file) = File::open(path) else {
        return false;
    };
    let mut lines = BufReader::new(file.take(MAX_HEADER)).split(b'\n');
    let first = lines.next().and_then(Result::ok).unwrap_or_default();
    matches!(serde_json::from_slice(&first), Ok(Record::Header(header)) if header.confirm_within.is_some())
}

/// Whether the process that writes this receipt is running, which holds a lock on the file. `false` if files cannot be locked.
pub fn is_running(path: &Path) -> bool {
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
    // Opening a named pipe would block.
    let is_file = |path: &Path| fs::metadata(path).is_ok_and(|there| there.is_file());
    paths
        .retain(|path| path.extension().is_some_and(|ending| ending == EXTENSION) && is_file(path));
    // Names begin with the time.
    paths.sort_unstable_by(|one, other| other.cmp(one));
    Ok(paths)
}

const EXTENSION: &str = "jsonl";

fn make(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Creates a new file `TIME-PID.jsonl`, with a random suffix if this process creates two within a second.
fn open(folder: &Path, started: OffsetDateTime) -> io::Result<(PathBuf, File)> {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let time = started
        .to_offset(time::UtcOffset::UTC)
        .format(&format)
        .map_err(io::Error::other)?;
    let mut name = format!("{time}-{}", std::process::id());
    loop {
        let path = folder.join(format!("{name}.{EXTENSION}"));
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&path) {
            Ok(file) => {
                // Shows that this run is running. On other systems than Unix, a lock would prevent others from reading.
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
