//! The files that a run leaves behind: reports, and what GitHub Actions gives a step.
//!
//! Owns how each is written. Does not know what is in them, and to tell of what went wrong: it hands that back.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::atomic_file;

/// Writes a report without colour.
pub(super) fn report(path: &Path, text: &str) -> io::Result<()> {
    let text = anstream::adapter::strip_str(text).to_string();
    atomic_file::write(path, text.as_bytes())
}

/// The files that GitHub Actions gives a step.
pub(super) struct GithubFiles {
    summary: Option<PathBuf>,
    output: Option<PathBuf>,
}

impl GithubFiles {
    pub(super) fn of_environment() -> Self {
        let file = |name| std::env::var_os(name).filter(|path| !path.is_empty());
        Self {
            summary: file("GITHUB_STEP_SUMMARY").map(PathBuf::from),
            output: file("GITHUB_OUTPUT").map(PathBuf::from),
        }
    }

    /// Appends: both files may hold what earlier commands of the same step wrote. Gives each file, with what became of it.
    pub(super) fn write(&self, summary: &str, outputs: &str) -> Vec<(&Path, io::Result<()>)> {
        let mut written = Vec::new();
        for (path, content) in [(&self.summary, summary), (&self.output, outputs)] {
            if let Some(path) = path {
                written.push((path.as_path(), append(path, content)));
            }
        }
        written
    }
}

fn append(path: &Path, content: &str) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)?;
    file.write_all(content.as_bytes())
}
