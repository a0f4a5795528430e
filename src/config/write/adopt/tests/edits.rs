//! Tests of edits in the different forms of TOML: only the lines of changed rules change.

use super::*;

/// The forms of tables with rules; `<name>` is replaced by a list.
const FORMS: &str = r#"# ours
version = 1
defaults.region = "eu-central-1"

[addresses]
office = ["10.0.0.0/24", "2001:db8::/32"]

[instances.db-1] # header
rules = <db-1> # behind the list
use = []

[instances]
old-1.rules = <old-1>
app-1 = { rules = <app-1> } # inline
old-1.use = []
<web-1>
[instances.log-1]"#;

/// A list of rules in any layout; each rule has a number.
#[derive(Clone, Debug)]
struct WrittenList {
    rules: Vec<Written>,
    trailing_comma: bool,
    end: &'static str,
    is_more_open: bool,
}

fn written_list() -> impl Strategy<Value = WrittenList> {
    let fate = prop_oneof![
        Just(Fate::Kept),
        Just(Fate::Closed),
        Just(Fate::WithoutIpv6)
    ];
    let rule = (0..5_usize, 0..4_usize, 0..3_usize, fate);
    let rule = rule.prop_map(|(before, behind, after, fate)| Written {
        before,
        behind,
        after,
        fate,
    });
    let end = prop::sample::select(vec!["", " ", "\n", "\n  # end of the list\n", "\n\n  "]);
    (vec(rule, 0..5), any::<bool>(), end, any::<bool>()).prop_map(
        |(rules, trailing_comma, end, is_more_open)| WrittenList {
            rules,
            trailing_comma,
            end,
            is_more_open,
        },
    )
}

impl WrittenList {
    fn fields(number: usize) -> String {
        let port = 1000 + number;
        format!("allow = \"tcp/{port}\", from = \"office\", why = \"r{number}\"")
    }

    fn array(&self, first: usize) -> String {
        let mut text = "[".to_owned();
        for (at, rule) in self.rules.iter().enumerate() {
            let number = first + at;
            let before = match rule.before {
                0 => String::new(),
                1 => " ".to_owned(),
                2 => "\n  ".to_owned(),
                3 => format!("\n\n\t# above {number}\n    "),
                _ => format!(" # beside {}\n  ", number - 1),
            };
            let behind = match rule.behind {
                0 => String::new(),
                1 => " ".to_owned(),
                2 => format!(" # beside {number}\n  "),
                _ => format!("\n  # below {number}\n  "),
            };
            let is_last = at + 1 == self.rules.len();
            let comma = if is_last && !self.trailing_comma {
                ""
            } else {
                ","
            };
            let after = match rule.after {
                0 => String::new(),
                1 => " ".to_owned(),
                _ => format!(" # beside {number}\n"),
            };
            let rule = format!("{{ {} }}", Self::fields(number));
            text.extend([&before, &rule, &behind, comma, &after]);
        }
        text + self.end + "]"
    }

    fn tables(&self, first: usize, name: &str) -> String {
        let rules = (first..first + self.rules.len()).map(|number| {
            let fields = Self::fields(number).replace(", ", "\n");
            format!("\n# above {number}\n[[instances.{name}.rules]]\n{fields}\n")
        });
        rules.collect()
    }
}

/// The part of a text that an edit must not change: without the changed rules, and without commas and white space.
fn unchanged(text: &str, is_changed: impl Fn(&str) -> bool) -> String {
    let mut rest = String::new();
    let mut at = text;
    while let Some((before, rule)) = at.split_once("{ allow") {
        let (rule, after) = rule.split_once('}').expect("the end of a rule");
        rest += before;
        let number = rule.split_once("why = \"r").map(|(_, number)| number);
        if let Some(number) = number
            && !is_changed(number.trim_end_matches([' ', '"']))
        {
            rest += rule;
        }
        at = after;
    }
    rest += at;
    rest.retain(|c| !c.is_whitespace() && c != ',');
    rest
}

/// The lines that contain only a comment.
fn comment_lines(text: &str) -> Vec<&str> {
    let lines = text.split_inclusive('\n');
    lines
        .filter(|line| line.trim_start().starts_with('#'))
        .filter(|line| !line.contains("beside") && line.ends_with('\n'))
        .collect()
}

proptest! {
    /// Comments, blank lines, line endings and the layout of unchanged rules stay.
    #[test]
    fn adopt_edits_only_changed_rules(
        lists in vec(written_list(), 4),
        crlf in any::<bool>(),
        ends_with_newline in any::<bool>(),
        without_rules_opens in any::<bool>(),
    ) {
        let names = ["db-1", "old-1", "app-1", "web-1"];
        let first = |at: usize| 10 * (at + 1);
        let mut text = FORMS.to_owned();
        for (at, name) in names.iter().enumerate() {
            let list = match *name {
                "web-1" => lists[at].tables(first(at), name),
                _ => lists[at].array(first(at)),
            };
            text = text.replace(&format!("<{name}>"), &list);
        }
        if ends_with_newline {
            text.push('\n');
        }
        if crlf {
            text = text.replace('\n', "\r\n");
        }
        let key = |port: usize| {
            let port = i32::try_from(port).expect("a port");
            Key::new(Protocol::Tcp, port, port).expect("a key")
        };
        let office: Sources = ["10.0.0.0/24", "2001:db8::/32"].iter().filter_map(|net| Sources::parse_live(net)).collect();
        let mut live = fleet(&AddressType::Dualstack);
        live.instances.retain(|id, _| names.contains(&id.name.as_str()) || id.name == "log-1");
        let mut log = Firewall::new();
        if without_rules_opens {
            log.set(key(22), Sources::anywhere());
        }
        live.firewalls.insert(id("log-1"), Ok(LiveFirewall::from(&log)));
        let mut changed = BTreeSet::new();
        let mut closed = BTreeSet::new();
        for (at, (name, list)) in names.iter().zip(&lists).enumerate() {
            let mut firewall = Firewall::new();
            for (rule, number) in list.rules.iter().zip(first(at)..) {
                let mut sources = office.clone();
                if rule.fate != Fate::Kept {
                    changed.insert(number.to_string());
                }
                match rule.fate {
                    Fate::Kept => {}
                    Fate::Closed => {
                        closed.insert(number.to_string());
                        sources = Sources::new();
                    }
                    Fate::WithoutIpv6 => sources.clear_ipv6(),
                }
                firewall.set(key(1000 + number), sources);
            }
            if list.is_more_open {
                firewall.set(key(22), Sources::anywhere());
            }
            live.firewalls.insert(id(name), Ok(LiveFirewall::from(&firewall)));
        }

        let (edited, adopted) = adopted(&text, &live);
        for one in &planned(&edited, &live).instances {
            let refused = adopted.refused.iter().any(|(id, _)| *id == one.instance.id);
            prop_assert_eq!(refused, one.verdict != Verdict::InSync, "{}\n{}", one.instance.id, &edited);
            // Lists are edited in any form; `[[instances.x.rules]]` is not edited.
            prop_assert!(!refused || one.instance.id.name == "web-1", "{:?}", &adopted.refused);
        }
        let rest = |text: &str| {
            let mut rest = unchanged(text, |number| changed.contains(number));
            // The comment beside a removed rule is removed.
            for number in &closed {
                rest = rest.replace(&format!("#beside{number}"), "");
            }
            rest
        };
        let expected = rest(&text);
        let expected = if without_rules_opens { expected + "rules=[]" } else { expected };
        prop_assert_eq!(rest(&edited), expected, "{}\n----\n{}", &text, &edited);
        prop_assert_eq!(comment_lines(&edited), comment_lines(&text), "{}\n----\n{}", &text, &edited);
        let newlines = edited.matches('\n').count();
        prop_assert_eq!(edited.matches("\r\n").count(), if crlf { newlines } else { 0 });
        if adopted.changed.is_empty() {
            prop_assert_eq!(edited, text);
        }
    }
}

#[test]
fn lines_are_edited_in_place() {
    let mut live = fleet(&AddressType::Dualstack);
    let wanted = desired(&config(CONFIG), &live);
    for name in NAMES {
        let rules = &wanted.instances[&id(name)].rules;
        let mut firewall: Firewall = rules
            .iter()
            .map(|rule| (rule.key, rule.sources.clone()))
            .collect();
        for (key, _) in &firewall.clone() {
            match (name, key.to_string().as_str()) {
                ("db-1", "tcp/3306" | "udp/7946") | ("old-1", "tcp/23") | ("web-2", "tcp/80") => {
                    firewall.remove(*key);
                }
                ("db-1", "tcp/5432") => {
                    let mut sources = firewall.get(*key).cloned().unwrap_or_default();
                    sources.clear_ipv6();
                    firewall.set(*key, sources);
                }
                ("web-1", "tcp/443") => {
                    let key = "tcp/8443";
                    let Some(Ok(key)) = crate::config::port_expr::parse(key) else {
                        unreachable!("a key")
                    };
                    firewall.add(key, &Sources::anywhere());
                }
                _ => {}
            }
        }
        live.firewalls
            .insert(id(name), Ok(LiveFirewall::from(&firewall)));
    }
    let (text, adopted) = adopted(CONFIG, &live);
    let diff = crate::render::diff::file("firewall.toml", CONFIG, &text);
    insta::assert_snapshot!(diff, @r#"
    --- firewall.toml
    +++ firewall.toml
    @@ -18,20 +18,23 @@
     rules = [ { allow = ["http", "https"], from = "anywhere" } ]
     
     [instances.web-1]
    +rules = [
    +  { allow = "plesk", from = "anywhere" },
    +]
     use = ["base"] # and nothing else
     
     [instances.db-1] # the good one
     rules = [
         # who may ask
    -    { allow = ["postgres", "app"], from = ["office", "192.0.2.44"], why = "data, {and} # more" }, # all of them
    +    { allow = "tcp/8080-8089", from = ["office", "192.0.2.44"], why = "data, {and} # more" },
    +    { allow = "postgres", from = ["10.0.0.0/24", "192.0.2.44"], why = "data, {and} # more" }, # all of them
         { allow = ["ping", "ssh"], from = ["admins", "anywhere"], owner = "ops" },
     
         # short-lived
    -    { allow = "mysql", from = "192.0.2.44", until = 2031-12-31, why = "migration" }
     ]
     
     [instances.old-1]
    -rules = [{ allow = "ssh", from = "office" }, { allow = ["icmp", "telnet"], from = "10.0.0.0/8" }]
    +rules = [{ allow = "ssh", from = "office" }, { allow = "icmp", from = "10.0.0.0/8" }]
     
     [instances]
     app-1 = { rules = [] }
    "#);
    let refused: Vec<String> = adopted
        .refused
        .iter()
        .map(|(id, why)| format!("{id}: {why}"))
        .collect();
    insta::assert_snapshot!(refused.join("\n"), @"eu-central-1/web-2: tcp/80 from 0.0.0.0/0, ::/0 is not live, but is declared at firewall.toml:18, which is not the instance's own line");
}

#[test]
fn adopt_finds_quoted_tables() {
    let text = "version = 1\n[defaults]\nregion = \"eu-central-1\"\n[instances.'eu-central-1/web-1'] # mine\nmode = \"authoritative\"\n";
    let mut live = fleet(&AddressType::Dualstack);
    live.instances.retain(|id, _| id.name == "web-1");
    let Some(Ok(key)) = crate::config::port_expr::parse("tcp/22") else {
        unreachable!("a key")
    };
    let firewall = Firewall::from_iter([(key, Sources::anywhere())]);
    live.firewalls
        .insert(id("web-1"), Ok(LiveFirewall::from(&firewall)));
    let (edited, adopted) = adopted(text, &live);
    assert_eq!(adopted.refused, []);
    let rules = "# mine\nrules = [\n  { allow = \"ssh\", from = \"anywhere\" },\n]\n";
    assert_eq!(edited, text.replace("# mine\n", rules));
}

#[test]
fn adopt_refuses_lists_with_mixed_line_endings() {
    let list = "rules = [\r\n  { allow = \"ssh\", from = \"anywhere\" },\n]\n";
    let text =
        format!("version = 1\n[defaults]\nregion = \"eu-central-1\"\n[instances.web-1]\n{list}");
    let mut live = fleet(&AddressType::Dualstack);
    live.instances.retain(|id, _| id.name == "web-1");
    live.firewalls
        .insert(id("web-1"), Ok(LiveFirewall::from(&Firewall::new())));
    let (edited, adopted) = adopted(&text, &live);
    assert_eq!(edited, text);
    let refused: Vec<&str> = adopted
        .refused
        .iter()
        .map(|(_, why)| why.as_str())
        .collect();
    assert_eq!(
        refused,
        [
            "the line at firewall.toml:6 cannot be edited without changing more than it: edit it by hand"
        ]
    );
    // With one line ending, the rule is removed.
    let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
    let (edited, _) = self::adopted(&text, &live);
    assert!(edited.ends_with("rules = [\r\n]\r\n"), "{edited:?}");
}
