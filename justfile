# Common tasks; `just` lists them. Each is one command that works without just, too.

# List the tasks
default:
    @just --list

# The whole check, as the project's CI runs it
ci:
    .ci/run

# Format, and refuse every warning
lint:
    cargo fmt --all
    cargo clippy --locked --all-targets -- --deny warnings

# Every test that needs nothing but Rust
test *ARGS:
    cargo test --locked {{ARGS}}

# Accept changed snapshots (cargo install cargo-insta)
review:
    cargo insta test --review

# A fleet on the emulator, and a plan for it
quickstart:
    cargo run --locked --example quickstart

# The book, into docs/book
book:
    tests/book/run.sh docs/book

# Mutation tests of one of: exposure, policy, plan, apply
mutants MODULE *ARGS:
    tests/mutants/run.sh {{MODULE}} {{ARGS}}

# Mutated inputs against the program
fuzz RUNS="2000":
    cargo build --locked
    fuzz/outside/fuzz.py target/debug/portward --runs {{RUNS}}

# Benchmarks; hours, and the machine to itself
bench *ARGS:
    benches/run.sh {{ARGS}}

# The archive and the package of a target, as a release has them
release *ARGS:
    release/build {{ARGS}}
