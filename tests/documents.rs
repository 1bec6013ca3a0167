//! Documents: what is stored reads back, renders again to the same bytes, and says what it was made with.

use std::process::Command;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use simic::results::{
    AblationDocument, ComparisonDocument, DeviceDocument, DivisorDocument, InspectionDocument,
    InteractionDocument, Measured, NormalizationDocument, NormalizationSettings, Settings, ShapleyDocument,
    StateDocument, VerificationDocument,
};

fn simic(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_simic"))
        .args(arguments)
        .arg("--no-config")
        .output()
        .expect("it runs");
    String::from_utf8(output.stdout).expect("text")
}

/// A document of a version before settings were stored: it reads, and writes the very bytes it was read from.
fn reads_back<T: Serialize + DeserializeOwned>(name: &str) -> T {
    let text = std::fs::read_to_string(format!("fixtures/documents/{name}.json")).expect("the fixture");
    let document: T = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(serde_json::to_string(&document).expect("JSON"), text.trim_end(), "{name}");
    document
}

#[test]
fn documents_of_the_first_version_are_read_and_written_to_the_byte() {
    let shapley: ShapleyDocument = reads_back("shapley");
    assert!(shapley.settings.is_none() && !shapley.games.is_empty());
    for name in ["stats", "replay"] {
        let document: NormalizationDocument = reads_back(name);
        assert!(matches!(document.settings, NormalizationSettings::Partial(_)));
        assert_eq!(document.settings.told().update_every, "step");
    }
    reads_back::<ComparisonDocument>("compare");
    reads_back::<VerificationDocument>("verify");
    reads_back::<InspectionDocument>("inspect");
    reads_back::<DeviceDocument>("devices");
    let text = std::fs::read_to_string("fixtures/documents/normalizer.json").expect("the fixture");
    let state: StateDocument = serde_json::from_str(&text).expect("a state");
    assert_eq!(state.to_json(), text);
    // Divisors are sorted by key.
    let text = std::fs::read_to_string("fixtures/documents/divisors.json").expect("the fixture");
    let divisors: DivisorDocument = serde_json::from_str(&text).expect("divisors");
    assert_eq!(serde_json::to_value(&divisors).expect("JSON").to_string(), text.trim_end());
}

/// A document of today: it reads back to the byte, complete settings among it.
fn round_trip<T: Serialize + DeserializeOwned>(arguments: &[&str]) -> T {
    let text = simic(arguments);
    let document: T = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
    assert_eq!(serde_json::to_string(&document).expect("JSON"), text.trim_end(), "{arguments:?}");
    document
}

#[test]
fn a_document_reads_back_with_everything_it_was_made_with() {
    let steps = "fixtures/simulated/steps.parquet";
    let json = ["--format", "json"];
    let shapley: ShapleyDocument = round_trip(
        &[&["analyze", "shapley", "fixtures/simulated/repeats.parquet", "--duplicates", "first"], &json[..]]
            .concat(),
    );
    let settings = serde_json::to_value(shapley.settings.expect("settings")).expect("JSON");
    assert_eq!(
        (&settings["duplicates"], &settings["missing"]),
        (&Value::from("first"), &Value::from("error"))
    );
    for preset in ["esper", "sb3", "gymnasium", "rsl-rl", "torchrl", "brax"] {
        let arguments = [
            &[
                "normalize",
                "replay",
                "fixtures/normalizers/steps.parquet",
                "--preset",
                preset,
                "--update-every",
                "step",
            ],
            &json[..],
        ]
        .concat();
        let document: NormalizationDocument = round_trip(&arguments);
        let NormalizationSettings::Complete(settings) = document.settings else {
            panic!("{preset}: partial")
        };
        assert_eq!(settings.rule.preset.map(simic::normalization::Preset::name), Some(preset));
    }
    round_trip::<NormalizationDocument>(
        &[&["normalize", "stats", steps, "--momentum", "1"], &json[..]].concat(),
    );
    let compare: ComparisonDocument = round_trip(&[&["normalize", "compare", steps], &json[..]].concat());
    assert_eq!(compare.settings.expect("settings").momentum, [0.0; 0]);
    let verify: VerificationDocument = round_trip(
        &[&["normalize", "verify", steps, "--state", "fixtures/documents/normalizer.json"], &json[..]]
            .concat(),
    );
    assert!(verify.matches && verify.settings.is_some());
    let interactions: InteractionDocument = round_trip(
        &[
            &["analyze", "interactions", "fixtures/simulated/repeats.parquet", "--regime-threshold", "0.01"],
            &json[..],
        ]
        .concat(),
    );
    assert_eq!((interactions.index.name(), interactions.settings.regime_threshold), ("k-sii", 0.01));
    let ablation: AblationDocument = round_trip(
        &[
            &["analyze", "ablation", "fixtures/simulated/repeats.parquet", "--contrast", "r0c0,r0c1"],
            &json[..],
        ]
        .concat(),
    );
    assert_eq!((ablation.contrasts.len(), ablation.settings.contrast.len()), (4, 1));
    round_trip::<InspectionDocument>(&[&["inspect", "fixtures/simulated"], &json[..]].concat());
}

/// Settings that do not fit are damage, not an older document.
#[test]
fn damaged_settings_are_refused() {
    let text = simic(&["normalize", "replay", "fixtures/simulated/steps.parquet", "--format", "json"]);
    let document: Value = serde_json::from_str(&text).expect("JSON");
    assert!(Measured::read(&document).is_ok());
    for (key, value) in
        [("rule", Value::from("x")), ("on_bad", Value::from("skp")), ("carry_over", Value::from(3))]
    {
        let mut damaged = document.clone();
        damaged["settings"][key] = value;
        let problem = Measured::read(&damaged).expect_err("refused");
        assert!(problem.contains("damaged"), "{key}: {problem}");
    }
}

/// Both mixed, but not alike: other approximations are no regression.
#[test]
fn mixtures_of_methods_are_told_apart() {
    let text = simic(&["analyze", "shapley", "fixtures/simulated/campaign.parquet", "--format", "json"]);
    let with_kernel = |n: usize| {
        let mut document: Value = serde_json::from_str(&text).expect("JSON");
        for game in document["games"].as_array_mut().expect("games").iter_mut().take(n) {
            game["method"] = Value::from("kernel");
        }
        document["method"] = Value::from("mixed");
        Measured::read(&document).expect("a result")
    };
    let changes = with_kernel(1).settings.differences(&with_kernel(3).settings);
    assert_eq!(changes.len(), 1);
    assert!(changes[0].name == "method_used" && changes[0].now.contains("3 kernel"), "{changes:?}");
}

/// What a fit tells of itself: null and absent where there is nothing to tell.
#[test]
fn a_fit_tells_how_far_to_believe_it() {
    let kernel = |file: &str, method: &str| -> Value {
        let text = simic(&["analyze", "shapley", file, "--method", method, "--format", "json"]);
        serde_json::from_str::<Value>(&text).expect("JSON")["games"][0].clone()
    };
    let game = kernel("fixtures/simulated/repeats.parquet", "kernel");
    assert!((game["kernel"]["condition"].as_f64().expect("a number") - 2.0).abs() < 1e-12, "all coalitions");
    for (player, row) in game["players"].as_array().expect("players").iter().enumerate() {
        let variance = game["kernel"]["covariance"][player][player].as_f64().expect("noise");
        let stderr = row["stderr"].as_f64().expect("noise");
        assert!((variance.sqrt() - stderr).abs() < 1e-15, "{player}");
    }
    let game = kernel("tests/cli/data/missing.csv", "kernel");
    assert!(game["kernel"]["covariance"].is_null() && game["kernel"]["r_squared"].as_f64().is_some());
    assert!(kernel("fixtures/simulated/repeats.parquet", "exact").get("kernel").is_none());
    round_trip::<ShapleyDocument>(&[
        "analyze",
        "shapley",
        "fixtures/simulated/repeats.parquet",
        "--method",
        "kernel",
        "--format",
        "json",
    ]);
}

/// Coalitions {i, i-1, i-3}: errors grow by 1.4656 from player to player.
#[test]
fn a_fit_that_loses_digits_says_so() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_simic"))
        .args(["analyze", "shapley", "tests/cli/data/chain.csv"])
        .output()
        .expect("the program starts");
    let warnings = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.success(), "{warnings}");
    assert!(
        warnings.contains("in 1 of 1 games the recorded coalitions hardly tell some players apart"),
        "{warnings}"
    );
    assert!(warnings.contains("about 9 of 16 digits are lost"), "{warnings}");
}

fn measured(arguments: &[&str]) -> Measured {
    let text = simic(&[arguments, &["--format", "json"]].concat());
    Measured::read(&serde_json::from_str(&text).expect("JSON")).expect("a result")
}

#[test]
fn every_setting_that_changes_numbers_is_told_apart_by_name() {
    let campaign = ["analyze", "shapley", "fixtures/simulated/campaign.parquet", "--method", "permutation"];
    let plain = measured(&campaign);
    for (flags, name) in [
        (&["--permutations", "10"][..], "permutations"),
        (&["--missing", "skip"], "missing"),
        (&["--duplicates", "last"], "duplicates"),
        (&["--cluster", "episode"], "cluster"),
        (&["--confidence", "0.9"], "confidence"),
        (&["--on-bad", "skip"], "on_bad"),
        (&["--better", "lower"], "better"),
        (&["--no-antithetic"], "antithetic"),
        (&["--sampling", "balanced"], "sampling"),
    ] {
        let other = measured(&[&campaign[..], flags].concat());
        let changes = plain.settings.differences(&other.settings);
        assert!(changes.iter().any(|change| change.name == name), "{name}: {changes:?}");
    }
    let kernel = measured(&[&campaign[..3], &["--method", "kernel"]].concat());
    assert!(plain.settings.differences(&kernel.settings).iter().any(|change| change.name == "method"));
    let steps = ["normalize", "stats", "fixtures/simulated/steps.parquet"];
    let plain = measured(&steps);
    for (flags, name) in [
        (&["--clock", "episode-step"][..], "clock"),
        (&["--rollback", "keep"], "rollback"),
        (&["--carry-over"], "carry_over"),
        (&["--initial-count", "5"], "rule.initial_count"),
        (&["--target", "reward"], "target"),
        (&["--momentum", "0.5"], "rule.memory.kind"),
    ] {
        let other = measured(&[&steps[..], flags].concat());
        let changes = plain.settings.differences(&other.settings);
        assert!(changes.iter().any(|change| change.name == name), "{name}: {changes:?}");
    }
    assert!(plain.settings.differences(&measured(&steps).settings).is_empty());
}

#[test]
fn a_first_document_is_compared_by_what_it_tells() {
    let text = std::fs::read_to_string("fixtures/documents/shapley.json").expect("the fixture");
    let old = Measured::read(&serde_json::from_str(&text).expect("JSON")).expect("a result");
    assert!(matches!(old.settings, Settings::Partial(_)));
    let repeats = ["analyze", "shapley", "fixtures/simulated/repeats.parquet"];
    let new = measured(&repeats);
    assert_eq!(old.settings.differences(&new.settings), []);
    assert_eq!(old.metrics, new.metrics);
    let other = measured(&[&repeats[..], &["--cluster", "game"]].concat());
    let changes = old.settings.differences(&other.settings);
    assert_eq!(changes.iter().map(|change| change.name.as_str()).collect::<Vec<_>>(), ["cluster"]);
}

#[test]
fn a_schema_is_printed_by_name_and_accepts_its_documents() {
    let schema: Value = serde_json::from_str(&simic(&["schema", "shapley"])).expect("JSON");
    let required: Vec<&str> =
        schema["required"].as_array().expect("names").iter().filter_map(Value::as_str).collect();
    let text = std::fs::read_to_string("fixtures/documents/shapley.json").expect("the fixture");
    let document: Value = serde_json::from_str(&text).expect("JSON");
    assert!(required.contains(&"games") && required.iter().all(|name| document.get(name).is_some()));
    let properties = schema["properties"].as_object().expect("properties");
    assert!(document.as_object().expect("an object").keys().all(|key| properties.contains_key(key)));
}
