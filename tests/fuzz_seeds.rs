//! The fuzz targets as plain property tests: every seed, any bytes, and seeds with pieces torn out and put in.
//!
//! Owns the making of bytes. What must hold for them is said in `fuzz/src`, which `cargo fuzz` uses too.

#[expect(
    unreachable_pub,
    reason = "it is the library of another crate, and public there"
)]
#[path = "../fuzz/src/lib.rs"]
mod harness;

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;

/// Every seed of a target, by name.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(target);
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("seeds")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let seeds: Vec<Vec<u8>> = paths
        .iter()
        .map(|path| fs::read(path).expect("a seed"))
        .collect();
    assert!(!seeds.is_empty(), "`{target}` has no seed");
    seeds
}

/// One thing that happens to a text on its way.
#[derive(Clone, Debug)]
enum ReceiptError {
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    Flip(Index, u8),
}

impl ReceiptError {
    fn apply(self, bytes: &mut Vec<u8>) {
        let size = bytes.len();
        let at = |index: Index| index.index(size + 1);
        match self {
            Self::Insert(index, piece) => {
                let at = at(index);
                bytes.splice(at..at, piece);
            }
            Self::Remove(index, length) => {
                let at = at(index);
                bytes.drain(at..(at + length).min(size));
            }
            Self::Repeat(index, length) => {
                let at = at(index);
                let piece = bytes[at..(at + length).min(size)].to_vec();
                bytes.splice(at..at, piece);
            }
            Self::Flip(index, bits) => {
                if let Some(byte) = bytes.get_mut(at(index)) {
                    *byte ^= bits;
                }
            }
        }
    }
}

/// Pieces that mean something to the readers, or to whoever reads what they say.
const PIECES: [&str; 26] = [
    "null",
    "[]",
    "{}",
    "\"\"",
    "-1",
    "22.0",
    "99999999999",
    "0.0.0.0/0",
    "::/0",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\n",
    "\u{c}",
    "\u{1b}[2J",
    "::error::x",
    "##[error]",
    "\u{202e}",
    "\"portStates\":",
    "\"__type\":",
    "version = 1\n",
    "[[policy]]",
    "until = 2031-12-31",
    "\\u0000",
];

fn damage() -> impl Strategy<Value = ReceiptError> {
    let piece = prop_oneof![
        4 => proptest::sample::select(&PIECES[..]).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..4),
    ];
    prop_oneof![
        3 => (any::<Index>(), piece).prop_map(|(at, piece)| ReceiptError::Insert(at, piece)),
        2 => (any::<Index>(), 0..40_usize).prop_map(|(at, length)| ReceiptError::Remove(at, length)),
        1 => (any::<Index>(), 0..40_usize).prop_map(|(at, length)| ReceiptError::Repeat(at, length)),
        1 => (any::<Index>(), 1..=255_u8).prop_map(|(at, bits)| ReceiptError::Flip(at, bits)),
    ]
}

/// Any bytes, and, more often, damaged seeds.
fn bytes(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let damaged = (
        proptest::sample::select(seeds),
        proptest::collection::vec(damage(), 1..5),
    );
    let damaged = damaged.prop_map(|(mut bytes, damages)| {
        for damage in damages {
            damage.apply(&mut bytes);
        }
        bytes
    });
    prop_oneof![1 => proptest::collection::vec(any::<u8>(), 0..120), 7 => damaged]
}

#[test]
fn fuzz_seeds_pass() {
    for seed in seeds("config") {
        harness::config::check(&seed);
    }
    for seed in seeds("reply") {
        harness::reply::check(&seed);
    }
    for seed in seeds("plan") {
        harness::plan::check(&seed);
    }
    for seed in seeds("request") {
        harness::request::check(&seed);
    }
    harness::config::check(include_bytes!("../firewall.example.toml"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn configuration_seeds_pass(bytes in bytes(seeds("config"))) {
        harness::config::check(&bytes);
    }

    #[test]
    fn plan_file_seeds_pass(bytes in bytes(seeds("plan"))) {
        harness::plan::check(&bytes);
    }

    #[test]
    fn request_seeds_pass(bytes in bytes(seeds("request"))) {
        harness::request::check(&bytes);
    }

    #[test]
    fn reply_seeds_pass(bytes in bytes(seeds("reply"))) {
        harness::reply::check(&bytes);
    }
}
