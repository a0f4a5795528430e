//! The destinations of a run's result: a format on stdout, report files, and the files of a step of GitHub Actions.
//!
//! **Owns** the choice that the arguments make, and the writing of files. **Does not** render a format.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::args::{Format, OutputArgs};
use super::exit::Exit;
use super::streams::{try_write_stdout, write_error};
use crate::atomic_file;
use crate::model::Code;

/// The format of stdout and the report files of one run.
pub(super) struct Output {
    pub(super) format: Format,
    pub(super) reports: Vec<(Format, PathBuf)>,
    /// The files that GitHub Actions gives a step: its summary and its outputs.
    github: [Option<PathBuf>; 2],
}

impl Output {
    pub(super) fn new(args: &OutputArgs) -> Self {
        let file = |name| std::env::var_os(name).filter(|path| !path.is_empty());
        Self {
            format: args.format,
            reports: args.report.clone(),
            github: ["GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"]
                .map(|name| file(name).map(PathBuf::from)),
        }
    }

    pub(super) fn is_text(&self) -> bool {
        self.format == Format::Text
    }

    /// Prints text during a run; nothing in formats that are one document.
    pub(super) fn text(&self, text: &str) -> io::Result<()> {
        if self.is_text() || self.format == Format::Github {
            return try_write_stdout(text);
        }
        Ok(())
    }

    /// Writes the summary and the outputs of a step of GitHub Actions, and returns the exit for that alone.
    pub(super) fn write_github(&self, summary: &str, outputs: &str) -> Exit {
        let mut exits = Vec::new();
        for (path, text) in self.github.iter().zip([summary, outputs]) {
            if let Some(path) = path {
                exits.push(exit_of_write(path, append(path, text)));
            }
        }
        Exit::highest(&exits)
    }
}

/// Writes a report without colour, and returns the exit for that alone.
pub(super) fn write_report(path: &Path, text: &str) -> Exit {
    let text = anstream::adapter::strip_str(text).to_string();
    exit_of_write(path, atomic_file::write(path, text.as_bytes()))
}

/// Appends to a file of a step, which may hold the output of earlier commands of the same step.
fn append(path: &Path, content: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(content.as_bytes())
}

/// Prints an error where a file could not be written, and returns the exit.
fn exit_of_write(path: &Path, result: io::Result<()>) -> Exit {
    let Err(error) = result else {
        return Exit::Done;
    };
    let message = format!("cannot write the report `{}`: {error}", path.display());
    write_error(Code::File, &message, None);
    Exit::Failed
}
