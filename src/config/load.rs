//! The file that the user names, and the files that it includes.
//!
//! Owns the only reading of files in this module, and the rule that included files lie beside or below the first one.
//! Does not interpret them, and does not look for those that a pattern means, which `include` does.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::{Component, Path, PathBuf};

use super::definitions::Definitions;
use super::diagnostic::{Diagnostics, Report};
use super::files::{Disk, Files, Kind};
use super::include::{self, Refused, Search, outside, refuse};
use super::source::{Source, quote};
use super::tree::Text;
use super::{Config, read};
use crate::model::Code;

/// Reads a configuration: the file at `path`, and what it includes.
///
/// `include` takes paths and patterns, relative to the file that holds them. They must stay inside the directory of the
/// first file, also after `..` and links are followed. A file that is included twice is read once.
///
/// # Errors
/// Every problem of every file, sorted; warnings are among them.
pub fn load(path: &Path) -> Result<Config, Diagnostics> {
    load_from(&Disk, path)
}

/// Reads a configuration as [`load`] does, from files that need not be on the disk.
///
/// # Errors
/// Every problem of every file, sorted; warnings are among them.
pub fn load_from(files: &impl Files, path: &Path) -> Result<Config, Diagnostics> {
    let mut report = Report::default();
    let mut defs = Definitions::default();
    let name = files.shown(path);
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
    let texts = read::file(&mut report, &mut defs, file, true);
    let directory = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut includer = Includer {
        files,
        search: files.real(&directory).ok().map(Search::below),
        seen: files.real(path).into_iter().collect(),
        queue: VecDeque::new(),
    };
    includer.find(&directory, 0, &texts, &mut defs, &mut report);
    while let Some(Found { path, depth, text }) = includer.queue.pop_front() {
        let name = files.shown(&path);
        match files.read(&path) {
            Ok(bytes) => {
                let file = report.add_source(Source::from_bytes(&name, bytes));
                let texts = read::file(&mut report, &mut defs, file, false);
                let directory = path.parent().unwrap_or(Path::new("")).to_owned();
                includer.find(&directory, depth, &texts, &mut defs, &mut report);
            }
            Err(error) => {
                defs.incomplete = true;
                report.error(
                    Code::ConfigFile,
                    text.span,
                    format!("{} cannot be read: {error}", quote(&name)),
                );
            }
        }
    }
    Config::build(defs, report)
}

/// A file to read.
struct Found {
    path: PathBuf,
    /// How many directories below the first file its own is.
    depth: usize,
    text: Text,
}

struct Includer<'a, F> {
    files: &'a F,
    /// `None` where the directory of the first file cannot be found.
    search: Option<Search>,
    /// Files that are read or will be, links followed.
    seen: BTreeSet<PathBuf>,
    queue: VecDeque<Found>,
}

impl<F: Files> Includer<'_, F> {
    /// Queues what the texts of one file in `directory` name, in order of their paths.
    fn find(
        &mut self,
        directory: &Path,
        depth: usize,
        texts: &[Text],
        defs: &mut Definitions,
        report: &mut Report,
    ) {
        let mut found = Vec::new();
        for text in texts {
            let paths = match self.paths(directory, depth, text, report) {
                Ok(paths) => paths,
                Err(Refused { message, hint }) => {
                    defs.incomplete = true;
                    report.error(Code::Include, text.span, message).hint(hint);
                    continue;
                }
            };
            for path in paths {
                match self.admit(&path, !include::is_pattern(&text.text)) {
                    Ok(true) => found.push(Found {
                        depth: depth_of(depth, directory, &path),
                        path,
                        text: text.clone(),
                    }),
                    Ok(false) => {}
                    Err(Refused { message, hint }) => {
                        defs.incomplete = true;
                        report.error(Code::Include, text.span, message).hint(hint);
                    }
                }
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        self.queue.extend(found);
    }

    /// The paths that a text names.
    fn paths(
        &mut self,
        directory: &Path,
        depth: usize,
        text: &Text,
        report: &mut Report,
    ) -> Result<Vec<PathBuf>, Refused> {
        let path = Path::new(&text.text);
        let shown = quote(&text.text);
        if text.text.is_empty() {
            return Err(refuse(
                "`include` names no file",
                "write a path, as in \"fleet/web.toml\"",
            ));
        }
        let Some(search) = self.search.as_mut().filter(|_| stays_below(path, depth)) else {
            return Err(outside(&shown));
        };
        if !include::is_pattern(&text.text) {
            return Ok(vec![directory.join(path)]);
        }
        let (paths, is_new) = search.matching(self.files, directory, &text.text)?;
        if paths.is_empty() && is_new {
            report.warning(
                Code::Suspicious,
                text.span,
                format!("{shown} matches no file"),
            );
        }
        Ok(paths)
    }

    /// Whether a path is to be read; `false` if it already was, or if it is a directory that a pattern met.
    fn admit(&mut self, path: &Path, named: bool) -> Result<bool, Refused> {
        let shown = quote(&self.files.shown(path));
        let real = self.files.real(path).map_err(|error| {
            refuse(
                &format!("{shown} cannot be read: {error}"),
                "paths are relative to the file that includes them",
            )
        })?;
        if !self
            .search
            .as_ref()
            .is_some_and(|search| search.holds(&real))
        {
            return Err(outside(&shown));
        }
        match self.files.kind(&real) {
            Kind::File => {}
            Kind::Directory if !named => return Ok(false),
            Kind::Directory | Kind::Link | Kind::Other => {
                return Err(refuse(
                    &format!("{shown} is not a file"),
                    "to include a directory, write a pattern, as in \"fleet/*.toml\"",
                ));
            }
        }
        let is_new = self.seen.insert(real);
        if self.seen.len() > include::MOST_FILES {
            return Err(refuse(
                &format!(
                    "this is more than {} files, the limit of a configuration",
                    include::MOST_FILES
                ),
                "put several definitions into one file",
            ));
        }
        Ok(is_new)
    }
}

/// Whether a path stays inside by its letters alone, so that a pattern does not even look elsewhere. Links are judged
/// when they are followed.
fn stays_below(path: &Path, depth: usize) -> bool {
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
    let below = path
        .strip_prefix(directory)
        .unwrap_or(path)
        .parent()
        .unwrap_or(Path::new(""));
    below
        .components()
        .fold(depth, |depth, component| match component {
            Component::Normal(_) => depth + 1,
            Component::ParentDir => depth.saturating_sub(1),
            _ => depth,
        })
}
