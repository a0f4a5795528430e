//! Loads the file that the user names, and the files that it includes.
//!
//! Owns the reading of all files of a configuration, and the rule that included files are beside the first one or below it.
//! Does not interpret them, and does not search for the files that a pattern matches; `include` does.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::{Component, Path, PathBuf};

use super::definitions::Definitions;
use super::diagnostic::{Diagnostics, DiagnosticsBuilder, HintedError};
use super::file_system::{Disk, FileSystem, FileType};
use super::include::{IncludeSearch, MAX_FILES, outside_error};
use super::selector::is_pattern;
use super::source::{Source, SpannedString, quote};
use super::{Config, read};
use crate::model::Code;

/// Loads a configuration: the file at `path`, and the files that it includes.
///
/// `include` takes paths and patterns, relative to the file that contains them. They must stay inside the directory of the
/// first file, also after `..` and links are resolved. A file that is included twice is read once.
///
/// # Errors
/// Every problem of every file, sorted, including warnings.
pub fn load(path: &Path) -> Result<Config, Diagnostics> {
    load_from(&Disk, path)
}

/// Loads a configuration as [`load`] does, from files that need not be on the disk.
pub(crate) fn load_from(files: &impl FileSystem, path: &Path) -> Result<Config, Diagnostics> {
    let mut loader = Loader {
        files,
        report: DiagnosticsBuilder::default(),
        defs: Definitions::default(),
        search: files
            .canonicalize(parent_of(path))
            .ok()
            .map(IncludeSearch::new),
        known: files.canonicalize(path).into_iter().collect(),
        queued: VecDeque::new(),
    };
    match files.read(path) {
        Ok(bytes) => loader.read(path, bytes, 0, true),
        Err(error) => {
            let name = files.display_name(path);
            let (message, hint) = if error.kind() == io::ErrorKind::NotFound {
                let hint = format!(
                    "`portward import > {name}` writes one from the live rules; `-c FILE` names another"
                );
                ("there is no such file".to_owned(), Some(hint))
            } else {
                (format!("cannot be read: {error}"), None)
            };
            loader.report.unreadable(&name, &message, hint);
        }
    }
    while let Some(QueuedFile { path, depth, text }) = loader.queued.pop_front() {
        match files.read(&path) {
            Ok(bytes) => loader.read(&path, bytes, depth, false),
            Err(error) => {
                loader.defs.is_incomplete = true;
                let name = quote(&files.display_name(&path));
                let message = format!("{name} cannot be read: {error}");
                loader.report.error(Code::ConfigFile, text.span, message);
            }
        }
    }
    Config::build(loader.defs, loader.report)
}

struct QueuedFile {
    path: PathBuf,
    /// How many directories below the first file its own is.
    depth: usize,
    /// The text that names it.
    text: SpannedString,
}

/// What was read so far, and the included files that are still to be read.
struct Loader<'a, F> {
    files: &'a F,
    report: DiagnosticsBuilder,
    defs: Definitions,
    /// `None` if the directory of the first file cannot be found.
    search: Option<IncludeSearch>,
    /// The files that are read or queued, with links resolved.
    known: BTreeSet<PathBuf>,
    queued: VecDeque<QueuedFile>,
}

impl<F: FileSystem> Loader<'_, F> {
    /// Reads a file, and queues the files that it names, in order of their paths.
    fn read(&mut self, path: &Path, bytes: Vec<u8>, depth: usize, is_first: bool) {
        let source = Source::from_bytes(&self.files.display_name(path), bytes);
        let file = self.report.add_source(source);
        let texts = read::read_file(&mut self.report, &mut self.defs, file, is_first);
        let directory = parent_of(path);
        let mut added = Vec::new();
        for text in texts {
            let paths = self.find(directory, depth, &text);
            let paths = paths.unwrap_or_else(|error| {
                self.refuse(error, &text);
                Vec::new()
            });
            for path in paths {
                match self.register(&path, !is_pattern(&text.text)) {
                    Ok(true) => added.push(QueuedFile {
                        depth: depth_of(depth, directory, &path),
                        path,
                        text: text.clone(),
                    }),
                    Ok(false) => {}
                    Err(error) => self.refuse(error, &text),
                }
            }
        }
        added.sort_by(|a, b| a.path.cmp(&b.path));
        self.queued.extend(added);
    }

    /// Reports why a text of `include` is refused.
    fn refuse(&mut self, error: HintedError, text: &SpannedString) {
        self.defs.is_incomplete = true;
        error.report(&mut self.report, Code::Include, text.span);
    }

    /// Finds the paths that a text names.
    fn find(
        &mut self,
        directory: &Path,
        depth: usize,
        text: &SpannedString,
    ) -> Result<Vec<PathBuf>, HintedError> {
        let path = Path::new(&text.text);
        let name = quote(&text.text);
        if text.text.is_empty() {
            return Err(HintedError::new("`include` names no file")
                .hint("write a path, as in \"fleet/web.toml\""));
        }
        let Some(search) = self.search.as_mut().filter(|_| is_below(path, depth)) else {
            return Err(outside_error(&name));
        };
        if !is_pattern(&text.text) {
            return Ok(vec![directory.join(path)]);
        }
        let (paths, is_first) = search.find(self.files, directory, &text.text)?;
        if paths.is_empty() && is_first {
            let message = format!("{name} matches no file");
            self.report.warning(Code::Suspicious, text.span, message);
        }
        Ok(paths)
    }

    /// Registers a file to read. Returns `false` if it is known already, or if it is a directory that a pattern matches.
    fn register(&mut self, path: &Path, is_literal: bool) -> Result<bool, HintedError> {
        let name = quote(&self.files.display_name(path));
        let canonical = self.files.canonicalize(path).map_err(|error| {
            HintedError::new(format!("{name} cannot be read: {error}"))
                .hint("paths are relative to the file that includes them")
        })?;
        let search = self.search.as_ref();
        if !search.is_some_and(|search| search.contains(&canonical)) {
            return Err(outside_error(&name));
        }
        match self.files.file_type(&canonical) {
            FileType::File => {}
            FileType::Directory if !is_literal => return Ok(false),
            FileType::Directory | FileType::Symlink | FileType::Other => {
                return Err(HintedError::new(format!("{name} is not a file"))
                    .hint("to include a directory, write a pattern, as in \"fleet/*.toml\""));
            }
        }
        let is_new = self.known.insert(canonical);
        if self.known.len() > MAX_FILES {
            return Err(HintedError::new(format!(
                "this is more than {MAX_FILES} files, the limit of a configuration"
            ))
            .hint("put several definitions into one file"));
        }
        Ok(is_new)
    }
}

fn parent_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// Whether a path stays below the first file, by its text alone, so that a pattern is not searched elsewhere. Links are checked when
/// they are resolved.
fn is_below(path: &Path, depth: usize) -> bool {
    let end = path
        .components()
        .try_fold(depth, |depth, component| match component {
            Component::Normal(_) => Some(depth + 1),
            Component::CurDir => Some(depth),
            Component::ParentDir => depth.checked_sub(1),
            Component::RootDir | Component::Prefix(_) => None,
        });
    end.is_some()
}

/// How deep the directory of `path` is, if `directory` is `depth` deep.
fn depth_of(depth: usize, directory: &Path, path: &Path) -> usize {
    let relative = path.strip_prefix(directory).unwrap_or(path);
    parent_of(relative)
        .components()
        .fold(depth, |depth, component| match component {
            Component::Normal(_) => depth + 1,
            Component::ParentDir => depth.saturating_sub(1),
            _ => depth,
        })
}
