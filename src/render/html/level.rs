//! How open a door is, in four steps.
//!
//! Owns the steps, their words and their letters. Does not say whether that is good.

use maud::{Markup, html};

use crate::exposure::Access;

/// More IPv4 addresses than a `/16` are wide.
const WIDE_V4: u64 = 1 << 16;

/// An IPv6 network shorter than this is wide: it is more than one site.
const WIDE_V6: u8 = 48;

/// Who gets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Openness {
    /// Nobody.
    Nobody,
    /// Aliases, and networks as small as one site has.
    Named,
    /// More than that.
    Wide,
    /// Every address of a family.
    Everyone,
}

impl Openness {
    pub(super) const ALL: [Self; 4] = [Self::Nobody, Self::Named, Self::Wide, Self::Everyone];

    pub(super) fn of(access: &Access) -> Self {
        let Access { v4, v6, .. } = access;
        if access.is_empty() {
            return Self::Nobody;
        }
        if v4.is_all() || v6.is_all() {
            return Self::Everyone;
        }
        if v4.count() > WIDE_V4 || v6.networks().any(|net| net.prefix_len() < WIDE_V6) {
            return Self::Wide;
        }
        Self::Named
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Named => "named",
            Self::Wide => "wide",
            Self::Everyone => "everyone",
        }
    }

    pub(super) fn letter(self) -> &'static str {
        match self {
            Self::Nobody => "–",
            Self::Named => "N",
            Self::Wide => "W",
            Self::Everyone => "E",
        }
    }

    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Nobody => "no address gets in",
            Self::Named => "some networks or aliases, at most 65,536 IPv4 addresses",
            Self::Wide => "more than 65,536 IPv4 addresses, or an IPv6 network wider than /48",
            Self::Everyone => "every IPv4 or every IPv6 address",
        }
    }

    /// The letter in its colour and shape, and the word.
    pub(super) fn badge(self) -> Markup {
        let (word, letter) = (self.word(), self.letter());
        html! { span class={ "b " (word) } { b aria-hidden="true" { (letter) } (word) } }
    }
}
