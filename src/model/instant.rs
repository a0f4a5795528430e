//! Timestamps in JSON documents.
//!
//! Owns their format: RFC 3339 in UTC, and `@` with nanoseconds since 1970 for years that RFC 3339 cannot express. Does not
//! round.

use serde::{Deserialize as _, Deserializer, Serializer};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use super::sanitize_line;

/// The schema of a timestamp.
#[cfg(test)]
#[derive(schemars::JsonSchema)]
#[schemars(
    description = "RFC 3339 in UTC, or `@` and nanoseconds since 1970 if the year has more than four digits.",
    extend("pattern" = r"^([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z|@-?[0-9]+)$")
)]
pub(crate) struct Instant(#[expect(dead_code, reason = "only its schema is used")] String);

/// Formats a timestamp.
pub fn format(at: OffsetDateTime) -> String {
    at.checked_to_offset(UtcOffset::UTC)
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("@{}", at.unix_timestamp_nanos()))
}

/// Parses a timestamp in this format, or in any other form of RFC 3339.
pub fn parse(text: &str) -> Option<OffsetDateTime> {
    match text.strip_prefix('@') {
        Some(nanos) => OffsetDateTime::from_unix_timestamp_nanos(nanos.parse().ok()?).ok(),
        None => OffsetDateTime::parse(text, &Rfc3339).ok(),
    }
}

/// For `#[serde(with)]`.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(at: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*at))
}

/// For `#[serde(with)]`.
///
/// # Errors
/// The text is not a valid timestamp.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OffsetDateTime, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| {
        let text = sanitize_line(&text);
        serde::de::Error::custom(format_args!("`{text}` is not a valid timestamp"))
    })
}

/// Optional timestamps.
pub mod option {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use time::OffsetDateTime;

    #[derive(Serialize, Deserialize)]
    struct Instant(#[serde(with = "super")] OffsetDateTime);

    /// For `#[serde(with)]`.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(
        at: &Option<OffsetDateTime>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        at.map(Instant).serialize(serializer)
    }

    /// For `#[serde(with)]`.
    ///
    /// # Errors
    /// The text is not a valid timestamp.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<OffsetDateTime>, D::Error> {
        let at = Option::<Instant>::deserialize(deserializer)?;
        Ok(at.map(|Instant(at)| at))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parse_inverts_format(
            seconds in time::PrimitiveDateTime::MIN.assume_utc().unix_timestamp()
                ..=time::PrimitiveDateTime::MAX.assume_utc().unix_timestamp(),
            nanos in 0..1_000_000_000_u32,
        ) {
            let at = OffsetDateTime::from_unix_timestamp(seconds).expect("in range").replace_nanosecond(nanos).expect("in range");
            prop_assert_eq!(parse(&format(at)), Some(at));
        }

        #[test]
        fn parser_does_not_panic(text in any::<String>(), digits in "@?[-0-9TZ:.+]{0,40}") {
            let _ = (parse(&text), parse(&digits));
        }
    }
}
