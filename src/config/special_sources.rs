//! Warnings about sources that cannot reach a public address, such as private networks.
//!
//! Owns the wording. Does not know which networks these are; `model` does.

use super::diagnostic::DiagnosticsBuilder;
use super::source::{Span, SpannedString, quote};
use super::source_expr::{self, SourceExpr};
use crate::model::{Code, Special};

/// A literal source, with the special-purpose network that contains it.
pub(super) type SpecialSource = (Span, String, &'static Special);

/// The special sources of a list of texts.
pub(super) fn special_sources(texts: &[SpannedString]) -> Vec<SpecialSource> {
    let special = |text: &SpannedString| match source_expr::parse(&text.text) {
        SourceExpr::Literal(net) => Some((text.span, text.text.clone(), Special::of(net)?)),
        _ => None,
    };
    texts.iter().filter_map(special).collect()
}

/// Warns once for a list, at its first special source.
pub(super) fn warn(report: &mut DiagnosticsBuilder, sources: &[SpecialSource]) {
    let [(span, text, special), more @ ..] = sources else {
        return;
    };
    let more = match more.len() {
        0 => String::new(),
        1 => ", nor from 1 more source of this list".to_owned(),
        more => format!(", nor from {more} more sources of this list"),
    };
    let message = format!(
        "nobody arrives at a public address from {}, which is {special}{more}",
        quote(text)
    );
    report
        .warning(Code::Suspicious, *span, message)
        .hint("name the public addresses that they come from");
}
