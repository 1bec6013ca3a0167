//! What goes to and fro between host and device in a replay: bytes, kernels, waits.

use simic::normalization::{
    Block, DeviceChoice, DeviceQueue, Engine, EpisodeEnd, EpisodeRows, LaneRows, Lanes, Memory, Output,
    Replay, Rule, Traffic, UpdatesTold,
};
use simic::stats::Rows;

use crate::engines::{engines, simic};

/// Rows as a program hands them to a device.
struct Sent {
    width: usize,
    /// Rows of a batch.
    batch: usize,
    n_blocks: usize,
    /// Values of a block.
    n_values: usize,
}

impl Sent {
    fn n_rows(&self) -> usize {
        self.n_values / self.width / self.batch * self.batch
    }

    /// What goes to and fro as they are queued, 32 bits there and back.
    fn traffic(&self, engine: &Engine, rule: Rule) -> Traffic {
        let (width, n_rows) = (self.width, self.n_rows());
        let ends: Vec<usize> = (self.batch..=n_rows).step_by(self.batch).collect();
        let rows: Vec<f32> = (0..n_rows * width).map(|i| ((i * 7919) % 2003) as f32 / 1000.0).collect();
        // Windows as a million rows have them: tiles end with them.
        let updates = 1_000_000 / self.batch as u64;
        let mut replay =
            Replay::new(rule, width, updates, 256).on_device(Some(engine.clone()), UpdatesTold::LastOfTile);
        let before = engine.traffic();
        let mut values = vec![0.0f32; rows.len()];
        let mut queue = DeviceQueue::new(engine);
        for _ in 0..self.n_blocks {
            let block = Block { rows: Rows::F32(&rows), input: None, ends: &ends };
            replay.send(&mut queue, &block, true).expect("the device works");
            if queue.n_sent() > 1 {
                replay.scan(&mut queue, |_| {}).expect("the device works");
            }
            if queue.n_blocks() - queue.n_sent() > 1 {
                replay.receive(&mut queue, Output::F32(&mut values)).expect("the device works");
            }
        }
        while queue.n_sent() > 0 {
            replay.scan(&mut queue, |_| {}).expect("the device works");
        }
        while queue.n_blocks() > 0 {
            replay.receive(&mut queue, Output::F32(&mut values)).expect("the device works");
        }
        engine.traffic().since(before)
    }
}

fn engines_with_kernels() -> Vec<Engine> {
    engines().into_iter().filter(|engine| engine.choice() != DeviceChoice::Flex).collect()
}

/// `cargo test --features wgpu --test simic traffic_of_a_replay -- --nocapture` prints what docs/performance.md has.
#[test]
fn traffic_of_a_replay() {
    for engine in engines_with_kernels() {
        for width in [64, 348] {
            let blocks = Sent { width, batch: 8, n_blocks: 4, n_values: engine.block_values() };
            let found = blocks.traffic(&engine, Rule::observations(Memory::ema(0.99)));
            let n_rows = blocks.n_blocks * blocks.n_rows();
            let per_million = |n: u64| n as f64 * 1e6 / n_rows as f64;
            let megabytes = |n: u64| per_million(n) / 1e6;
            println!(
                "{width} dimensions, per million rows: {:.1} MB up, {:.1} MB down, {:.1} MB copied, {:.0} launches, {:.0} \
                 waits; {} drains for {} blocks",
                megabytes(found.uploaded),
                megabytes(found.downloaded),
                megabytes(found.copied),
                per_million(found.launches),
                per_million(found.waits),
                found.drains,
                blocks.n_blocks,
            );
            // Values go there once and come back once, and are copied once each way.
            let values = 4 * (n_rows * width) as u64;
            assert_eq!(found.copied, 2 * values);
            // Tiles of up to 128 rows: four numbers there, seven back.
            assert!(found.uploaded < values + values / 20, "{} {values}", found.uploaded);
            assert!(found.downloaded < values + values / 15, "{} {values}", found.downloaded);
        }
    }
}

#[test]
fn launches_do_not_depend_on_batches_nor_drains_on_blocks() {
    let rules = [
        Rule::observations(Memory::ema(0.99)),
        Rule { ddof: 1, center: false, ..Rule::observations(Memory::Welford) },
    ];
    for engine in engines_with_kernels() {
        for rule in rules {
            for batch in [1, 8, 200, 1000] {
                for n_blocks in [2, 5] {
                    let blocks = Sent { width: 4, batch, n_blocks, n_values: 16_000 };
                    let found = blocks.traffic(&engine, rule);
                    // Weights, moments, values.
                    assert_eq!(found.launches, 3 * n_blocks as u64, "batches of {batch}");
                    // Moments and values of each block.
                    assert_eq!(found.waits, 2 * n_blocks as u64);
                    // Behind the last values there is nothing.
                    assert_eq!(found.drains, 1, "{n_blocks} blocks");
                }
            }
        }
    }
}

#[test]
fn launches_do_not_depend_on_episodes() {
    let (n_rows, width) = (4000usize, 3);
    let values: Vec<f32> = (0..n_rows * width).map(|i| ((i * 7919) % 2003) as f32 / 1000.0).collect();
    for engine in engines_with_kernels() {
        for length in [5usize, 100, 4000] {
            let episodes: Vec<i64> = (0..n_rows).map(|row| (row / length) as i64).collect();
            let ends = (length..=n_rows).step_by(length);
            let ends =
                ends.map(|after| EpisodeEnd { episode: ((after - 1) / length) as i64, after }).collect();
            let replay = Replay::new(Rule::observations(Memory::ema(0.9)), width, 800, 16);
            let mut lanes = Lanes::new(vec![replay]).on_device(Some(&engine), UpdatesTold::LastOfTile);
            let before = engine.traffic();
            let rows = LaneRows {
                rows: Rows::F32(&values),
                input: None,
                ends: &[],
                lanes: &vec![0; n_rows],
                episodes: Some(EpisodeRows { episode: &episodes, ends }),
            };
            lanes.process(&rows, Output::None, |_, _| {}).expect("the device works");
            assert_eq!(engine.traffic().since(before).launches, 1, "episodes of {length}");
        }
    }
}

#[test]
fn what_the_host_does_itself_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let trace = folder.path().join("trace.parquet");
    let trace = trace.to_str().expect("a path");
    let cases: [(&[&str], Option<&str>); 5] = [
        (&["--preset", "torchrl"], None),
        (&["--trace", trace], Some("the host makes every update: --trace tells each of them")),
        (
            &["--momentum", "0.9", "--variance-floor", "0.5"],
            Some("the host makes every update: variances have a floor"),
        ),
        (&["--update-every", "episode"], Some("the host adds up the rows of episodes")),
        (&["--scope", "env"], Some("every environment goes through by itself")),
    ];
    for (flags, expected) in cases {
        let steps = ["normalize", "replay", "fixtures/normalizers/steps.parquet", "--device", "flex"];
        let output = simic(&[&steps[..], flags].concat(), &[]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{stderr}");
        match expected {
            None => assert!(!stderr.contains("on flex"), "{stderr}"),
            Some(expected) => assert!(stderr.contains(expected), "{stderr}"),
        }
    }
}

#[test]
fn blocks_come_back_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let run = |arguments: &[&str]| {
        let output = simic(arguments, &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    // Five blocks on flex, two where there are kernels.
    let steps = path("steps.parquet");
    let size = ["--n-envs", "8", "--n-steps", "40000", "--obs-width", "1"];
    run(&[&["simulate", "transitions", "-o", &steps][..], &size[..]].concat());
    let written = |device: &str| {
        let out = path(&format!("{device}.parquet"));
        run(&["normalize", "replay", &steps, "--momentum", "0.99", "--device", device, "-o", &out]);
        // A moving average tells the order of the rows.
        let found = run(&["normalize", "stats", &out, "--momentum", "0.9999", "--format", "json"]);
        let found: serde_json::Value = serde_json::from_slice(&found).expect("JSON");
        [&found["mean"][0], &found["var"][0], &found["rows"]].map(|number| number.as_f64().expect("a number"))
    };
    let expected = written("cpu");
    for engine in engines() {
        let found = written(engine.choice().name());
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() <= 1e-5, "{}: {found} {expected}", engine.name());
        }
    }
}
