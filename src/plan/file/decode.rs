//! From the members of a plan file back to the plan.
//!
//! Owns the checks of single values. Does not check what follows from other members: that is compared with what would
//! be written.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;

use super::wire::{
    BeforeDoc, BoxDoc, CallDoc, CauseDoc, ChangeDoc, Document, EntryDoc, ExposureDoc, GuardDoc,
    IdDoc, InstanceDoc, KeepDoc, MissingDoc, NoteDoc, OriginDoc, OverrideDoc, RegionUnreadableDoc,
    RequestDoc, RuleDoc, ScopeDoc, ShardDoc, StillOpenDoc, UnreadableDoc,
};
use super::{PlanFile, Scope, instant};
use crate::exposure::{Atom, Diff, Exposed};
use crate::model::{
    AddressType, Declaration, Firewall, Guard, Instance, InstanceId, InstanceState, Key,
    LiveFirewall, Missing, Mode, Note, Origin, PortState, Protocol, Rule, Shard, Site, Sources,
    Undeclared, Unreadable, sanitize_line,
};
use crate::plan::{
    Call, Cause, CauseKind, Change, GuardName, InstancePlan, Override, Plan, StillOpen, Verdict,
};

/// What is wrong, as a sentence fragment.
type Read<T> = Result<T, String>;

pub(super) fn plan_file(document: &Document) -> Read<PlanFile> {
    let ScopeDoc {
        account,
        accounts,
        regions,
        targets,
        declared,
        shard,
        as_of,
    } = document.scope.clone();
    Ok(PlanFile {
        tool: document.tool.clone(),
        made_at: at(&document.made_at)?,
        valid_until: at(&document.valid_until)?,
        config: document
            .config
            .parse()
            .map_err(|error| wrong("config", &document.config, error))?,
        scope: Scope {
            account,
            accounts,
            regions,
            targets,
            declared,
            shard: shard.as_ref().map(self::shard).transpose()?,
            as_of: maybe_at(as_of.as_ref())?,
        },
        guard: guard(&document.guard)?,
        plan: Plan {
            instances: all(&document.instances, instance)?,
            unreadable: document.unreadable.iter().map(unreadable).collect(),
            undecided: document.undecided.iter().map(unreadable).collect(),
            sites_unreadable: all(&document.regions_unreadable, |doc| {
                let RegionUnreadableDoc {
                    account,
                    region,
                    reason,
                    hint,
                } = doc.clone();
                Ok((Site { account, region }, Unreadable { reason, hint }))
            })?,
            missing: all(&document.missing, |doc| {
                let MissingDoc {
                    name,
                    origin: at,
                    hint,
                } = doc.clone();
                Ok(Missing {
                    name,
                    origin: origin(&at),
                    hint,
                })
            })?,
            unplanned: Vec::new(),
            undeclared: all(&document.undeclared, |doc| {
                let IdDoc {
                    account,
                    region,
                    name,
                } = doc.clone();
                Ok(Undeclared {
                    id: InstanceId {
                        account,
                        region,
                        name,
                    },
                })
            })?,
            notes: document.notes.iter().map(note).collect(),
            overrides: all(&document.overrides, consent)?,
        },
    })
}

fn unreadable(doc: &UnreadableDoc) -> (InstanceId, Unreadable) {
    let UnreadableDoc {
        account,
        region,
        name,
        reason,
        hint,
    } = doc.clone();
    let id = InstanceId {
        account,
        region,
        name,
    };
    (id, Unreadable { reason, hint })
}

fn shard(doc: &ShardDoc) -> Read<Shard> {
    let ShardDoc { index, of } = *doc;
    Shard::new(index, of)
        .ok_or_else(|| wrong("shard", &format!("{index}/{of}"), "there is no such shard"))
}

fn all<D, T>(docs: &[D], read: impl Fn(&D) -> Read<T>) -> Read<Vec<T>> {
    docs.iter().map(read).collect()
}

fn wrong(member: &str, value: &str, why: impl Display) -> String {
    format!("`{member}` cannot be `{}`: {why}", sanitize_line(value))
}

fn unknown<T>(member: &str, value: &str) -> Read<T> {
    Err(wrong(member, value, "no such thing is known"))
}

fn at(text: &str) -> Read<time::OffsetDateTime> {
    instant::read(text).ok_or_else(|| format!("`{}` is not a valid timestamp", sanitize_line(text)))
}

fn maybe_at(text: Option<&String>) -> Read<Option<time::OffsetDateTime>> {
    text.map(|text| at(text)).transpose()
}

fn guard(doc: &GuardDoc) -> Read<Guard> {
    let kept = |doc: &KeepDoc| {
        let (key, sources) = rule(&doc.rule)?;
        Ok(Rule {
            key,
            sources,
            declared: Arc::new(Declaration {
                allow: doc.allow.as_str().into(),
                from: doc.from.clone().into(),
                origin: origin(&doc.origin),
                why: doc.why.clone(),
                owner: doc.owner.clone(),
                until: maybe_at(doc.until.as_ref())?,
            }),
        })
    };
    Ok(Guard {
        keep: all(&doc.keep, kept)?,
        max_instances: doc.max_instances,
        max_closed: doc.max_closed,
    })
}

fn consent(doc: &OverrideDoc) -> Read<Override> {
    let OverrideDoc {
        guard,
        selector,
        reason,
    } = doc.clone();
    Ok(Override {
        guard: GuardName::from_name(&guard).map_or_else(|| unknown("guard", &guard), Ok)?,
        selector,
        reason,
    })
}

fn instance(doc: &InstanceDoc) -> Read<InstancePlan> {
    let verdict = match (doc.verdict.as_str(), &doc.reason, &doc.hint) {
        ("in-sync", None, None) => Verdict::InSync,
        ("change", None, None) => Verdict::Change,
        ("observed", None, None) => Verdict::Observed,
        ("still-open", None, None) => Verdict::StillOpen,
        ("refused", Some(reason), hint) => Verdict::Refused {
            reason: reason.clone(),
            hint: hint.clone(),
        },
        _ => return unknown("verdict", &doc.verdict),
    };
    let modes = [Mode::Authoritative, Mode::Additive, Mode::Observe];
    let mode = modes.into_iter().find(|mode| mode.as_str() == doc.mode);
    let fallback = match doc.fallback.as_ref().map(call).transpose()? {
        None => None,
        Some(Call::Put { firewall }) => Some(firewall),
        Some(call) => return unknown("fallback", call.action()),
    };
    let ExposureDoc { gained, lost } = &doc.exposure;
    Ok(InstancePlan {
        instance: Instance {
            id: InstanceId {
                account: doc.account.clone(),
                region: doc.region.clone(),
                name: doc.name.clone(),
            },
            arn: doc.arn.clone(),
            tags: doc.tags.clone(),
            state: InstanceState::from_name(&doc.state),
            address_type: AddressType::from_name(&doc.ip_address_type),
        },
        mode: mode.map_or_else(|| unknown("mode", &doc.mode), Ok)?,
        strict_spelling: doc.strict_spelling,
        before: before(&doc.before)?,
        after: rules(&doc.after)?,
        changes: all(&doc.changes, change)?,
        calls: all(&doc.calls, call)?,
        fallback,
        verdict,
        exposure: Diff {
            gained: all(gained, exposed)?,
            lost: all(lost, exposed)?,
        },
        still_open: all(&doc.still_open, still_open)?,
        incomplete: doc.incomplete.clone(),
        notes: doc.notes.iter().map(note).collect(),
    })
}

/// The live firewall, read as it was read from the service. A rule that only a Put may change is given twice, which is one
/// of the ways in which it may have come.
fn before(doc: &BeforeDoc) -> Read<LiveFirewall> {
    let put_only: BTreeSet<usize> = doc.put_only.iter().copied().collect();
    let mut entries = Vec::new();
    for (at, doc) in doc.rules.iter().enumerate() {
        let (key, sources) = rule(doc)?;
        entries.push((at, PortState::canonical(key, &sources)));
    }
    let again: Vec<PortState> = entries
        .iter()
        .filter(|(at, _)| put_only.contains(at))
        .map(|(_, entry)| entry.clone())
        .collect();
    let doubtful = doc.uncertain.iter().chain(&doc.unknown).map(entry);
    let entries: Vec<PortState> = entries
        .into_iter()
        .map(|(_, entry)| entry)
        .chain(again)
        .chain(doubtful)
        .collect();
    Ok(LiveFirewall::read(&entries))
}

fn entry(doc: &EntryDoc) -> PortState {
    let EntryDoc {
        protocol,
        from_port,
        to_port,
        state,
        cidrs,
        ipv6_cidrs,
        cidr_list_aliases,
    } = doc.clone();
    PortState {
        from_port,
        to_port,
        protocol,
        state,
        cidrs,
        ipv6_cidrs,
        cidr_list_aliases,
    }
}

fn rules(docs: &[RuleDoc]) -> Read<Firewall> {
    docs.iter().map(rule).collect()
}

fn rule(doc: &RuleDoc) -> Read<(Key, Sources)> {
    let key = key(&doc.protocol, doc.from_port, doc.to_port)?;
    let sources = sources(&doc.cidrs, &doc.ipv6_cidrs, &doc.cidr_list_aliases)?;
    Ok((key, sources))
}

fn key(protocol: &str, from: i32, to: i32) -> Read<Key> {
    let known = Protocol::ALL
        .into_iter()
        .find(|known| known.as_str() == protocol);
    let protocol = known.map_or_else(|| unknown("protocol", protocol), Ok)?;
    Key::new(protocol, from, to).map_err(|error| error.to_string())
}

fn sources(cidrs: &[String], ipv6_cidrs: &[String], aliases: &[String]) -> Read<Sources> {
    let mut sources = Sources::new();
    for text in cidrs.iter().chain(ipv6_cidrs) {
        let net = Sources::parse_live(text);
        sources.insert(net.map_or_else(|| unknown("cidrs", text), Ok)?);
    }
    for alias in aliases {
        sources.insert_alias(alias);
    }
    Ok(sources)
}

fn change(doc: &ChangeDoc) -> Read<Change> {
    let (before, after) = (&doc.before, &doc.after);
    Ok(Change {
        key: key(&doc.protocol, doc.from_port, doc.to_port)?,
        before: sources(&before.cidrs, &before.ipv6_cidrs, &before.cidr_list_aliases)?,
        after: sources(&after.cidrs, &after.ipv6_cidrs, &after.cidr_list_aliases)?,
        causes: all(&doc.causes, cause)?,
    })
}

fn cause(doc: &CauseDoc) -> Read<Cause> {
    Ok(Cause {
        kind: match doc.kind.as_str() {
            "declared" => CauseKind::Declared,
            "absent" => CauseKind::Absent,
            "expired" => CauseKind::Expired,
            other => return unknown("kind", other),
        },
        origin: origin(&doc.origin),
        why: doc.why.clone(),
        owner: doc.owner.clone(),
        until: maybe_at(doc.until.as_ref())?,
    })
}

fn call(doc: &CallDoc) -> Read<Call> {
    let RequestDoc {
        instance_name: _,
        port_info,
        port_infos,
    } = &doc.request;
    match (doc.action.as_str(), port_info, port_infos) {
        ("OpenInstancePublicPorts", Some(info), None) => {
            rule(info).map(|(key, sources)| Call::Open { key, sources })
        }
        ("CloseInstancePublicPorts", Some(info), None) => {
            rule(info).map(|(key, sources)| Call::Close { key, sources })
        }
        ("PutInstancePublicPorts", None, Some(infos)) => {
            rules(infos).map(|firewall| Call::Put { firewall })
        }
        (action, _, _) => unknown("action", action),
    }
}

fn still_open(doc: &StillOpenDoc) -> Read<StillOpen> {
    Ok(StillOpen {
        through: key(&doc.protocol, doc.from_port, doc.to_port)?,
        access: all(&doc.access, exposed)?,
        causes: all(&doc.causes, cause)?,
        hint: doc.hint.clone(),
    })
}

fn exposed(doc: &BoxDoc) -> Read<Exposed> {
    let atom = Atom::ALL
        .into_iter()
        .find(|atom| atom.as_str() == doc.protocol);
    Ok(Exposed {
        atom: atom.map_or_else(|| unknown("protocol", &doc.protocol), Ok)?,
        from: doc.from,
        to: doc.to,
        sources: sources(&doc.cidrs, &doc.ipv6_cidrs, &doc.cidr_list_aliases)?,
    })
}

fn origin(doc: &OriginDoc) -> Origin {
    let OriginDoc { file, line, column } = doc;
    Origin {
        file: file.as_str().into(),
        line: *line,
        column: *column,
    }
}

fn note(doc: &NoteDoc) -> Note {
    let NoteDoc { text, origin: at } = doc;
    Note {
        text: text.clone(),
        origin: at.as_ref().map(origin),
    }
}
