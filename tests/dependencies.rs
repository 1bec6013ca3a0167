//! What is built with the program: its licences, where it comes from, and that it is built once.
//!
//! The rules are those of `deny.toml`, so that `cargo deny check bans licenses sources` agrees where it is installed.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What cargo prints; `None`, and said, where crates are not here and would have to be downloaded (`cargo fetch`).
fn cargo(arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).args(["--locked", "--offline"]).env_remove("CARGO_TERM_COLOR");
    let output = command.output().expect("cargo starts");
    if output.status.success() {
        return Some(String::from_utf8(output.stdout).expect("UTF-8"));
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("--offline"), "cargo {arguments:?}: {said}");
    assert!(std::env::var_os("NOTHING_SKIPPED").is_none(), "cargo fetch --locked comes first: {said}");
    println!("skipped: crates of other platforms or features are not here (cargo fetch --locked)");
    None
}

fn packages() -> Option<Vec<Value>> {
    let metadata = cargo(&["metadata", "--format-version", "1", "--all-features"])?;
    let metadata: Value = serde_json::from_str(&metadata).expect("JSON");
    Some(metadata["packages"].as_array().expect("packages").clone())
}

/// Licences that may be taken, and the expressions of crates whose manifest names a file only.
struct Rules {
    allowed: BTreeSet<String>,
    clarified: Vec<(String, String)>,
}

impl Rules {
    fn read() -> Self {
        let text = std::fs::read_to_string("deny.toml").expect("deny.toml");
        let rules: toml::Table = text.parse().expect("TOML");
        let licenses = &rules["licenses"];
        let text = |value: &toml::Value| value.as_str().expect("text").to_owned();
        let clarify = licenses.get("clarify").and_then(toml::Value::as_array).into_iter().flatten();
        Self {
            allowed: licenses["allow"].as_array().expect("a list").iter().map(text).collect(),
            clarified: clarify.map(|entry| (text(&entry["crate"]), text(&entry["expression"]))).collect(),
        }
    }

    /// Whether an SPDX expression can be met by licences that may be taken: OR is a choice, AND asks for all.
    fn allow(&self, expression: &str) -> bool {
        let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        let mut rest = words.as_slice();
        let is_met = self.choice(&mut rest);
        assert!(rest.is_empty(), "no SPDX expression: {expression}");
        is_met
    }

    fn choice(&self, words: &mut &[&str]) -> bool {
        let mut is_met = self.all(words);
        while let ["OR", rest @ ..] = *words {
            *words = rest;
            is_met |= self.all(words);
        }
        is_met
    }

    fn all(&self, words: &mut &[&str]) -> bool {
        let mut is_met = self.one(words);
        while let ["AND", rest @ ..] = *words {
            *words = rest;
            is_met &= self.one(words);
        }
        is_met
    }

    fn one(&self, words: &mut &[&str]) -> bool {
        match *words {
            ["(", rest @ ..] => {
                *words = rest;
                let is_met = self.choice(words);
                *words = words.strip_prefix(&[")"]).expect("a closing parenthesis");
                is_met
            }
            [license, "WITH", exception, rest @ ..] => {
                *words = rest;
                self.allowed.contains(&format!("{license} WITH {exception}"))
            }
            [license, rest @ ..] => {
                *words = rest;
                self.allowed.contains(*license)
            }
            [] => panic!("an SPDX expression ends too early"),
        }
    }
}

#[test]
fn licences_are_those_of_deny_toml() {
    let rules = Rules::read();
    for package in packages().into_iter().flatten() {
        let name = package["name"].as_str().expect("a name");
        let clarified = rules.clarified.iter().find(|(crate_name, _)| crate_name == name);
        let expression = package["license"].as_str().or(clarified.map(|(_, expression)| expression.as_str()));
        let expression =
            expression.unwrap_or_else(|| panic!("{name} has no licence: clarify it in deny.toml"));
        assert!(rules.allow(expression), "{name}: {expression} is not in deny.toml");
    }
}

#[test]
fn expressions_of_licences_are_read_as_spdx_has_them() {
    let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).into();
    let rules = Rules { allowed, clarified: Vec::new() };
    for (expression, is_met) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("MIT AND GPL-3.0", false),
        ("MIT AND ISC", true),
        ("GPL-3.0 OR MIT AND ISC", true),
        ("MIT OR GPL-3.0 AND GPL-2.0", true),
        ("(MIT OR GPL-3.0) AND ISC", true),
        ("(MIT OR GPL-3.0) AND Zlib", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("Apache-2.0", false),
    ] {
        assert_eq!(rules.allow(expression), is_met, "{expression}");
    }
}

#[test]
fn crates_come_from_the_registry_and_are_released() {
    for package in packages().into_iter().flatten() {
        let (name, version) = (package["name"].as_str().expect("a name"), package["version"].as_str());
        if name == env!("CARGO_PKG_NAME") {
            continue;
        }
        assert_eq!(package["source"].as_str(), Some(REGISTRY), "{name}");
        let release = version.expect("a version").split('+').next().unwrap_or_default();
        // Its fourth number is that of the bundle, not of a pre-release; only the cuda feature has it.
        assert!(!release.contains('-') || name == "tracel-llvm-bundler", "{name} {release} is a pre-release");
    }
    let manifest = std::fs::read_to_string("Cargo.toml").expect("Cargo.toml");
    let is_wild = manifest.contains("= \"*\"");
    assert!(!is_wild, "a dependency of any version");
}

/// Features that only the tests turn on would build all that depends on those crates a second time.
#[test]
fn the_program_and_its_tests_share_one_build_of_every_crate() {
    let crates = |edges: &str| -> Option<BTreeSet<String>> {
        let tree = cargo(&["tree", "--prefix", "none", "--format", "{p} {f}", "--edges", edges])?;
        Some(tree.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect())
    };
    let Some((program, tests)) = crates("normal,build").zip(crates("normal,build,dev")) else { return };
    assert!(program.len() > 100);
    let only: Vec<_> = program.difference(&tests).collect();
    assert!(only.is_empty(), "built again with other features for the tests: {only:#?}");
}
