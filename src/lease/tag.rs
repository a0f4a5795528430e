//! The encoding of a lease as the value of a tag.
//!
//! The service accepts 256 characters of letters, digits, spaces and `_ . : / = + - @` (Lightsail's user guide, "Tags"). So a
//! value is
//!
//! ```text
//! 1 20310102T031500Z tcp/22 203.0.113.7/32 by=123456789012:user/alice why=deploy 4711
//! ```
//!
//! A version, the end, the ports, the sources, the caller and the reason. In the last two, any other character is written as
//! its UTF-8 bytes, each as `=2C`, so that every text survives the round trip.
//!
//! **Owns** this encoding. **Does not** judge whether a lease is permitted.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

use super::{Lease, LeaseId, PREFIX};
use crate::model::{Key, Protocol, Sources, is_unsafe, sanitize_line};

/// The longest value of a tag, in characters (Lightsail user guide, "Tags").
pub const MAX_VALUE_CHARS: usize = 256;

/// The most characters of the encoded caller: a role and the name of its session have up to 64 each.
const MAX_BY_CHARS: usize = 96;

const VERSION: &str = "1";

/// Why a lease does not fit into a tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseSizeError {
    /// The ports and the sources alone exceed the value of a tag; the number of characters.
    #[error(
        "the grant does not fit into a tag: its ports and sources take {0} characters, and {room} are left for them",
        room = MAX_VALUE_CHARS
    )]
    Access(usize),
    /// The end has no four-digit year.
    #[error("the end of the grant is not a valid time")]
    Until,
    /// It has no port or no source.
    #[error("the grant names no port or no source")]
    Nothing,
    /// A source is an alias such as `lightsail-connect`.
    #[error("`{0}` is not an address, and only addresses and networks can be granted")]
    Alias(String),
}

/// Why a tag cannot be decoded as a lease. Displays as a fragment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseTagError {
    /// The id has an invalid character or an invalid length.
    #[error("`{0}` is not a valid id")]
    Id(String),
    /// The version of the encoding is unknown.
    #[error("it is of version `{0}`, which this program does not know")]
    Version(String),
    /// The end is missing or invalid.
    #[error("it has no valid end")]
    Until,
    /// A word is neither a port nor a source.
    #[error("`{0}` is neither a port nor a network")]
    Word(String),
    /// There is no port.
    #[error("it names no port")]
    NoPort,
    /// There is no source.
    #[error("it names no source")]
    NoSource,
    /// The caller or the reason is missing or invalid.
    #[error("its caller or its reason is missing or invalid")]
    Text,
    /// It is longer than the service accepts.
    #[error("it is longer than {MAX_VALUE_CHARS} characters")]
    Long,
}

impl Lease {
    /// Cuts the caller and the reason so that the lease fits into a tag, and the end to whole seconds.
    ///
    /// # Errors
    /// The ports and the sources do not fit, or there are none.
    pub fn fitted(mut self) -> Result<Self, LeaseSizeError> {
        self.until = self
            .until
            .checked_to_offset(UtcOffset::UTC)
            .and_then(|until| until.replace_nanosecond(0).ok())
            .ok_or(LeaseSizeError::Until)?;
        if let Some(alias) = self.sources.aliases().first() {
            return Err(LeaseSizeError::Alias(alias.clone()));
        }
        if self.keys.is_empty() || self.sources.is_empty() {
            return Err(LeaseSizeError::Nothing);
        }
        self.by = by_in_tag(&self.by);
        let why = std::mem::take(&mut self.why);
        let room = MAX_VALUE_CHARS - self.value()?.len();
        self.why = cut(&single_line(&why), room.saturating_sub(" why=".len()), true);
        Ok(self)
    }

    /// Encodes the value of its tag.
    ///
    /// # Errors
    /// It does not fit; a lease returned by [`Lease::fitted`] always does.
    pub fn value(&self) -> Result<String, LeaseSizeError> {
        let value = self.encode()?;
        if value.len() > MAX_VALUE_CHARS {
            return Err(LeaseSizeError::Access(value.len()));
        }
        Ok(value)
    }

    fn encode(&self) -> Result<String, LeaseSizeError> {
        let format = format_description!("[year][month][day]T[hour][minute][second]Z");
        let until = self.until.checked_to_offset(UtcOffset::UTC);
        let until = until.filter(|until| (0..=9999).contains(&until.year()));
        let until = until.and_then(|until| until.format(format).ok());
        let mut value = format!("{VERSION} {}", until.ok_or(LeaseSizeError::Until)?);
        for key in &self.keys {
            let _ = write!(value, " {key}");
        }
        for net in self.sources.cidrs().chain(self.sources.ipv6_cidrs()) {
            let _ = write!(value, " {net}");
        }
        let _ = write!(value, " by={}", escape(&self.by, false));
        if !self.why.is_empty() {
            let _ = write!(value, " why={}", escape(&self.why, true));
        }
        Ok(value)
    }
}

/// Decodes a tag.
///
/// # Errors
/// It is not a valid lease, and then grants nothing.
pub(super) fn decode(key: &str, value: &str) -> Result<Lease, LeaseTagError> {
    let id = key.strip_prefix(PREFIX).unwrap_or_default();
    let id = LeaseId::parse(id).ok_or_else(|| LeaseTagError::Id(excerpt(id)))?;
    if value.chars().count() > MAX_VALUE_CHARS {
        return Err(LeaseTagError::Long);
    }
    let (version, rest) = value.split_once(' ').unwrap_or((value, ""));
    if version != VERSION {
        return Err(LeaseTagError::Version(excerpt(version)));
    }
    let (access, about) = rest.split_once(" by=").ok_or(LeaseTagError::Text)?;
    let (by, why) = match about.split_once(" why=") {
        Some((by, why)) => (by, unescape(why).filter(|why| !why.is_empty())),
        None => (about, Some(String::new())),
    };
    let by = unescape(by).filter(|by| !by.is_empty());
    let (Some(by), Some(why)) = (by, why) else {
        return Err(LeaseTagError::Text);
    };
    let mut access = access.split(' ');
    let until = access
        .next()
        .and_then(instant)
        .ok_or(LeaseTagError::Until)?;
    let (mut keys, mut sources) = (BTreeSet::new(), Sources::new());
    for word in access {
        if let Some(key) = self::key(word) {
            keys.insert(key);
        } else if let Some(net) = Sources::parse_live(word) {
            sources.insert(net);
        } else {
            return Err(LeaseTagError::Word(excerpt(word)));
        }
    }
    if keys.is_empty() {
        return Err(LeaseTagError::NoPort);
    }
    if sources.is_empty() {
        return Err(LeaseTagError::NoSource);
    }
    Ok(Lease {
        id,
        until,
        keys,
        sources,
        by,
        why,
    })
}

/// Parses an instant such as `20310102T031500Z`.
fn instant(text: &str) -> Option<OffsetDateTime> {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    PrimitiveDateTime::parse(text, format)
        .ok()
        .map(PrimitiveDateTime::assume_utc)
}

/// Parses a key in the one spelling that keys display.
fn key(text: &str) -> Option<Key> {
    if text == "all" {
        return Some(Key::ALL);
    }
    let (protocol, ports) = text.split_once('/')?;
    let known = [
        Protocol::Tcp,
        Protocol::Udp,
        Protocol::Icmp,
        Protocol::Icmpv6,
    ];
    let protocol = known.into_iter().find(|known| known.as_str() == protocol)?;
    let (from, to) = if protocol.is_icmp() {
        ports.split_once(':')?
    } else {
        ports.split_once('-').unwrap_or((ports, ports))
    };
    let key = Key::new(protocol, from.parse().ok()?, to.parse().ok()?).ok()?;
    // One spelling: no sign and no leading zero.
    (key.to_string() == text).then_some(key)
}

/// The name of the caller for a lease, from the ARN that `GetCallerIdentity` returns: the account, and the user or the session
/// of a role.
pub fn caller_name(arn: &str) -> String {
    let mut parts = arn.splitn(6, ':');
    match (parts.next(), parts.nth(3), parts.next()) {
        (Some("arn"), Some(account), Some(resource)) if !account.is_empty() => {
            format!("{account}:{resource}")
        }
        _ => arn.to_owned(),
    }
}

/// The name of a caller, cut to what a tag has room for.
pub(super) fn by_in_tag(by: &str) -> String {
    let by = single_line(by);
    cut(
        if by.is_empty() { "unknown" } else { &by },
        MAX_BY_CHARS,
        false,
    )
}

/// A text on one line, with one space between its words and none around them.
fn single_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || is_unsafe(c));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// The longest prefix of a text whose escaped form has at most `room` characters.
fn cut(text: &str, room: usize, keep_spaces: bool) -> String {
    let mut taken = 0;
    let mut kept = String::new();
    for c in text.chars() {
        taken += escape(c.encode_utf8(&mut [0; 4]), keep_spaces).len();
        if taken > room {
            break;
        }
        kept.push(c);
    }
    kept.truncate(kept.trim_end().len());
    kept
}

fn escape(text: &str, keep_spaces: bool) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric()
            || b"_.:/+-@".contains(&byte)
            || (keep_spaces && byte == b' ');
        if plain {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "={byte:02X}");
        }
    }
    out
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'=' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    let text = String::from_utf8(bytes).ok()?;
    // Whatever this program writes has none of them.
    (!text.contains(is_unsafe)).then_some(text)
}

/// A part of a tag, cut and sanitized for a message.
fn excerpt(text: &str) -> String {
    const MOST: usize = 40;
    let cut: String = text.chars().take(MOST).collect();
    sanitize_line(&cut).into_owned()
}
