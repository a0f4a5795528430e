//! The catalogue: every name and value.

use super::*;

#[test]
fn every_quirk_value_can_be_set_and_listed() {
    let default = Quirks::default();
    for quirk in Quirks::catalogue() {
        assert!(quirk.values.len() >= 2, "{}", quirk.name);
        for (index, value) in quirk.values.iter().enumerate() {
            let text = format!("{}={value}", quirk.name);
            let mut quirks = Quirks::default();
            quirks.set(&text).expect("a value");
            let changed = quirks.changed();
            if index == 0 {
                assert_eq!(quirks, default, "`{text}` is the default");
                assert!(changed.is_empty());
            } else {
                assert_ne!(quirks, default, "`{text}` changes something");
                assert_eq!(changed, [text]);
            }
        }
    }
}

#[test]
fn quirk_names_are_unique_and_set_one_field() {
    let mut all = Quirks::default();
    let mut expected = Vec::new();
    for quirk in Quirks::catalogue() {
        let last = quirk.values.last().expect("a value");
        let text = format!("{}={last}", quirk.name);
        all.set(&text).expect("a value");
        expected.push(text);
    }
    assert_eq!(all.changed(), expected);
}

#[test]
fn invalid_quirk_has_a_hint() {
    for (text, message, hint) in [
        (
            "open",
            "`open` is not NAME=VALUE",
            "for example `open=replace`",
        ),
        (
            "opne=merge",
            "there is no quirk `opne`",
            "did you mean `open`?",
        ),
        (
            "open=replaces",
            "quirk `open` has no value `replaces`",
            "did you mean `replace`?",
        ),
        (
            "close=maybe",
            "quirk `close` has no value `maybe`",
            "it has sources, key",
        ),
        (
            "pending-reads=-1",
            "quirk `pending-reads` has no value `-1`",
            "it has 3, 0",
        ),
    ] {
        let mut quirks = Quirks::default();
        let error = quirks.set(text).expect_err("refused");
        assert_eq!(error.to_string(), message);
        assert_eq!(error.hint(), hint);
        assert_eq!(quirks, Quirks::default());
    }
    let error = Quirks::default().set("weather=fine").expect_err("refused");
    assert!(error.hint().starts_with("there are open, close, "));
}
