//! Suggestions: the most similar valid word.
//!
//! Owns the wording. Its effort is limited, however many names are wrong. Does not know the valid words.

use super::diagnostic::{Problem, Report};
use super::source::{Span, quote};
use crate::model::Code;
use crate::strings;

/// The most comparisons in one run, which take some hundredths of a second. Suggestions do not help a file with more wrong names.
const EFFORT: usize = 200_000;

/// The most similar candidate, if one is similar enough and the limit of comparisons is not reached.
pub(super) fn nearest<'a>(
    compared: &mut usize,
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let affordable = |_: &&str| {
        let is_left = *compared < EFFORT;
        *compared += usize::from(is_left);
        is_left
    };
    strings::nearest(word, candidates.into_iter().take_while(affordable))
}

impl Report {
    /// Reports a word that is not one of the valid ones.
    pub(super) fn unknown<'a>(
        &mut self,
        code: Code,
        span: Span,
        message: String,
        word: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> &mut Problem {
        let hint = nearest(&mut self.compared, word, candidates)
            .map(|near| format!("did you mean {}?", quote(near)));
        let problem = self.error(code, span, message);
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
    fn the_effort_is_bounded() {
        let mut compared = EFFORT - 1;
        assert_eq!(nearest(&mut compared, "regoin", ["region"]), Some("region"));
        assert_eq!(nearest(&mut compared, "regoin", ["region"]), None);
    }
}
