//! How it may end for an instance, in words.
//!
//! Owns the making of outcomes and failures. Refuses to decide which one it is.

use std::io;

use crate::lightsail::Error;
use crate::model::Instance;
use crate::plan::{Failure, Outcome};

/// Refuses an instance that is not the one that was planned for.
pub(super) fn same_instance(is: &Instance, planned: &Instance) -> Result<(), Outcome> {
    if is.arn != planned.arn {
        let message = format!(
            "another instance has the name now: `{}`, not `{}`",
            is.arn, planned.arn
        );
        return Err(Outcome::Stale(message));
    }
    if is.address_type != planned.address_type {
        let (is, was) = (&is.address_type, &planned.address_type);
        return Err(Outcome::Stale(format!(
            "the address type is `{is}` now, not `{was}`"
        )));
    }
    Ok(())
}

pub(super) fn plain(message: String) -> Failure {
    Failure {
        message,
        code: None,
        request_id: None,
        hint: None,
    }
}

pub(super) fn differs(difference: &str) -> Failure {
    plain(format!(
        "every call was accepted, but the result is not as planned: {difference}"
    ))
}

pub(super) fn failure(error: &Error) -> Failure {
    Failure {
        message: error.to_string(),
        code: error.code().map(str::to_owned),
        request_id: error.request_id().map(str::to_owned),
        hint: error.hint(),
    }
}

/// A write that could not be told to the journal, and so was not sent.
pub(super) fn untold(error: &io::Error) -> Failure {
    Failure {
        hint: Some("make room for the receipt, or let it be written elsewhere".to_owned()),
        ..plain(format!(
            "the receipt cannot be written, so this was not sent: {error}"
        ))
    }
}

/// A failure after something was sent.
pub(super) fn unproved(error: &Error) -> Failure {
    Failure {
        message: format!("what was written could not be proved: {error}"),
        ..failure(error)
    }
}
