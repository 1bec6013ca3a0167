//! What documents say of rows that only reset an environment.

use super::normalization::DiagnosticsRow;
use super::text::grouped;
use crate::normalization::Autoreset;

impl DiagnosticsRow {
    /// When environments reset, in a sentence, where that is not within the step.
    pub fn reset_finding(&self) -> Option<String> {
        match self.autoreset? {
            Autoreset::NextStep => {
                let rows = self.reset_rows.unwrap_or(0);
                let noun = if rows == 1 { "row that only resets one is" } else { "rows that only reset one are" };
                Some(format!(
                    "environments reset in the step after an episode: {} {noun} in no return and no statistics",
                    grouped(rows)
                ))
            }
            Autoreset::Undecided => Some(
                "the rows after ends of episodes could be resets or steps without reward; they count as steps \
                 (--autoreset next-step or same-step says which)"
                    .to_owned(),
            ),
            Autoreset::None | Autoreset::SameStep => None,
        }
    }
}
