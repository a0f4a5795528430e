//! `expect`: the number of instances that a group is expected to match.
//!
//! Owns the syntax `3`, `1..200`, `1..`, `..200`, in which both ends are included. Does not count instances.

use std::fmt;

/// An inclusive range of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ExpectedCount {
    min: u64,
    max: Option<u64>,
}

impl ExpectedCount {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| {
            let is_number = text.bytes().all(|b| b.is_ascii_digit());
            is_number.then(|| text.parse::<u64>().ok()).flatten()
        };
        let (min, max) = match text.split_once("..") {
            None => (number(text)?, Some(number(text)?)),
            Some(("", "")) => return None,
            Some(("", max)) => (0, Some(number(max)?)),
            Some((min, "")) => (number(min)?, None),
            Some((min, max)) => (number(min)?, Some(number(max)?)),
        };
        max.is_none_or(|max| min <= max)
            .then_some(Self { min, max })
    }

    /// Whether the range contains `count` and every larger number; `None` if it contains only some of them.
    pub(super) fn contains_all_from(self, count: usize) -> Option<bool> {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        if self.max.is_some_and(|max| count > max) {
            return Some(false);
        }
        (self.min <= count && self.max.is_none()).then_some(true)
    }

    pub(super) fn contains(self, count: usize) -> bool {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.min <= count && self.max.is_none_or(|max| count <= max)
    }
}

impl fmt::Display for ExpectedCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.max {
            Some(max) if max == self.min => write!(f, "{max}"),
            Some(max) => write!(f, "{} to {max}", self.min),
            None => write!(f, "at least {}", self.min),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_is_parsed() {
        for (text, displayed) in [
            ("3", Some("3")),
            ("0", Some("0")),
            ("1..200", Some("1 to 200")),
            ("1..", Some("at least 1")),
            ("..5", Some("0 to 5")),
            ("2..2", Some("2")),
            ("..", None),
            ("", None),
            ("5..1", None),
            ("-1", None),
            ("1...3", None),
            ("+1", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(
                ExpectedCount::parse(text)
                    .map(|count| count.to_string())
                    .as_deref(),
                displayed,
                "{text}"
            );
        }
        let range = ExpectedCount::parse("1..2").expect("a range");
        assert_eq!(
            [0, 1, 2, 3].map(|n| range.contains(n)),
            [false, true, true, false]
        );
        let from = |text: &str| {
            let range = ExpectedCount::parse(text).expect("a range");
            [0, 1, 2, 3].map(|n| range.contains_all_from(n))
        };
        assert_eq!(from("1..2"), [None, None, None, Some(false)]);
        assert_eq!(from("2.."), [None, None, Some(true), Some(true)]);
        assert_eq!(from("..1"), [None, None, Some(false), Some(false)]);
        assert_eq!(from("0.."), [Some(true); 4]);
    }
}
