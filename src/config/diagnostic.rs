//! What is wrong with a configuration: every problem, with its place and a hint.
//!
//! Owns the shape and the order of problems. Refuses to decide what a problem is; `render` shows them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::source::{Excerpt, Source, Span};
use crate::model::{Origin, visible};

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
    /// Where: the file, the line and the column, both from 1, the column in characters. A file that could not be read
    /// has line and column 0.
    pub origin: Origin,
    /// The line and the column right behind the last character, where a file could be read.
    pub end: Option<(usize, usize)>,
    /// What is wrong: a fragment in lower case without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Another place that belongs to it, and what is there.
    pub related: Option<(Origin, String)>,
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

/// One line a problem: `file:line:column: error: message (hint)`.
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
            "{file}:{line}:{column}: {}: {}",
            self.severity, self.message
        )?;
        self.hint.iter().try_for_each(|hint| write!(f, " ({hint})"))
    }
}

/// A problem that is still bound to the text of its file.
#[derive(Debug)]
pub(super) struct Problem {
    severity: Severity,
    span: Span,
    message: String,
    hint: Option<String>,
    related: Option<(Span, String)>,
}

impl Problem {
    pub(super) fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn related(&mut self, span: Span, what: impl Into<String>) -> &mut Self {
        self.related = Some((span, what.into()));
        self
    }
}

/// Collects the files and what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Report {
    sources: Vec<Arc<Source>>,
    problems: Vec<Problem>,
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
        self.sources[span.file].origin(span.start)
    }

    pub(super) fn error(&mut self, span: Span, message: impl Into<String>) -> &mut Problem {
        self.push(Severity::Error, span, message.into())
    }

    pub(super) fn warning(&mut self, span: Span, message: impl Into<String>) -> &mut Problem {
        self.push(Severity::Warning, span, message.into())
    }

    fn push(&mut self, severity: Severity, span: Span, message: String) -> &mut Problem {
        self.problems.push(Problem {
            severity,
            span,
            message,
            hint: None,
            related: None,
        });
        self.problems.last_mut().expect("one was just pushed")
    }

    /// Shows no line of a file that may be anything.
    pub(super) fn without_excerpt(&mut self, file: usize) -> &mut Self {
        self.hidden.insert(file);
        self
    }

    /// A whole file that could not be read.
    pub(super) fn unreadable(&mut self, file: &str, message: &str) {
        self.unreadable.push(Diagnostic {
            severity: Severity::Error,
            origin: Origin {
                file: visible(file).into(),
                line: 0,
                column: 0,
            },
            end: None,
            message: visible(message).into_owned(),
            hint: None,
            related: None,
            excerpt: None,
            related_excerpt: None,
        });
    }

    pub(super) fn has_errors(&self) -> bool {
        !self.unreadable.is_empty()
            || self
                .problems
                .iter()
                .any(|problem| problem.severity == Severity::Error)
    }

    /// The files and the warnings, or every problem if one of them is an error.
    pub(super) fn finish(mut self) -> Result<(Vec<Arc<Source>>, Vec<Diagnostic>), Diagnostics> {
        let failed = self.has_errors();
        // Stable, so that problems of one place keep the order in which they were found.
        self.problems.sort_by_key(|problem| problem.span);
        // A parser that meets the end of the file may complain once for every bracket that is open.
        self.problems
            .dedup_by(|a, b| a.span == b.span && a.message == b.message);
        let sources = &self.sources;
        let mut problems = self.unreadable;
        problems.extend(
            self.problems
                .into_iter()
                .map(|problem| problem.place(sources, &self.hidden)),
        );
        if failed {
            Err(Diagnostics { problems })
        } else {
            Ok((self.sources, problems))
        }
    }
}

impl Problem {
    fn place(self, sources: &[Arc<Source>], hidden: &BTreeSet<usize>) -> Diagnostic {
        let Self {
            severity,
            span,
            message,
            hint,
            related,
        } = self;
        let excerpt = |span: Span| {
            let shown = !hidden.contains(&span.file);
            shown.then(|| sources[span.file].excerpt(span.start, span.end))
        };
        let end = sources[span.file].origin(span.end.max(span.start));
        Diagnostic {
            severity,
            origin: sources[span.file].origin(span.start),
            end: Some((end.line, end.column)),
            message: visible(&message).into_owned(),
            hint: hint.map(|hint| visible(&hint).into_owned()),
            excerpt: excerpt(span),
            related_excerpt: related.as_ref().and_then(|(span, _)| excerpt(*span)),
            related: related.map(|(span, what)| {
                (
                    sources[span.file].origin(span.start),
                    visible(&what).into_owned(),
                )
            }),
        }
    }
}
