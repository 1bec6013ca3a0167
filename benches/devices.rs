//! The kernels of a replay on every device present, against a copy of the same values: the memory floor. Then blocks of rows
//! through the whole pipeline, queued and one by one, against the bus alone: the overlap.
//!
//!     cargo bench --bench devices --features wgpu
//!
//! 16 million 32-bit values per launch (a million on flex), updates at every vector step of eight environments. Prints milliseconds per
//! million rows and ratios, and what went to and fro; docs/performance.md has the figures of one run.

#![allow(clippy::print_stdout, reason = "the figures are the result")]

use std::time::Instant;

use simic::normalization::{
    Block, DeviceChoice, DeviceQueue, Engine, Memory, Output, Replay, Rule, UpdatesTold, open_device,
};
use simic::stats::Rows;

/// Values per launch: what a replay hands a GPU at once; fewer where there is none.
const N_VALUES: usize = 1 << 24;
const N_VALUES_FLEX: usize = 1 << 20;
const N_ENVS: usize = 8;
const REPEATS: usize = 7;
/// Blocks of the pipeline.
const N_BLOCKS: usize = 16;

fn main() {
    println!(
        "device, width, momentum: weights + moments + values ms per million rows; copy; ratio to one reading and one writing; ratio to the bytes moved; GB/s"
    );
    for choice in [DeviceChoice::Flex, DeviceChoice::Wgpu, DeviceChoice::Cuda] {
        let engine = match open_device(choice) {
            Ok(Some(engine)) => engine,
            Ok(None) => continue,
            Err(error) => {
                println!("{}: skipped: {error}", choice.name());
                continue;
            }
        };
        for width in [64, 348] {
            let n_values = if choice == DeviceChoice::Flex { N_VALUES_FLEX } else { N_VALUES };
            let n_rows = n_values / width / N_ENVS * N_ENVS;
            let ends: Vec<usize> = (N_ENVS..=n_rows).step_by(N_ENVS).collect();
            let rows: Vec<f32> = (0..n_rows * width).map(|i| ((i * 7919) % 2003) as f32 / 1000.0).collect();
            for memory in [Memory::Welford, Memory::ema(0.99)] {
                let rule = Rule::observations(memory);
                let times =
                    engine.time_kernels(&rule, &rows, width, &ends, REPEATS).expect("the device works");
                let per_million = 1e6 / n_rows as f64 * 1e3;
                let kernels = times.weights + times.moments + times.values;
                let bandwidth = times.copy_bytes as f64 / times.copy;
                println!(
                    "{}, {width}, {}: {:.3} + {:.3} + {:.3} ms; copy {:.3} ms; {:.2}; {:.2}; copy {:.1} GB/s",
                    engine.name(),
                    memory.momentum().map_or_else(|| "none".to_owned(), |momentum| momentum.to_string()),
                    times.weights * per_million,
                    times.moments * per_million,
                    times.values * per_million,
                    times.copy * per_million,
                    kernels / times.copy,
                    kernels / (times.bytes as f64 / bandwidth),
                    bandwidth / 1e9,
                );
            }
            pipeline(&engine, width);
        }
    }
}

/// Blocks on their way through a device, and how many of them stand behind the one that is waited for.
fn replay_blocks(engine: &Engine, width: usize, rows: &[f32], behind: usize) -> f64 {
    let ends: Vec<usize> = (N_ENVS..=rows.len() / width).step_by(N_ENVS).collect();
    let updates = (N_BLOCKS * ends.len()) as u64;
    let mut replay = Replay::new(Rule::observations(Memory::ema(0.99)), width, updates, 256)
        .on_device(Some(engine.clone()), UpdatesTold::LastOfTile);
    let mut queue = DeviceQueue::new(engine);
    let mut values = vec![0.0f32; rows.len()];
    let start = Instant::now();
    let mut go_on = |replay: &mut Replay, queue: &mut DeviceQueue, behind: usize| {
        while queue.n_sent() > behind {
            replay.scan(queue, |_| {}).expect("the device works");
        }
        while queue.n_blocks() - queue.n_sent() > behind {
            replay.receive(queue, Output::F32(&mut values)).expect("the device works");
        }
    };
    for _ in 0..N_BLOCKS {
        let block = Block { rows: Rows::F32(rows), input: None, ends: &ends };
        replay.send(&mut queue, &block, true).expect("the device works");
        go_on(&mut replay, &mut queue, behind);
    }
    go_on(&mut replay, &mut queue, 0);
    start.elapsed().as_secs_f64()
}

/// Seconds of the pipeline, queued as the program does it and one block after the other, against the bus alone.
fn pipeline(engine: &Engine, width: usize) {
    let n_values = engine.block_values() / width / N_ENVS * N_ENVS * width;
    let rows: Vec<f32> = (0..n_values).map(|i| ((i * 7919) % 2003) as f32 / 1000.0).collect();
    let bus = engine.time_transfers(&rows, REPEATS).expect("the device works");
    replay_blocks(engine, width, &rows, 1);
    let median = |behind: usize| {
        let mut seconds: Vec<f64> =
            (0..REPEATS).map(|_| replay_blocks(engine, width, &rows, behind)).collect();
        seconds.sort_by(f64::total_cmp);
        seconds[REPEATS / 2]
    };
    let before = engine.traffic();
    let queued = median(1);
    let traffic = engine.traffic().since(before);
    let apart = median(0);
    let blocks = N_BLOCKS as f64;
    println!(
        "{}, {width}: {N_BLOCKS} blocks queued {queued:.4} s, one by one {apart:.4} s; the bus alone {:.4} s there, {:.4} s back; \
         {:?} in {REPEATS} runs",
        engine.name(),
        blocks * bus.up,
        blocks * bus.down,
        traffic,
    );
}
