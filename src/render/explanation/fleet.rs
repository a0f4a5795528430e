//! The answer to `explain` over many instances: those of which the same holds together, and how many there are of each.
//!
//! Owns the order, from whoever gets in to whoever does not, and that what is not known is never counted as no. Does not
//! decide what is allowed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Allowed, Answers, Explanation, body, question};
use crate::render::formats::{count, sanitize};
use crate::render::text::{places, unknown};

/// The answer for people, ending in a summary line.
pub(crate) fn text(answers: &Answers<'_>) -> String {
    let mut text = format!("{}\n", question(answers.from, answers.to));
    for all in groups(answers) {
        let names = places(all.iter().map(|one| one.id)).join(", ");
        let _ = write!(text, "{names}\n{}", body(&all, true));
    }
    for (site, cause) in answers.unlisted {
        let region = format!("region {}", sanitize(&site.to_string()));
        unknown(&mut text, &region, "could not be listed", cause);
    }
    let _ = writeln!(text, "Explain: {}.", summary(answers));
    text
}

/// Instances with the same answer except for the locations of their rules, the most open ones first.
pub(in crate::render) fn groups<'a>(answers: &'a Answers<'a>) -> Vec<Vec<&'a Explanation<'a>>> {
    let mut groups: BTreeMap<(u8, u8, String), Vec<&Explanation<'_>>> = BTreeMap::new();
    let rank = |allowed: Option<Allowed>| match allowed {
        Some(Allowed::Yes) => 0,
        Some(Allowed::Partly) => 1,
        Some(Allowed::Perhaps) => 2,
        // What is not known may be open.
        None => 3,
        Some(Allowed::No) => 4,
    };
    for one in answers.all {
        let (live, desired) = one.live_and_desired();
        let key = (rank(live), rank(desired), body(&[one], false));
        groups.entry(key).or_default().push(one);
    }
    groups.into_values().collect()
}

/// The number of instances of each answer, for live rules.
pub(in crate::render) fn summary(answers: &Answers<'_>) -> String {
    let live = |is: Option<Allowed>| {
        answers
            .all
            .iter()
            .filter(|one| one.live_and_desired().0 == is)
            .count()
    };
    let words = if answers.from.is_none() && answers.to.is_none() {
        [
            "everyone gets in everywhere",
            "somebody gets in",
            "somebody perhaps gets in",
            "nobody gets in",
        ]
    } else {
        [
            "allowed",
            "partly allowed",
            "perhaps allowed",
            "not allowed",
        ]
    };
    let known = [
        (words[0], live(Some(Allowed::Yes))),
        (words[1], live(Some(Allowed::Partly))),
        (words[2], live(Some(Allowed::Perhaps))),
        ("not known", live(None)),
        (words[3], live(Some(Allowed::No))),
    ];
    let mut parts: Vec<String> = known
        .into_iter()
        .filter(|(_, n)| *n > 0)
        .map(|(words, n)| format!("{words} on {n}"))
        .collect();
    if parts.is_empty() {
        parts.push("there is no instance".to_owned());
    } else {
        let _ = write!(parts[0], " of {}", count(answers.all.len(), "instance"));
    }
    if !answers.unlisted.is_empty() {
        let regions = count(answers.unlisted.len(), "region");
        parts.push(format!("{regions} could not be listed"));
    }
    parts.join(", ")
}
