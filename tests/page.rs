//! The page of a report: whole, quiet, the same every time.

use std::path::Path;
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simic"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SIMIC_")) {
        command.env_remove(name);
    }
    command.args(arguments).output().expect("the program starts")
}

fn page(folder: &Path, inputs: &[&str]) -> String {
    let path = folder.join("report.html");
    let output = run(&[&["report"], inputs, &["-o", path.to_str().expect("text"), "--force"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read_to_string(path).expect("written")
}

/// Large documents stand in the page packed, and are read as they are saved from it.
#[test]
fn large_documents_are_packed_and_read_back() {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
    let steps = ["simulate", "transitions", "--n-steps", "400", "--obs-width", "200", "-o"];
    let written = run(&[&steps[..], &[&path("wide.parquet")]].concat());
    assert!(written.status.success());
    let text = page(folder.path(), &[&path("wide.parquet")]);
    let (_, after) = text.split_once("data:application/gzip;base64,").expect("a packed document");
    let packed = BASE64_STANDARD.decode(after.split('"').next().unwrap_or_default()).expect("base64");
    std::fs::write(path("compare.json.gz"), packed).expect("written");
    let again = page(folder.path(), &[&path("compare.json.gz")]);
    assert!(again.contains("Which setting normalizes obs best"), "{} bytes", again.len());
    std::fs::write(path("broken.json.gz"), [0x1f, 0x8b, 8, 0, 1]).expect("written");
    let broken = run(&["report", &path("broken.json.gz"), "-o", &path("broken.html")]);
    assert_eq!(broken.status.code(), Some(3), "{}", String::from_utf8_lossy(&broken.stderr));
}

#[test]
fn a_page_holds_pictures_numbers_and_documents_of_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = page(
        folder.path(),
        &[
            "fixtures/simulated/campaign.parquet",
            "fixtures/simulated/steps.parquet",
            "fixtures/digits_regions.parquet",
        ],
    );
    for part in [
        "What was read",
        "What each slot adds to val_accuracy",
        "What slots add together to val_accuracy",
        "What val_accuracy loses without each slot",
        "Which setting normalizes obs best",
        "Recorded obs over time",
        "<svg ",
        "r0c0",
    ] {
        assert!(text.contains(part), "no {part}");
    }
    // Nothing is fetched: the only addresses are names of name spaces and files inside the page.
    let addresses = text.match_indices("http").map(|(place, _)| &text[place..text.len().min(place + 40)]);
    for address in addresses {
        let is_name = address.starts_with("http://www.w3.org/2000/svg") || address.starts_with("http-equiv");
        assert!(is_name || address.starts_with("http%3A%2F%2Fwww.w3.org"), "{address}");
    }
    assert_eq!(
        text,
        page(
            folder.path(),
            &[
                "fixtures/simulated/campaign.parquet",
                "fixtures/simulated/steps.parquet",
                "fixtures/digits_regions.parquet"
            ]
        )
    );
}

#[test]
fn results_are_shown_as_recordings_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let result = folder.path().join("shapley.json");
    let result = result.to_str().expect("text");
    assert!(
        run(&["analyze", "shapley", "fixtures/digits_regions.parquet", "--format", "json", "-o", result])
            .status
            .success()
    );
    let (of_result, of_runs) =
        (page(folder.path(), &[result]), page(folder.path(), &["fixtures/digits_regions.parquet"]));
    let picture = |text: &str| {
        let start = text.find("<svg ").expect("a picture");
        text[start..start + text[start..].find("</svg>").expect("its end")].to_owned()
    };
    assert_eq!(picture(&of_result), picture(&of_runs));
    // What is no result is said, and no page is left.
    for (name, text, why) in [
        ("x.json", "{}", "no \"schema\""),
        ("y.json", "[", "not JSON"),
        ("z.json", "{\"schema\":\"a/1\"}", "schema a/1"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        let page = folder.path().join("none.html");
        let output = run(&["report", path.to_str().expect("text"), "-o", page.to_str().expect("text")]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(3) && stderr.contains(why) && !page.exists(), "{stderr}");
    }
    let nameless = run(&["report", result]);
    assert_eq!(nameless.status.code(), Some(2));
}

#[test]
fn names_with_markup_stay_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let table = folder.path().join("<b>x.csv");
    let text = "run,\"slot:<script>alert(1)</script>\",slot:\u{202e}evil,val_accuracy\n\"</svg>\",0,0,1\n\"</svg>\",1,0,2\n\"</svg>\",0,1,3\n\"</svg>\",1,1,5\n";
    std::fs::write(&table, text).expect("written");
    let text = page(folder.path(), &[table.to_str().expect("text")]);
    assert!(!text.contains("<script>alert") && !text.contains("</svg>,") && !text.contains('\u{202e}'));
    assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert_eq!(text.matches("<svg ").count(), text.matches("</svg>").count());
}
