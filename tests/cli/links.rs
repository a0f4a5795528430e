//! Links between pages lead somewhere: files are there, and headings are in them. Nothing is asked of the network.
//!
//! Owns the pages of the repository and the paths that source names. A page of the book links to pages of the book only, so
//! that the same text works as a file and on a site. Does not follow links to other sites.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The files of the repository below a folder, but for what is built.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if ["target", ".git", ".portward"].contains(&name.as_ref()) || path.ends_with("docs/book") {
            continue;
        }
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn repository() -> (PathBuf, Vec<PathBuf>) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    files(&root, &mut found);
    found.sort();
    (root, found)
}

/// What is not in a fenced block.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let keep = |line: &&str| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    };
    let lines = text.lines().filter(keep);
    lines.fold(String::new(), |text, line| text + line + "\n")
}

/// The anchors of the headings of a page, as forges and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for line in prose(text).lines() {
        let heading = line.trim_start_matches('#');
        if heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let kept = heading.trim().chars().filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            _ => c.is_alphanumeric().then(|| c.to_ascii_lowercase()),
        });
        let anchor: String = kept.collect();
        let mut unique = anchor.clone();
        for number in 1.. {
            if anchors.insert(unique.clone()) {
                break;
            }
            unique = format!("{anchor}-{number}");
        }
    }
    anchors
}

/// The targets of the links and pictures of a page.
fn links(text: &str) -> Vec<String> {
    let text = prose(text);
    let targets = text.split("](").skip(1);
    targets
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.to_owned())
        .collect()
}

/// The path without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            _ => normal.push(part),
        }
    }
    normal
}

#[test]
fn every_link_has_a_target() {
    let (root, found) = repository();
    let book = root.join("docs/src");
    let mut count = 0;
    let mut wrong = Vec::new();
    for page in found
        .iter()
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
    {
        let text = fs::read_to_string(page).expect("a page");
        for link in links(&text) {
            if link.starts_with("https://") || link.starts_with("http://") {
                continue;
            }
            count += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => page.clone(),
                file => normal(&page.parent().expect("a folder").join(file)),
            };
            let shown = format!(
                "{}: {link}",
                page.strip_prefix(&root).expect("a path").display()
            );
            if !target.exists() {
                wrong.push(format!("{shown}: no such file"));
            } else if page.starts_with(&book) && !target.starts_with(&book) {
                wrong.push(format!("{shown}: leads out of the book"));
            } else if !anchor.is_empty() {
                let target = fs::read_to_string(&target).expect("a page");
                if !anchors(&target).contains(anchor) {
                    wrong.push(format!("{shown}: no such heading"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count > 50, "{count} links");
}

#[test]
fn every_page_is_in_the_summary_once() {
    let (root, found) = repository();
    let book = root.join("docs/src");
    let summary = book.join("SUMMARY.md");
    let mut listed = links(&fs::read_to_string(&summary).expect("the summary"));
    listed.sort();
    let pages = found
        .iter()
        .filter(|path| path.extension().is_some_and(|e| e == "md"));
    let pages = pages.filter(|path| **path != summary);
    let pages = pages.filter_map(|path| path.strip_prefix(&book).ok());
    let mut pages: Vec<String> = pages.map(|path| path.display().to_string()).collect();
    pages.sort();
    assert_eq!(listed, pages);
}

/// Paths of the repository in pages, scripts and comments: the first folder is one of these.
const FOLDERS: [&str; 9] = [
    "docs/",
    "examples/",
    "tests/",
    "src/",
    "benches/",
    "fuzz/",
    "schemas/",
    ".ci/",
    ".github/",
];

#[test]
fn every_path_in_docs_and_comments_exists() {
    let (root, found) = repository();
    let mut wrong = Vec::new();
    let mut count = 0;
    for file in &found {
        let Ok(text) = fs::read_to_string(file) else {
            continue; // a picture
        };
        let page = file.extension().is_some_and(|e| e == "md");
        // In pages every path between backticks; elsewhere those of documents, which move more often than code.
        let text = if page { prose(&text) } else { text };
        let named: Vec<&str> = if page {
            text.split('`').skip(1).step_by(2).collect()
        } else {
            let word = |c: char| !(c.is_ascii_alphanumeric() || "-_./".contains(c));
            text.split(word)
                .filter(|word| word.starts_with("docs/"))
                .collect()
        };
        for path in named {
            let path = path.trim_end_matches('.');
            let plain = !path.contains(|c: char| c.is_whitespace() || "*{<$".contains(c));
            if !plain || !FOLDERS.iter().any(|folder| path.starts_with(folder)) {
                continue;
            }
            count += 1;
            let built = path.starts_with("docs/book/") || path == "docs/book";
            if !built && !root.join(path).exists() {
                wrong.push(format!(
                    "{}: {path}",
                    file.strip_prefix(&root).expect("a path").display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count > 50, "{count} paths");
}

#[test]
fn every_test_that_a_page_runs_exists() {
    let (root, found) = repository();
    let is_page = |file: &&PathBuf| file.extension().is_some_and(|e| e == "md");
    let mut count = 0;
    for file in found.iter().filter(is_page) {
        let text = fs::read_to_string(file).expect("a page");
        for command in text.split("cargo test").skip(1) {
            let end = command.find(['`', '\n']).unwrap_or(command.len());
            let mut words = command[..end].split_whitespace();
            let Some(target) = words.by_ref().skip_while(|word| *word != "--test").nth(1) else {
                continue;
            };
            count += 1;
            let place = file.display();
            let folder = root.join("tests").join(target);
            assert!(
                folder.is_dir() || folder.with_extension("rs").exists(),
                "{place}: {target}"
            );
            if let Some(test) = words.next().filter(|word| !word.starts_with('-')) {
                let (mut sources, function) = (Vec::new(), format!("fn {test}("));
                files(&folder, &mut sources);
                let has = |source: &PathBuf| {
                    fs::read_to_string(source).is_ok_and(|text| text.contains(&function))
                };
                assert!(sources.iter().any(has), "{place}: {test}");
            }
        }
    }
    assert!(count >= 3, "{count} commands");
}
