//! Partial IDs of instances: a name, with or without region and account.
//!
//! Owns the syntax `account/region/name`. Does not know which accounts, regions and instances exist.

use super::selector::{Glob, Selector};
use crate::model::{InstanceId, Site};

/// The name of a table under `[instances]`, such as `web-1` or `eu-central-1/web-1`. A missing part matches anything.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PartialInstanceId {
    /// The name of the account in the configuration.
    pub account: Option<String>,
    pub region: Option<String>,
    pub name: String,
}

impl PartialInstanceId {
    /// Parses `name`, `region/name` or `account/region/name`; `None` if there are more parts.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let (account, region, name) = match parts[..] {
            [name] => (None, None, name),
            [region, name] => (None, Some(region), name),
            [account, region, name] => (Some(account), Some(region), name),
            _ => return None,
        };
        Some(Self {
            account: account.map(str::to_owned),
            region: region.map(str::to_owned),
            name: name.to_owned(),
        })
    }

    /// The condition that matches the instances that it may mean.
    pub(super) fn selector(&self) -> Selector {
        let literal = |part: &String| Glob::Literal(part.clone());
        Selector {
            names: vec![literal(&self.name)],
            accounts: self.account.iter().map(literal).collect(),
            regions: self.region.iter().map(literal).collect(),
            ..Selector::default()
        }
    }

    /// Whether it may mean this instance.
    pub(crate) fn matches(&self, id: &InstanceId) -> bool {
        self.name == id.name && self.may_be_in(&id.site())
    }

    /// Whether it means this instance and no part is missing.
    pub(super) fn is_exactly(&self, id: &InstanceId) -> bool {
        let Self {
            account,
            region,
            name,
        } = self;
        *account == id.account && region.as_ref() == Some(&id.region) && *name == id.name
    }

    pub(super) fn may_be_in(&self, site: &Site) -> bool {
        let Self {
            account,
            region,
            name: _,
        } = self;
        (account.is_none() || *account == site.account)
            && region.as_ref().is_none_or(|region| *region == site.region)
    }
}
