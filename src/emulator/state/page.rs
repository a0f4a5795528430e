//! One page of a list.
//!
//! Owns the tokens, which name the list and the place and are opaque to clients. Does not know what is listed.

use serde_json::{Value, json};

use super::super::fault::Fault;
use super::super::quirks::Pages;

/// Which part of a list is asked for.
pub(super) struct Page {
    kind: &'static str,
    first: bool,
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
    ) -> Result<Self, Fault> {
        let start = match token {
            None => 0,
            Some(token) => token
                .strip_prefix(kind)
                .and_then(|rest| rest.strip_prefix('-'))
                .and_then(|place| place.parse().ok())
                .filter(|place| *place <= total)
                .ok_or_else(|| Fault::invalid_input("The page token is not valid."))?,
        };
        let end = start.saturating_add(size.max(1)).min(total);
        Ok(Self {
            kind,
            first: token.is_none(),
            start,
            end,
            total,
        })
    }

    pub(super) fn reply(&self, member: &str, items: &[Value], quirk: Pages) -> Value {
        let Self {
            kind,
            first,
            start,
            end,
            total,
        } = self;
        let mut reply = json!({member: items});
        if quirk == Pages::RepeatToken && !first {
            reply["nextPageToken"] = format!("{kind}-{start}").into();
        } else if end < total {
            reply["nextPageToken"] = format!("{kind}-{end}").into();
        }
        reply
    }
}
