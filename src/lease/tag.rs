//! A lease as the value of a tag, and back.
//!
//! The service takes 256 characters of letters, digits, spaces and `_ . : / = + - @` (Lightsail's user guide, "Tags"). So a
//! value is
//!
//! ```text
//! 1 20310102T031500Z tcp/22 203.0.113.7/32 by=123456789012:user/alice why=deploy 4711
//! ```
//!
//! A version, the end, what is open, who may reach it, who asked for it and why. In the last two every other character is
//! its UTF-8 bytes as `=2C`, so that any text comes back as it was.
//!
//! **Owns** this spelling. **Does not** judge what a lease permits.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

use super::{Lease, LeaseId, PREFIX};
use crate::model::{Key, Protocol, Sources, is_unsafe, sanitize_line};

/// The most characters of a value.
pub const MOST_IN_VALUE: usize = 256;

/// The most characters of who asked, as they are encoded: a role and the name of its session have up to 64 each.
const MOST_OF_BY: usize = 96;

const VERSION: &str = "1";

/// Why a lease does not fit into a tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLong {
    /// The ports and the sources alone are too long.
    #[error(
        "the grant does not fit into a tag: its ports and sources take {0} characters, and {room} are left for them",
        room = MOST_IN_VALUE
    )]
    Access(usize),
    /// The end cannot be spelled.
    #[error("the end of the grant is not a valid time")]
    Until,
    /// Nothing is opened, or nobody is let in.
    #[error("the grant names no port or no source")]
    Nothing,
    /// An alias is named.
    #[error("`{0}` is not an address, and only addresses and networks can be granted")]
    Alias(String),
}

/// Why the value of a tag is no lease.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotALease {
    /// The id has other characters than it may, or too many of them.
    #[error("`{0}` is not a valid id")]
    Id(String),
    /// It was written by another version.
    #[error("it is of version `{0}`, which this program does not know")]
    Version(String),
    /// The end cannot be read.
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
    /// Who asked, or why, cannot be read.
    #[error("it does not say who asked for it, or why, in a way that can be read")]
    Text,
    /// It is longer than the service takes.
    #[error("it is longer than {MOST_IN_VALUE} characters")]
    Long,
}

impl Lease {
    /// The lease as it fits into a tag: who asked and why are cut to what there is room for.
    ///
    /// # Errors
    /// What must not be cut and does not fit.
    pub fn fitted(mut self) -> Result<Self, TooLong> {
        self.until = self
            .until
            .checked_to_offset(UtcOffset::UTC)
            .and_then(|until| until.replace_nanosecond(0).ok())
            .ok_or(TooLong::Until)?;
        if let Some(alias) = self.sources.aliases().first() {
            return Err(TooLong::Alias(alias.clone()));
        }
        if self.keys.is_empty() || self.sources.is_empty() {
            return Err(TooLong::Nothing);
        }
        self.by = by_in_tag(&self.by);
        let why = std::mem::take(&mut self.why);
        let length = self.spelled()?.len();
        let Some(room) = MOST_IN_VALUE.checked_sub(length) else {
            return Err(TooLong::Access(length));
        };
        self.why = cut(&words(&why), room.saturating_sub(" why=".len()), true);
        Ok(self)
    }

    /// The value of its tag.
    ///
    /// # Errors
    /// It does not fit; a lease that is [`Lease::fitted`] always does.
    pub fn value(&self) -> Result<String, TooLong> {
        let value = self.spelled()?;
        if value.len() > MOST_IN_VALUE {
            return Err(TooLong::Access(value.len()));
        }
        Ok(value)
    }

    fn spelled(&self) -> Result<String, TooLong> {
        let format = format_description!("[year][month][day]T[hour][minute][second]Z");
        let until = self.until.checked_to_offset(UtcOffset::UTC);
        let until = until.filter(|until| (0..=9999).contains(&until.year()));
        let until = until.and_then(|until| until.format(format).ok());
        let mut value = format!("{VERSION} {}", until.ok_or(TooLong::Until)?);
        for key in &self.keys {
            let _ = write!(value, " {key}");
        }
        for net in self.sources.cidrs().chain(self.sources.ipv6_cidrs()) {
            let _ = write!(value, " {net}");
        }
        let _ = write!(value, " by={}", escaped(&self.by, false));
        if !self.why.is_empty() {
            let _ = write!(value, " why={}", escaped(&self.why, true));
        }
        Ok(value)
    }
}

/// The lease of a tag.
///
/// # Errors
/// What keeps it from being one. It then grants nothing.
pub(super) fn decode(key: &str, value: &str) -> Result<Lease, NotALease> {
    let id = key.strip_prefix(PREFIX).unwrap_or_default();
    let id = LeaseId::parse(id).ok_or_else(|| NotALease::Id(shown(id)))?;
    if value.chars().count() > MOST_IN_VALUE {
        return Err(NotALease::Long);
    }
    let (version, rest) = value.split_once(' ').unwrap_or((value, ""));
    if version != VERSION {
        return Err(NotALease::Version(shown(version)));
    }
    let (access, about) = rest.split_once(" by=").ok_or(NotALease::Text)?;
    let (by, why) = match about.split_once(" why=") {
        Some((by, why)) => (by, unescaped(why).filter(|why| !why.is_empty())),
        None => (about, Some(String::new())),
    };
    let by = unescaped(by).filter(|by| !by.is_empty());
    let (Some(by), Some(why)) = (by, why) else {
        return Err(NotALease::Text);
    };
    let mut access = access.split(' ');
    let until = access.next().and_then(instant).ok_or(NotALease::Until)?;
    let (mut keys, mut sources) = (BTreeSet::new(), Sources::new());
    for word in access {
        if let Some(key) = self::key(word) {
            keys.insert(key);
        } else if let Some(net) = Sources::parse_live(word) {
            sources.insert(net);
        } else {
            return Err(NotALease::Word(shown(word)));
        }
    }
    if keys.is_empty() {
        return Err(NotALease::NoPort);
    }
    if sources.is_empty() {
        return Err(NotALease::NoSource);
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

/// The instant of a text such as `20310102T031500Z`.
fn instant(text: &str) -> Option<OffsetDateTime> {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    PrimitiveDateTime::parse(text, format)
        .ok()
        .map(PrimitiveDateTime::assume_utc)
}

/// The key of a text as keys display themselves.
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

/// Who asked, of the ARN that STS tells: the account, and the user or the session of a role.
#[must_use]
pub fn caller_name(arn: &str) -> String {
    let mut parts = arn.splitn(6, ':');
    match (parts.next(), parts.nth(3), parts.next()) {
        (Some("arn"), Some(account), Some(resource)) if !account.is_empty() => {
            format!("{account}:{resource}")
        }
        _ => arn.to_owned(),
    }
}

/// The name of a caller as a tag has it.
pub(super) fn by_in_tag(by: &str) -> String {
    let by = words(by);
    cut(
        if by.is_empty() { "unknown" } else { &by },
        MOST_OF_BY,
        false,
    )
}

/// A text on one line, with one space between its words and none around them.
fn words(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || is_unsafe(c));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// As much of a text as takes this many characters when it is escaped with its spaces kept or not.
fn cut(text: &str, room: usize, keep_spaces: bool) -> String {
    let mut taken = 0;
    let mut kept = String::new();
    for c in text.chars() {
        taken += escaped(c.encode_utf8(&mut [0; 4]), keep_spaces).len();
        if taken > room {
            break;
        }
        kept.push(c);
    }
    kept.truncate(kept.trim_end().len());
    kept
}

fn escaped(text: &str, keep_spaces: bool) -> String {
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

fn unescaped(text: &str) -> Option<String> {
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

/// A part of a tag as messages show it.
fn shown(text: &str) -> String {
    const MOST: usize = 40;
    let cut: String = text.chars().take(MOST).collect();
    sanitize_line(&cut).into_owned()
}
