//! Windows: consecutive updates that the diagnostics summarize together.

use serde::{Deserialize, Serialize};

use super::segment::MeanVar;
use super::state::Normalizer;
use crate::stats::RowMoments;

/// Windows kept at most: beyond, neighbours are joined.
const MOST_WINDOWS: usize = 512;

/// Consecutive updates with what happened in them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Window {
    /// Updates before the window.
    pub first_update: u64,
    /// Moments of its rows.
    pub moments: RowMoments,
    /// Values at or beyond the clip, per dimension.
    pub clipped: Vec<u64>,
    /// Values normalized, per dimension.
    pub normalized: u64,
    /// The state its rows were normalized with, averaged over them.
    pub in_use: StateInUse,
    /// Whether nothing more comes.
    pub(super) is_over: bool,
}

/// States that rows were normalized with, averaged over rows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct StateInUse {
    /// Rows.
    pub n: u64,
    /// Means, one per dimension; none without rows.
    pub mean: Vec<f64>,
    /// Variances, likewise.
    pub var: Vec<f64>,
}

impl StateInUse {
    /// Adds `n` rows that were normalized with one state, where there was one.
    pub(super) fn add(&mut self, n: u64, state: impl Iterator<Item = MeanVar>) {
        if n == 0 {
            return;
        }
        let mut state = state.peekable();
        if state.peek().is_none() {
            return;
        }
        if self.n == 0 {
            (self.mean, self.var) = state.map(|own| (own.mean, own.var)).unzip();
            self.n = n;
            return;
        }
        self.n += n;
        let share = n as f64 / self.n as f64;
        for ((mean, var), own) in self.mean.iter_mut().zip(&mut self.var).zip(state) {
            *mean += share * (own.mean - *mean);
            *var += share * (own.var - *var);
        }
    }

    /// The same of a state that is there as it is.
    fn add_own(&mut self, n: u64, mean: &[f64], var: &[f64]) {
        if n == 0 || mean.is_empty() {
            return;
        }
        if self.n == 0 {
            (self.n, self.mean, self.var) = (n, mean.to_vec(), var.to_vec());
            return;
        }
        self.n += n;
        let share = n as f64 / self.n as f64;
        self.mean.iter_mut().zip(mean).for_each(|(mean, own)| *mean += share * (own - *mean));
        self.var.iter_mut().zip(var).for_each(|(var, own)| *var += share * (own - *var));
    }

    /// Adds the states that other rows were normalized with.
    pub(super) fn join(&mut self, other: &Self) {
        self.add_own(other.n, &other.mean, &other.var);
    }
}

impl Window {
    /// Rows known by their moments, normalized with nothing.
    pub fn of_rows(first_update: u64, moments: RowMoments) -> Self {
        let width = moments.mean().len();
        Self { moments, is_over: true, ..Self::new(first_update, width) }
    }

    fn new(first_update: u64, width: usize) -> Self {
        Self {
            first_update,
            moments: RowMoments::empty(width),
            clipped: vec![0; width],
            normalized: 0,
            in_use: StateInUse::default(),
            is_over: false,
        }
    }

    /// Moments of all rows of windows.
    pub(super) fn moments_of(windows: &[Self], width: usize) -> RowMoments {
        let mut moments = RowMoments::empty(width);
        windows.iter().for_each(|window| moments.merge(&window.moments));
        moments
    }

    /// Whether `other` is this window, further on or less far.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.first_update == other.first_update
    }

    /// The same window further on: what was seen of its rows is all of it, what was normalized of them is what came after.
    pub(super) fn go_on(&mut self, later: Self) {
        let Self { first_update, moments, clipped, normalized, in_use, is_over } = later;
        (self.first_update, self.moments, self.in_use, self.is_over) =
            (first_update, moments, in_use, is_over);
        self.clipped.iter_mut().zip(&clipped).for_each(|(sum, n)| *sum += n);
        self.normalized += normalized;
    }

    /// Takes in the window that follows.
    fn join(&mut self, later: &Self) {
        self.moments.merge(&later.moments);
        self.clipped.iter_mut().zip(&later.clipped).for_each(|(sum, n)| *sum += n);
        self.normalized += later.normalized;
        self.in_use.join(&later.in_use);
        self.is_over = later.is_over;
    }
}

/// The windows of one replay, in order; the last one may be open.
#[derive(Debug, Clone)]
pub(super) struct Windows {
    /// Updates per window.
    updates_each: u64,
    windows: Vec<Window>,
}

impl Windows {
    /// About `n_windows` of them over so many updates.
    pub(super) fn new(expected_updates: u64, n_windows: u64) -> Self {
        Self { updates_each: expected_updates.div_ceil(n_windows.max(1)).max(1), windows: Vec::new() }
    }

    /// The same in windows of a multiple of so many updates.
    pub(super) fn in_steps_of(mut self, updates: u64) -> Self {
        self.updates_each = self.updates_each.next_multiple_of(updates.max(1));
        self
    }

    /// Windows so far.
    pub(super) fn all(&self) -> &[Window] {
        &self.windows
    }

    /// The windows by themselves.
    pub(super) fn into_all(self) -> Vec<Window> {
        self.windows
    }

    /// Updates per window.
    pub(super) fn updates_each(&self) -> u64 {
        self.updates_each
    }

    /// The last window, where more comes.
    pub(super) fn unfinished(&self) -> Option<&Window> {
        self.windows.last().filter(|window| !window.is_over)
    }

    /// Goes on with a window that has begun elsewhere, where there is one.
    pub(super) fn go_on_with(&mut self, window: Option<Window>) {
        self.windows = window.into_iter().collect();
    }

    /// Updates until the present window is full, after so many of them.
    pub(super) fn updates_left(&self, updates: u64) -> u64 {
        self.updates_each - updates % self.updates_each
    }

    /// The window of what happens now.
    pub(super) fn current(&mut self) -> Option<&mut Window> {
        self.windows.last_mut()
    }

    /// The window that begins after at most so many updates. Windows may have been joined since.
    pub(super) fn at(&mut self, updates: u64) -> Option<&mut Window> {
        let after = self.windows.partition_point(|window| window.first_update <= updates);
        after.checked_sub(1).and_then(|at| self.windows.get_mut(at))
    }

    /// Opens a window where there is none or the last one is full.
    pub(super) fn begin(&mut self, normalizer: &Normalizer) {
        if self.windows.len() >= MOST_WINDOWS {
            self.halve();
        }
        let updates = normalizer.updates();
        let is_full = |window: &Window| updates - window.first_update >= self.updates_each;
        if self.windows.last().is_none_or(is_full) {
            self.close();
            self.windows.push(Window::new(updates, normalizer.width()));
        }
    }

    /// Closes the last window where it is full.
    pub(super) fn end_if_full(&mut self, normalizer: &Normalizer) {
        let updates = normalizer.updates();
        if self.windows.last().is_some_and(|window| updates - window.first_update >= self.updates_each) {
            self.close();
        }
    }

    /// Closes the last window.
    pub(super) fn close(&mut self) {
        if let Some(window) = self.windows.last_mut() {
            window.is_over = true;
        }
    }

    /// Rows of the last window are normalized with the state as it is.
    pub(super) fn use_state(&mut self, normalizer: &Normalizer, n_rows: u64) {
        if let Some(window) = self.windows.last_mut() {
            match normalizer.own_in_use() {
                Some((mean, var)) => window.in_use.add_own(n_rows, mean, var),
                None => window.in_use.add(n_rows, normalizer.in_use()),
            }
        }
    }

    /// Rows of the last window are normalized with states whose averages are these.
    pub(super) fn use_states(&mut self, mean: &[f64], var: &[f64], n_rows: u64) {
        if let Some(window) = self.windows.last_mut() {
            window.in_use.add_own(n_rows, mean, var);
        }
    }

    /// Counts rows normalized and their values at or beyond the clip, per dimension.
    pub(super) fn count_clipped(&mut self, clipped: &[u64], n_rows: u64) {
        if let Some(window) = self.windows.last_mut() {
            window.clipped.iter_mut().zip(clipped).for_each(|(sum, n)| *sum += n);
            window.normalized += n_rows;
        }
    }

    /// Joins neighbours, so that any number of updates has a bounded number of windows.
    fn halve(&mut self) {
        if self.windows.last().is_some_and(|window| !window.is_over) {
            return;
        }
        let mut joined: Vec<Window> = Vec::with_capacity(self.windows.len() / 2 + 1);
        for (i, window) in std::mem::take(&mut self.windows).into_iter().enumerate() {
            match joined.last_mut().filter(|_| i % 2 == 1) {
                Some(last) => last.join(&window),
                None => joined.push(window),
            }
        }
        self.windows = joined;
        self.updates_each *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Memory, Rule};
    use super::*;

    #[test]
    fn too_many_windows_become_half_as_many_of_twice_the_length() {
        let mut normalizer = Normalizer::new(Rule::observations(Memory::Welford), 1);
        let mut windows = Windows::new(1, 1);
        for _ in 0..=MOST_WINDOWS {
            windows.begin(&normalizer);
            windows.count_clipped(&[1], 2);
            normalizer.update(1, &[0.0], &[0.0]);
            windows.end_if_full(&normalizer);
        }
        assert_eq!((windows.all().len(), windows.updates_each()), (MOST_WINDOWS / 2 + 1, 2));
        let firsts: Vec<u64> = windows.all()[..3].iter().map(|window| window.first_update).collect();
        assert_eq!(firsts, [0, 2, 4]);
        assert_eq!((windows.all()[0].clipped[0], windows.all()[0].normalized), (2, 4));
        assert_eq!(windows.at(3).map(|window| window.first_update), Some(2));
    }
}
