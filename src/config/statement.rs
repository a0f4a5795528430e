//! Statements: what each table of the configuration declares for the instances that it matches, without knowing the instances.
//!
//! **Owns** the list of statements, and whether one scope includes or excludes another. **Does not** compare the access of
//! statements.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use time::OffsetDateTime;

use super::Config;
use super::partial_id::PartialInstanceId;
use super::rule::AbsentRule;
use super::selector::{Glob, Selector};
use super::source::quote;
use super::table::InstanceTable;
use super::table_rules::TableRules;
use crate::model::{Absent, AddressType, Instance, InstanceState, Mode, Rule, Site};

/// The most instances that a search for an example tries.
const MAX_EXAMPLES: usize = 256;

/// A group or an instance table: the instances that it matches, and what it alone gives them.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub scope: TableScope,
    /// The mode, if it sets one.
    pub mode: Option<Mode>,
    /// The rules in force, including those of its rulesets.
    pub rules: Arc<[Rule]>,
    /// The access to close in additive mode: its `absent`, and the rules that have ended.
    pub absent: Vec<Absent>,
}

/// The instances that a table matches.
#[derive(Clone, Debug)]
pub(crate) struct TableScope {
    selector: Selector,
    /// The ID of its instance, if it is an instance table.
    pub id: Option<PartialInstanceId>,
}

impl Config {
    /// The mode of tables that set none.
    pub(crate) fn default_mode(&self) -> Mode {
        self.linked.mode
    }

    /// The IDs of the instances with a table, as far as their account and region are known.
    pub(crate) fn partial_ids(&self) -> Vec<PartialInstanceId> {
        let tables = self.linked.instances.iter();
        tables.map(|table| self.completed_id(table)).collect()
    }

    /// Every group and every instance table, with the rules in force at this instant.
    pub(crate) fn statements(&self, as_of: OffsetDateTime) -> Vec<Statement> {
        let groups = self.linked.groups.iter().map(|group| {
            let selector = group.selector.clone();
            (TableScope { selector, id: None }, &group.settings)
        });
        let instances = self.linked.instances.iter().map(|table| {
            let scope = TableScope::from(self.completed_id(table));
            (scope, &table.settings)
        });
        let mut lines = TableRules::new(&self.linked, as_of);
        let all = groups.chain(instances);
        all.map(|(scope, settings)| {
            let ended = lines.expired(settings).into_iter().map(Absent::from);
            Statement {
                scope,
                mode: settings.mode.map(|(mode, _)| mode),
                rules: lines.in_force(&[settings]).rules,
                absent: settings
                    .absent
                    .iter()
                    .flat_map(AbsentRule::absent)
                    .chain(ended)
                    .collect(),
            }
        })
        .collect()
    }

    /// The ID of the instance of a table. A missing account or region is filled in if there is only one.
    pub(super) fn completed_id(&self, table: &InstanceTable) -> PartialInstanceId {
        let linked = &self.linked;
        let mut id = table.id.clone();
        id.account = id.account.or_else(|| only(linked.accounts.keys()).cloned());
        let regions: BTreeSet<&String> = linked.sites.iter().map(|site| &site.region).collect();
        id.region = id.region.or_else(|| only(regions.into_iter()).cloned());
        id
    }
}

/// The first of these if there are no others.
fn only<'a>(mut names: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let first = names.next()?;
    names.next().is_none().then_some(first)
}

/// The instance with this ID.
impl From<PartialInstanceId> for TableScope {
    fn from(id: PartialInstanceId) -> Self {
        Self {
            selector: id.selector(),
            id: Some(id),
        }
    }
}

impl TableScope {
    /// Parses `NAME`, `REGION/NAME` or `ACCOUNT/REGION/NAME`, each part a pattern; `None` if one is not valid.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let id = PartialInstanceId::parse(text)?;
        let glob = |text: Option<String>| match text {
            None => Some(Vec::new()),
            Some(text) => Some(vec![Glob::new(&text).ok()?]),
        };
        let selector = Selector {
            names: glob(Some(id.name))?,
            accounts: glob(id.account)?,
            regions: glob(id.region)?,
            ..Selector::default()
        };
        Some(Self { selector, id: None })
    }

    pub(crate) fn matches(&self, instance: &Instance) -> bool {
        self.selector.matches(instance)
    }

    /// Whether it may match an instance of this site.
    pub(crate) fn matches_site(&self, site: &Site) -> bool {
        self.selector.matches_site(site)
    }

    /// Whether it matches every instance that `other` matches, whatever its tags are. `false` if that is not certain.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        let is_wider = self.id.is_none() || other.id.is_some();
        is_wider && self.selector.includes(&other.selector)
    }

    /// Whether no instance matches both. `false` if that is not certain.
    pub(crate) fn excludes(&self, other: &Self) -> bool {
        self.selector.excludes(&other.selector)
    }

    /// A text that is equal for scopes with the same patterns in any order.
    pub(crate) fn spelling(&self) -> String {
        let sorted = |globs: &[Glob]| {
            let texts: BTreeSet<&str> = globs.iter().map(Glob::text).collect();
            format!("{texts:?}")
        };
        if let Some(id) = &self.id {
            return format!("{id:?}");
        }
        let selector = &self.selector;
        let tags = selector.tags.iter();
        let tags: BTreeMap<&str, String> = tags
            .map(|(key, globs)| (key.as_str(), sorted(globs)))
            .collect();
        let [names, accounts, regions] =
            [&selector.names, &selector.accounts, &selector.regions].map(|globs| sorted(globs));
        format!("{names} {accounts} {regions} {tags:?}")
    }

    /// Whether an instance may exist that this matches and none of `others` does, at one of these sites if this matches one
    /// of them. `false` if no example was found.
    pub(crate) fn has_more_than(&self, others: &[&Self], sites: &BTreeSet<Site>) -> bool {
        let examples = self.examples(sites);
        let mut examples = examples.into_iter().take(MAX_EXAMPLES);
        examples.any(|instance| {
            self.matches(&instance) && !others.iter().any(|other| other.matches(&instance))
        })
    }

    fn examples(&self, sites: &BTreeSet<Site>) -> Vec<Instance> {
        if self.id.is_some() {
            return Vec::new();
        }
        let selector = &self.selector;
        let texts = |globs: &[Glob], other: &str| -> Vec<String> {
            match globs {
                [] => vec![other.to_owned()],
                globs => globs.iter().flat_map(Glob::examples).collect(),
            }
        };
        let matching = sites.iter().filter(|site| selector.matches_site(site));
        let mut sites: Vec<Site> = matching.cloned().collect();
        if sites.is_empty() {
            let accounts: Vec<Option<String>> = match &selector.accounts[..] {
                [] => vec![None],
                globs => texts(globs, "").into_iter().map(Some).collect(),
            };
            let regions = texts(&selector.regions, "zz-other-9");
            sites = accounts
                .iter()
                .flat_map(|account| {
                    regions.iter().map(|region| Site {
                        account: account.clone(),
                        region: region.clone(),
                    })
                })
                .collect();
        }
        let mut tags = vec![BTreeMap::new()];
        for (key, globs) in &selector.tags {
            let values = texts(globs, "");
            let with = |tags: &BTreeMap<String, String>, value: &String| {
                let mut tags = tags.clone();
                tags.insert(key.clone(), value.clone());
                tags
            };
            let all = tags.iter().flat_map(|tags| {
                let values = values.iter();
                values.map(move |value| with(tags, value))
            });
            tags = all.take(MAX_EXAMPLES).collect();
        }
        let mut examples = Vec::new();
        for name in texts(&selector.names, "zz-other-9") {
            for site in &sites {
                for tags in &tags {
                    examples.push(Instance {
                        id: site.instance_id(&name),
                        arn: String::new(),
                        tags: tags.clone(),
                        state: InstanceState::Running,
                        address_type: AddressType::Dualstack,
                    });
                    if examples.len() == MAX_EXAMPLES {
                        return examples;
                    }
                }
            }
        }
        examples
    }
}

/// The predicate of a sentence about an instance: ``matches `web-*` in `eu-*` ``.
impl fmt::Display for TableScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(id) = &self.id {
            let parts = id.account.iter().chain(&id.region).chain([&id.name]);
            let parts: Vec<&str> = parts.map(String::as_str).collect();
            return write!(f, "is {}", quote(&parts.join("/")));
        }
        let selector = &self.selector;
        let any = |globs: &mut dyn Iterator<Item = String>| globs.collect::<Vec<_>>().join(" or ");
        let quoted = |glob: &Glob| quote(glob.text());
        let mut clauses = Vec::new();
        let names = any(&mut selector.names.iter().map(quoted));
        let regions = any(&mut selector.regions.iter().map(quoted));
        let accounts = any(&mut selector.accounts.iter().map(quoted));
        let mut place = String::new();
        if !regions.is_empty() {
            place.extend([" in ", &regions]);
        }
        if !accounts.is_empty() {
            place.extend([" of account ", &accounts]);
        }
        if !names.is_empty() {
            clauses.push(format!("matches {names}{place}"));
        } else if !place.is_empty() {
            clauses.push(format!("is{place}"));
        }
        for (key, globs) in &selector.tags {
            let tag = |glob: &Glob| match glob.text() {
                "" => quote(key),
                value => quote(&format!("{key}={value}")),
            };
            let tags = any(&mut globs.iter().map(tag));
            clauses.push(format!("has the tag {tags}"));
        }
        f.write_str(&clauses.join(" and "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, parse};

    fn scopes(matches: &[&str]) -> Vec<TableScope> {
        let mut text = "version = 1\n[defaults]\nregions = [\"eu-central-1\", \"us-east-1\"]\n\
            [accounts.prod]\nid = \"123456789012\"\n"
            .to_owned();
        for (at, selector) in matches.iter().enumerate() {
            let table = format!(
                "[groups.g{at:02}]\nmatch = {{ {selector} }}\nrules = [{{ allow = \"ssh\", from = \"anywhere\" }}]\n"
            );
            text.push_str(&table);
        }
        let config = parse(vec![Source::new("x.toml", text)]).expect("a configuration");
        let statements = config.statements(OffsetDateTime::UNIX_EPOCH).into_iter();
        statements.map(|statement| statement.scope).collect()
    }

    #[test]
    fn scope_displays_as_a_clause() {
        for (selector, text) in [
            (r#"name = "web-*""#, "matches `web-*`"),
            (
                r#"name = ["web-*", "api"], region = "eu-*""#,
                "matches `web-*` or `api` in `eu-*`",
            ),
            (r#"region = ["eu-*"]"#, "is in `eu-*`"),
            (
                r#"account = "prod", tags = { env = ["a", "b*"], backup = "" }"#,
                "is of account `prod` and has the tag `backup` and has the tag `env=a` or `env=b*`",
            ),
        ] {
            let shown: Vec<String> = scopes(&[selector])
                .iter()
                .map(TableScope::to_string)
                .collect();
            assert_eq!(shown, [text], "{selector}");
        }
    }

    #[test]
    fn example_distinguishes_a_scope_from_others() {
        let sites = ["eu-central-1", "us-east-1"].map(|region| Site {
            account: Some("prod".to_owned()),
            region: region.to_owned(),
        });
        let sites = BTreeSet::from(sites);
        for (one, others, more) in [
            (r#"name = "web-*""#, &[r#"name = "web-1*""#][..], true),
            (r#"name = "web-1*""#, &[r#"name = "web-*""#], false),
            (
                r#"name = "web-*""#,
                &[r#"name = "*", tags = { a = "*" }"#],
                true,
            ),
            (r#"tags = { a = "x" }"#, &[r#"tags = { a = "*" }"#], false),
            (r#"tags = { a = "*" }"#, &[r#"tags = { a = "x" }"#], true),
            (
                r#"name = "web-*""#,
                &[r#"region = "eu-*""#, r#"region = "us-*""#],
                false,
            ),
            (r#"name = "web-*""#, &[r#"region = "eu-*""#], true),
            (
                r#"name = ["a*", "b*"]"#,
                &[r#"name = "a*""#, r#"name = "b*""#],
                false,
            ),
            (r#"name = "[ab]?""#, &[r#"name = "a*""#], true),
        ] {
            let all = scopes(&[&[one], others].concat());
            let others: Vec<&TableScope> = all[1..].iter().collect();
            assert_eq!(
                all[0].has_more_than(&others, &sites),
                more,
                "{one} {others:?}"
            );
        }
    }

    #[test]
    fn equal_scopes_have_one_spelling() {
        let all = scopes(&[
            r#"name = ["bb", "aa"], tags = { x = "1", y = ["3", "2"] }"#,
            r#"tags = { y = ["2", "3"], x = "1" }, name = ["aa", "bb"]"#,
            r#"name = "aa""#,
        ]);
        assert_eq!(all[0].spelling(), all[1].spelling());
        assert_ne!(all[0].spelling(), all[2].spelling());
    }
}
