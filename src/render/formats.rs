//! Text formatting that several outputs share: keys, sources, lists, numbers and times.
//!
//! **Owns** these formats, and the sanitizing of foreign text. **Does not** lay out lines.

use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::exposure;
use crate::model::{Key, Sources, V4_ANYWHERE, V6_ANYWHERE, sanitize_line};

pub(super) use crate::strings::count;

/// Text from outside, safe to show: see [`sanitize_line`].
pub fn sanitize(text: &str) -> String {
    sanitize_line(text).into_owned()
}

/// A key in a column of a plan: `tcp 22`, `icmp 8:-1`, `all`.
pub(super) fn format_key(key: Key) -> String {
    key.to_string().replacen('/', " ", 1)
}

/// Sources one by one, the widest words first: `anywhere`, `anywhere-v4`, networks, aliases.
pub(super) fn source_words(sources: &Sources) -> Vec<String> {
    let v4 = sources.ipv4().contains(&V4_ANYWHERE);
    let v6 = sources.ipv6().contains(&V6_ANYWHERE);
    let world = match (v4, v6) {
        (true, true) => Some("anywhere"),
        (true, false) => Some("anywhere-v4"),
        (false, true) => Some("anywhere-v6"),
        (false, false) => None,
    };
    let nets4 = sources.ipv4().iter().filter(|net| **net != V4_ANYWHERE);
    let nets6 = sources.ipv6().iter().filter(|net| **net != V6_ANYWHERE);
    let mut words: Vec<String> = world.into_iter().map(str::to_owned).collect();
    words.extend(nets4.map(ToString::to_string));
    words.extend(nets6.map(ToString::to_string));
    words.extend(sources.aliases().iter().map(|alias| sanitize(alias)));
    words
}

/// At most this many texts; the number of the others is the last one.
pub(super) fn truncate_list(mut texts: Vec<String>, most: usize) -> Vec<String> {
    if texts.len() > most {
        let more = texts.len() - most;
        texts.truncate(most);
        texts.push(format!("{more} more"));
    }
    texts
}

/// `2 refused`, `1 missing`: the counts that are not zero.
pub(super) fn nonzero_counts(counts: &[(usize, &str)]) -> Vec<String> {
    let nonzero = counts.iter().filter(|(n, _)| *n > 0);
    nonzero.map(|(n, what)| format!("{n} {what}")).collect()
}

/// A document, indented, with a final newline.
pub(super) fn to_json(document: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(document);
    // No shape has a map with keys that are not strings.
    text.expect("strings and numbers are always JSON") + "\n"
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn join_and(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// `1,000`.
pub(crate) fn thousands(n: usize) -> String {
    exposure::group_thousands(u64::try_from(n).unwrap_or(u64::MAX))
}

/// `40 s`, `3 min 16 s`, `2 h 5 min`: to the second, and above an hour to the minute, rounded up.
pub(crate) fn format_duration(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let minutes = seconds.div_ceil(60);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => match (seconds / 60, seconds % 60) {
            (minutes, 0) => format!("{minutes} min"),
            (minutes, seconds) => format!("{minutes} min {seconds} s"),
        },
        _ => match (minutes / 60, minutes % 60) {
            (hours, 0) => format!("{hours} h"),
            (hours, minutes) => format!("{hours} h {minutes} min"),
        },
    }
}

/// An instant for people, to the minute: `2026-11-20 10:03 UTC`.
pub(super) fn format_minute(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC);
    format!("{} {:02}:{:02} UTC", at.date(), at.hour(), at.minute())
}

/// The last day on which something with this end was still wanted, or the instant where that is no midnight.
pub(super) fn format_last_day(end: OffsetDateTime) -> String {
    let end = end.to_offset(time::UtcOffset::UTC);
    let last_day = end.date().previous_day();
    if let Some(day) = last_day.filter(|_| end.time() == time::Time::MIDNIGHT) {
        return day.to_string();
    }
    let end = end.replace_nanosecond(0).unwrap_or(end);
    end.format(&Rfc3339)
        .unwrap_or_else(|_| end.unix_timestamp().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_durations_are_short() {
        for (n, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(thousands(n), text);
        }
        for (millis, text) in [
            (0, "0 s"),
            (1, "1 s"),
            (59_001, "1 min"),
            (196_000, "3 min 16 s"),
            (3_599_000, "59 min 59 s"),
            (3_600_000, "1 h"),
            (7_500_001, "2 h 6 min"),
        ] {
            assert_eq!(
                format_duration(Duration::from_millis(millis)),
                text,
                "{millis}"
            );
        }
    }

    #[test]
    fn date_is_the_last_day_of_validity() {
        let end = OffsetDateTime::from_unix_timestamp(1_924_992_000).expect("2031-01-01");
        assert_eq!(format_last_day(end), "2030-12-31");
        assert_eq!(
            format_last_day(end + time::Duration::HOUR),
            "2031-01-01T01:00:00Z"
        );
    }
}
