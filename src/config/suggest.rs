//! "Did you mean": the nearest of the words that were possible.
//!
//! Owns what near means. Does not spend more than a bounded effort, however many names are wrong.

use super::diagnostic::{Problem, Report};
use super::source::{Span, quote};

/// Comparisons made in one run: some hundredths of a second. A file with more wrong names than this needs another help.
const EFFORT: usize = 200_000;

/// Words longer than this are not compared: the effort grows with the square of their length.
const LONGEST: usize = 64;

/// The nearest candidate, if one is near enough to have been meant. Of equally near ones the first.
pub(super) fn nearest<'a>(
    compared: &mut usize,
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let lower = word.to_lowercase();
    let allowed = lower.chars().count().div_ceil(3);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        if *compared >= EFFORT {
            break;
        }
        *compared += 1;
        if candidate.len() > LONGEST {
            continue;
        }
        let distance = strsim::osa_distance(&lower, &candidate.to_lowercase());
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

impl Report {
    /// An error about a word that is none of the possible ones.
    pub(super) fn unknown<'a>(
        &mut self,
        span: Span,
        message: String,
        word: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> &mut Problem {
        let hint = nearest(&mut self.compared, word, candidates)
            .map(|near| format!("did you mean {}?", quote(near)));
        let problem = self.error(span, message);
        if let Some(hint) = hint {
            problem.hint(hint);
        }
        problem
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_words_are_suggested() {
        let words = ["region", "regions", "mode", "strategy"];
        for (word, near) in [
            ("regoin", Some("region")),
            ("Regions", Some("regions")),
            ("stratgy", Some("strategy")),
            ("colour", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(&mut 0, word, words), near, "{word}");
        }
    }

    #[test]
    fn the_effort_is_bounded() {
        let mut compared = EFFORT;
        assert_eq!(nearest(&mut compared, "regoin", ["region"]), None);
    }
}
