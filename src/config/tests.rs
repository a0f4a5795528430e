//! Tests of all steps from texts to the desired state.
//!
//! Owns the helpers that they share.

mod accounts;
mod errors;
mod files;
mod grants;
mod guard;
mod listing;
mod name_errors;
mod policy;
mod properties;
mod redundant_rules;
mod resolving;
mod size_limits;
mod sources;

use super::{Config, Diagnostics, PartialInstanceId, Source, parse};
use crate::model::{AddressType, Instance, InstanceId, InstanceState};

/// Parses one file, with the first line that every file has.
fn read(text: &str) -> Result<Config, Diagnostics> {
    parse(vec![Source::new("f.toml", format!("version = 1\n{text}"))])
}

/// The errors and warnings of a file, without its name.
fn problems(text: &str) -> Vec<String> {
    let found = match read(text) {
        Ok(config) => config.warnings().to_vec(),
        Err(errors) => errors.problems,
    };
    found
        .iter()
        .map(|problem| problem.to_string().replacen("f.toml:", "", 1))
        .collect()
}

/// An instance without tags, named as `region/name` or `account/region/name`.
pub(super) fn instance(name: &str, address_type: AddressType) -> Instance {
    let Some(PartialInstanceId {
        account,
        region: Some(region),
        name,
    }) = PartialInstanceId::parse(name)
    else {
        panic!("{name} has no region");
    };
    Instance {
        arn: format!("arn:aws:lightsail:{region}:123456789012:Instance/{name}"),
        id: InstanceId {
            account,
            region,
            name,
        },
        tags: [].into(),
        state: InstanceState::Running,
        address_type,
    }
}
