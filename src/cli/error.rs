//! Errors that end a verb.
//!
//! **Owns** the exit code, the error code, the message and the hint, or the problems of a configuration, and their form in
//! reports. **Does not** print anything.

use std::fmt;

use super::exit::Exit;
use crate::config::{Diagnostic, Diagnostics, Severity};
use crate::model::{Code, Site, Unreadable};
use crate::render::json::{self, Problem};

/// An error that ends a run before its result.
#[derive(Debug)]
pub(super) struct CommandError {
    pub(super) exit: Exit,
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl CommandError {
    /// An error with this exit code and its most common error code.
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            code: match exit {
                Exit::Usage => Code::Usage,
                Exit::Refused => Code::GrantRefused,
                Exit::Stale => Code::StalePlan,
                Exit::Incomplete => Code::Undecided,
                Exit::Interrupted | Exit::Terminated => Code::Interrupted,
                _ => Code::Failed,
            },
            message: message.into(),
            hint: None,
        }
    }

    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// An error of a file: `file("read the plan", path, error)`.
    pub(super) fn file(action: &str, path: impl fmt::Display, error: impl fmt::Display) -> Self {
        Self::failed(format!("cannot {action} `{path}`: {error}")).with_code(Code::File)
    }

    pub(super) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message).with_hint(hint)
    }

    /// It is not known whether `subject` exists, because the instances of a site cannot be listed.
    pub(super) fn unlisted(subject: &str, site: &Site, cause: &Unreadable) -> Self {
        let message = format!(
            "whether there is {subject} cannot be told, since the instances of `{site}` cannot be listed: {cause}"
        );
        Self::new(Exit::Incomplete, message)
            .with_code(Code::Unreadable)
            .with_optional_hint(cause.hint.clone())
    }

    pub(super) fn with_hint(self, hint: impl Into<String>) -> Self {
        self.with_optional_hint(Some(hint.into()))
    }

    pub(super) fn with_optional_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    pub(super) fn with_code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }
}

/// An error of a run that reads a configuration.
pub(super) enum RunError {
    /// The configuration is not valid.
    Invalid(Diagnostics),
    /// Anything else.
    Command(CommandError),
}

impl From<CommandError> for RunError {
    fn from(error: CommandError) -> Self {
        Self::Command(error)
    }
}

impl From<Diagnostics> for RunError {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Invalid(diagnostics)
    }
}

/// Diagnostics in the form of reports.
pub(super) fn problems<'a>(diagnostics: impl IntoIterator<Item = &'a Diagnostic>) -> Vec<Problem> {
    diagnostics
        .into_iter()
        .map(|diagnostic| Problem {
            severity: match diagnostic.severity {
                Severity::Error => json::ProblemSeverity::Error,
                Severity::Warning => json::ProblemSeverity::Warning,
            },
            code: diagnostic.code,
            message: diagnostic.message.clone(),
            file: Some(diagnostic.origin.file.to_string()),
            line: Some(diagnostic.origin.line),
            column: Some(diagnostic.origin.column),
            end_line: diagnostic.end.map(|(line, _)| line),
            end_column: diagnostic.end.map(|(_, column)| column),
            hint: diagnostic.hint.clone(),
        })
        .collect()
}
