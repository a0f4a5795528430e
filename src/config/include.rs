//! `include`: finds the files that a pattern matches.
//!
//! An attacker may control the pattern and the directories, and try to keep a run busy or to reveal other files. Owns the search: it
//! lists no directory outside that of the first file, no directory twice for one part of a pattern, and a limited
//! number of names. `**` does not follow links. Does not read files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::files::{Files, Kind};
use super::source::quote;

/// The most files of one configuration, enough for a file for each of several thousand instances.
pub(super) const MOST_FILES: usize = 10_000;
/// The most names in directories that all patterns together may search: ten times the number of files.
const MAX_NAMES: usize = 10 * MOST_FILES;

/// Why a pattern is refused.
pub(super) struct Refused {
    pub(super) message: String,
    pub(super) hint: String,
}

pub(super) fn refuse(message: &str, hint: &str) -> Refused {
    Refused {
        message: message.to_owned(),
        hint: hint.to_owned(),
    }
}

pub(super) fn outside(shown: &str) -> Refused {
    refuse(
        &format!("{shown} lies outside the directory of the first file"),
        "included files are beside the first file or below it",
    )
}

pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// The state of the search.
pub(super) struct Search {
    /// The directory of the first file, with links resolved.
    root: PathBuf,
    /// The patterns that were searched for, with the directories that they are relative to.
    searched: BTreeSet<(PathBuf, String)>,
    names: usize,
}

/// A step of a pattern.
enum Step<'a> {
    /// A literal name.
    Name(&'a str),
    /// A pattern for one name.
    Pattern(glob::Pattern),
    /// Any number of directories.
    Directories,
}

impl Search {
    /// A search below the directory of the first file.
    pub(super) fn below(root: PathBuf) -> Self {
        Self {
            root,
            searched: BTreeSet::new(),
            names: 0,
        }
    }

    /// Whether a path with links resolved is below the directory of the first file.
    pub(super) fn holds(&self, real: &Path) -> bool {
        real.starts_with(&self.root)
    }

    /// The paths that a pattern matches, in any order, and whether this is the first search for it. A repeated search finds
    /// nothing.
    pub(super) fn matching(
        &mut self,
        files: &impl Files,
        directory: &Path,
        pattern: &str,
    ) -> Result<(Vec<PathBuf>, bool), Refused> {
        let steps = steps(pattern)?;
        if !self
            .searched
            .insert((directory.to_owned(), pattern.to_owned()))
        {
            return Ok((Vec::new(), false));
        }
        let mut found = Vec::new();
        // A directory with links resolved, and the step at which it was entered.
        let mut entered: BTreeSet<(PathBuf, usize)> = BTreeSet::new();
        let mut rest = vec![(directory.to_owned(), 0)];
        while let Some((path, at)) = rest.pop() {
            let Some(step) = steps.get(at) else {
                found.push(path);
                continue;
            };
            if let Step::Name(name) = step {
                let path = path.join(name);
                // Not every directory that the beginning of a pattern matches has the rest.
                if files.real(&path).is_ok() {
                    rest.push((path, at + 1));
                }
                continue;
            }
            let Ok(real) = files.real(&path) else {
                continue;
            };
            if !self.holds(&real) {
                return Err(outside(&quote(&files.shown(&path))));
            }
            if files.kind(&real) != Kind::Directory || !entered.insert((real, at)) {
                continue;
            }
            let list = files.list(&path).map_err(|error| {
                let shown = quote(&files.shown(&path));
                refuse(
                    &format!("{shown} cannot be read: {error}"),
                    "the files in it would be left out",
                )
            })?;
            self.names += list.len();
            if self.names > MAX_NAMES {
                return Err(refuse(
                    &format!(
                        "this searches more than {MAX_NAMES} names of files, the limit of a configuration"
                    ),
                    "name the directory, as in \"fleet/*.toml\"",
                ));
            }
            match step {
                Step::Name(_) => {}
                Step::Directories => {
                    let below = list.into_iter();
                    let below = below.filter(|(_, kind)| *kind == Kind::Directory);
                    rest.extend(below.map(|(name, _)| (path.join(name), at)));
                    rest.push((path, at + 1));
                }
                Step::Pattern(pattern) => {
                    let met = list.into_iter().filter(|(name, _)| pattern.matches(name));
                    rest.extend(met.map(|(name, _)| (path.join(name), at + 1)));
                }
            }
        }
        Ok((found, true))
    }
}

fn steps(pattern: &str) -> Result<Vec<Step<'_>>, Refused> {
    let step = |name| match name {
        "**" => Ok(Step::Directories),
        name if is_pattern(name) => glob::Pattern::new(name)
            .map(Step::Pattern)
            .map_err(|error| {
                refuse(
                    &format!("{} is not a valid pattern: {}", quote(pattern), error.msg),
                    "`*` is any text within a name, `**/` any directories",
                )
            }),
        name => Ok(Step::Name(name)),
    };
    let names = pattern.split('/').filter(|name| !name.is_empty());
    names.map(step).collect()
}
