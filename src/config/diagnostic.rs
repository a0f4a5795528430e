//! What is wrong with a configuration: every problem, with its place and a hint.
//!
//! Owns the shape and the order of problems. Does not decide what a problem is; `render` shows them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::source::{Excerpt, Source, Span};
use crate::model::{Code, Origin, sanitize_line};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can, but probably not as meant.
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

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of problem it is.
    pub code: Code,
    /// Where: the file, the line and the column, both from 1, the column in characters. A file that could not be read
    /// has line and column 0, and so has the number of the problems that are not shown.
    pub origin: Origin,
    /// The line and the column right behind the last character, where a file could be read.
    pub end: Option<(usize, usize)>,
    /// What is wrong: a fragment in lower case without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Another place that belongs to it, and what is there.
    pub related: Option<(Origin, String)>,
    /// How many problems it stands for: one, but for the last of a list that is cut.
    pub(super) count: usize,
    pub(super) excerpt: Option<Excerpt>,
    pub(super) related_excerpt: Option<Excerpt>,
}

/// All problems that stand in the way, sorted by file and place; never empty. Warnings are among them.
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

/// One line a problem: `file:line:column: error[PW-103]: message (hint)`.
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

/// A problem that is still bound to the text of its file.
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

/// The most problems of one severity that are kept: nobody reads further, and a file that is not TOML can have millions.
const PROBLEMS_SHOWN: usize = 200;

/// The first problems of one severity, by place, and how many there are besides.
#[derive(Debug, Default)]
struct Problems {
    /// At most twice as many as are shown.
    first: Vec<Problem>,
    more: usize,
}

impl Problems {
    fn push(&mut self, problem: Problem) -> &mut Problem {
        if self.first.len() == 2 * PROBLEMS_SHOWN {
            self.cut();
        }
        self.first.push(problem);
        self.first.last_mut().expect("one was just pushed")
    }

    fn cut(&mut self) {
        // Stable, so that problems of one place keep the order in which they were found.
        self.first.sort_by_key(|problem| problem.span);
        // A parser that meets the end of the file may complain once for every bracket that is open.
        self.first
            .dedup_by(|a, b| a.span == b.span && a.message == b.message);
        self.more += self.first.len().saturating_sub(PROBLEMS_SHOWN);
        self.first.truncate(PROBLEMS_SHOWN);
    }
}

/// Collects the files and what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Report {
    sources: Vec<Arc<Source>>,
    errors: Problems,
    warnings: Problems,
    unreadable: Vec<Diagnostic>,
    /// Files of which no line is shown.
    hidden: BTreeSet<usize>,
    /// Comparisons of names made for suggestions so far.
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

    /// Shows no line of a file that may be anything.
    pub(super) fn without_excerpt(&mut self, file: usize) -> &mut Self {
        self.hidden.insert(file);
        self
    }

    /// A whole file that could not be read.
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

    /// The files and the warnings, or every problem if one of them is an error.
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
    /// A problem of no line.
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
