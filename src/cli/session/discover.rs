//! Discovery: the existing instances and their live rules.
//!
//! Owns the choice and concurrency of reads. Does not take an unreadable list or rule for an empty one.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use futures_util::stream;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::mpsc;

use crate::cli::args::ReadMode;
use crate::cli::progress::{self, ProgressDisplay};
use crate::lightsail::{self, ListedInstance, Reader};
use crate::model::{Instance, InstanceId, Live, LiveFirewall, Site, Unreadable};

/// The rules of instances in lists.
pub(super) type ListedRules = BTreeMap<InstanceId, LiveFirewall>;

/// Lists the instances of all sites concurrently. A site that cannot be listed completely is recorded as unreadable.
pub(in crate::cli) async fn discover(reader: &impl Reader, sites: &[Site]) -> Live {
    let list = async |site: &Site| Ok(without_rules(reader.instances(site).await?));
    list_with_progress(sites, list).await.0
}

fn without_rules(instances: Vec<Instance>) -> Vec<ListedInstance> {
    instances.into_iter().map(ListedInstance::from).collect()
}

/// Every site is one step; its time depends on the number of its pages.
async fn list_with_progress(
    sites: &[Site],
    list: impl AsyncFn(&Site) -> Result<Vec<ListedInstance>, lightsail::Error>,
) -> (Live, ListedRules) {
    let progress = progress::begin("listing regions", &|_, _| Duration::ZERO);
    for site in sites {
        progress.add_step(site);
    }
    progress.set_total_final();
    let list = async |site: &Site| {
        let listed = list(site).await;
        progress.finish_step(site);
        listed
    };
    let seen = list_sites(sites, list).await;
    progress.finish();
    seen
}

/// The minimum time to read the rules of a number of instances of a site.
fn min_read_time(reader: &impl Reader) -> impl Fn(&Site, usize) -> Duration {
    |site, left| reader.minimum_time(site, "GetInstancePortStates", left)
}

/// Like `discover`, with the rules in the lists.
pub(super) async fn discover_listed(reader: &impl Reader, sites: &[Site]) -> (Live, ListedRules) {
    let list = async |site: &Site| reader.instances_with_rules(site).await;
    list_with_progress(sites, list).await
}

/// Like `discover`, and at the same time reads the rules of every instance for which `is_likely` holds, so many at once. The
/// pages of a list arrive one after the other, which leaves time for other calls.
pub(super) async fn discover_and_read(
    reader: &impl Reader,
    sites: &[Site],
    is_likely: &impl Fn(&Instance) -> bool,
    concurrency: u16,
) -> Live {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let min_time = min_read_time(reader);
    let progress = &progress::begin("reading rules", &min_time);
    let lists = async move {
        let sender = &sender;
        let seen = &RefCell::new(HashSet::new());
        let list = async |site: &Site| {
            // One that comes twice, as it may when the pages shift, is read once. Nobody has stopped listening before the
            // last list is there.
            let on_instance = |instance: &Instance| {
                if is_likely(instance) && seen.borrow_mut().insert(instance.id.clone()) {
                    progress.add_step(site);
                    let _ = sender.send(instance.id.clone());
                }
            };
            let instances = reader.stream_instances(site, &on_instance).await?;
            Ok(without_rules(instances))
        };
        let live = list_sites(sites, list).await.0;
        progress.set_total_final();
        live
    };
    let ids = stream::poll_fn(|context| receiver.poll_recv(context));
    let rules = read_each(ids, concurrency, progress, rules_of(reader));
    let (mut live, rules) = tokio::join!(lists, rules);
    progress.finish();
    live.firewalls = rules;
    live
}

/// As `discover`, and the rules of those instances of which it is known what they should be. A list that shows them so is
/// believed, where that is wanted; whatever it shows otherwise is read.
pub(in crate::cli) async fn discover_expected(
    reader: &impl Reader,
    sites: &[Site],
    expected: &BTreeMap<&InstanceId, &LiveFirewall>,
    read: ReadMode,
    concurrency: u16,
) -> Live {
    if read == ReadMode::Exact {
        let is_likely = |instance: &Instance| expected.contains_key(&instance.id);
        return discover_and_read(reader, sites, &is_likely, concurrency).await;
    }
    let (mut live, mut listed) = discover_listed(reader, sites).await;
    let mut rest = Vec::new();
    for (id, rules) in expected {
        if listed.get(*id) == Some(*rules) {
            let rules = listed.remove(*id).unwrap_or_default();
            live.firewalls.insert((*id).clone(), Ok(rules));
        } else if live.instances.contains_key(*id) {
            rest.push(*id);
        }
    }
    let rest = read_rules(reader, rest.into_iter(), concurrency).await;
    live.firewalls.extend(rest);
    live
}

async fn list_sites(
    sites: &[Site],
    list: impl AsyncFn(&Site) -> Result<Vec<ListedInstance>, lightsail::Error>,
) -> (Live, ListedRules) {
    let mut lists = stream::iter(sites)
        .map(|site| async { (site.clone(), list(site).await) })
        .buffer_unordered(sites.len().max(1))
        .collect::<Vec<_>>()
        .await;
    lists.sort_by(|(a, _), (b, _)| a.cmp(b));
    let (mut live, mut listed) = (Live::default(), ListedRules::new());
    let (mut pool, mut arns) = (HashSet::new(), HashMap::new());
    for (site, list) in lists {
        let list = list.map_err(|error| Unreadable::from(&error));
        match list.and_then(|list| check_unique(&list, &mut arns).map(|()| list)) {
            Ok(list) => {
                for ListedInstance { instance, rules } in list {
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

/// Refuses a list in which two instances have the same name, or in which an ARN belongs to another instance of this or an
/// earlier list: a name would be ambiguous. An instance that is listed twice, as when pages shift, is one instance.
fn check_unique(
    list: &[ListedInstance],
    owners: &mut HashMap<String, InstanceId>,
) -> Result<(), Unreadable> {
    let mut arns = BTreeMap::new();
    for ListedInstance { instance, .. } in list {
        let owner = owners.entry(instance.arn.clone());
        let owner = owner.or_insert_with(|| instance.id.clone());
        if *owner != instance.id {
            return Err(Unreadable::new(format!(
                "`{owner}` and `{}` have the same ARN, `{}`",
                instance.id, instance.arn
            ))
            .with_hint(Some(
                "look again; an ARN belongs to one instance".to_owned(),
            )));
        }
        let arn = arns
            .entry(instance.id.name.as_str())
            .or_insert(instance.arn.as_str());
        if *arn != instance.arn {
            let (name, other) = (&instance.id.name, &instance.arn);
            return Err(Unreadable::new(format!(
                "two instances are called `{name}`: `{arn}` and `{other}`"
            ))
            .with_hint(Some("look again; names are unique in a region".to_owned())));
        }
    }
    Ok(())
}

/// What was read of each instance.
pub(in crate::cli) type ReadResults<T> = BTreeMap<InstanceId, Result<T, Unreadable>>;

/// Reads the rules of these instances, `concurrency` at a time.
pub(in crate::cli) async fn read_rules(
    reader: &impl Reader,
    ids: impl Iterator<Item = &InstanceId> + Clone,
    concurrency: u16,
) -> ReadResults<LiveFirewall> {
    read_with_progress(reader, ids, concurrency, rules_of(reader)).await
}

/// Reads something of these instances that takes one `GetInstancePortStates` for each, `concurrency` at a time.
pub(in crate::cli) async fn read_with_progress<T>(
    reader: &impl Reader,
    ids: impl Iterator<Item = &InstanceId> + Clone,
    concurrency: u16,
    read: impl AsyncFn(&InstanceId) -> Result<T, lightsail::Error>,
) -> ReadResults<T> {
    let min_time = min_read_time(reader);
    let progress = progress::begin("reading rules", &min_time);
    ids.clone().for_each(|id| progress.add_step(&id.site()));
    progress.set_total_final();
    let results = read_each(stream::iter(ids.cloned()), concurrency, &progress, read).await;
    progress.finish();
    results
}

/// Reads rules. Most instances of a fleet let in the same few networks, so what is equal is kept once.
fn rules_of(
    reader: &impl Reader,
) -> impl AsyncFn(&InstanceId) -> Result<LiveFirewall, lightsail::Error> {
    let pool = RefCell::new(HashSet::new());
    async move |id: &InstanceId| {
        let mut rules = reader.rules(id).await?;
        rules.share(&mut pool.borrow_mut());
        Ok(rules)
    }
}

async fn read_each<T>(
    ids: impl Stream<Item = InstanceId>,
    concurrency: u16,
    progress: &ProgressDisplay<'_>,
    read: impl AsyncFn(&InstanceId) -> Result<T, lightsail::Error>,
) -> ReadResults<T> {
    let read = &read;
    ids.map(|id| async move {
        let result = read(&id).await;
        progress.finish_step(&id.site());
        (id, result.map_err(|error| Unreadable::from(&error)))
    })
    .buffer_unordered(usize::from(concurrency))
    .collect()
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AddressType, InstanceState};

    fn listed(name: &str, arn: &str) -> lightsail::ListedInstance {
        let id = InstanceId {
            account: None,
            region: "eu-central-1".into(),
            name: name.into(),
        };
        lightsail::ListedInstance::from(Instance {
            id,
            arn: arn.into(),
            tags: BTreeMap::new(),
            state: InstanceState::Running,
            address_type: AddressType::Dualstack,
        })
    }

    #[tokio::test(flavor = "current_thread")]
    async fn ambiguous_instances_make_the_list_unreadable() {
        let site = Site::of_region("eu-central-1");
        for (list, found) in [
            ([("web-1", "arn:1"), ("web-1", "arn:2")], 0),
            // The pages shifted while they were read.
            ([("web-1", "arn:1"), ("web-1", "arn:1")], 1),
            ([("web-1", "arn:1"), ("web-2", "arn:1")], 0),
            ([("web-1", "arn:1"), ("web-2", "arn:2")], 2),
        ] {
            let list = list.map(|(name, arn)| listed(name, arn));
            let list = async |_: &Site| Ok(list.to_vec());
            let (live, _) = list_sites(std::slice::from_ref(&site), list).await;
            assert_eq!(live.sites_unreadable.is_empty(), found > 0);
            assert_eq!(live.instances.len(), found);
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn arn_in_two_lists_makes_the_second_unreadable() {
        let sites = ["us-east-1", "eu-central-1"].map(Site::of_region);
        let list = async |site: &Site| {
            let mut listed = listed("web-1", "arn:1");
            listed.instance.id.region.clone_from(&site.region);
            Ok(vec![listed])
        };
        let (live, _) = list_sites(&sites, list).await;
        assert_eq!(
            live.sites_unreadable.keys().collect::<Vec<_>>(),
            [&sites[0]]
        );
        assert_eq!(live.instances.len(), 1);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn rules_are_read_while_listing() {
        use crate::apply::tests::service::{Behaviour, Service};
        use crate::model::Firewall;

        let (service, none) = (Service::default(), Firewall::default());
        for name in ["web-1", "web-2", "web-3"] {
            service.add(name, &none, &none, Behaviour::default());
        }
        service.hold_second_page();
        let sites = [Site::of_region("eu-central-1")];
        let is_likely = |instance: &Instance| instance.id.name != "web-2";
        let look = discover_and_read(&service, &sites, &is_likely, 16);
        let live = tokio::time::timeout(Duration::from_mins(1), look).await;
        let live = live.expect("nobody waits for ever");
        assert_eq!(live.instances.len(), 3);
        let read: Vec<&str> = live.firewalls.keys().map(|id| id.name.as_str()).collect();
        assert_eq!(read, ["web-1", "web-3"]);
    }
}
