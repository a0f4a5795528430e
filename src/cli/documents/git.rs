//! The files of one revision of a git repository.
//!
//! Owns the running of `git`, which only reads and never prompts or fetches. Does not follow links, which a revision stores
//! as text, and does not let `git` take a revision for an option.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use crate::cli::error::CommandError;
use crate::config::{FileSystem, FileType};
use crate::input;
use crate::model::Code;

/// A revision, with the names of the files that a configuration in it may include.
#[derive(Debug)]
pub(super) struct Revision {
    /// As the user named it.
    name: String,
    /// The commit or tree.
    id: String,
    /// Files by their path from the top, and whether they are regular.
    files: BTreeMap<PathBuf, bool>,
}

/// What a regular file's mode begins with; links begin with 12, other repositories with 16.
const REGULAR: &str = "10";

impl Revision {
    /// Looks for `REV:PATH`. As for git, a path is from the top of the repository, unless it begins with `./` or `../`.
    pub(super) fn open(text: &str) -> Result<(Self, PathBuf), CommandError> {
        let usage_error = || {
            CommandError::usage(
                format!("`git:{text}` names no file of a revision"),
                "expected git:REV:PATH, such as git:HEAD~1:firewall.toml",
            )
        };
        let (name, path) = split_revision(text).ok_or_else(usage_error)?;
        if name.is_empty() || path.is_empty() || name.starts_with('-') {
            return Err(usage_error());
        }
        let id = run_git(&[
            "rev-parse",
            "--verify",
            "--end-of-options",
            &format!("{name}^{{tree}}"),
        ])
        .map_err(|error| {
            CommandError::failed(format!("cannot find the revision `{name}`: {error}"))
                .with_code(Code::NotFound)
                .with_hint("is this a repository, and is the revision fetched?")
        })?;
        let id = String::from_utf8_lossy(&id).trim().to_owned();
        let mut from_top = PathBuf::new();
        if path.starts_with("./") || path.starts_with("../") {
            let prefix = run_git(&["rev-parse", "--show-prefix"]).map_err(|error| {
                CommandError::failed(format!("cannot find the directory: {error}"))
                    .with_code(Code::NotFound)
            })?;
            from_top.push(String::from_utf8_lossy(&prefix).trim_end_matches('\n'));
        }
        let path = normalize(&from_top.join(path)).ok_or_else(usage_error)?;
        let mut revision = Self {
            name: name.to_owned(),
            id,
            files: BTreeMap::new(),
        };
        revision.list_files(path.parent().unwrap_or(Path::new("")))?;
        if !revision.files.contains_key(&path) {
            let message = format!("there is no file `{}`", revision.display_name(&path));
            let hint = "the path is from the top of the repository; `./` makes it relative to this directory";
            return Err(CommandError::failed(message)
                .with_code(Code::NotFound)
                .with_hint(hint));
        }
        Ok((revision, path))
    }

    /// Reads the names of the files in and below a directory.
    fn list_files(&mut self, directory: &Path) -> Result<(), CommandError> {
        let failed = |error| CommandError::file("list the files of", &self.name, error);
        let below = format!("{}/", directory.display());
        let mut args = vec!["ls-tree", "-r", "-z", "--full-tree", &self.id];
        if !directory.as_os_str().is_empty() {
            args.extend(["--", &below]);
        }
        let list = run_git(&args).map_err(failed)?;
        // Each is `MODE TYPE ID<tab>PATH<nul>`; what is not UTF-8 cannot be named in a configuration.
        for entry in list.split(|byte| *byte == 0) {
            let Ok(entry) = std::str::from_utf8(entry) else {
                continue;
            };
            if let Some((mode, path)) = entry.split_once('\t') {
                self.files
                    .insert(PathBuf::from(path), mode.starts_with(REGULAR));
            }
        }
        Ok(())
    }

    /// The first file from a path on, in the order of their names, and whether it is regular.
    fn first_from(&self, path: &Path) -> Option<(&Path, bool)> {
        let from = (Bound::Included(path), Bound::Unbounded);
        let (file, is_regular) = self.files.range::<Path, _>(from).next()?;
        Some((file, *is_regular))
    }
}

impl FileSystem for Revision {
    fn display_name(&self, path: &Path) -> String {
        format!("{}:{}", self.name, path.display())
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let real = self.canonicalize(path)?;
        if self.files.get(&real) != Some(&true) {
            return Err(io::Error::other(
                "it is a link, or no file, in this revision",
            ));
        }
        run_git(&[
            "cat-file",
            "blob",
            &format!("{}:{}", self.id, real.display()),
        ])
    }

    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        let not_found = || io::Error::new(io::ErrorKind::NotFound, "there is no such file");
        let path = normalize(path).ok_or_else(not_found)?;
        // Names are in the order of their components, so what is below a directory follows it.
        let known = self
            .first_from(&path)
            .is_some_and(|(file, _)| file.starts_with(&path));
        if known { Ok(path) } else { Err(not_found()) }
    }

    fn file_type(&self, canonical: &Path) -> FileType {
        match self.files.get(canonical) {
            Some(true) => FileType::File,
            Some(false) => FileType::Other,
            None => FileType::Directory,
        }
    }

    fn read_dir(&self, directory: &Path) -> io::Result<Vec<(String, FileType)>> {
        let directory = self.canonicalize(directory)?;
        let mut list = Vec::new();
        let mut next = directory.clone();
        while let Some((path, is_regular)) = self.first_from(&next)
            && let Ok(below) = path.strip_prefix(&directory)
        {
            let mut names = below.components();
            let Some(Component::Normal(name)) = names.next() else {
                break;
            };
            let kind = match (names.next(), is_regular) {
                (Some(_), _) => FileType::Directory,
                (None, true) => FileType::File,
                (None, false) => FileType::Symlink,
            };
            list.extend(name.to_str().map(|name| (name.to_owned(), kind)));
            // Behind all that is below this name, however much that is: no name holds a zero, and none is less.
            let mut after = name.to_owned();
            after.push("\0");
            next = directory.join(after);
        }
        Ok(list)
    }
}

/// Revision and path: cut at the first colon that is not inside braces, as `@{12:00}` has one.
fn split_revision(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    None
}

/// A path without `.` and `..`; `None` where it leaves the repository.
fn normalize(path: &Path) -> Option<PathBuf> {
    let mut normalized = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => normalized.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !normalized.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(normalized)
}

/// The output of a git command, at most as long as an input file: a compressed file of a repository may be far longer
/// than the space that it takes there.
fn run_git(args: &[&str]) -> io::Result<Vec<u8>> {
    run_git_up_to(args, input::MOST_BYTES)
}

fn run_git_up_to(args: &[&str], most: u64) -> io::Result<Vec<u8>> {
    let mut child = Command::new("git")
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A comparison needs no network: a file that was never fetched is an error.
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_LITERAL_PATHSPECS", "1")
        .env("LC_ALL", "C")
        .spawn()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => io::Error::other("there is no `git` on the path"),
            _ => error,
        })?;
    let streams = child.stdout.take().zip(child.stderr.take());
    let (stdout, stderr) = streams.ok_or_else(|| io::Error::other("git has no output"))?;
    // What it prints on one must not keep it from going on with the other.
    let errors = thread::spawn(move || input::read_stream_up_to(stderr, input::MOST_BYTES));
    let printed = input::read_stream_up_to(stdout, most);
    if printed.is_err() {
        // It would wait for somebody who reads on.
        let _ = child.kill();
    }
    let status = child.wait()?;
    let printed = printed?;
    if status.success() {
        return Ok(printed);
    }
    let errors = errors.join().ok().and_then(Result::ok).unwrap_or_default();
    let message = String::from_utf8_lossy(&errors);
    let message = message
        .lines()
        .next()
        .unwrap_or("git failed and said nothing");
    Err(io::Error::other(
        message.trim_start_matches("fatal: ").to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revision_ends_at_the_first_colon_outside_braces() {
        for (text, parts) in [
            ("HEAD~1:a/b.toml", Some(("HEAD~1", "a/b.toml"))),
            ("main@{12:00}:a:b", Some(("main@{12:00}", "a:b"))),
            ("HEAD", None),
        ] {
            assert_eq!(split_revision(text), parts, "{text}");
        }
    }

    #[test]
    fn output_of_git_is_limited() {
        let length = run_git(&["--version"]).expect("git").len() as u64;
        run_git_up_to(&["--version"], length).expect("as long as it may be");
        let error = run_git_up_to(&["--version"], length - 1).expect_err("too long");
        assert_eq!(
            error.to_string(),
            format!(
                "it has more than {} bytes, the limit of an input file",
                length - 1
            )
        );
    }

    fn revision(files: impl IntoIterator<Item = (String, bool)>) -> Revision {
        Revision {
            name: "HEAD".to_owned(),
            id: String::new(),
            files: files
                .into_iter()
                .map(|(path, is_regular)| (PathBuf::from(path), is_regular))
                .collect(),
        }
    }

    #[test]
    fn directory_lists_its_own_names_once() {
        let names = [
            "a/b/c", "a/b/d", "a/b-c", "a/b.d/e", "a/l", "a-b", "a.toml", "b",
        ];
        let revision = revision(names.map(|name| (name.to_owned(), name != "a/l")));
        let list = |path: &str| revision.read_dir(Path::new(path)).expect("a directory");
        let expected = |names: &[(&str, FileType)]| -> Vec<(String, FileType)> {
            names
                .iter()
                .map(|(name, kind)| ((*name).to_owned(), *kind))
                .collect()
        };
        assert_eq!(
            list(""),
            expected(&[
                ("a", FileType::Directory),
                ("a-b", FileType::File),
                ("a.toml", FileType::File),
                ("b", FileType::File),
            ])
        );
        assert_eq!(
            list("a"),
            expected(&[
                ("b", FileType::Directory),
                ("b-c", FileType::File),
                ("b.d", FileType::Directory),
                ("l", FileType::Symlink),
            ])
        );
        assert_eq!(list("b"), []);
        for (path, known) in [
            ("a/b", true),
            ("a/b/c", true),
            ("a/b-", false),
            ("a/c", false),
        ] {
            assert_eq!(
                revision.canonicalize(Path::new(path)).is_ok(),
                known,
                "{path}"
            );
        }
    }

    /// Each directory would take as long as the whole revision if its names were looked for everywhere.
    #[test]
    fn walk_over_many_directories_is_limited() {
        let files = (0..20_000).map(|at| (format!("a{}/b{at}/x", at / 200), true));
        let revision = revision(files);
        let mut rest = vec![PathBuf::new()];
        let mut found = 0;
        while let Some(directory) = rest.pop() {
            for (name, kind) in revision.read_dir(&directory).expect("a directory") {
                match kind {
                    FileType::Directory => rest.push(directory.join(name)),
                    _ => found += 1,
                }
            }
        }
        assert_eq!(found, 20_000);
    }

    #[test]
    fn paths_stay_inside_the_repository() {
        let shown = |text: &str| normalize(Path::new(text)).map(|path| path.display().to_string());
        assert_eq!(shown("a/./b/../c.toml").as_deref(), Some("a/c.toml"));
        assert_eq!(shown("").as_deref(), Some(""));
        assert_eq!(shown("../a"), None);
        assert_eq!(shown("/etc/passwd"), None);
    }
}
