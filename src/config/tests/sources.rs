//! Tests of unusual texts: their encoding, line endings, size and depth.

use super::super::{Diagnostics, Source, parse};
use super::read;

fn of(bytes: &[u8]) -> Result<(), Diagnostics> {
    parse(vec![Source::from_bytes("f.toml", bytes.to_vec())]).map(|_| ())
}

fn first(bytes: &[u8]) -> String {
    of(bytes)
        .expect_err("refused")
        .problems
        .first()
        .expect("never empty")
        .to_string()
}

#[test]
fn bytes_that_are_not_utf8_are_reported() {
    assert_eq!(
        first(b"version = 1\n# \xc3\xa9\xff\n"),
        "f.toml:2:4: error[PW-102]: this is not UTF-8"
    );
    assert_eq!(
        first(b"\xef\xbb\xbfversion = \xff"),
        "f.toml:1:11: error[PW-102]: this is not UTF-8"
    );
    assert_eq!(
        first(b"\xff\xfev\0e\0"),
        "f.toml:1:1: error[PW-102]: this is not UTF-8 (this looks like UTF-16: save the file as UTF-8)"
    );
    let nul = of(b"version = 1\nx\0 = 2").expect_err("refused");
    assert!(
        nul.to_string().contains("f.toml:2:2: error[PW-102]: "),
        "{nul}"
    );
    assert!(first(b"").starts_with("f.toml:1:1: error[PW-104]: `version` is missing"));
    assert!(
        first(b"version = 2\nnews = 1")
            .starts_with("f.toml:1:11: error[PW-105]: version `2` is not known")
    );
    assert!(parse(Vec::new()).is_err());
}

#[test]
fn every_syntax_error_is_reported() {
    let errors = read("[defaults\nx = = 1\n[services]\ny = \"tcp/1").expect_err("refused");
    let lines: Vec<usize> = errors
        .problems
        .iter()
        .map(|problem| problem.origin.line)
        .collect();
    assert!(lines.len() >= 3 && lines.is_sorted(), "{errors}");
}

#[test]
fn lost_names_are_not_reported_as_undefined() {
    let errors =
        read("[addresses]\nx = [\n[instances.ab]\nrules = [{ allow = \"ssh\", from = \"x\" }]")
            .expect_err("refused");
    assert!(!errors.to_string().contains("there is no"), "{errors}");
}

#[test]
fn columns_count_characters() {
    for text in [
        "# é\n[addresses]\n\"ü\" = 1\n",
        "# é\r\n[addresses]\r\n\"ü\" = 1\r\n",
        "\u{feff}# é\n[addresses]\n\"ü\" = 1",
    ] {
        let errors = parse(vec![Source::new("f.toml", text)]).expect_err("refused");
        let places: Vec<(usize, usize)> = errors
            .problems
            .iter()
            .map(|e| (e.origin.line, e.origin.column))
            .collect();
        assert_eq!(places, [(1, 1), (3, 1), (3, 7)], "{text:?}: {errors}");
    }
}

#[test]
fn deep_nesting_does_not_overflow_the_stack() {
    let dotted = ["a"; 79].join(".");
    let tables = (0..78).fold("1".to_owned(), |inner, _| format!("{{{dotted}={inner}}}"));
    let dotted_long = vec!["a"; 100_000].join(".");
    for text in [
        format!("[{dotted}]\n{dotted} = {tables}"),
        format!("x = {}", "[".repeat(100_000)),
        format!("x = {}", "{a=".repeat(100_000)),
        format!("{dotted_long} = 1"),
        format!("[{dotted_long}]"),
        format!("[instances.ab]\nrules = [{tables}]"),
    ] {
        assert!(read(&text).is_err());
    }
}

#[test]
fn long_chain_of_sets_is_resolved() {
    let rule = "[instances.ab]\nrules = [{ allow = \"ssh\", from = \"s0\" }]\n[addresses]\n";
    let sets: Vec<String> = (0..20_000)
        .map(|at| format!("s{at} = \"s{}\"\n", at + 1))
        .collect();
    let text = format!("{rule}{}", sets.concat());
    assert!(read(&format!("{text}s20000 = \"10.0.0.1\"")).is_ok());
    let circle = read(&format!("{text}s20000 = \"s0\"")).expect_err("a circle");
    assert!(
        circle.to_string().contains("`s0` -> `s1`") && circle.to_string().contains("19991 more"),
        "{circle}"
    );
}

#[test]
fn control_characters_are_not_printed() {
    let text = format!(
        "[addresses]\n\"a\\u001b[31m\" = \"\u{202e}b\"\nx = \"{}\" # \u{7}\u{9b}",
        "y".repeat(1_000_000)
    );
    let shown = read(&text).expect_err("refused").render(false);
    assert!(shown.len() < 10_000, "{}", shown.len());
    assert!(
        !shown.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'),
        "{shown:?}"
    );
}

#[test]
fn problem_is_printed_with_line_and_caret() {
    let errors = read("[addresses]\noffice = [\"203.0.113.7/24\"]").expect_err("refused");
    insta::assert_snapshot!(errors.render(false), @r#"
    error[PW-107]: `203.0.113.7/24` has host bits set
     --> f.toml:3:11
      |
    3 | office = ["203.0.113.7/24"]
      |           ^^^^^^^^^^^^^^^^
      |
      = help: the network is `203.0.113.0/24`; for the one address write `203.0.113.7`

    1 error
    "#);
    assert!(errors.render(true).contains('\u{1b}'));
}

#[test]
fn truncated_line_keeps_its_column() {
    let text = format!(
        "[addresses]\nx = [{}\"10.0.0.1/8\"]",
        "\"10.0.0.1\", ".repeat(20)
    );
    let shown = read(&text).expect_err("refused").render(false);
    assert!(
        shown.contains("--> f.toml:3:246\n") && !shown.contains(":::"),
        "{shown}"
    );
    let colored = read(&text).expect_err("refused").render(true);
    assert!(
        colored.contains("f.toml:3:246") && !colored.contains(":::"),
        "{colored}"
    );
}
