//! From plans and reports to the members of the JSON document.
//!
//! Owns the words for verdicts, changes and endings. Does not leave out a field of what it is given.

use std::borrow::Cow;

use super::wire::{
    BoxDoc, CallDoc, CallsDoc, CauseDoc, ChangeDoc, ExpiringDoc, ExposureDoc, IdDoc, InstanceDoc,
    LastChangeDoc, NeededDoc, NoteDoc, OutcomeDoc, OverrideDoc, PlaceDoc, PortInfo, RefusalDoc,
    RequestDoc, ShardDoc, SourcesDoc, StillOpenDoc, UncertainDoc, UnreadableDoc, ViolationDoc,
    WitnessDoc,
};
use crate::exposure::Exposed;
use crate::model::{Family, Firewall, InstanceId, Key, Note, Origin, Shard, Sources, Unreadable};
use crate::plan::{
    Call, Cause, CauseKind, Change, InstancePlan, InstanceResult, Outcome, Override, StillOpen,
    Verdict,
};
use crate::policy::{Refusal, Subject, Violation};
use crate::render::cost::{Cost, Needed};
use crate::render::facts::{Calls, Expiring, LastChange};
use crate::render::words::{instant, until};

pub(super) fn id(id: &InstanceId) -> IdDoc<'_> {
    IdDoc {
        account: id.account.as_deref(),
        region: &id.region,
        name: &id.name,
    }
}

pub(super) fn unreadable<'a>(
    account: Option<&'a str>,
    region: &'a str,
    name: Option<&'a str>,
    why: &'a Unreadable,
) -> UnreadableDoc<'a> {
    UnreadableDoc {
        account,
        region,
        name,
        reason: &why.reason,
        hint: why.hint.as_deref(),
    }
}

/// An instance of which nothing can be said.
pub(super) fn blind((id, why): &(InstanceId, Unreadable)) -> UnreadableDoc<'_> {
    unreadable(id.account.as_deref(), &id.region, Some(&id.name), why)
}

pub(super) fn needed(cost: &Cost) -> NeededDoc {
    let Needed {
        writes,
        reads,
        least,
        share: _,
    } = cost.needed;
    NeededDoc {
        writes,
        reads,
        // Never less than it takes.
        least_seconds: least.as_secs() + u64::from(least.subsec_nanos() > 0),
    }
}

pub(super) fn note(note: &Note) -> NoteDoc<'_> {
    let Note { text, origin } = note;
    NoteDoc {
        text,
        file: origin.as_ref().map(|origin| &*origin.file),
        line: origin.as_ref().map(|origin| origin.line),
    }
}

pub(super) fn instance<'a>(
    plan: &'a InstancePlan,
    result: Option<&'a InstanceResult>,
    last: Option<&'a LastChange>,
) -> InstanceDoc<'a> {
    let InstancePlan {
        instance,
        mode,
        strict_spelling: _,
        before,
        after,
        changes,
        calls,
        fallback: _,
        verdict,
        exposure,
        still_open,
        incomplete,
        notes,
    } = plan;
    let (verdict, reason, hint) = match verdict {
        Verdict::InSync if incomplete.is_some() => ("incomplete", None, None),
        Verdict::InSync => ("in-sync", None, None),
        Verdict::Change => ("change", None, None),
        Verdict::Observed => ("observed", None, None),
        Verdict::StillOpen => ("still-open", None, None),
        Verdict::Refused { reason, hint } => ("refused", Some(reason.as_str()), hint.as_deref()),
    };
    InstanceDoc {
        account: instance.id.account.as_deref(),
        region: &instance.id.region,
        name: &instance.id.name,
        arn: &instance.arn,
        state: instance.state.name(),
        ip_address_type: instance.address_type.name(),
        mode: mode.as_str(),
        verdict,
        reason,
        hint,
        incomplete: incomplete.as_deref(),
        changes: changes
            .iter()
            .map(|change| self::change(change, plan.family()))
            .collect(),
        calls: calls
            .iter()
            .map(|call| self::call(call, &instance.id.name))
            .collect(),
        exposure: ExposureDoc {
            gained: exposure.gained.iter().map(exposed).collect(),
            lost: exposure.lost.iter().map(exposed).collect(),
        },
        still_open: still_open.iter().map(self::still_open).collect(),
        before: port_infos(before.firewall()),
        uncertain: before
            .uncertain()
            .iter()
            .map(|u| UncertainDoc {
                entry: &u.entry,
                reason: u.doubt.to_string(),
            })
            .chain(before.unknown().iter().map(|entry| UncertainDoc {
                entry,
                reason: "unknown protocol".to_owned(),
            }))
            .collect(),
        after: port_infos(after),
        notes: notes.iter().map(note).collect(),
        last_change: last.map(last_change),
        outcome: result.map(outcome),
    }
}

fn last_change(last: &LastChange) -> LastChangeDoc<'_> {
    let (action, at, unreadable) = match last {
        LastChange::Known { action, at } => (Some(action.as_str()), at.map(instant), None),
        LastChange::Forgotten => (None, None, None),
        LastChange::Unreadable(why) => (None, None, Some(why.as_str())),
    };
    LastChangeDoc {
        action,
        at,
        unreadable,
    }
}

pub(super) fn shard(shard: Shard) -> ShardDoc {
    ShardDoc {
        index: shard.index(),
        of: shard.of(),
    }
}

pub(super) fn expiring(rule: &Expiring) -> ExpiringDoc<'_> {
    let Expiring { origin, until: end } = rule;
    ExpiringDoc {
        file: &origin.file,
        line: origin.line,
        column: origin.column,
        until: until(*end),
    }
}

pub(super) fn calls(calls: &Calls) -> CallsDoc<'_> {
    let Calls {
        action,
        answered,
        throttled,
        failed,
    } = calls;
    CallsDoc {
        action,
        answered: *answered,
        throttled: *throttled,
        failed: *failed,
    }
}

pub(super) fn change(change: &Change, family: Family) -> ChangeDoc<'_> {
    let Change {
        key,
        before,
        after,
        causes,
    } = change;
    ChangeDoc {
        action: change.action(family),
        protocol: key.protocol().as_str(),
        from_port: key.from(),
        to_port: key.to(),
        before: sources(before),
        after: sources(after),
        causes: causes.iter().map(cause).collect(),
    }
}

pub(super) fn cause(cause: &Cause) -> CauseDoc<'_> {
    let Cause {
        kind,
        origin,
        why,
        owner,
        until: end,
    } = cause;
    CauseDoc {
        kind: match kind {
            CauseKind::Declared => "declared",
            CauseKind::Absent => "absent",
            CauseKind::Expired => "expired",
        },
        file: &origin.file,
        line: origin.line,
        column: origin.column,
        why: why.as_deref(),
        owner: owner.as_deref(),
        until: end.map(until),
    }
}

pub(super) fn sources(sources: &Sources) -> SourcesDoc {
    SourcesDoc {
        cidrs: sources.cidrs().collect(),
        ipv6_cidrs: sources.ipv6_cidrs().collect(),
        cidr_list_aliases: sources.aliases().iter().cloned().collect(),
    }
}

pub(super) fn port_infos(firewall: &Firewall) -> Vec<PortInfo> {
    firewall
        .iter()
        .map(|(key, sources)| port_info(*key, sources))
        .collect()
}

pub(super) fn port_info(key: Key, sources: &Sources) -> PortInfo {
    PortInfo {
        protocol: key.protocol().as_str(),
        from_port: key.from(),
        to_port: key.to(),
        sources: self::sources(sources),
    }
}

pub(super) fn call<'a>(call: &Call, name: &'a str) -> CallDoc<'a> {
    let (port_info, port_infos) = match call {
        Call::Open { key, sources } | Call::Close { key, sources } => {
            (Some(port_info(*key, sources)), None)
        }
        Call::Put { firewall } => (None, Some(port_infos(firewall))),
    };
    CallDoc {
        action: call.action(),
        request: RequestDoc {
            instance_name: name,
            port_info,
            port_infos,
        },
    }
}

fn still_open(open: &StillOpen) -> StillOpenDoc<'_> {
    let StillOpen {
        through,
        access,
        causes,
        hint,
    } = open;
    StillOpenDoc {
        protocol: through.protocol().as_str(),
        from_port: through.from(),
        to_port: through.to(),
        access: access.iter().map(exposed).collect(),
        causes: causes.iter().map(cause).collect(),
        hint,
    }
}

pub(super) fn exposed(exposed: &Exposed) -> BoxDoc {
    BoxDoc {
        protocol: exposed.atom.as_str(),
        from: exposed.from,
        to: exposed.to,
        sources: sources(&exposed.sources),
    }
}

pub(super) fn outcome(result: &InstanceResult) -> OutcomeDoc<'_> {
    let InstanceResult {
        id: _,
        outcome,
        writes,
        operations,
        steps: _,
        note,
    } = result;
    let failure = match outcome {
        Outcome::Failed(failure) => Some(failure),
        _ => None,
    };
    OutcomeDoc {
        status: outcome.status(),
        reason: outcome
            .reason()
            .or_else(|| note.as_deref().map(Cow::Borrowed)),
        code: failure.and_then(|failure| failure.code.as_deref()),
        request_id: failure.and_then(|failure| failure.request_id.as_deref()),
        hint: failure.and_then(|failure| failure.hint.as_deref()),
        writes: *writes,
        operations,
    }
}

pub(super) fn refusal(refusal: &Refusal) -> RefusalDoc<'_> {
    let Refusal {
        guard,
        instance,
        reason,
        hint,
    } = refusal;
    RefusalDoc {
        guard: guard.as_str(),
        instance: instance.as_ref().map(id),
        reason,
        hint,
    }
}

pub(super) fn consent(consent: &Override) -> OverrideDoc<'_> {
    let Override {
        guard,
        selector,
        reason,
    } = consent;
    OverrideDoc {
        guard: guard.as_str(),
        selector: selector.as_deref(),
        reason,
    }
}

pub(super) fn violation(violation: &Violation) -> ViolationDoc<'_> {
    let Violation {
        policy,
        severity,
        seen,
        on,
        reason,
        witness,
        kind,
        access,
        lines,
        declared,
        hint,
    } = violation;
    let (instance, table) = match on {
        Subject::Instance(instance) => (Some(id(instance)), None),
        Subject::Table(table) => (None, Some(table.as_str())),
    };
    ViolationDoc {
        policy,
        severity: severity.as_str(),
        seen: seen.as_str(),
        refuses: violation.refuses(),
        instance,
        table,
        kind: kind.as_str(),
        reason,
        witness: WitnessDoc {
            source: &witness.source,
            what: &witness.what,
        },
        access: access.iter().map(exposed).collect(),
        lines: lines.iter().map(place).collect(),
        declared: declared.as_ref().map(place),
        hint,
    }
}

fn place(origin: &Origin) -> PlaceDoc<'_> {
    let Origin { file, line, column } = origin;
    PlaceDoc {
        file,
        line: *line,
        column: *column,
    }
}
