//! Diagnostics: the problems of a configuration, each with its place and a hint.
//!
//! Owns the types and the order of problems. Does not find problems; `render` prints them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::source::{Excerpt, Source, Span};
use crate::model::{Code, Origin, sanitize_line};

/// The severity of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// The configuration can be used, but is probably not as intended.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// A problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The severity.
    pub severity: Severity,
    /// The kind of problem.
    pub code: Code,
    /// The place. Line and column are 0 if the file could not be read, and for the number of problems that are not
    /// shown.
    pub origin: Origin,
    /// The line and column after the last character, if the file could be read.
    pub end: Option<(usize, usize)>,
    /// The message: a fragment in lower case without a full stop.
    pub message: String,
    /// What a person can do about it.
    pub hint: Option<String>,
    /// Another place that belongs to the problem, with a note.
    pub related: Option<(Origin, String)>,
    /// The number of problems that this represents: one, except for the last of a truncated list.
    pub(super) count: usize,
    pub(super) excerpt: Option<Excerpt>,
    pub(super) related_excerpt: Option<Excerpt>,
}

/// All problems of a configuration with errors, sorted by file and place, including warnings; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Diagnostics {
    problems: Vec<Diagnostic>,
}

impl Diagnostics {
    /// The problems, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.problems.iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One line for each problem: `file:line:column: error[PW-103]: message (hint)`.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.problems.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin { file, line, column } = &self.origin;
        write!(
            f,
            "{file}:{line}:{column}: {}[{}]: {}",
            self.severity, self.code, self.message
        )?;
        self.hint.iter().try_for_each(|hint| write!(f, " ({hint})"))
    }
}

/// A problem with spans in the texts of the files.
#[derive(Debug)]
pub(super) struct Problem {
    severity: Severity,
    code: Code,
    span: Span,
    message: String,
    hint: Option<String>,
    related: Option<(Span, String)>,
}

impl Problem {
    fn new(severity: Severity, code: Code, span: Span, message: String) -> Self {
        Self {
            severity,
            code,
            span,
            message,
            hint: None,
            related: None,
        }
    }

    pub(super) fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn related(&mut self, span: Span, what: impl Into<String>) -> &mut Self {
        self.related = Some((span, what.into()));
        self
    }
}

/// The most problems of one severity that are kept: nobody reads more, and a file that is not TOML can have millions.
const MAX_PROBLEMS: usize = 200;

/// The first problems of one severity, by place, and the number of the others.
#[derive(Debug, Default)]
struct Problems {
    /// At most twice [`MAX_PROBLEMS`].
    first: Vec<Problem>,
    more: usize,
}

impl Problems {
    fn push(&mut self, problem: Problem) -> &mut Problem {
        if self.first.len() == 2 * MAX_PROBLEMS {
            self.cut();
        }
        self.first.push(problem);
        self.first.last_mut().expect("one was just pushed")
    }

    fn cut(&mut self) {
        // The sort is stable, so problems of one place keep the order in which they were found.
        self.first.sort_by_key(|problem| problem.span);
        // At the end of the file, a parser may report every open bracket.
        self.first
            .dedup_by(|a, b| a.span == b.span && a.message == b.message);
        self.more += self.first.len().saturating_sub(MAX_PROBLEMS);
        self.first.truncate(MAX_PROBLEMS);
    }
}

/// Collects the files and their problems.
#[derive(Debug, Default)]
pub(super) struct Report {
    sources: Vec<Arc<Source>>,
    errors: Problems,
    warnings: Problems,
    unreadable: Vec<Diagnostic>,
    /// Files of which no line is shown.
    hidden: BTreeSet<usize>,
    /// The number of comparisons of names for suggestions so far.
    pub(super) compared: usize,
}

impl Report {
    pub(super) fn on(sources: Vec<Arc<Source>>) -> Self {
        Self {
            sources,
            ..Self::default()
        }
    }

    pub(super) fn add_source(&mut self, source: Source) -> usize {
        self.sources.push(Arc::new(source));
        self.sources.len() - 1
    }

    pub(super) fn source(&self, file: usize) -> Arc<Source> {
        Arc::clone(&self.sources[file])
    }

    pub(super) fn origin(&self, span: Span) -> Origin {
        self.sources[span.file()].origin(span.start())
    }

    pub(super) fn error(
        &mut self,
        code: Code,
        span: Span,
        message: impl Into<String>,
    ) -> &mut Problem {
        let problem = Problem::new(Severity::Error, code, span, message.into());
        self.errors.push(problem)
    }

    pub(super) fn warning(
        &mut self,
        code: Code,
        span: Span,
        message: impl Into<String>,
    ) -> &mut Problem {
        let problem = Problem::new(Severity::Warning, code, span, message.into());
        self.warnings.push(problem)
    }

    /// Shows no line of a file that may not be a configuration.
    pub(super) fn without_excerpt(&mut self, file: usize) -> &mut Self {
        self.hidden.insert(file);
        self
    }

    /// Reports a file that could not be read.
    pub(super) fn unreadable(&mut self, file: &str, message: &str, hint: Option<String>) {
        let file = sanitize_line(file).into();
        let message = sanitize_line(message).into_owned();
        let hint = hint.map(|hint| sanitize_line(&hint).into_owned());
        self.unreadable.push(Diagnostic {
            hint,
            ..Diagnostic::of_file(Severity::Error, Code::ConfigFile, file, message)
        });
    }

    pub(super) fn has_errors(&self) -> bool {
        !self.unreadable.is_empty() || !self.errors.first.is_empty()
    }

    /// The files and the warnings, or all problems if one is an error.
    pub(super) fn finish(self) -> Result<(Vec<Arc<Source>>, Vec<Diagnostic>), Diagnostics> {
        let failed = self.has_errors();
        let Self {
            sources,
            mut errors,
            mut warnings,
            unreadable: mut problems,
            hidden,
            ..
        } = self;
        errors.cut();
        warnings.cut();
        let mut all = errors.first;
        all.append(&mut warnings.first);
        all.sort_by_key(|problem| problem.span);
        problems.extend(
            all.into_iter()
                .map(|problem| problem.place(&sources, &hidden)),
        );
        for (severity, more) in [
            (Severity::Error, errors.more),
            (Severity::Warning, warnings.more),
        ] {
            let last = problems.iter().rfind(|last| last.severity == severity);
            if let Some(file) = last.map(|last| Arc::clone(&last.origin.file))
                && more > 0
            {
                let message = format!("and {more} more {severity}s, which are not shown");
                let count = more;
                problems.push(Diagnostic {
                    count,
                    ..Diagnostic::of_file(severity, Code::MoreProblems, file, message)
                });
            }
        }
        if failed {
            Err(Diagnostics { problems })
        } else {
            Ok((sources, problems))
        }
    }
}

impl Diagnostic {
    /// A problem without a line.
    fn of_file(severity: Severity, code: Code, file: Arc<str>, message: String) -> Self {
        Self {
            severity,
            code,
            origin: Origin {
                file,
                line: 0,
                column: 0,
            },
            end: None,
            message,
            hint: None,
            related: None,
            count: 1,
            excerpt: None,
            related_excerpt: None,
        }
    }
}

impl Problem {
    fn place(self, sources: &[Arc<Source>], hidden: &BTreeSet<usize>) -> Diagnostic {
        let Self {
            severity,
            code,
            span,
            message,
            hint,
            related,
        } = self;
        let excerpt = |span: Span| {
            let shown = !hidden.contains(&span.file());
            shown.then(|| sources[span.file()].excerpt(span.start(), span.end()))
        };
        let end = sources[span.file()].origin(span.end().max(span.start()));
        Diagnostic {
            severity,
            code,
            origin: sources[span.file()].origin(span.start()),
            end: Some((end.line, end.column)),
            message: sanitize_line(&message).into_owned(),
            count: 1,
            hint: hint.map(|hint| sanitize_line(&hint).into_owned()),
            excerpt: excerpt(span),
            related_excerpt: related.as_ref().and_then(|(span, _)| excerpt(*span)),
            related: related.map(|(span, what)| {
                (
                    sources[span.file()].origin(span.start()),
                    sanitize_line(&what).into_owned(),
                )
            }),
        }
    }
}
