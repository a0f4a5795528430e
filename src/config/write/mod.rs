//! Writes a configuration for live rules.
//!
//! Owns the text that `import` prints. A plan with it changes nothing, and a rule that is added later is a difference. Rules that
//! the language cannot express are in comments and in [`Imported::left_out`], and remain differences. Does not guess: entries that
//! could not be read are not declared.

mod adopt;
mod edit;
mod lines;
mod sets;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use lines::{Inexpressible, Line, Lines, Words, quoted};

pub(crate) use adopt::{Adopted, Differing};

use super::definitions::Account;
use super::{names, regions};
use crate::model::{InstanceId, Live, LiveFirewall, sanitize_line};

/// A configuration made from what is live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Imported {
    /// The TOML.
    pub text: String,
    /// What is live and not in it, one sentence fragment each, in the order of the instances.
    pub left_out: Vec<String>,
    /// Whether any of that is on an instance that is declared, so that a plan shows it as a difference.
    pub differs: bool,
}

/// One instance that can be declared.
struct InstanceTable<'a> {
    id: &'a InstanceId,
    lines: Lines,
}

/// Writes a configuration for the instances in `live.firewalls`, of these regions.
///
/// `live.instances` must hold every instance of the regions, so that names that repeat are told apart.
pub(crate) fn import(live: &Live, looked_at: &BTreeSet<String>) -> Imported {
    let mut left_out = Vec::new();
    let mut differs = false;
    let mut declared = Vec::new();
    let mut undeclared = String::new();
    for (region, unreadable) in &live.sites_unreadable {
        let text = format!("region {region}: its instances could not be listed: {unreadable}");
        remark(&mut undeclared, "", &text);
        left_out.push(text);
    }
    for (id, firewall) in &live.firewalls {
        match declare(live, id, firewall.as_ref()) {
            Ok(lines) => {
                differs |= !lines.inexpressible.is_empty();
                let inexpressible = lines.inexpressible.iter();
                left_out.extend(
                    inexpressible
                        .map(|Inexpressible { what, why, .. }| format!("{id}: {what}: {why}")),
                );
                declared.push(InstanceTable { id, lines });
            }
            Err(why) => {
                let text = format!("{id}: {why}");
                remark(&mut undeclared, "", &text);
                left_out.push(text);
            }
        }
    }
    let rulesets = rulesets(&declared);
    let words = sets::named(&declared);
    let mut text = head(looked_at);
    if !undeclared.is_empty() {
        text.push_str("\n# Not declared below, and so not touched:\n");
        text.push_str(&undeclared);
    }
    text.push_str(&sets::table(&words));
    for (at, (rules, name)) in in_order_of_name(&rulesets).enumerate() {
        if at == 0 {
            text.push_str("\n[rulesets]\n");
        }
        let _ = writeln!(text, "{name} = {}", list(&written(&words, rules)));
    }
    for declaration in &declared {
        let name = name(live, declaration.id);
        table(&mut text, &name, &declaration.lines, &rulesets, &words);
    }
    Imported {
        text,
        left_out,
        differs,
    }
}

/// The tables of these accounts, for the end of a configuration.
pub(crate) fn accounts(accounts: &BTreeMap<String, Account>) -> String {
    let mut text = String::new();
    for (name, account) in accounts {
        let Account {
            id,
            role,
            regions,
            profile,
        } = account;
        let key = if name.contains('.') {
            quoted(name)
        } else {
            name.clone()
        };
        let _ = writeln!(text, "\n[accounts.{key}]\nid = {}", quoted(id));
        for (key, value) in [("role", role), ("profile", profile)] {
            if let Some(value) = value {
                let _ = writeln!(text, "{key} = {}", quoted(value));
            }
        }
        if !regions.is_empty() {
            let regions: Vec<String> = regions.iter().map(|region| quoted(region)).collect();
            let _ = writeln!(text, "regions = [{}]", regions.join(", "));
        }
    }
    text
}

/// The rules of an instance in the words of the language, or why it cannot be declared at all.
fn declare(
    live: &Live,
    id: &InstanceId,
    firewall: Result<&LiveFirewall, &crate::model::Unreadable>,
) -> Result<Lines, String> {
    let firewall = firewall.map_err(|why| format!("its rules could not be read: {why}"))?;
    if !regions::is_possible(&id.region) {
        return Err("the language has no way to write its region".to_owned());
    }
    names::instance(&id.name).map_err(str::to_owned)?;
    let instance = live.instances.get(id).ok_or("it was not listed")?;
    Ok(Lines::of(&instance.address_type, firewall))
}

/// What instances are called: by region where the name alone could be another one, and by account where those have names.
fn name(live: &Live, id: &InstanceId) -> String {
    let same = live.instances.keys().filter(|other| other.name == id.name);
    if id.account.is_some() || same.count() > 1 || !live.sites_unreadable.is_empty() {
        table_name(id)
    } else if id.name.contains('.') {
        quoted(&id.name)
    } else {
        id.name.clone()
    }
}

/// The name of an instance that is right wherever there are others of that name.
fn table_name(id: &InstanceId) -> String {
    quoted(&id.to_string())
}

/// Names for the rules that several instances share.
///
/// A set is called after what the names of its instances have in common, so that it stays the same from run to run.
fn rulesets<'a>(declared: &'a [InstanceTable<'a>]) -> BTreeMap<&'a [Line], String> {
    let mut users: BTreeMap<&[Line], Vec<&str>> = BTreeMap::new();
    for InstanceTable { id, lines } in declared {
        users.entry(&lines.rules).or_default().push(&id.name);
    }
    let mut taken = BTreeSet::new();
    let mut rulesets = BTreeMap::new();
    for (rules, users) in users {
        if users.len() < 2 || rules.is_empty() {
            continue;
        }
        let common = common_start(&users);
        let base = match names::definition(common) {
            Ok(()) if !common.contains('.') => common,
            _ => "shared",
        };
        rulesets.insert(rules, free(base, &mut taken));
    }
    rulesets
}

/// The name itself, or with the first number that makes it a new one.
fn free(base: &str, taken: &mut BTreeSet<String>) -> String {
    let mut name = base.to_owned();
    let mut number = 2;
    while !taken.insert(name.clone()) {
        name = format!("{base}-{number}");
        number += 1;
    }
    name
}

/// What all names begin with, without the number or separator at which they part.
fn common_start<'a>(names: &[&'a str]) -> &'a str {
    let Some((first, others)) = names.split_first() else {
        return "";
    };
    let length = others.iter().fold(first.len(), |length, other| {
        let same = first.bytes().zip(other.bytes());
        same.take(length).take_while(|(a, b)| a == b).count()
    });
    let start = first.get(..length).unwrap_or_default();
    start.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '-' | '_' | '.'))
}

fn in_order_of_name<'a>(
    rulesets: &'a BTreeMap<&'a [Line], String>,
) -> impl Iterator<Item = (&'a [Line], &'a str)> {
    let by_name: BTreeMap<&str, &[Line]> = rulesets
        .iter()
        .map(|(rules, name)| (name.as_str(), *rules))
        .collect();
    by_name.into_iter().map(|(name, rules)| (rules, name))
}

fn head(looked_at: &BTreeSet<String>) -> String {
    let mut text =
        "# Made by `portward import` from what was live.\nversion = 1\n\n[defaults]\n".to_owned();
    let regions: Vec<String> = looked_at
        .iter()
        .filter(|region| regions::is_possible(region))
        .map(|region| quoted(region))
        .collect();
    match regions.as_slice() {
        [] => {}
        [region] => {
            let _ = writeln!(text, "region = {region}");
        }
        several => {
            let _ = writeln!(text, "regions = [{}]", several.join(", "));
        }
    }
    text.push_str("mode = \"authoritative\" # what is not declared is closed\n");
    text
}

fn table(
    text: &mut String,
    name: &str,
    lines: &Lines,
    rulesets: &BTreeMap<&[Line], String>,
    words: &Words,
) {
    let _ = writeln!(text, "\n[instances.{name}]");
    if !lines.inexpressible.is_empty() {
        text.push_str(
            "# Live and not declared, since the language has no words for it. `plan` shows it as a difference:\n",
        );
        for Inexpressible { what, why, .. } in &lines.inexpressible {
            remark(text, "  ", &format!("{what}: {why}"));
        }
    }
    match rulesets.get(lines.rules.as_slice()) {
        Some(ruleset) => {
            let _ = writeln!(text, "use = [{}]", quoted(ruleset));
        }
        None => {
            let _ = writeln!(text, "rules = {}", list(&written(words, &lines.rules)));
        }
    }
}

fn written(words: &Words, lines: &[Line]) -> Vec<String> {
    lines.iter().map(|line| words.line(line)).collect()
}

fn list(rules: &[String]) -> String {
    if rules.is_empty() {
        return "[]".to_owned();
    }
    format!("[\n  {},\n]", rules.join(",\n  "))
}

/// A comment of one line, whatever is in it.
fn remark(text: &mut String, indent: &str, comment: &str) {
    let _ = writeln!(text, "# {indent}{}", sanitize_line(comment));
}
