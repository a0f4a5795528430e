//! Unified diffs: of the rules of a plan, one file an instance, which `plan --diff` shows, and of edits to a file.
//!
//! Owns the one-line spelling of a rule that is compared, and the format of a diff. Of `similar` only the algorithm is used: its
//! own format would bring five more algorithms and half a megabyte. Does not compare by meaning, which is what the plan does.

use std::fmt::Write as _;
use std::ops::Range;

use similar::algorithms::{Capture, Compact, Replace, myers};
use similar::{DiffOp, group_diff_ops};

use super::formats::{format_key, sanitize, source_words};
use crate::model::{Firewall, LiveFirewall, sanitize_lines};
use crate::plan::Plan;

/// Before and after of every instance that differs, as unified diffs with all lines as context.
pub(crate) fn unified(plan: &Plan) -> String {
    let mut text = String::new();
    for instance in plan
        .instances
        .iter()
        .filter(|instance| instance.verdict.differs())
    {
        let id = sanitize(&instance.instance.id.to_string());
        let (before, after) = (live_lines(&instance.before), lines(&instance.after));
        let names = (format!("live/{id}"), format!("desired/{id}"));
        text.push_str(&hunks(
            &before,
            &after,
            (&names.0, &names.1),
            usize::MAX / 2,
        ));
    }
    text
}

/// The edits of one file as a unified diff.
pub(crate) fn file(name: &str, before: &str, after: &str) -> String {
    let name = sanitize(name);
    sanitize_lines(&hunks(before, after, (&name, &name), 3))
}

/// The differing lines with this number of equal lines around them; empty if all are equal.
fn hunks(before: &str, after: &str, names: (&str, &str), context: usize) -> String {
    let old: Vec<&str> = before.split_inclusive('\n').collect();
    let new: Vec<&str> = after.split_inclusive('\n').collect();
    let mut hook = Compact::new(Replace::new(Capture::new()), &old[..], &new[..]);
    let Ok(()) = myers::diff(&mut hook, &old[..], 0..old.len(), &new[..], 0..new.len());
    let ops = hook.into_inner().into_inner().into_ops();
    let mut text = String::new();
    for hunk in group_diff_ops(ops, context) {
        let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else {
            continue;
        };
        if text.is_empty() {
            let _ = writeln!(text, "--- {}\n+++ {}", names.0, names.1);
        }
        let old_range = hunk_range(first.old_range().start..last.old_range().end);
        let new_range = hunk_range(first.new_range().start..last.new_range().end);
        let _ = writeln!(text, "@@ -{old_range} +{new_range} @@");
        for op in hunk {
            if let DiffOp::Equal { .. } = op {
                push_lines(&mut text, ' ', &old[op.old_range()]);
            } else {
                push_lines(&mut text, '-', &old[op.old_range()]);
                push_lines(&mut text, '+', &new[op.new_range()]);
            }
        }
    }
    text
}

/// The lines of a hunk as POSIX `diff -u` spells them: counted from 1, and the line before if there is none.
fn hunk_range(lines: Range<usize>) -> String {
    match lines.len() {
        0 => format!("{},0", lines.start),
        1 => (lines.start + 1).to_string(),
        count => format!("{},{count}", lines.start + 1),
    }
}

fn push_lines(text: &mut String, sign: char, lines: &[&str]) {
    for line in lines {
        let _ = write!(text, "{sign}{line}");
        if !line.ends_with('\n') {
            text.push_str("\n\\ No newline at end of file\n");
        }
    }
}

fn live_lines(live: &LiveFirewall) -> String {
    let mut text = lines(live.firewall());
    for uncertain in live.uncertain() {
        let _ = writeln!(
            text,
            "{} uncertain: {}",
            sanitize(&uncertain.entry.to_string()),
            sanitize(&uncertain.doubt)
        );
    }
    for unknown in live.unknown() {
        let _ = writeln!(text, "{} unknown protocol", sanitize(&unknown.to_string()));
    }
    text
}

/// One line for each source, so that a diff has only the sources that change.
fn lines(firewall: &Firewall) -> String {
    let mut text = String::new();
    for (rule, sources) in firewall {
        for source in source_words(sources) {
            let _ = writeln!(text, "{:<14} from {source}", format_key(*rule));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    //! Tests of unified diffs: both texts can be read from them.

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::hunks;

    fn text() -> impl Strategy<Value = String> {
        let line = prop::sample::select(vec!["a", "b", "c", ""]);
        (vec(line, 0..12), any::<bool>()).prop_map(|(lines, ends_with_newline)| {
            let end = if ends_with_newline { "\n" } else { "" };
            lines.join("\n") + end
        })
    }

    /// The lines of one side, with their line breaks.
    fn side(hunk: &[&str], sign: char) -> String {
        let mut text = String::new();
        for (at, line) in hunk.iter().enumerate() {
            if let Some(line) = line.strip_prefix([' ', sign]) {
                text += line;
                if !hunk.get(at + 1).is_some_and(|next| next.starts_with('\\')) {
                    text.push('\n');
                }
            }
        }
        text
    }

    /// The lines of a range of a hunk's header.
    fn lines<'a>(text: &'a str, range: &str) -> Vec<&'a str> {
        let (start, count) = range[1..].split_once(',').unwrap_or((&range[1..], "1"));
        let (start, count): (usize, usize) = (
            start.parse().expect("a line"),
            count.parse().expect("a count"),
        );
        let skipped = if count == 0 { start } else { start - 1 };
        let lines = text.split_inclusive('\n');
        lines.skip(skipped).take(count).collect()
    }

    proptest! {
        #[test]
        fn both_texts_can_be_read_from_a_diff(before in text(), after in text()) {
            let names = ("old", "new");
            let whole = hunks(&before, &after, names, usize::MAX / 2);
            prop_assert_eq!(whole.is_empty(), before == after);
            if before != after {
                let all: Vec<&str> = whole.lines().collect();
                prop_assert_eq!(&all[..2], ["--- old", "+++ new"]);
                prop_assert_eq!(side(&all[3..], '-'), before.clone(), "{}", &whole);
                prop_assert_eq!(side(&all[3..], '+'), after.clone(), "{}", &whole);
            }
            let diff = hunks(&before, &after, names, 1);
            for hunk in diff.split("@@ -").skip(1) {
                let (header, hunk) = hunk.split_once(" @@\n").expect("a header");
                let (old, new) = header.split_once(' ').expect("two ranges");
                let hunk: Vec<&str> = hunk.lines().collect();
                prop_assert_eq!(side(&hunk, '-'), lines(&before, &format!("-{old}")).concat(), "{}", &diff);
                prop_assert_eq!(side(&hunk, '+'), lines(&after, new).concat(), "{}", &diff);
            }
        }
    }
}
