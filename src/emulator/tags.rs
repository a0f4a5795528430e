//! Tags as the service stores them, and what `TagResource` and `UntagResource` make of them.
//!
//! **Owns** the check of the tags in a request and the two changes, as functions from tags to tags. **Does not** know
//! instances.
//!
//! What is not documented and has no quirk: a request without any tag, a key that a request names twice, and a tag beyond the
//! documented limits are an `InvalidInputException`.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{TagError, check_tag_key, check_tag_value};

use super::fault::Fault;
use super::quirks::{Missing, OnTag, Quirks};

/// Tags by key.
pub(super) type Tags = BTreeMap<String, String>;

/// A `Tag` whose members have the right types, and no more.
#[derive(Clone, Debug, Default)]
pub(super) struct Tag {
    pub(super) key: Option<String>,
    pub(super) value: Option<String>,
}

/// What a request does to tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tagging {
    /// These are there afterwards.
    Set(Tags),
    /// The ones with these keys are not.
    Remove(BTreeSet<String>),
}

impl Tagging {
    /// Checks the values of a `TagResource`. A tag without a value has an empty one ("optional value", service model).
    pub(super) fn set(tags: Vec<Tag>) -> Result<Self, Fault> {
        let mut checked = Tags::new();
        for Tag { key, value } in tags {
            let key = key.ok_or_else(|| Fault::missing("key"))?;
            let value = value.unwrap_or_default();
            check_tag_key(&key).map_err(|error| invalid(&error))?;
            check_tag_value(&value).map_err(|error| invalid(&error))?;
            if checked.insert(key.clone(), value).is_some() {
                return Err(twice(&key));
            }
        }
        some(checked.is_empty(), "tags")?;
        Ok(Self::Set(checked))
    }

    /// Checks the values of an `UntagResource`.
    pub(super) fn remove(keys: Vec<String>) -> Result<Self, Fault> {
        let mut checked = BTreeSet::new();
        for key in keys {
            check_tag_key(&key).map_err(|error| invalid(&error))?;
            if let Some(key) = checked.replace(key) {
                return Err(twice(&key));
            }
        }
        some(checked.is_empty(), "tagKeys")?;
        Ok(Self::Remove(checked))
    }

    pub(super) fn action(&self) -> &'static str {
        match self {
            Self::Set(_) => "TagResource",
            Self::Remove(_) => "UntagResource",
        }
    }

    /// What the tags are afterwards. The limit bars growth, so that a resource that is above it can still lose some.
    pub(super) fn apply(&self, before: &Tags, quirks: &Quirks) -> Result<Tags, Fault> {
        let mut after = before.clone();
        match self {
            Self::Set(tags) => {
                for (key, value) in tags {
                    match (before.contains_key(key), quirks.tag_existing) {
                        (true, OnTag::Keep) => continue,
                        (true, OnTag::Refuse) => {
                            let message = format!("The tag {key} is there already.");
                            return Err(Fault::invalid_input(message));
                        }
                        (true, OnTag::Overwrite) | (false, _) => {}
                    }
                    after.insert(key.clone(), value.clone());
                }
                let limit = quirks.tag_limit;
                if after.len() > limit && after.len() > before.len() {
                    let message = format!(
                        "A resource can have at most {limit} tags; this would make {}.",
                        after.len()
                    );
                    return Err(Fault::rejection(quirks.tag_limit_error, message));
                }
            }
            Self::Remove(keys) => {
                for key in keys {
                    if after.remove(key).is_some() {
                        continue;
                    }
                    match quirks.untag_missing {
                        Missing::Succeed => {}
                        Missing::InvalidInput => {
                            let message = format!("There is no tag {key}.");
                            return Err(Fault::invalid_input(message));
                        }
                        Missing::NotFound => return Err(Fault::not_found("tag", key)),
                    }
                }
            }
        }
        Ok(after)
    }
}

fn invalid(error: &TagError) -> Fault {
    Fault::invalid_input(format!("1 validation error detected: {error}"))
}

fn twice(key: &str) -> Fault {
    Fault::invalid_input(format!("The tag key {key} is named twice."))
}

fn some(is_empty: bool, member: &str) -> Result<(), Fault> {
    if is_empty {
        let message = format!("At least one of {member} is required.");
        return Err(Fault::invalid_input(message));
    }
    Ok(())
}
