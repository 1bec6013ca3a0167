//! What goes to and fro between host and device in a replay: bytes, kernels, waits.

use simic::normalization::{Block, DeviceChoice, Engine, Memory, Output, Replay, Rule, Traffic, UpdatesTold};
use simic::stats::Rows;

use crate::engines::engines;

/// Values of a block, as `normalize replay` hands them on.
const BLOCK: usize = 1 << 20;

/// Rows of so many blocks of batches of `n` rows, at 32 bits, in full history.
fn traffic(engine: &Engine, width: usize, batch: usize, n_blocks: usize) -> (Traffic, usize) {
    let n_rows = BLOCK / width / batch * batch;
    let ends: Vec<usize> = (batch..=n_rows).step_by(batch).collect();
    let rows: Vec<f32> = (0..n_rows * width).map(|i| ((i * 7919) % 2003) as f32 / 1000.0).collect();
    let updates = (n_blocks * ends.len()) as u64;
    let mut replay = Replay::new(Rule::observations(Memory::ema(0.99)), width, updates, 256)
        .on_device(Some(engine.clone()), UpdatesTold::LastOfTile);
    let before = engine.traffic();
    let mut values = vec![0.0f32; rows.len()];
    for _ in 0..n_blocks {
        let block = Block { rows: Rows::F32(&rows), input: None, ends: &ends };
        replay.process(&block, Output::F32(&mut values), |_| {}).expect("the device works");
    }
    (engine.traffic().since(before), n_blocks * n_rows)
}

/// `cargo test --features wgpu --test simic traffic_of_a_replay -- --nocapture` prints what docs/performance.md has.
#[test]
fn traffic_of_a_replay() {
    for engine in engines().iter().filter(|engine| engine.choice() != DeviceChoice::Flex) {
        for width in [64, 348] {
            let (found, n_rows) = traffic(engine, width, 8, 4);
            let per_million = |n: u64| n as f64 * 1e6 / n_rows as f64;
            println!(
                "{width} dimensions, per million rows: {:.1} MB up, {:.1} MB down, {:.1} MB copied, {:.0} launches, {:.0} waits",
                per_million(found.uploaded) / 1e6,
                per_million(found.downloaded) / 1e6,
                per_million(found.copied) / 1e6,
                per_million(found.launches),
                per_million(found.waits),
            );
        }
    }
}
