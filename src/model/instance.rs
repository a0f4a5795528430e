//! The facts about an instance that matter to its firewall.
//!
//! **Owns** its identity, state, tags and address type. **Does not** own its rules.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use strum::{AsRefStr, Display, EnumString};

/// One region of one account: the scope of one listing, and of the service's request rates.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// The name of the account in the configuration; `None` if the configuration names no accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The region, such as `eu-central-1`.
    pub region: String,
}

impl Site {
    /// A region of the only account, which the credentials belong to.
    pub fn of_region(region: impl Into<String>) -> Self {
        Self {
            account: None,
            region: region.into(),
        }
    }

    /// The ID of an instance here.
    pub fn instance_id(&self, name: &str) -> InstanceId {
        InstanceId {
            account: self.account.clone(),
            region: self.region.clone(),
            name: name.to_owned(),
        }
    }
}

/// `region`, or `account/region`.
impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(account) = &self.account {
            write!(f, "{account}/")?;
        }
        f.write_str(&self.region)
    }
}

/// The identity of an instance. Names are unique within a region of an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct InstanceId {
    /// The name of the account in the configuration; `None` if the configuration names no accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The region, such as `eu-central-1`.
    pub region: String,
    /// The resource name.
    pub name: String,
}

impl InstanceId {
    /// Its account and region.
    pub fn site(&self) -> Site {
        Site {
            account: self.account.clone(),
            region: self.region.clone(),
        }
    }

    /// Whether `meant` accepts any of its names: `name`, `region/name`, or, if the account has a name,
    /// `account/region/name`.
    pub fn is_called(&self, meant: impl Fn(&str) -> bool) -> bool {
        meant(&self.name)
            || meant(&format!("{}/{}", self.region, self.name))
            || (self.account.is_some() && meant(&self.to_string()))
    }
}

/// `region/name`, or `account/region/name`.
impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(account) = &self.account {
            write!(f, "{account}/")?;
        }
        write!(f, "{}/{}", self.region, self.name)
    }
}

/// An instance without its rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(from = "Members")]
pub struct Instance {
    /// Account, region and name.
    #[serde(flatten)]
    pub id: InstanceId,
    /// `arn:PARTITION:lightsail:REGION:ACCOUNT:Instance/UUID`.
    pub arn: String,
    /// Tags by key; a key-only tag has an empty value.
    pub tags: BTreeMap<String, String>,
    /// Its state when it was listed.
    pub state: InstanceState,
    /// The address families that it has.
    #[serde(rename = "ipAddressType")]
    pub address_type: AddressType,
}

/// The form that is deserialized. With `flatten`, serde would refuse the members of [`InstanceId`] as unknown.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Members {
    account: Option<String>,
    region: String,
    name: String,
    arn: String,
    tags: BTreeMap<String, String>,
    state: InstanceState,
    ip_address_type: AddressType,
}

impl From<Members> for Instance {
    fn from(read: Members) -> Self {
        Self {
            id: InstanceId {
                account: read.account,
                region: read.region,
                name: read.name,
            },
            arn: read.arn,
            tags: read.tags,
            state: read.state,
            address_type: read.ip_address_type,
        }
    }
}

impl Instance {
    /// The account number in the ARN, if it has one.
    pub fn account(&self) -> Option<&str> {
        self.arn
            .split(':')
            .nth(4)
            .filter(|account| !account.is_empty())
    }
}

/// The state of an instance. Only `running` and `stopped` are settled; in any other state a write may be rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, AsRefStr, Display, EnumString)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(with = "String"))]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum InstanceState {
    /// Being created.
    Pending,
    /// Running.
    Running,
    /// Shutting down.
    Stopping,
    /// Stopped.
    Stopped,
    /// Any other state, by its name.
    #[serde(untagged)]
    #[strum(default, transparent)]
    Other(String),
}

impl InstanceState {
    /// Whether the state is stable, so that the firewall can be written.
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::Running | Self::Stopped)
    }
}

/// The address families that an instance has (service model, `IpAddressType`).
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    AsRefStr,
    Display,
    EnumString,
)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(with = "String"))]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum AddressType {
    /// Both families.
    Dualstack,
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
    /// An unknown type, treated as having both families.
    #[serde(untagged)]
    #[strum(default, transparent)]
    Other(String),
}

impl AddressType {
    /// Whether the instance has an IPv4 address.
    pub fn has_ipv4(&self) -> bool {
        *self != Self::Ipv6
    }

    /// Whether the instance has an IPv6 address.
    pub fn has_ipv6(&self) -> bool {
        *self != Self::Ipv4
    }

    /// The family over which the browser client of the console reaches the instance: IPv4 if it has IPv4.
    pub fn client_family(&self) -> Family {
        if self.has_ipv4() {
            Family::V4
        } else {
            Family::V6
        }
    }
}

/// An address family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    #[default]
    V4,
    /// IPv6.
    V6,
}
