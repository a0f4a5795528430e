//! The README and the book say what the program says: configurations are loaded, commands are run, output is compared.
//!
//! Owns the pages, and what may stand in a fenced block of them. Does not follow links, which `links` does, and does not
//! build the book, which `tests/book/run.sh` does.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use portward::cli::Exit;
use portward::model::Code;
use strum::VariantArray as _;

use crate::example_fleet::{Example, copy};
use crate::stage::{Done, Stage, fleet};

/// The README and every page of the book, by their paths in the repository.
pub(crate) fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("README.md")];
    let mut folders = vec![root.join("docs/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                files.push(path);
            }
        }
    }
    files.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a page");
        let name = path.strip_prefix(root).expect("a path in the repository");
        (name.to_owned(), text)
    };
    files.into_iter().map(read).collect()
}

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(path).expect("a page")
}

/// One fenced block: its language and its lines.
struct Block {
    language: String,
    text: String,
}

/// The fenced blocks of a page, and what is left of it.
fn blocks(page: &str) -> (Vec<Block>, String) {
    let (mut blocks, mut rest) = (Vec::new(), String::new());
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            rest.push_str(line);
            rest.push('\n');
            continue;
        };
        let text = lines.by_ref().take_while(|line| !line.starts_with("```"));
        blocks.push(Block {
            language: language.to_owned(),
            text: text.fold(String::new(), |text, line| text + line + "\n"),
        });
    }
    (blocks, rest)
}

#[test]
fn every_configuration_in_the_book_is_valid() {
    let example = Example::new();
    let files = ["firewall.example.toml", "examples/accounts.toml"];
    let known: BTreeSet<String> = files
        .iter()
        .flat_map(|file| page(file).lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    // What some of them include.
    fs::create_dir(example.folder.path().join("fleet")).expect("a folder");
    fs::write(example.folder.path().join("fleet/more.toml"), "").expect("a file");
    let mut whole = BTreeSet::new();
    for (name, text) in pages() {
        for Block { language, text } in blocks(&text).0 {
            let name = name.display();
            if language != "toml" {
                continue;
            }
            if !text.lines().any(|line| line == "version = 1") {
                for line in text.lines() {
                    assert!(known.contains(line), "{name}: {line:?} is in no example");
                }
                continue;
            }
            fs::write(example.folder.path().join("firewall.toml"), &text).expect("a file");
            let check = portward(example.folder.path(), &["check"]);
            assert_eq!(check.code, Some(0), "{name}:\n{text}\n{}", check.shown());
            let warned = check.stderr.contains("warning");
            assert!(!warned, "{name}:\n{text}\n{}", check.shown());
            whole.insert(name.to_string());
        }
    }
    for name in [
        "README.md",
        "docs/src/getting-started.md",
        "docs/src/language.md",
    ] {
        assert!(whole.contains(name), "{name} shows no configuration");
    }
    let recipes = whole.iter().filter(|name| name.contains("/recipes/"));
    assert!(recipes.count() >= 6, "{whole:?}");
}

/// The program in a folder, with no credentials and nothing of the caller's environment.
fn portward(folder: &Path, args: &[&str]) -> Done {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portward"));
    command
        .args(args)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_REGION", "eu-central-1")
        .stdin(Stdio::null());
    Done::of(&mut command)
}

/// The arguments of each call of the program in a text of shell commands, or in YAML or a crontab that holds some.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    for line in text.replace("\\\n", " ").lines() {
        let mut command: Option<Vec<String>> = None;
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            if first == '#' {
                break;
            }
            if ";|&><()".contains(first) {
                commands.extend(command.take());
                rest = rest[1..].trim_start();
                continue;
            }
            let (word, after) = word(rest);
            match &mut command {
                Some(args) => args.push(word),
                None if word == "portward" || word == "pw" => command = Some(Vec::new()),
                None => {}
            }
            rest = after.trim_start();
        }
        commands.extend(command);
    }
    commands
}

/// The first word as a shell would read it, but that variables stay as they are, and what comes after it.
fn word(text: &str) -> (String, &str) {
    let (mut word, mut quote) = (String::new(), None);
    for (at, c) in text.char_indices() {
        match quote {
            Some(end) if c == end => quote = None,
            None if c == '\'' || c == '"' => quote = Some(c),
            None if c.is_whitespace() || ";|&><()".contains(c) => return (word, &text[at..]),
            _ => word.push(c),
        }
    }
    (word, "")
}

#[test]
fn commands_are_extracted_from_code_blocks() {
    let found = commands(
        "- run: portward check # and portward plan\nX=1 portward plan -t 'a b' --out \\\n  x | portward man; true\n",
    );
    let expected: [&[&str]; 3] = [&["check"], &["plan", "-t", "a b", "--out", "x"], &["man"]];
    assert_eq!(found, expected);
}

/// Flags with which a command would wait, or ask somebody else.
const ONLY_PARSED: [&str; 4] = ["--jitter", "--notify-url", "--endpoint-url", "--probe"];

/// What is typed is accepted: no command that is shown ends with 64, in a fenced block or in a sentence.
#[test]
fn every_command_in_the_book_is_a_valid_command_line() {
    let example = Example::new();
    let folder = example.folder.path();
    fs::copy(
        folder.join("examples/fleet.json"),
        folder.join("fleet.json"),
    )
    .expect("a copy");
    fs::copy(
        folder.join("firewall.example.toml"),
        folder.join("firewall.toml"),
    )
    .expect("a copy");
    let (mut seen, mut refused) = (BTreeSet::new(), Vec::new());
    for (name, text) in pages() {
        let (blocks, rest) = blocks(&text);
        let shell = ["sh", "console", "yaml", "cron"];
        let typed = blocks
            .iter()
            .filter(|block| shell.contains(&block.language.as_str()));
        let mut shown: Vec<Vec<String>> = typed.flat_map(|block| commands(&block.text)).collect();
        let spans = rest.split('`').skip(1).step_by(2);
        let spans = spans.filter(|span| span.starts_with("portward "));
        // A sentence may name a verb without what it takes.
        let spans = spans.flat_map(|span| commands(&span.replace('\n', " ")));
        shown.extend(spans.filter(|args| args.len() > 1));
        for args in shown {
            let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
            seen.insert(args.first().copied().unwrap_or_default().to_owned());
            if args[0] == "emulate" || args.iter().any(|arg| ONLY_PARSED.contains(arg)) {
                args.push("--help");
            }
            let done = portward(folder, &args);
            if done.code == Some(64) {
                refused.push(format!("{}: {args:?}\n{}", name.display(), done.stderr));
            }
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    for verb in verbs() {
        let first = verb.split(' ').next().unwrap_or_default();
        assert!(seen.contains(first), "no page shows `portward {verb}`");
    }
}

/// The verbs, as the help names them.
fn verbs() -> Vec<String> {
    let help = portward(Path::new("."), &["--help"]).stdout;
    let (_, list) = help.split_once("Commands:\n").expect("the verbs");
    let (list, _) = list.split_once("\n\n").expect("the end of the list");
    let verbs = list
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let verbs = verbs.filter_map(|line| line.split_whitespace().next());
    let verbs = verbs.filter(|verb| *verb != "help");
    verbs
        .map(|verb| {
            if verb == "report" {
                "report merge"
            } else {
                verb
            }
            .to_owned()
        })
        .collect()
}

/// The rows of the table below a heading, cell by cell, without its head.
fn table(page: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, section) = page
        .split_once(&format!("\n## {heading}\n"))
        .expect("the section");
    let rows = section.lines().skip_while(|line| !line.starts_with('|'));
    let rows = rows.take_while(|line| line.starts_with('|')).skip(2);
    let cells = |row: &str| {
        let cells = row.trim_matches('|').split(" | ");
        cells.map(|cell| cell.trim().to_owned()).collect()
    };
    rows.map(cells).collect()
}

#[test]
fn verb_tables_are_complete_and_the_readme_is_brief() {
    let expected: BTreeSet<String> = verbs().into_iter().collect();
    for name in ["README.md", "docs/src/verbs.md"] {
        let rows = table(&page(name), "Verbs");
        let mut listed = BTreeSet::new();
        for row in &rows {
            let names = row[0].split('`').skip(1).step_by(2);
            // `apply [PLAN]` is about `apply`, and `drift --adopt` about `drift`.
            let bare = names.map(|name| {
                let words = name.split(' ');
                let words = words.take_while(|word| word.starts_with(char::is_lowercase));
                words.collect::<Vec<_>>().join(" ")
            });
            listed.extend(bare);
            if name == "README.md" {
                let words = row[1].split_whitespace().count();
                assert!(words <= 12, "{row:?} has {words} words");
            }
        }
        assert_eq!(listed, expected, "{name}");
    }
}

#[test]
fn every_error_code_has_a_section_in_order() {
    let page = page("docs/src/errors.md");
    let sections = page.split("\n## ").skip(1).map(|section| {
        let (code, text) = section.split_once("\n\n**").expect("a title in bold");
        let (title, _) = text.split_once("**").expect("an end of the title");
        // A title may go on behind a colon, or wrap.
        let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
        (code.to_owned(), title.trim_end_matches('.').to_owned())
    });
    let codes = Code::VARIANTS.iter();
    let codes = codes.map(|code| (code.to_string(), code.title().to_owned()));
    assert_eq!(
        sections.collect::<Vec<_>>(),
        codes.collect::<Vec<_>>(),
        "left: docs/src/errors.md, right: src/model/code.rs"
    );
}

#[test]
fn exit_status_tables_are_complete() {
    let expected: BTreeSet<u8> = (0..=u8::MAX)
        .filter(|code| Exit::from_code(*code).is_some())
        .collect();
    for name in ["README.md", "docs/src/verbs.md"] {
        let rows = table(&page(name), "Exit codes");
        let codes = rows.iter().flat_map(|row| row[0].split(", "));
        let codes: BTreeSet<u8> = codes.map(|code| code.parse().expect("a code")).collect();
        assert_eq!(codes, expected, "{name}");
    }
}

#[test]
fn readme_is_short_and_shows_a_real_plan() {
    let readme = page("README.md");
    assert!(readme.lines().count() <= 180, "README.md is to be short");
    let plan = Example::new().run(&["plan", "-t", "web-1,web-2,db-1"]);
    assert!(
        readme.contains(&plan.stdout),
        "the README shows another plan than\n{}",
        plan.stdout
    );
}

/// Every command of a page is run in its order, and says what the page shows below it; `…` stands for any lines.
#[test]
fn getting_started_commands_print_what_the_page_shows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().expect("a folder");
    copy(&root.join("examples"), &folder.path().join("examples"));
    let program = Path::new(env!("CARGO_BIN_EXE_portward"));
    let path = std::env::var("PATH").expect("a path");
    let path = format!("{}:{path}", program.parent().expect("a folder").display());
    let mut typed = 0;
    for Block { language, text } in blocks(&page("docs/src/getting-started.md")).0 {
        if language == "toml" {
            fs::write(folder.path().join("firewall.toml"), &text).expect("a file");
        }
        if language != "console" {
            continue;
        }
        for step in text.split("$ ").skip(1) {
            let (line, shown) = step.split_once('\n').expect("a command");
            let _ = fs::remove_file(folder.path().join("fleet.json.operations"));
            let mut shell = Command::new("sh");
            shell
                .args(["-c", line])
                .current_dir(folder.path())
                .env_clear()
                .env("PATH", &path)
                .env("HOME", folder.path())
                .stdin(Stdio::null());
            let done = Done::of(&mut shell);
            let said = format!("{}{}", done.stdout, done.stderr);
            let mut lines = said.lines();
            for expected in shown.lines().filter(|line| *line != "…") {
                assert!(
                    lines.any(|line| line == expected),
                    "`{line}` does not say {expected:?}:\n{}",
                    done.shown()
                );
            }
            typed += 1;
        }
    }
    assert!((5..=10).contains(&typed), "{typed} commands");
    // The page ends in sync.
    let plan = portward(
        folder.path(),
        &["plan", "--emulator", "fleet.json", "--detailed-exitcode"],
    );
    assert_eq!(plan.code, Some(0), "{}", plan.shown());
}

#[test]
fn fleets_page_shows_real_output() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = page("docs/src/fleets.md");
    let example = Example::new();
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portward"));
        command.args(args).current_dir(example.folder.path());
        Done::of(command.env_clear())
    };
    let mut merge = vec!["report".to_owned(), "merge".to_owned()];
    for k in 1..=3 {
        let (shard, report) = (format!("{k}/3"), format!("r{k}.json"));
        example.run(&[
            "drift",
            "--shard",
            &shard,
            "--report",
            &format!("json={report}"),
        ]);
        merge.push(report);
    }
    let merge: Vec<&str> = merge.iter().map(String::as_str).collect();
    let merged = run(&merge);
    assert!(page.contains(&merged.stdout), "{}", merged.shown());

    for typed in [
        "explain --from 203.0.113.7 --to ssh -c firewall.example.toml --inventory examples/fleet.json",
        "doctor -c firewall.example.toml --emulator examples/fleet.json",
    ] {
        let (_, shown) = page
            .split_once(&format!("$ portward {typed}\n"))
            .expect("the command");
        let (shown, _) = shown.split_once("\n```").expect("the end of a fence");
        let done = run(&typed.split(' ').collect::<Vec<_>>());
        let mut lines = done.stdout.lines();
        for line in shown.lines().filter(|line| *line != "…") {
            assert!(lines.any(|said| said == line), "{line:?}: {}", done.shown());
        }
    }

    let examples = fs::read_to_string(root.join("examples/accounts.toml")).expect("a file");
    let (_, toml) = page.split_once("```toml\n").expect("a configuration");
    let (toml, _) = toml.split_once("```").expect("its end");
    for line in toml.lines() {
        assert!(examples.lines().any(|known| known == line), "{line}");
    }
}

/// What is shown of a pipeline is the file that is there to copy.
#[test]
fn pipelines_page_shows_the_example_workflows() {
    for example in ["github/apply.yml", "gitlab.yml"] {
        let text = page(&format!("examples/ci/{example}"));
        let shown = format!("```yaml\n{text}```\n");
        let pipelines = page("docs/src/pipelines.md");
        assert!(pipelines.contains(&shown), "{example} is another:\n{text}");
    }
}

/// The page about formats shows lines of each output, in their order.
#[test]
fn formats_page_shows_real_output() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = page("docs/src/formats.md");
    let mut seen = Vec::new();
    let mut rest = page.as_str();
    while let Some((before, after)) = rest.split_once("\n```") {
        let (excerpt, after) = after.split_once("\n```\n").expect("the end of a fence");
        rest = after;
        let (_, command) = before.rsplit_once("\n`portward ").expect("a command");
        let command = command.split('`').next().unwrap_or_default();
        let stage = Stage::new("", &fleet(Vec::new()));
        let mut run = stage.command(&command.split(' ').collect::<Vec<_>>());
        run.current_dir(root).args([
            "-c",
            "firewall.example.toml",
            "--inventory",
            "examples/fleet.json",
        ]);
        let done = Done::of(&mut run);
        let mut lines = done.stdout.lines();
        for line in excerpt.lines().skip(1).filter(|line| *line != "…") {
            assert!(
                lines.any(|shown| shown == line),
                "`{command}` does not say {line:?}:\n{}",
                done.shown()
            );
        }
        seen.push(command.rsplit(' ').next().unwrap_or_default().to_owned());
    }
    assert_eq!(
        seen,
        [
            "text",
            "markdown",
            "github",
            "sarif",
            "codequality",
            "json",
            "prometheus"
        ]
    );
}
