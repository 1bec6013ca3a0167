//! Coalition rows: every encoding read to (game, mask, values), grouped into games.
//!
//! Parts are decoded in parallel. Consecutive rows of one game within a part are a *row run*; a game is its row
//! runs in file order. So grouping costs memory per row run, not per row, and nothing is copied until a game is
//! asked for.

mod alignment;
mod divisible;
mod encoding;
mod files;
mod index;
mod options;
mod part;
mod players_on;
mod recording;
mod repeats;
mod twins;
mod walks;

pub use self::divisible::DivisibleCoalitions;
pub use self::options::CoalitionOptions;
pub use self::recording::{CoalitionRecording, CoalitionRowView, GameSummary};
