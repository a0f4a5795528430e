//! The key of a rule: a protocol with its ports, or with its ICMP type and code.
//!
//! Owns its validity and its spelling. An invalid key cannot be constructed. Does not know who is let in.

use std::fmt;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

/// A protocol as the service knows it.
///
/// Lists of rules that people see are in this order.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", ascii_case_insensitive)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP for IPv4: ports hold type and code.
    Icmp,
    /// ICMP for IPv6: ports hold type and code.
    #[strum(serialize = "icmpv6", serialize = "icmp6")]
    Icmpv6,
    /// Every port of every protocol.
    All,
}

impl Protocol {
    /// Every protocol, in order.
    pub const ALL: [Self; 5] = [Self::Tcp, Self::Udp, Self::Icmp, Self::Icmpv6, Self::All];

    /// The spelling in requests (botocore service model, `NetworkProtocol`).
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Its number as EC2 uses it: the IANA number, or -1 for every protocol.
    pub fn number(self) -> i16 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Icmp => 1,
            Self::Icmpv6 => 58,
            Self::All => -1,
        }
    }

    /// The protocol with this [`number`](Self::number).
    pub fn from_number(text: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|protocol| protocol.number().to_string() == text)
    }

    /// Parses any spelling that the service is known to return or might return: any case, a number such as `-1` for `all`,
    /// `icmp6` for `icmpv6`.
    pub fn from_live(text: &str) -> Option<Self> {
        text.parse().ok().or_else(|| Self::from_number(text))
    }

    /// Whether the two numbers of a key are an ICMP type and code rather than ports.
    pub fn is_icmp(self) -> bool {
        matches!(self, Self::Icmp | Self::Icmpv6)
    }
}

/// The identity of a rule: protocol, from and to.
///
/// For TCP and UDP `from..=to` are ports within 0–65535. For ICMP `from` is the type and `to` the code, each -1 (any) or
/// 0–255. For `all` they are always 0 and 65535. Displays as the configuration language spells it: `tcp/22`,
/// `udp/7000-7010`, `icmp/8:-1`, `all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "Unchecked")]
pub struct Key {
    protocol: Protocol,
    #[serde(rename = "fromPort")]
    #[cfg_attr(test, schemars(range(min = -1, max = 65535)))]
    from: i32,
    #[serde(rename = "toPort")]
    #[cfg_attr(test, schemars(range(min = -1, max = 65535)))]
    to: i32,
}

/// A deserialized key, not yet validated.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Unchecked {
    protocol: Protocol,
    from_port: i32,
    to_port: i32,
}

impl TryFrom<Unchecked> for Key {
    type Error = KeyError;

    fn try_from(read: Unchecked) -> Result<Self, KeyError> {
        Self::new(read.protocol, read.from_port, read.to_port)
    }
}

/// Why a protocol and two numbers are not a valid key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A port outside 0–65535.
    #[error("port {0} is not within 0-65535")]
    Port(i32),
    /// An ICMP type or code outside -1–255.
    #[error("ICMP type or code {0} is not within -1-255")]
    Icmp(i32),
    /// The first port is higher than the last.
    #[error("the range {0}-{1} ends before it starts")]
    Backwards(i32, i32),
    /// `all` with other ports than 0–65535.
    #[error("`all` is every port of every protocol and takes no ports ({0}-{1})")]
    AllWithPorts(i32, i32),
}

impl Key {
    /// Every port of every protocol.
    pub const ALL: Self = Self {
        protocol: Protocol::All,
        from: 0,
        to: 65535,
    };

    /// Validates and creates a key.
    ///
    /// # Errors
    /// The numbers are not valid for the protocol.
    pub fn new(protocol: Protocol, from: i32, to: i32) -> Result<Self, KeyError> {
        match protocol {
            Protocol::Tcp | Protocol::Udp => {
                for port in [from, to] {
                    if !(0..=65535).contains(&port) {
                        return Err(KeyError::Port(port));
                    }
                }
                if from > to {
                    return Err(KeyError::Backwards(from, to));
                }
            }
            Protocol::Icmp | Protocol::Icmpv6 => {
                for number in [from, to] {
                    if !(-1..=255).contains(&number) {
                        return Err(KeyError::Icmp(number));
                    }
                }
            }
            Protocol::All => {
                if (from, to) != (0, 65535) {
                    return Err(KeyError::AllWithPorts(from, to));
                }
            }
        }
        Ok(Self { protocol, from, to })
    }

    /// The protocol.
    pub fn protocol(self) -> Protocol {
        self.protocol
    }

    /// The first port, or the ICMP type (-1: any).
    pub fn from(self) -> i32 {
        self.from
    }

    /// The last port, or the ICMP code (-1: any).
    pub fn to(self) -> i32 {
        self.to
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, from, to } = *self;
        match protocol {
            Protocol::All => f.pad("all"),
            Protocol::Icmp | Protocol::Icmpv6 => f.pad(&format!("{protocol}/{from}:{to}")),
            Protocol::Tcp | Protocol::Udp if from == to => f.pad(&format!("{protocol}/{from}")),
            Protocol::Tcp | Protocol::Udp => f.pad(&format!("{protocol}/{from}-{to}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_checks_its_numbers_by_protocol() {
        assert_eq!(
            Key::new(Protocol::Tcp, 0, 65535).map(|k| k.to_string()),
            Ok("tcp/0-65535".into())
        );
        assert_eq!(
            Key::new(Protocol::Udp, 53, 53).map(|k| k.to_string()),
            Ok("udp/53".into())
        );
        assert_eq!(
            Key::new(Protocol::Icmp, 8, -1).map(|k| k.to_string()),
            Ok("icmp/8:-1".into())
        );
        assert_eq!(
            Key::new(Protocol::Tcp, 65536, 65536),
            Err(KeyError::Port(65536))
        );
        assert_eq!(Key::new(Protocol::Tcp, -1, -1), Err(KeyError::Port(-1)));
        assert_eq!(
            Key::new(Protocol::Udp, 9, 8),
            Err(KeyError::Backwards(9, 8))
        );
        assert_eq!(Key::new(Protocol::Icmpv6, 256, 0), Err(KeyError::Icmp(256)));
        assert_eq!(
            Key::new(Protocol::All, -1, -1),
            Err(KeyError::AllWithPorts(-1, -1))
        );
    }

    #[test]
    fn protocol_is_parsed_from_any_spelling() {
        for (text, protocol) in [
            ("TCP", Protocol::Tcp),
            ("Udp", Protocol::Udp),
            ("icmp", Protocol::Icmp),
            ("icmp6", Protocol::Icmpv6),
            ("ICMPV6", Protocol::Icmpv6),
            ("-1", Protocol::All),
            ("1", Protocol::Icmp),
            ("6", Protocol::Tcp),
            ("17", Protocol::Udp),
            ("58", Protocol::Icmpv6),
            ("All", Protocol::All),
        ] {
            assert_eq!(Protocol::from_live(text), Some(protocol), "{text}");
        }
        for text in ["sctp", "132", "06", "+6", "6.0", "", "-01"] {
            assert_eq!(Protocol::from_live(text), None, "{text}");
        }
    }
}
