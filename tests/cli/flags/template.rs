//! A folder in which every verb has something to do for any of its flags: configurations, inventories, a plan, a receipt and
//! reports.

use super::*;

pub(super) const OFFICE: &str = "203.0.113.0/24";
pub(super) const FAR: &str = "us-east-1";

/// Who the emulator says is asking.
pub(super) const CALLER: &str = "123456789012:user/emulator";

pub(super) const CONFIG: &str = r#"version = 1
[defaults]
regions = ["eu-central-1", "us-east-1"]
[guard]
max-instances = 50
[grants]
services = ["tcp/8080"]
max = "8h"
[groups.web]
match = { name = "web-*" }
rules = [
  { allow = "ssh", from = "203.0.113.0/24" },
  { allow = "https", from = "203.0.113.0/24", until = 2099-01-01 },
]
"#;

/// The accounts are those of the instances in [`live`].
pub(super) const ACCOUNTS: &str = r#"
[accounts.prod]
id = "123456789012"
[accounts.test]
id = "222222222222"
role = "arn:aws:iam::222222222222:role/portward"
"#;

pub(super) fn far(name: &str, rules: Vec<portward::model::PortState>) -> Entry {
    let mut entry = instance(name, rules);
    entry.arn = entry.arn.replace(REGION, FAR);
    entry
}

/// `web-1` and `web-4` to `web-7` differ, `web-2` is spelled otherwise, `old-1` is not in the configuration, and `web-9` is in another account.
pub(super) fn live() -> Inventory {
    let tcp = |port: i32, from: &[&str]| rule("tcp", port, port, from);
    let upper = |port: i32| rule("TCP", port, port, &[OFFICE]);
    let differs = || {
        vec![
            tcp(22, &["203.0.113.0/24", "198.51.100.7/32"]),
            tcp(443, &[OFFICE]),
        ]
    };
    let mut other = instance("web-9", differs());
    other.arn = other.arn.replace("123456789012", "222222222222");
    let mut fleet = fleet(vec![
        instance("web-1", differs()),
        instance("web-2", vec![upper(22), upper(443)]),
        instance("web-3", vec![tcp(22, &[OFFICE]), tcp(443, &[OFFICE])]),
        instance("old-1", Vec::new()),
        // The account of the first one is that of the emulator's keys.
        other,
    ]);
    let eu = fleet.regions.get_mut(REGION).expect("a region");
    eu.extend((5..8).map(|n| instance(&format!("web-{n}"), differs())));
    fleet
        .regions
        .insert(FAR.to_owned(), vec![far("web-4", differs())]);
    fleet
}

/// What every run begins with, by file name.
pub(super) fn template() -> &'static BTreeMap<String, String> {
    static TEMPLATE: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let stage = Stage::new(CONFIG, &live());
        let mut files = BTreeMap::new();
        let mut keep = |name: &str, text: String| {
            std::fs::write(stage.path(name), &text).expect("a file");
            files.insert(name.to_owned(), text);
        };
        keep("firewall.toml", CONFIG.to_owned());
        keep("fleet.json", live().to_json());
        let odd = CONFIG
            .replace("198.51.100.7", "x")
            .replace("\"https\"", "\"postgres\"");
        keep("other.toml", odd);
        keep(
            "lockout.toml",
            CONFIG.replace("203.0.113.0/24", "192.0.2.0/24"),
        );
        keep(
            "accounts.toml",
            CONFIG.replacen("[groups", &format!("{ACCOUNTS}[groups"), 1),
        );
        let guard = "version = 1\n[guard]\nmax-instances = 0\n";
        keep("strict.toml", guard.to_owned());
        let mut few = live();
        few.regions
            .values_mut()
            .for_each(|entries| entries.truncate(1));
        few.regions
            .values_mut()
            .flatten()
            .for_each(|entry| entry.port_states = Some([].into()));
        keep("few.json", few.to_json());
        let mut granted = live();
        let web = &mut granted.regions.get_mut(REGION).expect("a region")[0];
        let lease = format!("1 20990101T000000Z tcp/8080 192.0.2.9/32 by={CALLER}");
        web.tags.insert("portward:grant:abcd".to_owned(), lease);
        let rules = web.port_states.clone().expect("rules");
        let open = rule("tcp", 8080, 8080, &["192.0.2.9/32"]);
        let rules: Vec<_> = rules.iter().cloned().chain([open]).collect();
        web.port_states = Some(rules.into());
        keep("granted.json", granted.to_json());
        let other = granted.to_json().replace(CALLER, "somebody");
        keep("others.json", other);
        let mut pending = live();
        let all = pending.regions.values_mut().flatten();
        all.for_each(|entry| "pending".clone_into(&mut entry.state));
        keep("pending.json", pending.to_json());
        let mut synced = live();
        synced.regions.remove(FAR);
        let entries = synced.regions.get_mut(REGION).expect("a region");
        entries.retain(|entry| matches!(entry.name.as_str(), "web-3" | "old-1"));
        synced.regions.insert(FAR.to_owned(), Vec::new());
        keep("synced.json", synced.to_json());
        let plan = stage.on_fleet(&["plan", "--out", "plan.json"]);
        assert_eq!(plan.code, Some(0), "{}", plan.shown());
        keep("plan.json", stage.read("plan.json"));
        for k in ["1", "2"] {
            let (shard, report) = (format!("{k}/2"), format!("json=r{k}.json"));
            stage.on_fleet(&["drift", "--shard", &shard, "--report", &report]);
            keep(&format!("r{k}.json"), stage.read(&format!("r{k}.json")));
        }
        let mut clean = synced.clone();
        let entries = clean.regions.get_mut(REGION).expect("a region");
        entries.retain(|entry| entry.name == "web-3");
        std::fs::write(stage.path("clean.json"), clean.to_json()).expect("a file");
        for k in ["1", "2"] {
            let (shard, report) = (format!("{k}/2"), format!("json=c{k}.json"));
            let clean = ["--inventory", "clean.json"];
            stage.run(
                &[
                    &["drift", "--shard", &shard, "--report", &report],
                    &clean[..],
                ]
                .concat(),
            );
            keep(&format!("c{k}.json"), stage.read(&format!("c{k}.json")));
        }
        let apply = stage.on_fleet(&["apply", "--yes"]);
        assert_eq!(apply.code, Some(0), "{}", apply.shown());
        keep("after.json", stage.read("fleet.json"));
        let mut receipts = std::fs::read_dir(stage.path(".portward/receipts")).expect("a folder");
        let receipt = receipts.next().expect("a receipt").expect("an entry");
        keep(
            "receipt",
            std::fs::read_to_string(receipt.path()).expect("a receipt"),
        );
        files
    })
}
