//! Groups of tiles on their way through a device, in order: moments under way, states awaited, values under way.

use std::collections::VecDeque;
use std::ops::Range;

use super::clock::Clock;
use super::engine::{
    DeviceError, DeviceRows, Engine, Input, PendingMoments, PendingValues, Scaling, SentRows, StateBefore,
    TileOutput, TileStates,
};
use super::output::Output;
use super::replay::{Block, Replay};
use super::tile_layout::Layout;
use super::tiles::{ScanStep, TileGroup};
use crate::stats::Rows;

/// Rows of a group within its block, and its tiles.
pub(super) struct Tiles {
    pub(super) rows: Range<usize>,
    pub(super) layout: Layout,
    pub(super) output: TileOutput,
}

/// A group whose moments are under way; one without rows (it closes a batch) has none.
pub(super) struct Started {
    pub(super) tiles: Tiles,
    pub(super) steps: Vec<ScanStep>,
    pub(super) input: Input,
    pub(super) on_device: Option<(DeviceRows, PendingMoments)>,
}

/// A group whose moments are known; its tiles wait for the state before them.
pub(super) struct Scanned {
    pub(super) tiles: Tiles,
    pub(super) rows: Option<DeviceRows>,
    /// Means of the tiles' rows.
    pub(super) means: Vec<f64>,
    pub(super) states: TileStates,
    /// Updates before each tile: the window its rows count in.
    pub(super) updates: Vec<u64>,
}

/// A group whose values are under way.
pub(super) struct Finishing {
    pub(super) tiles: Tiles,
    pub(super) updates: Vec<u64>,
    pub(super) pending: PendingValues,
}

/// A tile on the device.
#[derive(Debug, Clone, Copy)]
pub(super) struct TilePlace {
    pub(super) group: usize,
    pub(super) tile: usize,
}

/// How far a normalizer will be once everything that stands in a queue has gone through.
#[derive(Clone, Copy)]
pub(super) struct Planned {
    pub(super) clock: Clock,
    /// Rows of the batch still open.
    pub(super) n_open: u64,
}

/// Blocks of one replay on their way through a device, in order.
///
/// [`Replay::send`] has the device begin with a block, [`Replay::scan`] goes through its updates and has it normalized,
/// [`Replay::receive`] takes its values; each takes the oldest block that the one before has left. The device stands still
/// where none stands behind the one that is waited for.
pub struct DeviceQueue {
    pub(super) engine: Engine,
    pub(super) started: VecDeque<Started>,
    /// Groups before the first of `waiting` are on their way back.
    pub(super) done: usize,
    pub(super) waiting: VecDeque<Scanned>,
    pub(super) finishing: VecDeque<Finishing>,
    /// Tiles of the batch still open that wait for its update.
    pub(super) open_tiles: Vec<TilePlace>,
    /// Groups of each block sent that is not yet scanned, and of each that is not yet received.
    pub(super) sent: VecDeque<usize>,
    pub(super) returning: VecDeque<usize>,
    pub(super) planned: Option<Planned>,
    scratch: Scratch,
}

/// Room for one state.
#[derive(Default)]
struct Scratch {
    mean: Vec<f64>,
    var: Vec<f64>,
    center: Vec<f64>,
    inverse: Vec<f64>,
}

impl DeviceQueue {
    /// Nothing on its way yet.
    pub fn new(engine: &Engine) -> Self {
        Self {
            engine: engine.clone(),
            started: VecDeque::new(),
            done: 0,
            waiting: VecDeque::new(),
            finishing: VecDeque::new(),
            open_tiles: Vec::new(),
            sent: VecDeque::new(),
            returning: VecDeque::new(),
            planned: None,
            scratch: Scratch::default(),
        }
    }

    /// Blocks sent that are not yet scanned.
    pub fn n_sent(&self) -> usize {
        self.sent.len()
    }

    /// Blocks not yet received, those sent among them.
    pub fn n_blocks(&self) -> usize {
        self.returning.len()
    }

    /// Has the device begin with a group; whether it has rows.
    pub(super) fn start(
        &mut self,
        group: TileGroup,
        (block, width): (&Block<'_>, usize),
        output: TileOutput,
    ) -> Result<bool, DeviceError> {
        let TileGroup { rows, layout, steps } = group;
        let has_rows = layout.n_tiles() > 0;
        let input = if block.input.is_some() { Input::Other } else { Input::Seen };
        let mut on_device = None;
        if has_rows {
            let sent = SentRows {
                rows: block.rows.slice(rows.clone(), width),
                input: block.input.map(|input| input.slice(rows.clone(), width)),
                width,
                layout: &layout,
                has_moments: true,
            };
            let sent = self.engine.upload(sent)?;
            let pending = self.engine.begin_moments(&sent)?;
            on_device = Some((sent, pending));
        }
        self.started.push_back(Started { tiles: Tiles { rows, layout, output }, steps, input, on_device });
        Ok(has_rows)
    }

    /// Has the device begin with tiles whose states the host gives.
    pub(super) fn start_standing(
        &mut self,
        group: TileGroup,
        (rows, width): (Rows<'_>, usize),
        output: TileOutput,
        scaling: &Scaling,
    ) -> Result<(), DeviceError> {
        let TileGroup { rows: range, layout, .. } = group;
        let rows = rows.slice(range.clone(), width);
        let sent = SentRows { rows, input: None, width, layout: &layout, has_moments: false };
        let on_device = self.engine.upload(sent)?;
        let n_tiles = layout.n_tiles();
        self.waiting.push_back(Scanned {
            states: TileStates::new(scaling, Input::Seen, n_tiles, width),
            updates: vec![0; n_tiles],
            means: Vec::new(),
            tiles: Tiles { rows: range, layout, output },
            rows: Some(on_device),
        });
        Ok(())
    }

    /// The state a tile of the group begun last stands still with.
    pub(super) fn set_standing(&mut self, tile: usize, updates: u64, center: &[f64], inverse: &[f64]) {
        let Some(Scanned { rows: Some(rows), states, updates: of_tiles, .. }) = self.waiting.back_mut()
        else {
            return;
        };
        of_tiles[tile] = updates;
        // Nothing becomes of a variance that stands still.
        let before = StateBefore { origin: center, mean: center, var: inverse, center, inverse };
        Engine::set_state(rows, states, tile, &before);
    }

    /// Groups whose values are under way.
    pub(super) fn n_finishing(&self) -> usize {
        self.finishing.len()
    }

    pub(super) fn check_whole(&self) {
        assert!(self.waiting.is_empty(), "rows of an open batch are kept back until it is whole");
    }

    pub(super) fn n_rows(&self, group: usize, tile: usize) -> u64 {
        self.waiting[group - self.done].tiles.layout.rows(tile).len() as u64
    }

    pub(super) fn set_updates(&mut self, group: usize, tile: usize, updates: u64) {
        self.waiting[group - self.done].updates[tile] = updates;
    }

    /// The tile begins from the state as it is.
    pub(super) fn set_before(&mut self, group: usize, tile: usize, replay: &Replay) {
        self.set_updates(group, tile, replay.normalizer.updates());
        self.set_state(group, tile, replay);
    }

    /// The state as a device takes it into a tile.
    pub(super) fn set_state(&mut self, group: usize, tile: usize, replay: &Replay) {
        let normalizer = &replay.normalizer;
        let width = normalizer.width();
        let Scratch { mean, var, center, inverse } = &mut self.scratch;
        mean.clear();
        var.clear();
        for own in normalizer.carried() {
            mean.push(own.mean);
            var.push(own.var);
        }
        center.resize(width, 0.0);
        inverse.resize(width, 0.0);
        normalizer.scaling(center, inverse);
        let Scanned { rows, means, states, .. } = &mut self.waiting[group - self.done];
        let Some(rows) = rows else { return };
        let origin = means.get(tile * width..(tile + 1) * width).unwrap_or(center);
        Engine::set_state(rows, states, tile, &StateBefore { origin, mean, var, center, inverse });
    }
}

pub(super) fn wanted(output: &Output<'_>) -> TileOutput {
    match output {
        Output::None => TileOutput::Counts,
        Output::F32(_) | Output::F64(_) => TileOutput::ValuesAndCounts,
    }
}
