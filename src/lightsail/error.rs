//! What can go wrong between us and the service, as one type.
//!
//! Owns the judgement of a failed call: what kind it is, whether to ask again, and what a person can do. Refuses to know
//! how a call was made.

use std::fmt;
use std::time::Duration;

/// What kind of failure it is; callers branch on this, never on texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No such instance or operation.
    NotFound,
    /// The service will not have this request as it is.
    InvalidInput,
    /// The service took the request and could not carry it out, or not now.
    OperationFailure,
    /// The caller may not do this.
    AccessDenied,
    /// The caller is not who they say, or has no usable credentials.
    Unauthenticated,
    /// The account or the region is still being set up.
    SetupInProgress,
    /// Too many requests.
    Throttled,
    /// The service failed.
    Service,
    /// No answer in time; whether the request was carried out is not known.
    Timeout,
    /// The connection could not be made or was lost; whether the request was carried out is not known, unless
    /// [`Error::is_outcome_unknown`] says otherwise.
    Connection,
    /// An answer that cannot be read.
    BadReply,
    /// A code that this program does not know.
    Other,
}
/// placeholder
#[derive(Debug)]
pub struct Error;
