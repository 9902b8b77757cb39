//! Checks the code against the rules of `docs/architecture.md`: which modules may use which others, and the form of
//! source files.
//!
//! The checks read lines and don't parse Rust. Code under `#[cfg(test)]` may use any module.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules that each top-level module of `src` may use. A commit that adds an edge says why.
const EDGES: &[(&str, &[&str])] = &[
    ("expression", &[]),
    ("workload", &[]),
    ("yaml", &[]),
    ("inventory", &["workload"]),
    ("rules", &["inventory", "workload"]),
    ("policy", &["expression", "rules", "workload", "yaml"]),
    ("governance", &["inventory", "paths", "policy", "rules", "workload"]),
    ("output", &["enforcement", "governance", "manifests", "policy", "rules", "workload"]),
    ("manifests", &["enforcement", "policy", "rules", "workload"]),
    ("files", &["paths", "proxy", "trust", "workload", "yaml"]),
    ("paths", &[]),
    ("config", &["files", "governance", "paths", "policy", "rules", "yaml"]),
    ("proxy", &[]),
    ("trust", &[]),
    ("render", &["files", "paths", "yaml"]),
    ("repository", &[]),
    ("cluster", &["proxy", "trust", "yaml"]),
    ("leader", &[]),
    ("telemetry", &[]),
    ("runtime", &[]),
    ("policies", &["cluster", "policy", "workload"]),
    ("enforcement", &["governance", "policy", "rules", "workload"]),
    ("fleet", &["cluster"]),
    ("terminal", &["output"]),
    ("observer", &["cluster", "governance", "leader", "policy", "rules", "telemetry", "workload"]),
    (
        "remediation",
        &[
            "cluster",
            "enforcement",
            "governance",
            "leader",
            "manifests",
            "policies",
            "policy",
            "rules",
            "telemetry",
            "workload",
        ],
    ),
    (
        "admission",
        &[
            "cluster",
            "enforcement",
            "governance",
            "leader",
            "manifests",
            "policies",
            "policy",
            "rules",
            "runtime",
            "telemetry",
            "workload",
        ],
    ),
    (
        "operator",
        &[
            "admission",
            "cluster",
            "enforcement",
            "governance",
            "inventory",
            "leader",
            "manifests",
            "policies",
            "policy",
            "remediation",
            "rules",
            "telemetry",
            "workload",
        ],
    ),
    (
        "commands",
        &[
            "admission",
            "cluster",
            "config",
            "enforcement",
            "files",
            "fleet",
            "governance",
            "leader",
            "manifests",
            "observer",
            "operator",
            "output",
            "paths",
            "policies",
            "policy",
            "remediation",
            "render",
            "repository",
            "rules",
            "runtime",
            "telemetry",
            "terminal",
            "workload",
            "yaml",
        ],
    ),
];

/// Allowed edges that no code needs yet.
const PLANNED: &[(&str, &str)] = &[("output", "workload")];

/// The modules in which a `kube::Client` may appear.
const CLIENT_MODULES: &[&str] = &["admission", "cluster", "leader", "remediation", "operator"];

/// The modules of L0 and L1. They hold no async code, read no clock and do no I/O.
const PURE_MODULES: &[&str] = &[
    "workload",
    "inventory",
    "expression",
    "rules",
    "yaml",
    "paths",
    "policy",
    "governance",
    "enforcement",
    "output",
    "manifests",
];

/// Marks of async code, of clocks and of I/O.
const IMPURE: &[&str] = &[
    "async fn",
    "async {",
    "async move",
    "async |",
    ".await",
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    "Zoned::now",
    "std::fs",
    "std::net",
    "std::process",
    "io::stdin",
    "io::stdout",
    "io::stderr",
];

/// The items that a `mod.rs` may hold besides docs, `mod`, `use` and statics: the lookup beside the registry that it
/// reads, and a registry that is an enum, with its methods.
const MOD_RS_EXCEPTIONS: &[(&str, &[&str])] = &[
    ("src/rules/mod.rs", &["pub fn find(", "pub fn fix_of("]),
    ("src/output/mod.rs", &["pub enum Format ", "impl Format "]),
    (
        "src/commands/mod.rs",
        &[
            "enum ",
            "struct ",
            "impl",
            "fn ",
            "async fn ",
            "pub enum ",
            "pub struct ",
            "pub fn ",
            "pub async fn ",
        ],
    ),
];

/// File names that don't describe the content.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "types", "misc"];

/// The maximum number of lines of a file before its tests.
const LONGEST: usize = 500;

/// The most lines of a file of `commands` before its tests.
const LONGEST_COMMAND: usize = 120;

/// A file of `src`, its path written with slashes.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// Returns the components of the path below `src`, without `.rs`.
    fn modules(&self) -> Vec<&str> {
        self.path.trim_start_matches("src/").trim_end_matches(".rs").split('/').collect()
    }

    /// Returns the top-level module of the file; `main` and `lib` for the two roots.
    fn module(&self) -> &str {
        self.modules()[0]
    }

    /// Returns true if the parent module declares the whole file as test code.
    fn is_test(&self) -> bool {
        self.modules().contains(&"tests")
    }

    /// Returns the numbered lines of code, without comments and without items under `#[cfg(test)]`.
    fn code(&self) -> Vec<(usize, &str)> {
        let mut lines = Vec::new();
        let mut all = self.text.lines().enumerate();
        while let Some((index, line)) = all.next() {
            if line.trim_start().starts_with("#[cfg(test)]") {
                skip_item(line, &mut all);
            } else if !line.trim_start().starts_with("//") {
                lines.push((index + 1, line.split(" // ").next().unwrap_or(line)));
            }
        }
        lines
    }
}

/// Skips the item after an attribute, up to the line at the same indentation that ends a block or a statement.
fn skip_item<'a>(attribute: &str, lines: &mut impl Iterator<Item = (usize, &'a str)>) {
    let indent = &attribute[..attribute.len() - attribute.trim_start().len()];
    let ends = |line: &str| {
        line.strip_prefix(indent).is_some_and(starts_at_margin) && line.trim_end().ends_with(['}', ';'])
    };
    if !ends(attribute) {
        lines.find(|(_, line)| ends(line));
    }
}

fn starts_at_margin(rest: &str) -> bool {
    !rest.starts_with([' ', '\t'])
}

/// Returns the modules that a line uses, as `crate::x` and as the names of `crate::{x::…, y::…}`.
fn used(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        if line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &line[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(heads(group)),
            None => found.extend(identifier(rest)),
        }
    }
    found
}

/// Returns the first names of a use group: `a` and `d` for `a::{b, c}, d`.
fn heads(group: &str) -> Vec<&str> {
    let mut depth = 0;
    let mut start = 0;
    let mut found = Vec::new();
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.extend(identifier(group[start..at].trim_start()));
                return found;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.extend(identifier(group[start..at].trim_start()));
                start = at + 1;
            }
            _ => {}
        }
    }
    found.extend(identifier(group[start..].trim_start()));
    found
}

fn identifier(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    Some(&text[..end]).filter(|name| !name.is_empty())
}

/// Joins a multi-line `use` into one line at its first line.
fn statements(source: &Source) -> Vec<(usize, String)> {
    let mut joined: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (number, line) in source.code() {
        let trimmed = line.trim();
        match joined.last_mut() {
            Some((_, statement)) if open => {
                statement.push_str(trimmed);
                open = !trimmed.ends_with(';');
            }
            _ => {
                let begins =
                    trimmed.starts_with("use ") || trimmed.starts_with("pub") && trimmed.contains(" use ");
                open = begins && !trimmed.ends_with(';');
                joined.push((number, line.to_owned()));
            }
        }
    }
    joined
}

/// Returns every edge between two top-level modules, with its place.
fn edges(sources: &[Source]) -> Vec<(String, String, String)> {
    let modules: BTreeSet<&str> = sources.iter().map(Source::module).collect();
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| !source.is_test()) {
        for (number, statement) in statements(source) {
            for target in used(&statement) {
                if target != source.module() && modules.contains(target) {
                    let place = format!("{}:{number}", source.path);
                    found.push((place, source.module().to_owned(), target.to_owned()));
                }
            }
        }
    }
    found
}

fn forbidden_edges(sources: &[Source]) -> Vec<String> {
    let allowed = |from: &str| EDGES.iter().find(|(module, _)| *module == from).map(|(_, targets)| *targets);
    let mut problems = Vec::new();
    for (place, from, to) in edges(sources) {
        match allowed(&from) {
            Some(targets) if targets.contains(&to.as_str()) => {}
            Some(_) => problems.push(format!(
                "{place}: `{from}` must not use `{to}`: turn the dependency round, or pass in a value; if the edge is \
                 right, add it to EDGES in tests/architecture.rs and to docs/architecture.md and say why"
            )),
            // The two roots wire everything together.
            None if from == "main" || from == "lib" => {}
            None => problems.push(format!(
                "{place}: module `{from}` has no line in EDGES: give it one in tests/architecture.rs, and a line in \
                 docs/architecture.md"
            )),
        }
    }
    problems
}

/// Returns the allowed edges between existing modules that no code has. `commands` may use every module.
fn unused_edges(sources: &[Source]) -> Vec<String> {
    let modules: BTreeSet<&str> = sources.iter().map(Source::module).collect();
    let found: BTreeSet<(String, String)> =
        edges(sources).into_iter().map(|(_, from, to)| (from, to)).collect();
    let table = EDGES.iter().filter(|(from, _)| *from != "commands" && modules.contains(from));
    table
        .flat_map(|(from, targets)| targets.iter().map(move |to| (*from, *to)))
        .filter(|(from, to)| modules.contains(to) && !found.contains(&((*from).to_owned(), (*to).to_owned())))
        .filter(|edge| !PLANNED.contains(edge))
        .map(|(from, to)| {
            format!("EDGES: `{from}` does not use `{to}` (any more): take the edge out of the table")
        })
        .collect()
}

fn stray_clients(sources: &[Source]) -> Vec<String> {
    let mut problems = Vec::new();
    for source in
        sources.iter().filter(|source| !source.is_test() && !CLIENT_MODULES.contains(&source.module()))
    {
        for (number, statement) in statements(source) {
            let grouped = statement.trim_start().starts_with("use kube::{") && {
                let group = statement.split_once('{').map_or("", |(_, group)| group);
                heads(group).contains(&"Client")
            };
            if grouped || statement.contains("kube::Client") || statement.contains("client::Client") {
                problems.push(format!(
                    "{}:{number}: a `kube::Client` outside of {}: take what it fetched as a value instead",
                    source.path,
                    CLIENT_MODULES.join(", ")
                ));
            }
        }
    }
    problems
}

/// Finds async code, clocks and I/O in L0 and L1.
fn impure_lines(sources: &[Source]) -> Vec<String> {
    let pure = sources.iter().filter(|source| !source.is_test() && PURE_MODULES.contains(&source.module()));
    pure.flat_map(|source| {
        let lines = source.code().into_iter();
        let impure = lines.filter(|(_, line)| IMPURE.iter().any(|sign| line.contains(sign)));
        impure.map(|(number, line)| {
            format!(
                "{}:{number}: `{}` in a pure module: take a value, or move the code to L2 or above",
                source.path,
                line.trim()
            )
        })
    })
    .collect()
}

/// Finds long-running modules that compile a policy themselves. `policies` compiles for all of them, once per change.
fn compilations(sources: &[Source]) -> Vec<String> {
    let running = sources.iter().filter(|source| {
        !source.is_test() && ["observer", "remediation", "operator"].contains(&source.module())
    });
    let compiles =
        |line: &str| ["CompiledPolicy::new", "EffectivePolicy::from_"].iter().any(|call| line.contains(call));
    running
        .flat_map(|source| {
            let lines = source.code().into_iter().filter(|(_, line)| compiles(line));
            lines.map(|(number, _)| {
                format!("{}:{number}: compiles a policy: take it from `policies`", source.path)
            })
        })
        .collect()
}

/// Adds the paths of a `use` tree: `a::b` and `a::c::d` for `a::{b, c::d}`.
fn expand(tree: &str, prefix: &[String], found: &mut Vec<Vec<String>>) {
    let Some((head, group)) = tree.split_once('{') else {
        let names = tree.split("::").map(|name| name.split(" as ").next().unwrap().trim().to_owned());
        found.push(prefix.iter().cloned().chain(names.filter(|name| !name.is_empty())).collect());
        return;
    };
    let head = head.split("::").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    let prefix: Vec<String> = prefix.iter().cloned().chain(head).collect();
    let mut depth = 0;
    let mut start = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' | ',' if depth == 0 => {
                if !group[start..at].trim().is_empty() {
                    expand(group[start..at].trim(), &prefix, found);
                }
                start = at + 1;
                if c == '}' {
                    return;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
}

/// Returns the paths of the crate's own modules that a statement names, from the crate's root.
fn own_paths(statement: &str, module: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let line = statement.trim();
    let visibility = ["pub(crate) use ", "pub(super) use ", "pub use ", "use "];
    if let Some(tree) = visibility.iter().find_map(|start| line.strip_prefix(start)) {
        expand(tree.trim_end_matches(';'), &[], &mut found);
    } else {
        for root in ["crate::", "super::"] {
            for (at, _) in line.match_indices(root) {
                if line[..at].ends_with(|c: char| c.is_alphanumeric() || "_:".contains(c)) {
                    continue;
                }
                let end = line[at..].find(|c: char| !c.is_alphanumeric() && !"_:".contains(c));
                expand(&line[at..end.map_or(line.len(), |end| at + end)], &[], &mut found);
            }
        }
    }
    found
        .into_iter()
        .filter_map(|path| match path.first()?.as_str() {
            "crate" => Some(path[1..].to_vec()),
            "super" => {
                let ups = path.iter().take_while(|name| *name == "super").count();
                let parent = &module[..module.len().checked_sub(ups)?];
                Some([parent, &path[ups..]].concat())
            }
            _ => None,
        })
        .collect()
}

/// Finds files that import each other in a cycle. A `mod.rs` only re-exports: an import through it counts for the file
/// that defines the name, and its own lines are ignored.
fn rings(sources: &[Source]) -> Vec<String> {
    let module_of = |source: &Source| -> Vec<String> {
        let names = source.modules().into_iter().filter(|name| *name != "mod");
        names.map(str::to_owned).collect()
    };
    let files: BTreeMap<Vec<String>, &Source> =
        sources.iter().filter(|source| !source.is_test()).map(|source| (module_of(source), source)).collect();
    // The module that defines each name that a `mod.rs` re-exports.
    let mut exports: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for (module, source) in &files {
        for (_, statement) in statements(source) {
            let line = statement.trim();
            let Some(tree) = ["pub use ", "pub(crate) use ", "pub(super) use ", "use "]
                .iter()
                .find_map(|start| line.strip_prefix(start))
                .filter(|_| source.path.ends_with("/mod.rs"))
            else {
                continue;
            };
            let mut paths = Vec::new();
            expand(tree.trim_end_matches(';'), &[], &mut paths);
            for path in paths.into_iter().filter(|path| path.len() > 1) {
                let name = [module.as_slice(), &path[path.len() - 1..]].concat();
                exports.insert(name, [module.as_slice(), &path].concat());
            }
        }
    }
    let resolve = |path: &[String]| -> Option<Vec<String>> {
        let mut path = path.to_vec();
        loop {
            let known = (1..=path.len()).rev().find(|length| files.contains_key(&path[..*length]))?;
            let named = path.get(..=known).and_then(|name| exports.get(name));
            match named {
                Some(origin) => path = [origin, &path[known + 1..]].concat(),
                None => return Some(path[..known].to_vec()),
            }
        }
    };
    let imports: BTreeMap<&Vec<String>, BTreeSet<Vec<String>>> = files
        .iter()
        .filter(|(_, source)| !source.path.ends_with("/mod.rs"))
        .map(|(module, source)| {
            let lines = statements(source).into_iter();
            let paths = lines.flat_map(|(_, line)| own_paths(&line, module));
            let targets = paths.filter_map(|path| resolve(&path)).filter(|target| target != module);
            (module, targets.collect())
        })
        .collect();
    let reaches = |from: &Vec<String>, to: &Vec<String>| {
        let mut seen: BTreeSet<&Vec<String>> = BTreeSet::new();
        let mut next: Vec<&Vec<String>> = vec![from];
        while let Some(file) = next.pop() {
            let targets = imports.get(file).into_iter().flatten();
            next.extend(targets.filter(|target| seen.insert(target)));
        }
        seen.contains(to)
    };
    let mut problems = Vec::new();
    for (file, targets) in imports.iter().filter(|(file, _)| reaches(file, file)) {
        let back = targets.iter().filter(|target| reaches(target, file));
        let back: Vec<String> = back.map(|target| target.join("::")).collect();
        problems.push(format!(
            "{}:1: in a ring of files by its imports of {}: move what both need to a file of its own",
            files[*file].path,
            back.join(", ")
        ));
    }
    problems
}

fn undocumented_files(sources: &[Source]) -> Vec<String> {
    let plain = sources.iter().filter(|source| !source.text.starts_with("//!"));
    plain
        .map(|source| {
            format!("{}:1: open with `//!`: what the file is, and what it must not know", source.path)
        })
        .collect()
}

/// The number of lines before the tests.
fn length(source: &Source) -> usize {
    let all = source.text.lines().count();
    let tests = source.text.lines().position(|line| line.starts_with("#[cfg(test)]"));
    tests.unwrap_or(all)
}

fn long_files(sources: &[Source]) -> Vec<String> {
    let long = sources.iter().filter(|source| !source.is_test() && length(source) > LONGEST);
    long.map(|source| {
        format!(
            "{}:{}: more than {LONGEST} lines before the tests: split the file by what its parts are",
            source.path,
            LONGEST + 1
        )
    })
    .collect()
}

fn logic_in_mod_files(sources: &[Source]) -> Vec<String> {
    const WIRING: &[&str] = &[
        "mod ",
        "pub mod ",
        "pub(super) mod ",
        "pub(crate) mod ",
        "use ",
        "pub use ",
        "pub(crate) use ",
        "#",
        "}",
    ];
    const STATICS: &[&str] = &[
        "static ",
        "pub static ",
        "pub(super) static ",
        "pub(crate) static ",
        "const ",
        "pub const ",
        "pub(crate) const ",
    ];
    let mut problems = Vec::new();
    for source in sources.iter().filter(|source| source.path.ends_with("/mod.rs")) {
        let excepted =
            MOD_RS_EXCEPTIONS.iter().find(|(path, _)| *path == source.path).map_or(&[][..], |(_, e)| *e);
        for (number, statement) in statements(source) {
            let item = !statement.is_empty() && starts_at_margin(&statement);
            let known = [WIRING, STATICS, excepted].concat();
            if item
                && !statement.starts_with([']', ')'])
                && !known.iter().any(|known| statement.starts_with(known))
            {
                problems.push(format!(
                    "{}:{number}: a mod.rs holds docs, `mod`, `use` and the statics of a registry: move this into a \
                     file named by what it is",
                    source.path
                ));
            }
        }
    }
    problems
}

fn empty_names(sources: &[Source]) -> Vec<String> {
    let bad = |source: &&Source| source.modules().iter().any(|name| EMPTY_NAMES.contains(name));
    let named = sources.iter().filter(bad);
    named
        .map(|source| format!("{}:1: the name says nothing: name it by what is in it", source.path))
        .collect()
}

/// Reads every source file. Paths are relative to the package.
fn sources() -> Vec<Source> {
    fn walk(directory: &Path, root: &Path, found: &mut Vec<Source>) {
        let mut entries: Vec<PathBuf> =
            fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                walk(&path, root, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let names = path.strip_prefix(root).unwrap().iter();
                let names: Vec<&str> = names.map(|name| name.to_str().unwrap()).collect();
                found.push(Source { path: names.join("/"), text: fs::read_to_string(&path).unwrap() });
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&root.join("src"), root, &mut found);
    assert!(found.len() > 10, "the sources were found");
    found
}

#[track_caller]
fn assert_none(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

fn made_up(files: &[(&str, &str)]) -> Vec<Source> {
    files.iter().map(|(path, text)| Source { path: (*path).to_owned(), text: (*text).to_owned() }).collect()
}

#[test]
fn modules_use_only_what_the_table_allows() {
    assert_none(&forbidden_edges(&sources()));
}

#[test]
fn the_table_allows_nothing_that_no_code_uses() {
    assert_none(&unused_edges(&sources()));
}

#[test]
fn the_table_has_no_cycle() {
    let mut settled: BTreeSet<&str> = BTreeSet::new();
    for _ in EDGES {
        settled.extend(
            EDGES
                .iter()
                .filter(|(_, to)| to.iter().all(|to| settled.contains(to)))
                .map(|(from, _)| *from)
                .collect::<Vec<_>>(),
        );
    }
    let stuck: Vec<&str> =
        EDGES.iter().map(|(from, _)| *from).filter(|from| !settled.contains(from)).collect();
    assert!(stuck.is_empty(), "these depend on themselves, or on what has no line: {stuck:?}");
}

#[test]
fn the_page_on_architecture_shows_the_same_table() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("### Which module may use which").unwrap();
    let rows = section
        .lines()
        .take_while(|line| !line.starts_with("Nobody"))
        .filter_map(|line| line.strip_prefix("| `")?.split_once(" | "));
    let names =
        |cell: &str| -> BTreeSet<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let shown: BTreeSet<(String, BTreeSet<String>)> = rows
        .flat_map(|(modules, targets)| {
            names(&format!("`{modules}")).into_iter().map(move |module| (module, names(targets)))
        })
        .collect();
    let table: BTreeSet<(String, BTreeSet<String>)> = EDGES
        .iter()
        .map(|(from, to)| {
            // The page says "everything" for `commands`.
            let to = if *from == "commands" { &[][..] } else { to };
            ((*from).to_owned(), to.iter().map(|to| (*to).to_owned()).collect())
        })
        .collect();
    assert_eq!(shown, table, "docs/architecture.md and EDGES differ: bring them together");
}

/// Returns the pairs of file and function that a text names, such as `leader/elector.rs`, `run`.
#[expect(clippy::case_sensitive_file_extension_comparisons, reason = "source files have small letters")]
fn named_functions(text: &str) -> Vec<(&str, &str)> {
    let quoted: Vec<&str> = text.split('`').collect();
    let pairs = quoted
        .windows(3)
        .filter(|parts| parts[0].ends_with(".rs") && parts[1].trim() == "," && !parts[2].ends_with(".rs"));
    pairs.map(|parts| (parts[0], parts[2])).collect()
}

#[test]
fn the_functions_on_the_page_are_in_the_files_that_it_names() {
    let page = fs::read_to_string("docs/architecture.md").unwrap();
    let is_way = |section: &&str| section.contains(" ways through ");
    let ways: Vec<&str> = page.split("\n## ").filter(is_way).collect();
    let counts = ways.iter().map(|way| way.matches("\n### ").count());
    assert_eq!(counts.collect::<Vec<_>>(), [6, 2], "the headings say how many");
    let wrapped = ways.iter().flat_map(|way| way.lines()).filter(|line| line.starts_with("  "));
    assert_none(&wrapped.map(|line| format!("a step has more than one line: {line}")).collect::<Vec<_>>());
    let named: Vec<_> = ways.iter().flat_map(|way| named_functions(way)).collect();
    assert!(named.len() > 40, "{} functions are named", named.len());
    let missing = named.iter().filter(|(file, function)| {
        let text = fs::read_to_string(Path::new("src").join(file)).unwrap_or_default();
        !text.contains(&format!("fn {function}(")) && !text.contains(&format!("fn {function}<"))
    });
    assert_none(&missing.map(|(file, function)| format!("{file} has no {function}")).collect::<Vec<_>>());
}

#[test]
fn only_the_cluster_modules_use_a_client() {
    assert_none(&stray_clients(&sources()));
}

#[test]
fn the_operator_compiles_no_policy() {
    assert_none(&compilations(&sources()));
}

#[test]
fn pure_modules_hold_no_async_code_and_no_clock() {
    assert_none(&impure_lines(&sources()));
}

#[test]
fn files_do_not_import_each_other_in_a_cycle() {
    assert_none(&rings(&sources()));
}

#[test]
fn every_file_has_docs() {
    assert_none(&undocumented_files(&sources()));
}

#[test]
fn no_file_is_too_long_before_its_tests() {
    assert_none(&long_files(&sources()));
}

#[test]
fn a_command_is_wiring() {
    let sources = sources();
    let commands = sources.iter().filter(|source| source.module() == "commands");
    let problems: Vec<String> = commands
        .filter(|source| length(source) > LONGEST_COMMAND)
        .map(|source| {
            format!("{}: over {LONGEST_COMMAND} lines: move its substance to another module", source.path)
        })
        .collect();
    assert_none(&problems);
}

#[test]
fn a_mod_file_holds_no_logic() {
    assert_none(&logic_in_mod_files(&sources()));
}

#[test]
fn no_file_has_a_meaningless_name() {
    assert_none(&empty_names(&sources()));
}

#[test]
fn an_edge_outside_of_the_table_is_found_in_any_notation() {
    for bad in [
        "use crate::policy::EffectivePolicy;",
        "use crate::{\n    policy::{EffectivePolicy, PolicyError},\n    workload::Workload,\n};",
        "pub(crate) use crate::policy::EffectivePolicy;",
        "fn f() {\n    let policy = crate::policy::EffectivePolicy::default();\n}",
        "#[cfg(test)]\nmod tests;\n\nuse crate::policy::EffectivePolicy;",
        "#[cfg(test)]\nmod tests {\n    fn f() {\n        g();\n    }\n}\nuse crate::policy::EffectivePolicy;",
    ] {
        let problems =
            forbidden_edges(&made_up(&[("src/rules/bad.rs", bad), ("src/policy/mod.rs", "//! Policies.")]));
        let line =
            bad.lines().position(|line| line.contains("crate::") && !line.contains("tests")).unwrap() + 1;
        assert_eq!(problems.len(), 1, "{bad}");
        let expected = format!("src/rules/bad.rs:{line}: `rules` must not use `policy`");
        assert!(problems[0].starts_with(&expected), "{}", problems[0]);
    }
}

#[test]
fn tests_comments_and_other_crates_make_no_edge() {
    for fine in [
        "#[cfg(test)]\nmod tests {\n    use crate::policy::EffectivePolicy;\n}\n",
        "#[cfg(test)]\nuse crate::policy::EffectivePolicy;\n",
        "/// Like [`crate::policy::EffectivePolicy`].\nfn f() {} // not crate::policy\n",
        "use my_crate::policy::Policy;",
        "use crate::workload::Workload;",
        "use crate::rules::RULES;",
    ] {
        let problems = forbidden_edges(&made_up(&[
            ("src/rules/fine.rs", fine),
            ("src/policy/mod.rs", ""),
            ("src/workload/mod.rs", ""),
        ]));
        assert_eq!(problems, Vec::<String>::new(), "{fine}");
    }
    let test_file = made_up(&[("src/rules/tests.rs", "use crate::policy::P;"), ("src/policy/mod.rs", "")]);
    assert_eq!(forbidden_edges(&test_file), Vec::<String>::new());
}

#[test]
fn an_unlisted_module_and_a_use_of_commands_are_found() {
    let new = made_up(&[("src/herd/mod.rs", "use crate::policy::P;"), ("src/policy/mod.rs", "")]);
    assert!(forbidden_edges(&new)[0].contains("`herd` has no line in EDGES"));
    let upward =
        made_up(&[("src/output/table.rs", "use crate::commands::Cli;"), ("src/commands/mod.rs", "")]);
    assert!(forbidden_edges(&upward)[0].contains("`output` must not use `commands`"));
}

#[test]
fn an_allowed_edge_that_nothing_uses_is_found() {
    let sources = made_up(&[("src/rules/rule.rs", "//! A rule."), ("src/workload/mod.rs", "//! Workloads.")]);
    assert_eq!(unused_edges(&sources).len(), 1);
    assert!(unused_edges(&sources)[0].contains("`rules` does not use `workload`"));
}

#[test]
fn a_client_in_the_wrong_module_is_found() {
    for (bad, count) in [
        ("use kube::Client;", 1),
        ("use kube::{\n    Api,\n    Client,\n};", 1),
        ("fn f(client: &kube::Client) {}", 1),
        ("use kube::client::Client;", 1),
        ("use kube::CustomResource;", 0),
        ("use kube::{CustomResource, core::ClientSide};", 0),
    ] {
        assert_eq!(stray_clients(&made_up(&[("src/policy/bad.rs", bad)])).len(), count, "{bad}");
        assert!(stray_clients(&made_up(&[("src/cluster/connect.rs", bad)])).is_empty());
    }
}

#[test]
fn a_policy_compiled_in_the_wrong_module_is_found() {
    let call = "fn f() {\n    EffectivePolicy::from_spec(&spec);\n}";
    let test = "#[cfg(test)]\nmod tests {\n    fn f() {\n        CompiledPolicy::new(policy);\n    }\n}";
    let files = [("src/operator/a.rs", call), ("src/operator/b.rs", test), ("src/policies/c.rs", call)];
    assert_eq!(
        compilations(&made_up(&files)),
        ["src/operator/a.rs:2: compiles a policy: take it from `policies`"]
    );
}

#[test]
fn async_code_and_clocks_in_pure_modules_are_found() {
    for (line, count) in [
        ("pub async fn fetch() {}", 1),
        ("let found = call().await;", 1),
        ("let task = async move { 1 };", 1),
        ("let now = jiff::Timestamp::now();", 1),
        ("let start = std::time::Instant::now();", 1),
        ("// It is not async fn.", 0),
        ("#[cfg(test)]\nmod tests {\n    async fn f() {}\n}", 0),
    ] {
        assert_eq!(impure_lines(&made_up(&[("src/enforcement/plan.rs", line)])).len(), count, "{line}");
        assert!(impure_lines(&made_up(&[("src/cluster/call.rs", line)])).is_empty());
    }
}

#[test]
fn a_cycle_of_files_is_found_in_any_notation() {
    let registry =
        ("src/a/mod.rs", "//! A.\nmod one;\nmod two;\npub use one::{One, Uno};\npub use two::Two;");
    for (one, two) in [
        ("use super::two::Two;", "use super::one::One;"),
        ("use super::{Two};", "use super::{\n    one::{self, Uno},\n};"),
        ("use crate::a::Two;", "fn f() {\n    super::Uno::g();\n}"),
        ("fn f(two: crate::a::two::Two) {}", "use super::One as First;"),
    ] {
        let found = rings(&made_up(&[registry, ("src/a/one.rs", one), ("src/a/two.rs", two)]));
        assert_eq!(found.len(), 2, "{one} {two}: {found:?}");
        let above = ("src/a/three.rs", "use super::{One, Two};");
        let found = rings(&made_up(&[registry, above, ("src/a/one.rs", one), ("src/a/two.rs", two)]));
        assert_eq!(found.len(), 2, "a file above a ring is not in it: {found:?}");
    }
    for (one, two) in [
        ("use super::Two;", "use std::fmt;"),
        ("use super::Two;", "#[cfg(test)]\nmod tests {\n    use super::super::One;\n}"),
        ("use super::Two;", "/// See [`super::One`].\nfn f() {}"),
        ("use crate::b::One;", "use super::One;"),
    ] {
        let other = ("src/b/mod.rs", "//! B.\nmod one;\npub use one::One;");
        let sources = [registry, other, ("src/b/one.rs", ""), ("src/a/one.rs", one), ("src/a/two.rs", two)];
        assert_eq!(rings(&made_up(&sources)), Vec::<String>::new(), "{one} {two}");
    }
}

#[test]
fn files_with_a_wrong_form_are_found() {
    let long = format!("//! Long.\n{}", "fn f() {}\n".repeat(LONGEST));
    let tested = format!("//! Tested.\n#[cfg(test)]\nmod tests {{\n{}}}\n", "    // …\n".repeat(LONGEST));
    let sources = made_up(&[
        ("src/a/long.rs", &long),
        ("src/a/tested.rs", &tested),
        ("src/a/plain.rs", "use std::fmt;\n"),
        ("src/a/utils.rs", "//! Things.\n"),
        ("src/common/thing.rs", "//! A thing.\n"),
        (
            "src/a/mod.rs",
            "//! A.\n\nmod b;\npub use b::B;\n\npub static ALL: [u8; 1] = [\n    1,\n];\n\nfn logic() {\n}\n",
        ),
        ("src/rules/mod.rs", "//! R.\n\npub fn find(id: &str) -> bool {\n    true\n}\n\nimpl Rule {}\n"),
    ]);
    let places = |problems: Vec<String>| -> Vec<String> {
        problems.iter().map(|problem| problem.split(": ").next().unwrap().to_owned()).collect()
    };
    assert_eq!(places(long_files(&sources)), ["src/a/long.rs:501"]);
    assert_eq!(places(undocumented_files(&sources)), ["src/a/plain.rs:1"]);
    assert_eq!(places(empty_names(&sources)), ["src/a/utils.rs:1", "src/common/thing.rs:1"]);
    assert_eq!(places(logic_in_mod_files(&sources)), ["src/a/mod.rs:10", "src/rules/mod.rs:7"]);
}
