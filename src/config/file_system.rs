//! The file system of a configuration: the disk, or a revision of a repository.
//!
//! Owns the operations that loading needs. Does not know the content of files, or decide which may be read.

use std::io;
use std::path::{Path, PathBuf};

/// The type of the file at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileType {
    File,
    Directory,
    /// A symbolic link that was not followed.
    Symlink,
    /// Any other type, or nothing.
    Other,
}

/// A source of files.
///
/// Paths are as the user wrote them, or joined from such paths.
pub(crate) trait FileSystem {
    /// The name of a path in messages and in the origins of rules.
    fn display_name(&self, path: &Path) -> String;

    ///
    /// # Errors
    /// The file cannot be read.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The canonical path of a file, with `..` and links resolved. The empty path is the directory that relative paths are relative to.
    ///
    /// # Errors
    /// The path does not exist.
    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf>;

    /// The type of the file at a path that [`canonicalize`](Self::canonicalize) returned.
    fn file_type(&self, canonical: &Path) -> FileType;

    /// The names in a directory with their types, in any order, without names that are not UTF-8. Links are not followed.
    ///
    /// # Errors
    /// The directory cannot be listed.
    fn read_dir(&self, directory: &Path) -> io::Result<Vec<(String, FileType)>>;
}

/// The files of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Disk;

impl FileSystem for Disk {
    fn display_name(&self, path: &Path) -> String {
        path.to_string_lossy().into_owned()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        crate::input::read_in_place(path)
    }

    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        std::fs::canonicalize(or_current_directory(path))
    }

    fn file_type(&self, canonical: &Path) -> FileType {
        std::fs::metadata(canonical).map_or(FileType::Other, |metadata| metadata.file_type().into())
    }

    fn read_dir(&self, directory: &Path) -> io::Result<Vec<(String, FileType)>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(or_current_directory(directory))? {
            let entry = entry?;
            let file_type = entry.file_type()?.into();
            if let Ok(name) = entry.file_name().into_string() {
                entries.push((name, file_type));
            }
        }
        Ok(entries)
    }
}

fn or_current_directory(path: &Path) -> &Path {
    if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    }
}

impl From<std::fs::FileType> for FileType {
    fn from(file_type: std::fs::FileType) -> Self {
        if file_type.is_symlink() {
            Self::Symlink
        } else if file_type.is_dir() {
            Self::Directory
        } else if file_type.is_file() {
            Self::File
        } else {
            Self::Other
        }
    }
}
