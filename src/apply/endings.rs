//! How it may end for an instance, in words.
//!
//! Owns the making of outcomes and failures. Refuses to decide which one it is.

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

pub(super) fn not_started() -> Outcome {
    Outcome::NotStarted("interrupted".to_owned())
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

/// A failure after something was sent.
pub(super) fn unproved(error: &Error) -> Failure {
    Failure {
        message: format!("what was written could not be proved: {error}"),
        ..failure(error)
    }
}
