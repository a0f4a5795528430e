//! The head of a page: a summary, the numbers that link to its sections, and its origin.
//!
//! Owns the order of these. Does not count anything.

use maud::{Markup, html};

use super::{code, joined, prose};
use crate::render::formats::{format_minute, sanitize};
use crate::render::json::RunReport;
use crate::render::metadata::Metadata;

/// The part above the sections.
pub(super) struct Head<'a> {
    pub(super) verb: &'a str,
    pub(super) headline: &'a str,
    pub(super) is_refused: bool,
    pub(super) tiles: Vec<Tile>,
    pub(super) origin: &'a [Fact],
}

/// A number that leads to a section: the anchor, what it counts, how many, and its class.
pub(super) type Tile = (&'static str, &'static str, String, &'static str);

/// An entry of the origin of a page: name and text.
pub(super) type Fact = (&'static str, Markup);

impl Head<'_> {
    /// The title of the document.
    pub(super) fn title(&self) -> String {
        let refused = if self.is_refused { ": refused" } else { "" };
        format!("portward {}{refused}", self.verb)
    }

    pub(super) fn markup(&self) -> Markup {
        html! {
            header {
                p.tool { "portward " (self.verb) }
                h1 {
                    @if self.is_refused { span.refused { "Refused." } " " }
                    (prose(&capitalized(self.headline)))
                }
                @if !self.tiles.is_empty() {
                    nav aria-label="Sections" {
                        @for (anchor, what, number, class) in &self.tiles {
                            a.tile.(class) href={ "#" (anchor) } { small { (what) } " " strong { (number) } }
                        }
                    }
                }
                @if !self.origin.is_empty() {
                    dl.origin {
                        @for (name, is) in self.origin { div { dt { (name) } " " dd { (is) } } }
                    }
                }
            }
        }
    }
}

/// When a run was, and what it was made from, as far as that is metadata.
pub(super) fn origin_facts(run: &RunReport<'_>) -> Vec<Fact> {
    let mut facts: Vec<Fact> = Vec::new();
    let unknown = Metadata::default();
    let metadata = run.metadata.unwrap_or(&unknown);
    let origin = &metadata.provenance;
    if let Some(at) = origin.at {
        facts.push(("at", html! { (format_minute(at)) }));
    }
    if let Some(day) = origin.as_of {
        facts.push(("preview of", html! { (format_minute(day)) }));
    }
    if !run.config.is_empty() {
        let fingerprint = metadata.config.map(|fingerprint| fingerprint.to_string());
        facts.push((
            "configuration",
            html! {
                (code(run.config))
                @if let Some(text) = &fingerprint { " " small title=(text) { (shortened(text)) } }
            },
        ));
    }
    if let Some(commit) = &origin.commit {
        facts.push(("commit", code(commit)));
    }
    if let Some(inventory) = &metadata.inventory {
        facts.push(("inventory", code(inventory)));
    }
    for (name, all) in [("account", &origin.accounts), ("region", &origin.regions)] {
        if !all.is_empty() {
            facts.push((name, joined(all.iter().map(|one| sanitize(one)), ", ")));
        }
    }
    if let Some(shard) = metadata.shard {
        facts.push(("shard", html! { (shard.to_string()) }));
    }
    if let Some(digest) = origin.digest {
        facts.push(("plan digest", code(&digest.to_string())));
    }
    facts
}

/// A sentence with its first letter large.
fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

/// `sha256:` and the first digits, which tell two apart.
fn shortened(fingerprint: &str) -> String {
    fingerprint.chars().take("sha256:".len() + 12).collect()
}
