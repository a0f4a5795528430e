//! Patterns: whether one includes another, and examples of matching texts.
//!
//! **Owns** the parser of `*`, `?` and `[...]`. **Does not** match texts; `glob` does.

use glob::Pattern;

/// An element of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    /// `*`: any text.
    Any,
    /// `?`: one character.
    One,
    /// `[...]`: one of these, or none of these.
    Class(&'a str),
    /// A literal character.
    Char(char),
}

/// Whether `ours` matches every text that `theirs` matches. `false` if a comparison element by element does not show it.
pub(super) fn covers(ours: &str, theirs: &str) -> bool {
    let (ours, theirs) = (pieces(ours), pieces(theirs));
    // By index into `theirs`: whether the elements of `ours` from here on cover the rest of `theirs` from there on.
    let mut rest = vec![false; theirs.len() + 1];
    rest[theirs.len()] = true;
    for our in ours.iter().rev() {
        let mut here = vec![false; theirs.len() + 1];
        for at in (0..=theirs.len()).rev() {
            let their = theirs.get(at);
            here[at] = match (our, their) {
                (Piece::Any, _) => rest[at] || (their.is_some() && here[at + 1]),
                (our, Some(their)) => takes(*our, *their) && rest[at + 1],
                (_, None) => false,
            };
        }
        rest = here;
    }
    rest[0]
}

/// Whether one element that is not `*` matches all that the other matches.
fn takes(our: Piece<'_>, their: Piece<'_>) -> bool {
    match (our, their) {
        (_, Piece::Any) => false,
        (Piece::Any | Piece::One, _) => true,
        (Piece::Class(class), Piece::Char(c)) => is_in(class, c),
        (our, their) => our == their,
    }
}

fn is_in(class: &str, c: char) -> bool {
    Pattern::new(class).is_ok_and(|class| class.matches(c.encode_utf8(&mut [0; 4])))
}

/// Example texts for a pattern. Some may not match, because a class may contain only rare characters.
pub(super) fn examples(pattern: &str) -> Vec<String> {
    let of = |any: &str, one: char, last: bool| {
        let mut text = String::new();
        for piece in pieces(pattern) {
            match piece {
                Piece::Any => text += any,
                Piece::One => text.push(one),
                Piece::Char(c) => text.push(c),
                Piece::Class(class) => {
                    let mut chars = (' '..='~').filter(|c| is_in(class, *c));
                    text.extend(if last {
                        chars.next_back()
                    } else {
                        chars.next()
                    });
                }
            }
        }
        text
    };
    vec![
        of("zz", 'z', true),
        of("0", '0', false),
        of("", '9', true),
        of("", 'a', false),
    ]
}

fn pieces(pattern: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        pieces.push(match c {
            '*' => Piece::Any,
            '?' => Piece::One,
            '[' => {
                // A bracket at the beginning is a member of the class.
                let first = if rest[1..].starts_with('!') { 2 } else { 1 };
                let inner = rest.char_indices().skip_while(|(at, _)| *at <= first);
                length = inner
                    .into_iter()
                    .find(|(_, c)| *c == ']')
                    .map_or(rest.len(), |(at, _)| at + 1);
                Piece::Class(&rest[..length])
            }
            c => Piece::Char(c),
        });
        rest = &rest[length..];
    }
    pieces
}
