//! Every replay of the CPU on every device present: state within 1e-5, values within 1e-4.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use simic::normalization::{
    Block, Conventions, Correction, DeviceChoice, DeviceQueue, Divisor, Engine, EpisodeEnd, EpisodeRows,
    LaneRows, Lanes, Memory, MomentumUnit, Order, Output, Preset, Replay, Rule, Target, UpdatesTold, Warmup,
    Window, open_device,
};
use simic::stats::Rows;

/// Presets whose replay of the Hopper steps is run through the program.
const PRESETS: [&[&str]; 9] = [
    &["--preset", "sb3"],
    &["--preset", "gymnasium"],
    &["--preset", "rsl-rl"],
    &["--preset", "torchrl"],
    &["--preset", "brax", "--update-every", "rollout:40"],
    &["--momentum", "0.99", "--update-every", "episode"],
    &["--preset", "sb3", "--target", "reward"],
    &["--preset", "esper", "--target", "reward"],
    &["--preset", "torchrl", "--target", "reward"],
];

/// Relative to the variance, or to the larger of mean and deviation.
pub(crate) const STATE_BOUND: f64 = 1e-5;
/// Absolute, of normalized values.
const VALUE_BOUND: f64 = 1e-4;

/// Devices present; what is not is said.
pub(crate) fn engines() -> Vec<Engine> {
    [DeviceChoice::Flex, DeviceChoice::Wgpu, DeviceChoice::Cuda]
        .into_iter()
        .filter_map(|choice| match open_device(choice) {
            Ok(engine) => engine,
            Err(error) => {
                println!("skipped on {}: {error}", choice.name());
                None
            }
        })
        .collect()
}

/// Rows of a recording, with the ends of its batches in blocks.
pub(crate) struct Recording {
    pub(crate) width: usize,
    pub(crate) values: Vec<f64>,
    pub(crate) input: Option<Vec<f64>>,
    /// Whether rows are stored as singles (then `values` hold singles).
    pub(crate) is_single: bool,
    /// One past the last row of each block, with the ends of batches in it.
    pub(crate) blocks: Vec<(usize, Vec<usize>)>,
}

impl Recording {
    /// Batches of these sizes, blocks that end where batches do.
    pub(crate) fn of(
        width: usize,
        values: Vec<f64>,
        sizes: impl Iterator<Item = usize>,
        batches_per_block: usize,
    ) -> Self {
        let n_rows = values.len() / width;
        let mut ends = Vec::new();
        let mut row = 0;
        for size in sizes {
            row = (row + size).min(n_rows);
            ends.push(row);
            if row == n_rows {
                break;
            }
        }
        let mut blocks = Vec::new();
        let mut start = 0;
        for ends in ends.chunks(batches_per_block) {
            let stop = ends[ends.len() - 1];
            blocks.push((stop, ends.iter().map(|end| end - start).collect()));
            start = stop;
        }
        let values: Vec<f64> = values.into_iter().map(single).collect();
        Self { width, values, input: None, is_single: true, blocks }
    }

    fn n_rows(&self) -> usize {
        self.values.len() / self.width
    }

    pub(crate) fn n_updates(&self) -> u64 {
        self.blocks.iter().map(|(_, ends)| ends.len() as u64).sum()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "singles are what is asked for")]
fn single(x: f64) -> f64 {
    f64::from(x as f32)
}

/// Standard normal values by sums of uniforms, dimension d about d with deviation 2^d.
pub(crate) fn normal(n_rows: usize, width: usize, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut values = Vec::with_capacity(n_rows * width);
    for _ in 0..n_rows {
        for d in 0..width {
            let sum: f64 = (0..12).map(|_| rng.random::<f64>()).sum();
            values.push(d as f64 + (sum - 6.0) * f64::exp2(d as f64));
        }
    }
    values
}

struct Outcome {
    pub(crate) values: Vec<f64>,
    mean: Vec<f64>,
    var: Vec<f64>,
    count: f64,
    updates: u64,
    windows: Vec<Window>,
    told: Vec<Told>,
}

/// How blocks go through a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// One after the other.
    Apart,
    /// As the program has them: the next one begins before the last one is looked at.
    Queued,
}

/// An update: its last row, its rows, updates so far.
type Told = (Option<usize>, u64, u64);

fn replay(
    rule: Rule,
    recording: &Recording,
    engine: Option<&Engine>,
    updates_told: UpdatesTold,
    way: Way,
) -> Outcome {
    let width = recording.width;
    let mut replay =
        Replay::new(rule, width, recording.n_updates(), 16).on_device(engine.cloned(), updates_told);
    let mut values = vec![0.0; recording.values.len()];
    let mut told: Vec<Told> = Vec::new();
    let mut start = 0;
    let mut starts = Vec::new();
    let mut queue = engine.map(DeviceQueue::new);
    let scan = |replay: &mut Replay, queue: &mut DeviceQueue, start: usize, told: &mut Vec<Told>| {
        let place = |row: Option<usize>| row.map(|row| start + row);
        replay
            .scan(queue, |update| told.push((place(update.last_row), update.n, update.normalizer.updates())))
            .expect("the device works");
    };
    let (mut n_scanned, mut n_received) = (0, 0);
    for (stop, ends) in &recording.blocks {
        let range = start * width..stop * width;
        #[expect(clippy::cast_possible_truncation, reason = "values are singles")]
        let singles: Vec<f32> = recording.values[range.clone()].iter().map(|x| *x as f32).collect();
        let rows = if recording.is_single {
            Rows::F32(&singles)
        } else {
            Rows::F64(&recording.values[range.clone()])
        };
        let input = recording.input.as_ref().map(|input| Rows::F64(&input[range.clone()]));
        let block = Block { rows, input, ends };
        starts.push(start);
        match queue.as_mut().filter(|_| way == Way::Queued) {
            None => replay
                .process(&block, Output::F64(&mut values[range]), |update| {
                    let place = update.last_row.map(|row| start + row);
                    told.push((place, update.n, update.normalizer.updates()));
                })
                .expect("the device works"),
            Some(queue) => {
                replay.send(queue, &block, true).expect("the device works");
                if queue.n_sent() > 1 {
                    scan(&mut replay, queue, starts[n_scanned], &mut told);
                    n_scanned += 1;
                }
                if queue.n_blocks() - queue.n_sent() > 1 {
                    let range = starts[n_received] * width..recording.blocks[n_received].0 * width;
                    replay.receive(queue, Output::F64(&mut values[range])).expect("the device works");
                    n_received += 1;
                }
            }
        }
        start = *stop;
    }
    if let Some(queue) = queue.as_mut().filter(|_| way == Way::Queued) {
        while queue.n_sent() > 0 {
            scan(&mut replay, queue, starts[n_scanned], &mut told);
            n_scanned += 1;
        }
        for (start, (stop, _)) in starts.iter().zip(&recording.blocks).skip(n_received) {
            let range = start * width..stop * width;
            replay.receive(queue, Output::F64(&mut values[range])).expect("the device works");
        }
    }
    replay.finish(|_| {});
    let normalizer = replay.normalizer();
    Outcome {
        values,
        mean: normalizer.mean().to_vec(),
        var: normalizer.var().to_vec(),
        count: normalizer.count(),
        updates: normalizer.updates(),
        windows: replay.windows().to_vec(),
        told,
    }
}

/// Both engines on one recording: the same state, values, windows and updates.
fn check(name: &str, rule: Rule, recording: &Recording, engine: &Engine) {
    let expected = replay(rule, recording, None, UpdatesTold::Every, Way::Apart);
    let ways = [
        (UpdatesTold::LastOfTile, Way::Queued),
        (UpdatesTold::LastOfTile, Way::Apart),
        (UpdatesTold::Every, Way::Queued),
    ];
    for (updates_told, way) in ways {
        let found = replay(rule, recording, Some(engine), updates_told, way);
        let at = format!("{name} on {} ({updates_told:?}, {way:?})", engine.name());
        assert_eq!((found.count, found.updates), (expected.count, expected.updates), "{at}");
        for d in 0..recording.width {
            let (mean, var) = (expected.mean[d], expected.var[d]);
            let size = mean.abs().max(var.sqrt());
            assert!(
                (found.mean[d] - mean).abs() <= STATE_BOUND * size,
                "{at}: mean {d}: {} {mean}",
                found.mean[d]
            );
            assert!((found.var[d] - var).abs() <= STATE_BOUND * var, "{at}: var {d}: {} {var}", found.var[d]);
        }
        for (i, (found, expected)) in found.values.iter().zip(&expected.values).enumerate() {
            let row = i / recording.width;
            // Beyond every usual clip a single itself has no more digits.
            let bound = VALUE_BOUND.max(1e-6 * expected.abs());
            assert!((found - expected).abs() <= bound, "{at}: row {row} value {i}: {found} {expected}");
        }
        check_windows(&at, &found.windows, &expected.windows, recording.width);
        if updates_told == UpdatesTold::Every {
            assert_eq!(found.told, expected.told, "{at}");
        } else {
            // What is told is told right, and every window's last update is.
            assert!(found.told.iter().all(|update| expected.told.contains(update)), "{at}");
            assert_eq!(found.told.last(), expected.told.last(), "{at}");
        }
    }
}

pub(crate) fn check_windows(at: &str, found: &[Window], expected: &[Window], width: usize) {
    assert_eq!(found.len(), expected.len(), "{at}");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(
            (found.first_update, found.normalized, found.moments.n()),
            (expected.first_update, expected.normalized, expected.moments.n()),
            "{at}"
        );
        for d in 0..width {
            // Doubles arrive rounded to singles about the first row.
            let extremes = [
                (found.moments.min()[d], expected.moments.min()[d]),
                (found.moments.max()[d], expected.moments.max()[d]),
            ];
            assert!(
                extremes.iter().all(|(a, b)| (a - b).abs() <= 1e-6 * (1.0 + expected.moments.var(d).sqrt())),
                "{at}"
            );
            let deviation = expected.moments.var(d).sqrt();
            let size = expected.moments.mean()[d].abs().max(deviation);
            assert!(
                (found.moments.mean()[d] - expected.moments.mean()[d]).abs() <= STATE_BOUND * size,
                "{at}"
            );
            let (var, other) = (found.moments.var(d), expected.moments.var(d));
            assert!((var - other).abs() <= STATE_BOUND * other, "{at}: window var {var} {other}");
            // A value within rounding of the clip may fall on either side.
            let apart = found.clipped[d].abs_diff(expected.clipped[d]);
            assert!(apart <= 1 + expected.normalized / 1000, "{at}: clipped {apart} apart");
        }
    }
}

/// Full history, moving averages of every kind, and both orders.
fn rules() -> Vec<(&'static str, Rule)> {
    let base = |memory| Rule::observations(memory);
    let ema = base(Memory::ema(0.99));
    let first = |rule: Rule| Rule { order: Order::UpdateFirst, ..rule };
    vec![
        ("welford", base(Memory::Welford)),
        ("welford, update first", first(base(Memory::Welford))),
        ("welford from nothing", Rule { initial_count: 0.0, ..base(Memory::Welford) }),
        ("ema 0.99", ema),
        ("ema 0.99, update first", first(ema)),
        ("ema 0", base(Memory::ema(0.0))),
        ("ema 0, update first", first(base(Memory::ema(0.0)))),
        ("ema 1", base(Memory::ema(1.0))),
        ("ema 0.5 per row", base(Memory::Ema { momentum: 0.999, unit: MomentumUnit::Row })),
        ("debiased", Rule { warmup: Warmup::Debias, ..ema }),
        ("welford warm-up", Rule { warmup: Warmup::Welford(100), ..ema }),
        ("floor", Rule { variance_floor: Some(0.5), ..ema }),
        ("exact correction", Rule { correction: Correction::Exact, ..ema }),
        ("torchrl's correction", Rule { correction: Correction::TorchRl, ..ema }),
        (
            "torchrl's correction of a deviation of n - 1",
            Rule { correction: Correction::TorchRl, ddof: 1, initial_mean: 2.0, ..first(ema) },
        ),
        (
            "exact correction per row, no mean",
            Rule {
                correction: Correction::Exact,
                center: false,
                ..first(base(Memory::Ema { momentum: 0.99, unit: MomentumUnit::Row }))
            },
        ),
        ("sample deviation", Rule { ddof: 1, ..base(Memory::Welford) }),
        ("no mean", Rule { center: false, ..ema }),
        ("frozen", Rule { until: Some(200), ..base(Memory::Welford) }),
        ("first skipped", first(Rule { skip_first: 2, initial_count: 0.0, ..base(Memory::Welford) })),
        ("raw at first", first(Rule { raw_below: 50, ..ema })),
        ("sample deviation, no mean", Rule { center: false, ddof: 1, ..first(base(Memory::Welford)) }),
        ("no clip", Rule { clip: None, ..ema }),
        ("no epsilon", Rule { divisor: Divisor::inside(0.0), ..base(Memory::ema(0.9)) }),
        ("tight clip", Rule { clip: Some(0.7), ..first(ema) }),
        (
            "bounded divisor",
            Rule { divisor: Divisor { inside_root: 0.0, outside_root: 0.01, min: 0.5, max: 3.0 }, ..ema },
        ),
    ]
}

/// Rows as recordings have them, easy and hard.
pub(crate) fn recordings() -> Vec<(&'static str, Recording)> {
    let steady = |n, width| normal(n, width, 7);
    let mut constant = steady(900, 3);
    constant.chunks_exact_mut(3).for_each(|row| row[1] = 0.3);
    let mut shifted = steady(1200, 2);
    shifted[1200..].iter_mut().for_each(|x| *x += 40.0);
    let offset: Vec<f64> = steady(1000, 2).into_iter().map(|x| 1e6 + 8.0 * x).collect();
    let mut doubles = Recording::of(2, vec![0.0; 1600], std::iter::repeat(8), 25);
    doubles.values = steady(800, 2).into_iter().map(|x| 1e9 + x).collect();
    doubles.is_single = false;
    // A batch that goes through in parts is closed by a block without rows.
    let mut late = Recording::of(2, steady(300, 2), std::iter::repeat(300), 1);
    late.blocks =
        vec![(90, vec![]), (150, vec![]), (150, vec![0]), (200, vec![50]), (300, vec![30, 60, 100])];
    let tiny: Vec<f64> = steady(800, 2).into_iter().map(|x| 1e-9 * x).collect();
    // As Hopper's height: a deviation of 0.02 about 1.2, beside an initial mean of 0 and variance of 1.
    let narrow: Vec<f64> = normal(960, 1, 8).into_iter().map(|x| 1.23 + 0.0178 * x).collect();
    let mut trend = Recording::of(1, vec![0.0; 2400], std::iter::repeat(4), 150);
    trend.values =
        normal(2400, 1, 6).into_iter().enumerate().map(|(row, x)| 10.0 * (row / 4) as f64 + x).collect();
    trend.is_single = false;
    let ragged = [1, 17, 3, 300, 2, 0, 0, 40, 5, 9, 700, 1, 1, 31];
    let mut returns = Recording::of(1, steady(600, 1), std::iter::repeat(4), 60);
    returns.input = Some(steady(600, 1).into_iter().map(|x| 3.0 * x + 1.0).collect());
    let mut open = Recording::of(2, steady(500, 2), std::iter::repeat(8), 10);
    // The last rows of every other block belong to the next one's first batch.
    for (stop, ends) in &mut open.blocks {
        *stop -= 3;
        ends.pop();
    }
    let n_blocks = open.blocks.len();
    let mut start = 0;
    let starts: Vec<usize> =
        open.blocks.iter().map(|(stop, _)| std::mem::replace(&mut start, *stop)).collect();
    for (i, (stop, ends)) in open.blocks.iter_mut().enumerate() {
        let first = starts[i];
        *ends = (8..=*stop)
            .step_by(8)
            .filter(|end| *end > first && *end < *stop)
            .map(|end| end - first)
            .collect();
    }
    open.values.truncate(2 * open.blocks[n_blocks - 1].0);
    vec![
        ("vector steps", Recording::of(5, steady(2000, 5), std::iter::repeat(8), 100)),
        ("single rows", Recording::of(2, steady(700, 2), std::iter::repeat(1), 333)),
        ("one column", Recording::of(1, steady(3000, 1), std::iter::repeat(1), 3000)),
        ("rollouts", Recording::of(3, steady(5000, 3), std::iter::repeat(1024), 2)),
        ("ragged", Recording::of(2, steady(1100, 2), ragged.into_iter().cycle(), 5)),
        ("constant", Recording::of(3, constant, std::iter::repeat(6), 50)),
        ("shifted", Recording::of(2, shifted, std::iter::repeat(4), 400)),
        ("offset", Recording::of(2, offset, std::iter::repeat(8), 50)),
        ("doubles", doubles),
        ("returns", returns),
        ("open batches", open),
        ("closed late", late),
        ("all alike", Recording::of(1, vec![0.3; 800], std::iter::repeat(2), 50)),
        ("tiny", Recording::of(2, tiny, std::iter::repeat(8), 50)),
        ("narrow", Recording::of(1, narrow, std::iter::repeat(8), 60)),
        ("trend", trend),
    ]
}

#[test]
fn every_rule_on_every_recording_is_what_the_cpu_says() {
    let recordings = recordings();
    for engine in engines() {
        for (rule_name, rule) in rules() {
            for (recording_name, recording) in &recordings {
                // Batches that cross blocks are kept back until whole where values need the state after them.
                let is_open = ["open batches", "closed late"].contains(recording_name);
                if rule.order == Order::UpdateFirst && is_open {
                    continue;
                }
                // Taking an initial state out that lies 10^9 deviations away cancels at 64 bits too.
                if rule.correction != Correction::None && *recording_name == "doubles" {
                    continue;
                }
                check(&format!("{rule_name}, {recording_name}"), rule, recording, &engine);
            }
        }
    }
}

#[test]
fn every_preset_is_what_the_cpu_says() {
    let recording = Recording::of(4, normal(1600, 4, 3), std::iter::repeat(8), 64);
    let scalar = Recording::of(1, normal(1600, 1, 4), std::iter::repeat(1), 500);
    for engine in engines() {
        for preset in
            [Preset::Esper, Preset::Sb3, Preset::Gymnasium, Preset::RslRl, Preset::TorchRl, Preset::Brax]
        {
            for target in [Target::Obs, Target::Reward, Target::Return] {
                let Some(Conventions { rule, .. }) = preset.conventions(target) else { continue };
                let recording = if target == Target::Obs { &recording } else { &scalar };
                check(&format!("{} {}", preset.name(), target.name()), rule, recording, &engine);
            }
        }
    }
}

#[test]
fn a_million_updates_lose_nothing() {
    // One update per row, an offset of 300 deviations, a shift half way: 32 bits alone would stand still.
    let mut values: Vec<f64> = normal(1_000_000, 1, 5).into_iter().map(|x| 300.0 + x).collect();
    values[500_000..].iter_mut().for_each(|x| *x += 2.0);
    let recording = Recording::of(1, values, std::iter::repeat(1), 250_000);
    for engine in engines() {
        for memory in [Memory::Welford, Memory::ema(0.999), Memory::ema(0.0), Memory::ema(1.0)] {
            let rule = Rule { initial_mean: 300.0, ..Rule::observations(memory) };
            let expected = replay(rule, &recording, None, UpdatesTold::Every, Way::Apart);
            let found = replay(rule, &recording, Some(&engine), UpdatesTold::LastOfTile, Way::Queued);
            assert_eq!((found.updates, recording.n_rows()), (1_000_000, 1_000_000));
            let var = expected.var[0];
            assert!((found.mean[0] - expected.mean[0]).abs() <= STATE_BOUND * expected.mean[0].abs());
            assert!((found.var[0] - var).abs() <= STATE_BOUND * var.max(1e-12), "{} {var}", found.var[0]);
            let worst =
                found.values.iter().zip(&expected.values).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst <= VALUE_BOUND, "{memory:?} on {}: {worst}", engine.name());
        }
    }
}

#[test]
fn environments_and_episodes_apart_are_what_the_cpu_says() {
    let n_rows = 600usize;
    let values = normal(n_rows, 2, 9);
    let lanes: Vec<u32> = (0..600u32).map(|row| row % 3).collect();
    let ends: Vec<usize> = (3..=n_rows).step_by(3).collect();
    let episodes: Vec<i64> = (0..n_rows as i64).map(|row| row % 3 + 3 * (row / 90)).collect();
    let episode_ends: Vec<EpisodeEnd> = (0..n_rows)
        .filter(|row| row % 90 >= 87)
        .map(|row| EpisodeEnd { episode: episodes[row], after: row + 1 })
        .collect();
    for engine in engines() {
        for by_episode in [false, true] {
            let run = |engine: Option<&Engine>| {
                let n_lanes = if by_episode { 1 } else { 3 };
                let rule = Rule::observations(Memory::ema(0.9));
                let replays = (0..n_lanes).map(|_| Replay::new(rule, 2, 200, 8)).collect();
                let mut apart = Lanes::new(replays).on_device(engine, UpdatesTold::LastOfTile);
                let mut out = vec![0.0; 2 * n_rows];
                let rows = LaneRows {
                    rows: Rows::F64(&values),
                    input: None,
                    ends: &ends,
                    lanes: &lanes,
                    episodes: by_episode
                        .then(|| EpisodeRows { episode: &episodes, ends: episode_ends.clone() }),
                };
                apart.process(&rows, Output::F64(&mut out), |_, _| {}).expect("the device works");
                apart.finish(|_, _| {});
                let replays = apart.replays();
                let states: Vec<f64> =
                    replays.iter().flat_map(|replay| replay.normalizer().mean().to_vec()).collect();
                let windows: Vec<usize> = replays.iter().map(|replay| replay.windows().len()).collect();
                (out, states, windows)
            };
            let (expected, expected_states, expected_windows) = run(None);
            let (found, states, windows) = run(Some(&engine));
            assert_eq!(windows, expected_windows);
            assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= VALUE_BOUND));
            assert!(
                states
                    .iter()
                    .zip(&expected_states)
                    .all(|(a, b)| (a - b).abs() <= STATE_BOUND * b.abs().max(1.0))
            );
        }
    }
}

#[test]
fn gradients_flow_to_the_rows_alone_on_every_device() {
    use burn::tensor::Tensor;
    use simic::normalization::{Normalizer, normalize_tensor};
    let mut normalizer = Normalizer::new(Rule::observations(Memory::ema(0.9)), 2);
    normalizer.update(8, &[0.5, -3.0], &[0.25, 9.0]);
    let (mut center, mut inverse) = ([0.0; 2], [0.0; 2]);
    normalizer.scaling(&mut center, &mut inverse);
    for engine in engines() {
        let device = engine.device().clone().autodiff();
        let rows = Tensor::<2>::from_floats([[0.4, -2.0], [50.0, 400.0]], &device).require_grad();
        let normalized = normalize_tensor(rows.clone(), &normalizer);
        let gradients = normalized.clone().sum().backward();
        let read = |tensor: Tensor<2>| tensor.into_data().try_into_vec::<f32>().expect("singles");
        let (values, gradient) =
            (read(normalized.detach()), read(rows.grad(&gradients).expect("a gradient")));
        for d in 0..2 {
            let x = [0.4, -2.0][d];
            assert!((f64::from(values[d]) - (x - center[d]) * inverse[d]).abs() < 1e-5, "{}", engine.name());
            assert!((f64::from(gradient[d]) - inverse[d]).abs() < 1e-5, "{}", engine.name());
            // Beyond the clip nothing flows.
            assert_eq!((values[2 + d], gradient[2 + d]), (10.0, 0.0), "{}", engine.name());
        }
    }
}

#[test]
fn values_beyond_32_bits_are_refused() {
    let recording = Recording {
        width: 1,
        values: vec![0.0, 1e200, -1e200, 3.0],
        input: None,
        is_single: false,
        blocks: vec![(4, vec![2, 4])],
    };
    for engine in engines() {
        let mut replay = Replay::new(Rule::observations(Memory::Welford), 1, 2, 1)
            .on_device(Some(engine.clone()), UpdatesTold::LastOfTile);
        let block = Block { rows: Rows::F64(&recording.values), input: None, ends: &recording.blocks[0].1 };
        let error = replay.process(&block, Output::None, |_| {}).expect_err("too large");
        assert!(error.to_string().contains("32 bits") && error.hint().contains("--device cpu"));
    }
}

pub(crate) fn simic(arguments: &[&str], environment: &[(&str, &str)]) -> std::process::Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_simic"));
    command.env("NO_COLOR", "1").envs(environment.iter().copied()).args(arguments);
    command.output().expect("the program starts")
}

fn numbers(value: &serde_json::Value) -> Vec<f64> {
    value.as_array().expect("numbers").iter().map(|x| x.as_f64().expect("a number")).collect()
}

#[test]
fn the_program_replays_the_fixtures_on_every_device() {
    let folder = tempfile::tempdir().expect("a folder");
    let devices: Vec<&str> = engines().iter().map(|engine| engine.choice().name()).collect();
    for preset in PRESETS {
        let run = |device: &str| {
            let state = folder.path().join("state.json");
            let steps = ["normalize", "replay", "fixtures/normalizers/steps.parquet", "--device", device];
            let outputs = ["--state-out", state.to_str().expect("a path"), "--force", "--format", "json"];
            let output = simic(&[&steps[..], preset, &outputs[..]].concat(), &[]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
            let state: serde_json::Value =
                serde_json::from_slice(&std::fs::read(&state).expect("a state")).expect("JSON");
            (report, state)
        };
        let (expected_report, expected) = run("cpu");
        for device in &devices {
            let (report, state) = run(device);
            assert_eq!(report["device"], *device);
            assert_eq!(report["updates"], expected_report["updates"]);
            assert_eq!(state["count"], expected["count"]);
            let (mean, var) = (numbers(&state["mean"]), numbers(&state["var"]));
            let (expected_mean, expected_var) = (numbers(&expected["mean"]), numbers(&expected["var"]));
            for d in 0..mean.len() {
                let size = expected_mean[d].abs().max(expected_var[d].sqrt());
                assert!((mean[d] - expected_mean[d]).abs() <= STATE_BOUND * size, "{preset:?} {device} {d}");
                assert!(
                    (var[d] - expected_var[d]).abs() <= STATE_BOUND * expected_var[d],
                    "{preset:?} {device} {d}"
                );
            }
        }
    }
}

#[test]
fn a_trace_on_a_device_has_every_update() {
    let folder = tempfile::tempdir().expect("a folder");
    for engine in engines() {
        let device = engine.choice().name();
        let [trace, out] = ["trace.parquet", "out.parquet"].map(|name| folder.path().join(name));
        let arguments =
            ["normalize", "replay", "fixtures/normalizers/steps.parquet", "--device", device, "--force"];
        let paths = ["--trace", trace.to_str().expect("a path"), "-o", out.to_str().expect("a path")];
        let output = simic(&[&arguments[..], &paths[..]].concat(), &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let inspected = simic(&["inspect", trace.to_str().expect("a path"), "--format", "json"], &[]);
        let text = String::from_utf8_lossy(&inspected.stdout).into_owned();
        assert!(text.contains("240"), "{text}");
    }
}

#[test]
fn auto_takes_no_imitation_and_says_what_it_takes() {
    let output =
        simic(&["normalize", "replay", "fixtures/normalizers/steps.parquet", "--device", "auto"], &[]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && stderr.contains("--device auto takes"), "{stderr}");
    let listed = simic(&["devices", "--format", "json"], &[]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let has_gpu = listed["devices"].as_array().expect("devices").iter().any(|device| {
        matches!(device["device"].as_str(), Some("wgpu" | "cuda"))
            && device["present"] == true
            && device["software"] == false
    });
    assert_eq!(stderr.contains("takes the cpu"), !has_gpu, "{stderr}");
}

#[test]
fn a_device_that_is_not_there_is_exit_4_with_the_reason() {
    // No driver is named: neither wgpu nor CUDA finds anything.
    let hidden = [
        ("VK_DRIVER_FILES", "/nonexistent"),
        ("VK_ICD_FILENAMES", "/nonexistent"),
        ("CUDA_VISIBLE_DEVICES", ""),
    ];
    for choice in [DeviceChoice::Wgpu, DeviceChoice::Cuda] {
        let name = choice.name();
        let arguments = ["normalize", "replay", "fixtures/normalizers/steps.parquet", "--device", name];
        let output = simic(&arguments, &hidden);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if choice.is_compiled_in() {
            let is_absent = stderr.contains("no device for") && stderr.contains("simic devices lists");
            assert!(is_absent || cfg!(not(target_os = "linux")), "{stderr}");
        } else {
            assert!(
                stderr.contains("is not compiled into") && stderr.contains(&format!("--features {name}")),
                "{stderr}"
            );
        }
        assert!(output.status.code() == Some(4) || cfg!(not(target_os = "linux")), "{stderr}");
        assert!(output.stdout.is_empty() && !stderr.contains("panicked"), "{stderr}");
    }
    let listed = simic(&["devices"], &hidden);
    assert!(listed.status.success() && listed.stderr.is_empty());
}

#[test]
fn two_runs_on_a_device_give_the_same_bytes() {
    let recording = Recording::of(5, normal(2000, 5, 7), std::iter::repeat(8), 40);
    for engine in engines() {
        for rule in [Rule::observations(Memory::ema(0.99)), Rule::rewards(Memory::Welford)] {
            let run = || replay(rule, &recording, Some(&engine), UpdatesTold::LastOfTile, Way::Queued);
            let (first, second) = (run(), run());
            assert_eq!(first.values, second.values, "{}", engine.name());
            assert_eq!((first.mean, first.var), (second.mean, second.var), "{}", engine.name());
        }
    }
}
