//! The SHA-256 of a text.
//!
//! Owns its spelling, `sha256:` and 64 hexadecimal digits. Does not know what the text means.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::strings::{hex, unhex};

/// The SHA-256 of some bytes. Displays as `sha256:` and lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(test, schemars(extend("pattern" = "^sha256:[0-9a-f]{64}$")))]
pub struct Fingerprint([u8; 32]);

/// The text is not a valid fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 is `sha256:` and 64 hexadecimal digits")]
pub struct FingerprintError;

impl Fingerprint {
    /// The fingerprint of these bytes.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(Sha256::digest(bytes.as_ref()).into())
    }

    /// The fingerprint of several texts. It also depends on their order, and on where one ends and the next begins.
    pub fn of_all<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hash = Sha256::new();
        for text in texts {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        Self(hash.finalize().into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = FingerprintError;

    fn try_from(text: String) -> Result<Self, FingerprintError> {
        text.parse()
    }
}

/// Parses a pasted fingerprint: `sha256:` may be left out, and letters may be of either case.
impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let text = text.trim().to_ascii_lowercase();
        let digits = text.strip_prefix("sha256:").unwrap_or(&text);
        let bytes = unhex(digits).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(FingerprintError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The test vector of FIPS 180-2.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn fingerprint_is_parsed_in_any_common_spelling() {
        let abc = Fingerprint::of("abc");
        assert_eq!(abc.to_string(), format!("sha256:{ABC}"));
        for text in [
            ABC.to_owned(),
            format!("SHA256:{}", ABC.to_uppercase()),
            format!(" sha256:{ABC}\n"),
        ] {
            assert_eq!(text.parse(), Ok(abc), "{text}");
        }
        for text in [
            "",
            "sha256:",
            &ABC[1..],
            &format!("{ABC}0"),
            &"é".repeat(32),
        ] {
            assert_eq!(text.parse::<Fingerprint>(), Err(FingerprintError), "{text}");
        }
    }

    #[test]
    fn of_all_distinguishes_borders_between_texts() {
        let all = |texts: &[&str]| Fingerprint::of_all(texts.iter().copied());
        assert_ne!(all(&["ab", "c"]), all(&["a", "bc"]));
        assert_ne!(all(&["a", "b"]), all(&["b", "a"]));
        assert_ne!(all(&["a"]), all(&["a", ""]));
    }
}
