//! Files that are read: regular, of a bounded size, and where they seem to be.
//!
//! What a run reads may come from somebody else: a pull request, a download, an artifact. Owns the rules for all of it: a
//! device or a pipe is not opened, since it may never end; more than [`MOST_BYTES`] is not read; and a file of a repository
//! is not a link out of its directory, since a message about its contents would then show another file's. Does not know
//! what is in the files.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

/// The most bytes of one input file.
///
/// An inventory of 100,000 instances with ten rules each has 190 MB, and a configuration of as many 70 MB; nobody has a
/// hundredth of that.
pub(crate) const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// The bytes of a file that the caller vouches for, such as one that is named on the command line.
///
/// # Errors
/// What keeps it from being read; a file that is not regular or is too large.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_up_to(path, MOST_BYTES)
}

/// As [`read`], for a file of a repository: a link must stay in the directory in which it is.
///
/// # Errors
/// As [`read`], and a link that leads elsewhere.
pub(crate) fn read_in_place(path: &Path) -> io::Result<Vec<u8>> {
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    let real = fs::canonicalize(path)?;
    if !real.starts_with(fs::canonicalize(directory)?) {
        return Err(io::Error::other(
            "it is a link to a file outside its directory",
        ));
    }
    read(&real)
}

/// As [`read`], as text.
///
/// # Errors
/// As [`read`], and what is not UTF-8.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

fn read_up_to(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    // Before it is opened: opening a pipe waits for somebody who writes.
    is_regular(&fs::metadata(path)?)?;
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    is_regular(&metadata)?;
    // As much as it will take, and a byte that shows the end: a buffer that grows is twice as large as a large file.
    let expected = metadata.len().min(most) + 1;
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or_default());
    append_up_to(&mut bytes, file, most)?;
    Ok(bytes)
}

/// As [`read`], from a stream such as standard input.
///
/// # Errors
/// What keeps it from being read, and a stream that is too long.
pub(crate) fn read_stream(stream: impl io::Read) -> io::Result<Vec<u8>> {
    read_stream_up_to(stream, MOST_BYTES)
}

/// As [`read_stream`], with another limit.
pub(crate) fn read_stream_up_to(stream: impl io::Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    append_up_to(&mut bytes, stream, most)?;
    Ok(bytes)
}

fn append_up_to(bytes: &mut Vec<u8>, stream: impl io::Read, most: u64) -> io::Result<()> {
    stream.take(most + 1).read_to_end(bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!(
            "it has more than {most} bytes, the limit of an input file"
        )));
    }
    Ok(())
}

fn is_regular(metadata: &fs::Metadata) -> io::Result<()> {
    let what = if metadata.is_dir() {
        "it is a directory"
    } else if metadata.is_file() {
        return Ok(());
    } else {
        "it is not a regular file"
    };
    Err(io::Error::other(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why<T>(result: io::Result<T>) -> String {
        result.map_or_else(|error| error.to_string(), |_| "read".to_owned())
    }

    #[test]
    fn only_regular_files_of_a_bounded_size_are_read() {
        let folder = tempfile::tempdir().expect("a directory");
        let file = folder.path().join("file");
        fs::write(&file, "12345").expect("a file");
        assert_eq!(why(read_up_to(&file, 5)), "read");
        assert_eq!(
            why(read_up_to(&file, 4)),
            "it has more than 4 bytes, the limit of an input file"
        );
        assert_eq!(why(read(folder.path())), "it is a directory");
        #[cfg(unix)]
        assert_eq!(
            why(read(Path::new("/dev/zero"))),
            "it is not a regular file"
        );
        #[cfg(target_os = "linux")]
        assert_eq!(
            why(read(Path::new("/dev/stdin"))),
            why(read(Path::new("/proc/self/fd/0")))
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_link_of_a_repository_stays_in_its_directory() {
        use std::os::unix::fs::symlink;

        let folder = tempfile::tempdir().expect("a directory");
        let inside = folder.path().join("repository");
        fs::create_dir_all(inside.join("..data")).expect("a directory");
        fs::write(folder.path().join("secret"), "secret").expect("a file");
        fs::write(inside.join("..data/file"), "text").expect("a file");
        // As a Kubernetes volume lays out a file.
        symlink("..data/file", inside.join("link")).expect("a link");
        symlink("../secret", inside.join("out")).expect("a link");
        symlink("out", inside.join("chain")).expect("a link");
        assert_eq!(why(read_in_place(&inside.join("link"))), "read");
        for name in ["out", "chain"] {
            assert_eq!(
                why(read_in_place(&inside.join(name))),
                "it is a link to a file outside its directory"
            );
            assert_eq!(why(read(&inside.join(name))), "read");
        }
    }
}
