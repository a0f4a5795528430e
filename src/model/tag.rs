//! What a tag of a resource may look like.
//!
//! **Owns** the limits that AWS documents for keys and values. **Does not** know what a tag means, nor how many a resource
//! has already.

/// How many tags a resource can have (service model, `TagResource`).
pub const TAGS_OF_A_RESOURCE: usize = 50;

/// How many characters the key of a tag can have (service model, `Tag`).
pub const TAG_KEY_LENGTH: usize = 128;

/// How many characters the value of a tag can have (service model, `Tag`).
pub const TAG_VALUE_LENGTH: usize = 256;

/// The characters beside letters, digits and spaces (service model, `Tag`).
const SYMBOLS: &str = "+-=._:/@";

/// How keys begin that AWS keeps for itself, in any case (AWS's guide to tagging).
const RESERVED: &str = "aws:";

/// Why something is no tag that anybody may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// The key has no characters.
    #[error("the key of a tag is empty")]
    EmptyKey,
    /// The key is one of those that AWS writes itself.
    #[error("the key of a tag begins with `{RESERVED}`, which is reserved")]
    ReservedKey,
    /// The key is too long.
    #[error("the key of a tag has {0} characters; it can have {TAG_KEY_LENGTH}")]
    LongKey(usize),
    /// The value is too long.
    #[error("the value of a tag has {0} characters; it can have {TAG_VALUE_LENGTH}")]
    LongValue(usize),
    /// The key or the value has a character that is not allowed.
    #[error("a tag has the character {0:?}; letters, digits, spaces and {SYMBOLS} are allowed")]
    Character(char),
}

/// Checks the key of a tag.
///
/// # Errors
/// A key that AWS's documents do not allow.
pub fn check_tag_key(key: &str) -> Result<(), TagError> {
    if key.is_empty() {
        return Err(TagError::EmptyKey);
    }
    let reserved = key.get(..RESERVED.len());
    if reserved.is_some_and(|start| start.eq_ignore_ascii_case(RESERVED)) {
        return Err(TagError::ReservedKey);
    }
    let length = key.chars().count();
    if length > TAG_KEY_LENGTH {
        return Err(TagError::LongKey(length));
    }
    check_characters(key)
}

/// Checks the value of a tag, which may be empty.
///
/// # Errors
/// A value that AWS's documents do not allow.
pub fn check_tag_value(value: &str) -> Result<(), TagError> {
    let length = value.chars().count();
    if length > TAG_VALUE_LENGTH {
        return Err(TagError::LongValue(length));
    }
    check_characters(value)
}

/// "Letters, numbers, spaces in UTF-8" leaves open which ones; a line break is taken for none of them.
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
    fn limits_are_counted_in_characters() {
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
    fn only_documented_characters_are_allowed() {
        let all = "Az09 _.:/=+-@ é 字";
        assert_eq!((check_tag_key(all), check_tag_value(all)), (Ok(()), Ok(())));
        for c in ['\n', '\t', '\0', '"', '{', '*', '#', ',', ';', '\u{202e}'] {
            let text = format!("a{c}b");
            assert_eq!(check_tag_key(&text), Err(TagError::Character(c)));
            assert_eq!(check_tag_value(&text), Err(TagError::Character(c)));
        }
    }

    #[test]
    fn the_reserved_prefix_is_refused_in_any_case() {
        for key in ["aws:x", "AWS:x", "Aws:"] {
            assert_eq!(check_tag_key(key), Err(TagError::ReservedKey));
        }
        for key in ["aws", "awsx:", "x:aws:", "a:ws", "aw", "éé"] {
            assert_eq!(check_tag_key(key), Ok(()));
        }
        assert_eq!(check_tag_value("aws:x"), Ok(()));
    }
}
