//! How it may end for an instance, in words.
//!
//! Owns the making of outcomes and failures. Does not decide which one it is.

use std::io;

use crate::lease::lease_tags;
use crate::lightsail::Error;
use crate::model::Instance;
use crate::plan::{Failure, Foreign, Outcome};

/// Why an instance is not the one that was planned for, as a fragment; `None` where it is.
pub(super) fn another(is: &Instance, planned: &Instance) -> Option<String> {
    if is.arn != planned.arn {
        return Some(format!(
            "another instance has the name now: `{}`, not `{}`",
            is.arn, planned.arn
        ));
    }
    let (is, was) = (&is.address_type, &planned.address_type);
    (is != was).then(|| format!("the address type is `{is}` now, not `{was}`"))
}

/// Why other access is granted on an instance than when the plan was made, as a fragment; `None` where it is the same.
pub(super) fn granted_since(is: &Instance, planned: &Instance) -> Option<String> {
    let same = lease_tags(&is.tags).eq(lease_tags(&planned.tags));
    (!same).then(|| "access was granted or revoked since the plan was made".to_owned())
}

/// Somebody else was at work, which shows in nothing but this.
pub(super) fn foreign(difference: String) -> Outcome {
    Outcome::ForeignWriter(Foreign {
        difference: Some(difference),
        ..Foreign::default()
    })
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
