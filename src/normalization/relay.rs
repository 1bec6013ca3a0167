//! One replay over many machines: what each sees of its own rows, and where each goes on from what those before have seen.
//!
//! A run that is cut between updates is gone through three times. First every stretch of it is looked at by itself: what the
//! statistics will see of its rows, batch by batch ([`Replay::gather`]). Then one machine takes what all have seen in their order,
//! by the very steps a replay takes, and keeps the place it has reached at every cut ([`Replay::follow`], [`ReplayPlace`]); it
//! looks at no row. Last, every stretch is replayed from its place on. What comes out is what one machine finds, to the bit: the
//! moments of a batch are those of its rows alone, and batches that are handled together are the same.
//!
//! Stretches begin where a batch does, and where [`Replay::process`] would begin with rows that were not handed to it before.

use serde::{Deserialize, Serialize};

use super::clock::Clock;
use super::pass::Pass;
use super::replay::{BatchesTogether, Block, Replay, moments_of};
use super::rule::Order;
use super::state::Normalizer;
use super::window::Window;
use crate::stats::RowMoments;

/// What statistics see of consecutive rows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Seen {
    /// Whole batches that are handled together.
    Batches(SeenBatches),
    /// Rows of a batch whose end comes later, normalized with the state as it is.
    Begun(RowMoments),
    /// Rows of a batch, which nothing is done with yet; whether they are its last.
    Measured(RowMoments, IsEnd),
    /// So many rows of a batch that was measured, normalized with the state as it is; whether they are its last.
    Used(u64, IsEnd),
}

/// Whether rows are the last ones of their batch.
type IsEnd = bool;

/// Whole batches that are handled together.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SeenBatches {
    /// Rows of the first batch that were seen before.
    before: u64,
    sizes: Sizes,
    moments: BatchMoments,
    /// Moments of all their rows, as they were summed.
    whole: RowMoments,
}

/// Rows of consecutive batches.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Sizes {
    /// So many each.
    Even(u64),
    /// One number for each.
    Each(Vec<u64>),
}

/// Means and population variances of consecutive batches, one number per dimension each; in as few bytes as keep every bit.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum BatchMoments {
    /// Batches of one row of 32-bit numbers.
    Single(Vec<f32>),
    /// Batches of one row.
    Double(Vec<f64>),
    /// Any batches.
    Several { mean: Vec<f64>, var: Vec<f64> },
}

impl SeenBatches {
    fn of(together: &BatchesTogether) -> Self {
        let (n, mean) = (&together.table.n, &together.table.mean);
        let is_even = n.iter().all(|other| *other == n[0]);
        #[expect(clippy::cast_possible_truncation, reason = "only where every bit stays")]
        let single = |mean: &f64| *mean as f32;
        let is_single = |mean: &f64| f64::from(single(mean)).to_bits() == mean.to_bits();
        let width = together.table.width;
        let mean = &mean[..n.len() * width];
        let moments = if n.iter().any(|n| *n != 1) {
            BatchMoments::Several { mean: mean.to_vec(), var: together.table.var[..n.len() * width].to_vec() }
        } else if mean.iter().all(is_single) {
            BatchMoments::Single(mean.iter().map(single).collect())
        } else {
            BatchMoments::Double(mean.to_vec())
        };
        let n_here = together.n_rows() as u64;
        Self {
            before: n.iter().sum::<u64>() - n_here,
            sizes: if is_even { Sizes::Even(n[0]) } else { Sizes::Each(n.clone()) },
            moments,
            whole: together.whole.clone(),
        }
    }

    /// Values per row.
    pub(super) fn width(&self) -> usize {
        self.whole.mean().len()
    }

    /// Batches.
    pub(super) fn n_batches(&self) -> usize {
        let values = match &self.moments {
            BatchMoments::Single(mean) => mean.len(),
            BatchMoments::Double(mean) | BatchMoments::Several { mean, .. } => mean.len(),
        };
        values / self.width().max(1)
    }

    /// Rows of a batch.
    pub(super) fn size(&self, batch: usize) -> u64 {
        match &self.sizes {
            Sizes::Even(n) => *n,
            Sizes::Each(n) => n[batch],
        }
    }

    /// Gives the moments of a batch to `mean` and `var`.
    pub(super) fn moments(&self, batch: usize, mean: &mut [f64], var: &mut [f64]) {
        let range = batch * mean.len()..(batch + 1) * mean.len();
        var.fill(0.0);
        match &self.moments {
            BatchMoments::Single(values) => {
                mean.iter_mut().zip(&values[range]).for_each(|(mean, value)| *mean = f64::from(*value));
            }
            BatchMoments::Double(values) => mean.copy_from_slice(&values[range]),
            BatchMoments::Several { mean: means, var: vars } => {
                mean.copy_from_slice(&means[range.clone()]);
                var.copy_from_slice(&vars[range]);
            }
        }
    }
}

impl Seen {
    /// Values per row.
    pub fn width(&self) -> Option<usize> {
        match self {
            Self::Batches(batches) => Some(batches.width()),
            Self::Begun(moments) | Self::Measured(moments, _) => Some(moments.mean().len()),
            Self::Used(..) => None,
        }
    }

    /// Batches that end among the rows, as statistics see them.
    pub fn n_ends(&self) -> usize {
        match self {
            Self::Batches(batches) => batches.n_batches(),
            Self::Measured(_, is_end) => usize::from(*is_end),
            Self::Begun(_) | Self::Used(..) => 0,
        }
    }
}

/// Vector steps begun by the end of each batch of a block, `before` of them before its rows.
pub fn steps_begun(ends: &[usize], vector_step: &[u64], before: u64) -> Vec<u64> {
    ends.iter().map(|end| end.checked_sub(1).map_or(before, |row| vector_step[row] + 1)).collect()
}

/// Where a replay stands between two updates, its rule and what came out of it so far left out; to the bit.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReplayPlace {
    clock: Clock,
    mean: Vec<f64>,
    var: Vec<f64>,
    /// The window that goes on, with what was seen of its rows.
    window: Option<Window>,
}

impl Replay {
    /// Before any rows, but after so many updates that were made elsewhere.
    #[must_use]
    pub fn after_updates(mut self, updates: u64) -> Self {
        self.normalizer.pass_updates(updates);
        self
    }

    /// What the statistics will see of a block: the state stands still, and only the number of updates goes on.
    pub fn gather(&mut self, block: &Block<'_>, pass: Pass, mut tell: impl FnMut(Seen)) {
        let width = self.normalizer.width();
        let n_rows = block.rows.len() / width;
        let ends = !block.ends.is_empty();
        match pass {
            Pass::Whole => self.gather_whole(block, n_rows, &mut tell),
            Pass::Measure => {
                tell(Seen::Measured(moments_of(block.rows, width), ends));
                self.normalizer.pass_updates(u64::from(ends));
            }
            Pass::Normalize => tell(Seen::Used(n_rows as u64, ends)),
        }
    }

    /// Batches are handled together as [`Replay::process`] does it.
    fn gather_whole(&mut self, block: &Block<'_>, n_rows: usize, tell: &mut impl FnMut(Seen)) {
        let width = self.normalizer.width();
        let mut together = BatchesTogether::default();
        let (mut row, mut next) = (0, 0);
        while next < block.ends.len() {
            let last = self.last_together(block.ends, next, row);
            let ends = &block.ends[next..last];
            together.fill(block, width, row, ends, &self.open);
            self.open = RowMoments::empty(width);
            self.normalizer.pass_updates(together.table.n.iter().filter(|n| **n > 0).count() as u64);
            tell(Seen::Batches(SeenBatches::of(&together)));
            (row, next) = (ends[ends.len() - 1], last);
        }
        if row < n_rows {
            let moments = moments_of(block.rows.slice(row..n_rows, width), width);
            self.open.merge(&moments);
            tell(Seen::Begun(moments));
        }
    }

    /// Takes the next rows as another has seen them: the state and what windows see of rows go on as if these had been here, and
    /// nothing is normalized.
    pub fn follow(&mut self, seen: &Seen) {
        self.follow_telling(seen, |_, _| {});
    }

    /// The same; tells the normalizer after each update, by which of the batches that end it was.
    pub(super) fn follow_telling(&mut self, seen: &Seen, mut tell: impl FnMut(usize, &Normalizer)) {
        match seen {
            Seen::Batches(batches) => self.follow_batches(batches, tell),
            Seen::Begun(moments) => {
                self.windows.begin(&self.normalizer);
                self.windows.use_state(&self.normalizer, moments.n());
                self.open.merge(moments);
            }
            Seen::Measured(moments, is_end) => {
                let end = [usize::try_from(moments.n()).unwrap_or(usize::MAX)];
                let end: &[usize] = if *is_end { &end } else { &[] };
                self.measured(moments, end, &mut |update| tell(0, update.normalizer));
            }
            Seen::Used(n_rows, is_end) => {
                self.windows.use_state(&self.normalizer, *n_rows);
                if *is_end {
                    self.windows.end_if_full(&self.normalizer);
                }
            }
        }
    }

    fn follow_batches(&mut self, batches: &SeenBatches, mut tell: impl FnMut(usize, &Normalizer)) {
        let width = self.normalizer.width();
        self.begin_together(&batches.whole);
        let order = self.normalizer.rule().order;
        let (mut mean, mut var) = (vec![0.0; width], vec![0.0; width]);
        let mut before = batches.before;
        for batch in 0..batches.n_batches() {
            let n = batches.size(batch);
            let n_rows = n - std::mem::take(&mut before);
            batches.moments(batch, &mut mean, &mut var);
            if order == Order::NormalizeFirst {
                self.windows.use_state(&self.normalizer, n_rows);
            }
            self.normalizer.update(n, &mean, &var);
            if order == Order::UpdateFirst {
                self.windows.use_state(&self.normalizer, n_rows);
            }
            if n > 0 {
                tell(batch, &self.normalizer);
            }
        }
        self.windows.end_if_full(&self.normalizer);
    }

    /// Where it stands, between two updates.
    pub fn place(&self) -> ReplayPlace {
        let Self { normalizer, windows, .. } = self;
        let clock: Clock = Normalizer::clock(normalizer);
        let (mean, var) = (normalizer.mean().to_vec(), normalizer.var().to_vec());
        ReplayPlace { clock, mean, var, window: windows.unfinished().cloned() }
    }

    /// Goes on from a place that a replay of the same rule and run has reached.
    #[must_use]
    pub fn go_on_from(mut self, place: &ReplayPlace) -> Self {
        self.normalizer.move_to(&place.mean, &place.var, place.clock);
        self.windows.go_on_with(place.window.clone());
        self
    }
}

/// The windows of stretches that follow each other, as those of one replay: a window that a cut divides is one.
pub fn joined_windows(stretches: impl IntoIterator<Item = Vec<Window>>) -> Vec<Window> {
    let mut joined: Vec<Window> = Vec::new();
    for window in stretches.into_iter().flatten() {
        match joined.last_mut().filter(|last| last.is_same(&window)) {
            Some(last) => last.go_on(window),
            None => joined.push(window),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Memory, Output, Rule};
    use super::*;
    use crate::stats::Rows;

    const WIDTH: usize = 2;

    /// Rows handed over together.
    struct Handed {
        rows: Vec<f32>,
        ends: Vec<usize>,
        pass: Pass,
    }

    impl Handed {
        fn block(&self) -> Block<'_> {
            Block { rows: Rows::F32(&self.rows), input: None, ends: &self.ends }
        }
    }

    /// Rows of batches of these sizes; those of an odd number in `long` come in two halves.
    fn handed(pieces: &[Vec<usize>], order: Order, seed: u32) -> Vec<Handed> {
        let mut next = seed;
        let mut rows = |n: usize| -> Vec<f32> {
            let value = || {
                next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (next >> 8) as f32 / 1e6 - 8.0
            };
            std::iter::repeat_with(value).take(n * WIDTH).collect()
        };
        let mut all = Vec::new();
        for sizes in pieces {
            let n: usize = sizes.iter().sum();
            let rows = rows(n);
            if sizes.len() > 1 || n < 2 {
                let ends = sizes.iter().scan(0, |end, n| {
                    *end += n;
                    Some(*end)
                });
                all.push(Handed { rows, ends: ends.collect(), pass: Pass::Whole });
                continue;
            }
            // A batch of its own is too long to be handed over at once.
            let (first, second) = rows.split_at(n / 2 * WIDTH);
            let passes = match order {
                Order::NormalizeFirst => &[Pass::Whole][..],
                Order::UpdateFirst => &[Pass::Measure, Pass::Normalize],
            };
            for pass in passes {
                all.push(Handed { rows: first.to_vec(), ends: Vec::new(), pass: *pass });
                all.push(Handed { rows: second.to_vec(), ends: vec![n - n / 2], pass: *pass });
            }
        }
        all
    }

    /// Values put out, and all there is of a replay, bit by bit.
    fn bits(values: &[f64], windows: &[Window], replay: &Replay) -> Vec<u64> {
        let numbers = |window: &Window| {
            let moments = &window.moments;
            let in_use = window.in_use.mean.iter().chain(&window.in_use.var);
            let extremes = moments.min().iter().chain(moments.max());
            let all = moments.mean().iter().chain(extremes).chain(in_use).copied().chain(moments.vars());
            let counts = [window.first_update, moments.n(), window.normalized, window.in_use.n];
            all.map(f64::to_bits).chain(counts).chain(window.clipped.clone()).collect::<Vec<u64>>()
        };
        let state = replay.normalizer().state();
        let state = state.mean.iter().chain(&state.var).chain([&state.count]).map(|x| x.to_bits());
        let windows = windows.iter().flat_map(numbers);
        values.iter().map(|x| x.to_bits()).chain(state).chain(windows).collect()
    }

    fn replayed(replay: &mut Replay, handed: &[Handed]) -> Vec<f64> {
        let mut all = Vec::new();
        for part in handed {
            let mut values = vec![0.0; part.rows.len()];
            let output = if part.pass.has_values() { Output::F64(&mut values) } else { Output::None };
            replay.run(&part.block(), part.pass, output, |_| {}).expect("no device");
            if part.pass.has_values() {
                all.extend(values);
            }
        }
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_replay_handed_on_is_the_replay_of_one(
            pieces in proptest::collection::vec(
                proptest::collection::vec(prop_oneof![1..4usize, 1..200usize, Just(5000usize)], 1..12), 1..8),
            cuts in proptest::collection::btree_set(0..8usize, 0..4),
            is_first in any::<bool>(),
            momentum in proptest::option::of(0.0..1.0f64),
            (before, window) in (0..7u64, 1..40u64),
            seed in any::<u32>(),
        ) {
            let order = if is_first { Order::UpdateFirst } else { Order::NormalizeFirst };
            let memory = momentum.map_or(Memory::Welford, Memory::ema);
            let rule = Rule { order, clip: Some(1.5), ..Rule::observations(memory) };
            // From a state that has seen updates.
            let mut begun = Replay::new(rule, WIDTH, 1, 1);
            (0..before).for_each(|_| begun.update(&RowMoments::of(Rows::F64(&[1.0, 2.0, 3.0, 5.0]), WIDTH)));
            let begun = begun.normalizer().state();
            let fresh = || Replay::resume(rule, &begun, window * 4, 4);
            let mut one = fresh();
            let all: Vec<Handed> = pieces.chunks(1).flat_map(|piece| handed(piece, order, seed)).collect();
            let whole = replayed(&mut one, &all);
            one.finish(|_| unreachable!("every batch is whole"));

            let ends: Vec<usize> = cuts.into_iter().filter(|cut| *cut < pieces.len()).chain([pieces.len()]).collect();
            let (mut scan, mut updates, mut start) = (fresh(), 0, 0);
            let (mut values, mut windows, mut last) = (Vec::new(), Vec::new(), None);
            for end in ends {
                let stretch = &pieces[start..end];
                let own: Vec<Handed> = stretch.chunks(1).flat_map(|piece| handed(piece, order, seed)).collect();
                let mut gather = fresh().after_updates(updates);
                let mut seen = Vec::new();
                own.iter().for_each(|part| gather.gather(&part.block(), part.pass, |next| seen.push(next)));
                let mut replay = fresh().go_on_from(&scan.place());
                values.extend(replayed(&mut replay, &own));
                seen.iter().for_each(|seen| scan.follow(seen));
                windows.push(replay.windows().to_vec());
                last = Some(replay);
                updates += stretch.iter().map(|sizes| sizes.len() as u64).sum::<u64>();
                start = end;
            }
            let last = last.expect("a stretch");
            prop_assert_eq!(bits(&values, &joined_windows(windows), &last), bits(&whole, one.windows(), &one));
            prop_assert_eq!(scan.normalizer().state(), one.normalizer().state());
        }
    }
}
