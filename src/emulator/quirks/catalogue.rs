//! The quirks by name: for the command line, and for tests that walk through all of them.
//!
//! Owns names, values and one line about each. Does not know what a quirk does.

use super::{
    AbsentPort, Acceptance, AddressSpelling, Aliases, AllSpelling, DoneStatus, ErrorCode,
    ErrorType, Ipv6Spelling, Keys, ListedPorts, Missing, NoSources, OnClose, OnOpen, OnTag, Order,
    OtherArn, OtherFamily, Pages, PortStatesReply, Presence, Progress, Quirks, Reads, Rejection,
    SameKey, ShownLists, Steps, TagOperations, ThrottleStatus, Words, WriteReply,
};

/// One switch.
#[derive(Debug)]
pub struct Quirk {
    /// Its name, such as `open`.
    pub name: &'static str,
    /// Its values, the default first. Where they are numbers, any other number is a value too.
    pub values: &'static [&'static str],
    /// The question about the service that it answers.
    pub about: &'static str,
    get: fn(&Quirks) -> String,
    set: fn(&mut Quirks, &str) -> bool,
}

/// Why a text sets no quirk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuirkError {
    /// There is no equals sign in it.
    #[error("`{0}` is not NAME=VALUE")]
    Shape(String),
    /// Nothing has this name.
    #[error("there is no quirk `{name}`")]
    Name {
        /// What was given.
        name: String,
        /// The name that may have been meant.
        near: Option<&'static str>,
    },
    /// The quirk has no such value.
    #[error("quirk `{}` has no value `{value}`", quirk.name)]
    Value {
        /// Which one.
        quirk: &'static Quirk,
        /// What was given.
        value: String,
        /// The value that may have been meant.
        near: Option<&'static str>,
    },
}

impl QuirkError {
    /// What could be written instead.
    pub fn hint(&self) -> String {
        match self {
            Self::Shape(_) => "for example `open=replace`".to_owned(),
            Self::Name {
                name: _,
                near: Some(near),
            }
            | Self::Value {
                quirk: _,
                value: _,
                near: Some(near),
            } => format!("did you mean `{near}`?"),
            Self::Name {
                name: _,
                near: None,
            } => {
                let names: Vec<&str> = CATALOGUE.iter().map(|quirk| quirk.name).collect();
                format!("there are {}", names.join(", "))
            }
            Self::Value {
                quirk,
                value: _,
                near: None,
            } => format!("it has {}", quirk.values.join(", ")),
        }
    }
}

impl PartialEq for Quirk {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Quirk {}

impl Quirks {
    /// Every quirk, in the order of the fields.
    pub fn catalogue() -> &'static [Quirk] {
        &CATALOGUE
    }

    /// Reads `NAME=VALUE` and changes that quirk.
    ///
    /// # Errors
    /// Another shape, an unknown name, a value that the quirk does not have. Nothing is changed then.
    pub fn set(&mut self, text: &str) -> Result<(), QuirkError> {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| QuirkError::Shape(text.to_owned()))?;
        let quirk = CATALOGUE.iter().find(|quirk| quirk.name == name);
        let quirk = quirk.ok_or_else(|| QuirkError::Name {
            name: name.to_owned(),
            near: nearest(name, CATALOGUE.iter().map(|quirk| quirk.name)),
        })?;
        if (quirk.set)(self, value) {
            return Ok(());
        }
        Err(QuirkError::Value {
            quirk,
            value: value.to_owned(),
            near: nearest(value, quirk.values.iter().copied()),
        })
    }

    /// The quirks that are not as they are by default, as [`set`](Self::set) reads them: what it takes to repeat a run.
    pub fn changed(&self) -> Vec<String> {
        let usual = Self::default();
        let changed = CATALOGUE.iter().filter_map(|quirk| {
            let value = (quirk.get)(self);
            (value != (quirk.get)(&usual)).then(|| format!("{}={value}", quirk.name))
        });
        changed.collect()
    }
}

/// The nearest of the words, if one is near enough to have been meant.
fn nearest(word: &str, words: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    // Longer than any name twice over: not worth the effort.
    if word.len() > 64 {
        return None;
    }
    let word = word.to_lowercase();
    let allowed = word.chars().count().div_ceil(3);
    words
        .map(|known| (strsim::osa_distance(&word, known), known))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

fn assign<W: Words>(field: &mut W, value: &str) -> bool {
    let found = W::ALL.iter().find(|(name, _)| *name == value);
    if let Some((_, word)) = found {
        *field = *word;
    }
    found.is_some()
}

/// The name of a value; one that only the library can make has none and is not repeatable by name.
fn name<W: Words>(field: W) -> String {
    let found = W::ALL.iter().find(|(_, word)| *word == field);
    found.map_or("custom", |(name, _)| name).to_owned()
}

fn number<N: std::str::FromStr>(field: &mut N, value: &str) -> bool {
    value.parse().map(|number| *field = number).is_ok()
}

macro_rules! word {
    ($name:literal, $field:ident: $type:ty, $about:literal) => {
        Quirk {
            name: $name,
            values: <$type as Words>::NAMES,
            about: $about,
            get: |quirks| name(quirks.$field),
            set: |quirks, value| assign(&mut quirks.$field, value),
        }
    };
}

macro_rules! number {
    ($name:literal, $field:ident: $values:expr, $about:literal) => {
        Quirk {
            name: $name,
            values: $values,
            about: $about,
            get: |quirks| quirks.$field.to_string(),
            set: |quirks, value| number(&mut quirks.$field, value),
        }
    };
}

static CATALOGUE: [Quirk; 43] = [
    word!("open", open: OnOpen, "what Open does to a key that is open already"),
    word!("close", close: OnClose, "whether Close takes away its sources or the whole key"),
    word!("close-missing", close_missing: Missing, "what Close says of a key that is not open"),
    word!("absent-port", absent_port: AbsentPort, "what a rule without `fromPort` or `toPort` means"),
    word!("no-sources", no_sources: NoSources, "whom a rule without sources lets in"),
    word!("other-family", other_family: OtherFamily, "what becomes of sources of a family that the instance lacks"),
    word!("same-key", same_key: SameKey, "what Put makes of two entries with the same key"),
    word!("empty-put", empty_put: Acceptance, "whether Put may close everything"),
    word!("put", put: Steps, "whether Put takes effect as a whole"),
    number!("source-limit", source_limit: &["60", "5"], "how many sources a firewall may have in each family"),
    word!("source-limit-error", source_limit_error: Rejection, "the error above that limit"),
    word!("aliases-count", aliases_count: Aliases, "whether an alias counts against the limit"),
    word!("all", all: AllSpelling, "how the protocol `all` is spelled in replies"),
    word!("address", address: AddressSpelling, "whether a single address has a mask in replies"),
    word!("ipv6", ipv6: Ipv6Spelling, "how IPv6 addresses are spelled in replies"),
    word!("order", order: Order, "in which order rules and sources are shown"),
    word!("lists", lists: ShownLists, "which lists of sources a reply has"),
    word!("keys", keys: Keys, "whether a reply names a key once"),
    word!("reads", reads: Reads, "whether reads show the last write"),
    word!("operations", operations: Progress, "how operations end"),
    word!("done", done: DoneStatus, "the status of an operation that went well"),
    number!("operation-unseen", operation_unseen: &["0", "2"], "how many reads do not find a new operation"),
    number!("pending-reads", pending_reads: &["3", "0"], "how many reads find a pending instance pending"),
    Quirk {
        // The one rejection whose default is not the first of its type.
        values: &["operation-failure", "invalid-input"],
        ..word!("pending-error", pending_error: Rejection, "how a write to a pending instance is refused")
    },
    word!("stopped", stopped: Acceptance, "whether a stopped instance takes writes"),
    word!("throttle-status", throttle_status: ThrottleStatus, "the HTTP status of throttling"),
    word!("error-type", error_type: ErrorType, "how `__type` of an error is spelled"),
    word!("error-code", error_code: ErrorCode, "what `code` of an error says"),
    word!("error-header", error_header: Presence, "whether errors have the header x-amzn-ErrorType"),
    number!("instances-per-page", instances_per_page: &["20", "1"], "how many instances a page has"),
    number!("operations-per-page", operations_per_page: &["200", "1"], "how many operations a page has"),
    word!("pages", pages: Pages, "whether the pages after the first can be had"),
    word!("listed-ports", listed_ports: ListedPorts, "what a list of instances shows of their rules"),
    word!("port-states", port_states: PortStatesReply, "what the reply to a read of rules looks like"),
    number!("port-states-every", port_states_every: &["1", "3"], "which of those replies look like that"),
    word!("write-reply", write_reply: WriteReply, "what the reply to an accepted write looks like"),
    number!("tag-limit", tag_limit: &["50", "5"], "how many tags a resource may have"),
    word!("tag-limit-error", tag_limit_error: Rejection, "the error above that limit"),
    word!("tag-existing", tag_existing: OnTag, "what TagResource does to a key that is there already"),
    word!("untag-missing", untag_missing: Missing, "what UntagResource says of a key that is not there"),
    word!("tag-reads", tag_reads: Reads, "whether reads show the last change of tags"),
    word!("tag-operations", tag_operations: TagOperations, "which operations a change of tags has"),
    word!("other-arn", other_arn: OtherArn, "what becomes of a `resourceArn` of something else"),
];
