//! Tests of `require`.

use super::*;

#[test]
fn required_sources_must_get_in() {
    let ssh = tcp(22, 22);
    let office: &[Line<'_>] = &[(ssh, &["203.0.113.0/24", "2001:db8::/32"])];
    let half: &[Line<'_>] = &[(ssh, &["203.0.113.0/25", "2001:db8::/32"])];
    assert_eq!(found(office, office, operators()), Findings::default());
    assert_eq!(
        found(&[], &[(Key::ALL, &["0.0.0.0/0", "::/0"])], operators()),
        Findings::default()
    );
    let lost = found(office, half, operators());
    assert_eq!(
        witnesses(&lost),
        [(Occurrence::Introduced, "203.0.113.128 tcp/22".into())]
    );
    assert!(lost.has_refusal());
    assert_eq!(
        lost.violations[0].hint,
        "declare a rule that lets them in, as firewall.toml:90 asks"
    );
    let never = found(half, half, operators());
    assert_eq!(
        (never.has_refusal(), witnesses(&never)),
        (
            false,
            vec![(Occurrence::Existing, "203.0.113.128 tcp/22".into())]
        )
    );
    // No IPv6 source can reach an instance without IPv6.
    let only: &[Line<'_>] = &[(ssh, &["203.0.113.0/24"])];
    let scene = scene(Mode::Authoritative, "ipv4", &live(only), only, operators());
    assert_eq!(
        check_policies(&scene.plan, &scene.desired, CheckedRules::Result),
        Findings::default()
    );
}

#[test]
fn unreachable_networks_are_not_required() {
    let ssh = tcp(22, 22);
    let require = |texts: &'static [&'static str]| {
        let lines: &[Line<'_>] = &[(ssh, texts)];
        policy(PolicySeverity::Deny, Demand::Require(rules(lines)))
    };
    let but_private: &[&str] = &[
        "0.0.0.0/5",
        "8.0.0.0/7",
        "11.0.0.0/8",
        "12.0.0.0/6",
        "16.0.0.0/4",
        "32.0.0.0/3",
        "64.0.0.0/2",
        "128.0.0.0/1",
        "lightsail-connect",
    ];
    let after: &[Line<'_>] = &[(ssh, but_private)];
    assert_eq!(
        found(&[], after, require(&["0.0.0.0/0"])),
        Findings::default()
    );
    let only: &[Line<'_>] = &[(ssh, &["10.0.0.0/8"])];
    let lacking = found(&[], only, require(&["0.0.0.0/0"]));
    assert_eq!(
        witnesses(&lacking),
        [(Occurrence::Existing, "1.1.1.1 tcp/22".into())]
    );
    assert_eq!(
        found(&[], &[], require(&["10.0.0.0/8", "::1/128"])),
        Findings::default()
    );
}
