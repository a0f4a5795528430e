//! The files that a run writes: reports, and those of a step of GitHub Actions.
//!
//! **Owns** how each is written. **Does not** render them or print errors.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::atomic_file;

/// Writes a report without colour.
pub(super) fn write_report(path: &Path, text: &str) -> io::Result<()> {
    let text = anstream::adapter::strip_str(text).to_string();
    atomic_file::write(path, text.as_bytes())
}

/// The files that GitHub Actions gives a step.
pub(super) struct GithubFiles {
    pub(super) summary: Option<PathBuf>,
    pub(super) output: Option<PathBuf>,
}

impl GithubFiles {
    pub(super) fn from_env() -> Self {
        let file = |name| std::env::var_os(name).filter(|path| !path.is_empty());
        Self {
            summary: file("GITHUB_STEP_SUMMARY").map(PathBuf::from),
            output: file("GITHUB_OUTPUT").map(PathBuf::from),
        }
    }
}

/// Appends to a file of a step, which may hold the output of earlier commands of the same step.
pub(super) fn append(path: &Path, content: &str) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)?;
    file.write_all(content.as_bytes())
}
