//! Which rows of a file are looked at, where it holds several kinds.

/// Which rows of a file are looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum View {
    /// All there are.
    #[default]
    Whole,
    /// The coalitions of an esper-lite event log.
    EsperCoalitions,
    /// Its environment steps.
    EsperSteps,
    /// The Shapley values that the trainer estimated itself.
    EsperEstimates,
}
