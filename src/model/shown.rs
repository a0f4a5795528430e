//! Text that somebody else wrote, as it may be shown: names, notes, paths, aliases, the service's own messages.
//!
//! Owns what counts as harmful to a terminal or to a CI log, and how it is written instead. Refuses to know where text is
//! shown: what is harmful anywhere is written out everywhere, so that no output can forget it.

use std::borrow::Cow;
use std::fmt::Write as _;

/// How a CI system's old style of command begins, anywhere in a line: GitHub and Azure, Azure again, `TeamCity`.
const MARKS: [&str; 3] = ["##[", "##vso[", "##teamcity["];

/// Text that can be put into a line: control characters, invisible ones that reorder or hide text, and the beginnings of
/// commands to a CI system are written as escapes such as `\u{1b}`.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(['#', ':']) && !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for (at, c) in text.char_indices() {
        if is_unsafe(c) || begins_command(&text[at..]) {
            let _ = write!(out, "{}", c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Whether a terminal might do something else with a character than show it: controls, and the invisible ones that
/// reorder or hide text.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether a CI system that reads our log might take the text for a command to itself.
///
/// GitHub's runner takes `::error …::` at the start of a line, spaces before it aside, and the older `##[error]` anywhere.
/// Whether a piece of text starts a line is not known here, so every `::` counts that a name of a command could follow.
/// An IPv6 address never does: no command is spelled with hexadecimal digits alone.
#[must_use]
pub fn begins_command(text: &str) -> bool {
    if MARKS.iter().any(|mark| {
        text.get(..mark.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(mark))
    }) {
        return true;
    }
    let Some(rest) = text.strip_prefix("::") else {
        return false;
    };
    let end = rest
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_')
        .unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    // Where the text ends, what is written behind it might go on: a space, or the second pair of colons.
    let ends = after.is_empty() || after.starts_with([' ', ':']);
    ends && name.contains(|c: char| !c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_could_do_something_is_written_out() {
        for (text, shown) in [
            (
                "web\u{1b}[31m\n\u{202e}1 ü",
                "web\\u{1b}[31m\\u{a}\\u{202e}1 ü",
            ),
            ("a\u{200b}b\u{feff}", "a\\u{200b}b\\u{feff}"),
            ("::error file=x::1", "\\u{3a}:error file=x::1"),
            ("x, ::add-mask::1", "x, \\u{3a}:add-mask::1"),
            (":::warning::", ":\\u{3a}:warning::"),
            ("::stop-commands", "\\u{3a}:stop-commands"),
            ("a ##[error]b", "a \\u{23}#[error]b"),
            ("###[group]b", "#\\u{23}#[group]b"),
            ("##VSO[task.setvariable]", "\\u{23}#VSO[task.setvariable]"),
            ("##teamcity[x]", "\\u{23}#teamcity[x]"),
        ] {
            assert_eq!(visible(text), shown);
            assert_eq!(visible(shown), shown, "once is enough");
        }
    }

    #[test]
    fn what_does_nothing_stays() {
        for text in [
            "web-1",
            "## heading",
            "#[x]",
            "http://[::1]:80",
            "::/0, ::1/128",
            "a :: b",
            "ünïcode",
        ] {
            assert_eq!(visible(text), text);
        }
    }

    /// What GitHub's runner does with a line: is it a command to it?
    fn is_command(line: &str) -> bool {
        let old = line.find("##[").is_some_and(|at| line[at..].contains(']'));
        let new = line.trim_start().strip_prefix("::").is_some_and(|rest| {
            rest.find("::").is_some_and(|end| {
                let name = rest[..end].split(' ').next().unwrap_or_default();
                ["error", "add-mask", "set-env", "stop-commands", "group"].contains(&name)
            })
        });
        old || new
    }

    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just(":"),
            Just("::"),
            Just("#"),
            Just("##["),
            Just("]"),
            Just(" "),
            Just("\n"),
            Just("\r"),
            Just("\u{2028}"),
            Just("error"),
            Just("add-mask"),
            Just("group"),
            Just("file=a"),
            Just("1"),
            Just("\u{1b}[0m"),
            Just(","),
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn nothing_foreign_is_a_command(first in pieces(), second in pieces()) {
            let line = format!("{} ({}): {}", visible(&first), visible(&second), visible(&first));
            prop_assert!(!is_command(&line), "{}", line);
            prop_assert!(!line.contains(is_unsafe));
            prop_assert_eq!(line.lines().count(), 1);
        }

        #[test]
        fn addresses_are_left_alone(bits: u128) {
            for bits in [bits, bits & 0xffff_ffff, bits & 0xffff, bits & !0 << 64] {
                let address = Ipv6Addr::from(bits).to_string();
                prop_assert_eq!(visible(&format!("{address}, {address}/64 {address}")).into_owned(), format!("{address}, {address}/64 {address}"));
            }
        }
    }
}
