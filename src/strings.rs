//! What every layer spells alike: counted things, hexadecimal digits, and which of several words was meant.
//!
//! **Owns** these spellings and what near means. **Does not** know what the words are about.

use std::fmt::Write as _;

/// Words longer than this are not compared: the effort grows with the square of their length.
const LONGEST: usize = 64;

/// `call` for one, `calls` for any other number.
pub(crate) fn plural(n: usize, one: &str) -> String {
    if n == 1 {
        one.to_owned()
    } else {
        format!("{one}s")
    }
}

/// `1 call`, `2 calls`.
pub(crate) fn count(n: usize, one: &str) -> String {
    format!("{n} {}", plural(n, one))
}

/// Two lower-case digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The bytes of pairs of lower-case digits.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? * 16 + digit(*low)?))
        .collect()
}

/// The nearest candidate, if one is near enough to have been meant: at most a third of the letters are other ones. Of equally
/// near ones the first.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let lower = word.to_lowercase();
    let allowed = lower.chars().count().div_ceil(3);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| {
            (
                strsim::osa_distance(&lower, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_words_are_suggested() {
        let words = ["region", "regions", "mode", "strategy"];
        for (word, near) in [
            ("regoin", Some("region")),
            ("Regions", Some("regions")),
            ("stratgy", Some("strategy")),
            ("colour", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, words), near, "{word}");
        }
        let long = "x".repeat(LONGEST + 1);
        assert_eq!(nearest(&long, [&*long]), None);
    }

    #[test]
    fn only_one_is_singular() {
        let texts = [0, 1, 2].map(|n| count(n, "call"));
        assert_eq!(texts, ["0 calls", "1 call", "2 calls"]);
    }

    #[test]
    fn hexadecimal_digits_come_back_as_bytes() {
        assert_eq!(hex(&[0, 0x9f, 0xff]), "009fff");
        assert_eq!(unhex("009fff"), Some(vec![0, 0x9f, 0xff]));
        for wrong in ["0", "0G", "0F", "é"] {
            assert_eq!(unhex(wrong), None, "{wrong}");
        }
    }
}
