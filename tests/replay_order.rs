//! Rows in any order come in replay order, whatever is held in memory at once.

use proptest::prelude::*;
use simic::records::{
    Clock, ColumnMap, Compression, OnBad, ParquetTable, RecordError, StepOptions, StepRecording, StepSizes,
    StepTarget, TableWriter, discover,
};

use super::normalizers::{column, folder, json, lines, numbers, simic, worst};

/// A recorded row.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Row {
    run: usize,
    env: i64,
    episode: i64,
    step: i64,
    clock: i64,
    value: f32,
}

/// A row as it comes out.
#[derive(Debug, Clone, PartialEq)]
struct Streamed {
    run: String,
    env: i64,
    episode: i64,
    step: i64,
    vector_step: u64,
    value: u64,
}

/// How rows lie.
#[derive(Debug, Clone, Copy)]
enum Lie {
    Ordered,
    /// Environments of every step the other way round.
    Reversed,
    /// One environment after the other.
    ByEnvironment,
    Shuffled,
}

fn scrambled(seed: u64, i: u64) -> u64 {
    let mut x = (seed ^ i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 29;
    x.wrapping_mul(0x94d0_49bb_1331_11eb) >> 13
}

/// Rows of uneven environments in replay order by rows: `lengths` per run and environment.
fn recorded(lengths: &[Vec<u8>], seed: u64) -> Vec<Row> {
    let mut rows = Vec::new();
    for (run, lengths) in lengths.iter().enumerate() {
        for (number, n) in lengths.iter().enumerate() {
            for k in 0..i64::from(*n) {
                let id = rows.len() as u64;
                rows.push(Row {
                    run,
                    // Ids neither dense nor in the order in which they are first seen.
                    env: i64::from(scrambled(seed, number as u64).is_multiple_of(5)) * -100
                        + 7 * number as i64,
                    episode: k / 5 - 1,
                    step: 2 * (k % 5),
                    // Environments share times, rows of one may too.
                    clock: (k - 3) / 2 + i64::try_from(scrambled(seed, id) % 3).expect("small"),
                    value: id as f32 - 0.25,
                });
            }
        }
    }
    in_replay_order(&rows, &Clock::Row).into_iter().map(|(row, _)| row).collect()
}

/// The definition: rows in order of run, time and environment, each with the number of its time within its run.
fn in_replay_order(rows: &[Row], clock: &Clock) -> Vec<(Row, u64)> {
    let mut runs: Vec<usize> = Vec::new();
    for row in rows {
        if !runs.contains(&row.run) {
            runs.push(row.run);
        }
    }
    let mut found = Vec::new();
    for run in runs {
        let own: Vec<Row> = rows.iter().filter(|row| row.run == run).copied().collect();
        let time = |row: &Row| match clock {
            Clock::Row => {
                let before = |other: &&Row| {
                    other.env == row.env && (other.episode, other.step) < (row.episode, row.step)
                };
                (i64::try_from(own.iter().filter(before).count()).expect("small"), 0)
            }
            Clock::EpisodeStep => (row.episode, row.step),
            Clock::Column(_) => (row.clock, 0),
        };
        let mut timed: Vec<_> =
            own.iter().map(|row| (time(row), row.env, row.episode, row.step, *row)).collect();
        timed.sort_by_key(|(time, env, episode, step, _)| (*time, *env, *episode, *step));
        let mut times: Vec<_> = timed.iter().map(|row| row.0).collect();
        times.dedup();
        let number = |time| times.binary_search(&time).expect("a time") as u64;
        found.extend(timed.into_iter().map(|(time, _, _, _, row)| (row, number(time))));
    }
    found
}

fn lying(rows: &[Row], lie: Lie, seed: u64) -> Vec<Row> {
    let mut rows: Vec<(u64, Row)> = (0..).zip(rows.iter().copied()).collect();
    match lie {
        Lie::Ordered => {}
        Lie::Reversed => {
            // Neighbours of one environment keep their order.
            for start in 0..rows.len() {
                let later = (start + 1..rows.len()).take(7).find(|i| rows[*i].1.env == rows[start].1.env);
                if let Some(later) = later.filter(|_| start % 7 == 0) {
                    rows[start..later].reverse();
                }
            }
        }
        Lie::ByEnvironment => rows.sort_by_key(|(i, row)| (row.env, row.run, *i)),
        Lie::Shuffled => rows.sort_by_key(|(i, _)| scrambled(seed, *i)),
    }
    rows.into_iter().map(|(_, row)| row).collect()
}

/// Writes rows to two files of row groups of `per_group`.
fn write(rows: &[Row], per_group: usize, path: impl Fn(&str) -> String) -> Vec<String> {
    let halves = [&rows[..rows.len() / 2], &rows[rows.len() / 2..]];
    let mut paths = Vec::new();
    for (name, rows) in ["a.parquet", "b.parquet"].iter().zip(halves).filter(|(_, rows)| !rows.is_empty()) {
        let file = std::fs::File::create(path(name)).expect("created");
        let mut writer = TableWriter::new(&file, Compression::Uncompressed).expect("a writer");
        for rows in rows.chunks(per_group) {
            let ints = |pick: fn(&Row) -> i64| rows.iter().map(pick).collect::<Vec<i64>>();
            let runs: Vec<String> = rows.iter().map(|row| run_id(row.run)).collect();
            let table = ParquetTable::new()
                .text("run_id", &runs.iter().map(String::as_str).collect::<Vec<_>>())
                .ints("episode", &ints(|row| row.episode))
                .ints("step", &ints(|row| row.step))
                .ints("env_id", &ints(|row| row.env))
                .ints("tick", &ints(|row| row.clock))
                .float_lists("obs", rows.iter().map(|row| row.value).collect(), 1);
            writer.write(table).expect("written");
        }
        writer.finish().expect("written");
        paths.push(path(name));
    }
    paths
}

fn run_id(run: usize) -> String {
    ["a long name that no view holds inline", "b", "c"][run].to_owned()
}

fn options(clock: &Clock, on_bad: OnBad, sizes: StepSizes) -> StepOptions {
    StepOptions {
        columns: ColumnMap::default(),
        target: StepTarget::Obs,
        clock: clock.clone(),
        needs_round: false,
        needs_episode_ends: false,
        carries_columns: true,
        on_bad,
        sizes,
    }
}

fn open(paths: &[String], options: &StepOptions) -> Result<StepRecording, RecordError> {
    let files = discover(paths, None).expect("there").files;
    StepRecording::open(&files, options, &simic::Progress::none())
}

fn streamed(recording: &StepRecording) -> Vec<Streamed> {
    let mut found = Vec::new();
    let progress = simic::Progress::none();
    let take = |block: simic::records::StepBlock| -> Result<(), RecordError> {
        let rows = block.values.rows();
        for row in 0..block.n_rows() {
            let info = &recording.runs()[block.run];
            assert_eq!(info.envs[block.lane[row] as usize], block.env[row]);
            found.push(Streamed {
                run: info.run_id.clone(),
                env: block.env[row],
                episode: block.episode[row],
                step: block.step[row],
                vector_step: block.vector_step[row],
                value: rows.get(row).to_bits(),
            });
        }
        Ok(())
    };
    recording.stream(&progress, take).expect("readable");
    found
}

fn expected(rows: &[Row], clock: &Clock) -> Vec<Streamed> {
    let streamed = |(row, vector_step): (Row, u64)| Streamed {
        run: run_id(row.run),
        env: row.env,
        episode: row.episode,
        step: row.step,
        vector_step,
        value: f64::from(row.value).to_bits(),
    };
    in_replay_order(rows, clock).into_iter().map(streamed).collect()
}

fn lengths() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(1..25u8, 1..6), 1..4)
}

fn lies() -> impl Strategy<Value = Lie> {
    prop_oneof![Just(Lie::Ordered), Just(Lie::Reversed), Just(Lie::ByEnvironment), Just(Lie::Shuffled)]
}

fn clocks() -> impl Strategy<Value = Clock> {
    prop_oneof![Just(Clock::Row), Just(Clock::EpisodeStep), Just(Clock::Column("tick".to_owned()))]
}

/// So small that a few rows cross every border.
fn small_sizes() -> impl Strategy<Value = StepSizes> {
    let bytes = (1..3000u64, 1..3000u64, 1..6000u64);
    (bytes, 1..40usize, 2..6usize, 1..900usize, 2..5usize).prop_map(
        |((slice_bytes, wave_bytes, bucket_bytes), key_rows, open_files, index_bytes, pieces_merged)| {
            StepSizes {
                slice_bytes,
                wave_bytes,
                key_rows,
                bucket_bytes,
                open_files,
                index_bytes,
                pieces_merged,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_come_in_replay_order_however_they_lie_and_little_is_held(
        lengths in lengths(),
        (lie, clock) in (lies(), clocks()),
        sizes in small_sizes(),
        per_group in 1..60usize,
        seed in any::<u64>(),
    ) {
        let (_directory, path) = folder();
        let rows = lying(&recorded(&lengths, seed), lie, seed);
        let paths = write(&rows, per_group, path);
        let expected = expected(&rows, &clock);
        for sizes in [sizes, StepSizes::default()] {
            let recording = open(&paths, &options(&clock, OnBad::Error, sizes)).expect("readable");
            prop_assert!(streamed(&recording) == expected, "{:?} by {:?}", lie, clock);
            // Again: places may be read more than once.
            prop_assert!(streamed(&recording) == expected);
            for info in recording.runs() {
                let own = expected.iter().filter(|row| row.run == info.run_id);
                prop_assert_eq!(own.map(|row| row.vector_step + 1).max(), Some(info.n_vector_steps));
            }
        }
    }

    #[test]
    fn rows_that_come_twice_are_an_error_or_left_out_however_little_is_held(
        lengths in lengths(),
        clock in clocks(),
        sizes in small_sizes(),
        per_group in 1..60usize,
        seed in any::<u64>(),
    ) {
        let (_directory, path) = folder();
        let mut rows = recorded(&lengths, seed);
        let first = rows[usize::try_from(seed).unwrap_or(0) % rows.len()];
        // The same key later, with other values; its clock too is another.
        rows.push(Row { value: -1.0, clock: first.clock + 1, ..first });
        let paths = write(&rows, per_group, path);
        let error = open(&paths, &options(&clock, OnBad::Error, sizes)).expect_err("doubled").to_string();
        prop_assert!(error.contains("b.parquet") && error.contains("twice"), "{}", error);
        let recording = open(&paths, &options(&clock, OnBad::Skip, sizes)).expect("readable");
        rows.pop();
        prop_assert!(streamed(&recording) == expected(&rows, &clock));
        let skips = recording.skips();
        prop_assert_eq!(skips.report.rows.get("duplicate step"), Some(&1));
        let mut n_rows = 0;
        let count = |block: simic::records::StepBlock| -> Result<(), RecordError> {
            n_rows += block.n_rows();
            Ok(())
        };
        recording.stream_as_recorded(&simic::Progress::none(), count).expect("readable");
        prop_assert_eq!(n_rows, rows.len());
    }
}

/// Rows of width 4 in row groups of 50,000.
fn write_large(rows: &[(i64, i64)], path: &str) {
    let file = std::fs::File::create(path).expect("created");
    let mut writer = TableWriter::new(&file, Compression::Uncompressed).expect("a writer");
    for rows in rows.chunks(50_000) {
        let value = |(step, env): &(i64, i64), d: u64| {
            let noise = scrambled(step.cast_unsigned() << 16 | env.cast_unsigned(), d) % 1000;
            noise as f32 / 100.0 + if *step > 40_000 { 3.0 } else { 0.0 }
        };
        let values = rows.iter().flat_map(|row| (0..4).map(move |d| value(row, d)));
        let table = ParquetTable::new()
            .ints("step", &rows.iter().map(|row| row.0).collect::<Vec<_>>())
            .ints("env_id", &rows.iter().map(|row| row.1).collect::<Vec<_>>())
            .float_lists("obs", values.collect(), 4);
        writer.write(table).expect("written");
    }
    writer.finish().expect("written");
}

#[test]
fn half_a_million_rows_in_any_order_give_the_same_bytes() {
    let (_directory, path) = folder();
    let (steps, out, trace) = (path("steps.parquet"), path("out.parquet"), path("trace.parquet"));
    let ordered: Vec<(i64, i64)> = (0..64_000).flat_map(|step| (0..9).map(move |env| (step, env))).collect();
    let mut reversed = ordered.clone();
    reversed.chunks_mut(9).for_each(<[_]>::reverse);
    let mut shuffled = ordered.clone();
    shuffled.sort_by_key(|(step, env)| scrambled(step.cast_unsigned(), env.cast_unsigned()));
    let rules = [
        &["--momentum", "0.99"][..],
        &["--update-every", "rollout:20000", "--order", "update-first"],
        &["--clock", "episode-step", "--momentum", "0.9"],
    ];
    let mut found: Vec<Vec<[Vec<u8>; 3]>> = vec![Vec::new(); rules.len()];
    for rows in [&ordered, &reversed, &shuffled] {
        write_large(rows, &steps);
        for (rule, found) in rules.iter().zip(&mut found) {
            let replay = ["normalize", "replay", &steps, "-o", &out, "--trace", &trace, "--force"];
            let output = simic(&[&replay[..], rule, &["--format", "json"]].concat());
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let read = |path| std::fs::read(path).expect("written");
            found.push([output.stdout, read(&out), read(&trace)]);
        }
    }
    for (rule, found) in rules.iter().zip(found) {
        for (i, name) in ["printed", "rows", "trace"].iter().enumerate() {
            assert!(found[1][i] == found[0][i], "{rule:?}: {name} of reversed environments");
            assert!(found[2][i] == found[0][i], "{rule:?}: {name} of shuffled rows");
        }
    }
}

#[test]
fn a_row_that_comes_twice_counts_once_everywhere() {
    let (_directory, path) = folder();
    let (steps, trace) = (path("steps.csv"), path("trace.parquet"));
    let rows = ["episode,step,env_id,obs", "0,0,0,1", "0,1,0,3", "0,0,0,100", "1,0,0,5", "1,1,0,7"];
    lines(&steps, &rows);
    for clock in ["row", "episode-step"] {
        let skipping = ["--on-bad", "skip", "--clock", clock];
        // The first of the two stays: (1 + 3 + 5 + 7)/4.
        let stats = ["normalize", "stats", &steps, "--initial-count", "0"];
        let found = json(&[&stats[..], &skipping].concat());
        assert_eq!((numbers(&found["mean"]), &found["rows"]), (vec![4.0], &4.into()), "{clock}");
        assert_eq!(found["input"]["skipped_by_reason"]["duplicate step"], 1);
        // The episode is over with its last row but the one left out.
        let episodes = ["normalize", "replay", &steps, "--update-every", "episode", "--momentum", "0"];
        let found = json(&[&episodes[..], &skipping, &["--trace", &trace, "--force"]].concat());
        assert_eq!(column(&trace, StepTarget::Obs, "mean"), [2.0, 6.0], "{clock}");
        assert_eq!(found["diagnostics"]["unfinished_episodes"], 0);
    }
}

#[test]
fn a_row_without_usable_values_keeps_its_place_however_rows_lie() {
    let (_directory, path) = folder();
    let (steps, trace) = (path("steps.ndjson"), path("trace.parquet"));
    let row = |tick: i64, obs: &str| format!(r#"{{"tick":{tick},"step":{tick},"obs":{obs}}}"#);
    let ordered = [row(0, "1.0"), row(1, "null"), row(2, "5.0"), row(3, "7.0")];
    let shuffled = [3, 1, 0, 2].map(|i: usize| ordered[i].clone());
    let mut found = Vec::new();
    for rows in [&ordered, &shuffled] {
        lines(&steps, &rows.iter().map(String::as_str).collect::<Vec<_>>());
        for more in [&["--clock", "tick"][..], &["--clock", "row"], &["--update-every", "episode"]] {
            let replay = ["normalize", "replay", &steps, "--on-bad", "skip", "--trace", &trace, "--force"];
            let report = json(&[&replay[..], more].concat());
            assert_eq!(report["diagnostics"]["unfinished_episodes"], 0);
            found.push((report, std::fs::read(&trace).expect("written")));
        }
    }
    let shuffled = found.split_off(3);
    assert!(found == shuffled);
}

#[test]
fn observations_of_two_precisions_are_put_in_order_together() {
    let (_directory, path) = folder();
    let (single, double, out) = (path("a.parquet"), path("b.ndjson"), path("out.parquet"));
    let file = std::fs::File::create(&single).expect("created");
    let mut writer = TableWriter::new(&file, Compression::Uncompressed).expect("a writer");
    let table = ParquetTable::new().text("run_id", &["r"; 3]).ints("step", &[0, 2, 4]).float_lists(
        "obs",
        vec![1.0, 3.0, 5.0],
        1,
    );
    writer.write(table).expect("written");
    writer.finish().expect("written");
    lines(&double, &[r#"{"run_id":"r","step":1,"obs":[2.5]}"#, r#"{"run_id":"r","step":3,"obs":[4.1]}"#]);
    let replay =
        ["normalize", "replay", &single, &double, "--momentum", "0", "-o", &out, "--precision", "f64"];
    json(&[&replay[..], &["--epsilon", "1", "--clip", "inf"]].concat());
    // Each row less the one before it (the first less 0), over 1, but the first over the root of 2.
    let expected = [1.0 / 2f64.sqrt(), 1.5, 0.5, 4.1 - 3.0, 5.0 - 4.1];
    let found = column(&out, StepTarget::Obs, "obs");
    assert!(worst(&found, &expected) < 1e-12, "{found:?}");
}

/// Temporary files are gone however the program ends.
#[cfg(unix)]
#[test]
fn nothing_is_left_in_the_temporary_folder() {
    let (_directory, path) = folder();
    let (steps, temporary) = (path("steps.parquet"), path("tmp"));
    std::fs::create_dir(&temporary).expect("created");
    let mut rows: Vec<(i64, i64)> = (0..60_000).flat_map(|step| (0..3).map(move |env| (step, env))).collect();
    rows.sort_by_key(|(step, env)| scrambled(step.cast_unsigned(), env.cast_unsigned()));
    write_large(&rows, &steps);
    let start = |more: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_simic"));
        command.args(["normalize", "replay", &steps, "--momentum", "0.9", "-q"]).args(more);
        command
            .env("TMPDIR", &temporary)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        command.spawn().expect("the program starts")
    };
    let is_empty = || std::fs::read_dir(&temporary).expect("readable").next().is_none();
    assert!(start(&[]).wait().expect("it ends").success());
    assert!(is_empty());
    // A round that returns is found when rows are in order already.
    let mut failing = start(&["--update-every", "round", "--column", "round=env_id", "--clock", "step"]);
    assert_eq!(failing.wait().expect("it ends").code(), Some(3));
    assert!(is_empty());
    let mut stopped = start(&[]);
    std::thread::sleep(std::time::Duration::from_millis(60));
    let kill = std::process::Command::new("kill").args(["-INT", &stopped.id().to_string()]).status();
    assert!(kill.expect("kill is there").success());
    stopped.wait().expect("it ends");
    assert!(is_empty());
}
