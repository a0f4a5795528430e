//! "Did you mean": the nearest of the words that were possible.
//!
//! Owns how it is said. Does not spend more than a bounded effort, however many names are wrong.

use super::diagnostic::{Problem, Report};
use super::source::{Span, quote};
use crate::model::Code;
use crate::strings;

/// Comparisons made in one run: some hundredths of a second. A file with more wrong names than this needs another help.
const EFFORT: usize = 200_000;

/// The nearest candidate, if one is near enough to have been meant, as long as there is effort left.
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
    /// An error about a word that is none of the possible ones.
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
