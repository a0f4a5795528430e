//! The state of an emulator in a file, which is an inventory, and its operations in a file beside it.
//!
//! Owns the lock and the replacement of the file. There is no lock file: the file itself is locked, and each version that
//! takes its place is locked before it does. Does not overwrite what another program wrote meanwhile, nor write at
//! all when opened for reading.

mod operations;

use std::fs::{self, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::atomic_file;
use crate::input;
use crate::inventory::{self, Inventory};

use super::operation::Operation;
use operations::Log;
pub use operations::OperationsError;

/// What may be done with the file of an emulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It is never written: writes of clients are refused, and an instance that turns running does so in memory only.
    /// Others may read it at the same time.
    ReadOnly,
    /// It is written after each write of a client. Nobody else may have it open.
    ReadWrite,
}

/// Why a file cannot be the state of an emulator. The cause, where there is one, is the source.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be found, read, locked, or opened for writing.
    #[error("cannot open `{}`", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is a directory, a pipe or a device.
    #[error("`{}` is not a regular file", path.display())]
    NotAFile {
        /// Which.
        path: PathBuf,
    },
    /// Another emulator has it open.
    #[error("`{}` is in use by another process", path.display())]
    InUse {
        /// Which file.
        path: PathBuf,
    },
    /// It is no inventory.
    #[error("cannot read `{}`", path.display())]
    Inventory {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: inventory::Error,
    },
    /// The file of operations beside it cannot be read.
    #[error("cannot read `{}`", path.display())]
    Operations {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: OperationsError,
    },
}

/// A locked file.
#[derive(Debug)]
pub(super) struct Store {
    /// Without symbolic links, so that a link stays one when the file is replaced.
    path: PathBuf,
    access: Access,
    /// Holds the lock. Its content is only read once.
    file: File,
    stamp: Stamp,
    log: Log,
}

/// What a file holds.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) inventory: Inventory,
    pub(super) operations: Vec<Operation>,
}

/// How often a file that is being replaced is tried again: each time, somebody else got hold of it first.
const ATTEMPTS: usize = 100;

impl Store {
    /// Locks the file and reads it.
    pub(super) fn open(path: &Path, access: Access) -> Result<(Self, Content), OpenError> {
        let io = |source| OpenError::Io {
            path: path.to_owned(),
            source,
        };
        let real = fs::canonicalize(path).map_err(io)?;
        for _ in 0..ATTEMPTS {
            // Before opening: to open a pipe would wait for its other end.
            if !fs::metadata(&real).map_err(io)?.is_file() {
                return Err(OpenError::NotAFile {
                    path: path.to_owned(),
                });
            }
            let mut file = OpenOptions::new()
                .read(true)
                .write(access == Access::ReadWrite)
                .open(&real)
                .map_err(io)?;
            match lock(&file, access) {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(OpenError::InUse {
                        path: path.to_owned(),
                    });
                }
                Err(TryLockError::Error(source)) => return Err(io(source)),
            }
            let metadata = file.metadata().map_err(io)?;
            let stamp = Stamp::of(&metadata);
            // Between opening and locking, the file may have been replaced: then the lock is on what nobody can see.
            if Stamp::of(&fs::metadata(&real).map_err(io)?) != stamp {
                continue;
            }
            let text = input::read_stream(&mut file)
                .and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other))
                .map_err(io)?;
            let inventory = Inventory::parse(&text).map_err(|source| OpenError::Inventory {
                path: path.to_owned(),
                source,
            })?;
            let (log, operations) = open_log(&real, access, &metadata.permissions())?;
            let store = Self {
                path: real,
                access,
                file,
                stamp,
                log,
            };
            let content = Content {
                inventory,
                operations,
            };
            return Ok((store, content));
        }
        Err(OpenError::InUse {
            path: path.to_owned(),
        })
    }

    pub(super) fn access(&self) -> Access {
        self.access
    }

    /// Replaces the file in one step, and on the disk. The mode bits stay; after an error, so does the file.
    pub(super) fn replace(&mut self, text: &str) -> io::Result<()> {
        let there = fs::metadata(&self.path)?;
        if Stamp::of(&there) != self.stamp {
            return Err(io::Error::other("another program changed it meanwhile"));
        }
        let file = atomic_file::replace(&self.path, text.as_bytes(), Some(there.permissions()))?;
        self.stamp = Stamp::of(&file.metadata()?);
        self.file = file;
        Ok(())
    }

    /// Adds a step of an operation to the file beside this one, on the disk.
    pub(super) fn append(&mut self, operation: &Operation) -> io::Result<()> {
        let permissions = self.file.metadata()?.permissions();
        self.log.append(operation, &permissions)
    }
}

/// Reads the operations beside a state that is locked. Whoever may write also tidies up after a run that was killed.
fn open_log(
    state: &Path,
    access: Access,
    permissions: &Permissions,
) -> Result<(Log, Vec<Operation>), OpenError> {
    let mut log = Log::beside(state);
    let io = |path: &Path, source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    let text = log.text().map_err(|source| io(log.path(), source))?;
    let mut operations =
        operations::parse(text.as_deref().unwrap_or_default()).map_err(|source| {
            OpenError::Operations {
                path: log.path().to_owned(),
                source,
            }
        })?;
    if access == Access::ReadWrite {
        for path in [state, log.path()] {
            atomic_file::remove_leftovers(path);
        }
        if let Some(text) = text {
            let tidied = log.tidy(&text, &mut operations, permissions);
            tidied.map_err(|source| io(log.path(), source))?;
        }
    }
    Ok((log, operations))
}

fn lock(file: &File, access: Access) -> Result<(), TryLockError> {
    match access {
        Access::ReadOnly => file.try_lock_shared(),
        Access::ReadWrite => file.try_lock(),
    }
}

/// What tells one version of the file from another: which file it is, and whether somebody who asked for no lock (an
/// editor) has written into it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            file: identity(metadata),
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

/// Elsewhere a file cannot be replaced while it is open and locked, and has no number that the standard library knows.
#[cfg(not(unix))]
fn identity(_: &Metadata) -> (u64, u64) {
    (0, 0)
}

#[cfg(test)]
mod tests;
