//! Text that a CI system would obey, made powerless where it is printed.
//!
//! Owns the last look at what others worded: usage errors and JSON. Refuses to change what a text means.

use std::borrow::Cow;

use crate::model::begins_command;
use crate::render::plain;

/// JSON that means the same and holds no `##[command]`, which a CI system would find anywhere in a line. Two of these
/// signs in a row can only be in a string.
pub(super) fn powerless_json(text: String) -> String {
    if text.contains("##") {
        return text.replace("##", r"#\u0023");
    }
    text
}

/// Lines of which none is a command to a CI system.
pub(super) fn powerless_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let obeyed = begins_command(line.trim_start()) || line.contains("##");
        let line = if obeyed {
            Cow::Owned(plain(line))
        } else {
            Cow::Borrowed(line)
        };
        out.push_str(&line);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_a_command_to_a_ci_system() {
        assert_eq!(
            powerless_lines("error: 'a\n  ::error::b' is not valid\n\ntry ##[x]"),
            "error: 'a\n  \\u{3a}:error::b' is not valid\n\ntry \\u{23}#[x]\n"
        );
    }

    #[test]
    fn json_loses_no_meaning() {
        let value = serde_json::json!({"##[a]": "###[error]## #[x]"});
        let text = powerless_json(value.to_string());
        assert!(!text.contains("##"), "{text}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).ok(),
            Some(value)
        );
    }
}
