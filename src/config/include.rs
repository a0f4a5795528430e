//! `include`: finds the files that a pattern matches.
//!
//! An attacker may control the pattern and the directories, and try to keep a run busy or to reveal other files. Owns the search: it
//! lists no directory outside that of the first file, no directory twice for one part of a pattern, and a limited
//! number of names. `**` does not follow links. Does not read files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::diagnostic::HintedError;
use super::file_system::{FileSystem, FileType};
use super::selector::is_pattern;
use super::source::quote;

/// The most files of one configuration, enough for a file for each of several thousand instances.
pub(super) const MAX_FILES: usize = 10_000;
/// The most names in directories that all patterns together may search: ten times the number of files.
const MAX_NAMES: usize = 10 * MAX_FILES;

/// The error for a path outside the directory of the first file.
pub(super) fn outside_error(path: &str) -> HintedError {
    HintedError::new(format!(
        "{path} lies outside the directory of the first file"
    ))
    .hint("included files are beside the first file or below it")
}

/// The state of the search.
pub(super) struct IncludeSearch {
    /// The directory of the first file, with links resolved.
    root: PathBuf,
    /// The patterns that were searched for, with the directories that they are relative to.
    searched: BTreeSet<(PathBuf, String)>,
    /// The number of names in directories so far.
    names: usize,
}

/// A part of a pattern, between slashes.
enum Component<'a> {
    /// A literal name.
    Name(&'a str),
    /// A pattern for one name.
    Pattern(glob::Pattern),
    /// `**`: any number of directories.
    AnyDirectories,
}

impl IncludeSearch {
    /// A search below the directory of the first file.
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            searched: BTreeSet::new(),
            names: 0,
        }
    }

    /// Whether a path with links resolved is below the directory of the first file.
    pub(super) fn contains(&self, canonical: &Path) -> bool {
        canonical.starts_with(&self.root)
    }

    /// Finds the paths that a pattern matches, in any order. Also returns whether this is the first search for it; a repeated search
    /// finds nothing.
    pub(super) fn find(
        &mut self,
        files: &impl FileSystem,
        directory: &Path,
        pattern: &str,
    ) -> Result<(Vec<PathBuf>, bool), HintedError> {
        let components = components(pattern)?;
        if !self
            .searched
            .insert((directory.to_owned(), pattern.to_owned()))
        {
            return Ok((Vec::new(), false));
        }
        let mut found = Vec::new();
        // The directories that were listed, with links resolved, each with the index of the component that it was listed for.
        let mut listed: BTreeSet<(PathBuf, usize)> = BTreeSet::new();
        let mut rest = vec![(directory.to_owned(), 0)];
        while let Some((path, index)) = rest.pop() {
            let Some(component) = components.get(index) else {
                found.push(path);
                continue;
            };
            if let Component::Name(name) = component {
                let path = path.join(name);
                // Not every directory that the beginning of a pattern matches has the rest.
                if files.canonicalize(&path).is_ok() {
                    rest.push((path, index + 1));
                }
                continue;
            }
            let Ok(canonical) = files.canonicalize(&path) else {
                continue;
            };
            if !self.contains(&canonical) {
                return Err(outside_error(&quote(&files.display_name(&path))));
            }
            if files.file_type(&canonical) != FileType::Directory
                || !listed.insert((canonical, index))
            {
                continue;
            }
            let entries = files.read_dir(&path).map_err(|error| {
                let name = quote(&files.display_name(&path));
                HintedError::new(format!("{name} cannot be read: {error}"))
                    .hint("the files in it would be left out")
            })?;
            self.names += entries.len();
            if self.names > MAX_NAMES {
                return Err(HintedError::new(format!(
                    "this searches more than {MAX_NAMES} names of files, the limit of a configuration"
                ))
                .hint("name the directory, as in \"fleet/*.toml\""));
            }
            match component {
                Component::Name(_) => {}
                Component::AnyDirectories => {
                    let directories = entries.into_iter();
                    let directories =
                        directories.filter(|(_, file_type)| *file_type == FileType::Directory);
                    rest.extend(directories.map(|(name, _)| (path.join(name), index)));
                    rest.push((path, index + 1));
                }
                Component::Pattern(pattern) => {
                    let matching = entries.into_iter();
                    let matching = matching.filter(|(name, _)| pattern.matches(name));
                    rest.extend(matching.map(|(name, _)| (path.join(name), index + 1)));
                }
            }
        }
        Ok((found, true))
    }
}

fn components(pattern: &str) -> Result<Vec<Component<'_>>, HintedError> {
    let component = |name| match name {
        "**" => Ok(Component::AnyDirectories),
        name if is_pattern(name) => match glob::Pattern::new(name) {
            Ok(pattern) => Ok(Component::Pattern(pattern)),
            Err(error) => {
                let pattern = quote(pattern);
                let message = format!("{pattern} is not a valid pattern: {}", error.msg);
                let hint = "`*` is any text within a name, `**/` any directories";
                Err(HintedError::new(message).hint(hint))
            }
        },
        name => Ok(Component::Name(name)),
    };
    let names = pattern.split('/').filter(|name| !name.is_empty());
    names.map(component).collect()
}
