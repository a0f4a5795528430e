//! The stored tags, and the effect of `TagResource` and `UntagResource` on them.
//!
//! **Owns** the validation of the tags in a request, and the changes as functions from tags to tags. **Does not** know instances.
//!
//! Where the service is not documented and there is no quirk: a request without any tag, a duplicate key in a request, and a tag beyond the
//! documented limits are an `InvalidInputException`.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{TagError, check_tag_key, check_tag_value};

use super::error_response::{ErrorResponse, Result};
use super::quirks::{MissingEffect, Quirks, TagEffect};

/// Tags by key.
pub(super) type Tags = BTreeMap<String, String>;

/// A `Tag` of a request, its key and its value, of which only the types are validated.
pub(super) type Tag = (Option<String>, Option<String>);

/// The change of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TagChange {
    /// Adds these tags.
    Set(Tags),
    /// Removes the tags with these keys.
    Remove(BTreeSet<String>),
}

impl TagChange {
    /// Validates the values of a `TagResource`. A tag without a value has an empty one ("optional value", service model).
    pub(super) fn set(tags: Vec<Tag>) -> Result<Self> {
        let mut valid = Tags::new();
        for (key, value) in tags {
            let key = key.ok_or_else(|| ErrorResponse::missing("key"))?;
            let value = value.unwrap_or_default();
            check_tag_key(&key).map_err(|error| invalid(&error))?;
            check_tag_value(&value).map_err(|error| invalid(&error))?;
            if valid.insert(key.clone(), value).is_some() {
                return Err(duplicate_key(&key));
            }
        }
        require_some(valid.is_empty(), "tags")?;
        Ok(Self::Set(valid))
    }

    /// Validates the values of an `UntagResource`.
    pub(super) fn remove(keys: Vec<String>) -> Result<Self> {
        let mut valid = BTreeSet::new();
        for key in keys {
            check_tag_key(&key).map_err(|error| invalid(&error))?;
            if let Some(key) = valid.replace(key) {
                return Err(duplicate_key(&key));
            }
        }
        require_some(valid.is_empty(), "tagKeys")?;
        Ok(Self::Remove(valid))
    }

    pub(super) fn action(&self) -> &'static str {
        match self {
            Self::Set(_) => "TagResource",
            Self::Remove(_) => "UntagResource",
        }
    }

    /// The tags after the change. The limit prevents growth only, so that a resource above it can still lose tags.
    pub(super) fn apply(&self, before: &Tags, quirks: &Quirks) -> Result<Tags> {
        let mut after = before.clone();
        match self {
            Self::Set(tags) => {
                for (key, value) in tags {
                    match (before.contains_key(key), quirks.tag_existing) {
                        (true, TagEffect::Keep) => continue,
                        (true, TagEffect::Refuse) => {
                            let message = format!("The tag {key} is there already.");
                            return Err(ErrorResponse::invalid_input(message));
                        }
                        (true, TagEffect::Overwrite) | (false, _) => {}
                    }
                    after.insert(key.clone(), value.clone());
                }
                let limit = quirks.tag_limit;
                if after.len() > limit && after.len() > before.len() {
                    let message = format!(
                        "A resource can have at most {limit} tags; this would make {}.",
                        after.len()
                    );
                    return Err(ErrorResponse::refusal(quirks.tag_limit_error, message));
                }
            }
            Self::Remove(keys) => {
                for key in keys {
                    if after.remove(key).is_some() {
                        continue;
                    }
                    match quirks.untag_missing {
                        MissingEffect::Succeed => {}
                        MissingEffect::InvalidInput => {
                            let message = format!("There is no tag {key}.");
                            return Err(ErrorResponse::invalid_input(message));
                        }
                        MissingEffect::NotFound => {
                            return Err(ErrorResponse::not_found("tag", key));
                        }
                    }
                }
            }
        }
        Ok(after)
    }
}

fn invalid(error: &TagError) -> ErrorResponse {
    ErrorResponse::invalid_input(format!("1 validation error detected: {error}"))
}

fn duplicate_key(key: &str) -> ErrorResponse {
    ErrorResponse::invalid_input(format!("The tag key {key} is named twice."))
}

fn require_some(is_empty: bool, member: &str) -> Result<()> {
    if is_empty {
        let message = format!("At least one of {member} is required.");
        return Err(ErrorResponse::invalid_input(message));
    }
    Ok(())
}
