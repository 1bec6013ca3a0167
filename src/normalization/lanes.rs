//! Statistics shared by all environments, or one set for each.

use std::collections::BTreeMap;
use std::ops::Range;

use rayon::prelude::*;

use super::engine::{DeviceError, Engine};
use super::output::Output;
use super::pass::Pass;
use super::replay::{Block, Replay};
use super::standing::StandingRows;
use super::update::{Update, UpdatesTold};
use crate::stats::{RowMoments, Rows};

/// An episode that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpisodeEnd {
    /// Which.
    pub episode: i64,
    /// Rows of the block before its end. Its own last row need not be among them: that may have been left out.
    pub after: usize,
}

/// Rows whose batches are episodes.
#[derive(Debug, Clone)]
pub struct EpisodeRows<'a> {
    /// Episode of each row.
    pub episode: &'a [i64],
    /// Ends of episodes in order of time.
    pub ends: Vec<EpisodeEnd>,
}

/// Rows of a block with what tells them apart.
#[derive(Debug, Clone)]
pub struct LaneRows<'a> {
    /// What the statistics see.
    pub rows: Rows<'a>,
    /// What is normalized, where that is something else.
    pub input: Option<Rows<'a>>,
    /// Ends of batches; unused where batches are episodes.
    pub ends: &'a [usize],
    /// Environment of each row, by place.
    pub lanes: &'a [u32],
    /// Where batches are episodes: which.
    pub episodes: Option<EpisodeRows<'a>>,
}

/// The normalizers of one run.
#[derive(Debug, Clone)]
pub struct Lanes {
    replays: Vec<Replay>,
    open_episodes: BTreeMap<i64, RowMoments>,
}

impl Lanes {
    /// One replay for all environments, or one for each.
    ///
    /// # Panics
    /// If there is none.
    pub fn new(replays: Vec<Replay>) -> Self {
        assert!(!replays.is_empty(), "at least one replay");
        Self { replays, open_episodes: BTreeMap::new() }
    }

    /// Goes through rows on a device; see [`Replay::on_device`].
    #[must_use]
    pub fn on_device(mut self, engine: Option<&Engine>, told: UpdatesTold) -> Self {
        self.replays = std::mem::take(&mut self.replays)
            .into_iter()
            .map(|replay| replay.on_device(engine.cloned(), told))
            .collect();
        self
    }

    /// The replays, in order of environment.
    pub fn replays(&self) -> &[Replay] {
        &self.replays
    }

    /// The replay of all environments together; `None` where each has its own.
    pub fn shared(&mut self) -> Option<&mut Replay> {
        match &mut self.replays[..] {
            [shared] => Some(shared),
            _ => None,
        }
    }

    /// Episodes whose last row was not seen.
    pub fn n_open_episodes(&self) -> usize {
        self.open_episodes.len()
    }

    /// Replays a block; `on_update` is told the lane and the row of the block that completed the batch.
    ///
    /// # Errors
    /// As [`Replay::process`].
    pub fn process(
        &mut self,
        block: &LaneRows<'_>,
        output: Output<'_>,
        on_update: impl FnMut(usize, Update<'_>),
    ) -> Result<(), DeviceError> {
        self.run(block, Pass::Whole, output, on_update)
    }

    /// As [`Lanes::process`], or one of its halves. Batches that are episodes have no halves.
    ///
    /// # Errors
    /// As [`Replay::process`].
    pub fn run(
        &mut self,
        block: &LaneRows<'_>,
        pass: Pass,
        output: Output<'_>,
        mut on_update: impl FnMut(usize, Update<'_>),
    ) -> Result<(), DeviceError> {
        if let Some(episodes) = &block.episodes {
            self.process_episodes(block, episodes, output, &mut on_update)
        } else if let [replay] = &mut self.replays[..] {
            let block = Block { rows: block.rows, input: block.input, ends: block.ends };
            replay.run(&block, pass, output, |update| on_update(0, update))
        } else {
            self.run_apart(block, pass, output, &mut on_update)
        }
    }

    /// Closes what is still open at the end of a run.
    pub fn finish(&mut self, mut on_update: impl FnMut(usize, Update<'_>)) {
        let open = std::mem::take(&mut self.open_episodes);
        for moments in open.values() {
            let replay = &mut self.replays[0];
            replay.update(moments);
            on_update(0, Update { last_row: None, n: moments.n(), normalizer: replay.normalizer() });
        }
        for (lane, replay) in self.replays.iter_mut().enumerate() {
            replay.finish(|update| on_update(lane, update));
        }
    }

    /// Batches are episodes: they overlap in time, each updates at its end.
    fn process_episodes(
        &mut self,
        block: &LaneRows<'_>,
        episodes: &EpisodeRows<'_>,
        mut output: Output<'_>,
        on_update: &mut impl FnMut(usize, Update<'_>),
    ) -> Result<(), DeviceError> {
        let mut row = 0;
        let engine = self.replays[0].engine.clone();
        // A device normalizes the rows of all episodes in one go, each with the state of its time.
        let mut standing = Vec::new();
        for EpisodeEnd { episode, after } in episodes.ends.iter().copied() {
            self.normalize_episodes(block, row..after, &mut standing, &mut output)?;
            self.gather_episodes(block, episodes.episode, row..after);
            row = after;
            let Some(moments) = self.open_episodes.remove(&episode) else { continue };
            let last_row = (0..after).rev().find(|row| episodes.episode[*row] == episode);
            let replay = &mut self.replays[0];
            replay.update(&moments);
            on_update(0, Update { last_row, n: moments.n(), normalizer: replay.normalizer() });
        }
        let last = row..episodes.episode.len();
        self.normalize_episodes(block, last.clone(), &mut standing, &mut output)?;
        self.gather_episodes(block, episodes.episode, last);
        match engine {
            Some(engine) if !standing.is_empty() => {
                let rows = Block { rows: block.rows, input: block.input, ends: &[] };
                self.replays[0].normalize_standing(&engine, &rows, &standing, output)
            }
            _ => Ok(()),
        }
    }

    /// Rows up to the next end of an episode are normalized with the state as it is; on a device later.
    fn normalize_episodes(
        &mut self,
        block: &LaneRows<'_>,
        range: Range<usize>,
        standing: &mut Vec<StandingRows>,
        output: &mut Output<'_>,
    ) -> Result<(), DeviceError> {
        if range.is_empty() {
            return Ok(());
        }
        let replay = &mut self.replays[0];
        if replay.engine.is_some() {
            replay.windows.begin(&replay.normalizer);
            standing.push(replay.stand_still(&range));
            return Ok(());
        }
        let width = replay.normalizer().width();
        let rows = Block {
            rows: block.rows.slice(range.clone(), width),
            input: block.input.map(|input| input.slice(range.clone(), width)),
            ends: &[],
        };
        replay.normalize_only(&rows, output.slice(range.start * width, range.end * width))
    }

    /// Rows up to the next end of an episode join their episodes.
    fn gather_episodes(&mut self, block: &LaneRows<'_>, episodes: &[i64], range: Range<usize>) {
        let width = self.replays[0].normalizer().width();
        let mut start = range.start;
        while start < range.end {
            let same = |next: &usize| episodes[*next] == episodes[start];
            let stop = (start..range.end).find(|next| !same(next)).unwrap_or(range.end);
            let open = self.open_episodes.entry(episodes[start]).or_insert_with(|| RowMoments::empty(width));
            open.add_rows(block.rows.slice(start..stop, width));
            start = stop;
        }
    }

    /// Every environment by itself: rows gathered, replayed side by side, and put back.
    fn run_apart(
        &mut self,
        block: &LaneRows<'_>,
        pass: Pass,
        output: Output<'_>,
        on_update: &mut impl FnMut(usize, Update<'_>),
    ) -> Result<(), DeviceError> {
        let width = self.replays[0].normalizer().width();
        let mut places: Vec<Vec<usize>> = vec![Vec::new(); self.replays.len()];
        for (row, lane) in block.lanes.iter().enumerate() {
            places[*lane as usize].push(row);
        }
        let gather = |rows: Rows<'_>, places: &[usize]| -> Vec<f64> {
            places.iter().flat_map(|row| (0..width).map(move |d| rows.get(row * width + d))).collect()
        };
        let results = self
            .replays
            .par_iter_mut()
            .zip(&places)
            .map(|(replay, places)| {
                let rows = gather(block.rows, places);
                let input = block.input.map(|input| gather(input, places));
                let mut ends: Vec<usize> =
                    block.ends.iter().map(|end| places.partition_point(|row| row < end)).collect();
                // Batches without a row of this environment are none; a first end of 0 closes what is open.
                ends.dedup();
                if replay.open.n() == 0 {
                    ends.retain(|end| *end > 0);
                }
                let mut values = vec![0.0; rows.len()];
                let mut updates = Vec::new();
                let lane_block =
                    Block { rows: Rows::F64(&rows), input: input.as_deref().map(Rows::F64), ends: &ends };
                replay.run(&lane_block, pass, Output::F64(&mut values), |update| {
                    let last_row = update.last_row.and_then(|row| places.get(row).copied());
                    updates.push(Stored { last_row, n: update.n, normalizer: update.normalizer.clone() });
                })?;
                Ok((values, updates))
            })
            .collect::<Result<Vec<(Vec<f64>, Vec<Stored>)>, DeviceError>>()?;
        put_back(&results, &places, width, output);
        for (lane, (_, updates)) in results.iter().enumerate() {
            for update in updates {
                let Stored { last_row, n, normalizer } = update;
                on_update(lane, Update { last_row: *last_row, n: *n, normalizer });
            }
        }
        Ok(())
    }
}

/// An update to be told later.
struct Stored {
    last_row: Option<usize>,
    n: u64,
    normalizer: super::Normalizer,
}

#[expect(clippy::cast_possible_truncation, reason = "32 bits are what was asked for")]
fn put_back(results: &[(Vec<f64>, Vec<Stored>)], places: &[Vec<usize>], width: usize, output: Output<'_>) {
    let positions = places.iter().zip(results).flat_map(|(places, (values, _))| {
        places
            .iter()
            .enumerate()
            .flat_map(move |(i, row)| (0..width).map(move |d| (row * width + d, values[i * width + d])))
    });
    match output {
        Output::None => {}
        Output::F32(out) => positions.for_each(|(at, value)| out[at] = value as f32),
        Output::F64(out) => positions.for_each(|(at, value)| out[at] = value),
    }
}
