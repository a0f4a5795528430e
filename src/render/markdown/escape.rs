//! Foreign text in Markdown.
//!
//! Owns the ways in which text from outside may stand there: in prose, in a `<code>` element and in a fenced block. In none
//! of them is it taken for Markdown, for HTML, or for a link, a mention, the number of an issue or a command (GitLab carries
//! out a line that begins with `/close`). Refuses every other way.

use std::fmt::Write as _;

use crate::render::formats::sanitize;

/// The characters that begin a mention, a reference or a picture on GitHub and GitLab.
const MARKS: [char; 8] = ['@', '#', '!', '$', '%', '~', '&', ':'];

/// A sentence fragment; what it has in backticks is shown as code.
pub(in crate::render) fn prose(text: &str) -> String {
    let text = sanitize(text);
    let mut out = String::new();
    for (at, part) in text.split('`').enumerate() {
        match at % 2 {
            1 if !part.is_empty() => out.push_str(&code(part)),
            _ => escaped(&mut out, part),
        }
    }
    out
}

/// Text in a `<code>` element.
pub(in crate::render) fn code(text: &str) -> String {
    let mut out = String::from("<code>");
    escaped(&mut out, &sanitize(text));
    out.push_str("</code>");
    out
}

/// Text in a paragraph, a table cell or a summary. Whatever could be Markdown or HTML is a numeric reference, which can be
/// text only, and an empty comment takes what looks for marks in the finished page out of its stride.
fn escaped(out: &mut String, text: &str) {
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        let rest = &text[at + c.len_utf8()..];
        let is_safe = match c {
            // It could be the first of its line.
            '/' => at > 0,
            '-' | ',' | '(' | ')' | '+' | ';' => true,
            // `www.` and `://` would be made into links.
            '.' => !before.eq_ignore_ascii_case(&'w'),
            ':' => !rest.starts_with("//"),
            _ => !c.is_ascii_punctuation(),
        };
        if is_safe {
            out.push(c);
        } else {
            let _ = write!(out, "&#{};", u32::from(c));
        }
        let goes_on = match c {
            '@' => true,
            ':' => rest.starts_with(char::is_alphabetic),
            _ => rest.starts_with(char::is_alphanumeric),
        };
        if MARKS.contains(&c) && goes_on {
            out.push_str("<!-- -->");
        }
        before = c;
    }
}

/// Lines in a fenced block, whose fence is longer than any run of backticks inside.
pub(super) fn fenced(text: &str) -> String {
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest.max(2) + 1);
    // GitLab looks for commands in blocks, too, whose fence is longer than three backticks.
    let text = text.trim_end().replace("\n/", "\n /");
    let first = if text.starts_with('/') { " " } else { "" };
    format!("{fence}text\n{first}{text}\n{fence}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_not_gitlab_quick_actions() {
        let foreign = "/close\n/merge `/approve` a/b";
        for text in [prose(foreign), code(foreign), fenced(foreign)] {
            assert!(!text.lines().any(|line| line.starts_with('/')), "{text}");
        }
        assert_eq!(prose("/24 of a/8"), "&#47;24 of a/8");
    }
}
