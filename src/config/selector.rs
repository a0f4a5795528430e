//! Selectors: the condition by which a group matches instances.
//!
//! Owns globs for names, accounts, regions and tags. Does not know other attributes of an instance.

mod pattern;

use glob::Pattern;

use super::source::Span;
use crate::model::{Instance, Site};

const WILDCARDS: [char; 3] = ['*', '?', '['];

/// Whether a text contains a wildcard.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(WILDCARDS)
}

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
        if !is_pattern(text) {
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
            Self::Pattern(other) => match self {
                Self::Literal(_) => false,
                Self::Pattern(pattern) => pattern::includes(pattern.as_str(), other.as_str()),
            },
        }
    }

    /// Different texts that it matches.
    pub(super) fn examples(&self) -> Vec<String> {
        let examples = match self {
            Self::Literal(text) => vec![text.clone()],
            Self::Pattern(pattern) => pattern::examples(pattern.as_str()),
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
        match (self, other) {
            (glob, Self::Literal(text)) | (Self::Literal(text), glob) => !glob.matches(text),
            (Self::Pattern(one), Self::Pattern(other)) => {
                let prefix = |pattern: &Pattern| {
                    let text = pattern.as_str();
                    text[..text.find(WILDCARDS).unwrap_or(text.len())].to_owned()
                };
                let (one, other) = (prefix(one), prefix(other));
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
pub(crate) struct Selector {
    pub(super) names: Vec<Glob>,
    pub(super) accounts: Vec<Glob>,
    /// The span of each of `accounts` if they were read from a file, else none. Whether an account exists is checked after all
    /// files are read.
    pub(super) account_spans: Vec<Span>,
    pub(super) regions: Vec<Glob>,
    pub(super) tags: Vec<(String, Vec<Glob>)>,
}

impl Selector {
    pub(super) fn matches(&self, instance: &Instance) -> bool {
        (self.names.is_empty() || any_matches(&self.names, &instance.id.name))
            && self.matches_account(instance.id.account.as_deref())
            && self.matches_region(&instance.id.region)
            && self.tags.iter().all(|(key, globs)| {
                let value = instance.tags.get(key);
                value.is_some_and(|value| any_matches(globs, value))
            })
    }

    /// Whether every instance that matches `other` matches this too. `false` if the texts do not decide it.
    pub(super) fn includes(&self, other: &Self) -> bool {
        let includes = |globs: &[Glob], others: &[Glob]| {
            let is_included = |other: &Glob| globs.iter().any(|glob| glob.includes(other));
            globs.is_empty() || (!others.is_empty() && others.iter().all(is_included))
        };
        includes(&self.names, &other.names)
            && includes(&self.accounts, &other.accounts)
            && includes(&self.regions, &other.regions)
            && self.tags.iter().all(|(key, globs)| {
                let others = other.tag_globs(key);
                others.is_some_and(|others| includes(globs, others))
            })
    }

    /// Whether no instance matches both. `false` if the texts do not decide it.
    pub(super) fn excludes(&self, other: &Self) -> bool {
        let excludes = |globs: &[Glob], others: &[Glob]| {
            let is_excluded = |glob: &Glob| others.iter().all(|other| glob.excludes(other));
            !globs.is_empty() && !others.is_empty() && globs.iter().all(is_excluded)
        };
        excludes(&self.names, &other.names)
            || excludes(&self.accounts, &other.accounts)
            || excludes(&self.regions, &other.regions)
            || self.tags.iter().any(|(key, globs)| {
                let others = other.tag_globs(key);
                others.is_some_and(|others| excludes(globs, others))
            })
    }

    fn tag_globs(&self, key: &str) -> Option<&[Glob]> {
        let mut tags = self.tags.iter();
        let (_, globs) = tags.find(|(known, _)| known == key)?;
        Some(globs)
    }

    /// Whether an instance of this site may match.
    pub(super) fn matches_site(&self, site: &Site) -> bool {
        self.matches_account(site.account.as_deref()) && self.matches_region(&site.region)
    }

    /// Whether an instance of this account may match.
    pub(super) fn matches_account(&self, account: Option<&str>) -> bool {
        self.accounts.is_empty()
            || account.is_some_and(|account| any_matches(&self.accounts, account))
    }

    fn matches_region(&self, region: &str) -> bool {
        self.regions.is_empty() || any_matches(&self.regions, region)
    }
}

fn any_matches(globs: &[Glob], text: &str) -> bool {
    globs.iter().any(|glob| glob.matches(text))
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
    fn pattern_includes_narrower_patterns() {
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
    fn patterns_with_different_prefixes_exclude_each_other() {
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
        fn including_pattern_matches_the_same_texts(one in glob(), other in glob(), text in "[ab]{0,4}") {
            if one.includes(&other) && other.matches(&text) {
                prop_assert!(one.matches(&text), "{one:?} {other:?} {text}");
            }
        }

        #[test]
        fn examples_match_the_pattern(one in glob()) {
            let examples = one.examples();
            prop_assert!(!examples.is_empty() && examples.iter().all(|text| one.matches(text)), "{one:?} {examples:?}");
        }

        #[test]
        fn no_text_matches_patterns_that_exclude_each_other(one in glob(), other in glob(), text in "[ab]{0,4}") {
            if one.excludes(&other) {
                prop_assert!(!(one.matches(&text) && other.matches(&text)), "{:?} {:?} {}", one, other, text);
            }
        }
    }
}
