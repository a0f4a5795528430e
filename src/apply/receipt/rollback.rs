//! Rollback: makes a plan from a receipt and the live state that undoes the run.
//!
//! **Owns** the choice of writes that may have been carried out, the identity of the instances, and the detection of changes by others
//! since then. **Does not** choose calls, which `plan::undo` does, and does not write: the result is an ordinary plan, so all
//! guards and checks apply to a rollback too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Receipt, ReceiptWrite};
use crate::apply::outcomes::arn_difference;
use crate::apply::rules::{describe_difference, is_equivalent};
use crate::model::{
    Declaration, Desired, DesiredInstance, Family, Firewall, Instance, InstanceId, Key, Live,
    LiveFirewall, Missing, Mode, Note, Origin, Rule, Site, Sources, Strategy, instant,
};
use crate::plan::undo::{Step, undo};
use crate::plan::{Cause, CauseKind, InstancePlan, Plan, Verdict};

/// The instances that a run may have written to, with its writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollback {
    /// The start of the run.
    started: String,
    instances: BTreeMap<InstanceId, InstanceWrites>,
    /// The instances of which every write was refused or not sent.
    untouched: BTreeSet<InstanceId>,
}

/// The writes to one instance that may have been carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
struct InstanceWrites {
    arn: String,
    /// The line of the first write in the receipt.
    origin: Origin,
    /// The live rules before the first write.
    before: LiveFirewall,
    steps: Vec<Step>,
    /// The rules that the run may have left; two after a write without a response.
    states: Vec<LiveFirewall>,
    /// Why an entry that a write dropped cannot be written again.
    dropped: Option<String>,
}

impl Receipt {
    /// The rollback of the run: every write that may have been carried out is undone.
    pub fn rollback(&self) -> Rollback {
        let mut instances = BTreeMap::new();
        let mut untouched = BTreeSet::new();
        for write in &self.writes {
            if !write.may_have_happened() {
                untouched.insert(write.id.clone());
                continue;
            }
            let written = instances.entry(write.id.clone());
            let written = written.or_insert_with(|| InstanceWrites {
                arn: write.arn.clone(),
                origin: Origin {
                    file: Arc::clone(&self.file),
                    line: write.line,
                    column: 1,
                },
                before: write.before.clone(),
                steps: Vec::new(),
                states: Vec::new(),
                dropped: None,
            });
            written.take(write);
        }
        untouched.retain(|id| !instances.contains_key(id));
        Rollback {
            started: instant::format(self.header.started),
            instances,
            untouched,
        }
    }
}

impl InstanceWrites {
    fn take(&mut self, write: &ReceiptWrite) {
        self.steps.push(Step {
            before: write.before.firewall().clone(),
            after: write.after.firewall().clone(),
        });
        if write.is_answered() || self.states.is_empty() {
            // An accepted operation may still have failed.
            self.states = vec![write.before.clone()];
        }
        self.states.push(write.after.clone());
        if write.call.replaces()
            && let Some(uncertain) = write.before.uncertain().first()
        {
            let (entry, doubt) = (&uncertain.entry, &uncertain.doubt);
            let reason = format!("its entry `{entry}` could not be written again: {doubt}");
            self.dropped.get_or_insert(reason);
        }
    }

    /// The difference of the live rules from the last state of the run; `None` if the run may have left these rules.
    fn changed_since(&self, live: &LiveFirewall, family: Family) -> Option<String> {
        let is_left =
            |state: &LiveFirewall| is_equivalent(live, state, state.firewall(), false, family);
        let last = self.states.last()?.firewall();
        (!self.states.iter().any(is_left)).then(|| describe_difference(live, last, family))
    }

    fn plan(
        &self,
        instance: &Instance,
        live: &LiveFirewall,
        strategy: Strategy,
        started: &str,
    ) -> InstancePlan {
        let mut plan = undo(instance, live, &self.before, &self.steps, strategy).plan;
        for change in &mut plan.changes {
            let was_there = self.before.firewall().get(change.key).is_some();
            let why = if was_there { "as before" } else { "opened by" };
            change.causes = vec![Cause {
                kind: CauseKind::Declared,
                origin: self.origin.clone(),
                why: Some(format!("{why} the run of {started}")),
                owner: None,
                until: None,
            }];
        }
        let other = arn_difference(&instance.arn, &self.arn);
        if let Some(reason) = other.or_else(|| self.dropped.clone()) {
            plan.calls.clear();
            plan.fallback = None;
            plan.verdict = Verdict::Refused {
                reason,
                hint: Some("declare the rules that it should have, and apply those".to_owned()),
            };
        }
        plan
    }
}

impl Rollback {
    /// The sites to read.
    pub fn sites(&self) -> BTreeSet<Site> {
        self.instances.keys().map(InstanceId::site).collect()
    }

    /// The instances to read, with the rules that they had before the run. An instance that is not in a site that was listed in
    /// full is missing.
    pub fn desired(&self, live: &Live) -> Desired {
        let mut desired = Desired::default();
        for (id, written) in &self.instances {
            if live.instances.contains_key(id) || live.sites_unreadable.contains_key(&id.site()) {
                let rules = self.wanted(written, written.before.firewall());
                desired.instances.insert(id.clone(), rules.into());
            } else {
                desired.missing.push(Missing {
                    name: id.to_string(),
                    origin: written.origin.clone(),
                    hint: renamed(written, live),
                });
            }
        }
        desired
    }

    /// The plan that undoes the run on the instances of `desired`. Sets their rules to the result, so that policies can be checked.
    pub fn plan(&self, desired: &mut Desired, live: &Live, strategy: Strategy) -> Plan {
        let mut plan = Plan {
            sites_unreadable: live.sites_unreadable.clone().into_iter().collect(),
            missing: desired.missing.clone(),
            notes: desired.notes.clone(),
            ..Plan::default()
        };
        for (id, wanted) in &mut desired.instances {
            let Some(written) = self.instances.get(id) else {
                continue;
            };
            match live.get(id) {
                Ok((instance, firewall)) => {
                    let undo = written.plan(instance, firewall, strategy, &self.started);
                    let mut result = self.wanted(written, &undo.after);
                    result.mode = undo.mode;
                    *wanted = result.into();
                    plan.instances.push(undo);
                }
                Err(unreadable) => plan.unreadable.push((id.clone(), unreadable)),
            }
        }
        let untouched = self.untouched.iter().map(|id| Note {
            text: format!("nothing to undo on {id}: the run wrote nothing to it"),
            origin: None,
        });
        plan.notes.extend(untouched);
        plan
    }

    /// The instances that somebody else has changed since the run, with the difference.
    pub fn changed_since(&self, live: &Live) -> BTreeMap<InstanceId, String> {
        let mut changed = BTreeMap::new();
        for (id, written) in &self.instances {
            if let Ok((instance, firewall)) = live.get(id)
                && let family = instance.address_type.client_family()
                && let Some(difference) = written.changed_since(firewall, family)
            {
                changed.insert(id.clone(), difference);
            }
        }
        changed
    }

    fn wanted(&self, written: &InstanceWrites, rules: &Firewall) -> DesiredInstance {
        let rule = |(key, sources): (&Key, &Sources)| {
            let texts = sources.cidrs().chain(sources.ipv6_cidrs());
            Rule {
                key: *key,
                sources: sources.clone(),
                declared: Arc::new(Declaration {
                    allow: key.to_string().into(),
                    from: texts.chain(sources.aliases().iter().cloned()).collect(),
                    origin: written.origin.clone(),
                    why: Some(format!("as before the run of {}", self.started)),
                    owner: None,
                    until: None,
                }),
            }
        };
        DesiredInstance {
            mode: Mode::Authoritative,
            rules: rules.iter().map(rule).collect(),
            ..DesiredInstance::default()
        }
    }
}

/// The new name of a missing instance, if an instance with the same ARN exists.
fn renamed(written: &InstanceWrites, live: &Live) -> Option<String> {
    let mut others = live.instances.values();
    let renamed = others.find(|instance| instance.arn == written.arn)?;
    Some(renamed.id.to_string())
}
