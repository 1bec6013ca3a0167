//! Runs that are cut between updates, and replayed by several tasks, come to what they are on one machine, to the byte.

use std::path::Path;

use simic::records::{Compression, ParquetTable, TableWriter};

use super::normalizers::{folder, simic};
use super::shards::{bytes_of, done, planned, refused, shuffled, text, words};

/// Rows of a row group: no multiple of anything else here.
const GROUP_ROWS: usize = 9_973;

/// A row of a recording of two environments.
#[derive(Clone, Copy)]
struct Row {
    episode: i64,
    step: i64,
    env: i64,
    obs: [f32; 2],
    reward: f64,
    ended: bool,
}

/// Rows in replay order: the second environment stops two thirds of the way, and the values drift.
fn recorded(n_rows: usize) -> Vec<Row> {
    let n_steps = n_rows * 3 / 5;
    let mut noise = 1u64;
    let mut rows = Vec::with_capacity(n_rows);
    for t in 0..n_steps as i64 {
        for env in 0..2 {
            if env == 1 && t >= n_steps as i64 * 2 / 3 {
                continue;
            }
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let x = (noise >> 40) as f32 / (1 << 24) as f32 - 0.5;
            let drift = t as f32 / n_steps as f32;
            rows.push(Row {
                episode: t / 100,
                step: t % 100,
                env,
                obs: [x + drift, 100.0 - 3.0 * x * x],
                reward: f64::from(x) + if t % 997 == 0 { 40.0 } else { 0.0 },
                ended: t % 100 == 99,
            });
        }
    }
    rows
}

/// Writes the rows of a run to `n_files` files in a folder, one after the other.
fn write(folder: &str, run: &str, rows: &[Row], n_files: usize) {
    std::fs::create_dir_all(folder).expect("made");
    for (number, rows) in rows.chunks(rows.len().div_ceil(n_files)).enumerate() {
        let file =
            std::fs::File::create(Path::new(folder).join(format!("{run}{number}.parquet"))).expect("created");
        let mut writer = TableWriter::new(&file, Compression::Uncompressed).expect("a writer");
        for rows in rows.chunks(GROUP_ROWS) {
            let ints = |pick: fn(&Row) -> i64| rows.iter().map(pick).collect::<Vec<i64>>();
            let table = ParquetTable::new()
                .text("run_id", &vec![run; rows.len()])
                .ints("episode", &ints(|row| row.episode))
                .ints("step", &ints(|row| row.step))
                .ints("env_id", &ints(|row| row.env))
                .float_lists("obs", rows.iter().flat_map(|row| row.obs).collect(), 2)
                .floats("reward", &rows.iter().map(|row| row.reward).collect::<Vec<_>>())
                .bools("terminated", &rows.iter().map(|row| row.ended).collect::<Vec<_>>());
            writer.write(table).expect("written");
        }
        writer.finish().expect("written");
    }
}

fn document(job: &str) -> serde_json::Value {
    let text = std::fs::read_to_string(format!("{job}/job.json")).expect("a job");
    serde_json::from_str(&text).expect("JSON")
}

/// Tasks of each stage.
fn stages(job: &str) -> Vec<usize> {
    let document = document(job);
    let stages = document["stages"].as_array().cloned().unwrap_or_default();
    stages.iter().map(|n| usize::try_from(n.as_u64().expect("a number")).expect("a number")).collect()
}

/// Computes the tasks of every stage in an order of their own, some of them twice.
fn computed(job: &str, n_tasks: usize) {
    let mut first = 0;
    let stages = Some(stages(job)).filter(|stages| !stages.is_empty()).unwrap_or(vec![n_tasks]);
    assert_eq!(stages.iter().sum::<usize>(), n_tasks);
    for n_tasks in stages {
        for task in shuffled(n_tasks) {
            done(&["shard", "exec", job, "--task", &(first + task).to_string(), "--threads", "1"]);
        }
        first += n_tasks;
    }
}

/// What a command prints, and the files it writes.
#[derive(PartialEq)]
struct Printed {
    documents: Vec<Vec<u8>>,
    files: Vec<Vec<u8>>,
}

/// Plans of `n_stretches` stretches come to what one machine prints and writes.
fn is_cut_and_whole_the_same(runs: &str, command: &str, outputs: &[&str], n_stretches: &[usize]) {
    let (_directory, path) = folder();
    let job = path("job");
    let mut line: Vec<String> = words(command).into_iter().map(str::to_owned).collect();
    line.insert(2, runs.to_owned());
    let named = |output: &&str| match *output {
        "-o" => path("rows.parquet"),
        "--state-out" => path("state.json"),
        _ => path("trace.parquet"),
    };
    let files: Vec<String> = outputs.iter().map(named).collect();
    for (flag, file) in outputs.iter().zip(&files) {
        line.extend([(*flag).to_owned(), file.clone()]);
    }
    if !outputs.is_empty() {
        line.push("--force".to_owned());
    }
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    let printed = |command: &[&str]| Printed {
        documents: ["json", "table"]
            .map(|format| done(&[command, &["--format", format]].concat()).stdout)
            .to_vec(),
        files: files.iter().map(|file| std::fs::read(file).expect("written")).collect(),
    };
    let whole = printed(&line);
    for n in n_stretches {
        let target = (bytes_of(Path::new(runs)).div_ceil(*n as u64) + 1).to_string();
        let n_tasks = planned(&job, &target, &line);
        let stages = stages(&job);
        let found = stages.first().copied().unwrap_or(n_tasks);
        assert!((found > 1) == (*n > 1) && found >= *n, "{command}: {found} stretches for {n}");
        let is_compared = command.starts_with("normalize compare");
        let expected = [&[found, 1, found][..], if is_compared { &[1] } else { &[] }].concat();
        assert!(stages.is_empty() || stages == expected, "{stages:?}");
        computed(&job, n_tasks);
        done(&["shard", "status", &job]);
        for file in &files {
            std::fs::remove_file(file).expect("removed");
        }
        let merged = printed(&["shard", "merge", &job, "--force"][..if files.is_empty() { 3 } else { 4 }]);
        for (merged, whole) in merged.documents.iter().zip(&whole.documents) {
            assert_eq!(text(merged), text(whole), "{command}, {found} stretches");
        }
        assert!(merged == whole, "{command}, {found} stretches: {outputs:?}");
    }
}

#[test]
fn a_long_run_is_what_it_is_whole_however_it_is_cut() {
    let (_directory, path) = folder();
    let (one, several) = (path("one"), path("several"));
    let rows = recorded(460_000);
    write(&one, "long", &rows, 1);
    write(&several, "long", &rows, 3);
    let all = ["-o", "--trace", "--state-out"];
    is_cut_and_whole_the_same(&one, "normalize replay", &all, &[1, 2, 7]);
    is_cut_and_whole_the_same(&several, "normalize stats --momentum 0.9999", &["--state-out"], &[2]);
    // Sums need no order, and no stages.
    is_cut_and_whole_the_same(&several, "normalize stats", &["--state-out"], &[1, 2, 7, 16]);
    is_cut_and_whole_the_same(&one, "normalize stats --target reward --update-every row", &[], &[5]);
}

#[test]
fn settings_of_a_replay_are_the_same_over_cuts() {
    let (_directory, path) = folder();
    let runs = path("several");
    write(&runs, "long", &recorded(220_000), 2);
    let (rows, trace) = (&["-o", "--trace"][..], &["--trace"][..]);
    for (n, flags, outputs) in [
        (3, "--momentum 0.99 --order update-first --update-every rollout:37 --clip 1.5", rows),
        (3, "--update-every row --warmup debias --momentum 0.999 --bias-correction torchrl", &[]),
        (3, "--target reward", rows),
        (3, "--target reward --momentum 0.99 --update-every rollout:1000 --variance-floor 0.5", &[]),
        // Batches of more rows than are handled together.
        (2, "--update-every rollout:50000", rows),
        (2, "--update-every rollout:50000 --order update-first --momentum 0.5 --precision f64", rows),
        (3, "--update-every rollout:2500 --warmup welford:70000 --momentum 0.9", trace),
    ] {
        is_cut_and_whole_the_same(&runs, &format!("normalize replay {flags}"), outputs, &[n]);
    }
    // From a stored state on, whose updates are counted on.
    let (short, state) = (path("short"), path("begun.json"));
    write(&short, "short", &recorded(1_001), 1);
    done(&["normalize", "stats", &short, "--momentum", "0.9", "--state-out", &state]);
    let command = format!("normalize replay --momentum 0.9 --update-every rollout:3 --state-in {state}");
    is_cut_and_whole_the_same(&runs, &command, &["--trace", "--state-out"], &[3]);
}

/// Settings are followed over cuts, and the shift that they lag behind is found wherever a cut lies beside it.
#[test]
fn settings_of_a_comparison_are_the_same_over_cuts() {
    let (_directory, path) = folder();
    let (runs, sudden) = (path("several"), path("sudden"));
    let mut rows = recorded(220_000);
    write(&runs, "long", &rows, 2);
    // Just before a piece ends, and with it a stretch.
    rows.iter_mut().skip(131_000).for_each(|row| row.obs[0] += 8.0);
    write(&sudden, "long", &rows, 1);
    for (n, runs, flags) in [
        (3, &runs, ""),
        (3, &sudden, ""),
        (2, &sudden, "--momentum 0.5,0.9,0.999 --welford --update-every row"),
        (3, &sudden, "--momentum 0.9,0.99 --order update-first --update-every rollout:37 --clip 1.5"),
        (3, &runs, "--momentum 0.9,0.99 --shift-at 70000"),
        (3, &runs, "--target reward --momentum 0.5..0.999:40"),
        // Batches of more rows than are handled together.
        (2, &sudden, "--momentum 0.5,0.9 --update-every rollout:50000 --order update-first"),
        (2, &sudden, "--momentum 0.5,0.9 --update-every rollout:50000"),
    ] {
        is_cut_and_whole_the_same(runs, format!("normalize compare {flags}").trim(), &[], &[n]);
    }
}

/// A comparison goes on from what it is told to, and says what is missing.
#[test]
fn a_comparison_is_concluded_when_all_stretches_are_there() {
    let (_directory, path) = folder();
    let (runs, job) = (path("runs"), path("job"));
    write(&runs, "long", &recorded(200_000), 1);
    let line = ["normalize", "compare", runs.as_str(), "--momentum", "0.9,0.99"];
    let n_tasks = planned(&job, "1MB", &line);
    let last = (n_tasks - 1).to_string();
    let exec = ["shard", "exec", job.as_str(), "--task", &last];
    assert!(refused(&exec, 75).contains("goes on from parts that are not there yet"));
    let missing = refused(&["shard", "merge", &job], 3);
    assert!(missing.contains(&format!("1 of {n_tasks} parts are missing: {last}")), "{missing}");
    let beyond =
        ["shard", "plan", &path("other"), "--", "normalize", "compare", &runs, "--shift-at", "9999999"];
    assert!(refused(&beyond, 2).contains("lies beyond the recording"));
    computed(&job, n_tasks);
    // Nothing else is needed for what is said in the end.
    for task in 0..n_tasks - 1 {
        std::fs::remove_file(format!("{job}/parts/{task}")).expect("removed");
    }
    assert_eq!(text(&done(&["shard", "merge", &job]).stdout), text(&done(&line).stdout));
}

/// Tasks say what they wait for; a job that runs on one machine waits by itself.
#[test]
fn stages_follow_each_other() {
    let (_directory, path) = folder();
    let (runs, job) = (path("runs"), path("job"));
    write(&runs, "long", &recorded(200_000), 1);
    let line = ["normalize", "replay", runs.as_str(), "--momentum", "0.99"];
    planned(&job, "1MB", &line);
    let stages = stages(&job);
    let [moments, 1, replays] = stages[..] else { panic!("{stages:?}") };
    assert!(moments > 1 && moments == replays);
    let exec = |task: usize| {
        ["shard", "exec", job.as_str(), "--task"]
            .map(str::to_owned)
            .into_iter()
            .chain([task.to_string()])
            .collect::<Vec<_>>()
    };
    let asked = |task: usize, code: i32| {
        let line = exec(task);
        refused(&line.iter().map(String::as_str).collect::<Vec<_>>(), code)
    };
    let awaited = |text: &str, parts: &str| {
        assert!(text.contains(&format!("goes on from parts that are not there yet: {parts}")), "{text}");
    };
    awaited(&asked(moments, 75), &format!("0-{}", moments - 1));
    awaited(&asked(moments + 1, 75), &moments.to_string());
    done(&["shard", "exec", &job, "--task", "1"]);
    let rest = if moments == 2 { "0".to_owned() } else { "0, 2".to_owned() };
    assert!(asked(moments, 75).contains(&format!("not there yet: {rest}")));
    let output = done(&["shard", "run", &job, "--workers", "2"]);
    assert!(text(&output.stderr).contains(&format!("{} of {} tasks computed", 2 * moments, 2 * moments + 1)));
    let whole = done(&line);
    assert_eq!(text(&done(&["shard", "merge", &job]).stdout), text(&whole.stdout));

    // What the last stage has taken up is not needed any more.
    let kept = std::fs::read(format!("{job}/parts/0")).expect("a part");
    std::fs::remove_file(format!("{job}/parts/0")).expect("removed");
    assert_eq!(text(&done(&["shard", "merge", &job]).stdout), text(&whole.stdout));
    std::fs::write(format!("{job}/parts/0"), kept).expect("written");

    // Without one of its stretches nothing is said of a run.
    let last = format!("{job}/parts/{}", 2 * moments);
    std::fs::remove_file(last).expect("removed");
    let missing = refused(&["shard", "merge", &job], 3);
    assert!(missing.contains(&format!("parts are missing: {}", 2 * moments)), "{missing}");
    let partial = refused(&["shard", "merge", &job, "--allow-missing"], 3);
    let left_out = format!("run long is left out: 1 of its {moments} stretches are missing");
    assert!(partial.contains("parts are missing") || partial.contains(&left_out), "{partial}");

    // A damaged part is told, and not taken.
    std::fs::write(format!("{job}/parts/{moments}"), "{}").expect("written");
    std::fs::remove_file(format!("{job}/parts/{}", moments + 1)).expect("removed");
    assert!(asked(moments + 1, 3).contains(&format!("part {moments} is damaged")));
}

/// Bytes of moments beside bytes of rows: what docs/scale.md says.
#[test]
fn what_is_carried_of_an_update() {
    let (_directory, path) = folder();
    let (runs, job) = (path("runs"), path("job"));
    // Two environments, and one of them after two thirds of the steps.
    write(&runs, "long", &recorded(200_000), 1);
    let (n_steps, n_pairs, width) = (120_000, 80_000, 2);
    let carried = |flags: &str| {
        let mut line = words("normalize replay");
        line.insert(2, &runs);
        line.extend(words(flags));
        planned(&job, "1MB", &line);
        let n_moments = stages(&job)[0];
        let parts = (0..n_moments).map(|task| {
            done(&["shard", "exec", &job, "--task", &task.to_string()]);
            bytes_of(Path::new(&format!("{job}/parts/{task}")))
        });
        parts.sum::<u64>()
    };
    // Heads of parts, and moments of what is handled together: some hundred of these.
    let beside = 100_000;
    let is_about = |found: u64, expected: u64| (expected..expected + beside).contains(&found);
    let found = carried("");
    assert!(is_about(found, 16 * width * n_pairs + 4 * width * (n_steps - n_pairs)), "{found}");
    let found = carried("--update-every row");
    assert!(is_about(found, 4 * width * 200_000), "{found}");
    let found = carried("--update-every rollout:10");
    assert!(is_about(found, 16 * width * n_steps / 10), "{found}");
}

/// Runs of several lengths in one job: those that fit a task are not cut, and rows are written run after run.
#[test]
fn long_runs_stand_beside_short_ones() {
    let (_directory, path) = folder();
    let (runs, job) = (path("runs"), path("job"));
    let rows = recorded(150_000);
    for (name, n_rows) in [("a", 2_000), ("b", 150_000), ("c", 3_000), ("d", 140_000)] {
        write(&runs, name, &rows[..n_rows], 1);
    }
    let (out, trace) = (path("rows.parquet"), path("trace.parquet"));
    let line = ["normalize", "replay", &runs, "--momentum", "0.99", "-o", &out, "--trace", &trace, "--force"];
    let files = || [&out, &trace].map(|file| std::fs::read(file).expect("written"));
    let whole = done(&line);
    let expected = files();
    let n_tasks = planned(&job, "2MB", &line);
    let stages = stages(&job);
    assert!(stages[1] == 2 && stages[0] > stages[2] && stages[2] >= 4, "{stages:?}");
    computed(&job, n_tasks);
    let merged = done(&["shard", "merge", &job, "--force"]);
    assert_eq!(text(&merged.stdout), text(&whole.stdout));
    assert!(files() == expected);

    // A run that lacks a stretch is left out, the others are not.
    let last = stages.iter().sum::<usize>() - 1;
    std::fs::remove_file(format!("{job}/parts/{last}")).expect("removed");
    let partial = done(&["shard", "merge", &job, "--force", "--allow-missing", "--", "--format", "json"]);
    assert!(text(&partial.stderr).contains("run d is left out: 1 of its"), "{}", text(&partial.stderr));
    let document: serde_json::Value = serde_json::from_slice(&partial.stdout).expect("JSON");
    let found: Vec<&str> =
        document["runs"].as_array().expect("runs").iter().filter_map(|run| run["run_id"].as_str()).collect();
    assert_eq!(found, ["a", "b", "c"]);
    let [written, _] = files();
    assert!(written.len() < expected[0].len());
}

/// What cannot be cut stays whole, and the job says why.
#[test]
fn what_is_not_cut_is_told() {
    let (_directory, path) = folder();
    let (runs, job) = (path("runs"), path("job"));
    let mut rows = recorded(150_000);
    write(&runs, "long", &rows, 1);
    let undivided = |runs: &str, command: &str| {
        let mut line = words(command);
        line.insert(2, runs);
        let n_tasks = planned(&job, "500kB", &line);
        (n_tasks, document(&job)["undivided"].to_string())
    };
    for (command, reason) in [
        ("normalize replay --scope env", "--scope env"),
        ("normalize replay --clock episode-step", "--clock"),
        ("normalize replay --update-every episode", "rounds and episodes"),
        ("normalize replay --target reward --reward-scale return", "returns go on"),
        ("normalize replay --preset brax", "what the learner saw"),
        ("normalize replay --device flex", "--device"),
        ("normalize compare --device flex", "--device"),
        ("normalize replay --carry-over", "--carry-over"),
        ("normalize replay --on-bad skip", "--on-bad skip"),
        ("normalize replay --update-every rollout:90000", "its updates are longer"),
    ] {
        let (n_tasks, told) = undivided(&runs, command);
        assert_eq!(n_tasks, 1, "{command}: {told}");
        assert!(told.contains(reason), "{command}: {told}");
    }
    // States of many settings of wide rows.
    let wide = path("wide.parquet");
    let simulate = ["simulate", "transitions", "--n-envs", "1", "--n-steps", "13000", "--obs-width", "256"];
    done(&[&simulate[..], &["-o", &wide]].concat());
    let (n_tasks, told) = undivided(&wide, "normalize compare --momentum 0.5..0.99999:2000");
    assert!(n_tasks == 1 && told.contains("more than 64 MiB"), "{told}");
    rows.swap(10, 11);
    let mixed = path("mixed");
    write(&mixed, "long", &rows, 1);
    let (n_tasks, told) = undivided(&mixed, "normalize replay");
    assert!(n_tasks == 1 && told.contains("do not lie in replay order"), "{told}");
    let one_part = path("one_part.csv");
    let lines: String = (0..300_000).map(|t| format!("0,{t},{}\n", t % 17)).collect();
    std::fs::write(&one_part, format!("episode,step,obs_0\n{lines}")).expect("written");
    let (n_tasks, told) = undivided(&one_part, "normalize replay");
    assert!(n_tasks == 1 && told.contains("would be read several times"), "{told}");
    assert!(simic(&["shard", "run", &job]).status.success());
}
