//! Places of environments among those of their run.

/// Finds environments; rows tend to come in their order, one after the other.
#[derive(Debug, Clone)]
pub(super) struct LaneFinder {
    /// In ascending order.
    envs: Vec<i64>,
    last: usize,
}

impl LaneFinder {
    pub(super) fn new(envs: &[i64]) -> Self {
        Self { envs: envs.to_vec(), last: 0 }
    }

    /// The place of an environment that the first pass has seen.
    #[inline]
    pub(super) fn find(&mut self, env: i64) -> usize {
        let next = if self.last + 1 < self.envs.len() { self.last + 1 } else { 0 };
        let is = |place: usize| self.envs.get(place) == Some(&env);
        self.last = if is(next) {
            next
        } else if is(self.last) {
            self.last
        } else {
            self.envs.binary_search(&env).unwrap_or(0)
        };
        self.last
    }
}
