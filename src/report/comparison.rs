//! Settings side by side, merged states and verifications of states: documents and renderings.

use std::io::{self, Write};

use serde::Serialize;

use super::Format;
use super::grid::{Align, Grid, printable};
use super::number::{grouped, short};
use crate::normalization::{Diagnosis, Diagnostics, Difference, Lag, Memory, NormalizerState};
use crate::records::StepSkips;

/// One setting's outcome on one run.
#[derive(Debug)]
pub struct ComparedSetting {
    /// What there is to know.
    pub diagnostics: Diagnostics,
    /// Final state.
    pub state: NormalizerState,
    /// Lag behind the shift, where there is one.
    pub lag: Option<Lag>,
}

/// All settings on one run.
#[derive(Debug)]
pub struct ComparedRun {
    /// Run.
    pub run_id: String,
    /// Vector step of the shift, where there is one.
    pub shift_at: Option<u64>,
    /// Whether the user named it.
    pub shift_given: bool,
    /// One per setting.
    pub settings: Vec<ComparedSetting>,
}

/// Everything a comparison says.
#[derive(Debug)]
pub struct CompareReport {
    /// obs, reward or return.
    pub target: &'static str,
    /// Rows of one update.
    pub update_every: String,
    /// Names of dimensions.
    pub dimensions: Vec<String>,
    /// Runs.
    pub runs: Vec<ComparedRun>,
    /// Files read.
    pub n_files: usize,
    /// What was left out.
    pub skips: StepSkips,
}

#[derive(Serialize)]
struct CompareDocument<'a> {
    schema: &'static str,
    target: &'static str,
    update_every: &'a str,
    runs: Vec<ComparedRunDocument<'a>>,
    input: CompareInput,
}

#[derive(Serialize)]
struct CompareInput {
    files: usize,
    skipped: u64,
}

#[derive(Serialize)]
struct ComparedRunDocument<'a> {
    run_id: &'a str,
    shift_at: Option<u64>,
    shift_given: bool,
    settings: Vec<SettingDocument<'a>>,
}

#[derive(Serialize)]
struct SettingDocument<'a> {
    kind: &'static str,
    momentum: Option<f64>,
    updates: u64,
    count: f64,
    mean: &'a [f64],
    var: &'a [f64],
    mean_distance: &'a [f64],
    log_var_distance: &'a [f64],
    lag_updates_mean: Option<&'a [Option<u64>]>,
    lag_updates_var: Option<&'a [Option<u64>]>,
    least_var_ratio: Option<Vec<Option<f64>>>,
    greatest_var_ratio: Option<Vec<Option<f64>>>,
    clip_fraction: f64,
    clip_by_dimension: &'a [f64],
    constant_dimensions: &'a [usize],
    dimensions_below_epsilon: &'a [usize],
    effective_batches: Option<f64>,
    prior_weight: f64,
    prior_share_of_variance: &'a [f64],
    float32_count_saturates: bool,
}

impl ComparedSetting {
    fn document(&self) -> SettingDocument<'_> {
        let d = &self.diagnostics;
        let ratios = |pick: &dyn Fn(&Lag) -> &[f64]| {
            self.lag.as_ref().map(|lag| pick(lag).iter().map(|x| x.is_finite().then_some(*x)).collect())
        };
        SettingDocument {
            kind: self.state.memory.name(),
            momentum: self.state.memory.momentum(),
            updates: self.state.batches,
            count: self.state.count,
            mean: &self.state.mean,
            var: &self.state.var,
            mean_distance: &d.mean_distance,
            log_var_distance: &d.var_distance,
            lag_updates_mean: self.lag.as_ref().map(|lag| &lag.mean[..]),
            lag_updates_var: self.lag.as_ref().map(|lag| &lag.var[..]),
            least_var_ratio: ratios(&|lag| &lag.least_var_ratio),
            greatest_var_ratio: ratios(&|lag| &lag.greatest_var_ratio),
            clip_fraction: d.clip_fraction,
            clip_by_dimension: &d.clip_by_dimension,
            constant_dimensions: &d.constant,
            dimensions_below_epsilon: &d.below_epsilon,
            effective_batches: d.effective_batches.filter(|n| n.is_finite()),
            prior_weight: d.prior_weight,
            prior_share_of_variance: &d.prior_share,
            float32_count_saturates: d.single_count_saturates,
        }
    }

    fn name(&self) -> String {
        match self.state.memory {
            Memory::Welford => "full history".to_owned(),
            Memory::Ema { momentum, .. } => format!("momentum {momentum}"),
        }
    }
}

/// Writes a comparison.
///
/// # Errors
/// If writing fails.
pub fn write_comparison(
    report: &CompareReport,
    format: Format,
    n_dimensions: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let runs = || {
        report.runs.iter().map(|run| ComparedRunDocument {
            run_id: &run.run_id,
            shift_at: run.shift_at,
            shift_given: run.shift_given,
            settings: run.settings.iter().map(ComparedSetting::document).collect(),
        })
    };
    match format {
        Format::Json => {
            let document = CompareDocument {
                schema: "simic.normalize.compare/1",
                target: report.target,
                update_every: &report.update_every,
                runs: runs().collect(),
                input: CompareInput { files: report.n_files, skipped: report.skips.report.n_rows() },
            };
            serde_json::to_writer(&mut *out, &document)?;
            writeln!(out)
        }
        Format::Ndjson => {
            for run in runs() {
                serde_json::to_writer(&mut *out, &run)?;
                writeln!(out)?;
            }
            Ok(())
        }
        Format::Csv => per_dimension(report, usize::MAX, true).write_csv(out),
        Format::Table | Format::Markdown => write_compared(report, format, n_dimensions, out),
    }
}

fn write_compared(
    report: &CompareReport,
    format: Format,
    n_dimensions: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let show = |grid: &Grid, out: &mut dyn Write| {
        if format == Format::Markdown { grid.write_markdown(out) } else { grid.write_table(out) }
    };
    writeln!(
        out,
        "{} under {} settings, updated every {}",
        report.target,
        setting_count(report),
        report.update_every
    )?;
    for run in &report.runs {
        writeln!(out)?;
        let shift = match (run.shift_at, run.shift_given) {
            (Some(step), true) => format!("shift given at vector step {}", grouped(step)),
            (Some(step), false) => format!("shift found at vector step {}", grouped(step)),
            (None, true) => "the recording ends before the shift given".to_owned(),
            (None, false) => "no shift found".to_owned(),
        };
        writeln!(out, "run {}: {shift}", printable(&run.run_id))?;
        show(&settings_grid(run), out)?;
    }
    if n_dimensions > 0 {
        writeln!(out)?;
        show(&per_dimension(report, n_dimensions, false), out)?;
    }
    writeln!(out)?;
    writeln!(
        out,
        "mean off: |mean - windowed mean| in windowed sd, averaged; sd off: how many times too large or small; lag: \
         updates until within 10 %"
    )
}

fn setting_count(report: &CompareReport) -> usize {
    report.runs.first().map_or(0, |run| run.settings.len())
}

fn average(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// The slowest of the dimensions, or that some never arrive.
fn slowest(lags: &[Option<u64>], counted: impl Fn(usize) -> bool) -> String {
    let counted: Vec<Option<u64>> =
        lags.iter().enumerate().filter(|(d, _)| counted(*d)).map(|(_, lag)| *lag).collect();
    if counted.is_empty() {
        return "-".to_owned();
    }
    let never = counted.iter().filter(|lag| lag.is_none()).count();
    match (never, counted.iter().flatten().max()) {
        (0, Some(lag)) => grouped(*lag),
        (never, _) => format!("never ({never} of {})", counted.len()),
    }
}

fn settings_grid(run: &ComparedRun) -> Grid {
    let mut grid = Grid::new(&[
        ("setting", Align::Left),
        ("mean off", Align::Right),
        ("sd off", Align::Right),
        ("lag mean", Align::Right),
        ("lag var", Align::Right),
        ("least var", Align::Right),
        ("most var", Align::Right),
        ("clipped", Align::Right),
        ("batches", Align::Right),
        ("initial", Align::Right),
        ("dead", Align::Right),
    ]);
    for setting in &run.settings {
        let d = &setting.diagnostics;
        let lag = setting.lag.as_ref();
        let extreme = |pick: &dyn Fn(&Lag) -> &[f64], least: bool| {
            let found = lag.map(|lag| {
                let finite = pick(lag).iter().copied().filter(|x| x.is_finite());
                if least { finite.fold(f64::INFINITY, f64::min) } else { finite.fold(0.0, f64::max) }
            });
            found.filter(|x| x.is_finite()).map_or_else(|| "-".to_owned(), |x| format!("{}x", short(x)))
        };
        grid.row(vec![
            setting.name(),
            short(average(&d.mean_distance)),
            format!("{}x", short((average(&d.var_distance) / 2.0).exp())),
            lag.map_or_else(|| "-".to_owned(), |lag| slowest(&lag.mean, |dim| lag.shifted[dim])),
            lag.map_or_else(|| "-".to_owned(), |lag| slowest(&lag.var, |dim| !d.constant.contains(&dim))),
            extreme(&|lag| &lag.least_var_ratio, true),
            extreme(&|lag| &lag.greatest_var_ratio, false),
            format!("{} %", short(100.0 * d.clip_fraction)),
            d.effective_batches.map_or_else(
                || "all".to_owned(),
                |n| if n.is_finite() { short(n) } else { "none".to_owned() },
            ),
            format!("{} %", short(100.0 * d.prior_weight)),
            (d.constant.len() + d.below_epsilon.iter().filter(|dim| !d.constant.contains(dim)).count())
                .to_string(),
        ]);
    }
    grid
}

fn per_dimension(report: &CompareReport, n_dimensions: usize, is_exact: bool) -> Grid {
    let mut grid = Grid::new(&[
        ("run_id", Align::Left),
        ("setting", Align::Left),
        ("dimension", Align::Left),
        ("mean", Align::Right),
        ("var", Align::Right),
        ("mean_distance", Align::Right),
        ("log_var_distance", Align::Right),
        ("lag_mean", Align::Right),
        ("lag_var", Align::Right),
        ("clip_fraction", Align::Right),
    ]);
    let number = |x: f64| if is_exact { x.to_string() } else { short(x) };
    let lag = |lags: Option<&[Option<u64>]>, d: usize| {
        lags.and_then(|lags| lags[d]).map_or_else(String::new, |lag| lag.to_string())
    };
    for run in &report.runs {
        for setting in &run.settings {
            for (d, name) in report.dimensions.iter().enumerate().take(n_dimensions) {
                let found = &setting.diagnostics;
                grid.row(vec![
                    run.run_id.clone(),
                    setting.name(),
                    name.clone(),
                    number(setting.state.mean[d]),
                    number(setting.state.var[d]),
                    number(found.mean_distance[d]),
                    number(found.var_distance[d]),
                    lag(setting.lag.as_ref().map(|lag| &lag.mean[..]), d),
                    lag(setting.lag.as_ref().map(|lag| &lag.var[..]), d),
                    number(found.clip_by_dimension[d]),
                ]);
            }
        }
    }
    grid
}

/// What one framework divides the rewards of one run by.
#[derive(Debug, Clone, Serialize)]
pub struct DivisorRow {
    /// Run.
    pub run_id: String,
    /// Framework.
    pub preset: &'static str,
    /// Whether the divisor is the deviation of the reward or of the discounted return.
    pub deviation_of: &'static str,
    /// What is subtracted first.
    pub subtracted: f64,
    /// The divisor at the end of the run.
    pub divisor: f64,
    /// Share of rewards at or beyond the clip.
    pub clip_fraction: f64,
}

/// The divisors of all frameworks.
#[derive(Debug, Serialize)]
pub struct DivisorReport {
    /// One row per run and framework.
    pub rows: Vec<DivisorRow>,
}

/// Writes divisors side by side.
///
/// # Errors
/// If writing fails.
pub fn write_divisors(report: &DivisorReport, format: Format, out: &mut dyn Write) -> io::Result<()> {
    let is_exact = format == Format::Csv;
    let number = |x: f64| if is_exact { x.to_string() } else { short(x) };
    let mut grid = Grid::new(&[
        ("run_id", Align::Left),
        ("preset", Align::Left),
        ("deviation_of", Align::Left),
        ("subtracted", Align::Right),
        ("divisor", Align::Right),
        ("clip_fraction", Align::Right),
    ]);
    for row in &report.rows {
        grid.row(vec![
            row.run_id.clone(),
            row.preset.to_owned(),
            row.deviation_of.to_owned(),
            number(row.subtracted),
            number(row.divisor),
            number(row.clip_fraction),
        ]);
    }
    match format {
        Format::Json => {
            let document = serde_json::json!({"schema": "simic.normalize.divisors/1", "rows": report.rows});
            writeln!(out, "{document}")
        }
        Format::Ndjson => {
            for row in &report.rows {
                serde_json::to_writer(&mut *out, row)?;
                writeln!(out)?;
            }
            Ok(())
        }
        Format::Csv => grid.write_csv(out),
        Format::Markdown => grid.write_markdown(out),
        Format::Table => grid.write_table(out),
    }
}

/// Everything a merge says.
#[derive(Debug)]
pub struct MergeReport {
    /// States merged.
    pub n_states: usize,
    /// The result.
    pub state: NormalizerState,
    /// The state document.
    pub document: String,
    /// File written.
    pub written: Option<String>,
}

/// Writes a merged state: the document itself as JSON, a summary for people.
///
/// # Errors
/// If writing fails.
pub fn write_merge(report: &MergeReport, format: Format, out: &mut dyn Write) -> io::Result<()> {
    let mut grid = Grid::new(&[("dimension", Align::Left), ("mean", Align::Right), ("var", Align::Right)]);
    let is_exact = format == Format::Csv;
    let number = |x: f64| if is_exact { x.to_string() } else { short(x) };
    for (d, (mean, var)) in report.state.mean.iter().zip(&report.state.var).enumerate() {
        grid.row(vec![d.to_string(), number(*mean), number(*var)]);
    }
    match format {
        Format::Json => write!(out, "{}", report.document),
        Format::Ndjson => {
            let value: serde_json::Value = serde_json::from_str(&report.document)?;
            writeln!(out, "{value}")
        }
        Format::Csv => grid.write_csv(out),
        Format::Table | Format::Markdown => {
            let states = if report.n_states == 1 { "state" } else { "states" };
            writeln!(
                out,
                "{} {states} merged: count {}, {} updates",
                report.n_states,
                short(report.state.count),
                grouped(report.state.batches)
            )?;
            if format == Format::Markdown {
                grid.write_markdown(out)?;
            } else {
                grid.write_table(out)?;
            }
            report.written.as_ref().map_or(Ok(()), |path| writeln!(out, "written: {path}"))
        }
    }
}

/// Everything a verification says.
#[derive(Debug)]
pub struct VerifyReport {
    /// The state's file.
    pub state: String,
    /// Its format.
    pub format: &'static str,
    /// The run it was compared with.
    pub run_id: String,
    /// Whether it lies within the tolerance.
    pub matches: bool,
    /// Tolerance.
    pub tolerance: f64,
    /// Greatest distance over dimensions.
    pub distance: f64,
    /// Stored count.
    pub stored_count: Option<f64>,
    /// Count the recording implies.
    pub expected_count: f64,
    /// welford or ema.
    pub kind: &'static str,
    /// Momentum.
    pub momentum: Option<f64>,
    /// Dimensions of the recording.
    pub n_dimensions: usize,
    /// Dimensions that differ, worst first.
    pub differences: Vec<Difference>,
    /// Why.
    pub diagnosis: Option<Diagnosis>,
    /// Names of dimensions.
    pub dimensions: Vec<String>,
}

#[derive(Serialize)]
struct VerifyDocument<'a> {
    schema: &'static str,
    state: &'a str,
    format: &'static str,
    run_id: &'a str,
    matches: bool,
    tolerance: f64,
    distance: Option<f64>,
    kind: &'static str,
    momentum: Option<f64>,
    stored_count: Option<f64>,
    expected_count: f64,
    diagnosis: Option<&'static str>,
    detail: Option<String>,
    differences: Vec<DifferenceDocument>,
}

#[derive(Serialize)]
struct DifferenceDocument {
    dimension: usize,
    stored_mean: Option<f64>,
    expected_mean: f64,
    stored_var: Option<f64>,
    expected_var: f64,
    distance: Option<f64>,
}

/// A word for scripts and a sentence for people.
fn describe(diagnosis: &Diagnosis) -> (&'static str, String) {
    let list = |dimensions: &[usize]| {
        let shown: Vec<String> = dimensions.iter().take(24).map(ToString::to_string).collect();
        let more = if dimensions.len() > 24 { ", ..." } else { "" };
        format!("{}{more}", shown.join(", "))
    };
    match diagnosis {
        Diagnosis::Invalid { dimensions } => {
            ("invalid", format!("a variance is negative or a number not finite in dimensions {}", list(dimensions)))
        }
        Diagnosis::Swapped => ("swapped", "mean and variance have changed places".to_owned()),
        Diagnosis::Shape { stored, expected, missing } => (
            "shape",
            format!(
                "the state has {stored} dimensions, the recording {expected}; recorded dimensions without a match: {}",
                if missing.is_empty() { "none".to_owned() } else { list(missing) }
            ),
        ),
        Diagnosis::Permuted { order } => {
            ("permuted", format!("the dimensions are in another order; stored as recorded {}", list(order)))
        }
        Diagnosis::NeverUpdated => ("never_updated", "the state was never updated: it is still the initial one".to_owned()),
        Diagnosis::Stale { updates, of } => (
            "stale",
            format!("the state is stale: that of the recording after {} of {} updates", grouped(*updates), grouped(*of)),
        ),
        Diagnosis::Reset { update, vector_step } => (
            "reset",
            format!(
                "the statistics were reset at vector step {} (update {}): a replay from there gives this state",
                grouped(*vector_step),
                grouped(*update)
            ),
        ),
        Diagnosis::OtherMomentum { momentum: Some(momentum), distance } => (
            "wrong_momentum",
            format!("another momentum: {momentum} fits best (distance {})", short(*distance)),
        ),
        Diagnosis::OtherMomentum { momentum: None, distance } => (
            "wrong_momentum",
            format!("another kind: full history (Welford) fits best (distance {})", short(*distance)),
        ),
        Diagnosis::Count => (
            "count",
            "mean and variance are right, the count is not: the next updates would weigh wrongly".to_owned(),
        ),
        Diagnosis::OtherRun { run_id } => ("other_run", format!("the state is that of run {run_id}")),
        Diagnosis::Unknown => (
            "unknown",
            "no explanation found: not stale, reset, reordered or of another momentum; perhaps another recording"
                .to_owned(),
        ),
    }
}

/// Writes a verification.
///
/// # Errors
/// If writing fails.
pub fn write_verification(
    report: &VerifyReport,
    format: Format,
    n_dimensions: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let described = report.diagnosis.as_ref().map(describe);
    match format {
        Format::Json | Format::Ndjson => {
            let finite = |x: f64| x.is_finite().then_some(x);
            let document = VerifyDocument {
                schema: "simic.normalize.verify/1",
                state: &report.state,
                format: report.format,
                run_id: &report.run_id,
                matches: report.matches,
                tolerance: report.tolerance,
                distance: finite(report.distance),
                kind: report.kind,
                momentum: report.momentum,
                stored_count: report.stored_count,
                expected_count: report.expected_count,
                diagnosis: described.as_ref().map(|described| described.0),
                detail: described.map(|described| described.1),
                differences: report
                    .differences
                    .iter()
                    .map(|difference| DifferenceDocument {
                        dimension: difference.dimension,
                        stored_mean: finite(difference.mean.0),
                        expected_mean: difference.mean.1,
                        stored_var: finite(difference.var.0),
                        expected_var: difference.var.1,
                        distance: finite(difference.distance),
                    })
                    .collect(),
            };
            serde_json::to_writer(&mut *out, &document)?;
            writeln!(out)
        }
        Format::Csv => differences_grid(report, usize::MAX, true).write_csv(out),
        Format::Table | Format::Markdown => {
            let memory =
                report.momentum.map_or_else(|| "full history".to_owned(), |m| format!("momentum {m}"));
            let differ = if report.distance.is_finite() || !report.differences.is_empty() {
                report.differences.len()
            } else {
                report.n_dimensions
            };
            let verdict = if report.matches { "matches" } else { "does not match" };
            writeln!(
                out,
                "{} ({}) {verdict} run {} under {memory}: {} of {} dimensions differ by more than {}, the worst by {}",
                printable(&report.state),
                report.format,
                printable(&report.run_id),
                differ,
                report.n_dimensions,
                short(report.tolerance),
                if report.distance.is_finite() {
                    short(report.distance)
                } else {
                    "more than can be said".to_owned()
                }
            )?;
            if let Some((_, sentence)) = described {
                writeln!(out, "diagnosis: {}", printable(&sentence))?;
            }
            let count = |count: f64| grouped_count(count);
            writeln!(
                out,
                "count: stored {}, implied {}",
                report.stored_count.map_or_else(|| "none".to_owned(), count),
                count(report.expected_count)
            )?;
            if report.differences.is_empty() {
                return Ok(());
            }
            writeln!(out)?;
            let grid = differences_grid(report, n_dimensions, false);
            if format == Format::Markdown { grid.write_markdown(out) } else { grid.write_table(out) }
        }
    }
}

/// A count of rows, its fraction left out where it is only the initial one.
fn grouped_count(count: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded just before")]
    if (0.0..1e15).contains(&count) && (count - count.round()).abs() < 0.01 {
        grouped(count.round() as u64)
    } else {
        short(count)
    }
}

fn differences_grid(report: &VerifyReport, n_dimensions: usize, is_exact: bool) -> Grid {
    let mut grid = Grid::new(&[
        ("dimension", Align::Left),
        ("stored mean", Align::Right),
        ("implied mean", Align::Right),
        ("stored var", Align::Right),
        ("implied var", Align::Right),
        ("distance", Align::Right),
    ]);
    let number = |x: f64| if is_exact { x.to_string() } else { short(x) };
    for difference in report.differences.iter().take(n_dimensions) {
        let name = report.dimensions.get(difference.dimension);
        grid.row(vec![
            name.cloned().unwrap_or_else(|| difference.dimension.to_string()),
            number(difference.mean.0),
            number(difference.mean.1),
            number(difference.var.0),
            number(difference.var.1),
            number(difference.distance),
        ]);
    }
    grid
}
