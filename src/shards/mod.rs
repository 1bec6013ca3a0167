//! One analysis over many machines: what a task finds, and how the finds of all tasks become what one machine finds.
//!
//! Pure: nothing here reads a file or knows a flag. A task's work gives values (of games, of runs) that are carried to the
//! bit (`codec`) in a part that says what it is of (`part`); which rows a task reads is decided from what files hold
//! (`division`). What is said of all values together is the business of the commands, which do it for one machine and for
//! many by the same functions.

mod codec;
mod division;
mod error;
mod games;
mod part;
mod runs;
mod stretches;

pub use codec::{CodecError, from_bytes, to_bytes};
pub use division::{Division, FileUnits, PartUnits, Task, TaskFile, divide};
pub use error::{MergeError, listed};
pub use games::{
    ColumnGames, Counted, FoundGames, GameOutcome, GroupGames, ListedSlots, RecordingFacts, RunContents,
    Shared, Unmatched,
};
pub use part::{PART_SCHEMA, PartHeader, open_part, sealed_part};
pub use runs::{ComparedRun, FoundRuns, RunOrder, RunOutcome, RunSpan, StepFacts};
pub use stretches::{
    FoundMoments, FoundPlaces, FoundSettings, FoundStretch, FoundSums, ReplayedRows, StretchSetting,
};
