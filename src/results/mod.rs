//! Documents: what an analysis found, as it is stored, rendered, checked and read back.
//!
//! One file per document: owned types with the schema's name and version beside them, made from the analysis's own
//! result. `report` renders these documents and nothing else; `baseline` compares their metrics; `records` reads and
//! writes files. What an analysis was asked (its settings) is a value too and stands in the document under
//! `settings`. Nothing here knows of flags, files or tables.

mod ablation;
mod analysis;
mod any;
mod baseline;
mod check;
mod comparison;
mod convergence;
mod devices;
mod diagnoses;
mod drift;
mod games;
mod grouping;
mod inspection;
mod interactions;
mod job;
mod kernel;
mod logged;
mod logs;
mod measured;
mod metric;
mod normalization;
mod normalization_analysis;
mod numbers;
mod order;
mod resets;
mod schemas;
mod settings;
mod shapley;
mod simulation;
mod skips;
mod sources;
mod states;
mod statistics;
mod testing;
pub mod text;
mod verdict;
mod windows;

pub use ablation::{
    ABLATION_SCHEMA, AblatedPlayer, AblationAnalysis, AblationDocument, AblationGame, AblationRow,
    ContrastRow, GameContrast, MeasureValue, Measures,
};
pub use analysis::{CoalitionReading, IntervalKind, OnBad, ShapleyAnalysis};
pub use any::ResultDocument;
pub use baseline::{BASELINE_SCHEMA, Baseline, FIRST_BASELINE_SCHEMA, fnv1a_hex, sorted};
pub use check::{
    CheckDocument, CheckResult, CheckRow, CheckStatus, Finding, RecordDocument, RecordedCheck, ResolutionRow,
    Verdict,
};
pub use comparison::{
    CompareInput, ComparedRunRow, ComparedSettingRow, ComparisonDocument, DivisorDocument, DivisorRow,
    NeighbourRow, RecommendedRow,
};
pub use convergence::{ConvergenceRow, LookRow};
pub use devices::{DeviceDocument, DeviceRow};
pub use drift::{DriftDimensionRow, DriftRow, DriftTestRow, UntoldRow, untold_reason};
pub use games::{GameAnalysis, GameName, SummaryNumbers};
pub use grouping::Grouping;
pub use inspection::{
    FileRow, GamesRow, InspectAnalysis, InspectionDocument, MissingRow, ProblemRow, SetFeatureRow, SetRow,
};
pub use interactions::{
    INTERACTIONS_SCHEMA, InteractionAnalysis, InteractionDocument, InteractionGame, InteractionRow, TermRow,
    Terms,
};
pub use job::{
    CutRun, JOB_SCHEMA, JOB_STATUS_SCHEMA, JobDocument, JobRecording, JobStatusDocument, MissingPart, Origin,
    StretchPass, TaskInput, TaskRow, TaskStretch, settings_hash,
};
pub use kernel::KernelRow;
pub use logged::{RecordedPlayer, RecordedRow};
pub use logs::{LOGS_SCHEMA, LoggedFigure, LogsAnalysis, logged_direction};
pub use measured::Measured;
pub use metric::{Direction, Metric};
pub use normalization::{
    DeviceUsed, DiagnosticsRow, NormalizationDocument, NormalizationSettings, NormalizedRun, REPLAY_SCHEMA,
    RollbackCounts, RunRow, STATS_SCHEMA,
};
pub use normalization_analysis::{
    AskedRule, CompareAnalysis, Precision, ReplayAnalysis, Rollback, RuleAnalysis, Scope, StepReading,
    VerifyAnalysis,
};
pub use order::{NeighboursRow, RankRow, RankingRow, TrendRow, TrendUnitName};
pub use schemas::{SCHEMAS, schema};
pub use settings::{SettingChange, Settings};
pub use shapley::{
    GameRow, MethodUsed, NextEvaluationRow, PlayerRow, Players, SHAPLEY_SCHEMA, ShapleyDocument,
    ShapleyInput, SummaryRow,
};
pub use simulation::{SimulationDocument, TrueDesign, TruePair, TrueValue};
pub use skips::{BadPlaceRow, InputCounts, Skipped, StepInput};
pub use sources::{Plan, PlanRow, SourceRow};
pub use states::{
    DifferenceRow, STATE_SCHEMA, StateComparison, StateDocument, StatePlace, TriedRow, VERIFY_SCHEMA,
    VerificationDocument,
};
pub use statistics::{
    ComparedFeature, LeftOutFeature, STATISTICS_SCHEMA, StatisticCause, StatisticRow, StatisticSource,
    StatisticsAnalysis, StatisticsDocument, StatisticsSet, WorstRow,
};
pub use testing::{AdjustKind, TestKind, Testing};
pub use verdict::{interval_words, unit_noun};
pub use windows::WindowsRow;
