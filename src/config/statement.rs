//! What each table of the configuration says about the instances that it takes, whichever those are.
//!
//! **Owns** the list of statements, and what two scopes have to do with each other. **Does not** compare the access that
//! they give, and does not look at instances.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use time::OffsetDateTime;

use super::Config;
use super::partial_id::PartialInstanceId;
use super::rule::AbsentRule;
use super::selector::{Glob, Selector};
use super::source::{Span, quote};
use super::table::InstanceTable;
use super::table_rules::TableRules;
use crate::model::{Absent, AddressType, Instance, InstanceId, InstanceState, Mode, Rule, Site};

/// Instances that a search for an example looks at, at most.
const MAX_EXAMPLES: usize = 256;

/// A group or an instance table: which instances it takes, and what it gives them by itself.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The instances.
    pub scope: Scope,
    /// The mode that it sets, where it sets one.
    pub mode: Option<Mode>,
    /// Its rules that are in force, those of its rulesets included.
    pub rules: Arc<[Rule]>,
    /// What must go (additive mode): what it names as absent, and the rules that have ended.
    pub absent: Vec<Absent>,
}

/// Which instances a table takes.
#[derive(Clone, Debug)]
pub struct Scope(ScopeKind);

#[derive(Clone, Debug)]
enum ScopeKind {
    Selector(Selector),
    Instance(PartialInstanceId),
}

impl Config {
    /// The mode of whatever sets none.
    pub fn default_mode(&self) -> Mode {
        self.linked.mode
    }

    /// Where the instances are that have a table of their own, as far as that is known.
    pub fn partial_ids(&self) -> Vec<PartialInstanceId> {
        let tables = self.linked.instances.iter();
        tables.map(|declared| self.place(declared)).collect()
    }

    /// Every group and every instance table, with the rules that are in force as of this instant.
    pub fn statements(&self, as_of: OffsetDateTime) -> Vec<Statement> {
        let groups = self.linked.groups.iter().map(|group| {
            let scope = Scope(ScopeKind::Selector(group.selector.clone()));
            (scope, &group.settings)
        });
        let instances = self.linked.instances.iter().map(|declared| {
            let scope = Scope(ScopeKind::Instance(self.place(declared)));
            (scope, &declared.settings)
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

    /// Where the instance of a table is. Where there is only one account or region to look at, it is there.
    pub(super) fn place(&self, declared: &InstanceTable) -> PartialInstanceId {
        let linked = &self.linked;
        let mut place = declared.id.clone();
        let accounts = linked.accounts.keys();
        let only = accounts.take(2).collect::<Vec<_>>();
        if let ([only], None) = (&only[..], &place.account) {
            place.account = Some((*only).clone());
        }
        let regions: BTreeSet<&String> = linked.sites.iter().map(|site| &site.region).collect();
        if let (Some(only), 1, None) = (regions.first(), regions.len(), &place.region) {
            place.region = Some((*only).clone());
        }
        place
    }
}

impl Scope {
    /// The one instance of this place.
    pub fn of_instance(place: PartialInstanceId) -> Self {
        Self(ScopeKind::Instance(place))
    }

    /// Those that `NAME`, `REGION/NAME` or `ACCOUNT/REGION/NAME` describes, globs allowed; `None` where that is not a valid pattern.
    pub fn parse(text: &str) -> Option<Self> {
        let PartialInstanceId {
            account,
            region,
            name,
        } = PartialInstanceId::parse(text)?;
        let glob = |text: Option<String>| match text {
            None => Some(Vec::new()),
            Some(text) => Some(vec![Glob::new(&text).ok()?]),
        };
        let nowhere = Span::new(0, 0..0);
        let accounts = glob(account)?.into_iter();
        Some(Self(ScopeKind::Selector(Selector {
            names: glob(Some(name))?,
            accounts: accounts.map(|glob| (glob, nowhere)).collect(),
            regions: glob(region)?,
            tags: Vec::new(),
        })))
    }

    /// The one instance that it is about, as far as its place is known.
    pub fn partial_id(&self) -> Option<&PartialInstanceId> {
        match &self.0 {
            ScopeKind::Selector(_) => None,
            ScopeKind::Instance(place) => Some(place),
        }
    }

    /// Whether it takes this instance.
    pub fn matches(&self, instance: &Instance) -> bool {
        match &self.0 {
            ScopeKind::Selector(selector) => selector.matches(instance),
            ScopeKind::Instance(place) => place.matches(&instance.id),
        }
    }

    /// Whether it could take an instance of this site.
    pub fn matches_site(&self, site: &Site) -> bool {
        match &self.0 {
            ScopeKind::Selector(selector) => selector.matches_site(site),
            ScopeKind::Instance(place) => place.may_be_in(site),
        }
    }

    /// Whether every instance of `other` is one of this too, whatever its tags are. `false` where that is not certain.
    pub fn includes(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (ScopeKind::Selector(this), ScopeKind::Selector(other)) => this.includes(other),
            (ScopeKind::Selector(this), ScopeKind::Instance(place)) => this.always_matches(place),
            (ScopeKind::Instance(this), ScopeKind::Instance(place)) => {
                let covers =
                    |this: &Option<String>, other: &Option<String>| this.is_none() || this == other;
                this.name == place.name
                    && covers(&this.region, &place.region)
                    && covers(&this.account, &place.account)
            }
            (ScopeKind::Instance(_), ScopeKind::Selector(_)) => false,
        }
    }

    /// Whether no instance is one of both. `false` where that is not certain.
    pub fn excludes(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (ScopeKind::Selector(this), ScopeKind::Selector(other)) => this.excludes(other),
            (ScopeKind::Selector(selector), ScopeKind::Instance(place))
            | (ScopeKind::Instance(place), ScopeKind::Selector(selector)) => {
                !selector.may_match(place)
            }
            (ScopeKind::Instance(this), ScopeKind::Instance(other)) => {
                let apart = |this: &Option<String>, other: &Option<String>| {
                    this.is_some() && other.is_some() && this != other
                };
                this.name != other.name
                    || apart(&this.region, &other.region)
                    || apart(&this.account, &other.account)
            }
        }
    }

    /// Equal for scopes that are written alike, in whatever order.
    pub fn spelling(&self) -> String {
        let sorted = |globs: &mut dyn Iterator<Item = &Glob>| {
            let texts: BTreeSet<&str> = globs.map(Glob::text).collect();
            format!("{texts:?}")
        };
        match &self.0 {
            ScopeKind::Instance(place) => format!("{place:?}"),
            ScopeKind::Selector(selector) => {
                let tags = selector.tags.iter();
                let tags: BTreeMap<&str, String> = tags
                    .map(|(key, globs)| (key.as_str(), sorted(&mut globs.iter())))
                    .collect();
                format!(
                    "{} {} {} {tags:?}",
                    sorted(&mut selector.names.iter()),
                    sorted(&mut selector.accounts.iter().map(|(glob, _)| glob)),
                    sorted(&mut selector.regions.iter()),
                )
            }
        }
    }

    /// Whether an instance is conceivable that this takes and none of `others` does, at one of these sites if this takes
    /// one of them. `false` where no example was found.
    pub fn has_more_than(&self, others: &[&Self], sites: &BTreeSet<Site>) -> bool {
        let examples = self.examples(sites);
        let mut examples = examples.into_iter().take(MAX_EXAMPLES);
        examples.any(|instance| {
            self.matches(&instance) && !others.iter().any(|other| other.matches(&instance))
        })
    }

    fn examples(&self, sites: &BTreeSet<Site>) -> Vec<Instance> {
        let ScopeKind::Selector(selector) = &self.0 else {
            return Vec::new();
        };
        let texts = |globs: &[Glob], other: &str| -> Vec<String> {
            match globs {
                [] => vec![other.to_owned()],
                globs => globs.iter().flat_map(Glob::examples).collect(),
            }
        };
        let here = sites.iter().filter(|site| selector.matches_site(site));
        let mut here: Vec<Site> = here.cloned().collect();
        if here.is_empty() {
            let accounts: Vec<Option<String>> = match &selector.account_globs()[..] {
                [] => vec![None],
                globs => texts(globs, "").into_iter().map(Some).collect(),
            };
            let regions = texts(&selector.regions, "zz-other-9");
            here = accounts
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
            for site in &here {
                for tags in &tags {
                    examples.push(Instance {
                        id: InstanceId {
                            account: site.account.clone(),
                            region: site.region.clone(),
                            name: name.clone(),
                        },
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

/// What is true of its instances, as the end of a sentence that begins with one of them: ``matches `web-*` in `eu-*` ``.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let selector = match &self.0 {
            ScopeKind::Selector(selector) => selector,
            ScopeKind::Instance(PartialInstanceId {
                account,
                region,
                name,
            }) => {
                let parts = account.iter().chain(region).chain([name]);
                let parts: Vec<&str> = parts.map(String::as_str).collect();
                return write!(f, "is {}", quote(&parts.join("/")));
            }
        };
        let any = |globs: &mut dyn Iterator<Item = String>| globs.collect::<Vec<_>>().join(" or ");
        let quoted = |glob: &Glob| quote(glob.text());
        let mut clauses = Vec::new();
        let names = any(&mut selector.names.iter().map(quoted));
        let regions = any(&mut selector.regions.iter().map(quoted));
        let accounts = any(&mut selector.account_globs().iter().map(quoted));
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

    fn scopes(matches: &[&str]) -> Vec<Scope> {
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
            let shown: Vec<String> = scopes(&[selector]).iter().map(Scope::to_string).collect();
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
            let others: Vec<&Scope> = all[1..].iter().collect();
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
