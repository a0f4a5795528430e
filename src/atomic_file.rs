//! Files that are written: whole or not at all, for their owner, and in the place that was named.
//!
//! **Owns** the one way in which this program writes a file that may be read at any time: a temporary file in the same
//! directory, on the disk before it takes the name. Whoever reads finds the old content or the new one. A file that was not
//! there gets the mode 0600; one that was keeps its mode. A link is not followed, so that nobody can have another file
//! written. What a run that was killed left behind is removed by the next that writes the same file. **Does not** know what
//! is written. A receipt is not written so: it must be there before the first write that it tells of.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

/// The end of the name of a temporary file, which is like no other program's, so that nobody else's file is taken for one.
/// Between it and the name of the file that will be replaced stand as many random letters and digits as [`RANDOM`] says.
const SUFFIX: &str = ".portward-tmp";
const RANDOM: usize = 6;

/// How often another temporary file is made where somebody took the last one for what a killed run left behind.
const ATTEMPTS: usize = 100;

/// Writes a file in one step. A device or a pipe is written to as it is.
///
/// # Errors
/// What keeps it from being written, in which case the file is as it was; a link to a file.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    match place(path)? {
        Place::Stream => OpenOptions::new()
            .append(true)
            .open(path)?
            .write_all(content),
        Place::File(permissions) => {
            remove_leftovers(path);
            replace(path, content, permissions).map(drop)
        }
    }
}

/// Puts a file with this content in the place of another in one step, whatever is there, and gives it. It is locked for
/// whoever holds it, since before it had the name.
///
/// # Errors
/// What keeps it from being written, in which case what was there is as it was.
pub(crate) fn replace(
    path: &Path,
    content: &[u8],
    permissions: Option<Permissions>,
) -> io::Result<File> {
    let (directory, name) = parts(path)?;
    let mut next = temporary(directory, name)?;
    next.write_all(content)?;
    if let Some(permissions) = permissions {
        next.as_file().set_permissions(permissions)?;
    }
    next.as_file().sync_all()?;
    let file = next.persist(path).map_err(|error| error.error)?;
    // Not every system can do this for a directory, and the file is there all the same.
    if let Ok(directory) = File::open(directory) {
        let _ = directory.sync_all();
    }
    Ok(file)
}

/// Removes what runs that were killed left beside a file. What is locked belongs to one that goes on. A directory that
/// cannot be listed, and a file that cannot be locked or removed, keep nobody from writing.
pub(crate) fn remove_leftovers(path: &Path) {
    for path in leftovers(path) {
        // The lock is held until it is removed, so that whoever has just made it does not take it for theirs.
        if let Ok(file) = File::open(&path)
            && file.try_lock().is_ok()
        {
            let _ = fs::remove_file(&path);
        }
    }
}

/// What is at a path.
enum Place {
    /// A device, a pipe or a socket, or a name for one of the streams of this process.
    Stream,
    /// A file with these permissions, or none yet.
    File(Option<Permissions>),
}

fn place(path: &Path) -> io::Result<Place> {
    let there = match fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Place::File(None)),
        Err(error) => return Err(error),
    };
    if there.is_dir() {
        return Err(io::Error::other("it is a directory"));
    }
    if there.is_file() {
        return Ok(Place::File(Some(there.permissions())));
    }
    // Such as /dev/stdout and /dev/fd/3, which are links to whatever the stream leads to.
    let is_stream = ["/dev/stdout", "/dev/stderr", "/dev/fd", "/proc/self/fd"]
        .iter()
        .any(|of| path.starts_with(of));
    if there.is_symlink() && !is_stream {
        return Err(io::Error::other(
            "it is a link, which is not written through: name the file that it leads to",
        ));
    }
    Ok(Place::Stream)
}

/// The directory of a file, and its name.
fn parts(path: &Path) -> io::Result<(&Path, &OsStr)> {
    let Some(name) = path.file_name() else {
        return Err(io::Error::other("it has no name"));
    };
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    Ok((directory, name))
}

/// A file that is locked, so that nobody takes it for a leftover. Only its owner may read it.
fn temporary(directory: &Path, name: &OsStr) -> io::Result<NamedTempFile> {
    for _ in 0..ATTEMPTS {
        let next = Builder::new()
            .prefix(&prefix(name))
            .suffix(SUFFIX)
            .rand_bytes(RANDOM)
            .tempfile_in(directory)?;
        // Between making and locking it, somebody may have found it without a lock.
        let lock = next.as_file().try_lock();
        let is_taken = matches!(lock, Err(fs::TryLockError::WouldBlock));
        if !is_taken && next.path().exists() {
            return Ok(next);
        }
    }
    Err(io::Error::other("its temporary file is always removed"))
}

fn prefix(name: &OsStr) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(name);
    prefix.push(".");
    prefix
}

fn leftovers(path: &Path) -> Vec<PathBuf> {
    let Ok((directory, name)) = parts(path) else {
        return Vec::new();
    };
    let prefix = prefix(name);
    let is_ours = |name: &OsStr| {
        name.as_encoded_bytes()
            .strip_prefix(prefix.as_encoded_bytes())
            .and_then(|rest| rest.strip_suffix(SUFFIX.as_bytes()))
            .is_some_and(|random| {
                random.len() == RANDOM && random.iter().all(u8::is_ascii_alphanumeric)
            })
    };
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| is_ours(&entry.file_name()))
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.path())
        .collect()
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::thread;

    use super::*;

    fn mode(path: &Path) -> u32 {
        let metadata = fs::metadata(path).expect("a file");
        metadata.permissions().mode() & 0o777
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("a directory");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name())
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_new_file_is_for_its_owner_and_an_old_one_keeps_its_mode() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.json");
        write(&path, b"one").expect("written");
        assert_eq!(mode(&path), 0o600);
        for kept in [0o644, 0o640, 0o600] {
            fs::set_permissions(&path, Permissions::from_mode(kept)).expect("a mode");
            write(&path, b"two").expect("written");
            assert_eq!(
                (mode(&path), fs::read(&path).expect("text")),
                (kept, b"two".to_vec())
            );
        }
        assert_eq!(names(directory.path()), ["a.json"]);
    }

    #[test]
    fn a_link_is_not_written_through() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        fs::write(at("secret"), "secret").expect("a file");
        symlink(at("secret"), at("link")).expect("a link");
        symlink(at("nowhere"), at("dangling")).expect("a link");
        symlink(at("link"), at("chain")).expect("a link");
        symlink(directory.path(), at("folder")).expect("a link");
        symlink("/dev/null", at("device")).expect("a link");
        for name in ["link", "dangling", "chain", "folder", "device"] {
            let error = write(&at(name), b"other").expect_err("a link");
            assert!(
                error.to_string().contains("it is a link"),
                "{name}: {error}"
            );
            assert!(fs::symlink_metadata(at(name)).expect("a link").is_symlink());
        }
        let error = write(directory.path(), b"other").expect_err("a directory");
        assert_eq!(error.to_string(), "it is a directory");
        assert_eq!(fs::read(at("secret")).expect("text"), b"secret");
        assert!(!at("nowhere").exists());
    }

    #[test]
    fn devices_and_pipes_are_written_to() {
        write(Path::new("/dev/null"), b"text").expect("written");
        assert!(fs::symlink_metadata("/dev/null").is_ok_and(|it| !it.is_file()));
        if Path::new("/dev/full").exists() {
            assert!(write(Path::new("/dev/full"), b"text").is_err());
        }
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let number = std::os::fd::AsRawFd::as_raw_fd(&writer);
        let path = PathBuf::from(format!("/dev/fd/{number}"));
        if path.exists() {
            write(&path, b"text").expect("written");
            drop(writer);
            let mut text = String::new();
            io::Read::read_to_string(&mut reader, &mut text).expect("text");
            assert_eq!(text, "text");
        }
    }

    #[test]
    fn what_a_killed_run_left_is_removed_and_nothing_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        let others = [
            ".a.json.12345.portward-tmp",
            ".a.json.1234567.portward-tmp",
            ".a.json.12-456.portward-tmp",
            ".a.json.123456.tmp",
            ".b.json.123456.portward-tmp",
            ".a.json.locked.portward-tmp",
        ];
        for name in others.iter().chain(&[".a.json.aB3dE6.portward-tmp"]) {
            fs::write(at(name), "half").expect("a file");
        }
        symlink(at("b"), at(".a.json.links1.portward-tmp")).expect("a link");
        let goes_on = File::open(at(".a.json.locked.portward-tmp")).expect("a file");
        goes_on.try_lock().expect("a lock");
        write(&at("a.json"), b"text").expect("written");
        let mut left: Vec<&str> = others.to_vec();
        left.extend(["a.json", ".a.json.links1.portward-tmp"]);
        left.sort_unstable();
        assert_eq!(names(directory.path()), left);
        drop(goes_on);
        write(&at("a.json"), b"text").expect("written");
        assert!(!at(".a.json.locked.portward-tmp").exists());
    }

    #[test]
    fn what_cannot_be_written_leaves_the_file_as_it_was() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.json");
        fs::write(&path, "old").expect("a file");
        assert!(write(&directory.path().join("no/such/a.json"), b"new").is_err());
        assert!(write(Path::new("/"), b"new").is_err() && write(Path::new(""), b"new").is_err());
        // Root may write everywhere.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o500)).expect("a mode");
        let written = write(&path, b"new").is_ok();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).expect("a mode");
        let text = fs::read(&path).expect("text");
        assert_eq!(text, if written { b"new" } else { b"old" });
        assert_eq!(names(directory.path()), ["a.json"]);
    }

    #[test]
    fn many_writers_leave_one_whole_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a");
        thread::scope(|scope| {
            for letter in *b"abcd" {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..50 {
                        write(path, &[letter; 4096]).expect("written");
                        let text = fs::read(path).expect("text");
                        assert_eq!(text, [text[0]; 4096]);
                    }
                });
            }
        });
        assert_eq!(names(directory.path()), ["a"]);
    }
}
