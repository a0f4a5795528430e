//! Quirks: alternative behaviours where the service is not documented, or where evidence conflicts.
//!
//! Owns a switch for each unknown that may matter to a client. The default is the observed behaviour or, if there is no observation, the
//! mildest one that is safe to rely on. Does not contain faults, which are random.

mod catalogue;

pub use catalogue::{Quirk, QuirkError};

/// An enum with a name for each variant, the default first.
trait Words: Copy + PartialEq + 'static {
    const NAMES: &'static [&'static str];
    const ALL: &'static [(&'static str, Self)];
}

/// An enum whose variants have names for the command line.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$about:meta])* $word:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum $name { $($(#[$about])* $word,)+ }

        impl Words for $name {
            const NAMES: &'static [&'static str] = &[$($text,)+];
            const ALL: &'static [(&'static str, Self)] = &[$(($text, Self::$word),)+];
        }
    };
}

mod listed;
mod tags;

pub use listed::ListedPorts;
pub use tags::{OnTag, OtherArn, TagOperations};

/// A behaviour for each open question about the service. Each field describes the question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quirks {
    /// What Open does to a key that is open already. Not documented; merging was observed.
    pub open: OnOpen,
    /// What Close makes of the sources it is given. Evidence conflicts.
    pub close: OnClose,
    /// What Close says when the key is not open. Not documented.
    pub close_missing: Missing,
    /// What a rule without `fromPort` or `toPort` means. The Go SDK leaves out every member that is 0, so the service must
    /// read it as 0, or no client in Go could open ICMP code 0 or `all`.
    pub absent_port: AbsentPort,
    /// What a rule without any source opens. For lists left out it is the world by the guide; for lists that are there
    /// and empty nobody knows.
    pub no_sources: NoSources,
    /// What becomes of sources of a family that the instance lacks. Not documented.
    pub other_family: OtherFamily,
    /// What a Put makes of two entries with the same key. Not documented.
    pub same_key: SameKey,
    /// Whether a Put may close everything. No reply to one was ever captured.
    pub empty_put: Acceptance,
    /// Whether a Put takes effect as a whole. Not promised by the API reference.
    pub put: Steps,
    /// How many sources a firewall may have in each family. The guide says 60; how it counts is an interpretation.
    pub source_limit: usize,
    /// The error above that limit. Not documented.
    pub source_limit_error: Rejection,
    /// Whether an alias counts against the limit, in both families. Not documented.
    pub aliases_count: Aliases,
    /// How `all` is spelled in replies. `-1` was reported.
    pub all: AllSpelling,
    /// How the network of a single address is spelled in replies. Never captured for an address sent without a mask.
    pub address: AddressSpelling,
    /// How IPv6 addresses are spelled in replies. Addresses of instances were seen expanded; those of rules never.
    pub ipv6: Ipv6Spelling,
    /// In which order rules and sources come. Not promised.
    pub order: Order,
    /// Which lists of sources are in a reply. Captures of 2019 and 2020 lack some.
    pub lists: ShownLists,
    /// Whether a reply names a key once. Never seen otherwise, and never promised.
    pub keys: Keys,
    /// Whether a read shows the last write. It looks so; nothing promises it.
    pub reads: Reads,
    /// How operations come to their end. Whether those of the firewall are at their end at once is documented by example only.
    pub operations: Progress,
    /// Which status an operation that went well ends with. What tells the two apart is not documented.
    pub done: DoneStatus,
    /// How many `GetOperation` reads do not find a new operation. One public client expects some.
    pub operation_unseen: u32,
    /// How many reads find a pending instance pending; the next one finds it running.
    pub pending_reads: u32,
    /// How a write to an instance that is not settled is refused. The code was never captured.
    pub pending_error: Rejection,
    /// Whether a stopped instance takes writes. No rejection was found.
    pub stopped: Acceptance,
    /// The HTTP status of throttling. Two pages of AWS disagree.
    pub throttle_status: ThrottleStatus,
    /// How `__type` is spelled in an error. The raw bodies were never captured.
    pub error_type: ErrorType,
    /// What the member `code` of an error says. Never captured.
    pub error_code: ErrorCode,
    /// Whether an error has the header `x-amzn-ErrorType`. Not known.
    pub error_header: Presence,
    /// Instances in one reply of `GetInstances`; 0 counts as 1. The real number is not documented.
    pub instances_per_page: usize,
    /// Operations in one reply of `GetOperations` and `GetOperationsForResource`; 0 counts as 1.
    pub operations_per_page: usize,
    /// Whether the pages after the first can be had. How long a token lives is not documented.
    pub pages: Pages,
    /// What `GetInstances` shows of the rules. Nothing promises that it is what `GetInstancePortStates` shows.
    pub listed_ports: ListedPorts,
    /// What a reply of `GetInstancePortStates` looks like. No member of it is required by the service model.
    pub port_states: PortStatesReply,
    /// Which of those replies: 1 is each, 3 is the first of an instance and every third after it. 0 counts as 1.
    pub port_states_every: u32,
    /// What the reply to an accepted write looks like. No member of it is required by the service model.
    pub write_reply: WriteReply,
    /// How many tags a resource may have. The service model says 50.
    pub tag_limit: usize,
    /// The error above that limit. Not documented.
    pub tag_limit_error: Rejection,
    /// What `TagResource` does to a key that is there already. "Tag keys must be unique", says the service model, and no
    /// more; those of other services are overwritten.
    pub tag_existing: OnTag,
    /// What `UntagResource` says of a key that is not there. Not documented.
    pub untag_missing: Missing,
    /// Whether a read shows the last change of tags. Not documented.
    pub tag_reads: Reads,
    /// Which operations a change of tags has. The service model has a list of them, and no type of operation for it. They end
    /// as those of rules do.
    pub tag_operations: TagOperations,
    /// What becomes of a `resourceArn` of something else. Not documented.
    pub other_arn: OtherArn,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            open: OnOpen::default(),
            close: OnClose::default(),
            close_missing: Missing::default(),
            absent_port: AbsentPort::default(),
            no_sources: NoSources::default(),
            other_family: OtherFamily::default(),
            same_key: SameKey::default(),
            empty_put: Acceptance::default(),
            put: Steps::default(),
            source_limit: crate::model::MAX_SOURCES_PER_FAMILY,
            source_limit_error: Rejection::InvalidInput,
            aliases_count: Aliases::default(),
            all: AllSpelling::default(),
            address: AddressSpelling::default(),
            ipv6: Ipv6Spelling::default(),
            order: Order::default(),
            lists: ShownLists::default(),
            keys: Keys::default(),
            reads: Reads::default(),
            operations: Progress::default(),
            done: DoneStatus::default(),
            operation_unseen: 0,
            pending_reads: 3,
            pending_error: Rejection::OperationFailure,
            stopped: Acceptance::default(),
            throttle_status: ThrottleStatus::default(),
            error_type: ErrorType::default(),
            error_code: ErrorCode::default(),
            error_header: Presence::default(),
            instances_per_page: 20,
            // "at most 200", says the API reference of `GetOperations`.
            operations_per_page: 200,
            pages: Pages::default(),
            listed_ports: ListedPorts::default(),
            port_states: PortStatesReply::default(),
            port_states_every: 1,
            write_reply: WriteReply::default(),
            tag_limit: crate::model::MAX_TAGS_PER_RESOURCE,
            tag_limit_error: Rejection::InvalidInput,
            tag_existing: OnTag::default(),
            untag_missing: Missing::default(),
            tag_reads: Reads::default(),
            tag_operations: TagOperations::default(),
            other_arn: OtherArn::default(),
        }
    }
}

words! {
    /// What Open does to a key that is open already.
    OnOpen {
        /// The sources are added to those that are there.
        #[default]
        Merge = "merge",
        /// The sources take the place of those that are there.
        Replace = "replace",
        /// It is an `InvalidInputException`.
        Refuse = "refuse",
    }
}

words! {
    /// What Close makes of the sources it is given. Without sources it always closes the key.
    OnClose {
        /// It takes away just these; a key whose last source goes is closed.
        #[default]
        Sources = "sources",
        /// It ignores them and closes the key.
        Key = "key",
    }
}

words! {
    /// What a request to take something away says of what is not there.
    Missing {
        /// It succeeds and changes nothing.
        #[default]
        Succeed = "succeed",
        /// `InvalidInputException`.
        InvalidInput = "invalid-input",
        /// `NotFoundException`, as for an instance that does not exist.
        NotFound = "not-found",
    }
}

words! {
    /// What a rule without `fromPort` or `toPort` means.
    AbsentPort {
        /// The port is 0.
        #[default]
        Zero = "zero",
        /// It is an `InvalidInputException`.
        Refuse = "refuse",
    }
}

words! {
    /// What a rule without any source opens.
    NoSources {
        /// Everybody, in the families of the instance: the answer a client must fear.
        #[default]
        World = "world",
        /// Nobody: the rule is not kept.
        Nobody = "nobody",
        /// It is an `InvalidInputException`.
        Refuse = "refuse",
    }
}

words! {
    /// What becomes of sources of a family that the instance lacks.
    OtherFamily {
        /// They are stored and shown.
        #[default]
        Keep = "keep",
        /// They are left out; a rule with nothing left is not kept.
        Drop = "drop",
        /// They are an `InvalidInputException`.
        Refuse = "refuse",
    }
}

words! {
    /// What a Put makes of two entries with the same key.
    SameKey {
        /// One rule with the sources of both.
        #[default]
        Merge = "merge",
        /// Two rules, side by side.
        Apart = "apart",
        /// It is an `InvalidInputException`.
        Refuse = "refuse",
    }
}

words! {
    /// Whether something is taken or is an `InvalidInputException`.
    Acceptance {
        /// It is taken.
        #[default]
        Accept = "accept",
        /// It is refused.
        Refuse = "refuse",
    }
}

words! {
    /// Whether a Put takes effect as a whole.
    Steps {
        /// As a whole.
        #[default]
        One = "one-step",
        /// First what the new rules do not have goes; the rest comes after the next read of the instance.
        Two = "two-steps",
    }
}

words! {
    /// With which error something is refused.
    Rejection {
        /// `InvalidInputException`.
        #[default]
        InvalidInput = "invalid-input",
        /// `OperationFailureException`.
        OperationFailure = "operation-failure",
    }
}

words! {
    /// Whether an alias counts against the limit of sources.
    Aliases {
        /// It does not.
        #[default]
        Free = "free",
        /// It counts as one source of each family.
        Counted = "counted",
    }
}

words! {
    /// How `all` is spelled in replies.
    AllSpelling {
        /// As it is sent.
        #[default]
        All = "all",
        /// As EC2 does.
        MinusOne = "-1",
    }
}

words! {
    /// How the network of a single address is spelled in replies.
    AddressSpelling {
        /// With its mask.
        #[default]
        Masked = "masked",
        /// Without.
        Bare = "bare",
    }
}

words! {
    /// How IPv6 addresses are spelled in replies.
    Ipv6Spelling {
        /// As short as can be.
        #[default]
        Compressed = "compressed",
        /// All eight groups, without padding.
        Expanded = "expanded",
        /// All eight groups, padded and in capitals, as the pattern in the service model has it.
        Upper = "upper",
    }
}

words! {
    /// In which order rules and sources come.
    Order {
        /// As they were written.
        #[default]
        Kept = "kept",
        /// In another one each time.
        Shuffled = "shuffled",
    }
}

words! {
    /// Which lists of sources are in a reply of `GetInstancePortStates`.
    ShownLists {
        /// All three.
        #[default]
        Present = "present",
        /// Those that are not empty.
        NotEmpty = "not-empty",
        /// None at all, so that nobody can tell who gets in.
        Absent = "absent",
    }
}

words! {
    /// Whether a reply names a key once.
    Keys {
        /// Once.
        #[default]
        Once = "once",
        /// Twice, with the sources split between the two; a single source comes with both.
        Twice = "twice",
    }
}

words! {
    /// Whether a read shows the last write.
    Reads {
        /// At once.
        #[default]
        Fresh = "fresh",
        /// The next two reads of the instance show what was before.
        Lag = "lag",
        /// The next three show what was before, what is, and what was before.
        Flicker = "flicker",
    }
}

words! {
    /// Which status an operation that went well ends with.
    DoneStatus {
        /// `Succeeded`.
        #[default]
        Succeeded = "succeeded",
        /// `Completed`.
        Completed = "completed",
    }
}

words! {
    /// The HTTP status of a `ThrottlingException`.
    ThrottleStatus {
        /// 403, as the page about throttling says.
        #[default]
        Forbidden = "403",
        /// 400, as the page about common errors says.
        BadRequest = "400",
    }
}

words! {
    /// How `__type` is spelled in an error.
    ErrorType {
        /// `NotFoundException`.
        #[default]
        Bare = "bare",
        /// `com.amazonaws.lightsail#NotFoundException`.
        Prefixed = "prefixed",
        /// `NotFoundException:http://...`, as other services of AWS have it.
        Suffixed = "suffixed",
    }
}

words! {
    /// What the member `code` of an error says. Errors of the AWS front end never have one.
    ErrorCode {
        /// The same as `__type`.
        #[default]
        Same = "same",
        /// It is not there.
        Absent = "absent",
        /// It is `null`.
        Null = "null",
        /// Something else, which some SDKs take for the code of the error.
        Different = "different",
    }
}

words! {
    /// Whether something is there.
    Presence {
        /// It is not.
        #[default]
        Absent = "absent",
        /// It is.
        Present = "present",
    }
}

words! {
    /// Whether the pages after the first can be had.
    Pages {
        /// They can.
        #[default]
        Whole = "whole",
        /// The second page hands out the token it was asked with.
        RepeatToken = "repeat-token",
        /// The second page is a `ServiceException`.
        Fail = "fail",
    }
}

words! {
    /// What a reply of `GetInstancePortStates` looks like.
    PortStatesReply {
        /// As it should.
        #[default]
        Whole = "whole",
        /// `portStates` is missing.
        Missing = "missing",
        /// `portStates` is `null`.
        Null = "null",
        /// The JSON ends in the middle.
        Truncated = "truncated",
        /// A page in HTML, with status 200.
        Html = "html",
        /// Nothing at all, with status 200.
        Empty = "empty",
    }
}

words! {
    /// What the reply to an accepted write looks like.
    WriteReply {
        /// As it should.
        #[default]
        Whole = "whole",
        /// `operation` is missing.
        NoOperation = "no-operation",
        /// The JSON ends in the middle.
        Truncated = "truncated",
        /// A page in HTML, with status 200.
        Html = "html",
        /// Nothing at all, with status 200.
        Empty = "empty",
    }
}

/// How operations come to their end. Unless said otherwise, the rules themselves change at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// They are done in the reply to the write.
    #[default]
    Immediate,
    /// They are `NotStarted` in the reply to the write, `Started` for this many `GetOperation` reads, then done.
    AfterReads(u32),
    /// They stay `Started` until [`finish_operations`](super::Emulator::finish_operations) is called.
    Explicit,
    /// As `AfterReads`, but they are `Failed` in the end, and the rules do not change.
    Fails(u32),
    /// As `Fails`, but the rules change all the same.
    FailsApplied(u32),
}

impl Words for Progress {
    const NAMES: &'static [&'static str] = &["immediate", "later", "never", "fail", "fail-applied"];
    const ALL: &'static [(&'static str, Self)] = &[
        ("immediate", Self::Immediate),
        ("later", Self::AfterReads(2)),
        ("never", Self::Explicit),
        ("fail", Self::Fails(2)),
        ("fail-applied", Self::FailsApplied(2)),
    ];
}

#[cfg(test)]
mod tests;
