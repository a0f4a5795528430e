//! The text of a file, and places in it.
//!
//! Owns the conversion from byte offsets to line and column, in time that does not grow with the length of a line. Does not know
//! the meaning of the text, or read files.

use std::ops::Range;
use std::sync::Arc;

use crate::model::{Origin, begins_command, is_unsafe, sanitize_line};

/// The distance in bytes between two counts of characters: small enough for a fast lookup, large enough that the counts take an
/// eighth of the memory of the text.
const STRIDE: usize = 64;

/// One file: its name as the user would write it, and its text.
///
/// A byte order mark is not part of the text. Bytes that are not UTF-8 are recorded and reported by [`parse`](super::parse).
#[derive(Clone, Debug)]
pub struct Source {
    name: Arc<str>,
    text: String,
    /// The first byte that is not UTF-8, and the probable reason.
    broken: Option<(usize, Option<&'static str>)>,
    line_starts: Vec<usize>,
    /// Characters before each multiple of [`STRIDE`].
    characters: Vec<usize>,
}

/// A range of bytes in one of the files. Every rule has several, so it is small: no file has 4 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    file: u32,
    start: u32,
    end: u32,
}

const _: () = assert!(crate::input::MOST_BYTES < u32::MAX as u64);

impl Span {
    pub(super) fn new(file: usize, range: Range<usize>) -> Self {
        let small = |number| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            file: small(file),
            start: small(range.start),
            end: small(range.end),
        }
    }

    pub(super) fn file(self) -> usize {
        self.file as usize
    }

    pub(super) fn start(self) -> usize {
        self.start as usize
    }

    pub(super) fn end(self) -> usize {
        self.end as usize
    }

    pub(super) fn range(self) -> Range<usize> {
        self.start()..self.end()
    }
}

/// A part of a line that is safe to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// Without control characters, at most about [`Source::SHOWN`] characters on either side of the place.
    pub(super) text: String,
    /// The marked bytes of `text`.
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Source {
    /// The most characters printed on either side of the start of a place; longer lines are truncated.
    const SHOWN: usize = 100;

    /// A file that is known to be text.
    pub fn new(name: &str, text: impl Into<String>) -> Self {
        Self::of(name, text.into(), None)
    }

    /// A file as it was read.
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::of(name, text, None),
            Err(error) => {
                let utf16 = matches!(error.as_bytes(), [0xff, 0xfe, ..] | [0xfe, 0xff, ..]);
                let hint = utf16.then_some("this looks like UTF-16: save the file as UTF-8");
                let bad = error.utf8_error().valid_up_to();
                Self::of(
                    name,
                    String::from_utf8_lossy(error.as_bytes()).into_owned(),
                    Some((bad, hint)),
                )
            }
        }
    }

    fn of(name: &str, mut text: String, broken: Option<(usize, Option<&'static str>)>) -> Self {
        const MARK: &str = "\u{feff}";
        let mut broken = broken;
        if text.starts_with(MARK) {
            text.drain(..MARK.len());
            broken = broken.map(|(at, hint)| (at.saturating_sub(MARK.len()), hint));
        }
        let mut line_starts = vec![0];
        line_starts.extend(text.match_indices('\n').map(|(at, _)| at + 1));
        let mut characters = Vec::with_capacity(text.len() / STRIDE + 1);
        let mut before = 0;
        for chunk in text.as_bytes().chunks(STRIDE) {
            characters.push(before);
            before += count(chunk);
        }
        characters.push(before);
        Self {
            name: sanitize_line(name).into(),
            text,
            broken,
            line_starts,
            characters,
        }
    }

    /// The name, with control characters made visible.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text without a byte order mark; what was not UTF-8 is replaced.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn broken(&self) -> Option<(usize, Option<&'static str>)> {
        self.broken
    }

    pub(super) fn origin(&self, at: usize) -> Origin {
        let at = at.min(self.text.len());
        let line = self.line_starts.partition_point(|start| *start <= at);
        let start = self.line_starts[line - 1];
        Origin {
            file: Arc::clone(&self.name),
            line,
            column: self.count_to(at) - self.count_to(start) + 1,
        }
    }

    fn count_to(&self, at: usize) -> usize {
        let chunk = at / STRIDE;
        self.characters[chunk] + count(&self.text.as_bytes()[chunk * STRIDE..at])
    }

    /// The excerpt of the line where `start..end` begins.
    pub(super) fn excerpt(&self, start: usize, end: usize) -> Excerpt {
        let start = self.boundary(start);
        let line = self.line_starts.partition_point(|first| *first <= start);
        let from = self.line_starts[line - 1];
        let to = self
            .line_starts
            .get(line)
            .map_or(self.text.len(), |next| next - 1);
        let to = if self.text[from..to].ends_with('\r') {
            to - 1
        } else {
            to
        };
        let start = start.min(to);
        let end = self.boundary(end).clamp(start, to);

        let before: usize = self.text[from..start]
            .chars()
            .rev()
            .take(Self::SHOWN)
            .map(char::len_utf8)
            .sum();
        let after: usize = self.text[start..to]
            .chars()
            .take(Self::SHOWN)
            .map(char::len_utf8)
            .sum();
        let mut text = String::new();
        if start - before > from {
            text.push('…');
        }
        append_shown(&mut text, &self.text[..to], start - before..start);
        let shown_start = text.len();
        let stop = end.min(start + after);
        append_shown(&mut text, &self.text[..to], start..stop);
        let shown_end = text.len();
        append_shown(&mut text, &self.text[..to], stop..start + after);
        if start + after < to {
            text.push('…');
        }
        Excerpt {
            text,
            start: shown_start,
            end: shown_end,
        }
    }

    fn boundary(&self, at: usize) -> usize {
        self.text.floor_char_boundary(at.min(self.text.len()))
    }
}

/// The number of characters that begin in these bytes.
fn count(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| (**byte & 0xc0) != 0x80).count()
}

/// Appends `line[range]` character by character, so that the caret still points at the right column.
fn append_shown(out: &mut String, line: &str, range: Range<usize>) {
    for (at, c) in line[range.clone()].char_indices() {
        out.push(match c {
            '\t' => ' ',
            // The line comes after its number, where only commands are recognized that may be anywhere in a line.
            c if is_unsafe(c) || (c == '#' && begins_command(&line[range.start + at..])) => {
                '\u{fffd}'
            }
            c => c,
        });
    }
}

/// A name from a file in backticks, with unsafe characters escaped, and truncated if it is long.
pub(super) fn quote(text: &str) -> String {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        None => format!("`{}`", sanitize_line(text)),
        Some((end, _)) => format!("`{}…`", sanitize_line(&text[..end])),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let line = format!("{}X{}", "é".repeat(100_000), "ü".repeat(100_000));
        let source = Source::new("f", line);
        let excerpt = source.excerpt(200_000, 200_001);
        assert_eq!(&excerpt.text[excerpt.start..excerpt.end], "X");
        assert_eq!(excerpt.text.chars().count(), 202);
        assert_eq!(source.origin(200_000).column, 100_001);
    }

    #[test]
    fn control_characters_are_not_shown_raw() {
        let source = Source::new("a\u{1b}[31m", "x = \"\u{1b}[2J\u{202e}\"");
        assert_eq!(source.name(), "a\\u{1b}[31m");
        assert!(!source.excerpt(4, 9).text.contains(is_unsafe));
        assert_eq!(quote("a\u{7}b"), "`a\\u{7}b`");
    }

    proptest! {
        #[test]
        fn positions_are_those_of_a_plain_count(text in "[aé\\n\\r😀]{0,600}", at in 0_usize..2500) {
            let source = Source::new("f", text.clone());
            let at = text.floor_char_boundary(at.min(text.len()));
            let before = &text[..at];
            let origin = source.origin(at);
            prop_assert_eq!(origin.line, before.matches('\n').count() + 1);
            let line = before.rsplit('\n').next().unwrap_or("");
            prop_assert_eq!(origin.column, line.chars().count() + 1);
            let excerpt = source.excerpt(at, at + 3);
            prop_assert!(excerpt.text.is_char_boundary(excerpt.start) && excerpt.text.is_char_boundary(excerpt.end));
        }
    }
}
