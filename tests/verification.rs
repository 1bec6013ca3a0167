//! What `verify` calls the same, and what it says of a state that is not.

use serde_json::Value;

use super::normalizers::{STEPS, diagnosed, folder, json, lines, stored};

/// Rows that alternate between two values.
fn alternating(path: &str, n_rows: usize, low: f64, high: f64) {
    let rows = (0..n_rows).map(|row| format!("{row},{}", if row % 2 == 0 { low } else { high }));
    let rows: Vec<String> = std::iter::once("step,obs".to_owned()).chain(rows).collect();
    lines(path, &rows.iter().map(String::as_str).collect::<Vec<_>>());
}

const PLAIN: &[&str] = &["--initial-count", "0"];

#[test]
fn means_are_compared_in_deviations_whatever_their_size() {
    let (_directory, path) = folder();
    let steps = path("steps.csv");
    alternating(&steps, 1000, 10_000.0, 10_000.1);
    let mut off = stored(&steps, PLAIN);
    // The deviation is 0.05: 18 of them.
    off["mean"][0] = 10_000.95.into();
    let found = diagnosed(&steps, PLAIN, &off);
    assert!((found["distance"].as_f64().expect("a distance") - 18.0).abs() < 1e-3, "{found}");
}

#[test]
fn rounding_to_the_stored_precision_is_no_difference() {
    let (_directory, path) = folder();
    let (steps, state) = (path("steps.csv"), path("state.safetensors"));
    alternating(&steps, 1000, 10_000.0, 10_000.1);
    let right = stored(&steps, PLAIN);
    let number = |field: &str| right[field][0].as_f64().expect("a number");
    #[expect(clippy::cast_possible_truncation, reason = "that is what is tested")]
    let rounded = [number("mean") as f32, number("var") as f32];
    let header = r#"{"mean":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"var":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    rounded.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
    std::fs::write(&state, bytes).expect("written");
    let verified = json(&[&["normalize", "verify", &steps, "--state", &state], PLAIN].concat());
    assert_eq!(verified["matches"], true, "{verified}");
    // The same numbers at 64 bits are off by what 32 bits lost.
    let mut lost = right.clone();
    lost["mean"][0] = f64::from(rounded[0]).into();
    lost["var"][0] = f64::from(rounded[1]).into();
    assert_eq!(diagnosed(&steps, PLAIN, &lost)["matches"], false);
}

#[test]
fn a_stale_state_of_settled_statistics_is_stale() {
    let (_directory, path) = folder();
    let (steps, early) = (path("steps.csv"), path("early.csv"));
    alternating(&steps, 1000, 0.0, 1.0);
    alternating(&early, 500, 0.0, 1.0);
    let found = diagnosed(&steps, PLAIN, &stored(&early, PLAIN));
    assert_eq!(found["diagnosis"], "stale", "{found}");
    assert!(found["detail"].as_str().expect("text").contains("after 500 of 1,000"), "{found}");
    // No update had this count.
    let mut miscounted = stored(&early, PLAIN);
    miscounted["count"] = 5000.0.into();
    assert_eq!(diagnosed(&steps, PLAIN, &miscounted)["diagnosis"], "count");
}

#[test]
fn another_momentum_is_named_only_within_the_tolerance() {
    let asked: &[&str] = &["--momentum", "0.99"];
    for momentum in ["0.95", "0.9537", "0.5"] {
        let found = diagnosed(STEPS, asked, &stored(STEPS, &["--momentum", momentum]));
        assert_eq!(found["diagnosis"], "wrong_momentum", "{momentum}: {found}");
        let detail = found["detail"].as_str().expect("text");
        assert!(detail.contains(momentum), "{detail}");
    }
    let mut moved = stored(STEPS, &["--momentum", "0.95"]);
    let deviation = moved["var"][0].as_f64().expect("a variance").sqrt();
    moved["mean"][0] = (moved["mean"][0].as_f64().expect("a mean") + 0.005 * deviation).into();
    // A document that says 0.95 of itself is compared under 0.99 all the same.
    let found: Value = diagnosed(STEPS, asked, &moved);
    assert_eq!(found["diagnosis"], "unknown", "{found}");
}
