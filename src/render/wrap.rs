//! Text for people, wrapped at the width of the terminal or the log that shows it.
//!
//! **Owns** where a line may break and how far its continuation is indented. **Does not** join lines, shorten words, or know
//! what the text says. Styles count as nothing, so that a line with colours breaks where it would break without.

use anstream::adapter::strip_str;

/// The width if it is unknown, as in a CI log, a pipe or a file.
pub const DEFAULT_WIDTH: usize = 80;

/// A label of at most this many columns, such as `  refused: `, has its continuation beside it; a longer one, below it.
const LABEL: usize = 16;

/// Columns of a table that end here at most have the continuation of the last one beside it.
const TABLE: usize = 24;

/// Breaks every line that is longer than `width` columns at spaces. Lines that fit stay as they are, so wrapping twice changes
/// nothing; a word that is longer than a line stays whole.
pub(crate) fn wrap(text: &str, width: usize) -> String {
    text.split_inclusive('\n')
        .map(|line| match line.strip_suffix('\n') {
            Some(line) => wrap_line(line, width) + "\n",
            None => wrap_line(line, width),
        })
        .collect()
}

fn wrap_line(line: &str, width: usize) -> String {
    wrap_to(line, hanging_indent(line), width)
}

/// Breaks one line, whose continuation begins at column `indent`.
pub(super) fn wrap_to(line: &str, indent: usize, width: usize) -> String {
    if columns(line) <= width {
        return line.to_owned();
    }
    let indent = indent.min(width * 3 / 4);
    let mut wrapped = String::with_capacity(line.len() + 32);
    let mut used = 0;
    for word in words(line) {
        if used > 0 && used + columns(word) > width {
            wrapped.push('\n');
            wrapped.push_str(&" ".repeat(indent));
            wrapped.push_str(word.trim_start());
            used = indent + columns(word.trim_start());
        } else {
            wrapped.push_str(word);
            used += columns(word);
        }
    }
    wrapped
}

/// The words of a line, each with the spaces before it. What is in backticks is one word, so that a command can be copied. What
/// is in parentheses belongs to the word before, up to a space, so that an instance keeps its region beside it.
fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut in_word = false;
    let mut in_code = false;
    let is_paired = line.matches('`').count().is_multiple_of(2);
    for (at, letter) in line.char_indices() {
        in_code ^= letter == '`' && is_paired;
        if letter != ' ' {
            in_word = true;
        } else if in_word && !in_code && !line[at..].starts_with(" (") {
            words.push(&line[start..at]);
            start = at;
            in_word = false;
        }
    }
    words.push(&line[start..]);
    words
}

/// The column of continuation lines: after the label and the sign of the first line.
fn hanging_indent(line: &str) -> usize {
    let plain = strip_str(line).to_string();
    let blank = plain.len() - plain.trim_start_matches(' ').len();
    let mut letters = plain.char_indices();
    let column = letters.rfind(|(at, letter)| {
        *letter != ' ' && plain[..*at].ends_with("  ") && (blank + 1..=TABLE).contains(at)
    });
    if let Some((start, _)) = column {
        return start;
    }
    let label = plain
        .find(": ")
        .map(|colon| plain[..colon].chars().count() + 2);
    let start = label.filter(|end| *end <= LABEL).unwrap_or(blank);
    let rest: String = plain.chars().skip(start).collect();
    let is_signed = ["+ ", "- ", "~ ", "? "]
        .iter()
        .any(|sign| rest.starts_with(sign));
    if is_signed || start == blank {
        start + 2
    } else {
        start
    }
}

/// Columns that a text takes; a character is one, a style none.
pub(super) fn columns(text: &str) -> usize {
    strip_str(text).to_string().chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn continuation_lines_are_indented_to_the_label() {
        for (line, wrapped) in [
            ("  hint: aaa bbb ccc", "  hint: aaa bbb\n        ccc"),
            (
                "  access: + tcp/22 from x",
                "  access: + tcp/22\n            from x",
            ),
            ("aaa bbb `ccc ddd eee`", "aaa bbb\n  `ccc ddd eee`"),
            ("aaa bbb ccc ddd eee", "aaa bbb ccc ddd\n  eee"),
            ("ok  clock  aaa bbb", "ok  clock  aaa bbb"),
            ("ok  clock  aaa bbb c", "ok  clock  aaa bbb\n           c"),
            ("a, b, web-1 (eu-west-1)", "a, b,\n  web-1 (eu-west-1)"),
            (
                "  \u{1b}[31maaaaaaa\u{1b}[0m bbbb cccc",
                "  \u{1b}[31maaaaaaa\u{1b}[0m bbbb\n    cccc",
            ),
        ] {
            assert_eq!(wrap(line, 18), wrapped, "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn wrapped_text_is_complete_and_within_the_width(
            line in "( {0,6})([a-z]{1,9}:? {1,2}|\\(x\\) |[+-] ){0,30}[a-z]{0,9}", width in 20_usize..60,
        ) {
            let wrapped = wrap(&line, width);
            let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            prop_assert_eq!(squeezed(&wrapped), squeezed(&line));
            prop_assert_eq!(wrap(&wrapped, width), wrapped.clone());
            for line in wrapped.lines() {
                prop_assert!(line.chars().count() <= width || words(line.trim_start()).len() == 1, "{line:?}");
            }
        }
    }
}
