//! The house rules that a machine can check.

mod imports;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Who may import whom: the map of lib.rs. Crate-level names only; `progress` is open to all.
const IMPORTS: [(&str, &[&str]); 16] = [
    ("attribution", &["stats", "progress"]),
    ("normalization", &["stats", "progress"]),
    ("stats", &[]),
    ("simulation", &["stats", "attribution"]),
    ("results", &["attribution", "normalization", "stats"]),
    ("baseline", &["results", "stats"]),
    ("shards", &["attribution", "normalization", "results", "stats"]),
    ("job_arguments", &["commands", "config"]),
    ("records", &["attribution", "normalization", "printable", "results", "stats", "progress"]),
    ("report", &["attribution", "printable", "results"]),
    ("console", &["printable", "progress", "records"]),
    ("config", &["baseline", "meant"]),
    ("meant", &[]),
    ("signals", &["records"]),
    (
        "commands",
        &[
            "attribution",
            "baseline",
            "config",
            "console",
            "normalization",
            "progress",
            "records",
            "report",
            "results",
            "shards",
            "signals",
            "simulation",
            "stats",
        ],
    ),
    (
        "cli",
        &[
            "commands",
            "config",
            "console",
            "job_arguments",
            "meant",
            "normalization",
            "printable",
            "records",
            "signals",
        ],
    ),
];

/// Where object stores are spoken to, by whoever asks for them.
const OBJECTS: &[&str] = &[
    "records/objects/credentials.rs",
    "records/objects/failure.rs",
    "records/objects/folder.rs",
    "records/objects/listing.rs",
    "records/objects/object.rs",
    "records/objects/stores.rs",
    "records/objects/upload.rs",
];

/// Outside crates and the modules (or files below src) they may appear in.
const HOMES: [(&str, &[&str]); 31] = [
    ("strsim", &["meant"]),
    ("lz4", &["records"]),
    ("object_store", OBJECTS),
    ("tokio", OBJECTS),
    ("futures_util", OBJECTS),
    ("reqwest", OBJECTS),
    ("clap", &["cli", "config", "commands", "job_arguments"]),
    ("polars", &["records", "report/columnar.rs"]),
    ("polars_arrow", &["records", "report/columnar.rs"]),
    ("polars_parquet", &["records"]),
    ("safetensors", &["records"]),
    ("zip", &["records"]),
    ("pytorch_reader", &["records"]),
    ("comfy_table", &["report"]),
    ("indicatif", &["console"]),
    ("statrs", &["stats"]),
    ("rand", &["stats", "attribution", "simulation"]),
    ("toml", &["config", "commands"]),
    ("schemars", &["results", "attribution", "normalization"]),
    ("burn", &["normalization"]),
    ("nalgebra", &["attribution"]),
    ("flate2", &["records", "report/html.rs"]),
    ("base64", &["report"]),
    ("maud", &["report"]),
    ("resvg", &["report/figure/shapes.rs", "report/figure/raster.rs"]),
    ("krilla", &["report/figure/pdf.rs"]),
    ("krilla_svg", &["report/figure/pdf.rs"]),
    ("zstd", &["records"]),
    ("signal_hook", &["signals"]),
    ("ctrlc", &["signals"]),
    ("hdf5_reader", &["records/hdf5/container.rs", "records/hdf5/numbers.rs"]),
];

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("readable");
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

/// The top-level module a file belongs to.
fn module(path: &Path) -> String {
    let first = path.strip_prefix("src").expect("below src").components().next().expect("a name");
    first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// Code without comments and without its unit tests, which may reach further.
fn code(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    before_tests.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn mentions(code: &str, prefix: &str, name: &str) -> bool {
    let needle = format!("{prefix}{name}");
    code.match_indices(&needle).any(|(place, _)| {
        let before = code[..place].chars().next_back();
        let after = code[place + needle.len()..].chars().next();
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !is_word(before) && before != Some(':') && after == Some(':')
    })
}

#[test]
fn imports_point_one_way() {
    let allowed: BTreeMap<&str, &[&str]> = IMPORTS.into_iter().collect();
    for (path, text) in sources("src") {
        let module = module(&path);
        if ["lib", "main", "printable", "progress"].contains(&module.as_str()) {
            continue;
        }
        let allowed = allowed.get(module.as_str()).unwrap_or_else(|| panic!("{module} is not on the map"));
        for (other, _) in IMPORTS {
            let imports = mentions(&code(&text), "crate::", other);
            assert!(
                !imports || other == module || allowed.contains(&other),
                "{} imports {other}",
                path.display()
            );
        }
    }
}

#[test]
fn no_two_files_import_each_other_in_a_loop() {
    let below =
        |path: &Path| path.strip_prefix("src").expect("below src").to_string_lossy().replace('\\', "/");
    let files: Vec<(String, String)> =
        sources("src").into_iter().map(|(path, text)| (below(&path), text)).collect();
    let loops: Vec<String> = imports::loops(&files).iter().map(|files| files.join(", ")).collect();
    assert!(loops.is_empty(), "these files import each other in a loop:\n{}", loops.join("\n"));
}

#[test]
fn outside_crates_stay_at_home() {
    for (path, text) in sources("src") {
        let module = module(&path);
        for (outside, homes) in HOMES {
            let used = mentions(&code(&text), "", outside);
            let file = path.strip_prefix("src").expect("below src").to_string_lossy().replace('\\', "/");
            let is_home = homes.contains(&module.as_str()) || homes.contains(&file.as_str());
            assert!(!used || is_home, "{} uses {outside}", path.display());
        }
    }
}

#[test]
fn nothing_is_left_undone() {
    // Spelled apart, so that this file does not find itself.
    let marks = [
        ["to", "do!("].concat(),
        ["unimple", "mented!("].concat(),
        ["#[ig", "nore"].concat(),
        ["FIX", "ME"].concat(),
    ];
    for (path, text) in sources("src").into_iter().chain(sources("tests")).chain(sources("benches")) {
        for mark in &marks {
            assert!(!text.contains(mark.as_str()), "{} holds {mark}", path.display());
        }
    }
}

fn help_pages(command: &mut clap::Command, title: &str, out: &mut String) {
    let page = command.clone().term_width(100).render_long_help();
    let page = page.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    out.push_str(&format!("\n## {title}\n\n```text\n{}\n```\n", page.trim_end()));
    let names: Vec<String> = command
        .get_subcommands()
        .filter(|inner| inner.get_name() != "help")
        .map(|inner| inner.get_name().to_owned())
        .collect();
    for name in names {
        let inner = command.find_subcommand_mut(&name).expect("a subcommand");
        help_pages(inner, &format!("{title} {name}"), out);
    }
}

/// docs/cli.md is the help of every command; `SIMIC_BLESS=1` rewrites it.
#[test]
fn the_command_line_reference_is_current() {
    let mut command = simic::cli::command();
    command.build();
    let mut text = "# Command line\n\nThe help of every command, generated from the program. `SIMIC_BLESS=1 cargo test --release tidy` rewrites this page.\n".to_owned();
    help_pages(&mut command, "simic", &mut text);
    help_pages(&mut simic::cli::common_help(), "simic help common", &mut text);
    if std::env::var_os("SIMIC_BLESS").is_some() {
        std::fs::write("docs/cli.md", &text).expect("written");
    }
    let stored = std::fs::read_to_string("docs/cli.md").expect("docs/cli.md");
    assert!(
        stored == text,
        "docs/cli.md is not what the program says: SIMIC_BLESS=1 cargo test --release tidy"
    );
}

/// docs/schemas holds the JSON Schema of every document; `SIMIC_BLESS=1` rewrites them.
#[test]
fn the_schemas_are_current() {
    use simic::results::{SCHEMAS, schema};
    let blesses = std::env::var_os("SIMIC_BLESS").is_some();
    let mut expected: Vec<String> = Vec::new();
    for (name, _) in SCHEMAS {
        let path = format!("docs/schemas/{name}.json");
        let text = schema(name).expect("a document of this name");
        if blesses {
            std::fs::create_dir_all("docs/schemas").expect("created");
            std::fs::write(&path, &text).expect("written");
        }
        let stored = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(stored == text, "{path} is not what the types say: SIMIC_BLESS=1 cargo test --release tidy");
        expected.push(format!("{name}.json"));
    }
    let found = std::fs::read_dir("docs/schemas").expect("readable");
    let mut found: Vec<String> =
        found.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "docs/schemas has a file per document and no other");
}

#[test]
fn the_readme_names_every_command() {
    let readme = std::fs::read_to_string("README.md").expect("README.md");
    let mut verbs = Vec::new();
    for verb in simic::cli::command().get_subcommands() {
        if verb.get_subcommands().next().is_none() {
            verbs.push(verb.get_name().to_owned());
        }
        verbs.extend(verb.get_subcommands().map(|inner| format!("{} {}", verb.get_name(), inner.get_name())));
    }
    for verb in verbs {
        assert!(readme.contains(&format!("simic {verb}")), "README.md does not show simic {verb}");
    }
}

#[test]
fn fixtures_are_described() {
    let readme = std::fs::read_to_string("fixtures/README.md").expect("fixtures/README.md");
    for entry in std::fs::read_dir("fixtures").expect("readable") {
        let name = entry.expect("readable").file_name().to_string_lossy().into_owned();
        assert!(name == "README.md" || readme.contains(&name), "fixtures/README.md does not describe {name}");
    }
}

/// No network, and no other program than git for a baseline of a revision and itself for the tasks of a job.
#[test]
fn nothing_reaches_out() {
    for (path, text) in sources("src") {
        let code = code(&text);
        assert!(!code.contains("std::net") && !code.contains("Stream::connect"), "{}", path.display());
        let runs_programs = code.contains("process::Command");
        assert!(
            !runs_programs
                || path.ends_with("records/baselines.rs")
                || path.ends_with("commands/shard/run.rs"),
            "{}",
            path.display()
        );
    }
    let baselines = std::fs::read_to_string("src/records/baselines.rs").expect("readable");
    assert_eq!(baselines.matches("Command::new(").count(), 1);
    assert!(baselines.contains("Command::new(\"git\")"));
}
