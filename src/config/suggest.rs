//! Suggestions: the most similar valid word.
//!
//! Owns the wording. Its effort is limited, however many names are wrong. Does not know the valid words.

use super::diagnostic::{DiagnosticsBuilder, SpannedDiagnostic};
use super::source::{Span, quote};
use crate::model::Code;
use crate::strings;

/// The most comparisons in one run, which take some hundredths of a second. Suggestions do not help a file with more wrong names.
const MAX_COMPARISONS: usize = 200_000;

impl DiagnosticsBuilder {
    /// The most similar candidate, if one is similar enough and the limit of comparisons is not reached.
    pub(super) fn nearest<'a>(
        &mut self,
        word: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> Option<&'a str> {
        let is_affordable = |_: &&str| {
            let is_left = self.comparisons < MAX_COMPARISONS;
            self.comparisons += usize::from(is_left);
            is_left
        };
        strings::nearest(word, candidates.into_iter().take_while(is_affordable))
    }

    /// The hint that names the most similar candidate, if there is one.
    pub(super) fn suggestion<'a>(
        &mut self,
        word: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> Option<String> {
        let near = self.nearest(word, candidates)?;
        Some(format!("did you mean {}?", quote(near)))
    }

    /// Reports a word that is not one of the valid ones.
    pub(super) fn unknown<'a>(
        &mut self,
        code: Code,
        span: Span,
        message: String,
        word: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> &mut SpannedDiagnostic {
        let hint = self.suggestion(word, candidates);
        let error = self.error(code, span, message);
        error.hint = hint;
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_of_comparisons_is_limited() {
        let mut report = DiagnosticsBuilder::default();
        report.comparisons = MAX_COMPARISONS - 1;
        assert_eq!(report.nearest("regoin", ["region"]), Some("region"));
        assert_eq!(report.nearest("regoin", ["region"]), None);
    }
}
