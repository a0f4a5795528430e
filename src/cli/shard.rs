//! `--shard K/N`: several processes work on a fleet, each on its own part.
//!
//! **Owns** the choice of the shard and the narrowing to it. **Does not** narrow before the configuration is resolved: what it
//! expects, what is missing and what is undeclared is decided on all instances.

use std::env;
use std::ffi::OsString;

use clap::Args;

use super::args::ConnectionArgs;
use super::error::CommandError;
use crate::lightsail::Rate;
use crate::model::{Desired, Shard};

/// The variable with the index of a pod of an indexed Job of Kubernetes, from 0.
const COMPLETION_INDEX: &str = "JOB_COMPLETION_INDEX";

#[derive(Args, Debug)]
pub(super) struct ShardArgs {
    /// Work on the K-th of N parts of the fleet, from 1; `report merge` joins their reports
    #[arg(
        help_heading = "Selection",
        long,
        value_name = "K/N",
        env = "PORTWARD_SHARD"
    )]
    shard: Option<Shard>,
    /// The same, with K taken from `JOB_COMPLETION_INDEX`, which counts from 0
    #[arg(help_heading = "Selection", long, value_name = "N", env = "PORTWARD_SHARDS", conflicts_with = "shard",
          value_parser = clap::value_parser!(u16).range(1..=i64::from(Shard::MAX)))]
    shards: Option<u16>,
}

impl ShardArgs {
    /// The shard of this process; `None` is the whole fleet.
    pub(super) fn shard(&self) -> Result<Option<Shard>, CommandError> {
        match self.shards {
            None => Ok(self.shard),
            Some(count) => from_completion_index(count, env::var_os(COMPLETION_INDEX)).map(Some),
        }
    }
}

/// The shard of a pod of an indexed Job.
fn from_completion_index(count: u16, index: Option<OsString>) -> Result<Shard, CommandError> {
    let Some(index) = index else {
        return Err(CommandError::usage(
            format!("`--shards` needs `{COMPLETION_INDEX}`, which is not set"),
            "it is set in the pods of an indexed Job; elsewhere use `--shard K/N`",
        ));
    };
    let text = index.to_string_lossy();
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let index = text.parse::<u16>().ok().filter(|_| digits);
    index
        .and_then(|index| Shard::new(index.checked_add(1)?, count))
        .ok_or_else(|| {
            CommandError::usage(
                format!(
                    "`{COMPLETION_INDEX}` is `{text}`, which is none of 0 to {}",
                    count - 1
                ),
                "let `--shards` be the number of completions of the Job",
            )
        })
}

/// Keeps the instances of a shard. A missing instance belongs to a shard by its name in the configuration, so that the
/// reports of all shards together have it once.
pub(super) fn narrow(desired: &mut Desired, shard: Shard) {
    desired.instances.retain(|id, _| shard.holds(id));
    desired.undecided.retain(|id, _| shard.holds(id));
    desired
        .missing
        .retain(|missing| shard.holds_name(&missing.name));
    desired
        .undeclared
        .retain(|undeclared| shard.holds(&undeclared.id));
}

impl ConnectionArgs {
    /// The same arguments; without `--rate` with the share of a shard, so that all shards together stay within the request rates.
    pub(super) fn with_shard_rate(&self, shard: Option<Shard>) -> Self {
        let mut args = self.clone();
        let share = shard.and_then(|shard| Rate::of_share(1.0 / f64::from(shard.of())));
        args.rate = args.rate.or(share);
        args
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_index_counts_from_zero() {
        let shard = |index: &str| from_completion_index(8, Some(index.into())).ok();
        assert_eq!(shard("0"), Shard::new(1, 8));
        assert_eq!(shard("7"), Shard::new(8, 8));
        for wrong in ["8", "-1", "", "+1", "x", "65535"] {
            assert_eq!(shard(wrong), None, "{wrong}");
        }
        assert!(from_completion_index(8, None).is_err());
    }
}
