//! The properties of processes that grant, revoke and apply at the same time.
//!
//! **Owns** the properties and their exceptions: a process that was killed or reported a failure, and a stale read. **Does
//! not** trust what the program reports: it judges by the journals of the emulator.

use std::fmt;
use std::sync::Arc;

use portward::config::Config;
use portward::emulator::{Author, Faults, PutSteps, ReadConsistency, TagWrite, Write};
use portward::inventory::Inventory;
use portward::lease::{Lease, Leases};
use portward::model::{InstanceId, Key, LiveFirewall, Mode, PortState, Sources};
use time::OffsetDateTime;

use super::Scene;
use super::tasks::{End, Run, Task};

/// Everything that the processes did.
pub(super) struct History<'a> {
    pub(super) scene: &'a Scene,
    pub(super) id: &'a InstanceId,
    pub(super) config: &'a Config,
    pub(super) runs: &'a [Run<'a>],
    pub(super) rules: Vec<Arc<Write>>,
    pub(super) tags: Vec<TagWrite>,
    pub(super) first: Inventory,
}

/// A port and the sources that may reach it.
type Access = (Key, Sources);

fn is_open(entries: &[PortState], (key, sources): &Access) -> bool {
    let live = LiveFirewall::read(entries);
    let now = live.firewall().get(*key);
    now.is_some_and(|now| covers(now, sources))
}

/// Whether each of these networks is within one of the others.
fn covers(wide: &Sources, narrow: &Sources) -> bool {
    let (ipv4, ipv6) = (wide.ipv4(), wide.ipv6());
    let mut all = narrow.ipv4().iter();
    let mut all6 = narrow.ipv6().iter();
    all.all(|net| ipv4.iter().any(|wide| wide.contains(net)))
        && all6.all(|net| ipv6.iter().any(|wide| wide.contains(net)))
}

fn access(lease: &Lease) -> Access {
    let key = lease.keys.first().expect("a lease has a key");
    (*key, lease.sources.clone())
}

fn rules_of(inventory: &Inventory) -> Vec<PortState> {
    let (_, entry) = inventory.entries().next().expect("an instance");
    entry.port_states.as_deref().unwrap_or_default().to_vec()
}

fn leases_of(inventory: &Inventory) -> Vec<Lease> {
    let (_, entry) = inventory.entries().next().expect("an instance");
    Leases::of(&entry.tags).leases
}

impl History<'_> {
    /// The declared access, without leases.
    fn declared(&self) -> Vec<Access> {
        let (_, entry) = self.first.entries().next().expect("an instance");
        let instance = entry.instance(&self.id.site());
        let instances = [(self.id.clone(), instance)].into();
        let listed = [self.id.site()].into();
        let begin = OffsetDateTime::UNIX_EPOCH;
        let desired = self.config.resolve(&instances, &listed, begin);
        let desired = desired.expect("a configuration that fits");
        let rules = desired.instances[self.id].rules.iter();
        rules.map(|rule| (rule.key, rule.sources.clone())).collect()
    }

    /// Every lease that a process was to open.
    pub(super) fn leases(&self) -> Vec<Lease> {
        let runs = self.runs.iter();
        runs.filter_map(|run| run.opens.borrow().clone()).collect()
    }

    /// Checks every property.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.scene.mode == Mode::Observe {
            let mut ours = self.rules.iter();
            return match ours.find(|write| write.by == Author::Client) {
                None => Ok(()),
                Some(write) => Err(format!("what is observed is never written: {write:?}")),
            };
        }
        for run in self.runs {
            if !matches!(run.task, Task::Untag { .. }) {
                self.removes_only_its_own_tags(run)?;
            }
            self.closes_nothing_else(run)?;
            self.result_is_true(run)?;
        }
        Ok(())
    }

    /// Whether no read is stale.
    pub(super) fn is_fresh(&self) -> bool {
        let quirks = &self.scene.quirks;
        quirks.reads == ReadConsistency::Fresh
            && quirks.tag_reads == ReadConsistency::Fresh
            && quirks.put == PutSteps::One
    }

    /// A process removes only the tags of leases that it opened, that it is to end, or that are expired.
    fn removes_only_its_own_tags(&self, run: &Run<'_>) -> Result<(), String> {
        let (opens, closes) = (run.opens.borrow(), run.closes.borrow());
        for step in run.client.steps() {
            for change in &self.tags[step.tags.0..step.tags.1] {
                let mut gone = change.before.keys();
                let foreign = gone.find(|key| {
                    let own = opens.iter().chain(&*closes);
                    let mut own = own.map(|lease| lease.id.tag_key());
                    let lease = Leases::of(&change.before).leases.into_iter();
                    let mut lease = lease.filter(|lease| lease.id.tag_key() == **key);
                    !change.after.contains_key(*key)
                        && own.all(|own| own != **key)
                        && lease.all(|lease| lease.until > change.at)
                });
                if let Some(key) = foreign {
                    return Err(format!(
                        "no tag of somebody else goes: {:?} removes {key} at {}",
                        run.task, change.at
                    ));
                }
            }
        }
        Ok(())
    }

    /// No process closes declared access or the lease of another. Where two writes crossed, it is opened again, or a process
    /// reports a failure.
    fn closes_nothing_else(&self, run: &Run<'_>) -> Result<(), String> {
        let steps = run.client.steps();
        let told = !matches!(*run.end.borrow(), Some(End::Done | End::Nothing));
        let last = steps.last().map_or(0, |step| step.rules.1);
        let mut read_at = (0, 0);
        for step in &steps {
            if step.action == "GetInstancePortStates" {
                read_at.0 = step.rules.0;
            }
            if matches!(step.action, "GetInstance" | "GetInstances") {
                read_at.1 = step.tags.0;
            }
            for place in step.rules.0..step.rules.1 {
                let write = &self.rules[place];
                if write.by != Author::Client {
                    continue;
                }
                let declared = self.declared().into_iter();
                let declared = declared.map(|access| (access, "declared".to_owned()));
                let granted = self.granted(run, step.tags.0, write.at);
                let granted = granted.iter();
                let granted =
                    granted.map(|lease| (access(lease), format!("granted as {}", lease.id)));
                for (access, name) in declared.chain(granted) {
                    if !is_open(&write.before, &access) || is_open(&write.after, &access) {
                        continue;
                    }
                    let crossed = !self.rules[read_at.0..place].is_empty()
                        || !self.tags[read_at.1..step.tags.0].is_empty();
                    let back = self.rules[place..last]
                        .iter()
                        .any(|later| is_open(&later.after, &access));
                    // After a lost reply, the write of another may be taken for the own one.
                    let untroubled = self.scene.faults
                        == Faults {
                            seed: self.scene.faults.seed,
                            ..Faults::default()
                        };
                    if self.is_fresh() && !crossed && (untroubled || !back) {
                        return Err(format!(
                            "nothing else is closed: {:?} closes {access:?}, {name}: {write:?}",
                            run.task
                        ));
                    }
                    if self.is_fresh() && !back && !told {
                        return Err(format!(
                            "nothing is lost in silence: {:?} closes {access:?}, {name}: {write:?}",
                            run.task
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// The leases that are live by the tags after so many changes, without those that the process opens or closes.
    fn granted(&self, run: &Run<'_>, tags: usize, at: OffsetDateTime) -> Vec<Lease> {
        let there = self.tags[..tags].last().map(|change| &change.after);
        let leases = there.map(|tags| Leases::of(tags).leases);
        let closes = run.closes.borrow();
        let mut leases = leases.unwrap_or_default();
        leases.retain(|lease| {
            !lease.is_expired(at)
                && closes.iter().all(|closed| closed.id != lease.id)
                && run
                    .opens
                    .borrow()
                    .as_ref()
                    .is_none_or(|own| own.id != lease.id)
        });
        leases
    }

    /// A reported success is true, unless another process wrote later: a granted lease is open, a revoked one has no tag, and
    /// one that was not granted left no tag.
    fn result_is_true(&self, run: &Run<'_>) -> Result<(), String> {
        let steps = run.client.steps();
        let Some(last) = steps.last() else {
            return Ok(());
        };
        let end = run.end.borrow();
        let (opens, closes) = (run.opens.borrow(), run.closes.borrow());
        let at = last.rules.1;
        let before = rules_of(&self.first);
        let state = self.rules[..at]
            .last()
            .map_or(&before, |write| &write.after);
        let tags = self.tags[..last.tags.1].last().map(|change| &change.after);
        let has_tag =
            |lease: &Lease| tags.is_some_and(|tags| tags.contains_key(&lease.id.tag_key()));
        let read = steps
            .iter()
            .rfind(|step| step.action == "GetInstancePortStates");
        // Another process may have written since the last read.
        let quiet = read.is_some_and(|read| read.rules.0 == at);
        let told = |what: &str, lease: &Lease| {
            Err(format!(
                "an end is what it is called: {:?} ends with {end:?}, and {lease} ({}) {what}",
                run.task, lease.id
            ))
        };
        if let (Task::Grant { .. }, Some(lease)) = (&run.task, &*opens) {
            match &*end {
                Some(End::Done) if quiet && self.is_fresh() && !is_open(state, &access(lease)) => {
                    return told("is not open", lease);
                }
                Some(End::Nothing) if has_tag(lease) => return told("has its tag", lease),
                _ => {}
            }
        }
        if *end == Some(End::Done) && matches!(run.task, Task::Revoke { .. } | Task::Grant { .. }) {
            for lease in &*closes {
                if has_tag(lease) {
                    return told("has its tag", lease);
                }
            }
        }
        Ok(())
    }

    /// An expired lease has neither rule nor tag, unless its access is declared or granted by another lease.
    pub(super) fn expired_is_closed(
        &self,
        inventory: &Inventory,
        now: OffsetDateTime,
    ) -> Result<(), String> {
        let rules = rules_of(inventory);
        let there = leases_of(inventory);
        let mut excused = self.declared();
        excused.extend(
            there
                .iter()
                .filter(|lease| !lease.is_expired(now))
                .map(access),
        );
        for lease in self.leases() {
            if !lease.is_expired(now) {
                continue;
            }
            if there.iter().any(|there| there.id == lease.id) {
                return Err(format!("what is over has no tag: {lease} ({})", lease.id));
            }
            let (key, sources) = access(&lease);
            let mut others = excused.iter().filter(|(other, _)| *other == key);
            let covered = others.any(|(_, more)| covers(more, &sources));
            if !covered && is_open(&rules, &(key, sources)) && !self.may_be_left_open(&lease) {
                return Err(format!(
                    "what is over is closed: {lease} ({}) is open",
                    lease.id
                ));
            }
        }
        Ok(())
    }

    /// In authoritative mode a lease whose tag is gone is closed by the next `apply`.
    pub(super) fn untagged_is_closed(
        &self,
        inventory: &Inventory,
        now: OffsetDateTime,
    ) -> Result<(), String> {
        if self.scene.mode != Mode::Authoritative {
            return Ok(());
        }
        let (rules, there) = (rules_of(inventory), leases_of(inventory));
        let live = there.iter().filter(|lease| !lease.is_expired(now));
        let mut excused = self.declared();
        excused.extend(live.map(access));
        for lease in self.leases() {
            let (key, sources) = access(&lease);
            let mut others = excused.iter().filter(|(other, _)| *other == key);
            if !others.any(|(_, more)| covers(more, &sources)) && is_open(&rules, &(key, sources)) {
                return Err(format!(
                    "a lost tag fails closed: {lease} ({}) is open",
                    lease.id
                ));
            }
        }
        Ok(())
    }

    /// In additive mode: whether an `apply` that crossed with the end of the lease opened it again and was killed or reported a
    /// failure, or its tag was removed by hand. Nothing shows then that the rule was a grant.
    fn may_be_left_open(&self, lease: &Lease) -> bool {
        if self.scene.mode != Mode::Additive {
            return false;
        }
        let mut untagged = self.runs.iter();
        if untagged.any(|run| {
            matches!(run.task, Task::Untag { .. })
                && run.closes.borrow().iter().any(|gone| gone.id == lease.id)
        }) {
            return true;
        }
        let opened = self.rules.iter().rposition(|write| {
            !is_open(&write.before, &access(lease)) && is_open(&write.after, &access(lease))
        });
        let Some(opened) = opened else { return false };
        let mut runs = self.runs.iter();
        let run = runs.find(|run| {
            let steps = run.client.steps();
            steps
                .iter()
                .any(|step| (step.rules.0..step.rules.1).contains(&opened))
        });
        run.is_none_or(|run| {
            matches!(run.task, Task::Apply)
                && !matches!(*run.end.borrow(), Some(End::Done | End::Nothing))
        })
    }
}

/// Every live lease is open.
pub(super) fn live_is_open(inventory: &Inventory, now: OffsetDateTime) -> Result<(), String> {
    let rules = rules_of(inventory);
    let live = leases_of(inventory).into_iter();
    for lease in live.filter(|lease| !lease.is_expired(now)) {
        if !is_open(&rules, &access(&lease)) {
            return Err(format!(
                "what is granted is open: {lease} ({}) is not",
                lease.id
            ));
        }
    }
    Ok(())
}

/// The scene, the steps of each process, and the journals.
impl fmt::Display for History<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scene { mode, quirks, .. } = self.scene;
        writeln!(f, "{mode:?}, quirks: {}", quirks.changed().join(" "))?;
        writeln!(f, "faults: {:?}", self.scene.faults)?;
        writeln!(f, "first: {:?}", rules_of(&self.first))?;
        for (run, plan) in self.runs.iter().zip(&self.scene.tasks) {
            writeln!(f, "{plan:?}: {:?}", run.end.borrow())?;
            if let Some(started) = run.started.get() {
                writeln!(f, "    started at {started}")?;
            }
            for lease in run.opens.borrow().iter() {
                writeln!(f, "    opens {} {lease} until {}", lease.id, lease.until)?;
            }
            for lease in run.closes.borrow().iter() {
                writeln!(f, "    closes {} {lease} until {}", lease.id, lease.until)?;
            }
            for step in run.client.steps() {
                let (rules, tags) = (step.rules, step.tags);
                writeln!(f, "    {} rules {rules:?} tags {tags:?}", step.action)?;
            }
        }
        let show = |entries: &[PortState]| {
            let all = entries.iter();
            let all = all
                .map(|entry| format!("{}/{} {:?}", entry.protocol, entry.from_port, entry.cidrs));
            all.collect::<Vec<_>>().join("; ")
        };
        for (place, write) in self.rules.iter().enumerate() {
            let Write { at, by, action, .. } = &**write;
            writeln!(f, "{place} {at} {by:?} {action}: {}", show(&write.after))?;
        }
        for (place, change) in self.tags.iter().enumerate() {
            let keys: Vec<&String> = change.after.keys().collect();
            writeln!(f, "tags {place} {} {}: {keys:?}", change.at, change.action)?;
        }
        Ok(())
    }
}
