//! The keys of the language, table by table.
//!
//! Owns the list of valid keys of each table. Does not know their meaning; `read` does.

/// The top of a file.
pub(super) const TOP: &[&str] = &[
    "version",
    "include",
    "defaults",
    "accounts",
    "addresses",
    "services",
    "rulesets",
    "groups",
    "instances",
    "guard",
    "grants",
    "policy",
];
/// `[defaults]`.
pub(super) const DEFAULTS: &[&str] = &["region", "regions", "mode", "strategy"];
/// `[accounts.NAME]`.
pub(super) const ACCOUNT: &[&str] = &["id", "role", "regions", "profile"];
/// `[groups.NAME]`.
pub(super) const GROUP: &[&str] = &[
    "match", "expect", "use", "rules", "absent", "mode", "strategy",
];
/// `match` of a group.
pub(super) const MATCH: &[&str] = &["name", "account", "region", "tags"];
/// `[instances.NAME]`.
pub(super) const INSTANCE: &[&str] = &["use", "rules", "absent", "mode", "strategy"];
/// One of `rules`.
pub(super) const RULE: &[&str] = &[
    "allow",
    "from",
    "until",
    "owner",
    "why",
    "waive",
    "any-family",
];
/// One of `absent`.
pub(super) const ABSENT: &[&str] = &["allow", "from", "owner", "why"];
/// `[guard]`.
pub(super) const GUARD: &[&str] = &["keep", "max-instances", "max-closed"];
/// One of `keep`.
pub(super) const KEEP: &[&str] = &["allow", "from", "owner", "why"];
/// `[grants]`.
pub(super) const GRANTS: &[&str] = &[
    "services",
    "max",
    "max-sources",
    "match",
    "reason",
    "whoami",
];
/// `max-sources` of `[grants]`.
pub(super) const MAX_SOURCES: &[&str] = &["ipv4", "ipv6"];
/// One `[[policy]]`.
pub(super) const POLICY: &[&str] = &[
    "id",
    "services",
    "only-from",
    "at-most",
    "require",
    "match",
    "severity",
    "why",
];
/// `at-most` of a policy.
pub(super) const AT_MOST: &[&str] = &["ipv4", "ipv6"];
/// `require` of a policy.
pub(super) const REQUIRE: &[&str] = &["allow", "from"];

/// Every key of the language: the kinds of tables, and their keys.
pub const KEYS: &[(&str, &[&str])] = &[
    ("top", TOP),
    ("defaults", DEFAULTS),
    ("account", ACCOUNT),
    ("group", GROUP),
    ("match", MATCH),
    ("instance", INSTANCE),
    ("rule", RULE),
    ("absent", ABSENT),
    ("guard", GUARD),
    ("keep", KEEP),
    ("grants", GRANTS),
    ("max-sources", MAX_SOURCES),
    ("policy", POLICY),
    ("at-most", AT_MOST),
    ("require", REQUIRE),
];
