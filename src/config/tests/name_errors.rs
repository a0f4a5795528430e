//! Tests of errors about names: invalid, unknown, unused and repeated ones.

use super::errors::check;

#[test]
fn reserved_and_invalid_names_are_refused() {
    check(&[
        (
            "[addresses]\nanywhere = \"10.0.0.0/8\"",
            &[
                "3:1: error[PW-108]: `anywhere` is reserved: it has a meaning of its own (give the set another name)",
            ],
        ),
        (
            "[addresses]\n\"10.1\" = \"10.0.0.0/8\"",
            &[
                "3:1: error[PW-108]: `10.1` cannot be the name of an address set (this looks like an address, and would be taken for one)",
            ],
        ),
        (
            "[rulesets]\n\"a/b\" = []",
            &[
                "3:1: error[PW-108]: `a/b` cannot be the name of a ruleset (this looks like an address, and would be taken for one)",
            ],
        ),
    ]);
}

#[test]
fn unknown_names_are_reported() {
    check(&[
        (
            "[services]\nssh = \"tcp/2222\"",
            &[
                "3:1: error[PW-108]: `ssh` is reserved: it is a built-in service (it means tcp/22; give yours another name)",
            ],
        ),
        (
            "[services]\ntcp = \"tcp/2222\"",
            &["3:1: error[PW-108]: `tcp` is reserved: it is a protocol"],
        ),
        (
            "[instances.\"-a\"]",
            &[
                "2:12: error[PW-108]: `-a` cannot be the name of an instance (an instance name starts and ends with a letter, a digit or `_`)",
            ],
        ),
        (
            "[instances.\"a\\u001bb\"]",
            &[
                "2:12: error[PW-108]: `a\\u{1b}b` cannot be the name of an instance (instance names are made of letters, digits, `-`, `_` and `.`)",
            ],
        ),
        (
            "[instances.\"acme/eu-west-1/ab\"]",
            &[
                "2:12: error[PW-109]: account `acme` is not defined (define it, as in `[accounts.prod] id = \"123456789012\"`)",
            ],
        ),
        (
            "[addresses]\nx = [\"y\"]\n[instances.ab]\nrules = [{ allow = \"ssh\", from = \"z\" }]",
            &[
                "3:6: error[PW-109]: there is no address set `y` (did you mean `x`?)",
                "5:34: error[PW-109]: there is no address set `z` (did you mean `x`?)",
            ],
        ),
        (
            "[addresses]\noffice = \"192.0.2.1\"\n[instances.ab]\nrules = [{ allow = \"shh\", from = \"ofice\" }]",
            &[
                "5:20: error[PW-109]: there is no service `shh` (did you mean `ssh`?)",
                "5:34: error[PW-109]: there is no address set `ofice` (did you mean `office`?)",
            ],
        ),
        (
            "[rulesets]\nbase = []\n[instances.ab]\nuse = \"bse\"",
            &["5:7: error[PW-109]: there is no ruleset `bse` (did you mean `base`?)"],
        ),
        (
            "[addresses]\nx = []\n[services]\nyy = []",
            &[
                "3:5: error[PW-104]: address set `x` is empty (a set names at least one address, network or set)",
                "5:6: error[PW-104]: service `yy` is empty (a service has at least one port, as in [\"tcp/8080\"])",
            ],
        ),
        (
            "[addresses]\na = \"b\"\nb = [\"c\", \"192.0.2.1\"]\nc = \"a\"",
            &[
                "5:5: error[PW-110]: address set `a` contains itself (the circle is `a` -> `b` -> `c` -> `a`)",
            ],
        ),
        (
            "[addresses]\na = \"a\"",
            &["3:5: error[PW-110]: address set `a` contains itself (the circle is `a` -> `a`)"],
        ),
        (
            "[services]\naa = \"bb\"\nbb = \"aa\"",
            &[
                "4:6: error[PW-110]: service `aa` contains itself (the circle is `aa` -> `bb` -> `aa`)",
            ],
        ),
        (
            "[addresses]\nx = \"192.0.2.1\"\n[services]\nyy = \"tcp/1\"\n[rulesets]\nzz = []",
            &[
                "3:1: warning[PW-151]: address set `x` is not used",
                "5:1: warning[PW-151]: service `yy` is not used",
                "7:1: warning[PW-151]: ruleset `zz` is not used",
            ],
        ),
        // `grant --from x` may name it.
        (
            "[addresses]\nx = \"192.0.2.1\"\n[grants]\nservices = \"ssh\"\nmax = \"1h\"",
            &[],
        ),
        (
            "[groups.gg]\nmatch = { name = \"*\" }",
            &[
                "2:9: warning[PW-151]: group `gg` declares instances, and neither rules nor settings",
            ],
        ),
    ]);
}

#[test]
fn clashing_definitions_are_reported() {
    for (text, place, first) in [
        (
            "[groups.gg]\nmode = \"observe\"\n[groups.gg]\nmatch = { name = \"*\" }",
            "4:9: error[PW-102]: `gg` is defined twice",
            2,
        ),
        (
            "[addresses]\nx = \"192.0.2.1\"\n x = \"192.0.2.2\"",
            "4:2: error[PW-102]: `x` is defined twice",
            3,
        ),
        (
            "[instances.ab]\nmode = \"observe\"\nmode = \"additive\"",
            "4:1: error[PW-102]: `mode` is defined twice",
            3,
        ),
    ] {
        let errors = super::read(text).expect_err("refused");
        let error = errors.problems.first().expect("one");
        assert_eq!(error.to_string(), format!("f.toml:{place}"));
        assert_eq!(
            error.related.as_ref().map(|(origin, _)| origin.line),
            Some(first),
            "{text}"
        );
    }
}
