//! Laws of running statistics: segments of updates merge like what they stand for.

use proptest::prelude::*;
use simic::normalization::{
    Block, LaneRows, Lanes, MeanVar, Memory, MomentumUnit, Normalizer, Output, Replay, Rule, Segment,
    moments_of,
};
use simic::stats::Rows;

/// A batch: rows, mean, variance.
type Batch = (u64, f64, f64);

fn batches() -> impl Strategy<Value = Vec<Batch>> {
    // Offsets up to a million deviations.
    (-1e6..1e6f64, prop::collection::vec((1..50u64, -3.0..3.0f64, 0.01..4.0f64), 1..40)).prop_map(
        |(offset, batches)| batches.into_iter().map(|(n, mean, var)| (n, mean + offset, var)).collect(),
    )
}

fn memories() -> impl Strategy<Value = Memory> {
    prop_oneof![
        Just(Memory::Welford),
        (0.0..=1.0f64).prop_map(Memory::ema),
        (0.9..1.0f64).prop_map(|momentum| Memory::Ema { momentum, unit: MomentumUnit::Row }),
        Just(Memory::ema(0.0)),
        Just(Memory::ema(1.0)),
    ]
}

fn segment(memory: Memory, batches: &[Batch]) -> Segment {
    let mut segment = Segment::identity(memory);
    batches.iter().for_each(|(n, mean, var)| segment.push(memory, *n, *mean, *var));
    segment
}

fn near(a: f64, b: f64, scale: f64) -> bool {
    (a - b).abs() <= 1e-12 * scale.max(1e-300)
}

/// Alike to 1e-12 of the mean's size and of the variance; a mean of size s is rounded by 1e-16 s, which its square sees.
fn alike(a: (f64, f64), b: (f64, f64), size: f64) -> bool {
    near(a.0, b.0, size) && near(a.1, b.1, b.1.abs() + 1.0 + 2e-3 * size)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, rng_seed: proptest::test_runner::RngSeed::Fixed(11), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_identity_changes_nothing(memory in memories(), batches in batches()) {
        let whole = segment(memory, &batches);
        let identity = Segment::identity(memory);
        prop_assert_eq!(whole.merge(identity), whole);
        let after = identity.merge(whole);
        // A segment that weighs nothing has no moments to keep.
        prop_assert!(after == whole || whole.weight() == 0.0);
        let before = MeanVar { mean: 5.0, var: 2.0 };
        prop_assert_eq!(identity.apply(3.0, before), before);
    }

    #[test]
    fn every_split_and_bracketing_is_the_sequence(memory in memories(), batches in batches(), cut in 0..1000usize, other in 0..1000usize) {
        let at = |share: usize| batches.len() * share / 1000;
        let (low, high) = (at(cut).min(at(other)), at(cut).max(at(other)));
        let parts = [&batches[..low], &batches[low..high], &batches[high..]].map(|part| segment(memory, part));
        let left = parts[0].merge(parts[1]).merge(parts[2]);
        let right = parts[0].merge(parts[1].merge(parts[2]));
        // A state from before lies near the rows, as far from 0 as they do.
        let mean = batches[0].1 + 0.5;
        let rule = Rule { initial_count: 0.25, initial_mean: mean, initial_var: 2.0, ..Rule::observations(memory) };
        let mut sequential = Normalizer::new(rule, 1);
        batches.iter().for_each(|(n, mean, var)| sequential.update(*n, &[*mean], &[*var]));
        let size = 1.0 + batches.iter().map(|batch| batch.1.abs()).fold(0.0, f64::max);
        let expected = (sequential.mean()[0], sequential.var()[0]);
        for whole in [left, right, segment(memory, &batches)] {
            let found = whole.apply(0.25, MeanVar { mean, var: 2.0 });
            prop_assert!(near(found.mean, expected.0, size), "{found:?} {expected:?}");
            prop_assert!(near(found.var, expected.1, expected.1 + 1.0 + 2e-3 * size), "{found:?} {expected:?}");
        }
        prop_assert!(alike((left.mean(), left.var()), (right.mean(), right.var()), size) || left.weight() == 0.0);
        prop_assert!(near(left.weight(), right.weight(), right.weight()));
    }

    #[test]
    fn a_replay_does_not_see_where_blocks_end(
        values in prop::collection::vec(-5.0..5.0f64, 24..240),
        momentum in prop_oneof![Just(None), (0.0..1.0f64).prop_map(Some)],
        cut in 0..1000usize,
    ) {
        let n_rows = values.len() / 2;
        let values = &values[..2 * n_rows];
        let rule = Rule::observations(momentum.map_or(Memory::Welford, Memory::ema));
        let ends: Vec<usize> = (1..=n_rows).filter(|end| end % 3 == 0 || *end == n_rows).collect();
        let run = |cuts: &[usize]| {
            let mut replay = Replay::new(rule, 2, ends.len() as u64, 8);
            let mut out = vec![0.0; values.len()];
            let mut start = 0;
            for stop in cuts {
                let here: Vec<usize> = ends.iter().filter(|end| **end > start && **end <= *stop).map(|end| end - start).collect();
                let block = Block { rows: Rows::F64(&values[2 * start..2 * stop]), input: None, ends: &here };
                replay.process(&block, Output::F64(&mut out[2 * start..2 * stop]), |_| {}).expect("no device");
                start = *stop;
            }
            replay.finish(|_| {});
            (out, replay.normalizer().mean().to_vec(), replay.normalizer().var().to_vec())
        };
        let (whole, mean, var) = run(&[n_rows]);
        let stop = n_rows * cut / 1000;
        let (parts, part_mean, part_var) = run(&[stop, n_rows]);
        prop_assert!(whole.iter().zip(&parts).all(|(a, b)| (a - b).abs() <= 1e-9));
        prop_assert!(mean.iter().zip(&part_mean).chain(var.iter().zip(&part_var)).all(|(a, b)| (a - b).abs() <= 1e-11));
    }

    #[test]
    fn settings_replayed_together_are_what_each_is_alone(values in prop::collection::vec(-5.0..5.0f64, 30..200)) {
        let ends: Vec<usize> = (1..=values.len()).step_by(4).chain([values.len()]).collect();
        let ends: Vec<usize> = ends.into_iter().collect::<std::collections::BTreeSet<_>>().into_iter().collect();
        let rules = [Memory::Welford, Memory::ema(0.5), Memory::ema(0.99)].map(Rule::observations);
        let block = Block { rows: Rows::F64(&values), input: None, ends: &ends };
        let mut together = rules.map(|rule| Replay::new(rule, 1, ends.len() as u64, 16)).to_vec();
        Replay::process_together(&mut together, &block, |_, _| {});
        for (rule, found) in rules.iter().zip(&together) {
            let mut alone = Replay::new(*rule, 1, ends.len() as u64, 16);
            alone.process(&block, Output::None, |_| {}).expect("no device");
            prop_assert_eq!(alone.normalizer().state(), found.normalizer().state());
        }
    }
}

#[test]
fn a_large_offset_and_a_large_count_lose_nothing() {
    // Mean 1e6, deviation 1, 10^8 rows: the variance keeps nine digits.
    let mut welford = Segment::identity(Memory::Welford);
    for i in 0..1000u32 {
        // Batches of 10^5 rows whose means alternate by 1 about 10^6.
        let mean = 1e6 + if i % 2 == 0 { 0.5 } else { -0.5 };
        welford.push(Memory::Welford, 100_000, mean, 0.75);
    }
    assert_eq!(welford.weight(), 1e8);
    assert!((welford.mean() - 1e6).abs() < 1e-9);
    assert!((welford.var() - 1.0).abs() < 1e-9);
    let rows: Vec<f64> = (0..200_000).map(|i| 1e6 + if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
    let moments = moments_of(Rows::F64(&rows), 1);
    assert_eq!((moments.mean()[0], moments.var(0)), (1e6, 1.0));
}

#[test]
fn each_environment_by_itself_is_a_recording_of_its_own() {
    let values: Vec<f64> = (0..90).map(|i| f64::from(i * i % 31)).collect();
    let lanes: Vec<u32> = (0..90).map(|i| i % 3).collect();
    let ends: Vec<usize> = (3..=90).step_by(3).collect();
    let rule = Rule::observations(Memory::ema(0.7));
    let mut apart = Lanes::new((0..3).map(|_| Replay::new(rule, 1, 30, 8)).collect());
    let mut out = vec![0.0; 90];
    let rows = LaneRows { rows: Rows::F64(&values), input: None, ends: &ends, lanes: &lanes, episodes: None };
    apart.process(&rows, Output::F64(&mut out), |_, _| {}).expect("no device");
    for lane in 0..3 {
        let own: Vec<f64> = values.iter().skip(lane).step_by(3).copied().collect();
        let own_ends: Vec<usize> = (1..=30).collect();
        let mut alone = Replay::new(rule, 1, 30, 8);
        let mut expected = vec![0.0; 30];
        let block = Block { rows: Rows::F64(&own), input: None, ends: &own_ends };
        alone.process(&block, Output::F64(&mut expected), |_| {}).expect("no device");
        let found: Vec<f64> = out.iter().skip(lane).step_by(3).copied().collect();
        assert_eq!(found, expected);
        assert_eq!(apart.replays()[lane].normalizer().state(), alone.normalizer().state());
    }
}
