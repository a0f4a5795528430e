//! Where a run's answer goes: a format on stdout, reports in files, and what GitHub Actions gives a step.
//!
//! **Owns** the choice that the arguments make, and the writing of files. **Does not** know what is in them, and how an answer
//! looks in a format.

mod files;

use std::io;
use std::path::{Path, PathBuf};

use super::args::{Format, OutputArgs};
use super::exit::Exit;
use super::streams::{complain, try_stdout};
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
            github: GithubFiles::of_environment(),
        }
    }

    pub(super) fn is_text(&self) -> bool {
        self.format == Format::Text
    }

    /// Text on stdout while a verb goes on; nothing in formats that are one document.
    pub(super) fn text(&self, text: &str) -> io::Result<()> {
        if self.is_text() || self.format == Format::Github {
            return try_stdout(text);
        }
        Ok(())
    }

    /// Gives a job of GitHub Actions its summary and its outputs, and the exit code for that alone.
    pub(super) fn write_github(&self, summary: &str, outputs: &str) -> Exit {
        let results = self.github.write(summary, outputs).into_iter();
        let exits: Vec<Exit> = results
            .map(|(path, result)| written(path, result))
            .collect();
        Exit::first_of(&exits)
    }
}

/// Writes a report, and gives the exit code for that alone.
pub(super) fn write_report(path: &Path, text: &str) -> Exit {
    written(path, files::report(path, text))
}

/// Tells that a file could not be written, which is how the run ends then.
fn written(path: &Path, result: io::Result<()>) -> Exit {
    let Err(error) = result else {
        return Exit::Done;
    };
    let message = format!("cannot write the report `{}`: {error}", path.display());
    complain(Code::File, &message, None);
    Exit::Failed
}
