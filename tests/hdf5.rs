//! Recordings in HDF5: Minari, robomimic and D4RL, as h5py reads them.

use std::process::{Command, Output};

const FOLDER: &str = "fixtures/layouts/hdf5";

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simic"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SIMIC_")) {
        command.env_remove(name);
    }
    command.args(arguments).output().expect("the program starts")
}

/// Standard error of a call that is refused with exit code 3: one error line and a hint.
fn refused(arguments: &[&str]) -> String {
    let output = run(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{arguments:?}: {stderr}");
    let errors = stderr.lines().filter(|line| line.starts_with("error: ")).count();
    assert!(errors == 1 && stderr.contains("hint: "), "{stderr}");
    stderr
}

#[cfg(not(feature = "hdf5"))]
#[test]
fn hdf5_is_named_by_builds_without_it() {
    for file in ["walker-v2.hdf5", "minari/goal/hdf5-v0/data/main_data.hdf5", "minari/goal/hdf5-v0"] {
        let stderr = refused(&["normalize", "stats", &format!("{FOLDER}/{file}")]);
        assert!(stderr.contains("HDF5") && stderr.contains("feature hdf5"), "{stderr}");
        assert!(stderr.contains("data_format=\"arrow\""), "{stderr}");
    }
}

#[cfg(feature = "hdf5")]
mod read {
    use serde_json::Value;

    use super::*;

    fn json(arguments: &[&str]) -> (Value, String) {
        let output = run(&[arguments, &["--format", "json"]].concat());
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        (serde_json::from_slice(&output.stdout).expect("JSON"), stderr)
    }

    fn reference(name: &str) -> Value {
        let text = std::fs::read_to_string(format!("{FOLDER}/reference.json")).expect("the reference");
        serde_json::from_str::<Value>(&text).expect("JSON")[name].clone()
    }

    fn numbers(value: &Value) -> Vec<f64> {
        value.as_array().expect("numbers").iter().map(|x| x.as_f64().expect("a number")).collect()
    }

    /// Moments of all rows, within the rounding of two ways to sum them.
    fn assert_near(found: &[f64], truth: &[f64], what: &str) {
        assert_eq!(found.len(), truth.len(), "{what}");
        for (found, truth) in found.iter().zip(truth) {
            assert!((found - truth).abs() <= 1e-12 * truth.abs().max(1.0), "{what}: {found} {truth}");
        }
    }

    fn assert_is_as_h5py_reads_it(path: &str, name: &str) {
        let reference = reference(name);
        let (document, stderr) = json(&["normalize", "stats", path, "--initial-count", "0"]);
        assert_eq!(document["count"].as_f64(), reference["rows"].as_f64(), "{stderr}");
        for key in ["mean", "var"] {
            assert_near(&numbers(&document[key]), &numbers(&reference[key]), key);
        }
        let (document, _) = json(&["normalize", "stats", path, "--target", "reward", "--initial-count", "0"]);
        assert_near(
            &numbers(&document["mean"]),
            &[reference["reward_mean"].as_f64().expect("a mean")],
            "reward",
        );
        let (document, _) = json(&["inspect", path]);
        let file = &document["files"][0];
        assert_eq!(file["rows"], reference["rows"]);
        let n_episodes = reference["lengths"].as_array().map(Vec::len);
        assert_eq!(file["episodes"].as_u64().map(|n| usize::try_from(n).expect("few")), n_episodes, "{file}");
    }

    #[test]
    fn hdf5_files_are_read_as_h5py_reads_them() {
        // gzip in chunks; superblock 3 with shuffle, gzip and checksums; as it is; LZF and links in order of creation.
        for (file, name) in [
            ("walker-v2.hdf5", "d4rl"),
            ("latest.hdf5", "latest"),
            ("plain.h5", "plain"),
            ("low_dim.hdf5", "robomimic"),
            ("dense.hdf5", "dense"),
            ("minari/goal/hdf5-v0", "minari/goal"),
            ("minari/pair/hdf5-v0/data/main_data.hdf5", "minari/pair"),
        ] {
            assert_is_as_h5py_reads_it(&format!("{FOLDER}/{file}"), name);
        }
    }

    /// The document of a call, without what names or counts files.
    fn analysis(arguments: &[&str]) -> (Value, Vec<String>) {
        let (mut document, stderr) = json(arguments);
        let fields = document.as_object_mut().expect("an object");
        fields.remove("input");
        let runs = fields.get_mut("runs").and_then(Value::as_array_mut).into_iter().flatten();
        runs.for_each(|run| drop(run.as_object_mut().and_then(|run| run.remove("run_id"))));
        let notes = stderr.lines().map(|line| line.replace("parquet-v0", "X").replace("hdf5-v0", "X"));
        (document, notes.map(|line| line.replace("arrow-v0", "X")).collect())
    }

    #[test]
    fn hdf5_and_parquet_of_a_minari_set_give_the_same_analysis() {
        for (set, other) in [("goal", "parquet"), ("goal", "arrow"), ("pair", "parquet")] {
            let of = |format: &str| format!("{FOLDER}/minari/{set}/{format}-v0");
            let part = if set == "goal" { "observations.desired_goal" } else { "observations.1" };
            for flags in [
                &["normalize", "stats"][..],
                &["normalize", "stats", "--obs", part],
                &["normalize", "stats", "--target", "reward", "--reward-scale", "return"],
                &["normalize", "compare", "--momentum", "0.9,0.99"],
                &["normalize", "replay", "--momentum", "0.9"],
            ] {
                let call = |path: &str| analysis(&[&flags[..2], &[path], &flags[2..]].concat());
                let (hdf5, table) = (call(&of("hdf5")), call(&of(other)));
                assert_eq!(hdf5, table, "{set} {other} {flags:?}");
            }
        }
    }

    #[test]
    fn hdf5_parts_of_observations_stand_in_the_order_of_their_space() {
        let set = format!("{FOLDER}/minari/goal/hdf5-v0");
        let asked = "observations.observation,observations.achieved_goal,observations.desired_goal";
        let (all, stderr) = json(&["normalize", "stats", &set]);
        let (named, _) = json(&["normalize", "stats", &set, "--obs", asked]);
        assert_eq!((&all["mean"], &all["var"]), (&named["mean"], &named["var"]));
        assert!(stderr.contains("observations.observation, observations.achieved_goal"), "{stderr}");
    }

    #[test]
    fn hdf5_episodes_are_those_of_the_file_in_their_order() {
        let folder = tempfile::tempdir().expect("a folder");
        for (file, name) in
            [("low_dim.hdf5", "robomimic"), ("walker-v2.hdf5", "d4rl"), ("dense.hdf5", "dense")]
        {
            let copy = folder.path().join(name).to_string_lossy().into_owned();
            let path = format!("{FOLDER}/{file}");
            let output = run(&["convert", &path, "-o", &copy]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let (document, _) = json(&["inspect", &format!("{copy}/transitions.parquet"), "--problems"]);
            assert_eq!(document["files"][0]["rows"], reference(name)["rows"]);
            let n = reference(name)["lengths"].as_array().map(Vec::len);
            assert_eq!(
                document["files"][0]["episodes"].as_u64().map(|n| usize::try_from(n).expect("few")),
                n
            );
            // Converted rows give the same bits.
            for flags in [&["--momentum", "0.9"][..], &["--target", "reward", "--reward-scale", "return"]] {
                let of = |path: &str| analysis(&[&["normalize", "replay", path], flags].concat()).0;
                let (there, here) = (of(&copy), of(&path));
                assert_eq!((&there["mean"], &there["var"]), (&here["mean"], &here["var"]), "{file}");
                assert_eq!(there["count"], here["count"]);
            }
        }
    }

    #[test]
    fn hdf5_episodes_of_robomimic_end_where_their_groups_do() {
        let path = format!("{FOLDER}/low_dim.hdf5");
        let (document, stderr) = json(&["inspect", &path]);
        let roles = document["files"][0]["roles"].to_string();
        assert!(roles.contains("\"done\"") && !roles.contains("dones"), "{roles}");
        assert!(!stderr.contains("error"), "{stderr}");
        let (_, stderr) = json(&["normalize", "stats", &path]);
        assert!(stderr.contains("mask/train") && stderr.contains("obs.agentview_image"), "{stderr}");
        assert!(stderr.contains("obs.object, obs.robot0_eef_pos"), "{stderr}");
    }

    #[test]
    fn hdf5_pictures_are_refused_by_name() {
        let low_dim = format!("{FOLDER}/low_dim.hdf5");
        let stderr = refused(&["normalize", "stats", &low_dim, "--obs", "obs.agentview_image"]);
        assert!(stderr.contains("pictures of 2 x 2 x 3 bytes"), "{stderr}");
        let pictures = format!("{FOLDER}/minari/pictures");
        let stderr = refused(&["normalize", "stats", &pictures]);
        assert!(stderr.contains("column observations") && stderr.contains("4 x 4 x 3"), "{stderr}");
        // Its rewards are read all the same.
        json(&["normalize", "stats", &pictures, "--target", "reward"]);
    }

    #[test]
    fn hdf5_of_d4rl_without_timeouts_is_refused() {
        let stderr = refused(&["normalize", "stats", &format!("{FOLDER}/without_timeouts.hdf5")]);
        assert!(stderr.contains("no timeouts") && stderr.contains("flag for each row"), "{stderr}");
    }

    #[test]
    fn hdf5_without_a_recording_is_named_and_left_aside_beside_one() {
        let weights = format!("{FOLDER}/weights.h5");
        let stderr = refused(&["normalize", "stats", &weights]);
        assert!(stderr.contains("HDF5 without a recording"), "{stderr}");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::copy(&weights, folder.path().join("weights.h5")).expect("copied");
        std::fs::copy(format!("{FOLDER}/plain.h5"), folder.path().join("plain.h5")).expect("copied");
        let (document, stderr) = json(&["normalize", "stats", &folder.path().to_string_lossy()]);
        assert_eq!(document["runs"][0]["run_id"], "plain");
        assert!(stderr.contains("weights.h5") && stderr.contains("not used"), "{stderr}");
    }

    #[test]
    fn hdf5_layouts_are_found_by_name_and_files_stand_for_themselves() {
        let of = |file: &str| format!("{FOLDER}/{file}");
        for (file, layout, run_id) in [
            ("low_dim.hdf5", "robomimic", "low_dim"),
            ("walker-v2.hdf5", "d4rl", "walker-v2"),
            ("minari/goal/hdf5-v0", "minari", "hdf5-v0"),
        ] {
            let (document, _) = json(&["normalize", "stats", &of(file), "--layout", layout]);
            assert_eq!(document["runs"][0]["run_id"], run_id);
            let other = if layout == "d4rl" { "robomimic" } else { "d4rl" };
            refused(&["normalize", "stats", &of(file), "--layout", other]);
        }
        let (document, _) = json(&["normalize", "stats", &of("plain.h5"), "--layout", "files"]);
        assert_eq!(document["runs"][0]["run_id"], "plain");
    }

    #[test]
    fn hdf5_packed_as_a_whole_and_from_standard_input_is_read() {
        use std::io::Write;
        let bytes = std::fs::read(format!("{FOLDER}/plain.h5")).expect("a fixture");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("plain.h5.gz");
        let file = std::fs::File::create(&path).expect("created");
        let mut packer = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        packer.write_all(&bytes).expect("written");
        packer.finish().expect("written");
        let (packed, _) = json(&["normalize", "stats", &path.to_string_lossy()]);
        let (plain, _) = json(&["normalize", "stats", &format!("{FOLDER}/plain.h5")]);
        assert_eq!((&packed["mean"], &packed["count"]), (&plain["mean"], &plain["count"]));
    }

    #[test]
    fn hdf5_rows_verify_the_states_that_their_parquet_makes() {
        let of = |format: &str| format!("{FOLDER}/minari/goal/{format}-v0");
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("state.json").to_string_lossy().into_owned();
        let obs = ["--obs", "observations.observation"];
        json(&[&["normalize", "stats", &of("parquet"), "--state-out", &state], &obs[..]].concat());
        let (document, _) =
            json(&[&["normalize", "verify", &of("hdf5"), "--state", &state], &obs[..]].concat());
        assert_eq!(
            (&document["matches"], &document["expected_count"]),
            (&true.into(), &51.0001.into()),
            "{document}"
        );
    }

    #[test]
    fn hdf5_beside_a_copy_in_parquet_counts_once() {
        let of = |format: &str| format!("{FOLDER}/minari/goal/{format}-v0");
        let stderr = refused(&["normalize", "stats", &of("hdf5"), &of("parquet")]);
        assert!(stderr.contains("the same rows"), "{stderr}");
    }

    #[test]
    fn hdf5_that_is_cut_is_one_error_and_can_be_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        for file in ["walker-v2.hdf5", "low_dim.hdf5", "latest.hdf5"] {
            let bytes = std::fs::read(format!("{FOLDER}/{file}")).expect("a fixture");
            let path = folder.path().join(file);
            std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
            refused(&["normalize", "stats", &path.to_string_lossy()]);
        }
        std::fs::copy(format!("{FOLDER}/plain.h5"), folder.path().join("plain.h5")).expect("copied");
        let (document, stderr) =
            json(&["normalize", "stats", &folder.path().to_string_lossy(), "--on-bad", "skip"]);
        assert_eq!(document["runs"].as_array().map(Vec::len), Some(1), "{stderr}");
    }
}
