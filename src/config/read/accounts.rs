//! Reader of `[accounts.NAME]`: the ID of an account, and the source of its credentials.
//!
//! Owns the forms of IDs, role ARNs and profile names. Does not accept secrets, which have no key here.

use super::super::definitions::Account;
use super::super::keys;
use super::super::source::{SpannedString, quote};
use super::super::tree::{FileReader, Value};
use super::{check_definition_name, valid_regions};
use crate::model::{Code, is_unsafe};

/// Reads an account. An account without a valid `id` is left out.
pub(super) fn read(reader: &mut FileReader<'_>, name: SpannedString, value: &Value<'_>) {
    let subject = format!("account {}", quote(&name.text));
    let has_valid_name = check_definition_name(reader, "an account", &name);
    let Some(table) = reader.read_table(value, &subject, keys::ACCOUNT) else {
        reader.defs.is_incomplete = true;
        return;
    };
    let mut text = |key: &str| {
        let value = table.get(key)?;
        reader.read_string(value, &format!("`{key}`"))
    };
    let (id, role, profile) = (text("id"), text("role"), text("profile"));
    if !table.contains_key("id") {
        let hint =
            "add it, as in `id = \"123456789012\"`: nothing is read or written in another account";
        reader.report_missing(name.span, &format!("{subject} has no `id`"), hint);
    }
    let id = id.filter(|id| {
        let is_valid = is_id(&id.text);
        if !is_valid {
            let message = format!("{} is not a valid account ID", quote(&id.text));
            reader
                .error(Code::InvalidValue, id.span, message)
                .hint("it has twelve digits, in quotes: `aws sts get-caller-identity` shows it");
        }
        is_valid
    });
    let role = role.filter(|role| check_role(reader, role, id.as_ref()));
    let profile = profile.filter(|profile| {
        let is_valid = !profile.text.trim().is_empty() && !profile.text.contains(is_unsafe);
        if !is_valid {
            let message = "`profile` names no profile";
            reader
                .error(Code::InvalidValue, profile.span, message)
                .hint("it is the name of a profile in ~/.aws/config");
        }
        is_valid
    });
    let regions = table.get("regions").map(|value| {
        let hint =
            "name a region, as in [\"eu-central-1\"], or leave it out for those of the defaults";
        let regions = reader.read_nonempty_strings(value, "`regions`", hint);
        valid_regions(reader, regions).collect()
    });
    let (true, Some(id)) = (has_valid_name, id) else {
        // The name is not reported as undefined where it is used.
        reader.defs.is_incomplete = true;
        return;
    };
    let account = Account {
        id: id.text,
        role: role.map(|role| role.text),
        regions: regions.unwrap_or_default(),
        profile: profile.map(|profile| profile.text),
    };
    reader.define(|defs| &mut defs.accounts, "account", name, account);
}

/// Whether a text is the ARN of a role of this account; an error if it is not.
fn check_role(
    reader: &mut FileReader<'_>,
    role: &SpannedString,
    id: Option<&SpannedString>,
) -> bool {
    let Some(account) = account_of(&role.text) else {
        let message = format!("{} is no ARN of a role", quote(&role.text));
        reader
            .error(Code::InvalidValue, role.span, message)
            .hint("write it as in \"arn:aws:iam::123456789012:role/portward\"");
        return false;
    };
    let Some(id) = id.filter(|id| id.text != account) else {
        return true;
    };
    let message = format!(
        "this role is in account {}, not in {}",
        quote(account),
        quote(&id.text)
    );
    reader
        .error(Code::Conflict, role.span, message)
        .hint("a role works in the account that it belongs to: correct `id` or `role`")
        .related(id.span, "the account is said to be this one");
    false
}

/// The account of a role: `arn:PARTITION:iam::ACCOUNT:role/PATH`.
fn account_of(role: &str) -> Option<&str> {
    let parts: Vec<&str> = role.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, resource] = parts[..] else {
        return None;
    };
    let name = resource.strip_prefix("role/")?;
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-/".contains(&b);
    let is_valid = partition.starts_with("aws")
        && partition
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b == b'-')
        && is_id(account)
        && !name.is_empty()
        && !name.ends_with('/')
        && role.len() <= 2048
        && name.bytes().all(is_word);
    is_valid.then_some(account)
}

fn is_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}
