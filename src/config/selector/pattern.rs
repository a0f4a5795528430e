//! Patterns: whether one includes another, and examples of matching texts.
//!
//! **Owns** the parser of `*`, `?` and `[...]`. **Does not** match texts; `glob` does.

use glob::Pattern;

/// A token of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    /// `*`: any text.
    Any,
    /// `?`: one character.
    One,
    /// `[...]`: one of these, or none of these.
    Class(&'a str),
    /// A literal character.
    Char(char),
}

/// Whether `pattern` matches every text that `other` matches. `false` if a comparison token by token does not show it.
pub(super) fn includes(pattern: &str, other: &str) -> bool {
    let (pattern, other) = (tokenize(pattern), tokenize(other));
    // By index into `other`: whether the tokens of `pattern` after the current one include the tokens of `other` from there on.
    let mut after = vec![false; other.len() + 1];
    after[other.len()] = true;
    for token in pattern.iter().rev() {
        let mut from = vec![false; other.len() + 1];
        for index in (0..=other.len()).rev() {
            from[index] = match (token, other.get(index)) {
                (Token::Any, next) => after[index] || (next.is_some() && from[index + 1]),
                (token, Some(next)) => token_includes(*token, *next) && after[index + 1],
                (_, None) => false,
            };
        }
        after = from;
    }
    after[0]
}

/// Whether a token that is not `*` matches all that the other matches.
fn token_includes(token: Token<'_>, other: Token<'_>) -> bool {
    match (token, other) {
        (_, Token::Any) => false,
        (Token::Any | Token::One, _) => true,
        (Token::Class(class), Token::Char(c)) => is_in(class, c),
        (token, other) => token == other,
    }
}

fn is_in(class: &str, c: char) -> bool {
    Pattern::new(class).is_ok_and(|class| class.matches(c.encode_utf8(&mut [0; 4])))
}

/// Example texts for a pattern. Some may not match, because a class may contain only rare characters.
pub(super) fn examples(pattern: &str) -> Vec<String> {
    let example = |any: &str, one: char, last: bool| {
        let mut text = String::new();
        for token in tokenize(pattern) {
            match token {
                Token::Any => text += any,
                Token::One => text.push(one),
                Token::Char(c) => text.push(c),
                Token::Class(class) => {
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
        example("zz", 'z', true),
        example("0", '0', false),
        example("", '9', true),
        example("", 'a', false),
    ]
}

fn tokenize(pattern: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        tokens.push(match c {
            '*' => Token::Any,
            '?' => Token::One,
            '[' => {
                // A bracket at the beginning is a member of the class.
                let first = if rest[1..].starts_with('!') { 2 } else { 1 };
                let inner = rest.char_indices().skip_while(|(at, _)| *at <= first);
                length = inner
                    .into_iter()
                    .find(|(_, c)| *c == ']')
                    .map_or(rest.len(), |(at, _)| at + 1);
                Token::Class(&rest[..length])
            }
            c => Token::Char(c),
        });
        rest = &rest[length..];
    }
    tokens
}
