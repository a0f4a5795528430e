//! Why a verb could not do its job.
//!
//! **Owns** what is said of it: the exit code, the kind, the message and the hint, or the problems of a configuration, and
//! their form in reports. **Does not** show anything.

use super::exit::Exit;
use crate::config::{Diagnostic, Diagnostics, Severity};
use crate::model::{Code, Site, Unreadable};
use crate::render::json::{self, Problem};

/// What ends a run before its answer.
#[derive(Debug)]
pub(super) struct CommandError {
    pub(super) exit: Exit,
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl CommandError {
    /// What ends a run with this exit code, of the kind that mostly does.
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

    pub(super) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message).with_hint(Some(hint.into()))
    }

    /// It cannot be told whether there is something, since the instances of a site cannot be listed.
    pub(super) fn unlisted(what: &str, site: &Site, why: &Unreadable) -> Self {
        let message = format!(
            "whether there is {what} cannot be told, since the instances of `{site}` cannot be listed: {why}"
        );
        Self::new(Exit::Incomplete, message)
            .of_kind(Code::Unreadable)
            .with_hint(why.hint.clone())
    }

    pub(super) fn with_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// Of another kind than its exit code tells.
    pub(super) fn of_kind(mut self, code: Code) -> Self {
        self.code = code;
        self
    }
}

/// What ends a run that reads a configuration.
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

/// The JSON form of diagnostics.
pub(super) fn problems<'a>(diagnostics: impl IntoIterator<Item = &'a Diagnostic>) -> Vec<Problem> {
    diagnostics
        .into_iter()
        .map(|diagnostic| Problem {
            severity: match diagnostic.severity {
                Severity::Error => json::Severity::Error,
                Severity::Warning => json::Severity::Warning,
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
