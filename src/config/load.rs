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
use super::include::{MAX_FILES, Search, outside_error};
use super::selector::is_pattern;
use super::source::{Source, quote};
use super::tree::SpannedString;
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
///
/// # Errors
/// Every problem of every file, sorted, including warnings.
pub(crate) fn load_from(files: &impl FileSystem, path: &Path) -> Result<Config, Diagnostics> {
    let mut report = DiagnosticsBuilder::default();
    let mut defs = Definitions::default();
    let name = files.display_name(path);
    let bytes = match files.read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let (message, hint) = if error.kind() == io::ErrorKind::NotFound {
                let hint = format!(
                    "`portward import > {name}` writes one from the live rules; `-c FILE` names another"
                );
                ("there is no such file".to_owned(), Some(hint))
            } else {
                (format!("cannot be read: {error}"), None)
            };
            report.unreadable(&name, &message, hint);
            return Config::build(defs, report);
        }
    };
    let file = report.add_source(Source::from_bytes(&name, bytes));
    let includes = read::read_file(&mut report, &mut defs, file, true);
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut queue = IncludeQueue {
        files,
        search: files.canonicalize(directory).ok().map(Search::new),
        known: files.canonicalize(path).into_iter().collect(),
        queued: VecDeque::new(),
    };
    queue.add(directory, 0, &includes, &mut defs, &mut report);
    while let Some(QueuedFile { path, depth, text }) = queue.queued.pop_front() {
        let name = files.display_name(&path);
        match files.read(&path) {
            Ok(bytes) => {
                let file = report.add_source(Source::from_bytes(&name, bytes));
                let includes = read::read_file(&mut report, &mut defs, file, false);
                let directory = path.parent().unwrap_or(Path::new(""));
                queue.add(directory, depth, &includes, &mut defs, &mut report);
            }
            Err(error) => {
                defs.is_incomplete = true;
                let message = format!("{} cannot be read: {error}", quote(&name));
                report.error(Code::ConfigFile, text.span, message);
            }
        }
    }
    Config::build(defs, report)
}

struct QueuedFile {
    path: PathBuf,
    /// How many directories below the first file its own is.
    depth: usize,
    /// The text that names it.
    text: SpannedString,
}

/// The included files that are still to be read.
struct IncludeQueue<'a, F> {
    files: &'a F,
    /// `None` if the directory of the first file cannot be found.
    search: Option<Search>,
    /// The files that are read or queued, with links resolved.
    known: BTreeSet<PathBuf>,
    queued: VecDeque<QueuedFile>,
}

impl<F: FileSystem> IncludeQueue<'_, F> {
    /// Queues the files that the texts of one file in `directory` name, in order of their paths.
    fn add(
        &mut self,
        directory: &Path,
        depth: usize,
        texts: &[SpannedString],
        defs: &mut Definitions,
        report: &mut DiagnosticsBuilder,
    ) {
        let mut added = Vec::new();
        for text in texts {
            let mut refuse = |error: HintedError, report: &mut DiagnosticsBuilder| {
                defs.is_incomplete = true;
                error.report(report, Code::Include, text.span);
            };
            let paths = match self.find(directory, depth, text, report) {
                Ok(paths) => paths,
                Err(error) => {
                    refuse(error, report);
                    continue;
                }
            };
            for path in paths {
                match self.register(&path, !is_pattern(&text.text)) {
                    Ok(true) => added.push(QueuedFile {
                        depth: depth_of(depth, directory, &path),
                        path,
                        text: text.clone(),
                    }),
                    Ok(false) => {}
                    Err(error) => refuse(error, report),
                }
            }
        }
        added.sort_by(|a, b| a.path.cmp(&b.path));
        self.queued.extend(added);
    }

    /// Finds the paths that a text names.
    fn find(
        &mut self,
        directory: &Path,
        depth: usize,
        text: &SpannedString,
        report: &mut DiagnosticsBuilder,
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
            report.warning(Code::Suspicious, text.span, message);
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
    let parent = relative.parent().unwrap_or(Path::new(""));
    parent
        .components()
        .fold(depth, |depth, component| match component {
            Component::Normal(_) => depth + 1,
            Component::ParentDir => depth.saturating_sub(1),
            _ => depth,
        })
}
