//! The file that the user names, and the files that it includes.
//!
//! Owns the only reading of files in this module, and the rule that included files lie beside or below the first one.
//! Refuses to interpret them.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Component, Path, PathBuf};

use super::definitions::Definitions;
use super::diagnostic::{Diagnostics, Report};
use super::files::{Disk, Files, Kind};
use super::source::{Source, quote};
use super::tree::Text;
use super::{Config, read};

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
            report.unreadable(&name, &format!("cannot be read: {error}"));
            return Config::build(defs, report);
        }
    };
    let file = report.add_source(Source::from_bytes(&name, bytes));
    let texts = read::file(&mut report, &mut defs, file, true);
    let directory = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut includer = Includer {
        files,
        root: files.real(&directory).ok(),
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
    /// The directory of the first file, links followed.
    root: Option<PathBuf>,
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
                    report.error(text.span, message).hint(hint);
                    continue;
                }
            };
            for path in paths {
                match self.admit(&path, !is_pattern(&text.text)) {
                    Ok(true) => found.push(Found {
                        depth: depth_of(depth, directory, &path),
                        path,
                        text: text.clone(),
                    }),
                    Ok(false) => {}
                    Err(Refused { message, hint }) => {
                        defs.incomplete = true;
                        report.error(text.span, message).hint(hint);
                    }
                }
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        self.queue.extend(found);
    }

    /// The paths that a text names.
    fn paths(
        &self,
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
        if !stays_below(path, depth) || self.root.is_none() {
            return Err(outside(&shown));
        }
        if !is_pattern(&text.text) {
            return Ok(vec![directory.join(path)]);
        }
        let Some(base) = directory.to_str() else {
            return Err(refuse(
                &format!("{shown} cannot be looked for: the directory of this file is not UTF-8"),
                "name the files one by one",
            ));
        };
        let mut pattern = glob::Pattern::escape(base);
        if !pattern.is_empty() && !pattern.ends_with('/') {
            pattern.push('/');
        }
        pattern.push_str(&text.text);
        glob::Pattern::new(&pattern).map_err(|error| {
            refuse(
                &format!("{shown} is no pattern: {}", error.msg),
                "`*` is any text within a name, `**/` any directories",
            )
        })?;
        let paths = self.files.matching(&pattern).map_err(|(place, error)| {
            let place = quote(&self.files.shown(&place));
            refuse(
                &format!("{place} cannot be read: {error}"),
                "the files in it would be left out",
            )
        })?;
        if paths.is_empty() {
            report.warning(text.span, format!("{shown} matches no file"));
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
            .root
            .as_ref()
            .is_some_and(|root| real.starts_with(root))
        {
            return Err(outside(&shown));
        }
        match self.files.kind(&real) {
            Kind::File => {}
            Kind::Directory if !named => return Ok(false),
            Kind::Directory | Kind::Other => {
                return Err(refuse(
                    &format!("{shown} is no file"),
                    "to include a directory, write a pattern, as in \"fleet/*.toml\"",
                ));
            }
        }
        Ok(self.seen.insert(real))
    }
}

/// Why something is not included.
struct Refused {
    message: String,
    hint: String,
}

fn refuse(message: &str, hint: &str) -> Refused {
    Refused {
        message: message.to_owned(),
        hint: hint.to_owned(),
    }
}

fn outside(shown: &str) -> Refused {
    refuse(
        &format!("{shown} lies outside the directory of the first file"),
        "included files are beside the first file or below it",
    )
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
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
