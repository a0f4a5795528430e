//! Metadata of a run besides its plan: the shard, the calls, and the rules that end soon.
//!
//! **Owns** the data, which `cli` collects. **Does not** format it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::model::{Calls, Fingerprint, InstanceId, Origin, Shard, instant};

/// Everything but the plan.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    /// The shard of the fleet; `None` is the whole fleet.
    pub shard: Option<Shard>,
    /// The texts of the configuration; `None` where it was not read.
    pub config: Option<Fingerprint>,
    /// The origin of the plan.
    pub provenance: Provenance,
    /// Environment variables that took effect, or that the verb does not take: a fragment of text for each.
    pub environment: Vec<String>,
    /// The inventory that was read in place of the service, as it was named.
    pub inventory: Option<String>,
    /// The calls that were made, by action.
    pub calls: Vec<Calls>,
    /// Rules of the configuration that end soon, each once, in order.
    pub expiring: Vec<Expiring>,
    /// The last change of the rules of some instances, as far as it was asked for.
    pub last_changes: BTreeMap<InstanceId, LastChange>,
}

/// The origin of a plan, as far as it is known.
#[derive(Clone, Debug, Default)]
pub struct Provenance {
    /// When it was made.
    pub at: Option<OffsetDateTime>,
    /// The instant that it is a preview of.
    pub as_of: Option<OffsetDateTime>,
    /// The commit, according to the CI system.
    pub commit: Option<String>,
    /// The ids of the accounts, behind their names where they have any.
    pub accounts: Vec<String>,
    /// The regions.
    pub regions: Vec<String>,
    /// The digest of its file.
    pub digest: Option<Fingerprint>,
}

/// The way in which a plan is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanView<'a> {
    /// As the changes that `apply` would make.
    Plan,
    /// As the difference between live and declared rules.
    Drift,
    /// The same for the inventory with this name.
    InventoryDrift(&'a str),
}

/// A rule that ends soon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Expiring {
    /// Its location.
    pub origin: Origin,
    /// The first instant at which it is no longer wanted.
    #[serde(with = "instant")]
    #[cfg_attr(test, schemars(with = "instant::Instant"))]
    pub until: OffsetDateTime,
}

/// The last operation on the rules of an instance, by anyone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "status", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LastChange {
    /// The service remembers one.
    Known {
        /// The action, such as `PutInstancePublicPorts`.
        action: String,
        /// When it began, by the service's clock.
        #[serde(with = "instant::option")]
        #[cfg_attr(test, schemars(with = "Option<instant::Instant>"))]
        at: Option<OffsetDateTime>,
    },
    /// The service remembers none.
    Forgotten,
    /// The service could not be asked.
    Unreadable {
        /// The reason.
        reason: String,
    },
}
