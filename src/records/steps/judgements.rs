//! What is known of rows that may be malformed.

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    Sound,
    /// Its place is known, its values cannot be used.
    NoValues,
    /// It has no place.
    NoKey,
}

/// Judgements of decoded rows; empty if all are sound.
#[derive(Debug, Default)]
pub(super) struct Judgements(Vec<Judgement>);

impl Judgements {
    pub(super) fn of(judgements: Vec<Judgement>) -> Self {
        Self(judgements)
    }

    pub(super) fn get(&self, row: usize) -> Option<&Judgement> {
        self.0.get(row)
    }

    pub(super) fn contains_row(&self, row: usize) -> bool {
        self.0.get(row).is_some_and(|judgement| *judgement != Judgement::Sound)
    }
}
