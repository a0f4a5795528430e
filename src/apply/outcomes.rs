//! Constructors and messages of outcomes and failures.
//!
//! **Owns** the wording. **Does not** decide on the outcome.

use std::io;

use crate::lease::{Leases, lease_tags};
use crate::lightsail::Error;
use crate::model::Instance;
use crate::plan::{Failure, ForeignWrite, Outcome};

/// Why an instance is not the planned one, as a fragment; `None` if it is.
pub(super) fn identity_difference(is: &Instance, planned: &Instance) -> Option<String> {
    arn_difference(&is.arn, &planned.arn).or_else(|| {
        let (is, was) = (&is.address_type, &planned.address_type);
        (is != was).then(|| format!("the address type is `{is}` now, not `{was}`"))
    })
}

/// Why an instance with this ARN is not the planned one, as a fragment; `None` if it is.
pub(super) fn arn_difference(is: &str, planned: &str) -> Option<String> {
    (is != planned).then(|| format!("another instance has the name now: `{is}`, not `{planned}`"))
}

/// The leases that came or went since the plan was made, as a fragment; `None` where there are none. In additive mode no later
/// run closes what was opened again for a lease that is gone, so each is named.
pub(super) fn grant_difference(is: &Instance, planned: &Instance) -> Option<String> {
    if lease_tags(&is.tags).eq(lease_tags(&planned.tags)) {
        return None;
    }
    let missing = |from: &Instance, of: &Instance| -> Vec<String> {
        let leases = Leases::of(&from.tags).leases.into_iter();
        let missing = leases.filter(|lease| {
            let key = lease.id.tag_key();
            from.tags.get(&key) != of.tags.get(&key)
        });
        missing.map(|lease| lease.to_string()).collect()
    };
    let (revoked, granted) = (missing(planned, is), missing(is, planned));
    let mut changes = Vec::new();
    if !revoked.is_empty() {
        changes.push(format!("{} was revoked", revoked.join(" and ")));
    }
    if !granted.is_empty() {
        changes.push(format!("{} was granted", granted.join(" and ")));
    }
    if changes.is_empty() {
        changes.push("a tag of a grant was written or removed".to_owned());
    }
    Some(format!("{} since the plan was made", changes.join(", ")))
}

/// Somebody else wrote, of which only this difference is known.
pub(super) fn foreign_change(difference: String) -> Outcome {
    Outcome::ForeignWriter(ForeignWrite {
        difference: Some(difference),
        ..ForeignWrite::default()
    })
}

pub(super) fn plain(message: String) -> Failure {
    Failure {
        message,
        ..Failure::default()
    }
}

pub(super) fn unplanned_result(difference: &str) -> Failure {
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

/// A write that could not be recorded in the journal, and so was not sent.
pub(super) fn unrecorded(error: &io::Error) -> Failure {
    Failure {
        hint: Some("make room for the receipt, or let it be written elsewhere".to_owned()),
        ..plain(format!(
            "the receipt cannot be written, so this was not sent: {error}"
        ))
    }
}

/// A failed request, after what it was for.
pub(super) fn failed_to(purpose: &str, error: &Error) -> Failure {
    Failure {
        message: format!("{purpose}: {error}"),
        ..failure(error)
    }
}

/// A failed request after a write, so that the result is not verified.
pub(super) fn unverified(error: &Error) -> Failure {
    failed_to("what was written could not be proved", error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AddressType, InstanceId, InstanceState};

    #[test]
    fn leases_that_came_or_went_are_named() {
        let with = |tags: &[(&str, &str)]| {
            let tags = tags.iter();
            let tags = tags.map(|(id, access)| {
                let value = format!("1 20310102T031500Z {access} by=x");
                (format!("portward:grant:{id}"), value)
            });
            Instance {
                id: InstanceId {
                    account: None,
                    region: "eu-central-1".to_owned(),
                    name: "web-1".to_owned(),
                },
                arn: "arn:aws:lightsail:eu-central-1:123456789012:Instance/1".to_owned(),
                tags: tags.collect(),
                state: InstanceState::Running,
                address_type: AddressType::Dualstack,
            }
        };
        let (a, b) = ("tcp/22 203.0.113.7/32", "tcp/22 203.0.113.8/32");
        let since = |is: &[(&str, &str)], planned: &[(&str, &str)]| {
            grant_difference(&with(is), &with(planned))
        };
        assert_eq!(since(&[("aaaa", a)], &[("aaaa", a)]), None);
        assert_eq!(
            since(&[("bbbb", b)], &[("aaaa", a)]).as_deref(),
            Some(
                "tcp/22 from 203.0.113.7/32 was revoked, tcp/22 from 203.0.113.8/32 was granted since the plan was made"
            )
        );
        assert_eq!(
            since(&[("aaaa", "nonsense")], &[]).as_deref(),
            Some("a tag of a grant was written or removed since the plan was made")
        );
    }
}
