//! One page of a list.
//!
//! Owns the page tokens, which contain the kind of the list and an index, and are opaque to clients.

use serde_json::{Value, json};

use super::super::error_response::{ErrorResponse, Result};
use super::super::quirks::Paging;

/// The requested part of a list.
pub(super) struct Page {
    kind: &'static str,
    is_first: bool,
    pub(super) start: usize,
    pub(super) end: usize,
    total: usize,
}

impl Page {
    pub(super) fn new(
        kind: &'static str,
        token: Option<&str>,
        size: usize,
        total: usize,
    ) -> Result<Self> {
        let start = match token {
            None => 0,
            Some(token) => token
                .strip_prefix(kind)
                .and_then(|rest| rest.strip_prefix('-'))
                .and_then(|index| index.parse().ok())
                .filter(|index| *index <= total)
                .ok_or_else(|| ErrorResponse::invalid_input("The page token is not valid."))?,
        };
        let end = start.saturating_add(size.max(1)).min(total);
        Ok(Self {
            kind,
            is_first: token.is_none(),
            start,
            end,
            total,
        })
    }

    pub(super) fn response(&self, member: &str, items: &[Value], quirk: Paging) -> Value {
        let mut response = json!({member: items});
        if quirk == Paging::RepeatToken && !self.is_first {
            response["nextPageToken"] = format!("{}-{}", self.kind, self.start).into();
        } else if self.end < self.total {
            response["nextPageToken"] = format!("{}-{}", self.kind, self.end).into();
        }
        response
    }
}
