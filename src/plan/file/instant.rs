//! Instants as plan files spell them.
//!
//! Owns one spelling for every instant there is: RFC 3339 in UTC, and nanoseconds since 1970 behind an `@` for years that
//! it cannot spell. Does not round.

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

pub(super) fn show(at: OffsetDateTime) -> String {
    at.checked_to_offset(UtcOffset::UTC)
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("@{}", at.unix_timestamp_nanos()))
}

pub(super) fn read(text: &str) -> Option<OffsetDateTime> {
    match text.strip_prefix('@') {
        Some(nanos) => OffsetDateTime::from_unix_timestamp_nanos(nanos.parse().ok()?).ok(),
        None => OffsetDateTime::parse(text, &Rfc3339).ok(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_instant_is_read_as_it_is_shown(
            seconds in time::PrimitiveDateTime::MIN.assume_utc().unix_timestamp()
                ..=time::PrimitiveDateTime::MAX.assume_utc().unix_timestamp(),
            nanos in 0..1_000_000_000_u32,
        ) {
            let at = OffsetDateTime::from_unix_timestamp(seconds).expect("in range").replace_nanosecond(nanos).expect("in range");
            prop_assert_eq!(read(&show(at)), Some(at));
        }

        #[test]
        fn any_text_is_answered(text in any::<String>(), digits in "@?[-0-9TZ:.+]{0,40}") {
            read(&text);
            read(&digits);
        }
    }
}
