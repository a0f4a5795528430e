//! The name of an instance in the configuration, with or without region and account.
//!
//! Owns the syntax `account/region/name`. Does not know which accounts, regions and instances exist.

use crate::model::{InstanceId, Site};

/// The name of a table under `[instances]`. A missing part matches anything.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The name of the account in the configuration.
    pub account: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The name of the instance.
    pub name: String,
}

impl Place {
    /// Parses `name`, `region/name` or `account/region/name`; `None` if there are more parts.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let owned = |text: &str| Some(text.to_owned());
        let (account, region, name) = match parts[..] {
            [name] => (None, None, name),
            [region, name] => (None, owned(region), name),
            [account, region, name] => (owned(account), owned(region), name),
            _ => return None,
        };
        Some(Self {
            account,
            region,
            name: name.to_owned(),
        })
    }

    /// Whether the name may mean this instance.
    pub fn holds(&self, id: &InstanceId) -> bool {
        self.name == id.name && self.could_be_in(&id.site())
    }

    /// Whether the name means this instance and no part is missing.
    pub(super) fn is_all_of(&self, id: &InstanceId) -> bool {
        let Self {
            account,
            region,
            name,
        } = self;
        *account == id.account && region.as_ref() == Some(&id.region) && *name == id.name
    }

    /// Whether the instance may be in this site.
    pub(super) fn could_be_in(&self, site: &Site) -> bool {
        let Self {
            account,
            region,
            name: _,
        } = self;
        (account.is_none() || *account == site.account)
            && region.as_ref().is_none_or(|region| *region == site.region)
    }
}
