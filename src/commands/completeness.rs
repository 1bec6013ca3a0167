//! Whether a result is of everything that was asked for.

use std::collections::BTreeSet;

/// Whether a result is of everything that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Completeness {
    /// Of all of it.
    Whole,
    /// Of what is there of a job.
    Partial {
        /// Tasks without a part.
        missing: usize,
        /// Tasks.
        of: usize,
    },
}

impl Completeness {
    /// What a job comes to that lacks these of so many tasks.
    pub(super) fn of(missing: &BTreeSet<usize>, of: usize) -> Self {
        if missing.is_empty() { Self::Whole } else { Self::Partial { missing: missing.len(), of } }
    }

    /// Says so before anything else, where something is missing.
    pub(super) fn tell(self, verdict: &mut Vec<String>) {
        if let Some(sentence) = self.sentence() {
            verdict.insert(0, sentence);
        }
    }

    /// What there is to say where something is missing.
    pub(super) fn sentence(self) -> Option<String> {
        match self {
            Self::Whole => None,
            Self::Partial { missing, of } => {
                let are = if missing == 1 { "is" } else { "are" };
                Some(format!(
                    "Partial: {missing} of {of} tasks {are} missing, and so is what they would add."
                ))
            }
        }
    }
}
