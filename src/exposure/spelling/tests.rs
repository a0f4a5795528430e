//! Tests of subtraction: the result by meaning, and the spelling that is kept.

use ipnet::IpNet;
use proptest::prelude::*;

use super::*;
use crate::model::arbitrary::{Universe, family, named as listed, sources};

fn obeys_the_laws(a: &Sources, b: &Sources, family: Family) -> Result<(), TestCaseError> {
    let (x, y) = (Access::of(a, family), Access::of(b, family));
    let rest = subtract(a, b, family);
    prop_assert_eq!(Access::from(&rest), Access::from(a).difference(&y));
    for net in a.ipv4() {
        let alone = Access::from(&Sources::from_iter([IpNet::V4(*net)]));
        prop_assert!(
            !alone.intersection(&y).is_empty() || rest.ipv4().contains(net),
            "{} is lost",
            net
        );
    }
    let open = uncovered(a, b, family);
    prop_assert!(a.names_all_of(&open));
    prop_assert_eq!(open.is_empty(), y.is_superset(&x));
    let with_y = |access: &Access| access.union(&y).with_client(Some(family));
    prop_assert_eq!(with_y(&Access::from(&open)), with_y(&x));
    for net in open.ipv6() {
        prop_assert!(
            !y.is_superset(&Access::from(&Sources::from_iter([IpNet::V6(*net)]))),
            "{} is covered",
            net
        );
    }
    prop_assert_eq!(means_same(a, b, family), x == y);
    prop_assert!(means_same(a, &x.to_sources(family), family));
    Ok(())
}

proptest! {
    #[test]
    fn subtraction_obeys_the_laws_in_a_small_universe(a in sources(Universe::Small), b in sources(Universe::Small), family in family()) {
        obeys_the_laws(&a, &b, family)?;
    }

    #[test]
    fn subtraction_obeys_the_laws_in_a_big_universe(a in sources(Universe::Big), b in sources(Universe::Big), family in family()) {
        obeys_the_laws(&a, &b, family)?;
    }
}

#[test]
fn subtract_keeps_untouched_networks() {
    let a = listed(&["192.0.2.0/25", "192.0.2.128/25", "10.0.0.0/30", "::1/128"]);
    let b = listed(&["10.0.0.1/32", "2001:db8::/32"]);
    assert_eq!(
        subtract(&a, &b, Family::V4).to_string(),
        "10.0.0.0/32, 10.0.0.2/31, 192.0.2.0/25, 192.0.2.128/25, ::1/128"
    );
    assert_eq!(
        uncovered(&a, &listed(&["192.0.2.0/24"]), Family::V4).to_string(),
        "10.0.0.0/30, ::1/128"
    );
}

#[test]
fn two_halves_equal_the_whole_network() {
    let (halves, whole) = (["0.0.0.0/1", "128.0.0.0/1"], ["0.0.0.0/0", "10.0.0.0/8"]);
    assert!(means_same(&listed(&halves), &listed(&whole), Family::V4));
    let (half, whole) = (listed(&halves[..1]), listed(&whole[..1]));
    assert!(!means_same(&half, &whole, Family::V4));
}

#[test]
fn browser_client_belongs_to_its_whole_family() {
    let named = listed(&["0.0.0.0/0", "::/0", "lightsail-connect"]);
    let (v4, v6) = (listed(&["0.0.0.0/0"]), listed(&["::/0"]));
    for family in [Family::V4, Family::V6] {
        let (own, other) = match family {
            Family::V4 => (&v4, &v6),
            Family::V6 => (&v6, &v4),
        };
        assert!(means_same(&named, &Sources::anywhere(), family));
        assert!(!means_same(&listed(&["lightsail-connect"]), own, family));
        assert!(subtract(&named, &Sources::anywhere(), family).is_empty());
        assert_eq!(subtract(&named, own, family), *other);
        assert!(subtract(&named, other, family).names_all_of(&listed(&["lightsail-connect"])));
        assert_eq!(uncovered(&named, own, family), *other);
        let client = listed(&["lightsail-connect"]);
        assert_eq!(subtract(own, &client, family), *own);
        assert_eq!(uncovered(&client, other, family), client);
    }
    let partners = listed(&["partners"]);
    assert_eq!(
        uncovered(&partners, &Sources::anywhere(), Family::V4),
        partners
    );
}
