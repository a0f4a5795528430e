//! Selectors: the condition by which a group matches instances.
//!
//! Owns globs for names, accounts, regions and tags. Does not know other attributes of an instance.

mod pattern;

use glob::Pattern;

use super::place::Place;
use super::source::Span;
use crate::model::{Instance, Site};

/// A literal text, or a pattern with `*`, `?` and `[...]`.
#[derive(Clone, Debug)]
pub(super) enum Glob {
    Literal(String),
    Pattern(Pattern),
}

impl Glob {
    /// # Errors
    /// The pattern is not valid, with the reason.
    pub(super) fn new(text: &str) -> Result<Self, &'static str> {
        if !text.contains(['*', '?', '[']) {
            return Ok(Self::Literal(text.to_owned()));
        }
        Pattern::new(text)
            .map(Self::Pattern)
            .map_err(|error| error.msg)
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Literal(literal) => literal == text,
            Self::Pattern(pattern) => pattern.matches(text),
        }
    }

    /// Whether it matches every text that `other` matches. `false` if that is hard to decide.
    fn includes(&self, other: &Self) -> bool {
        match other {
            Self::Literal(text) => self.matches(text),
            Self::Pattern(theirs) => match self {
                Self::Literal(_) => false,
                Self::Pattern(ours) => pattern::covers(ours.as_str(), theirs.as_str()),
            },
        }
    }

    /// Different texts that it matches.
    pub(super) fn examples(&self) -> Vec<String> {
        let examples = match self {
            Self::Literal(text) => vec![text.clone()],
            Self::Pattern(theirs) => pattern::examples(theirs.as_str()),
        };
        examples
            .into_iter()
            .filter(|text| self.matches(text))
            .collect()
    }

    /// The text in the configuration.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Literal(text) => text,
            Self::Pattern(pattern) => pattern.as_str(),
        }
    }

    /// Whether no text matches both, decided by the texts before the first wildcard. `false` if they do not decide.
    fn excludes(&self, other: &Self) -> bool {
        let start = |glob: &Self| match glob {
            Self::Literal(text) => text.clone(),
            Self::Pattern(pattern) => {
                let text = pattern.as_str();
                text[..text.find(['*', '?', '[']).unwrap_or(text.len())].to_owned()
            }
        };
        match (self, other) {
            (one, Self::Literal(text)) | (Self::Literal(text), one) => !one.matches(text),
            (one, other) => {
                let (one, other) = (start(one), start(other));
                !one.starts_with(&other) && !other.starts_with(&one)
            }
        }
    }

    pub(super) fn literal(&self) -> Option<&str> {
        match self {
            Self::Literal(text) => Some(text),
            Self::Pattern(_) => None,
        }
    }
}

/// All conditions must hold; of several values of one condition, one must match. A condition without values always holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    pub(super) names: Vec<Glob>,
    /// With spans, because the accounts are known only after all files are read.
    pub(super) accounts: Vec<(Glob, Span)>,
    pub(super) regions: Vec<Glob>,
    pub(super) tags: Vec<(String, Vec<Glob>)>,
}

impl Selector {
    pub(super) fn matches(&self, instance: &Instance) -> bool {
        let any = |globs: &[Glob], text: &str| globs.iter().any(|glob| glob.matches(text));
        (self.names.is_empty() || any(&self.names, &instance.id.name))
            && self.takes_account(instance.id.account.as_deref())
            && self.takes_region(&instance.id.region)
            && self.tags.iter().all(|(key, globs)| {
                instance
                    .tags
                    .get(key)
                    .is_some_and(|value| any(globs, value))
            })
    }

    pub(super) fn account_globs(&self) -> Vec<Glob> {
        let accounts = self.accounts.iter();
        accounts.map(|(glob, _)| glob.clone()).collect()
    }

    /// Whether every instance that matches `other` matches this too. `false` if the texts do not decide it.
    pub(super) fn includes(&self, other: &Self) -> bool {
        let covered = |ours: &[Glob], theirs: &[Glob]| {
            let takes = |their: &Glob| ours.iter().any(|our| our.includes(their));
            ours.is_empty() || (!theirs.is_empty() && theirs.iter().all(takes))
        };
        covered(&self.names, &other.names)
            && covered(&self.account_globs(), &other.account_globs())
            && covered(&self.regions, &other.regions)
            && self.tags.iter().all(|(key, ours)| {
                let same = other.tags.iter().find(|(their, _)| their == key);
                same.is_some_and(|(_, theirs)| covered(ours, theirs))
            })
    }

    /// Whether no instance matches both. `false` if the texts do not decide it.
    pub(super) fn excludes(&self, other: &Self) -> bool {
        let apart = |ours: &[Glob], theirs: &[Glob]| {
            let excluded = |our: &Glob| theirs.iter().all(|their| our.excludes(their));
            !ours.is_empty() && !theirs.is_empty() && ours.iter().all(excluded)
        };
        apart(&self.names, &other.names)
            || apart(&self.account_globs(), &other.account_globs())
            || apart(&self.regions, &other.regions)
            || self.tags.iter().any(|(key, ours)| {
                let same = other.tags.iter().find(|(their, _)| their == key);
                same.is_some_and(|(_, theirs)| apart(ours, theirs))
            })
    }

    /// Whether some instance with this name may match, and whether every such instance matches.
    pub(super) fn takes(&self, place: &Place) -> (bool, bool) {
        let Place {
            account,
            region,
            name,
        } = place;
        let named = self.names.is_empty() || self.names.iter().any(|glob| glob.matches(name));
        let here = region.as_ref().map(|region| self.takes_region(region));
        let theirs = account
            .as_deref()
            .map(|account| self.takes_account(Some(account)));
        let possible = named && here.unwrap_or(true) && theirs.unwrap_or(true);
        let certain = named
            && here.unwrap_or(self.regions.is_empty())
            && theirs.unwrap_or(self.accounts.is_empty())
            && self.tags.is_empty();
        (possible, certain)
    }

    /// Whether an instance of this site may match.
    pub(super) fn takes_site(&self, site: &Site) -> bool {
        self.takes_account(site.account.as_deref()) && self.takes_region(&site.region)
    }

    /// Whether an instance of this account may match.
    pub(super) fn takes_account(&self, account: Option<&str>) -> bool {
        let mut globs = self.accounts.iter();
        self.accounts.is_empty()
            || account.is_some_and(|account| globs.any(|(glob, _)| glob.matches(account)))
    }

    fn takes_region(&self, region: &str) -> bool {
        self.regions.is_empty() || self.regions.iter().any(|glob| glob.matches(region))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn glob() -> impl Strategy<Value = Glob> {
        let text = prop_oneof!["[ab]{0,3}", "[ab*?]{0,4}", r"[ab]{0,2}\[ab\][*]?"];
        text.prop_filter_map("a pattern", |text| Glob::new(&text).ok())
    }

    #[test]
    fn a_pattern_includes_what_is_narrower() {
        let glob = |text: &str| Glob::new(text).expect("a pattern");
        for (one, other, included) in [
            ("*", "web-*", true),
            ("web-*", "web-1*", true),
            ("web-*", "web-?", true),
            ("web-*", "web-[ab]*", true),
            ("web-?", "web-[ab]", true),
            ("web-[ab]", "web-[ab]", true),
            ("*-1", "web-*-1", true),
            ("web-*", "web-*", true),
            ("web-1*", "web-*", false),
            ("web-?", "web-*", false),
            ("web-[ab]", "web-[abc]", false),
            ("web-*", "w*", false),
            ("*-1", "*", false),
        ] {
            assert_eq!(glob(one).includes(&glob(other)), included, "{one} {other}");
        }
    }

    #[test]
    fn what_begins_otherwise_is_excluded() {
        let glob = |text: &str| Glob::new(text).expect("a pattern");
        for (one, other, excluded) in [
            ("web-*", "db-*", true),
            ("web-*", "web-1*", false),
            ("web-*", "db-1", true),
            ("web-1", "web-2", true),
            ("web-1", "web-1", false),
            ("*-1", "db-*", false),
        ] {
            assert_eq!(glob(one).excludes(&glob(other)), excluded, "{one} {other}");
            assert_eq!(glob(other).excludes(&glob(one)), excluded, "{other} {one}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_included_is_taken_too(one in glob(), other in glob(), text in "[ab]{0,4}") {
            if one.includes(&other) && other.matches(&text) {
                prop_assert!(one.matches(&text), "{one:?} {other:?} {text}");
            }
        }

        #[test]
        fn examples_are_taken_and_there_is_one(one in glob()) {
            let examples = one.examples();
            prop_assert!(!examples.is_empty() && examples.iter().all(|text| one.matches(text)), "{one:?} {examples:?}");
        }

        #[test]
        fn nothing_meets_both_of_what_exclude_each_other(one in glob(), other in glob(), text in "[ab]{0,4}") {
            if one.excludes(&other) {
                prop_assert!(!(one.matches(&text) && other.matches(&text)), "{:?} {:?} {}", one, other, text);
            }
        }
    }
}
