//! Everything on disk, typed and validated; the only user of polars.
//!
//! Files become tables (`table`), tables are told apart by their columns (`schema`), and their rows become
//! games (`coalitions`) or steps (`transitions`). Malformed rows and non-finite numbers stop here.

mod baselines;
mod coalitions;
mod columns;
mod error;
mod even_lists;
mod inspect;
mod normalized;
mod output;
mod parquet;
mod pickle;
mod results;
mod row_groups;
mod schema;
mod sources;
mod states;
mod steps;
mod table;
mod text;
mod transitions;
mod write;

pub use baselines::{Baseline, BaselineError, fingerprints, fnv1a, read_result_or_baseline};
pub use coalitions::{CoalitionOptions, CoalitionRecording, GameSummary, SkipReport};
pub use error::{Problem, RecordError};
pub use inspect::{FileReport, InspectOptions, Inspection, inspect};
pub use normalized::{NormalizedValues, NormalizedWriter, TraceRows, TraceWriter};
pub use output::{AtomicFile, remove_unfinished_outputs};
pub use results::{AnalysisResult, analysis_result, differing_settings};
pub use schema::{ColumnMap, FileKind, OnBad};
pub use sources::{Discovered, InputFile, discover};
pub use states::{STATE_SCHEMA, StatePlace, StoredState};
pub use steps::{
    BadPlace, Clock, RunInfo, StepBlock, StepOptions, StepRecording, StepSkips, StepTarget, StepValues,
};
pub use table::{Table, is_decoding};
pub use transitions::TransitionSummary;
pub use write::{Compression, ParquetTable, TableWriter};
