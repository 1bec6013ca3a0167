//! Rows divided into tiles, so that a device can take all of them at once: the plan of a blocked scan.
//!
//! A device reduces every tile to a segment (moments of its mixture), the host scans the segments in 64 bits, and
//! the device goes through every tile once more from the state the scan gives it. Which weight every row has is
//! known beforehand, for it depends on sizes of batches alone.

use std::collections::VecDeque;
use std::ops::{Range, RangeInclusive};

use super::clock::Clock;
use super::rule::{Correction, Memory, Rule, Warmup};
use super::tile_layout::{BatchUse, BatchWeight, Layout};
use super::update::UpdatesTold;

/// Values of one group of tiles: 64 MiB of them, which fits the largest buffer of every driver known.
const GROUP_VALUES: usize = 1 << 24;

/// Moments of tiles a device hands back together.
const GROUP_MOMENTS: usize = 1 << 22;

/// Pairs of a tile and a dimension wanted: one thread each, eight loads under way in each. More would keep a large GPU busier,
/// yet kernels take a small part of the time that the bus does, and what goes over the bus beside the values (ten numbers per tile
/// and dimension) is the less the longer tiles are.
const THREADS_WANTED: usize = 1 << 15;

/// Rows of a tile, at least and at most: fewer and moments outweigh the rows, more and 32 bits lose digits.
const TILE_ROWS: RangeInclusive<usize> = 32..=128;

/// Rows from which a batch is divided into tiles of its own.
const LARGE_BATCH: usize = 256;

/// One step of the host's scan over the moments of a group's tiles.
#[derive(Debug, Clone)]
pub(super) enum ScanStep {
    /// A tile of whole batches: a segment of the running state.
    WholeBatches {
        tile: usize,
        /// What the tile makes up of the state after it.
        share: f64,
        /// How far the normalizer is after it.
        clock: Clock,
        /// Last row of its last batch, within the block.
        last_row: usize,
        /// Rows of its last batch.
        last_n: u64,
    },
    /// A tile of rows of one batch that has others.
    WithinBatch { tile: usize },
    /// The batch whose tiles came before is whole: one update.
    EndOfBatch { last_row: Option<usize> },
}

/// Consecutive tiles a device takes together.
#[derive(Debug, Clone)]
pub(super) struct TileGroup {
    /// Its rows within the block.
    pub(super) rows: Range<usize>,
    pub(super) layout: Layout,
    pub(super) steps: Vec<ScanStep>,
}

/// What a plan of tiles depends on besides the rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct TileSettings {
    /// Values per row.
    pub(super) width: usize,
    /// Tiles end where windows of so many updates do.
    pub(super) window_updates: u64,
    /// Updates whose state the host has to know.
    pub(super) told: UpdatesTold,
}

/// The rows of a block as far as tiles depend on them.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockShape<'a> {
    /// Rows.
    pub(super) n_rows: usize,
    /// Ends of batches; rows after the last one belong to a batch that stays open.
    pub(super) ends: &'a [usize],
    /// Rows of the first batch that came before.
    pub(super) n_open: u64,
}

/// What keeps a device from carrying the state of this rule from batch to batch by itself, in words: there the host makes
/// each update.
pub fn carry_obstacle(rule: &Rule) -> Option<&'static str> {
    let is_corrected = rule.correction != Correction::None && rule.memory != Memory::Welford;
    if rule.variance_floor.is_some() {
        Some("variances have a floor")
    } else if is_corrected && rule.warmup == Warmup::Debias {
        Some("a correction follows a warm-up without bias")
    } else {
        None
    }
}

/// Goes through batches and divides them into tiles and groups.
struct TilePlanner<'a> {
    rule: &'a Rule,
    clock: Clock,
    settings: TileSettings,
    tile_rows: usize,
    group_rows: usize,
    group_tiles: usize,
    /// Those that are whole and were not asked for yet.
    groups: VecDeque<TileGroup>,
    group: TileGroup,
    /// Rows of the group's longest tile: where tiles are padded to it, that must not get out of hand.
    longest: usize,
    open: Option<OpenTile>,
}

/// Whole batches gathered for one tile.
struct OpenTile {
    share: f64,
    /// Whether no batch changes the state.
    stands: bool,
    last_row: usize,
    last_n: u64,
}

/// Divides the rows of a block into tiles, and the tiles into groups: each is planned when it is asked for, so that a device
/// works on one while the next is planned.
pub(super) fn plan_tiles<'a>(
    rule: &'a Rule,
    clock: Clock,
    settings: TileSettings,
    block: BlockShape<'a>,
) -> TilePlan<'a> {
    let can_carry = settings.told == UpdatesTold::LastOfTile && carry_obstacle(rule).is_none();
    TilePlan {
        planner: TilePlanner::new(rule, clock, settings, block.n_rows),
        block,
        can_carry,
        next: 0,
        row: 0,
        before: block.n_open,
        is_over: false,
    }
}

/// Groups of tiles, one after the other.
pub(super) struct TilePlan<'a> {
    planner: TilePlanner<'a>,
    block: BlockShape<'a>,
    can_carry: bool,
    /// The batch to be planned next.
    next: usize,
    /// Its first row, and its rows that came before the block.
    row: usize,
    before: u64,
    is_over: bool,
}

impl TilePlan<'_> {
    fn plan_batch(&mut self) {
        let planner = &mut self.planner;
        let Some(end) = self.block.ends.get(self.next).copied() else {
            planner.add_within(self.row..self.block.n_rows);
            planner.end_tile();
            planner.end_group(self.block.n_rows);
            self.is_over = true;
            return;
        };
        let n = (end - self.row) as u64 + self.before;
        if n > 0 {
            let is_small = self.before == 0 && end - self.row <= LARGE_BATCH.min(planner.group_rows);
            if self.can_carry && is_small && planner.clock.rows() >= planner.rule.raw_below {
                planner.add_whole(self.row..end);
            } else {
                planner.add_within(self.row..end);
                planner.clock.advance(planner.rule, n);
                planner.group.steps.push(ScanStep::EndOfBatch { last_row: end.checked_sub(1) });
            }
        }
        (self.next, self.row, self.before) = (self.next + 1, end, 0);
    }
}

impl Iterator for TilePlan<'_> {
    type Item = TileGroup;

    fn next(&mut self) -> Option<TileGroup> {
        while self.planner.groups.is_empty() && !self.is_over {
            self.plan_batch();
        }
        self.planner.groups.pop_front()
    }
}

impl TilePlan<'_> {
    /// How far the normalizer is once all that was planned has gone through.
    pub(super) fn clock(&self) -> Clock {
        self.planner.clock
    }
}

impl<'a> TilePlanner<'a> {
    fn new(rule: &'a Rule, clock: Clock, settings: TileSettings, n_rows: usize) -> Self {
        let group_rows = (GROUP_VALUES / settings.width).max(1);
        let in_group = (n_rows * settings.width).min(group_rows * settings.width);
        Self {
            rule,
            clock,
            settings,
            tile_rows: (in_group / THREADS_WANTED).clamp(*TILE_ROWS.start(), *TILE_ROWS.end()),
            group_rows,
            group_tiles: (GROUP_MOMENTS / settings.width).max(1),
            groups: VecDeque::new(),
            group: TileGroup { rows: 0..0, layout: Layout::default(), steps: Vec::new() },
            longest: 0,
            open: None,
        }
    }

    fn add_whole(&mut self, rows: Range<usize>) {
        let n = rows.len();
        if self.rows_in_tile() + n > self.tile_rows {
            self.end_tile();
        }
        self.make_room(rows.start, n);
        let carried = self.clock.advance_carried(self.rule, n as u64);
        let w = carried.weight;
        let before = self.open.as_ref().map_or(0.0, |tile| tile.share) * (1.0 - w);
        let stands = self.open.as_ref().is_none_or(|tile| tile.stands) && carried.enters == 0.0;
        let step = w / n as f64;
        let weight = BatchWeight {
            before,
            step,
            rest: carried.rest,
            enters: carried.enters / n as f64,
            in_use: self.clock.in_use(self.rule),
        };
        self.group.layout.push_batch(n, weight);
        self.open = Some(OpenTile { share: before + w, stands, last_row: rows.end - 1, last_n: n as u64 });
        if self.clock.updates().is_multiple_of(self.settings.window_updates) {
            self.end_tile();
        }
    }

    fn add_within(&mut self, rows: Range<usize>) {
        self.end_tile();
        let mut start = rows.start;
        while start < rows.end {
            let n = self.tile_rows.min(self.group_rows).min(rows.end - start);
            self.make_room(start, n);
            let alike =
                BatchWeight { before: 0.0, step: 1.0, rest: 1.0, enters: 0.0, in_use: BatchUse::PLAIN };
            self.group.layout.push_batch(n, alike);
            self.group.steps.push(ScanStep::WithinBatch { tile: self.group.layout.n_tiles() });
            self.group.layout.push_tile(true);
            start += n;
        }
    }

    fn rows_in_tile(&self) -> usize {
        let layout = &self.group.layout;
        layout.n_rows() - layout.starts.last().map_or(0, |start| *start as usize)
    }

    fn end_tile(&mut self) {
        let Some(OpenTile { share, stands, last_row, last_n }) = self.open.take() else { return };
        let tile = self.group.layout.n_tiles();
        self.group.steps.push(ScanStep::WholeBatches { tile, share, clock: self.clock, last_row, last_n });
        self.group.layout.push_tile(stands);
    }

    /// Begins another group where `n` more rows or one more tile do not fit.
    fn make_room(&mut self, row: usize, n: usize) {
        let layout = &self.group.layout;
        let longest = self.longest.max(self.rows_in_tile() + n);
        let is_full = layout.n_rows() + n > self.group_rows || layout.n_tiles() >= self.group_tiles;
        if is_full || (layout.n_tiles() + 1) * longest > 2 * self.group_rows.max(n) {
            self.end_tile();
            self.end_group(row);
        }
        self.longest = self.longest.max(self.rows_in_tile() + n);
        if self.group.layout.starts.is_empty() {
            self.group.rows = row..row;
            self.group.layout.starts.push(0);
        }
    }

    fn end_group(&mut self, row: usize) {
        let next = TileGroup { rows: row..row, layout: Layout::default(), steps: Vec::new() };
        let mut done = std::mem::replace(&mut self.group, next);
        self.longest = 0;
        done.rows.end = done.rows.start + done.layout.n_rows();
        if !done.steps.is_empty() {
            self.groups.push_back(done);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rule::Memory;
    use super::super::state::Normalizer;
    use super::*;

    fn plan_under(memory: Memory, n_rows: usize, ends: &[usize], open: u64) -> Vec<TileGroup> {
        let rule = Rule::observations(memory);
        let clock = Normalizer::new(rule, 2).clock();
        let settings = TileSettings { width: 2, window_updates: 5, told: UpdatesTold::LastOfTile };
        plan_tiles(&rule, clock, settings, BlockShape { n_rows, ends, n_open: open }).collect()
    }

    #[test]
    fn tiles_cover_every_row_and_end_with_windows() {
        let ends: Vec<usize> = (1..=12).map(|batch| batch * 4).collect();
        let groups = plan_under(Memory::Welford, 50, &ends, 0);
        assert_eq!(groups.len(), 1);
        // Five batches of four rows to a window; the last two batches; two rows left open.
        assert_eq!(groups[0].layout.starts, [0, 20, 40, 48, 50]);
        let updates: Vec<Option<u64>> = groups[0]
            .steps
            .iter()
            .map(|step| match step {
                ScanStep::WholeBatches { clock, .. } => Some(clock.updates()),
                _ => None,
            })
            .collect();
        assert_eq!(updates, [Some(5), Some(10), Some(12), None]);
    }

    #[test]
    fn a_batch_begun_before_and_a_large_one_have_tiles_of_their_own() {
        let groups = plan_under(Memory::ema(0.9), 1000, &[0, 4, 900], 3);
        let kinds: Vec<char> = groups[0]
            .steps
            .iter()
            .map(|step| match step {
                ScanStep::WholeBatches { .. } => 'w',
                ScanStep::WithinBatch { .. } => 'p',
                ScanStep::EndOfBatch { .. } => 'c',
            })
            .collect();
        let text: String = kinds.into_iter().collect();
        assert!(text.starts_with("cwp") && text.ends_with("cpppp"), "{text}");
        assert_eq!(groups[0].layout.starts.last(), Some(&1000));
    }

    #[test]
    fn one_long_tile_among_many_short_ones_does_not_pad_them_all() {
        let rule = Rule::observations(Memory::Welford);
        let clock = Normalizer::new(rule, 8).clock();
        let settings = TileSettings { width: 8, window_updates: u64::MAX, told: UpdatesTold::Every };
        // A hundred thousand batches of one row, and one of a thousand.
        let ends: Vec<usize> = (1..=100_000).chain([101_000]).chain(101_001..=200_000).collect();
        let block = BlockShape { n_rows: 200_000, ends: &ends, n_open: 0 };
        let groups: Vec<TileGroup> = plan_tiles(&rule, clock, settings, block).collect();
        let rows: usize = groups.iter().map(|group| group.layout.n_rows()).sum();
        let padded = groups.iter().map(|group| {
            let layout = &group.layout;
            let longest = (0..layout.n_tiles()).map(|tile| layout.rows(tile).len()).max().unwrap_or(0);
            layout.n_tiles() * longest * 8
        });
        assert_eq!(rows, 200_000);
        assert!(padded.max() <= Some(2 * GROUP_VALUES));
    }

    #[test]
    fn shares_of_a_tile_are_those_of_its_batches() {
        // m = 1/2, batches of one and two rows: shares 1/4 and 1/2 of 3/4, the second in halves.
        let groups = plan_under(Memory::ema(0.5), 3, &[1, 3], 0);
        let layout = groups[0].layout.row_weights();
        let values = [2.0f64, 4.0, 8.0];
        let (mut mean, mut state) = (0.0, 10.0);
        for (i, x) in values.iter().enumerate() {
            mean += f64::from(layout.shares[i]) * (x - mean);
            state += f64::from(layout.weights[i]) * (x - state);
        }
        assert!((mean - (2.0 + 2.0 * 6.0) / 3.0).abs() < 1e-6);
        // Halves of 10 and 2, then of that and 6.
        assert!((state - 6.0).abs() < 1e-6);
        assert!(
            matches!(groups[0].steps[0], ScanStep::WholeBatches { share, .. } if (share - 0.75).abs() < 1e-15)
        );
    }
}
