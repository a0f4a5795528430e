//! What can be chosen about an emulator: its one pair of credentials, and how it behaves where the service is not documented.
//!
//! Owns the defaults, which are what AWS documents or, failing that, what was observed. Refuses to hold faults.

use std::fmt;

/// How an emulator is set up. The default accepts `test`/`test` and behaves as documented.
#[derive(Clone, PartialEq, Eq)]
pub struct Options {
    /// The only access key that is known.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
    /// Behaviour.
    pub quirks: Quirks,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            access_key: "test".to_owned(),
            secret_key: "test".to_owned(),
            quirks: Quirks::default(),
        }
    }
}

/// Without the secret: this one may be harmless, but habits are not.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            access_key,
            secret_key: _,
            quirks,
        } = self;
        f.debug_struct("Options")
            .field("access_key", access_key)
            .field("quirks", quirks)
            .finish_non_exhaustive()
    }
}

/// How the emulator behaves where the real service is not documented, or where evidence conflicts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quirks {
    /// What Open does to a key that is open already.
    pub open: OnOpen,
    /// What Close makes of the sources it is given.
    pub close: OnClose,
    /// How operations come to their end.
    pub operations: Progress,
    /// How many reads find a pending instance pending; the next one finds it running.
    pub pending_reads: u32,
    /// Instances in one reply of `GetInstances`; 0 counts as 1. The real number is not documented.
    pub instances_per_page: usize,
    /// Operations in one reply of `GetOperations` and `GetOperationsForResource`; 0 counts as 1.
    pub operations_per_page: usize,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            open: OnOpen::default(),
            close: OnClose::default(),
            operations: Progress::default(),
            pending_reads: 3,
            instances_per_page: 20,
            // "at most 200", says the API reference of `GetOperations`.
            operations_per_page: 200,
        }
    }
}

/// What Open does to a key that is open already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnOpen {
    /// The sources are added to those that are there.
    #[default]
    Merge,
    /// The sources take the place of those that are there.
    Replace,
}

/// What Close makes of the sources it is given. Without sources it always closes the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnClose {
    /// It takes away just these; a key whose last source goes is closed.
    #[default]
    Sources,
    /// It ignores them and closes the key.
    Key,
}

/// How operations come to their end. The rules themselves change at once in every case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// They are `Succeeded` in the reply to the write.
    #[default]
    Immediate,
    /// They are `NotStarted` in the reply to the write, `Started` for this many `GetOperation` reads, then `Succeeded`.
    AfterReads(u32),
    /// They stay `Started` until [`finish_operations`](super::Emulator::finish_operations) is called.
    Explicit,
}
