//! Everything on disk, typed and validated; the only user of polars.
//!
//! Files become tables (`table`), tables are told apart by their columns (`schema`), and their rows become
//! games (`coalitions`) or steps (`transitions`). Malformed rows and non-finite numbers stop here.

mod baselines;
mod budget;
#[cfg(test)]
mod carried_types;
mod coalitions;
mod columns;
mod convert;
mod copies;
mod counts;
mod delta_text;
mod entered;
mod error;
mod estimates;
mod even_lists;
mod features;
mod fields;
mod footer;
mod format;
mod guess;
#[cfg(feature = "hdf5")]
mod hdf5;
mod inspect;
mod ipc;
mod ipc_dictionaries;
mod ipc_sizes;
mod job_files;
mod job_place;
mod jobs;
mod layouts;
mod listed;
mod literal;
mod logs;
#[cfg(test)]
mod mutations;
mod normalized;
#[cfg_attr(not(feature = "cloud"), path = "no_objects.rs")]
mod objects;
mod on_disk;
mod opcodes;
mod opened;
mod output;
mod packed;
mod pages;
mod parquet;
mod part;
mod pickle;
mod place;
mod plan_lines;
mod problems;
mod row_groups;
mod row_sink;
mod run_names;
mod schema;
mod skips;
mod sources;
mod state_files;
mod states;
mod steps;
mod store_url;
mod table;
mod text;
mod thrift;
mod transitions;
mod twins;
mod types;
mod units;
mod view;
mod write;
mod written;

pub use baselines::{
    BaselineError, fingerprints, read_baseline, read_baseline_revision, read_result_document,
    read_result_or_baseline,
};
pub use budget::PartBudget;
pub use coalitions::{
    CoalitionOptions, CoalitionRecording, CoalitionRowView, DivisibleCoalitions, GameSummary,
};
pub use convert::{StepConverter, write_coalitions};
pub use error::{Problem, RecordError, bytes_in_words};
pub use estimates::{LoggedEstimate, LoggedEstimates, logged_estimates};
pub use features::{FeatureColumns, FeatureSet, RecordedSet, SetFeature, stats_text};
pub use guess::{quoted, value_columns};
pub use inspect::{InspectOptions, Inspected, inspect};
pub use jobs::{JobError, JobFolder, PartFiles, PartList, fingerprints_of, may_pass, plan_hash};
pub use layouts::Layout;
pub use listed::{ListedFile, listed_files};
pub use logs::{Curve, Curves, LogFiles, discover_logs, read_logs};
pub use normalized::{NormalizedValues, NormalizedWriter, TraceRows, TraceWriter};
pub use output::{AtomicFile, remove_unfinished_outputs};
pub use part::is_decoding;
pub use row_sink::RowFormat;
pub use schema::{ColumnMap, FileKind, OnBad};
pub use skips::SkipReport;
pub use sources::{Discovered, InputFile, Origin, discover, discover_within};
pub use state_files::StateWanted;
pub use states::{StateSpan, StoredState};
pub use steps::{
    BadPlace, BlockFile, BlockFileWriter, Clock, RunInfo, RunStretch, StepBlock, StepOptions, StepRecording,
    StepSizes, StepSkips, StepTarget, StepValues,
};
pub(crate) use store_url::{has_user, is_url, is_url_path, shown_url};
pub use table::Table;
pub use transitions::TransitionSummary;
pub use units::{FileRuns, PartRuns};
pub use view::View;
pub use write::{Compression, ParquetTable, TableWriter};
