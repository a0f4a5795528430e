//! Where the files of a configuration come from: the disk, or something that looks like one.
//!
//! Owns the few questions that loading asks of a file system. Does not know what is in the files, and to decide which
//! of them may be read.

use std::io;
use std::path::{Path, PathBuf};

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file with a text.
    File,
    /// A directory.
    Directory,
    /// A link, where it was not followed.
    Link,
    /// Anything else, or nothing.
    Other,
}

/// Something that holds files, such as the disk or a revision of a repository.
///
/// Paths are as the user wrote them, or joined from such.
pub trait Files {
    /// What a path is called in messages, and in the origins of rules.
    fn shown(&self, path: &Path) -> String;

    /// The bytes of a file.
    ///
    /// # Errors
    /// Whatever keeps them from being read.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The one path of a file, with `..` and links followed. The empty path is the directory that relative paths are
    /// relative to.
    ///
    /// # Errors
    /// A path that leads nowhere.
    fn real(&self, path: &Path) -> io::Result<PathBuf>;

    /// What is at a path that [`real`](Self::real) gave.
    fn kind(&self, real: &Path) -> Kind;

    /// What is in a directory, by name, in any order; what is not UTF-8 cannot be named in a configuration. Links are not
    /// followed.
    ///
    /// # Errors
    /// Whatever keeps it from being listed.
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
