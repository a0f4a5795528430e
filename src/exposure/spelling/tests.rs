//! Subtraction by meaning, against the sets and for the spelling.

use proptest::prelude::*;

use super::*;
use crate::model::arbitrary::{Universe, sources};

fn listed(texts: &[&str]) -> Sources {
    texts
        .iter()
        .filter_map(|text| Sources::parse_live(text))
        .collect()
}

fn lawful(a: &Sources, b: &Sources) -> Result<(), TestCaseError> {
    let (x, y) = (Access::from(a), Access::from(b));
    let rest = subtract(a, b);
    prop_assert_eq!(Access::from(&rest), x.difference(&y));
    for net in a.ipv4() {
        let alone = Access::from(&IpNet::V4(*net).into_sources());
        prop_assert!(
            !alone.intersection(&y).is_empty() || rest.ipv4().contains(net),
            "{} is lost",
            net
        );
    }
    let open = uncovered(a, b);
    prop_assert!(a.names_all_of(&open));
    prop_assert_eq!(open.is_empty(), y.is_superset(&x));
    prop_assert_eq!(Access::from(&open).difference(&y), x.difference(&y));
    for net in open.ipv6() {
        prop_assert!(
            !y.is_superset(&Access::from(&IpNet::V6(*net).into_sources())),
            "{} is covered",
            net
        );
    }
    prop_assert_eq!(means_same(a, b), x == y);
    prop_assert!(means_same(a, &x.to_sources()));
    Ok(())
}

trait IntoSources {
    fn into_sources(self) -> Sources;
}

impl IntoSources for IpNet {
    fn into_sources(self) -> Sources {
        [self].into_iter().collect()
    }
}

proptest! {
    #[test]
    fn in_a_small_universe(a in sources(Universe::Small), b in sources(Universe::Small)) {
        lawful(&a, &b)?;
    }

    #[test]
    fn in_a_big_universe(a in sources(Universe::Big), b in sources(Universe::Big)) {
        lawful(&a, &b)?;
    }
}

#[test]
fn only_what_is_touched_is_cut() {
    let a = listed(&["192.0.2.0/25", "192.0.2.128/25", "10.0.0.0/30", "::1/128"]);
    let b = listed(&["10.0.0.1/32", "2001:db8::/32"]);
    assert_eq!(
        subtract(&a, &b).to_string(),
        "10.0.0.0/32, 10.0.0.2/31, 192.0.2.0/25, 192.0.2.128/25, ::1/128"
    );
    assert_eq!(
        uncovered(&a, &listed(&["192.0.2.0/24"])).to_string(),
        "10.0.0.0/30, ::1/128"
    );
}

#[test]
fn halves_mean_the_whole_and_an_alias_is_itself() {
    assert!(means_same(
        &listed(&["0.0.0.0/1", "128.0.0.0/1"]),
        &listed(&["0.0.0.0/0", "10.0.0.0/8"])
    ));
    assert!(!means_same(
        &listed(&["0.0.0.0/1"]),
        &listed(&["0.0.0.0/0"])
    ));
    let mut named = Sources::anywhere();
    named.insert_alias("lightsail-connect");
    assert!(!means_same(&named, &Sources::anywhere()));
    assert_eq!(
        subtract(&named, &Sources::anywhere()).to_string(),
        "lightsail-connect"
    );
    assert_eq!(
        uncovered(&named, &Sources::anywhere()).to_string(),
        "lightsail-connect"
    );
}
