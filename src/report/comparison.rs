//! Settings side by side: the documents `simic.normalize.compare/1` and `.divisors/1` and their renderings.

use std::io::{self, Write};

use serde::Serialize;

use super::Format;
use super::grid::{Align, Grid, printable};
use super::number::{grouped, short};
use crate::normalization::{Diagnostics, Lag, Memory, NormalizerState};
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
