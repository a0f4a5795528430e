//! The code of each kind of error, refusal and finding.
//!
//! Owns the codes and their titles, which are the doc comments of the variants. `docs/src/errors.md` has a section for each code; a
//! test compares the two. Does not own the messages.

use std::str::FromStr as _;

use serde::{Deserialize, Serialize};
use strum::{Display, EnumMessage, EnumString, IntoStaticStr, VariantArray};

/// A kind of error, refusal or finding. Its text, such as `PW-101`, is stable; a code is never reused.
///
/// The first digit is the area: 1 the configuration, 2 drift and the access that a plan opens, 3 refusals, 4 stale plans and receipts,
/// 5 changes that were not carried out, 6 data that could not be read, 8 other failures, 9 the command line.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    Display,
    EnumMessage,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(into = "&'static str", try_from = "String")]
pub enum Code {
    /// The file cannot be read
    #[strum(serialize = "PW-101")]
    ConfigFile,
    /// The file is not valid TOML
    #[strum(serialize = "PW-102")]
    Syntax,
    /// A key or a table is not known
    #[strum(serialize = "PW-103")]
    UnknownKey,
    /// A value has the wrong type, is missing or is empty
    #[strum(serialize = "PW-104")]
    WrongType,
    /// A value is not one of those that are possible
    #[strum(serialize = "PW-105")]
    InvalidValue,
    /// A port or a service is not valid
    #[strum(serialize = "PW-106")]
    InvalidPort,
    /// An address or another source is not valid
    #[strum(serialize = "PW-107")]
    InvalidSource,
    /// A name cannot be given, or is given twice
    #[strum(serialize = "PW-108")]
    InvalidName,
    /// A name is used that nothing has
    #[strum(serialize = "PW-109")]
    UnknownName,
    /// A name contains itself
    #[strum(serialize = "PW-110")]
    Circle,
    /// Two statements contradict each other
    #[strum(serialize = "PW-111")]
    Conflict,
    /// The configuration is too large
    #[strum(serialize = "PW-112")]
    TooLarge,
    /// Files cannot be included like this
    #[strum(serialize = "PW-113")]
    Include,
    /// A key has no meaning in this place
    #[strum(serialize = "PW-114")]
    Misplaced,
    /// A group does not match as many instances as expected
    #[strum(serialize = "PW-115")]
    Expectation,
    /// A text holds a line break or an invisible character
    #[strum(serialize = "PW-116")]
    InvisibleText,
    /// More problems than are shown
    #[strum(serialize = "PW-149")]
    MoreProblems,
    /// Something is declared and not used
    #[strum(serialize = "PW-151")]
    Unused,
    /// Something in the configuration has no effect, or probably not the one that is meant
    #[strum(serialize = "PW-152")]
    Suspicious,
    /// A declared instance is not in the inventory, or one of the inventory is not declared
    #[strum(serialize = "PW-153")]
    InventoryMismatch,
    /// A rule opens nothing, because another rule opens all of it
    #[strum(serialize = "PW-154")]
    Redundant,

    /// A change lets somebody in who did not get in before
    #[strum(serialize = "PW-201")]
    OpensAccess,
    /// A live firewall lets in somebody whom the configuration does not
    #[strum(serialize = "PW-202")]
    LiveAllowsMore,
    /// A live firewall does not let in somebody whom the configuration does
    #[strum(serialize = "PW-203")]
    LiveLacks,

    /// A change would lock out everybody who administers an instance
    #[strum(serialize = "PW-301")]
    Lockout,
    /// A run would change more at once than is allowed
    #[strum(serialize = "PW-302")]
    BlastRadius,
    /// A change would leave an instance without any rule
    #[strum(serialize = "PW-303")]
    Empty,
    /// Somebody else has changed the rules since the run that would be undone
    #[strum(serialize = "PW-304")]
    ChangedSince,
    /// A policy does not hold
    #[strum(serialize = "PW-305")]
    Policy,
    /// There is no safe way to make the change
    #[strum(serialize = "PW-306")]
    NoSafeWay,
    /// Access for a time may not be granted
    #[strum(serialize = "PW-307")]
    GrantRefused,
    /// The change was not confirmed
    #[strum(serialize = "PW-308")]
    NotConfirmed,

    /// The plan file is not valid here, or no longer true
    #[strum(serialize = "PW-401")]
    StalePlan,
    /// A receipt is unsigned, not settled, or does not fit
    #[strum(serialize = "PW-402")]
    Receipt,
    /// Reports of shards cannot be merged
    #[strum(serialize = "PW-403")]
    Report,

    /// A planned change was not made, or did not last
    #[strum(serialize = "PW-501")]
    NotApplied,
    /// Access that must go is open through a rule that the configuration does not own
    #[strum(serialize = "PW-502")]
    StillOpen,

    /// Something could not be read, so nothing is known about it
    #[strum(serialize = "PW-601")]
    Unreadable,
    /// It is not known what is declared for an instance
    #[strum(serialize = "PW-602")]
    Undecided,
    /// The public address of this machine is not certain
    #[strum(serialize = "PW-603")]
    OwnAddress,

    /// The run could not do its job
    #[strum(serialize = "PW-801")]
    Failed,
    /// A file could not be read or written
    #[strum(serialize = "PW-802")]
    File,
    /// There is no connection to the service
    #[strum(serialize = "PW-803")]
    Connection,
    /// A declared instance does not exist
    #[strum(serialize = "PW-804")]
    MissingInstance,
    /// What was named does not exist
    #[strum(serialize = "PW-805")]
    NotFound,
    /// The run was ended by a signal
    #[strum(serialize = "PW-806")]
    Interrupted,
    /// A document is not valid
    #[strum(serialize = "PW-807")]
    Document,
    /// The emulator cannot listen
    #[strum(serialize = "PW-808")]
    Listen,
    /// Something impossible happened inside the program
    #[strum(serialize = "PW-809")]
    Internal,
    /// The command of `with` was not run
    #[strum(serialize = "PW-810")]
    Command,

    /// The command line is not valid
    #[strum(serialize = "PW-901")]
    Usage,
}

impl Code {
    /// The code as text, such as `PW-101`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// What the code means in general, as a fragment without a full stop.
    pub fn title(self) -> &'static str {
        self.get_documentation().unwrap_or_default()
    }
}

impl TryFrom<String> for Code {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::from_str(&text).map_err(|_| format!("there is no code `{text}`"))
    }
}
