//! The state of an emulator in a file, which is an inventory, and its operations in a file beside it.
//!
//! Owns the lock and the replacement of the file. There is no lock file: the file itself is locked, and each version that
//! takes its place is locked before it does. Refuses to overwrite what another program wrote meanwhile, and to write at
//! all when opened for reading.

mod operations;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::inventory::{self, Inventory};

use super::operations::Operation;
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
            let mut text = String::new();
            file.read_to_string(&mut text).map_err(io)?;
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
        // Locked before it has the name, so that at no moment the name stands for a file that is not locked.
        let file = replace(&self.path, text, there.permissions(), |next| {
            Ok(lock(next, self.access)?)
        })?;
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
            remove_leftovers(path).map_err(|source| io(path, source))?;
        }
        if let Some(text) = text {
            let tidied = log.tidy(&text, &mut operations, permissions);
            tidied.map_err(|source| io(log.path(), source))?;
        }
    }
    Ok((log, operations))
}

/// Between these two stand as many random letters and digits as [`RANDOM`] says. The end is like no other program's, so
/// that nobody else's file is taken for a leftover.
const TEMPORARY: &str = ".portward-tmp";
const RANDOM: usize = 6;

fn temporary_prefix(path: &Path) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    prefix.push(".");
    prefix
}

/// Puts a file with this text in the place of `path`, in one step and on the disk. `prepare` sees it before it has the name.
fn replace(
    path: &Path,
    text: &str,
    permissions: Permissions,
    prepare: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<File> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut next = tempfile::Builder::new()
        .prefix(&temporary_prefix(path))
        .suffix(TEMPORARY)
        .rand_bytes(RANDOM)
        .tempfile_in(directory)?;
    next.write_all(text.as_bytes())?;
    next.as_file().set_permissions(permissions)?;
    next.as_file().sync_all()?;
    prepare(next.as_file())?;
    let file = next.persist(path).map_err(|error| error.error)?;
    sync_directory(directory)?;
    Ok(file)
}

/// Removes what a run that was killed between making and renaming a file left behind. Only whoever holds the lock of the
/// state makes such files, so none of them is somebody else's.
fn remove_leftovers(path: &Path) -> io::Result<()> {
    let prefix = temporary_prefix(path);
    let is_leftover = |name: &OsStr| {
        let name = name.as_encoded_bytes();
        name.strip_prefix(prefix.as_encoded_bytes())
            .and_then(|rest| rest.strip_suffix(TEMPORARY.as_bytes()))
            .is_some_and(|random| {
                random.len() == RANDOM && random.iter().all(u8::is_ascii_alphanumeric)
            })
    };
    for entry in fs::read_dir(path.parent().unwrap_or(Path::new(".")))? {
        let entry = entry?;
        if is_leftover(&entry.file_name()) && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn lock(file: &File, access: Access) -> Result<(), TryLockError> {
    match access {
        Access::ReadOnly => file.try_lock_shared(),
        Access::ReadWrite => file.try_lock(),
    }
}

/// Without this, the new name might not survive a power cut.
#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same signature everywhere")]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
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
