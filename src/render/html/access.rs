//! The first sections of a page: gained and lost access.
//!
//! **Owns** the lists. **Does not** group or order the entries.

use maud::{Markup, html};

use super::head::Tile;
use super::{all_names, code, joined, prose};
use crate::render::access::{AccessGroup, AccessSection, Weight, is_everyone};

/// A number for each part.
pub(super) fn tiles(parts: &[AccessSection]) -> Vec<Tile> {
    let tile = |part: &AccessSection| {
        let class = part.words.weight.class();
        (class, part.words.title, part.subjects(), class)
    };
    parts.iter().map(tile).collect()
}

/// The parts, side by side where there is room.
pub(super) fn parts(parts: &[AccessSection]) -> Markup {
    html! {
        @if !parts.is_empty() {
            div.answer {
                @for part in parts {
                    @let anchor = part.words.weight.class();
                    section.part.(anchor) aria-labelledby=(anchor) {
                        h2 id=(anchor) { (part.words.title) " " small { (part.subjects()) } }
                        ul { @for group in &part.groups { (entry(part, group)) } }
                    }
                }
            }
        }
    }
}

fn entry(part: &AccessSection, group: &AccessGroup) -> Markup {
    let cause = |(place, why): &(String, Option<String>)| {
        html! { (code(place)) @if let Some(why) = why { " " (prose(why)) } }
    };
    html! {
        li {
            @for line in &group.lines {
                p.line.everyone[is_everyone(line)] { (code(line)) }
            }
            div.on {
                (all_names(&group.members))
                @if let Some(aside) = &group.aside { ", " (prose(aside)) }
            }
            @if let (Some(because), false) = (part.words.cause_heading, group.causes.is_empty()) {
                p.because { (because) " " (joined(group.causes.iter().map(cause), ", ")) }
            }
        }
    }
}

impl Weight {
    /// The CSS class of its subject, which is also the name of the section.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Wider => "wider",
            Self::Lacks => "lacks",
            Self::Doubt => "doubt",
            Self::Narrower => "narrower",
        }
    }
}
