//! The way back: from a receipt and what is live now to a plan that undoes the run.
//!
//! **Owns** which writes may have been carried out, which instances it was, and which of them somebody else has changed
//! since. **Does not** choose calls, which is `plan::undo`'s, and does not write: the plan is an ordinary one, so that
//! everything which guards a plan guards a way back as well.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Receipt, Write};
use crate::apply::rules::{difference, means};
use crate::model::{
    Declaration, Desired, DesiredInstance, Family, Firewall, Instance, InstanceId, Key, Live,
    LiveFirewall, Missing, Mode, Note, Origin, Rule, Site, Sources, Strategy, Unreadable, instant,
};
use crate::plan::undo::{Step, undo};
use crate::plan::{Cause, CauseKind, InstancePlan, Plan, Verdict};

/// The instances that a run may have written to, and what it did to each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollback {
    /// When the run began.
    started: String,
    instances: BTreeMap<InstanceId, Written>,
    /// Instances of which every write was refused or was never sent.
    untouched: BTreeSet<InstanceId>,
}

/// What was written to one instance and may have been carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Written {
    arn: String,
    /// The line of the receipt that tells of the first write.
    origin: Origin,
    /// What was live before the first write.
    before: LiveFirewall,
    steps: Vec<Step>,
    /// The rules that the run may have left: after a write without an answer there are two.
    states: Vec<LiveFirewall>,
    /// An entry that a write dropped and that cannot be written again.
    dropped: Option<String>,
}

impl Receipt {
    /// The way back to what was before the run: every write that may have been carried out is undone. A write that was
    /// refused, or never left, is not.
    pub fn rollback(&self) -> Rollback {
        let mut back = Rollback {
            started: instant::show(self.header().started),
            instances: BTreeMap::new(),
            untouched: BTreeSet::new(),
        };
        for write in self.writes() {
            if !write.may_have_happened() {
                back.untouched.insert(write.id.clone());
                continue;
            }
            let written = back.instances.entry(write.id.clone());
            let written = written.or_insert_with(|| Written {
                arn: write.arn.clone(),
                origin: Origin {
                    file: Arc::clone(self.file()),
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
        let Rollback {
            instances,
            untouched,
            ..
        } = &mut back;
        untouched.retain(|id| !instances.contains_key(id));
        back
    }
}

impl Written {
    fn take(&mut self, write: &Write) {
        self.steps.push(Step {
            before: write.before.firewall().clone(),
            after: write.after.firewall().clone(),
        });
        if write.is_answered() || self.states.is_empty() {
            // An operation that was accepted may still have failed.
            self.states = vec![write.before.clone()];
        }
        self.states.push(write.after.clone());
        if write.replaces()
            && let Some(uncertain) = write.before.uncertain().first()
        {
            let (entry, doubt) = (&uncertain.entry, &uncertain.doubt);
            let reason = format!("its entry `{entry}` could not be written again: {doubt}");
            self.dropped.get_or_insert(reason);
        }
    }

    /// How the live rules differ from everything that the run may have left.
    fn changed_since(&self, live: &LiveFirewall, family: Family) -> Option<String> {
        let is_left = |state: &LiveFirewall| means(live, state, state.firewall(), false, family);
        if self.states.iter().any(is_left) {
            return None;
        }
        let last = self.states.last()?;
        Some(difference(live, last.firewall(), family))
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
        let other = (instance.arn != self.arn).then(|| {
            format!(
                "another instance has the name now: `{}`, not `{}`",
                instance.arn, self.arn
            )
        });
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
    /// Where to look.
    pub fn sites(&self) -> BTreeSet<Site> {
        self.instances.keys().map(InstanceId::site).collect()
    }

    /// The instances to look at, with the rules that they had before the run. Those that are gone from a region which was
    /// listed in full are missing.
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

    /// The plan that undoes the run on the instances of `desired`, which may have been narrowed. Their rules become those
    /// that result, for the policies to judge.
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
            match (live.instances.get(id), live.firewalls.get(id)) {
                (Some(instance), Some(Ok(firewall))) => {
                    let one = written.plan(instance, firewall, strategy, &self.started);
                    let mut result = self.wanted(written, &one.after);
                    result.mode = one.mode;
                    *wanted = result.into();
                    plan.instances.push(one);
                }
                (_, Some(Err(unreadable))) => {
                    plan.unreadable.push((id.clone(), unreadable.clone()));
                }
                _ => {
                    let reason = "its rules were not read".to_owned();
                    let unreadable = Unreadable::new(reason);
                    plan.unreadable.push((id.clone(), unreadable));
                }
            }
        }
        let untouched = self.untouched.iter().map(|id| Note {
            text: format!("nothing to undo on {id}: the run wrote nothing to it"),
            origin: None,
        });
        plan.notes.extend(untouched);
        plan
    }

    /// The instances whose live rules are no longer what the run may have left, with what is different: somebody else
    /// changed them since.
    pub fn changed_since(&self, live: &Live) -> BTreeMap<InstanceId, String> {
        let mut changed = BTreeMap::new();
        for (id, written) in &self.instances {
            if let Some(Ok(firewall)) = live.firewalls.get(id)
                && let Some(instance) = live.instances.get(id)
                && let Some(difference) =
                    written.changed_since(firewall, instance.address_type.client_family())
            {
                changed.insert(id.clone(), difference);
            }
        }
        changed
    }

    fn wanted(&self, written: &Written, rules: &Firewall) -> DesiredInstance {
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
            strategy: Strategy::Auto,
            rules: rules.iter().map(rule).collect(),
            absent: Vec::new(),
            expired: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// What an instance that is gone is called now, where the same one is there under another name.
fn renamed(written: &Written, live: &Live) -> Option<String> {
    let mut others = live.instances.values();
    let renamed = others.find(|instance| instance.arn == written.arn)?;
    Some(renamed.id.to_string())
}
