//! What `[grants]` permits: which ports may be granted, to which sources, and for how long.
//!
//! **Owns** the limits and the judgement of one lease. A lease is judged when it is made and again whenever its tag is read,
//! since anybody who may write tags could write one. **Does not** evaluate `match`; the result is passed in.

use std::collections::BTreeSet;
use std::time::Duration;

use time::OffsetDateTime;

use super::Lease;
use crate::model::{Key, Origin, Protocol};

/// How far the clock that set the end of a lease may be ahead of the clock that judges it. AWS rejects a request whose
/// signature is more than five minutes off, so two clocks that can both call it are at most ten minutes apart.
pub const CLOCK_SKEW: time::Duration = time::Duration::minutes(10);

/// The limits of `[grants]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantLimits {
    /// The ports that may be granted.
    pub keys: BTreeSet<Key>,
    /// The same in the words of the file.
    pub services: Vec<String>,
    /// The longest time from the grant to its end.
    pub max: Duration,
    /// The shortest prefix of an IPv4 source.
    pub ipv4: u8,
    /// The shortest prefix of an IPv6 source.
    pub ipv6: u8,
    /// Whether a reason must be given.
    pub reason_required: bool,
    /// The services that tell the public address of this machine; empty for the built-in ones.
    pub whoami: Vec<String>,
    /// The place of the table.
    pub origin: Origin,
}

/// Why a lease is not permitted. Displays as a fragment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPermitted {
    /// There is no `[grants]`.
    #[error("the configuration has no `[grants]`, so nobody may grant anything")]
    NoTable,
    /// It opens a port that is not among the services.
    #[error("`[grants]` permits {permitted}, and not {asked}")]
    Service {
        /// The port or network that was asked for.
        asked: Key,
        /// The services as they are written.
        permitted: String,
    },
    /// A source is too wide.
    #[error("`[grants]` permits sources of at most /{limit}, and {asked} is wider")]
    Source {
        /// The port or network that was asked for.
        asked: String,
        /// The prefix length of the family.
        limit: u8,
    },
    /// Its end is later than `max` allows.
    #[error("`[grants]` permits {} at most", format_duration(*.0))]
    Duration(Duration),
    /// `match` does not select the instance.
    #[error("`match` of `[grants]` does not select the instance")]
    Instance,
    /// It has no reason, and one is required.
    #[error("`[grants]` requires a reason")]
    Reason,
}

impl GrantLimits {
    /// Whether the ports and sources of a lease are permitted on an instance.
    ///
    /// # Errors
    /// The first limit that it exceeds.
    pub fn permits_access(&self, lease: &Lease, matches: bool) -> Result<(), NotPermitted> {
        let covered = |asked: &Key| self.keys.iter().any(|permitted| covers(*permitted, *asked));
        if let Some(asked) = lease.keys.iter().find(|asked| !covered(asked)) {
            return Err(NotPermitted::Service {
                asked: *asked,
                permitted: self.services.join(", "),
            });
        }
        let ipv4 = lease.sources.ipv4().iter();
        let ipv4 = ipv4.map(|net| (net.to_string(), net.prefix_len(), self.ipv4));
        let ipv6 = lease.sources.ipv6().iter();
        let ipv6 = ipv6.map(|net| (net.to_string(), net.prefix_len(), self.ipv6));
        for (asked, prefix, limit) in ipv4.chain(ipv6) {
            if prefix < limit {
                return Err(NotPermitted::Source { asked, limit });
            }
        }
        if !matches {
            return Err(NotPermitted::Instance);
        }
        Ok(())
    }

    /// Whether a lease is permitted in all respects; [`CLOCK_SKEW`] is added to `max`.
    ///
    /// # Errors
    /// The first limit that it exceeds.
    pub fn permits(
        &self,
        lease: &Lease,
        matches: bool,
        now: OffsetDateTime,
    ) -> Result<(), NotPermitted> {
        self.permits_access(lease, matches)?;
        let max = time::Duration::try_from(self.max).unwrap_or(time::Duration::MAX);
        if lease.until - now > max.saturating_add(CLOCK_SKEW) {
            return Err(NotPermitted::Duration(self.max));
        }
        if self.reason_required && lease.why.is_empty() {
            return Err(NotPermitted::Reason);
        }
        Ok(())
    }
}

/// Whether a permitted key holds another.
fn covers(permitted: Key, asked: Key) -> bool {
    let within = |permitted: i32, asked: i32| permitted == asked || permitted == -1;
    match permitted.protocol() {
        Protocol::All => true,
        other if other != asked.protocol() => false,
        Protocol::Tcp | Protocol::Udp => {
            permitted.from() <= asked.from() && asked.to() <= permitted.to()
        }
        Protocol::Icmp | Protocol::Icmpv6 => {
            within(permitted.from(), asked.from()) && within(permitted.to(), asked.to())
        }
    }
}

/// A duration in the syntax of the configuration, such as `8h` or `1h 30m`.
pub(super) fn format_duration(length: Duration) -> String {
    let seconds = length.as_secs();
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, unit)| format!("{number}{unit}"))
        .collect();
    if parts.is_empty() {
        "0s".to_owned()
    } else {
        parts.join(" ")
    }
}
