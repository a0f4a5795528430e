//! Validation of names.
//!
//! Owns the rules for names. Does not know which names exist.

/// Validates the name of an instance.
///
/// The service accepts two or more letters, digits, `-`, `_` and `.`, of which the first and the last are a letter, a digit or
/// `_` (service model, `ResourceName`; the dot is known from its error message).
pub(super) fn validate_instance(name: &str) -> Result<(), &'static str> {
    if name.chars().nth(1).is_none() {
        return Err("an instance name has at least two characters");
    }
    if name.len() > 255 {
        return Err("an instance name has at most 255 characters");
    }
    if !name.chars().all(|c| is_word(c) || c == '-' || c == '.') {
        return Err("instance names are made of letters, digits, `-`, `_` and `.`");
    }
    if !name.starts_with(is_word) || !name.ends_with(is_word) {
        return Err("an instance name starts and ends with a letter, a digit or `_`");
    }
    Ok(())
}

/// Validates the name of a set, a service, a ruleset or a group.
pub(super) fn validate_definition(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("a name has at least one character");
    }
    if looks_like_address(name) {
        return Err("this looks like an address, and would be taken for one");
    }
    if !name.chars().all(|c| is_word(c) || c == '-' || c == '.') {
        return Err("names are made of letters, digits, `-`, `_` and `.`");
    }
    if !name.starts_with(is_word) {
        return Err("a name starts with a letter, a digit or `_`");
    }
    Ok(())
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Whether a text in `from` is an address rather than a name. No valid name looks like this.
pub(super) fn looks_like_address(text: &str) -> bool {
    text.contains([':', '/'])
        || (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_name_is_valid_as_in_the_service() {
        for good in [
            "ab",
            "web-1",
            "web_1",
            "WordPress-512MB.Frankfurt",
            "_x",
            "1a",
        ] {
            assert_eq!(validate_instance(good), Ok(()), "{good}");
        }
        for bad in ["", "a", "-ab", "ab-", ".ab", "a b", "a/b", "wéb", "a\u{0}b"] {
            assert!(validate_instance(bad).is_err(), "{bad:?}");
        }
        assert!(validate_instance(&"a".repeat(256)).is_err());
    }

    #[test]
    fn definition_name_must_not_look_like_an_address() {
        for good in ["office", "3com", "cafe", "beef", "v1.2", "a"] {
            assert_eq!(validate_definition(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "10",
            "10.0.0.1",
            "10.0.0.0/8",
            "2001:db8::",
            "::",
            "a/b",
            "-x",
            "bü",
            "a b",
        ] {
            assert!(validate_definition(bad).is_err(), "{bad:?}");
        }
    }
}
