//! Which names may be given to what.
//!
//! Owns the rules of names. Does not know which names exist.

/// Why a text cannot be the name of an instance, if so.
///
/// The service takes two characters or more of letters, digits, `-`, `_` and `.`, the first and the last of them a
/// letter, a digit or `_` (service model, `ResourceName`; the dot is known from its error message).
pub(super) fn instance(name: &str) -> Result<(), &'static str> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.chars().nth(1).is_none() {
        return Err("an instance name has at least two characters");
    }
    if name.len() > 255 {
        return Err("an instance name has at most 255 characters");
    }
    if !name.chars().all(|c| word(c) || c == '-' || c == '.') {
        return Err("instance names are made of letters, digits, `-`, `_` and `.`");
    }
    if !name.starts_with(word) || !name.ends_with(word) {
        return Err("an instance name starts and ends with a letter, a digit or `_`");
    }
    Ok(())
}

/// Why a text cannot be the name of a set, a service, a ruleset or a group, if so.
pub(super) fn definition(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("a name has at least one character");
    }
    if looks_like_address(name) {
        return Err("this looks like an address, and would be taken for one");
    }
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !name.chars().all(|c| word(c) || c == '-' || c == '.') {
        return Err("names are made of letters, digits, `-`, `_` and `.`");
    }
    if !name.starts_with(word) {
        return Err("a name starts with a letter, a digit or `_`");
    }
    Ok(())
}

/// Whether a text in `from` is meant as an address rather than a name: no name can look like this.
pub(super) fn looks_like_address(text: &str) -> bool {
    text.contains([':', '/'])
        || (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_names_are_those_of_the_service() {
        for good in [
            "ab",
            "web-1",
            "web_1",
            "WordPress-512MB.Frankfurt",
            "_x",
            "1a",
        ] {
            assert_eq!(instance(good), Ok(()), "{good}");
        }
        for bad in ["", "a", "-ab", "ab-", ".ab", "a b", "a/b", "wéb", "a\u{0}b"] {
            assert!(instance(bad).is_err(), "{bad:?}");
        }
        assert!(instance(&"a".repeat(256)).is_err());
    }

    #[test]
    fn no_definition_looks_like_an_address() {
        for good in ["office", "3com", "cafe", "beef", "v1.2", "a"] {
            assert_eq!(definition(good), Ok(()), "{good}");
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
            assert!(definition(bad).is_err(), "{bad:?}");
        }
    }
}
