//! The answer to `explain` as a comment.
//!
//! Owns its layout and its limit: where there is more than a comment holds, the first lines are told and the others counted.
//! Does not decide what is allowed.

use std::fmt::Write as _;

use super::escape::{code, prose};
use super::{LIMIT, SHORTENED};
use crate::exposure::{DocumentFirewall, Line};
use crate::render::explanation::{Explanation, cause_words};
use crate::render::names;

/// Lines of each state, and characters of each line, where the whole answer is too long.
const FEW: (usize, usize) = (10, 200);

/// Rules behind one line that are named.
const CAUSES: usize = 5;

/// The comment. Its first line is a mark that a bot knows its own comment by.
pub(crate) fn explanation(of: &Explanation<'_>) -> String {
    let text = composed(of, (usize::MAX, usize::MAX));
    if text.chars().count() <= LIMIT {
        return text;
    }
    composed(of, FEW) + "\n" + SHORTENED
}

fn composed(of: &Explanation<'_>, most: (usize, usize)) -> String {
    let cut = |text: &str| cut(text, most.1);
    let (to, from) = (of.to.unwrap_or("everything"), of.from.unwrap_or("everyone"));
    let mut out = format!(
        "<!-- portward:explain -->\n### portward explain: {} from {} on {}\n\n",
        code(&cut(to)),
        code(&cut(from)),
        code(&of.id.to_string())
    );
    let (live, desired) = of.verdicts();
    match of.live {
        Err(why) => {
            let _ = writeln!(
                out,
                "- live: **not known**: {}",
                prose(&cut(&why.to_string()))
            );
        }
        Ok(side) => {
            let words = live.map_or("", |allowed| allowed.words());
            let _ = writeln!(out, "- live: **{words}**");
            lines(&mut out, of, side, "rule", most);
        }
    }
    match of.desired {
        None => out.push_str("- desired: **not in the configuration**\n"),
        Some(side) => {
            let words = desired.map_or("", |allowed| allowed.words());
            let _ = writeln!(out, "- desired{}: **{words}**", of.additive());
            lines(&mut out, of, side, "live rule", most);
        }
    }
    if let Some(note) = of.note() {
        let _ = writeln!(out, "\n{}", prose(&cut(&note)));
    }
    if let Some(change) = of.change() {
        let _ = writeln!(out, "\nTo let all of it in: {}", prose(&cut(&change)));
    }
    out
}

fn lines(
    out: &mut String,
    of: &Explanation<'_>,
    side: &DocumentFirewall,
    rule: &str,
    (most, longest): (usize, usize),
) {
    let names = [of.names, of.names];
    let said = |line: &Line| {
        let what = names::what(&line.what, names);
        let text = format!("{what} from {}", names::sources(&line.sources, names));
        code(&cut(&text, longest))
    };
    let (all, perhaps) = (of.part(side), of.perhaps(side));
    for line in all.iter().take(most) {
        let causes = side.causes(line);
        let mut words: Vec<String> = causes
            .iter()
            .take(CAUSES)
            .map(|said| code(&cut(&cause_words(said, rule), longest)))
            .collect();
        if causes.len() > CAUSES {
            words.push(format!("{} more", causes.len() - CAUSES));
        }
        let _ = writeln!(out, "  - {}, by {}", said(line), words.join(", "));
    }
    let left = most.saturating_sub(all.len());
    for (line, doubt) in perhaps.iter().take(left) {
        let (entry, why) = (code(&cut(&doubt.entry, longest)), prose(&doubt.why));
        let _ = writeln!(out, "  - perhaps {}, by {entry}: {why}", said(line));
    }
    let lines = all.len() + perhaps.len();
    if lines > most {
        let _ = writeln!(out, "  - and {} more", lines - most);
    }
}

fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
