//! The way back: from a receipt to what an ordinary plan needs.
//!
//! Owns which rules each instance had, and the refusal of those that cannot have them again. Refuses to plan and to write,
//! so that everything which guards a plan guards a way back as well.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Receipt, Write};
use crate::model::{
    Desired, DesiredInstance, InstanceId, Key, Live, Missing, Mode, Origin, Rule, Site, Sources,
    Strategy,
};
use crate::plan::{Plan, Verdict};

/// What every instance that a run may have written to had before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollback {
    desired: Desired,
    /// Which instance it was, and the line that says so.
    known: BTreeMap<InstanceId, (String, Origin)>,
    /// Those whose rules cannot be written again, with the reason.
    impossible: BTreeMap<InstanceId, String>,
}

impl Receipt {
    /// The way back to what was before the first write to each instance.
    ///
    /// The instances are authoritative: rules that somebody added since are closed, and the plan shows it. The receipt and
    /// its line are the origin of every rule.
    #[must_use]
    pub fn rollback(&self) -> Rollback {
        let mut back = Rollback {
            desired: Desired::default(),
            known: BTreeMap::new(),
            impossible: BTreeMap::new(),
        };
        for write in self.writes() {
            if back.known.contains_key(&write.id) {
                continue;
            }
            let origin = Origin {
                file: Arc::clone(self.file()),
                line: write.line,
                column: 1,
            };
            if let Some(uncertain) = write.before.uncertain().first() {
                let (entry, doubt) = (&uncertain.entry, &uncertain.doubt);
                let reason = format!("its entry `{entry}` could not be written again: {doubt}");
                back.impossible.insert(write.id.clone(), reason);
            }
            let instance = wanted(write, &origin, &self.header().started);
            back.desired
                .instances
                .insert(write.id.clone(), instance.into());
            let known = (write.arn.clone(), origin);
            back.known.insert(write.id.clone(), known);
        }
        back
    }
}

impl Rollback {
    /// Where to look.
    #[must_use]
    pub fn sites(&self) -> BTreeSet<Site> {
        self.known.keys().map(InstanceId::site).collect()
    }

    /// What is wanted of the instances that there are. Those that are gone from a region which was listed in full are
    /// missing.
    #[must_use]
    pub fn desired(&self, live: &Live) -> Desired {
        let mut desired = self.desired.clone();
        desired.instances.retain(|id, _| {
            let gone =
                !live.instances.contains_key(id) && !live.sites_unreadable.contains_key(&id.site());
            if gone && let Some((_, origin)) = self.known.get(id) {
                desired.missing.push(Missing {
                    name: id.to_string(),
                    origin: origin.clone(),
                    hint: self.renamed(id, live),
                });
            }
            !gone
        });
        desired
    }

    /// What an instance that is gone is called now, where the same one is there under another name.
    fn renamed(&self, id: &InstanceId, live: &Live) -> Option<String> {
        let (arn, _) = self.known.get(id)?;
        let mut others = live.instances.values();
        let renamed = others.find(|instance| instance.arn == *arn)?;
        Some(renamed.id.to_string())
    }

    /// Refuses, in the plan that was made from [`Self::desired`], the instances that are not those of the receipt any more
    /// and those that cannot have their rules again.
    pub fn refuse(&self, plan: &mut Plan) {
        for instance in &mut plan.instances {
            let (id, arn) = (&instance.instance.id, &instance.instance.arn);
            let was = self.known.get(id).map(|(was, _)| was);
            let changed = was.filter(|was| *was != arn);
            let reason = match (changed, self.impossible.get(id)) {
                (Some(was), _) => {
                    format!("another instance has the name now: `{arn}`, not `{was}`")
                }
                (None, Some(reason)) => reason.clone(),
                (None, None) => continue,
            };
            instance.calls.clear();
            instance.fallback = None;
            instance.verdict = Verdict::Refused {
                reason,
                hint: Some("declare the rules that it should have, and apply those".to_owned()),
            };
        }
    }
}

fn wanted(write: &Write, origin: &Origin, started: &str) -> DesiredInstance {
    let rule = |(key, sources): (&Key, &Sources)| {
        let texts = sources.cidrs().chain(sources.ipv6_cidrs());
        Rule {
            key: *key,
            sources: sources.clone(),
            allow: key.to_string(),
            from: texts.chain(sources.aliases().iter().cloned()).collect(),
            origin: origin.clone(),
            why: Some(format!("as before the run of {started}")),
            owner: None,
            until: None,
        }
    };
    DesiredInstance {
        mode: Mode::Authoritative,
        strategy: Strategy::Auto,
        rules: write.before.firewall().iter().map(rule).collect(),
        absent: Vec::new(),
        expired: Vec::new(),
        notes: Vec::new(),
    }
}
