//! `--allow NAME[=SELECTOR]`: consent to a change that a guard refuses.
//!
//! Owns its syntax. Does not decide whether consent is needed.

use std::fmt;
use std::str::FromStr;

use glob::Pattern;
use strum::VariantArray as _;

use crate::model::{InstanceId, sanitize_line};
use crate::plan::{GuardName, Override};
use crate::strings;

/// Consent on the command line: a guard, and the instances that it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// The guard.
    pub guard: GuardName,
    /// Instances by `name`, `region/name` or `account/region/name`, with `*`, `?` and `[ab]`; `None` is the whole run.
    pub selector: Option<Pattern>,
}

/// Why a text is not valid consent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsentError {
    /// No guard has this name.
    #[error("there is no guard `{}`{}", sanitize_line(.0), suggestion(.0))]
    Guard(String),
    /// The selector is not a valid pattern, for this reason.
    #[error("`{}` is not a valid pattern of instances: {}", sanitize_line(.0), .1)]
    Selector(String, &'static str),
}

/// The most similar name of a guard, or all names.
fn suggestion(name: &str) -> String {
    let names = GuardName::VARIANTS.iter().map(|guard| guard.as_str());
    if let Some(near) = strings::nearest(name, names) {
        return format!("; did you mean `{near}`?");
    }
    let names: Vec<String> = GuardName::VARIANTS
        .iter()
        .map(|guard| format!("`{guard}`"))
        .collect();
    format!("; the guards are {}", names.join(", "))
}

impl Consent {
    /// Whether the consent is for this instance.
    pub fn covers(&self, id: &InstanceId) -> bool {
        self.selector
            .as_ref()
            .is_none_or(|selector| id.is_called(|name| selector.matches(name)))
    }

    /// The consent that is part of a plan.
    ///
    /// # Errors
    /// The selector is not a valid pattern.
    pub fn from_override(consent: &Override) -> Result<Self, ConsentError> {
        Self::new(consent.guard, consent.selector.as_deref())
    }

    fn new(guard: GuardName, selector: Option<&str>) -> Result<Self, ConsentError> {
        let selector = selector.map(parse_pattern).transpose()?;
        Ok(Self { guard, selector })
    }
}

impl FromStr for Consent {
    type Err = ConsentError;

    fn from_str(text: &str) -> Result<Self, ConsentError> {
        let (name, selector) = match text.split_once('=') {
            Some((name, selector)) => (name, Some(selector)),
            None => (text, None),
        };
        let guard = name.parse();
        Self::new(
            guard.map_err(|_| ConsentError::Guard(name.to_owned()))?,
            selector,
        )
    }
}

/// `NAME` or `NAME=SELECTOR`.
impl fmt::Display for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { guard, selector } = self;
        match selector {
            Some(selector) => write!(f, "{guard}={selector}"),
            None => guard.fmt(f),
        }
    }
}

fn parse_pattern(text: &str) -> Result<Pattern, ConsentError> {
    let error = |why| ConsentError::Selector(text.to_owned(), why);
    if text.is_empty() {
        // An empty variable in a script must not become a pattern without instances.
        return Err(error("it is empty"));
    }
    Pattern::new(text).map_err(|invalid| error(invalid.msg))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn consent_is_parsed() {
        for (text, displayed) in [
            ("lockout", "lockout"),
            ("lockout=web-*", "lockout=web-*"),
            ("empty=eu-*/web-1", "empty=eu-*/web-1"),
            (
                "lock-out",
                "there is no guard `lock-out`; did you mean `lockout`?",
            ),
            (
                "blastradius=x",
                "there is no guard `blastradius`; did you mean `blast-radius`?",
            ),
            (
                "force",
                "there is no guard `force`; the guards are `lockout`, `blast-radius`, `empty`, `changed-since`",
            ),
            (
                "",
                "there is no guard ``; the guards are `lockout`, `blast-radius`, `empty`, `changed-since`",
            ),
            (
                "empty=",
                "`` is not a valid pattern of instances: it is empty",
            ),
            (
                "empty=[a",
                "`[a` is not a valid pattern of instances: invalid range pattern",
            ),
        ] {
            let found = text.parse::<Consent>();
            let found = found.map_or_else(|error| error.to_string(), |allow| allow.to_string());
            assert_eq!(found, displayed, "{text}");
        }
    }

    #[test]
    fn consent_covers_names_with_or_without_region_and_account() {
        let mut id = InstanceId {
            account: None,
            region: "eu-central-1".into(),
            name: "web-1".into(),
        };
        for (text, covers) in [
            ("empty", true),
            ("empty=web-1", true),
            ("empty=eu-*/web-?", true),
            ("empty=web", false),
            ("empty=us-*/web-1", false),
            ("empty=prod/eu-central-1/web-1", false),
        ] {
            let allow: Consent = text.parse().expect("consent");
            assert_eq!(allow.covers(&id), covers, "{text}");
        }
        id.account = Some("prod".into());
        for (text, covers) in [
            ("empty", true),
            ("empty=web-1", true),
            ("empty=eu-central-1/web-1", true),
            ("empty=eu-*/web-?", true),
            ("empty=prod/eu-central-1/web-1", true),
            ("empty=prod/*", true),
            ("empty=test/*/web-1", false),
            ("empty=prod/web-1", false),
        ] {
            let allow: Consent = text.parse().expect("consent");
            assert_eq!(allow.covers(&id), covers, "{text}");
        }
    }

    proptest! {
        #[test]
        fn parser_does_not_panic(text in any::<String>(), pattern in "[a*?\\[\\]!/=-]{0,12}") {
            let _ = text.parse::<Consent>();
            let _ = format!("empty={pattern}").parse::<Consent>();
        }
    }
}
