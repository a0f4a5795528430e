//! Where an instance is named to be: by its name alone, or with its region, or with its account too.
//!
//! Owns the form `account/region/name`. Does not know which accounts, regions and instances there are.

use crate::model::{InstanceId, Site};

/// The name of a table under `[instances]`. What it leaves open could be anything.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The account, by the name that the configuration gives it.
    pub account: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The name of the instance.
    pub name: String,
}

impl Place {
    /// `name`, `region/name` or `account/region/name`; `None` for more parts.
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

    /// Whether this instance is meant, as far as it is said.
    pub fn holds(&self, id: &InstanceId) -> bool {
        self.name == id.name && self.could_be_in(&id.site())
    }

    /// Whether this instance is meant, and nothing about it is left open.
    pub(super) fn is_all_of(&self, id: &InstanceId) -> bool {
        let Self {
            account,
            region,
            name,
        } = self;
        *account == id.account && region.as_ref() == Some(&id.region) && *name == id.name
    }

    /// Whether it may be there.
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
