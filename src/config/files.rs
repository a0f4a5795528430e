//! Where the files of a configuration come from: the disk, or something that looks like one.
//!
//! Owns the few questions that loading asks of a file system. Refuses to know what is in the files, and to decide which
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

    /// The paths that meet a pattern of `*`, `?`, `[...]` and `**/`, in any order.
    ///
    /// # Errors
    /// A place that cannot be looked into, with the reason.
    fn matching(&self, pattern: &str) -> Result<Vec<PathBuf>, (PathBuf, io::Error)>;
}

/// The files of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn shown(&self, path: &Path) -> String {
        path.to_string_lossy().into_owned()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
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

    fn matching(&self, pattern: &str) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
        let invalid = |error: glob::PatternError| {
            let error = io::Error::new(io::ErrorKind::InvalidInput, error.msg);
            (PathBuf::from(pattern), error)
        };
        let mut paths = Vec::new();
        for path in glob::glob(pattern).map_err(invalid)? {
            match path {
                Ok(path) => paths.push(path),
                Err(error) => return Err((error.path().to_owned(), error.into())),
            }
        }
        Ok(paths)
    }
}
