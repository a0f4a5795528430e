//! The file system of a configuration: the disk, or a revision of a repository.
//!
//! Owns the operations that loading needs. Does not know the content of files, or decide which may be read.

use std::io;
use std::path::{Path, PathBuf};

/// The type of the file at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link that was not followed.
    Link,
    /// Any other type, or nothing.
    Other,
}

/// A source of files.
///
/// Paths are as the user wrote them, or joined from such paths.
pub trait Files {
    /// The name of a path in messages and in the origins of rules.
    fn shown(&self, path: &Path) -> String;

    /// Reads a file.
    ///
    /// # Errors
    /// The file cannot be read.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The canonical path of a file, with `..` and links resolved. The empty path is the directory that relative paths are relative to.
    ///
    /// # Errors
    /// The path does not exist.
    fn real(&self, path: &Path) -> io::Result<PathBuf>;

    /// The type of the file at a path that [`real`](Self::real) returned.
    fn kind(&self, real: &Path) -> Kind;

    /// The names in a directory with their types, in any order, without names that are not UTF-8. Links are not followed.
    ///
    /// # Errors
    /// The directory cannot be listed.
    fn list(&self, directory: &Path) -> io::Result<Vec<(String, Kind)>>;
}

/// The files of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Disk;

impl Files for Disk {
    fn shown(&self, path: &Path) -> String {
        path.to_string_lossy().into_owned()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        crate::input::read_in_place(path)
    }

    fn real(&self, path: &Path) -> io::Result<PathBuf> {
        let here = path.as_os_str().is_empty();
        std::fs::canonicalize(if here { Path::new(".") } else { path })
    }

    fn kind(&self, real: &Path) -> Kind {
        if real.is_file() {
            Kind::File
        } else if real.is_dir() {
            Kind::Directory
        } else {
            Kind::Other
        }
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<(String, Kind)>> {
        let here = directory.as_os_str().is_empty();
        let mut list = Vec::new();
        for entry in std::fs::read_dir(if here { Path::new(".") } else { directory })? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let kind = if kind.is_symlink() {
                Kind::Link
            } else if kind.is_dir() {
                Kind::Directory
            } else if kind.is_file() {
                Kind::File
            } else {
                Kind::Other
            };
            list.extend(
                entry
                    .file_name()
                    .into_string()
                    .ok()
                    .map(|name| (name, kind)),
            );
        }
        Ok(list)
    }
}
