//! Escaping of foreign text (names, notes, paths, aliases, the service's messages) before it is printed.
//!
//! Owns the definition of unsafe text, and its escapes in a line, in several lines and in JSON. Does not know where text is
//! printed: text that is unsafe in any output is escaped in all of them, so that no output can forget it.

use std::borrow::Cow;
use std::fmt::Write as _;

use icu_properties::props::{
    BinaryProperty as _, DefaultIgnorableCodePoint, EnumeratedProperty as _, GeneralCategory,
};

/// How commands to a CI system begin that are recognized anywhere in a line: of GitHub and Azure, of Azure, of `TeamCity`.
const COMMAND_PREFIXES: [&str; 3] = ["##[", "##vso[", "##teamcity["];

/// Looks like a space, but Unicode classifies it as a symbol.
const BRAILLE_BLANK: char = '\u{2800}';

/// Makes text safe for a line: control characters, invisible characters that reorder or hide text, and the beginnings of commands
/// to a CI system become escapes such as `\u{1b}`.
pub fn sanitize_line(text: &str) -> Cow<'_, str> {
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

/// Makes several foreign lines safe, such as a usage error: escapes each line that contains an unsafe character or may contain a
/// command to a CI system.
pub fn sanitize_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let harmful = begins_command(line.trim_start())
            || line.contains("##")
            || line.contains(|c| c != '\t' && is_unsafe(c));
        let line = if harmful {
            sanitize_line(line)
        } else {
            Cow::Borrowed(line)
        };
        out.push_str(&line);
        out.push('\n');
    }
    out
}

/// Makes JSON safe without changing its value. Unsafe characters, and the `##` of commands to a CI system, can occur in strings
/// only, where JSON allows escapes.
pub fn sanitize_json(text: String) -> String {
    let harmful = |c| c != '\n' && is_unsafe(c);
    if !text.contains("##") && !text.contains(harmful) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 8);
    let mut before = ' ';
    for c in text.chars() {
        if harmful(c) || (before, c) == ('#', '#') {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
            before = ' ';
        } else {
            out.push(c);
            before = c;
        }
    }
    out
}

/// Whether a character must be escaped, because a terminal or a browser would not simply show it: control characters, line and
/// paragraph separators, format characters (among them those that reorder text), characters that fonts may leave out
/// (fillers, joiners, variation selectors, tags), and the blank Braille pattern.
pub fn is_unsafe(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    let kind = GeneralCategory::for_char(c);
    matches!(
        kind,
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    ) || DefaultIgnorableCodePoint::for_char(c)
        || c == BRAILLE_BLANK
}

/// Whether a CI system might interpret the text as a command.
///
/// GitHub's runner recognizes `::error …::` at the start of a line, after optional spaces, and the older `##[error]` anywhere.
/// This function does not know whether the text starts a line, so every `::` counts before a possible name of a command.
/// An IPv6 address is never one: no command consists of hexadecimal digits alone.
pub fn begins_command(text: &str) -> bool {
    if COMMAND_PREFIXES.iter().any(|prefix| {
        text.get(..prefix.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(prefix))
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
    // Whatever is printed after the text may continue the command with a space or the second `::`.
    let ends = after.is_empty() || after.starts_with([' ', ':']);
    ends && name.contains(|c: char| !c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn unsafe_characters_and_commands_are_escaped() {
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
            assert_eq!(sanitize_line(text), shown);
            assert_eq!(sanitize_line(shown), shown, "once is enough");
        }
    }

    #[test]
    fn safe_text_is_unchanged() {
        for text in [
            "web-1",
            "## heading",
            "#[x]",
            "http://[::1]:80",
            "::/0, ::1/128",
            "a :: b",
            "ünïcode",
        ] {
            assert_eq!(sanitize_line(text), text);
        }
    }

    /// The unsafe characters according to the tables of another crate.
    fn by_other_tables() -> Vec<(char, char)> {
        let class = r"[\p{Default_Ignorable_Code_Point}\p{Cc}\p{Cf}\p{Zl}\p{Zp}\x{115F}\x{1160}\x{3164}\x{FFA0}\x{2800}\x{FE00}-\x{FE0F}\x{E0000}-\x{E007F}\x{E0100}-\x{E01EF}]";
        let parsed = regex_syntax::Parser::new().parse(class).expect("a class");
        let regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(class)) =
            parsed.into_kind()
        else {
            panic!("not a class");
        };
        class
            .iter()
            .map(|range| (range.start(), range.end()))
            .collect()
    }

    #[test]
    fn every_unsafe_character_of_unicode_is_escaped() {
        let ranges = by_other_tables();
        let mut unsafe_ones = 0;
        for c in '\0'..=char::MAX {
            let place = ranges.partition_point(|(_, last)| *last < c);
            let unsafe_one = ranges.get(place).is_some_and(|(first, _)| *first <= c);
            assert_eq!(is_unsafe(c), unsafe_one, "U+{:04X}", u32::from(c));
            let text = format!("a{c}b");
            let shown = sanitize_line(&text);
            let json = serde_json::to_string(&text).expect("JSON");
            let shown_json = sanitize_json(json.clone());
            if unsafe_one {
                unsafe_ones += 1;
                assert_eq!(shown, format!("a\\u{{{:x}}}b", u32::from(c)));
                assert!(!shown_json.contains(is_unsafe), "{shown_json}");
                let again: String = serde_json::from_str(&shown_json).expect("JSON");
                assert_eq!(again, text);
            } else {
                assert_eq!((shown.as_ref(), shown_json), (text.as_str(), json));
            }
        }
        // 4,174 code points are default-ignorable alone, most of them not assigned yet.
        assert!(unsafe_ones > 4_200, "{unsafe_ones}");
    }

    #[test]
    fn sanitize_lines_escapes_commands_and_invisible_characters() {
        assert_eq!(
            sanitize_lines("error: 'a\n  ::error::b' is not valid\n\ntry ##[x]\n\tweb\u{3164}-1\n"),
            "error: 'a\n  \\u{3a}:error::b' is not valid\n\ntry \\u{23}#[x]\n\\u{9}web\\u{3164}-1\n"
        );
    }

    #[test]
    fn sanitized_json_has_the_same_value() {
        let value = serde_json::json!({"##[a]": "###[error]## #[x]", "b\u{85}\u{202e}": ["\u{e0041}\u{7f}", "ü"]});
        let text = serde_json::to_string_pretty(&value).expect("JSON");
        let shown = sanitize_json(text);
        assert!(!shown.contains("##"), "{shown}");
        assert!(
            shown.contains(r"\u0085\u202e") && shown.contains(r"\udb40\udc41\u007f"),
            "{shown}"
        );
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).ok(),
            Some(value)
        );
    }

    /// Whether GitHub's runner interprets the line as a command.
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
        fn sanitized_text_is_not_a_ci_command(first in pieces(), second in pieces()) {
            let line = format!("{} ({}): {}", sanitize_line(&first), sanitize_line(&second), sanitize_line(&first));
            prop_assert!(!is_command(&line), "{}", line);
            prop_assert!(!line.contains(is_unsafe));
            prop_assert_eq!(line.lines().count(), 1);
        }

        #[test]
        fn ipv6_addresses_are_not_escaped(bits: u128) {
            for bits in [bits, bits & 0xffff_ffff, bits & 0xffff, bits & !0 << 64] {
                let address = Ipv6Addr::from(bits).to_string();
                prop_assert_eq!(sanitize_line(&format!("{address}, {address}/64 {address}")).into_owned(), format!("{address}, {address}/64 {address}"));
            }
        }
    }
}
