//! A call of an action, and its errors.
//!
//! Does not send anything; `attempts` does.

use std::time::Duration;

use super::super::{Error, ErrorKind};
use crate::model::InstanceId;

/// A call, as errors and the log name it.
#[derive(Debug)]
pub(super) struct ApiCall<'a> {
    pub(super) action: &'static str,
    pub(super) region: &'a str,
    /// A region, or `region/name`.
    pub(super) target: String,
}

impl<'a> ApiCall<'a> {
    pub(super) fn new(action: &'static str, region: &'a str, target: impl Into<String>) -> Self {
        Self {
            action,
            region,
            target: target.into(),
        }
    }

    /// A call about an instance.
    pub(super) fn on(action: &'static str, id: &'a InstanceId) -> Self {
        Self::new(action, &id.region, id.to_string())
    }

    pub(super) fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(kind, self.action, self.target.as_str(), message)
    }

    /// The response lacks a member.
    pub(super) fn missing(&self, member: &str) -> Error {
        let message = format!("the response has no `{member}`");
        self.error(ErrorKind::InvalidResponse, message)
    }

    /// The request rates did not permit the call in time.
    pub(super) fn not_permitted(&self, waited: Duration) -> Error {
        let seconds = waited.as_secs();
        let message = format!("not asked: its turn did not come within {seconds} s");
        self.error(ErrorKind::Throttled, message)
            .with_hint("lower `--concurrency`, or use a larger share of the rates with `--rate`")
    }
}
