//! From a plan to the members of its file.
//!
//! Owns the words for verdicts, changes and calls. Does not leave out a field of what it is given.

use super::wire::{
    BeforeDoc, BoxDoc, CallDoc, CauseDoc, ChangeDoc, Document, EntryDoc, ExposureDoc, GuardDoc,
    IdDoc, InstanceDoc, KeepDoc, MissingDoc, NoteDoc, OriginDoc, OverrideDoc, RegionUnreadableDoc,
    RequestDoc, RuleDoc, ScopeDoc, ShardDoc, SourcesDoc, StillOpenDoc, UnreadableDoc,
};
use super::{FORMAT, PlanFile, Scope, VERSION, instant, json};
use crate::exposure::{Diff, Exposed};
use crate::model::{
    Declaration, Family, Fingerprint, Firewall, Guard, Instance, InstanceId, Key, LiveFirewall,
    Missing, Note, Origin, PortState, Rule, Sources, Undeclared, Unreadable,
};
use crate::plan::{
    Call, Cause, CauseKind, Change, InstancePlan, Override, Plan, StillOpen, Verdict,
};

/// The document, without its digest.
pub(super) fn document(file: &PlanFile) -> Document {
    let PlanFile {
        tool,
        made_at,
        valid_until,
        config,
        scope:
            Scope {
                account,
                accounts,
                regions,
                targets,
                declared,
                shard,
                as_of,
            },
        guard,
        plan:
            Plan {
                instances,
                unreadable,
                undecided,
                sites_unreadable,
                missing,
                // Only a plan that was read from a file has any.
                unplanned: _,
                undeclared,
                notes,
                overrides,
            },
    } = file;
    Document {
        format: FORMAT.to_owned(),
        version: VERSION,
        digest: None,
        tool: tool.clone(),
        made_at: instant::show(*made_at),
        valid_until: instant::show(*valid_until),
        config: config.to_string(),
        scope: ScopeDoc {
            account: account.clone(),
            accounts: accounts.clone(),
            regions: regions.clone(),
            targets: targets.clone(),
            declared: *declared,
            shard: shard.map(|shard| ShardDoc {
                index: shard.index(),
                of: shard.of(),
            }),
            as_of: as_of.map(instant::show),
        },
        guard: self::guard(guard),
        overrides: overrides.iter().map(consent).collect(),
        instances: instances.iter().map(instance).collect(),
        unreadable: unreadable.iter().map(self::unreadable).collect(),
        undecided: undecided.iter().map(self::unreadable).collect(),
        regions_unreadable: sites_unreadable
            .iter()
            .map(|(site, Unreadable { reason, hint })| RegionUnreadableDoc {
                account: site.account.clone(),
                region: site.region.clone(),
                reason: reason.clone(),
                hint: hint.clone(),
            })
            .collect(),
        missing: missing
            .iter()
            .map(
                |Missing {
                     name,
                     origin: at,
                     hint,
                 }| MissingDoc {
                    name: name.clone(),
                    origin: origin(at),
                    hint: hint.clone(),
                },
            )
            .collect(),
        undeclared: undeclared
            .iter()
            .map(|Undeclared { id }| IdDoc {
                account: id.account.clone(),
                region: id.region.clone(),
                name: id.name.clone(),
            })
            .collect(),
        notes: notes.iter().map(note).collect(),
    }
}

fn unreadable((id, Unreadable { reason, hint }): &(InstanceId, Unreadable)) -> UnreadableDoc {
    UnreadableDoc {
        account: id.account.clone(),
        region: id.region.clone(),
        name: id.name.clone(),
        reason: reason.clone(),
        hint: hint.clone(),
    }
}

fn guard(guard: &Guard) -> GuardDoc {
    let Guard {
        keep,
        max_instances,
        max_closed,
    } = guard;
    let kept = |kept: &Rule| {
        let Rule {
            key,
            sources,
            declared,
        } = kept;
        let Declaration {
            allow,
            from,
            origin: at,
            why,
            owner,
            until,
        } = &**declared;
        KeepDoc {
            allow: allow.to_string(),
            from: from.to_vec(),
            rule: rule(*key, sources),
            origin: origin(at),
            why: why.clone(),
            owner: owner.clone(),
            until: until.map(instant::show),
        }
    };
    GuardDoc {
        keep: keep.iter().map(kept).collect(),
        max_instances: *max_instances,
        max_closed: *max_closed,
    }
}

fn consent(consent: &Override) -> OverrideDoc {
    let Override {
        guard,
        selector,
        reason,
    } = consent;
    OverrideDoc {
        guard: guard.as_str().to_owned(),
        selector: selector.clone(),
        reason: reason.clone(),
    }
}

fn instance(plan: &InstancePlan) -> InstanceDoc {
    let InstancePlan {
        instance:
            Instance {
                id,
                arn,
                tags,
                state,
                address_type,
            },
        mode,
        strict_spelling,
        before,
        after,
        changes,
        calls,
        fallback,
        verdict,
        exposure: Diff { gained, lost },
        still_open,
        incomplete,
        notes,
    } = plan;
    let (verdict, reason, hint) = match verdict {
        Verdict::InSync => ("in-sync", None, None),
        Verdict::Change => ("change", None, None),
        Verdict::Observed => ("observed", None, None),
        Verdict::StillOpen => ("still-open", None, None),
        Verdict::Refused { reason, hint } => ("refused", Some(reason.clone()), hint.clone()),
    };
    let before = self::before(before);
    let after = rules(after);
    InstanceDoc {
        account: id.account.clone(),
        region: id.region.clone(),
        name: id.name.clone(),
        arn: arn.clone(),
        tags: tags.clone(),
        state: state.name().to_owned(),
        ip_address_type: address_type.name().to_owned(),
        mode: mode.as_str().to_owned(),
        strict_spelling: *strict_spelling,
        verdict: verdict.to_owned(),
        reason,
        hint,
        incomplete: incomplete.clone(),
        before_fingerprint: Fingerprint::of(json(serde_json::to_string(&before))).to_string(),
        after_fingerprint: Fingerprint::of(json(serde_json::to_string(&after))).to_string(),
        before,
        after,
        changes: changes
            .iter()
            .map(|change| self::change(change, plan.family()))
            .collect(),
        calls: calls
            .iter()
            .map(|call| self::call(call, &id.name))
            .collect(),
        fallback: fallback.as_ref().map(|firewall| {
            let firewall = firewall.clone();
            call(&Call::Put { firewall }, &id.name)
        }),
        exposure: ExposureDoc {
            gained: gained.iter().map(exposed).collect(),
            lost: lost.iter().map(exposed).collect(),
        },
        still_open: still_open.iter().map(self::still_open).collect(),
        notes: notes.iter().map(note).collect(),
    }
}

fn before(live: &LiveFirewall) -> BeforeDoc {
    let put_only = live
        .firewall()
        .keys()
        .enumerate()
        .filter(|(_, key)| live.is_put_only(*key))
        .map(|(at, _)| at);
    BeforeDoc {
        rules: rules(live.firewall()),
        put_only: put_only.collect(),
        uncertain: live.uncertain().iter().map(|u| entry(&u.entry)).collect(),
        unknown: live.unknown().iter().map(entry).collect(),
    }
}

fn entry(entry: &PortState) -> EntryDoc {
    let PortState {
        from_port,
        to_port,
        protocol,
        state,
        cidrs,
        ipv6_cidrs,
        cidr_list_aliases,
    } = entry.clone();
    EntryDoc {
        protocol,
        from_port,
        to_port,
        state,
        cidrs,
        ipv6_cidrs,
        cidr_list_aliases,
    }
}

fn rules(firewall: &Firewall) -> Vec<RuleDoc> {
    firewall
        .iter()
        .map(|(key, sources)| rule(*key, sources))
        .collect()
}

fn rule(key: Key, sources: &Sources) -> RuleDoc {
    let SourcesDoc {
        cidrs,
        ipv6_cidrs,
        cidr_list_aliases,
    } = self::sources(sources);
    RuleDoc {
        protocol: key.protocol().as_str().to_owned(),
        from_port: key.from(),
        to_port: key.to(),
        cidrs,
        ipv6_cidrs,
        cidr_list_aliases,
    }
}

fn sources(sources: &Sources) -> SourcesDoc {
    SourcesDoc {
        cidrs: sources.cidrs().collect(),
        ipv6_cidrs: sources.ipv6_cidrs().collect(),
        cidr_list_aliases: sources.aliases().iter().cloned().collect(),
    }
}

fn change(change: &Change, family: Family) -> ChangeDoc {
    let Change {
        key,
        before,
        after,
        causes,
    } = change;
    ChangeDoc {
        action: change.action(family).to_owned(),
        protocol: key.protocol().as_str().to_owned(),
        from_port: key.from(),
        to_port: key.to(),
        before: sources(before),
        after: sources(after),
        causes: causes.iter().map(cause).collect(),
    }
}

fn cause(cause: &Cause) -> CauseDoc {
    let Cause {
        kind,
        origin: at,
        why,
        owner,
        until,
    } = cause;
    CauseDoc {
        kind: match kind {
            CauseKind::Declared => "declared",
            CauseKind::Absent => "absent",
            CauseKind::Expired => "expired",
        }
        .to_owned(),
        origin: origin(at),
        why: why.clone(),
        owner: owner.clone(),
        until: until.map(instant::show),
    }
}

fn call(call: &Call, name: &str) -> CallDoc {
    let (port_info, port_infos) = match call {
        Call::Open { key, sources } | Call::Close { key, sources } => {
            (Some(rule(*key, sources)), None)
        }
        Call::Put { firewall } => (None, Some(rules(firewall))),
    };
    CallDoc {
        action: call.action().to_owned(),
        request: RequestDoc {
            instance_name: name.to_owned(),
            port_info,
            port_infos,
        },
    }
}

fn still_open(open: &StillOpen) -> StillOpenDoc {
    let StillOpen {
        through,
        access,
        causes,
        hint,
    } = open;
    StillOpenDoc {
        protocol: through.protocol().as_str().to_owned(),
        from_port: through.from(),
        to_port: through.to(),
        access: access.iter().map(exposed).collect(),
        causes: causes.iter().map(cause).collect(),
        hint: hint.clone(),
    }
}

fn exposed(exposed: &Exposed) -> BoxDoc {
    let Exposed {
        atom,
        from,
        to,
        sources,
    } = exposed;
    let SourcesDoc {
        cidrs,
        ipv6_cidrs,
        cidr_list_aliases,
    } = self::sources(sources);
    BoxDoc {
        protocol: atom.as_str().to_owned(),
        from: *from,
        to: *to,
        cidrs,
        ipv6_cidrs,
        cidr_list_aliases,
    }
}

fn origin(origin: &Origin) -> OriginDoc {
    let Origin { file, line, column } = origin;
    OriginDoc {
        file: file.to_string(),
        line: *line,
        column: *column,
    }
}

fn note(note: &Note) -> NoteDoc {
    let Note { text, origin: at } = note;
    NoteDoc {
        text: text.clone(),
        origin: at.as_ref().map(origin),
    }
}
