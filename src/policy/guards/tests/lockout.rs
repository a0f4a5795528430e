//! Tests of the lockout guard and of `keep`.

use super::*;

#[test]
fn lockout_guard_requires_a_previous_administrator_source() {
    let web: &[&str] = &["0.0.0.0/0"];
    let cases: [(&str, Rules<'_>, Rules<'_>, usize); 11] = [
        // The sources are narrowed.
        (
            "dualstack",
            &[(22, &["0.0.0.0/0"])],
            &[(22, &["20.0.0.1"])],
            0,
        ),
        // Other sources replace all of them.
        (
            "dualstack",
            &[(22, &["20.0.0.1"])],
            &[(22, &["20.0.0.2"])],
            1,
        ),
        ("dualstack", &[(22, &["20.0.0.1"])], &[(80, web)], 1),
        // Each port is checked alone.
        (
            "dualstack",
            &[(22, &["20.0.0.1"]), (3389, &["20.0.0.1"])],
            &[(22, &["20.0.0.1"])],
            1,
        ),
        (
            "dualstack",
            &[(22, &["20.0.0.1"]), (3389, &["20.0.0.1"])],
            &[(80, web)],
            2,
        ),
        // Nobody had access.
        ("dualstack", &[(80, web)], &[(22, &["20.0.0.2"])], 0),
        // An alias had access.
        (
            "dualstack",
            &[(22, &["20.0.0.1", "lightsail-connect"])],
            &[(22, &["lightsail-connect"])],
            0,
        ),
        (
            "dualstack",
            &[(22, &["lightsail-connect"])],
            &[(22, &["20.0.0.1"])],
            1,
        ),
        // Sources of a family that the instance does not have do not count.
        (
            "ipv4",
            &[(22, &["20.0.0.1", "::/0"])],
            &[(22, &["::/0"])],
            1,
        ),
        ("ipv4", &[(22, &["::/0"])], &[(80, web)], 0),
        (
            "ipv6",
            &[(22, &["20.0.0.1", "::/0"])],
            &[(22, &["::/0"])],
            0,
        ),
    ];
    for (at, (kind, before, after, refused)) in cases.into_iter().enumerate() {
        let found = guards(&one(kind, before, after));
        assert_eq!(found, vec![GuardName::Lockout; refused], "case {at}");
    }
}

#[test]
fn lockout_guard_ignores_spelling() {
    let all = PortState::canonical(Key::ALL, &named(&["20.0.0.0/8"]));
    let closes = planned(&[("web-1", "dualstack", vec![all.clone()], &[(80, &["::/0"])])]);
    assert_eq!(guards(&closes), [GuardName::Lockout; 2]);
    let splits = planned(&[(
        "web-1",
        "dualstack",
        vec![all],
        &[(22, &["20.9.0.0/16"]), (3389, &["20.1.1.1"])],
    )]);
    assert_eq!(guards(&splits), []);
}

#[test]
fn uncertain_entry_is_not_a_way_in() {
    let doubtful = PortState::canonical(tcp(22), &Sources::new());
    let plan = planned(&[("web-1", "dualstack", vec![doubtful], &[(80, &["::/0"])])]);
    assert_eq!(plan.instances[0].verdict, Verdict::Change);
    assert_eq!(guards(&plan), []);
}

#[test]
fn lockout_refusal_names_sources_and_the_flag() {
    let plan = one(
        "dualstack",
        &[(22, &["20.0.0.1"]), (80, &["::/0"])],
        &[(22, &["20.0.0.2"])],
    );
    let judgement = judge(&plan, &Guard::default(), 1, &BTreeMap::new(), &[], "");
    let [refusal] = &judgement.refusals[..] else {
        panic!("{judgement:?}")
    };
    assert_eq!(
        refusal.reason,
        "nobody who could reach tcp/22 still could: 20.0.0.1/32 got in before, and only 20.0.0.2/32 would after"
    );
    assert_eq!(
        refusal.hint,
        "if that is meant: `--allow lockout=web-1 --reason \"…\"`"
    );
}

#[test]
fn rollback_of_changed_instances_needs_consent() {
    let rules: Rules<'_> = &[(80, &["10.0.0.1"]), (81, &["10.0.0.1"])];
    let plan = planned(&[
        ("web-1", "dualstack", entries(rules), &rules[..1]),
        ("web-2", "dualstack", entries(rules), &rules[..1]),
        ("web-3", "dualstack", entries(rules), rules),
    ]);
    let ids = plan.instances.iter().map(|one| one.instance.id.clone());
    let changed: BTreeMap<_, _> = ids
        .filter(|id| id.name != "web-2")
        .map(|id| (id, "tcp/9 is open to 10.0.0.9/32".to_owned()))
        .collect();
    let judge = |texts: &[&str]| {
        let allowed = allow(texts);
        judge(&plan, &Guard::default(), 3, &changed, &allowed, "meant")
    };
    let judgement = judge(&[]);
    let [refusal] = &judgement.refusals[..] else {
        panic!("{judgement:?}")
    };
    assert_eq!(
        (
            refusal.guard,
            refusal.reason.as_str(),
            refusal.hint.as_str()
        ),
        (
            GuardName::ChangedSince,
            "it has been changed since that run: tcp/9 is open to 10.0.0.9/32",
            "if that is meant: `--allow changed-since=web-1 --reason \"…\"`"
        )
    );
    assert_eq!(judge(&["changed-since=web-2"]).refusals.len(), 1);
    let judgement = judge(&["changed-since=web-1"]);
    assert_eq!((judgement.refusals.len(), judgement.used.len()), (0, 1));
}

#[test]
fn keep_guard_protects_existing_access() {
    let admins = rule(tcp(22), &named(&["20.0.0.0/8", "2001:db8::/32"]));
    let guard = Guard {
        keep: vec![admins],
        ..Guard::default()
    };
    let wide: Rules<'_> = &[(22, &["20.0.0.0/8", "192.0.2.1", "2001:db8::/32"])];
    let cases: [(&str, Rules<'_>, Rules<'_>, &[&str]); 5] = [
        (
            "dualstack",
            wide,
            &[(22, &["20.0.0.0/8", "2001:db8::/32"])],
            &[],
        ),
        (
            "dualstack",
            wide,
            &[(22, &["20.0.0.0/9", "2001:db8::/32"])],
            &[
                "lockout eu-central-1/web-1: `keep` of firewall.toml:5 would no longer hold: it closes tcp/22 from 20.128.0.0/9 (8,388,608 addresses)",
            ],
        ),
        // The instance has no IPv6 to lose.
        ("ipv4", wide, &[(22, &["20.0.0.0/8"])], &[]),
        // Some of them had no access before.
        (
            "dualstack",
            &[(22, &["20.0.0.0/24"])],
            &[(22, &["20.0.0.0/24", "::/0"])],
            &[],
        ),
        (
            "dualstack",
            &[(22, &["20.0.0.0/24", "192.0.2.1"])],
            &[(22, &["192.0.2.1"])],
            &[
                "lockout eu-central-1/web-1: `keep` of firewall.toml:5 would no longer hold: it closes tcp/22 from 20.0.0.0/24 (256 addresses)",
            ],
        ),
    ];
    for (at, (kind, before, after, expected)) in cases.into_iter().enumerate() {
        let found = shown(&one(kind, before, after), &guard, &[]);
        assert_eq!(found, expected, "case {at}");
    }
}

const NOBODY: [&str; 8] = [
    "172.31.0.0/16",
    "127.0.0.1",
    "169.254.0.0/16",
    "0.0.0.0/32",
    "::1",
    "::ffff:203.0.113.7",
    "fd00::/8",
    "ff02::1",
];

#[test]
fn publicly_reachable_excludes_special_purpose_networks() {
    let world: Rules<'_> = &[(22, &["0.0.0.0/0", "::/0"])];
    for nobody in NOBODY {
        let after: Rules<'_> = &[(22, &[nobody])];
        let text = shown(&one("dualstack", world, after), &Guard::default(), &[]);
        let [refusal] = &text[..] else {
            panic!("{nobody}: {text:?}");
        };
        assert!(
            refusal.contains("from where nobody arrives, would after"),
            "{refusal}"
        );
        // They have no access to lose.
        assert_eq!(guards(&one("dualstack", after, &[(80, &["::/0"])])), []);
    }
    assert_eq!(
        guards(&one("dualstack", world, &[(22, &["0.0.0.0/0"])])),
        []
    );
    let all: Rules<'_> = &[(22, &NOBODY)];
    assert_eq!(guards(&one("dualstack", world, all)), [GuardName::Lockout]);
    // Documentation networks count like public ones.
    assert_eq!(
        guards(&one("dualstack", world, &[(22, &["203.0.113.7"])])),
        []
    );
    // `keep` protects only sources that can reach a public address.
    let kept = |texts: &[&str]| Guard {
        keep: vec![rule(tcp(22), &named(texts))],
        ..Guard::default()
    };
    let before: Rules<'_> = &[(22, &["10.0.0.0/8", "203.0.113.7"])];
    let after: Rules<'_> = &[(22, &["203.0.113.7"])];
    let plan = one("dualstack", before, after);
    assert_eq!(shown(&plan, &kept(&["10.0.0.0/8"]), &[]), [""; 0]);
    assert_eq!(shown(&plan, &kept(&["0.0.0.0/0"]), &[]), [""; 0]);
    let plan = one("dualstack", before, &[(22, &["10.0.0.0/8", "192.0.2.1"])]);
    assert_eq!(shown(&plan, &kept(&["203.0.113.0/24"]), &[]).len(), 2);
}

#[test]
fn browser_client_counts_as_part_of_its_whole_family() {
    let alias: Rules<'_> = &[(22, &["lightsail-connect"])];
    let kept = Guard {
        keep: vec![rule(tcp(22), &named(&["lightsail-connect"]))],
        ..Guard::default()
    };
    for (kind, world, found) in [
        ("dualstack", &["0.0.0.0/0"][..], 0),
        ("dualstack", &["0.0.0.0/0", "::/0"], 0),
        ("dualstack", &["0.0.0.0/1", "128.0.0.0/1"], 0),
        ("dualstack", &["::/0"], 2),
        ("dualstack", &["0.0.0.0/1"], 2),
        ("ipv4", &["0.0.0.0/0"], 0),
        ("ipv6", &["::/0"], 0),
        ("ipv6", &["8000::/1"], 2),
    ] {
        let plan = one(kind, alias, &[(22, world)]);
        assert_eq!(shown(&plan, &kept, &[]).len(), found, "{kind} {world:?}");
        // The reverse change.
        let back = one(kind, &[(22, world)], alias);
        let lost = found > 0;
        assert_eq!(
            !shown(&back, &Guard::default(), &[]).is_empty(),
            lost,
            "{kind} {world:?}"
        );
    }
}
