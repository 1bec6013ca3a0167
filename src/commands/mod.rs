//! One file per verb as the user types it: arguments (their doc comments are the help) and five lines of story.

pub mod analyze;
pub mod check;
mod common;
mod completeness;
pub mod convert;
pub mod devices;
mod error;
mod figures;
mod formats;
mod generate;
pub mod inspect;
mod memory;
pub mod normalize;
pub mod report;
pub mod schema;
pub mod shard;
pub mod simulate;
mod terminal;

pub use common::{ColorArg, CommonArgs, Context};
use common::{check_free, is_read, on_disk, read_at, refuse_doubled};
use completeness::Completeness;
pub use error::{CommandError, Outcome};
pub use formats::{FormatArg, OutputHolds};
pub use generate::{CompletionsArgs, ManArgs, completions, manual};
