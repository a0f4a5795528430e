//! Diagnostics: the problems of a configuration, each with its place and a hint.
//!
//! Owns the types and the order of diagnostics. Does not find problems; `render` prints them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::source::{Excerpt, Source, Span};
use crate::model::{Code, Origin, sanitize_line};

/// The severity of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// The configuration can be used, but is probably not as intended.
    Warning,
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

/// All problems of a configuration with errors, sorted by file and place, including warnings. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Diagnostics {
    /// The problems, in order.
    pub problems: Vec<Diagnostic>,
}

/// One line for each problem: `file:line:column: error[PW-103]: message (hint)`.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.problems.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
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

/// An error whose place is not known yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HintedError {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl HintedError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn report(self, report: &mut DiagnosticsBuilder, code: Code, span: Span) {
        report.error(code, span, self.message).hint = self.hint;
    }
}

/// A diagnostic with spans in the texts of the files.
#[derive(Debug)]
pub(super) struct SpannedDiagnostic {
    severity: Severity,
    code: Code,
    span: Span,
    message: String,
    pub(super) hint: Option<String>,
    related: Option<(Span, String)>,
}

impl SpannedDiagnostic {
    pub(super) fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn related(&mut self, span: Span, note: impl Into<String>) -> &mut Self {
        self.related = Some((span, note.into()));
        self
    }
}

/// The most diagnostics of one severity that are kept: nobody reads more, and a file that is not TOML can have millions.
const MAX_DIAGNOSTICS: usize = 200;

/// The first diagnostics of one severity, by place, and the number of the others.
#[derive(Debug, Default)]
struct FirstDiagnostics {
    /// At most twice [`MAX_DIAGNOSTICS`].
    first: Vec<SpannedDiagnostic>,
    omitted: usize,
}

impl FirstDiagnostics {
    fn push(
        &mut self,
        severity: Severity,
        code: Code,
        span: Span,
        message: String,
    ) -> &mut SpannedDiagnostic {
        if self.first.len() == 2 * MAX_DIAGNOSTICS {
            self.truncate();
        }
        self.first.push(SpannedDiagnostic {
            severity,
            code,
            span,
            message,
            hint: None,
            related: None,
        });
        self.first.last_mut().expect("one was just pushed")
    }

    fn truncate(&mut self) {
        // The sort is stable, so diagnostics of one place keep the order in which they were found.
        self.first.sort_by_key(|diagnostic| diagnostic.span);
        // At the end of the file, a parser may report every open bracket.
        self.first
            .dedup_by(|a, b| a.span == b.span && a.message == b.message);
        self.omitted += self.first.len().saturating_sub(MAX_DIAGNOSTICS);
        self.first.truncate(MAX_DIAGNOSTICS);
    }
}

/// Collects the files and their diagnostics.
#[derive(Debug, Default)]
pub(super) struct DiagnosticsBuilder {
    sources: Vec<Arc<Source>>,
    errors: FirstDiagnostics,
    warnings: FirstDiagnostics,
    unreadable: Vec<Diagnostic>,
    /// Files of which no line is shown.
    without_excerpt: BTreeSet<usize>,
    /// The pairs of places for which [`is_first_for`](Self::is_first_for) was asked.
    reported: BTreeSet<(Span, Span)>,
    /// The number of comparisons of names for suggestions so far.
    pub(super) comparisons: usize,
}

impl DiagnosticsBuilder {
    pub(super) fn with_sources(sources: Vec<Arc<Source>>) -> Self {
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
    ) -> &mut SpannedDiagnostic {
        self.errors
            .push(Severity::Error, code, span, message.into())
    }

    pub(super) fn warning(
        &mut self,
        code: Code,
        span: Span,
        message: impl Into<String>,
    ) -> &mut SpannedDiagnostic {
        self.warnings
            .push(Severity::Warning, code, span, message.into())
    }

    /// Whether this is the first question about these two places, so that a problem that many instances share is reported once.
    pub(super) fn is_first_for(&mut self, one: Span, other: Span) -> bool {
        self.reported.insert((one, other))
    }

    /// Shows no line of a file that may not be a configuration.
    pub(super) fn without_excerpt(&mut self, file: usize) -> &mut Self {
        self.without_excerpt.insert(file);
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

    /// The files and the warnings, or all diagnostics if one is an error.
    pub(super) fn finish(self) -> Result<(Vec<Arc<Source>>, Vec<Diagnostic>), Diagnostics> {
        let has_errors = self.has_errors();
        let Self {
            sources,
            mut errors,
            mut warnings,
            unreadable: mut problems,
            without_excerpt,
            ..
        } = self;
        errors.truncate();
        warnings.truncate();
        let mut all = errors.first;
        all.append(&mut warnings.first);
        all.sort_by_key(|diagnostic| diagnostic.span);
        problems.extend(
            all.into_iter()
                .map(|diagnostic| diagnostic.locate(&sources, &without_excerpt)),
        );
        for (severity, omitted) in [
            (Severity::Error, errors.omitted),
            (Severity::Warning, warnings.omitted),
        ] {
            let last = problems.iter().rfind(|last| last.severity == severity);
            if let Some(file) = last.map(|last| Arc::clone(&last.origin.file))
                && omitted > 0
            {
                let message = format!("and {omitted} more {severity}s, which are not shown");
                problems.push(Diagnostic {
                    count: omitted,
                    ..Diagnostic::of_file(severity, Code::MoreProblems, file, message)
                });
            }
        }
        if has_errors {
            Err(Diagnostics { problems })
        } else {
            Ok((sources, problems))
        }
    }
}

impl Diagnostic {
    /// A diagnostic without a line.
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

impl SpannedDiagnostic {
    fn locate(self, sources: &[Arc<Source>], without_excerpt: &BTreeSet<usize>) -> Diagnostic {
        let start_of = |span: Span| sources[span.file()].origin(span.start());
        let excerpt = |span: Span| {
            let has_excerpt = !without_excerpt.contains(&span.file());
            has_excerpt.then(|| sources[span.file()].excerpt(span.start(), span.end()))
        };
        let sanitize = |text: String| sanitize_line(&text).into_owned();
        let span = self.span;
        let end = sources[span.file()].origin(span.end().max(span.start()));
        let related = self.related;
        Diagnostic {
            severity: self.severity,
            code: self.code,
            origin: start_of(span),
            end: Some((end.line, end.column)),
            message: sanitize(self.message),
            count: 1,
            hint: self.hint.map(sanitize),
            excerpt: excerpt(span),
            related_excerpt: related.as_ref().and_then(|(span, _)| excerpt(*span)),
            related: related.map(|(span, note)| (start_of(span), sanitize(note))),
        }
    }
}
