//! Which file imports which, read off the source text, and the loops among them.

use std::collections::{BTreeMap, BTreeSet};

/// Path of a module from the crate root.
type Module = Vec<String>;

/// A path in the source: the module it reaches, and the names after it.
struct Resolved {
    module: Module,
    names: Vec<String>,
}

/// Where a re-exported name comes from.
struct Export {
    module: Module,
    name: String,
}

/// The files of a crate as modules.
struct Crate {
    /// Code of each module without comments and unit tests.
    modules: BTreeMap<Module, String>,
    /// Names that each module re-exports.
    exports: BTreeMap<Module, BTreeMap<String, Export>>,
}

/// Groups of files that import each other in a loop; `files` are paths below the crate root and their texts.
pub(super) fn loops(files: &[(String, String)]) -> Vec<Vec<String>> {
    let path_of: BTreeMap<Module, &String> = files.iter().map(|(path, _)| (module_of(path), path)).collect();
    let imports = Crate::new(files).imports();
    let reached: BTreeMap<&Module, BTreeSet<&Module>> =
        imports.keys().map(|module| (module, reachable(module, &imports))).collect();
    let mut groups = BTreeSet::new();
    for (module, from_here) in &reached {
        // A file in a loop comes back to itself.
        if from_here.contains(module) {
            let group = from_here.iter().filter(|other| reached[**other].contains(module));
            groups.insert(group.map(|other| path_of[*other].clone()).collect::<Vec<_>>());
        }
    }
    groups.into_iter().collect()
}

/// Everything that a module imports, itself or through others.
fn reachable<'a>(start: &Module, imports: &'a BTreeMap<Module, BTreeSet<Module>>) -> BTreeSet<&'a Module> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&Module> = imports[start].iter().collect();
    while let Some(module) = open.pop() {
        if found.insert(module) {
            open.extend(&imports[module]);
        }
    }
    found
}

/// `records/steps/mod.rs` is `records::steps`, `lib.rs` the crate itself.
fn module_of(path: &str) -> Module {
    let mut names: Module = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if names.last().is_some_and(|last| last == "mod") || names == ["lib"] {
        names.pop();
    }
    names
}

impl Crate {
    fn new(files: &[(String, String)]) -> Self {
        let modules = files.iter().map(|(path, text)| (module_of(path), code(text))).collect();
        let mut found = Self { modules, exports: BTreeMap::new() };
        let mut exports: BTreeMap<Module, BTreeMap<String, Export>> = BTreeMap::new();
        for (module, code) in &found.modules {
            for statement in split(code).uses.iter().filter(|statement| statement.is_public) {
                for path in expand(statement.tree) {
                    let (path, alias) = path.split_once(" as ").unwrap_or((&path, ""));
                    let Some(Resolved { module: from, names }) = found.resolve(module, path) else {
                        continue;
                    };
                    let Some(name) = names.first().cloned() else { continue };
                    let alias = if alias.is_empty() { name.clone() } else { alias.trim().to_owned() };
                    let here = exports.entry(module.clone()).or_default();
                    here.insert(alias, Export { module: from, name });
                }
            }
        }
        found.exports = exports;
        found
    }

    /// The modules that each module imports from: where the names are defined, not where they are re-exported.
    fn imports(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let of = |module: &Module, code: &str| {
            let Split { uses, rest } = split(code);
            let mut paths = inline_paths(&rest);
            for statement in uses.iter().filter(|statement| !statement.is_public) {
                paths.extend(expand(statement.tree));
            }
            let homes = paths.iter().filter_map(|path| self.home(self.resolve(module, path)?));
            homes.filter(|home| home != module).collect()
        };
        self.modules.iter().map(|(module, code)| (module.clone(), of(module, code))).collect()
    }

    /// What a path in `module` reaches; `None` for other crates and names of the file itself.
    fn resolve(&self, module: &Module, path: &str) -> Option<Resolved> {
        let path = path.split(" as ").next().unwrap_or_default();
        let mut names = path.split("::").map(|name| name.trim().to_owned()).collect::<Vec<_>>();
        let mut here = module.clone();
        match names.first()?.as_str() {
            "crate" => {
                here.clear();
                names.remove(0);
            }
            "self" => drop(names.remove(0)),
            "super" => {
                while names.first().is_some_and(|name| name == "super") {
                    here.pop();
                    names.remove(0);
                }
            }
            _ if self.modules.contains_key(&child(&here, &names[0])) => {}
            _ => return None,
        }
        while let Some(name) = names.first()
            && self.modules.contains_key(&child(&here, name))
        {
            here.push(names.remove(0));
        }
        Some(Resolved { module: here, names })
    }

    /// The module that defines what a path reaches; `None` if there is no such file.
    fn home(&self, resolved: Resolved) -> Option<Module> {
        let Resolved { mut module, names } = resolved;
        let mut name = names.first();
        let mut seen = BTreeSet::new();
        while let Some(export) = name.and_then(|name| self.exports.get(&module)?.get(name)) {
            if !seen.insert(module.clone()) {
                return None;
            }
            module.clone_from(&export.module);
            name = Some(&export.name);
        }
        self.modules.contains_key(&module).then_some(module)
    }
}

fn child(module: &Module, name: &str) -> Module {
    module.iter().cloned().chain([name.to_owned()]).collect()
}

/// Code without comments and without its unit tests.
fn code(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines = before_tests.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// Code with its `use` statements taken out, those within functions too.
struct Split<'a> {
    uses: Vec<UseStatement<'a>>,
    rest: String,
}

struct UseStatement<'a> {
    tree: &'a str,
    is_public: bool,
}

fn split(code: &str) -> Split<'_> {
    let mut found = Split { uses: Vec::new(), rest: String::new() };
    let mut end = 0;
    for (place, word) in code.match_indices("use ") {
        let line = code[..place].rsplit('\n').next().unwrap_or_default().trim();
        let is_public = line == "pub" || (line.starts_with("pub(") && line.ends_with(')'));
        if place >= end && (is_public || line.is_empty()) {
            let tree = code[place + word.len()..].split(';').next().unwrap_or_default();
            found.uses.push(UseStatement { tree, is_public });
            found.rest.push_str(&code[end..place]);
            end = place + word.len() + tree.len();
        }
    }
    found.rest.push_str(&code[end..]);
    found
}

/// `a::{b, c::{d, e}}` as `a::b`, `a::c::d`, `a::c::e`.
fn expand(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((prefix, rest)) = tree.split_once('{') else { return vec![tree.to_owned()] };
    let body = rest.strip_suffix('}').unwrap_or(rest);
    let mut branches = vec![String::new()];
    let mut depth = 0;
    for letter in body.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if letter == ',' && depth == 0 {
            branches.push(String::new());
        } else if let Some(branch) = branches.last_mut() {
            branch.push(letter);
        }
    }
    branches.retain(|branch| !branch.trim().is_empty());
    let expanded = branches.iter().flat_map(|branch| expand(branch));
    // `a::{self}` is `a`.
    expanded.map(|path| format!("{prefix}{path}").trim_end_matches("::self").to_owned()).collect()
}

/// Paths that begin with `crate::`, `super::` or `self::`.
fn inline_paths(code: &str) -> Vec<String> {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut found = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (place, _) in code.match_indices(start) {
            let before = &code[..place];
            // The middle of a path, a longer word, or the `pub(in …)` of a visibility.
            let is_inside = before.ends_with(|letter: char| is_word(letter) || letter == ':');
            if is_inside || before.ends_with("pub(in ") {
                continue;
            }
            let rest = &code[place..];
            let end = rest.find(|letter: char| !is_word(letter) && letter != ':').unwrap_or(rest.len());
            found.push(rest[..end].trim_end_matches(':').to_owned());
        }
    }
    found
}

#[test]
fn loops_are_found_through_re_exports_and_inline_paths() {
    let files = |sources: &[(&str, &str)]| -> Vec<(String, String)> {
        sources.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
    };
    // b imports c, and c takes b's type by the name that a re-exports it under.
    let looped = files(&[
        ("lib.rs", "mod a;\nmod d;\n"),
        ("a/mod.rs", "mod b;\nmod c;\npub use b::B as Bee;\n"),
        ("a/b.rs", "use super::c::{self, C};\npub struct B(C);\n"),
        ("a/c.rs", "pub struct C;\npub fn f(_: crate::a::Bee) {}\n"),
        ("d.rs", "use crate::a::{Bee};\n"),
    ]);
    assert_eq!(loops(&looped), [["a/b.rs", "a/c.rs"]]);
    // What stands in comments and unit tests, and the modules a file opens, are no imports.
    let straight = files(&[
        ("lib.rs", "mod a;\nmod d;\n"),
        ("a/mod.rs", "mod b;\nmod c;\npub use b::B;\npub struct A;\n"),
        ("a/b.rs", "use super::A;\nuse super::c::C;\n// crate::d::D\npub(in crate::a) struct B(A, C);\n"),
        ("a/c.rs", "pub struct C;\n#[cfg(test)]\nmod tests {\n    use super::super::b::B;\n}\n"),
        ("d.rs", "pub struct D(std::sync::Arc<crate::a::B>);\n"),
    ]);
    assert_eq!(loops(&straight), Vec::<Vec<String>>::new());
    // A loop of three, closed by a function's own import.
    let long = files(&[
        ("x.rs", "use crate::{y::Y};\n"),
        ("y.rs", "fn f() {\n    use super::z;\n}\n"),
        ("z.rs", "fn g() -> self::Z { super::x::X }\n"),
    ]);
    assert_eq!(loops(&long), [["x.rs", "y.rs", "z.rs"]]);
}
