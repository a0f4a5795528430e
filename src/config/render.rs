//! Prints problems with the source line, a caret and the hint.
//!
//! Owns the layout. Does not find problems, or know whether it writes to a terminal.

use std::fmt::Write as _;

use annotate_snippets::{
    AnnotationKind, Element, Group, Level, Origin as Location, Renderer, Snippet,
};

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::source::Excerpt;
use crate::model::Origin;
use crate::strings;

impl Diagnostics {
    /// Every problem with its source line, a caret and its hint, then the number of problems. `color` adds ANSI escapes, which carry no
    /// information of their own. Ends with a newline.
    pub fn render(&self, color: bool) -> String {
        let mut out = String::new();
        for problem in &self.problems {
            out.push_str(&problem.render(color));
            out.push('\n');
        }
        let count = |severity| -> usize {
            let problems = self.problems.iter();
            let problems = problems.filter(|problem| problem.severity == severity);
            problems.map(|problem| problem.count).sum()
        };
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        out.push_str(&strings::count(errors, "error"));
        if warnings > 0 {
            let _ = write!(out, ", {}", strings::count(warnings, "warning"));
        }
        out.push('\n');
        out
    }
}

impl Diagnostic {
    /// This problem alone, like [`Diagnostics::render`]. Ends with a newline.
    pub fn render(&self, color: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(self.message.as_str());
        let mut group = Group::with_title(title.id(self.code.as_str())).elements(elements(
            &self.origin,
            self.excerpt.as_ref(),
            AnnotationKind::Primary,
        ));
        if let Some(hint) = &self.hint {
            group = group.element(Level::HELP.message(hint.as_str()));
        }
        let mut groups = vec![group];
        if let Some((origin, note)) = &self.related {
            let group = Group::with_title(Level::NOTE.secondary_title(note.as_str()));
            groups.push(group.elements(elements(
                origin,
                self.related_excerpt.as_ref(),
                AnnotationKind::Context,
            )));
        }
        // The lines are truncated already.
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        }
        .term_width(1000);
        let text = renderer.render(&groups);
        let lines = text.lines().filter(|line| !is_separator(line));
        lines.flat_map(|line| [line, "\n"]).collect()
    }
}

/// Whether the renderer drew a line only to introduce a second place, which it does because we print the place ourselves.
fn is_separator(line: &str) -> bool {
    line.contains(":::") && line.chars().all(|c| "0123456789\u{1b}[;m: ".contains(c))
}

/// The location of a diagnostic, and its source line if there is one.
fn elements<'a>(
    origin: &'a Origin,
    excerpt: Option<&'a Excerpt>,
    kind: AnnotationKind,
) -> Vec<Element<'a>> {
    let Some(excerpt) = excerpt else {
        return vec![Location::path(origin.file.as_ref()).into()];
    };
    let snippet = Snippet::source(excerpt.text.as_str())
        .line_start(origin.line)
        .annotation(kind.span(excerpt.start..excerpt.end));
    // The renderer's own column is wrong if the start of the line is truncated.
    if excerpt.text[..excerpt.start].chars().count() + 1 == origin.column {
        return vec![snippet.path(origin.file.as_ref()).into()];
    }
    let location = Location::path(origin.file.as_ref())
        .line(origin.line)
        .char_column(origin.column);
    vec![location.into(), snippet.into()]
}
