//! Where a run can be cut so that its parts, replayed one after the other, are what it is whole.
//!
//! A walk hands on whole batches, as many as make a piece (`pieces`), and what is summed over a piece depends on where it begins.
//! So a cut is where a piece begins, at the end of a batch and of a vector step. Where that is follows from how many rows each
//! environment has: rows in replay order have those of all environments at every vector step that they reach.

use super::pieces::PieceSize;
use super::plan::Plan;
use crate::normalization::Granularity;

/// A place between rows of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Grain {
    /// Rows before it.
    pub(super) rows: u64,
    /// Vector steps.
    pub(super) vector_steps: u64,
    /// Updates.
    pub(super) updates: u64,
}

/// How many rows the vector steps of a run have: those of every environment that goes on so long.
struct Rhythm {
    /// Rows of environments, ascending.
    env_rows: Vec<u64>,
    /// Sums of as many of them.
    sums: Vec<u64>,
}

impl Rhythm {
    fn of(env_rows: &[u64]) -> Self {
        let mut env_rows = env_rows.to_vec();
        env_rows.sort_unstable();
        let mut sums = vec![0];
        for rows in &env_rows {
            sums.push(sums[sums.len() - 1] + rows);
        }
        Self { env_rows, sums }
    }

    fn n_steps(&self) -> u64 {
        self.env_rows.last().copied().unwrap_or(0)
    }

    fn n_rows(&self) -> u64 {
        self.sums[self.env_rows.len()]
    }

    /// Rows before a vector step.
    fn before(&self, step: u64) -> u64 {
        let over = self.env_rows.partition_point(|rows| *rows <= step);
        self.sums[over] + (self.env_rows.len() - over) as u64 * step
    }

    /// Whole vector steps among the first rows.
    fn steps_within(&self, rows: u64) -> u64 {
        let (mut low, mut high) = (0, self.n_steps());
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if self.before(middle) <= rows { low = middle } else { high = middle - 1 }
        }
        low
    }
}

/// The batches of a run.
struct Batches {
    rhythm: Rhythm,
    /// Vector steps of a batch; `None` where every row is one.
    steps_each: Option<u64>,
}

impl Batches {
    /// The end of the last batch that ends within the first rows.
    fn last_within(&self, rows: u64) -> Grain {
        let steps = self.rhythm.steps_within(rows);
        match self.steps_each {
            None => Grain { rows, vector_steps: steps, updates: rows },
            Some(_) if steps == self.rhythm.n_steps() => self.end_of(self.n_updates()),
            Some(each) => self.end_of(steps / each),
        }
    }

    fn n_updates(&self) -> u64 {
        self.steps_each.map_or(self.rhythm.n_rows(), |each| self.rhythm.n_steps().div_ceil(each))
    }

    /// The end of so many batches.
    fn end_of(&self, updates: u64) -> Grain {
        match self.steps_each {
            None => Grain { rows: updates, vector_steps: self.rhythm.steps_within(updates), updates },
            Some(each) => {
                let vector_steps = updates.saturating_mul(each).min(self.rhythm.n_steps());
                Grain { rows: self.rhythm.before(vector_steps), vector_steps, updates }
            }
        }
    }

    /// Whether vector steps end there, too.
    fn is_whole(&self, grain: Grain) -> bool {
        self.rhythm.before(grain.vector_steps) == grain.rows
    }
}

/// Places where a run of windows of so many rows can be cut whose rows are summed window by window, in order.
pub(super) fn window_grains(env_rows: &[u64], per_window: u64) -> Vec<Grain> {
    let rhythm = Rhythm::of(env_rows);
    let grain = |rows: u64| Grain { rows, vector_steps: rhythm.steps_within(rows), updates: 0 };
    let n_windows = rhythm.n_rows().div_ceil(per_window.max(1));
    let all = (1..n_windows).map(|window| grain(window * per_window));
    all.filter(|grain| rhythm.before(grain.vector_steps) == grain.rows).collect()
}

/// Places where a run can be cut, in order; its beginning and its end are none.
///
/// `env_rows` are the rows of its environments, `width` their values. Empty where batches are neither rows nor vector steps.
pub(super) fn grains(plan: &Plan, env_rows: &[u64], width: usize, size: PieceSize) -> Vec<Grain> {
    let steps_each = match plan.granularity {
        Granularity::Row => None,
        Granularity::Step => Some(1),
        Granularity::Rollout(n) => Some(n),
        Granularity::Round | Granularity::Episode => return Vec::new(),
    };
    let batches = Batches { rhythm: Rhythm::of(env_rows), steps_each };
    let (piece, n_rows) = (size.rows_of(width) as u64, batches.rhythm.n_rows());
    let mut grains = Vec::new();
    let mut last = Grain::default();
    // Rows of a batch that is longer than a piece.
    let mut of_long = 0;
    loop {
        // A batch that is gathered before anything is done with it ends by itself.
        let is_gathered = of_long > 0 && plan.holds_batches();
        let left = n_rows - last.rows - of_long;
        if left == 0 || (left <= piece && !is_gathered) {
            return grains;
        }
        let found = batches.last_within(last.rows + of_long + piece);
        if found.updates == last.updates {
            of_long += piece;
            continue;
        }
        last = if is_gathered { batches.end_of(last.updates + 1) } else { found };
        of_long = 0;
        if batches.is_whole(last) && last.rows < n_rows {
            grains.push(last);
        }
    }
}
