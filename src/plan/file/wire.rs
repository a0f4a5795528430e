//! The members of a plan file, in their order and spelling.
//!
//! Owns the names. Does not compute anything.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What every version has.
#[derive(Deserialize)]
pub(super) struct Head {
    pub(super) format: String,
    pub(super) version: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

/// Declares shapes that are written and read alike: camel case, nothing unknown.
macro_rules! shapes {
    ($($(#[$about:meta])* $name:ident { $($(#[$on:meta])* $member:ident: $of:ty,)* })*) => {$(
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub(super) struct $name { $($(#[$on])* pub(super) $member: $of,)* }
    )*};
}

shapes! {
    Document {
        format: String,
        version: u32,
        /// Absent while it is computed.
        #[serde(skip_serializing_if = "Option::is_none")]
        digest: Option<String>,
        tool: String,
        made_at: String,
        valid_until: String,
        config: String,
        scope: ScopeDoc,
        guard: GuardDoc,
        overrides: Vec<OverrideDoc>,
        instances: Vec<InstanceDoc>,
        unreadable: Vec<UnreadableDoc>,
        undecided: Vec<UnreadableDoc>,
        regions_unreadable: Vec<RegionUnreadableDoc>,
        missing: Vec<MissingDoc>,
        undeclared: Vec<IdDoc>,
        notes: Vec<NoteDoc>,
    }

    ScopeDoc {
        account: Option<String>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        accounts: BTreeMap<String, String>,
        regions: Vec<String>,
        targets: Vec<String>,
        declared: usize,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shard: Option<ShardDoc>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        as_of: Option<String>,
    }

    ShardDoc {
        index: u16,
        of: u16,
    }

    GuardDoc {
        keep: Vec<KeepDoc>,
        max_instances: Option<usize>,
        max_closed: usize,
    }

    KeepDoc {
        allow: String,
        from: Vec<String>,
        rule: RuleDoc,
        origin: OriginDoc,
        why: Option<String>,
        owner: Option<String>,
        until: Option<String>,
    }

    OverrideDoc {
        guard: String,
        selector: Option<String>,
        reason: String,
    }

    InstanceDoc {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
        region: String,
        name: String,
        arn: String,
        tags: BTreeMap<String, String>,
        state: String,
        ip_address_type: String,
        mode: String,
        /// Only there where it is true.
        #[serde(default, skip_serializing_if = "is_false")]
        strict_spelling: bool,
        verdict: String,
        reason: Option<String>,
        hint: Option<String>,
        incomplete: Option<String>,
        before_fingerprint: String,
        after_fingerprint: String,
        before: BeforeDoc,
        after: Vec<RuleDoc>,
        changes: Vec<ChangeDoc>,
        calls: Vec<CallDoc>,
        fallback: Option<CallDoc>,
        exposure: ExposureDoc,
        /// Only there where there is any.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        still_open: Vec<StillOpenDoc>,
        notes: Vec<NoteDoc>,
    }

    StillOpenDoc {
        protocol: String,
        from_port: i32,
        to_port: i32,
        access: Vec<BoxDoc>,
        causes: Vec<CauseDoc>,
        hint: String,
    }

    BeforeDoc {
        rules: Vec<RuleDoc>,
        /// Those of the rules that only a Put may change, by place in `rules`.
        put_only: Vec<usize>,
        uncertain: Vec<EntryDoc>,
        unknown: Vec<EntryDoc>,
    }

    /// A rule as it is sent.
    RuleDoc {
        protocol: String,
        from_port: i32,
        to_port: i32,
        cidrs: Vec<String>,
        ipv6_cidrs: Vec<String>,
        cidr_list_aliases: Vec<String>,
    }

    /// A live entry to the letter.
    EntryDoc {
        protocol: String,
        from_port: i32,
        to_port: i32,
        state: Option<String>,
        cidrs: Vec<String>,
        ipv6_cidrs: Vec<String>,
        cidr_list_aliases: Vec<String>,
    }

    SourcesDoc {
        cidrs: Vec<String>,
        ipv6_cidrs: Vec<String>,
        cidr_list_aliases: Vec<String>,
    }

    ChangeDoc {
        action: String,
        protocol: String,
        from_port: i32,
        to_port: i32,
        before: SourcesDoc,
        after: SourcesDoc,
        causes: Vec<CauseDoc>,
    }

    CauseDoc {
        kind: String,
        origin: OriginDoc,
        why: Option<String>,
        owner: Option<String>,
        until: Option<String>,
    }

    OriginDoc {
        file: String,
        line: usize,
        column: usize,
    }

    CallDoc {
        action: String,
        request: RequestDoc,
    }

    /// The body of the request.
    RequestDoc {
        instance_name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        port_info: Option<RuleDoc>,
        #[serde(skip_serializing_if = "Option::is_none")]
        port_infos: Option<Vec<RuleDoc>>,
    }

    ExposureDoc {
        gained: Vec<BoxDoc>,
        lost: Vec<BoxDoc>,
    }

    BoxDoc {
        protocol: String,
        from: u16,
        to: u16,
        cidrs: Vec<String>,
        ipv6_cidrs: Vec<String>,
        cidr_list_aliases: Vec<String>,
    }

    UnreadableDoc {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
        region: String,
        name: String,
        reason: String,
        hint: Option<String>,
    }

    RegionUnreadableDoc {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
        region: String,
        reason: String,
        hint: Option<String>,
    }

    MissingDoc {
        name: String,
        origin: OriginDoc,
        hint: Option<String>,
    }

    IdDoc {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
        region: String,
        name: String,
    }

    NoteDoc {
        text: String,
        origin: Option<OriginDoc>,
    }
}
