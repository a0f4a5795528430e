//! Storage of the emulator: the state in an inventory file, and the operations in a file beside it.
//!
//! Owns the lock and the replacement of the file. There is no lock file: the file itself is locked, and each new version is locked
//! before it replaces the old one. Does not overwrite changes of other programs, or write if the file is opened for reading.

mod operation_log;

use std::fs::{self, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::atomic_file;
use crate::input;
use crate::inventory::{self, Inventory};

use super::operation::Operation;
use operation_log::OperationLog;
pub use operation_log::OperationLogError;

/// The access to the file of an emulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileAccess {
    /// Read only: writes of clients are refused, and an instance that starts running does so in memory only. Other emulators may read the
    /// file at the same time.
    ReadOnly,
    /// The file is written after each write of a client. No other emulator may have it open.
    ReadWrite,
}

/// A file cannot be opened as the state of an emulator.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be found, read, locked, or opened for writing.
    #[error("cannot open `{}`", .0.display())]
    Io(PathBuf, #[source] io::Error),
    /// The file is a directory, a pipe or a device.
    #[error("`{}` is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// Another emulator has the file open.
    #[error("`{}` is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The file is not an inventory.
    #[error("cannot read `{}`", .0.display())]
    Inventory(PathBuf, #[source] inventory::InventoryError),
    /// The file of operations cannot be read.
    #[error("cannot read `{}`", .0.display())]
    Operations(PathBuf, #[source] OperationLogError),
}

/// A locked file.
#[derive(Debug)]
pub(super) struct Store {
    /// The canonical path, so that a symbolic link stays when the file is replaced.
    path: PathBuf,
    pub(super) access: FileAccess,
    /// The locked file. Its content is read only once.
    file: File,
    version: FileVersion,
    log: OperationLog,
}

/// How often opening is repeated if another process replaces the file meanwhile.
const ATTEMPTS: usize = 100;

impl Store {
    /// Locks the file and reads it, and the file of operations.
    pub(super) fn open(
        path: &Path,
        access: FileAccess,
    ) -> Result<(Self, Inventory, Vec<Operation>), OpenError> {
        let io = |source| OpenError::Io(path.to_owned(), source);
        let in_use = || OpenError::InUse(path.to_owned());
        let canonical = fs::canonicalize(path).map_err(io)?;
        for _ in 0..ATTEMPTS {
            // Before opening, because opening a pipe would block.
            if !fs::metadata(&canonical).map_err(io)?.is_file() {
                return Err(OpenError::NotAFile(path.to_owned()));
            }
            let mut file = OpenOptions::new()
                .read(true)
                .write(access == FileAccess::ReadWrite)
                .open(&canonical)
                .map_err(io)?;
            let locked = match access {
                FileAccess::ReadOnly => file.try_lock_shared(),
                FileAccess::ReadWrite => file.try_lock(),
            };
            match locked {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(in_use()),
                Err(TryLockError::Error(source)) => return Err(io(source)),
            }
            let metadata = file.metadata().map_err(io)?;
            let version = FileVersion::of(&metadata);
            // The file may have been replaced between opening and locking. Then the lock is on the old file.
            if FileVersion::of(&fs::metadata(&canonical).map_err(io)?) != version {
                continue;
            }
            let text = input::read_stream(&mut file)
                .and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other))
                .map_err(io)?;
            let inventory = Inventory::parse(&text)
                .map_err(|source| OpenError::Inventory(path.to_owned(), source))?;
            let (log, operations) = open_log(&canonical, access, &metadata.permissions())?;
            let store = Self {
                path: canonical,
                access,
                file,
                version,
                log,
            };
            return Ok((store, inventory, operations));
        }
        Err(in_use())
    }

    /// Replaces the file atomically and durably. It keeps its permissions, and after an error its content.
    pub(super) fn replace(&mut self, text: &str) -> io::Result<()> {
        let metadata = fs::metadata(&self.path)?;
        if FileVersion::of(&metadata) != self.version {
            return Err(io::Error::other("another program changed it meanwhile"));
        }
        let file = atomic_file::replace(&self.path, text.as_bytes(), Some(metadata.permissions()))?;
        self.version = FileVersion::of(&file.metadata()?);
        self.file = file;
        Ok(())
    }

    /// Appends a step of an operation to the file of operations, durably.
    pub(super) fn append(&mut self, operation: &Operation) -> io::Result<()> {
        let permissions = self.file.metadata()?.permissions();
        self.log.append(operation, &permissions)
    }
}

/// Reads the operations of a locked state. With write access, also repairs the file after a killed run.
fn open_log(
    state: &Path,
    access: FileAccess,
    permissions: &Permissions,
) -> Result<(OperationLog, Vec<Operation>), OpenError> {
    let mut log = OperationLog::for_state(state);
    let path = log.path.clone();
    let io = |source| OpenError::Io(path.clone(), source);
    let text = log.text().map_err(io)?;
    let mut operations = operation_log::parse(text.as_deref().unwrap_or_default())
        .map_err(|source| OpenError::Operations(path.clone(), source))?;
    if access == FileAccess::ReadWrite {
        for path in [state, &path] {
            atomic_file::remove_leftovers(path);
        }
        if let Some(text) = text {
            log.compact(&text, &mut operations, permissions)
                .map_err(io)?;
        }
    }
    Ok((log, operations))
}

/// The version of a file: its identity, and the time of the last write, because other programs (an editor) may ignore the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FileVersion {
    /// The device and the inode.
    identity: (u64, u64),
    length: u64,
    modified: Option<SystemTime>,
}

impl FileVersion {
    fn of(metadata: &Metadata) -> Self {
        Self {
            identity: identity(metadata),
            length: metadata.len(),
            modified: metadata.modified().ok(),
        }
    }
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

/// On other systems an open and locked file cannot be replaced, and the standard library has no identity for it.
#[cfg(not(unix))]
fn identity(_: &Metadata) -> (u64, u64) {
    (0, 0)
}

#[cfg(test)]
mod tests;
