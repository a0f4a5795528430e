//! The look at the world: which instances there are, and what their rules are.
//!
//! Owns what is asked, and how much of it at once. Refuses to take what could not be read for less.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};

use futures_util::StreamExt as _;
use futures_util::stream;

use super::bulk::Listed;
use crate::cli::args::Read;
use crate::cli::progress;
use crate::lightsail::{self, Reader};
use crate::model::{InstanceId, Live, LiveFirewall, Site, Unreadable};

/// Lists the instances of every site at once. One that cannot be listed in full is named, never taken for smaller.
pub(in crate::cli) async fn discover(reader: &impl Reader, sites: &[Site]) -> Live {
    let list = async |site: &Site| {
        let instances = reader.instances(site).await?;
        Ok(instances.into_iter().map(lightsail::Listed::from).collect())
    };
    gather(sites, list).await.0
}

/// As `discover`, with the rules that the lists show, where those are wanted.
pub(super) async fn discover_as(
    reader: &impl Reader,
    sites: &[Site],
    read: Read,
) -> (Live, Option<Listed>) {
    match read {
        Read::Exact => (discover(reader, sites).await, None),
        Read::Bulk => {
            let list = async |site: &Site| reader.listed(site).await;
            let (live, listed) = gather(sites, list).await;
            (live, Some(listed))
        }
    }
}

async fn gather(
    sites: &[Site],
    list: impl AsyncFn(&Site) -> Result<Vec<lightsail::Listed>, lightsail::Error>,
) -> (Live, Listed) {
    let progress = progress::begin(sites.len(), "listing regions");
    let lists = stream::iter(sites)
        .map(|site| async {
            let list = list(site).await;
            progress.step();
            (site.clone(), list)
        })
        .buffer_unordered(sites.len().max(1))
        .collect::<Vec<_>>()
        .await;
    progress.end();
    let (mut live, mut listed) = (Live::default(), Listed::new());
    let mut pool = HashSet::new();
    for (site, list) in lists {
        let list = list.map_err(|error| Unreadable::from(&error));
        match list.and_then(|list| each_once(&list).map(|()| list)) {
            Ok(list) => {
                for lightsail::Listed { instance, rules } in list {
                    let id = instance.id.clone();
                    if let Some(mut rules) = rules {
                        rules.share(&mut pool);
                        listed.insert(id.clone(), rules);
                    }
                    live.instances.insert(id, instance);
                }
            }
            Err(unreadable) => {
                live.sites_unreadable.insert(site, unreadable);
            }
        }
    }
    (live, listed)
}

/// Refuses a list with two instances of one name: nobody could say which of them is meant. One that merely comes twice, as
/// it may when the pages shift, is one.
fn each_once(list: &[lightsail::Listed]) -> Result<(), Unreadable> {
    let mut arns = BTreeMap::new();
    for lightsail::Listed { instance, .. } in list {
        let arn = arns
            .entry(instance.id.name.as_str())
            .or_insert(instance.arn.as_str());
        if *arn != instance.arn {
            let (name, other) = (&instance.id.name, &instance.arn);
            return Err(Unreadable {
                reason: format!("two instances are called `{name}`: `{arn}` and `{other}`"),
                hint: Some("look again; names are unique in a region".to_owned()),
            });
        }
    }
    Ok(())
}

/// Reads the rules of these instances, so many at once.
pub(in crate::cli) async fn read_rules(
    reader: &impl Reader,
    ids: impl Iterator<Item = &InstanceId> + Clone,
    concurrency: u16,
) -> BTreeMap<InstanceId, Result<LiveFirewall, Unreadable>> {
    let progress = progress::begin(ids.clone().count(), "reading rules");
    let pool = RefCell::new(HashSet::new());
    let firewalls = stream::iter(ids)
        .map(|id| async {
            let rules = reader.port_states(id).await;
            progress.step();
            let rules = rules.map(|entries| {
                let mut rules = LiveFirewall::read(&entries);
                // Most instances of a fleet let in the same few networks.
                rules.share(&mut pool.borrow_mut());
                rules
            });
            (id.clone(), rules.map_err(|error| Unreadable::from(&error)))
        })
        .buffer_unordered(usize::from(concurrency))
        .collect()
        .await;
    progress.end();
    firewalls
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AddressType, Instance, InstanceState};

    fn listed(name: &str, arn: &str) -> lightsail::Listed {
        let id = InstanceId {
            account: None,
            region: "eu-central-1".into(),
            name: name.into(),
        };
        lightsail::Listed::from(Instance {
            id,
            arn: arn.into(),
            tags: BTreeMap::new(),
            state: InstanceState::Running,
            address_type: AddressType::Dualstack,
        })
    }

    #[tokio::test(flavor = "current_thread")]
    async fn two_instances_of_one_name_make_the_list_unreadable() {
        let site = Site::of_region("eu-central-1");
        for (arns, readable) in [
            (["arn:1", "arn:2"], false),
            // The pages shifted while they were read.
            (["arn:1", "arn:1"], true),
        ] {
            let list = arns.map(|arn| listed("web-1", arn));
            let list = async |_: &Site| Ok(list.to_vec());
            let (live, _) = gather(std::slice::from_ref(&site), list).await;
            assert_eq!(live.sites_unreadable.is_empty(), readable);
            assert_eq!(live.instances.len(), usize::from(readable));
        }
    }
}
