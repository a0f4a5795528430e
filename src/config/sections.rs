//! Cuts a large file into parts that can be parsed one after the other.
//!
//! The parser keeps more than thirty bytes for each byte of text, so a fleet in one file would cost hundreds of megabytes
//! at once, and a part of it only as much as the part needs. Owns the places at which a cut changes nothing: before the header
//! of a table with a two-part name, such as `[instances.web-1]`, that no other part mentions. A table with fixed keys, such as
//! `[guard]`, is in one part with all tables below it. Does not parse: a file whose statements it cannot find is one part.

use std::collections::HashMap;
use std::iter::Peekable;
use std::ops::Range;

use toml_parser::Source;
use toml_parser::lexer::{Lexer, TokenKind};

/// The tables whose keys are names. Several parts may add to one of them.
const TABLES_OF_NAMES: [&str; 6] = [
    "accounts",
    "addresses",
    "services",
    "rulesets",
    "groups",
    "instances",
];

/// A part has at least this many bytes, but for the last one: its tree then takes about 3 MiB, and the cost of starting
/// the parser does not show.
const MIN_PART_BYTES: usize = 64 * 1024;

/// The parts of a text, in order; together they are all of it. Each means on its own what it means in the whole.
pub(super) fn sections(text: &str) -> Vec<Range<usize>> {
    cut(text, MIN_PART_BYTES)
}

fn cut(text: &str, least: usize) -> Vec<Range<usize>> {
    let whole = || std::iter::once(0..text.len()).collect();
    if text.len() <= least {
        return whole();
    }
    cuts(text, least).unwrap_or_else(whole)
}

/// `None` where something is defined in two parts, or might be.
fn cuts(text: &str, least: usize) -> Option<Vec<Range<usize>>> {
    let mut tokens = Tokens::at(text, 0);
    let (mut parts, mut begin, mut at_root) = (Vec::new(), 0, true);
    // The part in which each table is defined, by up to two parts of its name.
    let mut tables: HashMap<(&str, Option<&str>), usize> = HashMap::new();
    // The part in which a name last got a value or an element, so that tables below it belong to that.
    let mut values: HashMap<&str, usize> = HashMap::new();
    while let Some(statement) = tokens.statement()? {
        let part = parts.len();
        match statement {
            Statement::Key(first) if at_root => {
                values.insert(first, part);
            }
            Statement::Key(_) => {}
            Statement::Element(first, None) => {
                at_root = false;
                values.insert(first, part);
            }
            Statement::Element(first, second) | Statement::Table { first, second, .. } => {
                at_root = false;
                let second = second.filter(|_| TABLES_OF_NAMES.contains(&first));
                let is_new = !tables.contains_key(&(first, second)) && !values.contains_key(first);
                if let Statement::Table {
                    start, depth: 2, ..
                } = statement
                    && is_new
                    && start - begin >= least
                {
                    parts.push(begin..start);
                    begin = start;
                }
                let part = parts.len();
                let is_other = |other: &usize| *other != part;
                if is_other(tables.entry((first, second)).or_insert(part))
                    || values.get(first).is_some_and(is_other)
                {
                    return None;
                }
            }
        }
    }
    parts.push(begin..text.len());
    Some(parts)
}

/// A statement of TOML, which begins at the start of a line.
enum Statement<'a> {
    /// `first... = value`
    Key(&'a str),
    /// `[first.second...]`
    Table {
        first: &'a str,
        second: Option<&'a str>,
        /// How many parts the name has.
        depth: usize,
        /// Its first byte.
        start: usize,
    },
    /// `[[first.second...]]`
    Element(&'a str, Option<&'a str>),
}

struct Tokens<'a> {
    text: &'a str,
    /// The byte of the text from which `rest` counts.
    offset: usize,
    rest: Peekable<Lexer<'a>>,
}

impl<'a> Tokens<'a> {
    /// The tokens from this byte on.
    fn at(text: &'a str, offset: usize) -> Self {
        let rest = Source::new(&text[offset..]).lex().peekable();
        Self { text, offset, rest }
    }

    /// The next statement, `Some(None)` at the end. The outer `None` is a text that only the parser can read.
    #[expect(clippy::option_option, reason = "the end is not a failure")]
    fn statement(&mut self) -> Option<Option<Statement<'a>>> {
        let blank = [
            TokenKind::Whitespace,
            TokenKind::Newline,
            TokenKind::Comment,
        ];
        while self
            .rest
            .next_if(|token| blank.contains(&token.kind()))
            .is_some()
        {}
        let Some(token) = self.rest.peek().copied() else {
            return Some(None);
        };
        let start = self.offset + token.span().start();
        let statement = match token.kind() {
            TokenKind::Eof => return Some(None),
            TokenKind::LeftSquareBracket => {
                self.rest.next();
                let is_element = self.is_next(TokenKind::LeftSquareBracket);
                let (first, second, depth) = self.name()?;
                if is_element {
                    Statement::Element(first, second)
                } else {
                    Statement::Table {
                        first,
                        second,
                        depth,
                        start,
                    }
                }
            }
            _ => Statement::Key(self.name()?.0),
        };
        self.skip();
        Some(Some(statement))
    }

    fn is_next(&mut self, kind: TokenKind) -> bool {
        self.rest.next_if(|token| token.kind() == kind).is_some()
    }

    /// A dotted name: its first two parts, and how many there are.
    fn name(&mut self) -> Option<(&'a str, Option<&'a str>, usize)> {
        let mut names = (None, None);
        for depth in 1.. {
            while self.is_next(TokenKind::Whitespace) {}
            let token = self.rest.next()?;
            let raw = &self.text[self.offset..][token.span().start()..token.span().end()];
            let part = match token.kind() {
                TokenKind::Atom => raw,
                // One name can be written in several ways, and only the parser knows them all.
                TokenKind::BasicString | TokenKind::LiteralString if !raw.contains('\\') => {
                    raw.get(1..raw.len() - 1)?
                }
                _ => return None,
            };
            match depth {
                1 => names.0 = Some(part),
                2 => names.1 = Some(part),
                _ => {}
            }
            while self.is_next(TokenKind::Whitespace) {}
            if !self.is_next(TokenKind::Dot) {
                return Some((names.0?, names.1, depth));
            }
        }
        None
    }

    /// Skips the rest of a statement.
    fn skip(&mut self) {
        if let Some(token) = self.rest.peek() {
            let end = end_of_statement(self.text, self.offset + token.span().start());
            *self = Self::at(self.text, end);
        }
    }
}

/// The end of the statement at this byte: after the end of a line, outside of all brackets and strings.
///
/// Most of a large file is lists of rules. Searching their bytes takes a fifth of the time that reading their tokens takes.
fn end_of_statement(text: &str, mut at: usize) -> usize {
    let is_special = |byte: &u8| {
        matches!(
            byte,
            b'\n' | b'#' | b'"' | b'\'' | b'[' | b']' | b'{' | b'}'
        )
    };
    let mut depth = 0_usize;
    while let Some(plain) = text.as_bytes()[at..].iter().position(is_special) {
        at += plain;
        let rest = &text[at..];
        at += match text.as_bytes()[at] {
            b'"' | b'\'' => string_length(rest),
            b'#' => rest.find('\n').unwrap_or(rest.len()),
            b'\n' if depth == 0 => return at + 1,
            b'[' | b'{' => {
                depth += 1;
                1
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                1
            }
            _ => 1,
        };
    }
    text.len()
}

/// The number of bytes of the string with which a text begins.
fn string_length(text: &str) -> usize {
    // Nearly every string is on one line and has no escapes; the lexer knows all others.
    let is_special = |byte| matches!(byte, b'"' | b'\'' | b'\\' | b'\n');
    match text[1..].bytes().position(is_special) {
        Some(inner @ 1..) if text.as_bytes()[inner + 1] == text.as_bytes()[0] => inner + 2,
        _ => (Source::new(text).lex().next()).map_or(text.len(), |token| token.span().end()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::definitions::Definitions;
    use super::super::diagnostic::DiagnosticsBuilder;
    use super::super::{Source as File, read};
    use super::*;

    /// Statements that define things in one place, in several, and in ways that TOML forbids.
    const PIECES: [&str; 30] = [
        "[instances.aa]\nrules = []\n",
        "[instances.bb]\nuse = [\n  \"base\",\n]\n",
        "[instances.\"cc\"]\n# [instances.dd]\nrules = [{ allow = \"ssh\", from = \"office\" }]\n",
        "[instances.cc]\n",
        "[instances.'e.f']\nmode = \"additive\"\n",
        "[instances.e.f]\n",
        "[[instances.aa.rules]]\nallow = \"ssh\"\nfrom = \"anywhere\"\n",
        "[[instances.gg.rules]]\nallow = \"http\"\nfrom = \"anywhere\"\n",
        "[groups.web]\nmatch = { name = \"web-*\" }\n",
        "[groups.web.match]\nname = \"*\"\n",
        "[groups.db]\nmatch.name = \"db-*\"\nrules = [ # ]\n]\n",
        "[groups]\nmail.match = { name = \"mail-*\" }\n",
        "[instances]\nhh.rules = []\n",
        "[rulesets]\nbase = []\n",
        "[[policy]]\nid = \"p\"\nservices = [\"ssh\"]\nat-most = { ipv4 = \"/16\" }\n",
        "[policy.match]\nname = \"web-*\"\n",
        "[addresses]\noffice = [\"203.0.113.0/24\"]\n",
        "[services]\napp = \"\"\"tcp/8080\"\"\"\n",
        "[guard]\nmax-instances = 3\n",
        "[[guard.keep]]\nallow = \"ssh\"\nfrom = \"203.0.113.0/24\"\nowner = \"ops\"\nwhy = \"the way in\"\n",
        "[grants]\nservices = [\"ssh\"]\nmax = \"1h\"\n",
        "[grants.match]\nname = \"web-*\"\n",
        "[defaults.x]\n",
        "[instances.hh]\nmode = \"additive\"\n",
        "[groups.mail.match]\nregion = \"eu-*\"\n",
        "[defaults]\nregion = \"eu-central-1\"\n",
        "[accounts.main]\nid = \"123456789012\"\n",
        "[instances.\"\\u0061a\"]\nuse = []\n",
        "[instances.ii]\nuse = [\n",
        "  [ instances . jj ]  # aside\nrules = []\n",
    ];

    /// What is read of a text in parts of at least this size, and whether something is wrong with it.
    fn definitions(text: &str, least: usize) -> (String, bool) {
        let mut report = DiagnosticsBuilder::default();
        let mut defs = Definitions::default();
        let file = report.add_source(File::new("firewall.toml", text));
        let parts = cut(text, least);
        let joined: String = parts.iter().map(|part| &text[part.clone()]).collect();
        assert_eq!(joined, text);
        read::read_parts(&mut report, &mut defs, file, true, parts);
        (format!("{defs:?}"), report.has_errors())
    }

    proptest! {
        // Most texts have an error, and few of the others are cut.
        #![proptest_config(ProptestConfig::with_cases(4096))]

        /// The same definitions with the same places, or a complaint both times.
        #[test]
        fn parts_mean_the_same_as_the_whole(
            root in prop::sample::select(vec!["", "instances = { kk = {} }\n", "groups.web.use = []\n"]),
            pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..9),
            least in 1_usize..80,
        ) {
            let text = format!("version = 1\n{root}{}", pieces.concat());
            let (whole, is_wrong) = definitions(&text, usize::MAX);
            let (parts, parts_wrong) = definitions(&text, least);
            prop_assert_eq!(is_wrong, parts_wrong, "{}", text);
            if !is_wrong {
                prop_assert_eq!(whole, parts);
            }
        }
    }

    #[test]
    fn fleet_is_cut_unless_a_table_is_in_two_parts() {
        let fleet = "version = 1\n[instances.a]\n[instances.b]\n[instances.c]\n";
        assert_eq!(cut(fleet, 1).len(), 4);
        assert_eq!(cut(fleet, 20).len(), 2);
        let twice = format!("{fleet}[instances.a.b]\n");
        assert_eq!(cut(&twice, 1).len(), 1);
    }

    /// The second part would replace what the first one limits.
    #[test]
    fn table_with_fixed_keys_is_never_in_two_parts() {
        let fleet = "[instances.aa]\nrules = []\n[instances.bb]\nrules = []\n";
        for [first, last] in [
            [
                "[guard]\nmax-instances = 3\n",
                "[[guard.keep]]\nallow = \"ssh\"\nfrom = \"203.0.113.0/24\"\nowner = \"ops\"\nwhy = \"the way in\"\n",
            ],
            [
                "[grants]\nservices = [\"ssh\"]\nmax = \"1h\"\n",
                "[grants.match]\nname = \"web-*\"\n",
            ],
        ] {
            for text in [[first, fleet, last].concat(), [last, fleet, first].concat()] {
                let text = format!("version = 1\n{text}");
                let whole = definitions(&text, usize::MAX);
                assert_eq!(definitions(&text, 1), whole);
                assert!(!whole.1, "{text}");
            }
        }
    }
}
