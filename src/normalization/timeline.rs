//! Which vector step a run had reached after how many updates.

use serde::{Deserialize, Serialize};

/// One place known on both scales.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownStep {
    /// Updates made.
    pub updates: u64,
    /// Vector step of the rows that follow.
    pub vector_step: u64,
}

/// Known places of a run, in order of time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Timeline {
    known: Vec<KnownStep>,
}

impl Timeline {
    /// Adds a place; those before it are not later.
    pub fn push(&mut self, updates: u64, vector_step: u64) {
        self.known.push(KnownStep { updates, vector_step });
    }

    /// Adds the places of what follows.
    pub fn extend(&mut self, later: Self) {
        self.known.extend(later.known);
    }

    /// The last known place.
    pub fn end(&self) -> Option<KnownStep> {
        self.known.last().copied()
    }

    /// The vector step of the last known place after at most so many updates.
    pub fn known_step_at(&self, updates: u64) -> Option<u64> {
        self.known.iter().rev().find(|known| known.updates <= updates).map(|known| known.vector_step)
    }

    /// The vector step after so many updates: between known places by proportion, for updates of a block are even.
    pub fn step_at(&self, updates: u64) -> u64 {
        interpolate(&self.known, |known| known.updates, |known| known.vector_step, updates)
    }
}

/// Linear interpolation between known places; beyond them the nearest one, without any 0.
fn interpolate(
    known: &[KnownStep],
    x: impl Fn(&KnownStep) -> u64,
    y: impl Fn(&KnownStep) -> u64,
    at: u64,
) -> u64 {
    let place = known.partition_point(|known| x(known) <= at);
    match (place.checked_sub(1).map(|i| &known[i]), known.get(place)) {
        (Some(low), Some(high)) => {
            let (run, rise) = (x(high) - x(low), y(high) - y(low));
            y(low) + (at - x(low)) * rise / run.max(1)
        }
        (Some(low), None) => y(low),
        (None, Some(high)) => y(high),
        (None, None) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_known_places_by_proportion() {
        let mut timeline = Timeline::default();
        assert_eq!((timeline.step_at(3), timeline.known_step_at(3)), (0, None));
        timeline.push(2, 10);
        timeline.push(6, 30);
        assert_eq!(timeline.end(), Some(KnownStep { updates: 6, vector_step: 30 }));
        assert_eq!([0, 2, 3, 6, 9].map(|updates| timeline.step_at(updates)), [10, 10, 15, 30, 30]);
        assert_eq!([1, 5, 6].map(|updates| timeline.known_step_at(updates)), [None, Some(10), Some(30)]);
    }
}
