//! Quirks: alternative behaviours where the service is not documented, or where evidence conflicts.
//!
//! Owns the table of quirks, one for each unknown that may matter to a client. The default is the observed behaviour or, if there is no
//! observation, the mildest one that is safe to rely on. Fields have the names that users type. Does not contain faults, which are random.

mod catalogue;
mod operations;
mod responses;
mod tags;
mod writes;

use strum::VariantNames;

use crate::model::{MAX_SOURCES_PER_FAMILY, MAX_TAGS_PER_RESOURCE};

pub use catalogue::{Quirk, QuirkError};
pub use operations::{OperationProgress, ReadConsistency, SuccessStatus};
pub use responses::{
    AddressSpelling, AllSpelling, ErrorCode, ErrorHeader, ErrorType, Ipv6Spelling, KeyRepetition,
    ListedPorts, Paging, PortStatesResponse, RuleOrder, SourceLists, ThrottleStatus, WriteResponse,
};
pub use tags::{ForeignArn, TagEffect, TagOperations};
pub use writes::{
    AbsentPort, Acceptance, AliasCount, CloseEffect, MissingEffect, NoSources, OpenEffect,
    PutSteps, RefusalCode, SameKey, UnsupportedFamily,
};

/// Defines [`Quirks`], their default and the catalogue. Each entry has a field, its type, the name and the description for the command
/// line and, unless the values and the default are those of an enum, also these.
macro_rules! quirks {
    ($(
        $(#[$evidence:meta])*
        $field:ident: $type:ty, $name:literal, $about:literal $(, $values:expr, $default:expr)?;
    )*) => {
        /// A behaviour for each open question about the service.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Quirks {
            $(
                #[doc = concat!("Quirk `", $name, "`: ", $about, ".")]
                $(#[$evidence])*
                pub $field: $type,
            )*
        }

        impl Default for Quirks {
            fn default() -> Self {
                Self { $($field: quirks!(@default $($default)?),)* }
            }
        }

        /// All quirks, in the order of the fields.
        static CATALOGUE: &[Quirk] = &[$(Quirk {
            name: $name,
            values: quirks!(@values $type $(, $values)?),
            about: $about,
            get: |quirks| quirks.$field.to_string(),
            set: |quirks, text| text.parse().map(|value| quirks.$field = value).is_ok(),
        },)*];
    };
    (@default) => { Default::default() };
    (@default $default:expr) => { $default };
    (@values $type:ty) => { <$type as VariantNames>::VARIANTS };
    (@values $type:ty, $values:expr) => { &$values };
}

quirks! {
    /// Not documented; merging was observed.
    open: OpenEffect, "open", "what Open does to a key that is open already";
    /// Evidence conflicts.
    close: CloseEffect, "close", "whether Close takes away its sources or the whole key";
    /// Not documented.
    close_missing: MissingEffect, "close-missing", "what Close says of a key that is not open";
    /// The Go SDK leaves out every member that is 0, so the service must read it as 0, or no client in Go could open ICMP code 0 or `all`.
    absent_port: AbsentPort, "absent-port", "what a rule without `fromPort` or `toPort` means";
    /// If the lists are missing, the rule is open to everyone by the guide; for empty lists the behaviour is not known.
    no_sources: NoSources, "no-sources", "whom a rule without sources lets in";
    /// Not documented.
    other_family: UnsupportedFamily, "other-family", "what becomes of sources of a family that the instance lacks";
    /// Not documented.
    same_key: SameKey, "same-key", "what Put makes of two entries with the same key";
    /// No response to such a Put was captured.
    empty_put: Acceptance, "empty-put", "whether Put may close everything";
    /// Not promised by the API reference.
    put: PutSteps, "put", "whether Put takes effect as a whole";
    /// The guide says 60; how it counts is an interpretation.
    source_limit: usize, "source-limit", "how many sources a firewall may have in each family", ["60", "5"], MAX_SOURCES_PER_FAMILY;
    /// Not documented.
    source_limit_error: RefusalCode, "source-limit-error", "the error above that limit";
    /// Not documented.
    aliases_count: AliasCount, "aliases-count", "whether an alias counts against the limit";
    /// `-1` was reported.
    all: AllSpelling, "all", "how the protocol `all` is spelled in responses";
    /// Never captured for an address sent without a mask.
    address: AddressSpelling, "address", "whether a single address has a mask in responses";
    /// Addresses of instances were observed expanded; those of rules never.
    ipv6: Ipv6Spelling, "ipv6", "how IPv6 addresses are spelled in responses";
    /// Not promised.
    order: RuleOrder, "order", "in which order rules and sources are shown";
    /// Captures of 2019 and 2020 lack some.
    lists: SourceLists, "lists", "which lists of sources a response has";
    /// Always observed, and never promised.
    keys: KeyRepetition, "keys", "whether a response names a key once";
    /// Always observed, and never promised.
    reads: ReadConsistency, "reads", "whether reads show the last write";
    /// Only an example documents that operations on firewalls end at once.
    operations: OperationProgress, "operations", "how operations end";
    /// The difference is not documented.
    done: SuccessStatus, "done", "the status of an operation that went well";
    /// `GetOperation` reads. One public client expects some.
    operation_unseen: u32, "operation-unseen", "how many reads do not find a new operation", ["0", "2"], 0;
    /// The next read finds it running.
    pending_reads: u32, "pending-reads", "how many reads find a pending instance pending", ["3", "0"], 3;
    /// The code was never captured.
    pending_error: RefusalCode, "pending-error", "how a write to a pending instance is refused", ["operation-failure", "invalid-input"], RefusalCode::OperationFailure;
    /// No refusal was found.
    stopped: Acceptance, "stopped", "whether a stopped instance takes writes";
    /// Two pages of AWS disagree.
    throttle_status: ThrottleStatus, "throttle-status", "the HTTP status of throttling";
    /// The raw bodies were never captured.
    error_type: ErrorType, "error-type", "how `__type` of an error is spelled";
    /// Never captured.
    error_code: ErrorCode, "error-code", "what `code` of an error says";
    /// Not known.
    error_header: ErrorHeader, "error-header", "whether errors have the header x-amzn-ErrorType";
    /// 0 counts as 1. The real number is not documented.
    instances_per_page: usize, "instances-per-page", "how many instances a page has", ["20", "1"], 20;
    /// 0 counts as 1. "At most 200", says the API reference of `GetOperations`.
    operations_per_page: usize, "operations-per-page", "how many operations a page has", ["200", "1"], 200;
    /// The lifetime of a token is not documented.
    pages: Paging, "pages", "whether the pages after the first can be had";
    /// Nothing promises that they equal those of `GetInstancePortStates`.
    listed_ports: ListedPorts, "listed-ports", "what a list of instances shows of their rules";
    /// No member of it is required by the service model.
    port_states: PortStatesResponse, "port-states", "what the response to a read of rules looks like";
    /// 1 is each, 3 is the first of an instance and every third after it. 0 counts as 1.
    port_states_every: u32, "port-states-every", "which of those responses look like that", ["1", "3"], 1;
    /// No member of it is required by the service model.
    write_reply: WriteResponse, "write-reply", "what the response to an accepted write looks like";
    /// The service model says 50.
    tag_limit: usize, "tag-limit", "how many tags a resource may have", ["50", "5"], MAX_TAGS_PER_RESOURCE;
    /// Not documented.
    tag_limit_error: RefusalCode, "tag-limit-error", "the error above that limit";
    /// "Tag keys must be unique", says the service model, and no more; other services overwrite.
    tag_existing: TagEffect, "tag-existing", "what TagResource does to a key that is there already";
    /// Not documented.
    untag_missing: MissingEffect, "untag-missing", "what UntagResource says of a key that is not there";
    /// Not documented.
    tag_reads: ReadConsistency, "tag-reads", "whether reads show the last change of tags";
    /// The service model has a list of them, and no type for them. They end like those of rules.
    tag_operations: TagOperations, "tag-operations", "which operations a change of tags has";
    /// Not documented.
    other_arn: ForeignArn, "other-arn", "what becomes of a `resourceArn` of something else";
}

#[cfg(test)]
mod tests;
