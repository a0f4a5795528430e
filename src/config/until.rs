//! `until`: the end of a rule.
//!
//! Owns the parser of dates. A time without an offset is refused, because its meaning would depend on the machine. Does not read a
//! clock.

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};
use toml_datetime::{Datetime, Offset};

use super::diagnostic::HintedError;

/// Parses the first instant at which a rule is not in force. A date includes that day in UTC; a date-time is exact.
pub(super) fn parse(value: &Datetime) -> Result<OffsetDateTime, HintedError> {
    let Some(date) = value.date else {
        return Err(HintedError::new("`until` is a time without a date")
            .hint("write a date, as in `until = 2031-12-31`"));
    };
    let invalid = || HintedError::new(format!("`until` is not a valid date or time: `{value}`"));
    let month = Month::try_from(date.month).map_err(|_| invalid())?;
    let day =
        Date::from_calendar_date(i32::from(date.year), month, date.day).map_err(|_| invalid())?;
    match (value.time, value.offset) {
        (None, _) => {
            // The last day has no next midnight, so the last instant is used.
            let last = PrimitiveDateTime::new(day, Time::MAX);
            Ok(day
                .next_day()
                .map_or(last, |next| PrimitiveDateTime::new(next, Time::MIDNIGHT))
                .assume_utc())
        }
        (Some(_), None) => Err(HintedError::new("`until` has a time but no offset").hint(
            "add the offset, as in `2031-12-31T18:00:00Z` or `2031-12-31T18:00:00+01:00`, or write only the date",
        )),
        (Some(time), Some(offset)) => {
            let (second, nanosecond) = (time.second.unwrap_or(0), time.nanosecond.unwrap_or(0));
            let time = Time::from_hms_nano(time.hour, time.minute, second, nanosecond)
                .map_err(|_| invalid())?;
            let minutes = match offset {
                Offset::Z => 0,
                Offset::Custom { minutes } => i32::from(minutes),
            };
            let offset = UtcOffset::from_whole_seconds(minutes * 60).map_err(|_| invalid())?;
            let local = PrimitiveDateTime::new(day, time).assume_offset(offset);
            local
                .checked_to_offset(UtcOffset::UTC)
                .ok_or_else(invalid)
        }
    }
}

/// Formats an end: `2031-12-31` for the end of that day, `2031-12-31 17:00:00 UTC` for any other instant.
pub(super) fn format(until: OffsetDateTime) -> String {
    if until.time() == Time::MIDNIGHT
        && let Some(day) = until.date().previous_day()
    {
        return day.to_string();
    }
    let (date, time) = (until.date(), until.time());
    format!(
        "{date} {:02}:{:02}:{:02} UTC",
        time.hour(),
        time.minute(),
        time.second()
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn describe(text: &str) -> String {
        let value: Datetime = text.parse().expect("a date or time of TOML");
        match parse(&value) {
            Ok(until) => format!("{} = {}", until.unix_timestamp(), format(until)),
            Err(HintedError { message, .. }) => message,
        }
    }

    #[test]
    fn date_includes_its_day() {
        for (text, meaning) in [
            ("1970-01-01", "86400 = 1970-01-01"),
            ("1970-01-01T01:00:00Z", "3600 = 1970-01-01 01:00:00 UTC"),
            ("1970-01-01T01:00:00+01:00", "0 = 1969-12-31"),
            ("9999-12-31", "253402300799 = 9999-12-31 23:59:59 UTC"),
            ("1970-01-01T01:00:00", "`until` has a time but no offset"),
            ("01:00:00", "`until` is a time without a date"),
            (
                "9999-12-31T23:00:00-23:00",
                "`until` is not a valid date or time: `9999-12-31T23:00:00-23:00`",
            ),
        ] {
            assert_eq!(describe(text), meaning, "{text}");
        }
    }

    proptest! {
        #[test]
        fn parser_does_not_panic(
            (year, month, day) in (0..=9999_u16, 1..=12_u8, 1..=28_u8),
            (hour, minute, second) in (0..=23_u8, 0..=59_u8, 0..=60_u8),
            (sign, hours, minutes) in ("[+-]", 0..=23_u8, 0..=59_u8),
        ) {
            let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{sign}{hours:02}:{minutes:02}");
            if let Ok(value) = text.parse::<Datetime>() {
                let _ = parse(&value);
            }
        }
    }
}
