//! Which file of `src` names which other: the modules, resolved from the paths that the text of each file has.
//!
//! **Owns** the reading of paths (`crate::`, `self::`, `super::`, trees with braces, names that a module passes on from
//! another one) and the search for circles. **Does not** judge: what is allowed is said in `main`. Code of tests
//! (`#[cfg(test)]`) is left out. A name that a macro makes up, or that comes through `*` of another module, is not seen.

use std::collections::{BTreeMap, BTreeSet};

/// A module as the names on its path: `["cli", "output"]`; the root is empty.
pub(crate) type ModulePath = Vec<String>;

/// Each file as a module, with those that it names.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    edges: BTreeMap<ModulePath, BTreeSet<ModulePath>>,
}

/// Files that name each other in a circle.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Circle {
    /// The folder that holds all of them; empty at the root.
    pub(crate) folder: String,
    /// The files, as paths of modules, such as `cli/output`.
    pub(crate) files: Vec<String>,
}

/// What one file says.
#[derive(Debug, Default)]
struct File {
    /// The paths that it names, each with the module that they count from, as they are written.
    paths: Vec<Vec<String>>,
    /// The names that `use` brings in, with the path of each.
    imports: BTreeMap<String, Vec<String>>,
    /// The modules that are declared for tests only.
    test_modules: BTreeSet<String>,
}

impl Graph {
    /// The graph of these files: the path of each below `src`, such as `cli/mod.rs`, with its text.
    pub(crate) fn of(sources: &[(String, String)]) -> Self {
        let mut files: BTreeMap<ModulePath, File> = BTreeMap::new();
        for (path, text) in sources {
            let module = module_of(path);
            let file = read(&tokens(text), &module);
            files.insert(module, file);
        }
        let tests: Vec<ModulePath> = files
            .iter()
            .flat_map(|(module, file)| {
                let names = file.test_modules.iter();
                names.map(|name| [&module[..], std::slice::from_ref(name)].concat())
            })
            .collect();
        files.retain(|module, _| !tests.iter().any(|test| module.starts_with(test)));
        let mut edges: BTreeMap<ModulePath, BTreeSet<ModulePath>> = BTreeMap::new();
        for (module, file) in &files {
            let mut named = BTreeSet::new();
            for path in &file.paths {
                resolve(&files, path, 8, &mut named);
            }
            named.remove(module);
            edges.insert(module.clone(), named);
        }
        Self { edges }
    }

    /// The files, each with those that it names.
    pub(crate) fn edges(&self) -> impl Iterator<Item = (&ModulePath, &ModulePath)> {
        let edges = self.edges.iter();
        edges.flat_map(|(from, named)| named.iter().map(move |to| (from, to)))
    }

    /// Every circle. A module and what is in its own folder may know each other, so the file of a folder is left out where
    /// circles in this folder are looked for.
    pub(crate) fn circles(&self) -> Vec<Circle> {
        let mut folders: BTreeSet<&[String]> = BTreeSet::new();
        for module in self.edges.keys() {
            folders.extend((0..module.len()).map(|depth| &module[..depth]));
        }
        let mut circles = BTreeSet::new();
        for folder in folders {
            let inside =
                |module: &ModulePath| module.len() > folder.len() && module.starts_with(folder);
            for files in self.components(inside) {
                let units: BTreeSet<&String> =
                    files.iter().map(|file| &file[folder.len()]).collect();
                if units.len() > 1 {
                    circles.insert(Circle {
                        folder: folder.join("/"),
                        files: files.iter().map(|file| file.join("/")).collect(),
                    });
                }
            }
        }
        circles.into_iter().collect()
    }

    /// The greatest sets of files that all reach each other, among those that are asked for.
    fn components(&self, inside: impl Fn(&ModulePath) -> bool) -> Vec<BTreeSet<&ModulePath>> {
        let reached = |from: &ModulePath| {
            let mut reached: BTreeSet<&ModulePath> = BTreeSet::new();
            let mut open: Vec<&ModulePath> = self.edges.get(from).into_iter().flatten().collect();
            while let Some(module) = open.pop() {
                if inside(module) && reached.insert(module) {
                    open.extend(self.edges.get(module).into_iter().flatten());
                }
            }
            reached
        };
        let modules = self.edges.keys().filter(|module| inside(module));
        let reach: BTreeMap<&ModulePath, BTreeSet<&ModulePath>> =
            modules.map(|module| (module, reached(module))).collect();
        let mut components = Vec::new();
        let mut done = BTreeSet::new();
        for (module, reached) in &reach {
            if reached.contains(module) && !done.contains(module) {
                let back = reached
                    .iter()
                    .filter(|other| reach[*other].contains(module));
                let component: BTreeSet<&ModulePath> = back.copied().collect();
                done.extend(component.iter().copied());
                components.push(component);
            }
        }
        components
    }
}

/// The module that a file is: `cli/mod.rs` is `cli`, as `cli.rs` would be.
fn module_of(path: &str) -> ModulePath {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let path = path.strip_suffix("mod").unwrap_or(path);
    let names = path
        .split('/')
        .filter(|name| !name.is_empty() && *name != "lib");
    names.map(str::to_owned).collect()
}

/// Adds the files that an absolute path names: the module that it leads to, and where that passes a name on, its origin.
fn resolve(
    files: &BTreeMap<ModulePath, File>,
    path: &[String],
    depth: usize,
    named: &mut BTreeSet<ModulePath>,
) {
    let known = (0..=path.len())
        .rev()
        .find(|end| files.contains_key(&path[..*end]));
    let Some(end) = known else { return };
    let module = &path[..end];
    if !module.is_empty() {
        named.insert(module.to_vec());
    }
    if let Some(name) = path.get(end)
        && let Some(origin) = files[module].imports.get(name)
        && depth > 0
    {
        let rest = path[end + 1..].iter();
        let origin: Vec<String> = origin.iter().chain(rest).cloned().collect();
        resolve(files, &origin, depth - 1, named);
    }
}

/// The words and signs of a text, without comments and literals.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = literal(rest) {
            length
        } else if is_word(first) {
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            tokens.push(rest[..length].to_owned());
            length
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                tokens.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

/// The length of the string or character that a text begins with.
fn literal(text: &str) -> Option<usize> {
    let unprefixed = text.strip_prefix('b').unwrap_or(text);
    let prefix = text.len() - unprefixed.len();
    if let Some(raw) = unprefixed.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let body = &raw[hashes + 1..];
            let length = body.find(&end).map_or(body.len(), |at| at + end.len());
            return Some(prefix + 1 + hashes + 1 + length);
        }
    }
    let quote = unprefixed
        .chars()
        .next()
        .filter(|c| matches!(c, '"' | '\''))?;
    let body = &unprefixed[1..];
    if quote == '\'' {
        // A lifetime has no end.
        let is_escaped = body.starts_with('\\');
        let second = body.chars().nth(1);
        if !is_escaped && second != Some('\'') {
            return None;
        }
    }
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(prefix + 1 + at + c.len_utf8()),
            _ => {}
        }
    }
    Some(text.len())
}

/// Reads what a file says.
fn read(tokens: &[String], module: &[String]) -> File {
    let mut file = File::default();
    // The modules inside this file that are open, each with how many braces were open before it.
    let mut inner: Vec<(String, usize)> = Vec::new();
    let mut braces = 0;
    let mut at = 0;
    let word = |at: usize| tokens.get(at).map_or("", String::as_str);
    while at < tokens.len() {
        match word(at) {
            "#" if is_for_tests(&tokens[at..]) => {
                let end = item_end(tokens, at + 7);
                if let Some(module) = declared(&tokens[at + 7..end]) {
                    file.test_modules.insert(module);
                }
                at = end;
                continue;
            }
            "{" => braces += 1,
            "}" => {
                braces -= 1;
                inner.pop_if(|(_, before)| *before == braces);
            }
            // Who may see an item is nothing that it uses.
            "pub" if word(at + 1) == "(" => {
                let length = tokens[at..].iter().position(|token| token == ")");
                at += length.unwrap_or(1);
            }
            "mod" if word(at + 2) == "{" => {
                inner.push((word(at + 1).to_owned(), braces));
                braces += 1;
                at += 3;
                continue;
            }
            "mod" if word(at + 2) == ";" => {
                file.paths
                    .push([module, &[word(at + 1).to_owned()]].concat());
            }
            "use" => {
                let end = tokens[at..].iter().position(|token| token == ";");
                let end = end.map_or(tokens.len(), |length| at + length);
                let mut found = Vec::new();
                tree(&tokens[at + 1..end], &mut 0, &[], &mut found);
                for (path, name) in found {
                    let Some(path) = absolute(&path, module, &inner, true) else {
                        continue;
                    };
                    if inner.is_empty() {
                        file.imports.insert(name, path.clone());
                    }
                    file.paths.push(path);
                }
                at = end;
                continue;
            }
            "crate" | "super" | "self" if word(at + 1) == "::" => {
                let mut path = vec![word(at).to_owned()];
                while word(at + 1) == "::" && word(at + 2).starts_with(|c: char| c.is_alphabetic())
                {
                    path.push(word(at + 2).to_owned());
                    at += 2;
                }
                file.paths.extend(absolute(&path, module, &inner, false));
            }
            _ => {}
        }
        at += 1;
    }
    file
}

fn is_for_tests(tokens: &[String]) -> bool {
    const TESTS: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    tokens.len() >= TESTS.len() && tokens.iter().zip(TESTS).all(|(token, test)| token == test)
}

/// Where an item ends that begins at a token: behind its `;`, or behind its braces.
fn item_end(tokens: &[String], start: usize) -> usize {
    let mut open = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.as_str() {
            "{" | "(" | "[" => open += 1,
            ")" | "]" => open = open.saturating_sub(1),
            "}" => {
                open = open.saturating_sub(1);
                if open == 0 {
                    return at + 1;
                }
            }
            ";" if open == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// The name of the module that an item declares.
fn declared(item: &[String]) -> Option<String> {
    let at = item.iter().position(|token| token == "mod")?;
    item.get(at + 1).cloned()
}

/// Reads a tree of `use`: each path in it with the name that it gets.
fn tree(
    tokens: &[String],
    at: &mut usize,
    before: &[String],
    found: &mut Vec<(Vec<String>, String)>,
) {
    let mut path = before.to_vec();
    while let Some(token) = tokens.get(*at) {
        match token.as_str() {
            "{" => {
                *at += 1;
                while tokens.get(*at).is_some_and(|token| token != "}") {
                    tree(tokens, at, &path, found);
                    if tokens.get(*at).is_some_and(|token| token == ",") {
                        *at += 1;
                    }
                }
                *at += 1;
                return;
            }
            "," | "}" => break,
            "::" => *at += 1,
            "as" => {
                let name = tokens.get(*at + 1).cloned().unwrap_or_default();
                *at += 2;
                found.push((path, name));
                return;
            }
            // Of a module in a tree, the module itself.
            "self" if !path.is_empty() => *at += 1,
            name => {
                path.push(name.to_owned());
                *at += 1;
            }
        }
    }
    let name = path.last().cloned().unwrap_or_default();
    found.push((path, name));
}

/// A path as it counts from the root; `None` where it leads to another crate, or stays in this file.
fn absolute(
    path: &[String],
    module: &[String],
    inner: &[(String, usize)],
    is_use: bool,
) -> Option<Vec<String>> {
    let mut base = module.to_vec();
    base.extend(inner.iter().map(|(name, _)| name.clone()));
    let mut path = path;
    match path.first()?.as_str() {
        "crate" => {
            base.clear();
            path = &path[1..];
        }
        "self" => path = &path[1..],
        "super" => {}
        // The name of a crate, or of a module of this file, which `mod` has named.
        _ if !is_use || !inner.is_empty() => return None,
        _ => {}
    }
    while path.first().is_some_and(|name| name == "super") {
        base.pop();
        path = &path[1..];
    }
    Some([&base[..], path].concat())
}
