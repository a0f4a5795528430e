//! The destinations of a run's result: a format on stdout, report files, and the files of a step of GitHub Actions.
//!
//! **Owns** the choice that the arguments make, and the writing of files. **Does not** render a format.

mod files;

use std::io;
use std::path::{Path, PathBuf};

use super::args::{Format, OutputArgs};
use super::exit::Exit;
use super::streams::{try_write_stdout, write_error};
use crate::model::Code;
use files::GithubFiles;

/// The format of stdout and the report files of one run.
pub(super) struct Output {
    pub(super) format: Format,
    pub(super) reports: Vec<(Format, PathBuf)>,
    github: GithubFiles,
}

impl Output {
    pub(super) fn new(args: &OutputArgs) -> Self {
        Self {
            format: args.format,
            reports: args.report.clone(),
            github: GithubFiles::from_env(),
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
        for (path, text) in [
            (&self.github.summary, summary),
            (&self.github.output, outputs),
        ] {
            if let Some(path) = path {
                exits.push(exit_of_write(path, files::append(path, text)));
            }
        }
        Exit::highest(&exits)
    }
}

/// Writes a report, and returns the exit for that alone.
pub(super) fn write_report(path: &Path, text: &str) -> Exit {
    exit_of_write(path, files::write_report(path, text))
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
