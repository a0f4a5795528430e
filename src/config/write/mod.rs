//! Writes a configuration for live rules.
//!
//! Owns the text that `import` prints. A plan with it changes nothing, and a rule that is added later is a difference. Rules that
//! the language cannot express are in comments and in [`ImportedConfig::left_out`], and remain differences. Does not guess: entries that
//! could not be read are not declared.

mod address_sets;
mod adopt;
mod edit;
mod lines;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use lines::{Inexpressible, InstanceLines, KnownNames, RuleLine, toml_string};

pub(crate) use adopt::{AdoptedConfig, InstanceDifference};

use super::definitions::Account;
use super::{names, regions};
use crate::model::{InstanceId, Live, LiveFirewall, Unreadable, sanitize_line};

/// A configuration made from the live rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImportedConfig {
    /// The TOML.
    pub text: String,
    /// The live rules that are not in it, one sentence fragment each, in the order of the instances.
    pub left_out: Vec<String>,
    /// Whether some of them are on a declared instance, so that a plan shows them as a difference.
    pub differs: bool,
}

/// An instance that can be declared.
struct ImportedInstance<'a> {
    id: &'a InstanceId,
    lines: InstanceLines,
}

/// Writes a configuration for the instances in `live.firewalls`, of these regions.
///
/// `live.instances` must contain every instance of the regions, so that ambiguous names get their region.
pub(crate) fn import(live: &Live, regions: &BTreeSet<String>) -> ImportedConfig {
    let mut left_out = Vec::new();
    let mut differs = false;
    let mut imported = Vec::new();
    let mut undeclared = String::new();
    for (region, unreadable) in &live.sites_unreadable {
        let text = format!("region {region}: its instances could not be listed: {unreadable}");
        push_comment(&mut undeclared, "", &text);
        left_out.push(text);
    }
    for (id, firewall) in &live.firewalls {
        match instance_lines(live, id, firewall.as_ref()) {
            Ok(lines) => {
                differs |= !lines.inexpressible.is_empty();
                let inexpressible = lines.inexpressible.iter();
                left_out.extend(
                    inexpressible.map(|Inexpressible { rule, reason, .. }| {
                        format!("{id}: {rule}: {reason}")
                    }),
                );
                imported.push(ImportedInstance { id, lines });
            }
            Err(reason) => {
                let text = format!("{id}: {reason}");
                push_comment(&mut undeclared, "", &text);
                left_out.push(text);
            }
        }
    }
    let rulesets = name_rulesets(&imported);
    let known = address_sets::name_repeated_lists(&imported);
    let mut text = format_header(regions);
    if !undeclared.is_empty() {
        text.push_str("\n# Not declared below, and so not touched:\n");
        text.push_str(&undeclared);
    }
    text.push_str(&address_sets::format_table(&known));
    let by_name: BTreeMap<&str, &[RuleLine]> = rulesets
        .iter()
        .map(|(lines, name)| (name.as_str(), *lines))
        .collect();
    if !by_name.is_empty() {
        text.push_str("\n[rulesets]\n");
    }
    for (name, lines) in by_name {
        let _ = writeln!(text, "{name} = {}", format_rules(&known, lines));
    }
    for instance in &imported {
        let name = table_name(live, instance.id);
        push_table(&mut text, &name, &instance.lines, &rulesets, &known);
    }
    ImportedConfig {
        text,
        left_out,
        differs,
    }
}

/// Writes the tables of these accounts, for the end of a configuration.
pub(crate) fn accounts(accounts: &BTreeMap<String, Account>) -> String {
    let mut text = String::new();
    for (name, account) in accounts {
        let Account {
            id,
            role,
            regions,
            profile,
        } = account;
        let key = toml_key(name);
        let _ = writeln!(text, "\n[accounts.{key}]\nid = {}", toml_string(id));
        for (key, value) in [("role", role), ("profile", profile)] {
            if let Some(value) = value {
                let _ = writeln!(text, "{key} = {}", toml_string(value));
            }
        }
        if !regions.is_empty() {
            let regions: Vec<String> = regions.iter().map(|region| toml_string(region)).collect();
            let _ = writeln!(text, "regions = [{}]", regions.join(", "));
        }
    }
    text
}

/// The lines of an instance, or why it cannot be declared at all.
fn instance_lines(
    live: &Live,
    id: &InstanceId,
    firewall: Result<&LiveFirewall, &Unreadable>,
) -> Result<InstanceLines, String> {
    let firewall = firewall.map_err(|why| format!("its rules could not be read: {why}"))?;
    if !regions::is_valid(&id.region) {
        return Err("the language has no way to write its region".to_owned());
    }
    names::validate_instance(&id.name).map_err(str::to_owned)?;
    let instance = live.instances.get(id).ok_or("it was not listed")?;
    Ok(InstanceLines::of(&instance.address_type, firewall))
}

/// The name of an instance in the header of its table, with region and account if the name alone may be ambiguous.
fn table_name(live: &Live, id: &InstanceId) -> String {
    let same_name = live.instances.keys().filter(|other| other.name == id.name);
    if id.account.is_some() || same_name.count() > 1 || !live.sites_unreadable.is_empty() {
        full_name(id)
    } else {
        toml_key(&id.name)
    }
}

/// The name of an instance with region and account, which is never ambiguous.
fn full_name(id: &InstanceId) -> String {
    toml_string(&id.to_string())
}

/// A name as a key of TOML.
pub(super) fn toml_key(name: &str) -> String {
    let is_bare = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !name.is_empty() && name.bytes().all(is_bare) {
        name.to_owned()
    } else {
        toml_string(name)
    }
}

/// Names for the rules that several instances share.
///
/// A ruleset is named after the common prefix of the names of its instances, so that the name stays the same from run to run.
fn name_rulesets<'a>(imported: &'a [ImportedInstance<'a>]) -> BTreeMap<&'a [RuleLine], String> {
    let mut users: BTreeMap<&[RuleLine], Vec<&str>> = BTreeMap::new();
    for ImportedInstance { id, lines } in imported {
        users.entry(&lines.lines).or_default().push(&id.name);
    }
    let mut taken = BTreeSet::new();
    let mut rulesets = BTreeMap::new();
    for (lines, users) in users {
        if users.len() < 2 || lines.is_empty() {
            continue;
        }
        let prefix = common_prefix(&users);
        let base = match names::validate_definition(prefix) {
            Ok(()) if !prefix.contains('.') => prefix,
            _ => "shared",
        };
        rulesets.insert(lines, unique_name(base, &mut taken));
    }
    rulesets
}

/// The name itself, or with the first number that makes it unique.
fn unique_name(base: &str, taken: &mut BTreeSet<String>) -> String {
    let mut name = base.to_owned();
    let mut number = 2;
    while !taken.insert(name.clone()) {
        name = format!("{base}-{number}");
        number += 1;
    }
    name
}

/// The common prefix of all names, without a number or separator at its end.
fn common_prefix<'a>(names: &[&'a str]) -> &'a str {
    let Some((first, others)) = names.split_first() else {
        return "";
    };
    let length = others.iter().fold(first.len(), |length, other| {
        let pairs = first.bytes().zip(other.bytes());
        pairs.take(length).take_while(|(a, b)| a == b).count()
    });
    let prefix = first.get(..length).unwrap_or_default();
    prefix.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '-' | '_' | '.'))
}

fn format_header(regions: &BTreeSet<String>) -> String {
    let mut text =
        "# Made by `portward import` from what was live.\nversion = 1\n\n[defaults]\n".to_owned();
    let valid = regions.iter().filter(|region| regions::is_valid(region));
    let regions: Vec<String> = valid.map(|region| toml_string(region)).collect();
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

fn push_table(
    text: &mut String,
    name: &str,
    InstanceLines {
        lines,
        inexpressible,
    }: &InstanceLines,
    rulesets: &BTreeMap<&[RuleLine], String>,
    known: &KnownNames,
) {
    let _ = writeln!(text, "\n[instances.{name}]");
    if !inexpressible.is_empty() {
        text.push_str(
            "# Live and not declared, since the language has no words for it. `plan` shows it as a difference:\n",
        );
        for Inexpressible { rule, reason, .. } in inexpressible {
            push_comment(text, "  ", &format!("{rule}: {reason}"));
        }
    }
    let _ = match rulesets.get(lines.as_slice()) {
        Some(ruleset) => writeln!(text, "use = [{}]", toml_string(ruleset)),
        None => writeln!(text, "rules = {}", format_rules(known, lines)),
    };
}

fn format_rules(known: &KnownNames, lines: &[RuleLine]) -> String {
    let rules: Vec<String> = lines.iter().map(|line| known.format(line)).collect();
    format_list(&rules)
}

fn format_list(rules: &[String]) -> String {
    if rules.is_empty() {
        return "[]".to_owned();
    }
    format!("[\n  {},\n]", rules.join(",\n  "))
}

/// Adds a comment of one line.
fn push_comment(text: &mut String, indentation: &str, comment: &str) {
    let _ = writeln!(text, "# {indentation}{}", sanitize_line(comment));
}
