//! The kernels of a replay on every device present, against a copy of the same values: the memory floor.
//!
//!     cargo bench --bench devices --features wgpu
//!
//! 16 million 32-bit values per launch (a million on flex), updates at every vector step of eight environments. Prints milliseconds per
//! million rows and ratios; docs/performance.md has the figures of one run.

#![allow(clippy::print_stdout, reason = "the figures are the result")]

use simic::normalization::{DeviceChoice, Memory, Rule, open_device};

/// Values per launch: what a replay hands a GPU at once; fewer where there is none.
const N_VALUES: usize = 1 << 24;
const N_VALUES_FLEX: usize = 1 << 20;
const N_ENVS: usize = 8;
const REPEATS: usize = 7;

fn main() {
    println!(
        "device, width, momentum: moments + values ms per million rows; copy; ratio to one reading and one writing; ratio to the bytes moved; GB/s"
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
                let kernels = times.moments + times.values;
                let bandwidth = times.copy_bytes as f64 / times.copy;
                println!(
                    "{}, {width}, {}: {:.3} + {:.3} ms; copy {:.3} ms; {:.2}; {:.2}; copy {:.1} GB/s",
                    engine.name(),
                    memory.momentum().map_or_else(|| "none".to_owned(), |momentum| momentum.to_string()),
                    times.moments * per_million,
                    times.values * per_million,
                    times.copy * per_million,
                    kernels / times.copy,
                    kernels / (times.bytes as f64 / bandwidth),
                    bandwidth / 1e9,
                );
            }
        }
    }
}
