//! The look at the world: which instances there are, and what their rules are.
//!
//! Owns what is asked, and how much of it at once. Refuses to take what could not be read for less.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use futures_util::stream;

use crate::cli::progress;
use crate::lightsail::{self, Reader};
use crate::model::{InstanceId, Live, LiveFirewall, Site, Unreadable};

/// Lists the instances of every site at once. One that cannot be listed in full is named, never taken for smaller.
pub(in crate::cli) async fn discover(reader: &impl Reader, sites: &[Site]) -> Live {
    let bar = progress::bar(sites.len(), "listing regions");
    let lists = stream::iter(sites)
        .map(|site| async {
            let list = reader.instances(site).await;
            bar.inc(1);
            (site.clone(), list)
        })
        .buffer_unordered(sites.len().max(1))
        .collect::<Vec<_>>()
        .await;
    bar.finish_and_clear();
    let mut live = Live::default();
    for (site, list) in lists {
        match list {
            Ok(instances) => live.instances.extend(
                instances
                    .into_iter()
                    .map(|instance| (instance.id.clone(), instance)),
            ),
            Err(error) => {
                live.sites_unreadable.insert(site, unreadable(&error));
            }
        }
    }
    live
}

pub(in crate::cli) async fn read_rules(
    reader: &impl Reader,
    ids: impl Iterator<Item = &InstanceId> + Clone,
    concurrency: u16,
) -> BTreeMap<InstanceId, Result<LiveFirewall, Unreadable>> {
    let bar = progress::bar(ids.clone().count(), "reading rules");
    let firewalls = stream::iter(ids)
        .map(|id| async {
            let rules = reader.port_states(id).await;
            bar.inc(1);
            (
                id.clone(),
                rules
                    .map(|entries| LiveFirewall::read(&entries))
                    .map_err(|error| unreadable(&error)),
            )
        })
        .buffer_unordered(usize::from(concurrency))
        .collect()
        .await;
    bar.finish_and_clear();
    firewalls
}

fn unreadable(error: &lightsail::Error) -> Unreadable {
    Unreadable {
        reason: error.to_string(),
        hint: error.hint(),
    }
}
