//! The text of a file, and places in it.
//!
//! Owns the conversion from byte offsets to line and column, in time that does not grow with the length of a line. Does not know
//! the meaning of the text, or read files.

use std::ops::Range;
use std::sync::Arc;

use crate::model::{Origin, begins_command, is_unsafe, sanitize_line};

/// The most characters printed on either side of the start of a place; longer lines are truncated.
const MAX_PRINTED: usize = 100;

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
    /// The first byte that is not UTF-8, with a hint.
    pub(super) invalid_utf8: Option<(usize, Option<&'static str>)>,
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
        let saturate = |number| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            file: saturate(file),
            start: saturate(range.start),
            end: saturate(range.end),
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

/// A text with its place.
#[derive(Clone, Debug)]
pub(super) struct SpannedString {
    pub(super) text: String,
    pub(super) span: Span,
}

/// A part of a line that is safe to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// Without control characters, at most about [`MAX_PRINTED`] characters on either side of the place.
    pub(super) text: String,
    /// The marked bytes of `text`.
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Source {
    /// A file that is known to be text.
    pub fn new(name: &str, text: impl Into<String>) -> Self {
        Self::from_parts(name, text.into(), None)
    }

    /// A file as it was read.
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::from_parts(name, text, None),
            Err(error) => {
                let is_utf16 = matches!(error.as_bytes(), [0xff, 0xfe, ..] | [0xfe, 0xff, ..]);
                let hint = is_utf16.then_some("this looks like UTF-16: save the file as UTF-8");
                let offset = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                Self::from_parts(name, text, Some((offset, hint)))
            }
        }
    }

    fn from_parts(
        name: &str,
        mut text: String,
        mut invalid_utf8: Option<(usize, Option<&'static str>)>,
    ) -> Self {
        const BYTE_ORDER_MARK: &str = "\u{feff}";
        if text.starts_with(BYTE_ORDER_MARK) {
            text.drain(..BYTE_ORDER_MARK.len());
            if let Some((offset, _)) = &mut invalid_utf8 {
                *offset = offset.saturating_sub(BYTE_ORDER_MARK.len());
            }
        }
        let mut line_starts = vec![0];
        line_starts.extend(text.match_indices('\n').map(|(at, _)| at + 1));
        let mut characters = Vec::with_capacity(text.len() / STRIDE + 1);
        let mut before = 0;
        for chunk in text.as_bytes().chunks(STRIDE) {
            characters.push(before);
            before += count_characters(chunk);
        }
        characters.push(before);
        Self {
            name: sanitize_line(name).into(),
            text,
            invalid_utf8,
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

    pub(super) fn origin(&self, offset: usize) -> Origin {
        let offset = offset.min(self.text.len());
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts[line - 1];
        Origin {
            file: Arc::clone(&self.name),
            line,
            column: self.characters_before(offset) - self.characters_before(start) + 1,
        }
    }

    fn characters_before(&self, offset: usize) -> usize {
        let chunk = offset / STRIDE;
        self.characters[chunk] + count_characters(&self.text.as_bytes()[chunk * STRIDE..offset])
    }

    /// The excerpt of the line where `start..end` begins.
    pub(super) fn excerpt(&self, start: usize, end: usize) -> Excerpt {
        let start = self.char_boundary(start);
        let line = self.line_starts.partition_point(|first| *first <= start);
        let from = self.line_starts[line - 1];
        let to = self
            .line_starts
            .get(line)
            .map_or(self.text.len(), |next| next - 1);
        let to = to - usize::from(self.text[from..to].ends_with('\r'));
        let start = start.min(to);
        let end = self.char_boundary(end).clamp(start, to);

        let before = length_of_first(self.text[from..start].chars().rev());
        let after = length_of_first(self.text[start..to].chars());
        let mut text = String::new();
        if start - before > from {
            text.push('…');
        }
        append_printable(&mut text, &self.text[..to], start - before..start);
        let marked_start = text.len();
        let stop = end.min(start + after);
        append_printable(&mut text, &self.text[..to], start..stop);
        let marked_end = text.len();
        append_printable(&mut text, &self.text[..to], stop..start + after);
        if start + after < to {
            text.push('…');
        }
        Excerpt {
            text,
            start: marked_start,
            end: marked_end,
        }
    }

    fn char_boundary(&self, offset: usize) -> usize {
        self.text.floor_char_boundary(offset.min(self.text.len()))
    }
}

/// The number of bytes of the first [`MAX_PRINTED`] of these characters.
fn length_of_first(characters: impl Iterator<Item = char>) -> usize {
    characters.take(MAX_PRINTED).map(char::len_utf8).sum()
}

/// The number of characters that begin in these bytes.
fn count_characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| (**byte & 0xc0) != 0x80).count()
}

/// Appends `line[range]` character by character, so that the caret still points at the right column.
fn append_printable(out: &mut String, line: &str, range: Range<usize>) {
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
    const MAX_CHARACTERS: usize = 80;
    match text.char_indices().nth(MAX_CHARACTERS) {
        None => format!("`{}`", sanitize_line(text)),
        Some((end, _)) => format!("`{}…`", sanitize_line(&text[..end])),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_line_is_truncated_around_the_place() {
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
        fn origin_agrees_with_a_count_of_all_characters(text in "[aé\\n\\r😀]{0,600}", at in 0_usize..2500) {
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
