//! Validation of resource tags.
//!
//! **Owns** the limits that AWS documents for keys and values. **Does not** know what a tag means, or how many tags a resource
//! has.

/// The most tags that a resource can have (service model, `TagResource`).
pub const MAX_TAGS_PER_RESOURCE: usize = 50;

/// The most characters that the key of a tag can have (service model, `Tag`).
pub const MAX_TAG_KEY_LENGTH: usize = 128;

/// The most characters that the value of a tag can have (service model, `Tag`).
pub const MAX_TAG_VALUE_LENGTH: usize = 256;

/// The allowed characters besides letters, digits and spaces (service model, `Tag`).
const SYMBOLS: &str = "+-=._:/@";

/// The prefix of keys that only AWS may create, in any case (AWS's guide to tagging).
const RESERVED: &str = "aws:";

/// Why a tag is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// The key is empty.
    #[error("the key of a tag is empty")]
    EmptyKey,
    /// The key is reserved for AWS.
    #[error("the key of a tag begins with `{RESERVED}`, which is reserved")]
    ReservedKey,
    /// The key is too long.
    #[error("the key of a tag has {0} characters; it can have {MAX_TAG_KEY_LENGTH}")]
    LongKey(usize),
    /// The value is too long.
    #[error("the value of a tag has {0} characters; it can have {MAX_TAG_VALUE_LENGTH}")]
    LongValue(usize),
    /// The key or the value has a character that is not allowed.
    #[error("a tag has the character {0:?}; letters, digits, spaces and {SYMBOLS} are allowed")]
    Character(char),
}

/// Validates the key of a tag.
///
/// # Errors
/// The key is not allowed by AWS's documentation.
pub fn check_tag_key(key: &str) -> Result<(), TagError> {
    if key.is_empty() {
        return Err(TagError::EmptyKey);
    }
    let reserved = key.get(..RESERVED.len());
    if reserved.is_some_and(|start| start.eq_ignore_ascii_case(RESERVED)) {
        return Err(TagError::ReservedKey);
    }
    let length = key.chars().count();
    if length > MAX_TAG_KEY_LENGTH {
        return Err(TagError::LongKey(length));
    }
    check_characters(key)
}

/// Validates the value of a tag, which may be empty.
///
/// # Errors
/// The value is not allowed by AWS's documentation.
pub fn check_tag_value(value: &str) -> Result<(), TagError> {
    let length = value.chars().count();
    if length > MAX_TAG_VALUE_LENGTH {
        return Err(TagError::LongValue(length));
    }
    check_characters(value)
}

/// "Letters, numbers, spaces in UTF-8" does not say which ones; a line break counts as none of them.
fn check_characters(text: &str) -> Result<(), TagError> {
    let allowed = |c: char| {
        c.is_alphanumeric() || (c.is_whitespace() && !c.is_control()) || SYMBOLS.contains(c)
    };
    match text.chars().find(|c| !allowed(*c)) {
        Some(c) => Err(TagError::Character(c)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_limits_count_characters() {
        assert_eq!(check_tag_key(&"ü".repeat(128)), Ok(()));
        assert_eq!(check_tag_key(&"ü".repeat(129)), Err(TagError::LongKey(129)));
        assert_eq!(check_tag_value(&"ü".repeat(256)), Ok(()));
        assert_eq!(
            check_tag_value(&"ü".repeat(257)),
            Err(TagError::LongValue(257))
        );
        assert_eq!(check_tag_value(""), Ok(()));
        assert_eq!(check_tag_key(""), Err(TagError::EmptyKey));
    }

    #[test]
    fn undocumented_characters_are_refused() {
        let all = "Az09 _.:/=+-@ é 字";
        assert_eq!((check_tag_key(all), check_tag_value(all)), (Ok(()), Ok(())));
        for c in ['\n', '\t', '\0', '"', '{', '*', '#', ',', ';', '\u{202e}'] {
            let text = format!("a{c}b");
            assert_eq!(check_tag_key(&text), Err(TagError::Character(c)));
            assert_eq!(check_tag_value(&text), Err(TagError::Character(c)));
        }
    }

    #[test]
    fn reserved_prefix_is_refused_in_any_case() {
        for key in ["aws:x", "AWS:x", "Aws:"] {
            assert_eq!(check_tag_key(key), Err(TagError::ReservedKey));
        }
        for key in ["aws", "awsx:", "x:aws:", "a:ws", "aw", "éé"] {
            assert_eq!(check_tag_key(key), Ok(()));
        }
        assert_eq!(check_tag_value("aws:x"), Ok(()));
    }
}
