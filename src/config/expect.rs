//! `expect`: the number of instances that a group is expected to match.
//!
//! Owns the syntax `3`, `1..200`, `1..`, `..200`, in which both ends are included. Does not count instances.

use std::fmt;

/// An inclusive range of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expect {
    least: u64,
    most: Option<u64>,
}

impl Expect {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| {
            let digits = text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse::<u64>().ok()).flatten()
        };
        let Some((least, most)) = text.split_once("..") else {
            let exactly = number(text)?;
            return Some(Self {
                least: exactly,
                most: Some(exactly),
            });
        };
        if least.is_empty() && most.is_empty() {
            return None;
        }
        let least = if least.is_empty() { 0 } else { number(least)? };
        let most = if most.is_empty() {
            None
        } else {
            Some(number(most)?)
        };
        most.is_none_or(|most| least <= most)
            .then_some(Self { least, most })
    }

    /// Whether the range contains `least` and every larger number; `None` if it contains only some of them.
    pub(super) fn holds_from(self, least: usize) -> Option<bool> {
        let least = u64::try_from(least).unwrap_or(u64::MAX);
        if self.most.is_some_and(|most| least > most) {
            return Some(false);
        }
        (self.least <= least && self.most.is_none()).then_some(true)
    }

    pub(super) fn holds(self, count: usize) -> bool {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.least <= count && self.most.is_none_or(|most| count <= most)
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.most {
            Some(most) if most == self.least => write!(f, "{most}"),
            Some(most) => write!(f, "{} to {most}", self.least),
            None => write!(f, "at least {}", self.least),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expect_is_parsed() {
        for (text, shown) in [
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
                Expect::parse(text).map(|e| e.to_string()).as_deref(),
                shown,
                "{text}"
            );
        }
        let range = Expect::parse("1..2").expect("a range");
        assert_eq!(
            [0, 1, 2, 3].map(|n| range.holds(n)),
            [false, true, true, false]
        );
        let from = |text: &str| {
            let range = Expect::parse(text).expect("a range");
            [0, 1, 2, 3].map(|n| range.holds_from(n))
        };
        assert_eq!(from("1..2"), [None, None, None, Some(false)]);
        assert_eq!(from("2.."), [None, None, Some(true), Some(true)]);
        assert_eq!(from("..1"), [None, None, Some(false), Some(false)]);
        assert_eq!(from("0.."), [Some(true); 4]);
    }
}
