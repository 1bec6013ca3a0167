//! Running statistics: the documents `simic.normalize.*/1` and their renderings.

use std::io::{self, Write};

use serde::Serialize;

use super::Format;
use super::grid::{Align, Grid, printable};
use super::number::{fixed, grouped, short};
use crate::normalization::{Diagnostics, NormalizerState};
use crate::records::StepSkips;

/// Settings every document repeats.
#[derive(Debug, Clone, Serialize)]
pub struct NormalizeSettings {
    /// Framework whose conventions were taken.
    pub preset: Option<&'static str>,
    /// Rows of one update.
    pub update_every: String,
    /// Before or after the update.
    pub order: &'static str,
    /// One set of statistics, or one per environment.
    pub scope: &'static str,
    /// Added to the variance (or least deviation).
    pub epsilon: f64,
    /// Bound; null for none.
    pub clip: Option<f64>,
    /// Discount, where rewards are scaled by their return.
    pub gamma: Option<f64>,
}

/// What was left out because training rolled it back.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct RollbackCounts {
    /// Rows.
    pub rows: u64,
    /// Whole batches.
    pub batches: u64,
}

/// The same row normalized when the policy acted and when it learned.
#[derive(Debug, Clone, Serialize)]
pub struct ActLearn {
    /// Rows compared.
    pub rows: u64,
    /// Mean absolute difference per dimension.
    pub mean_abs: Vec<f64>,
    /// Greatest absolute difference per dimension.
    pub max_abs: Vec<f64>,
}

/// One run, or one environment of one run.
#[derive(Debug)]
pub struct NormalizedRun {
    /// Run.
    pub run_id: String,
    /// Environment, where each has statistics of its own.
    pub env_id: Option<i64>,
    /// Rows normalized.
    pub rows: u64,
    /// The final state.
    pub state: NormalizerState,
    /// Variance as the target uses it (rewards: sample variance).
    pub var_used: Vec<f64>,
    /// What was rolled back.
    pub rollback: RollbackCounts,
    /// What there is to know beyond the state.
    pub diagnostics: Diagnostics,
    /// Vector step at which the strongest change lies.
    pub change_step: Option<u64>,
    /// Act time against learn time, where they differ.
    pub act_learn: Option<ActLearn>,
    /// Episodes still open at the end of the run, counted as they are.
    pub unfinished_episodes: usize,
}

/// Everything a replay says.
#[derive(Debug)]
pub struct ReplayReport {
    /// Document schema.
    pub schema: &'static str,
    /// welford or ema.
    pub kind: &'static str,
    /// Momentum.
    pub momentum: Option<f64>,
    /// obs, reward or return.
    pub target: &'static str,
    /// Where it was computed.
    pub device: &'static str,
    /// The device's own name, where it is not the CPU.
    pub device_name: Option<String>,
    /// Settings.
    pub settings: NormalizeSettings,
    /// Names of the dimensions.
    pub dimensions: Vec<String>,
    /// The runs.
    pub runs: Vec<NormalizedRun>,
    /// Whether one state went through all runs.
    pub carried_over: bool,
    /// Files read.
    pub n_files: usize,
    /// What was left out.
    pub skips: StepSkips,
    /// Files written.
    pub written: Vec<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    kind: &'static str,
    momentum: Option<f64>,
    target: &'static str,
    device: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_name: Option<&'a str>,
    settings: &'a NormalizeSettings,
    updates: Option<u64>,
    rows: u64,
    count: Option<f64>,
    mean: Option<&'a [f64]>,
    var: Option<&'a [f64]>,
    /// Null where nothing was normalized.
    clip_fraction: Option<f64>,
    rollback: RollbackCounts,
    diagnostics: Option<DiagnosticsDocument<'a>>,
    runs: Vec<RunDocument<'a>>,
    input: Input<'a>,
    written: &'a [String],
}

#[derive(Serialize)]
struct Input<'a> {
    files: usize,
    skipped: u64,
    skipped_by_reason: &'a std::collections::BTreeMap<&'static str, u64>,
    non_finite_cells: u64,
    non_finite_places: Vec<Place<'a>>,
}

#[derive(Serialize)]
struct Place<'a> {
    file: &'a str,
    row: u64,
    dimension: usize,
    value: String,
}

#[derive(Serialize)]
struct RunDocument<'a> {
    run_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    env_id: Option<i64>,
    updates: u64,
    rows: u64,
    count: f64,
    mean: &'a [f64],
    var: &'a [f64],
    /// Null where nothing was normalized.
    clip_fraction: Option<f64>,
    rollback: RollbackCounts,
    diagnostics: DiagnosticsDocument<'a>,
}

#[derive(Serialize)]
struct DiagnosticsDocument<'a> {
    min: &'a [f64],
    max: &'a [f64],
    clip_by_dimension: Option<&'a [f64]>,
    clip_phases: Vec<PhaseDocument<'a>>,
    constant_dimensions: &'a [usize],
    dimensions_below_epsilon: &'a [usize],
    prior_weight: f64,
    prior_share_of_variance: &'a [f64],
    effective_batches: Option<f64>,
    lag_updates: Option<f64>,
    float32: Float32Document<'a>,
    looks_normalized: bool,
    drift: Option<DriftDocument>,
    mean_distance: Option<&'a [f64]>,
    log_var_distance: Option<&'a [f64]>,
    act_learn: Option<&'a ActLearn>,
    unfinished_episodes: usize,
}

#[derive(Serialize)]
struct PhaseDocument<'a> {
    first_update: u64,
    fraction: f64,
    by_dimension: &'a [f64],
}

#[derive(Serialize)]
struct Float32Document<'a> {
    count_saturates: bool,
    mean_freezes_after_rows: Option<u64>,
    dimension: Option<usize>,
    cancelling_dimensions: &'a [usize],
}

#[derive(Serialize)]
struct DriftDocument {
    update: u64,
    vector_step: Option<u64>,
    dimensions: Vec<DriftDimension>,
}

#[derive(Serialize)]
struct DriftDimension {
    dimension: usize,
    update: u64,
    shift: Option<f64>,
    sd_ratio: Option<f64>,
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

impl NormalizedRun {
    fn diagnostics_document(&self) -> DiagnosticsDocument<'_> {
        let d = &self.diagnostics;
        DiagnosticsDocument {
            min: d.rows.min(),
            max: d.rows.max(),
            clip_by_dimension: (d.normalized > 0).then_some(&d.clip_by_dimension[..]),
            clip_phases: d
                .clip_phases
                .iter()
                .filter(|_| d.normalized > 0)
                .map(|phase| PhaseDocument {
                    first_update: phase.first_update,
                    fraction: phase.fraction,
                    by_dimension: &phase.by_dimension,
                })
                .collect(),
            constant_dimensions: &d.constant,
            dimensions_below_epsilon: &d.below_epsilon,
            prior_weight: d.prior_weight,
            prior_share_of_variance: &d.prior_share,
            effective_batches: d.effective_batches.and_then(finite),
            lag_updates: d.lag_updates.and_then(finite),
            float32: Float32Document {
                count_saturates: d.single_count_saturates,
                mean_freezes_after_rows: d.single_freeze.map(|freeze| freeze.0),
                dimension: d.single_freeze.map(|freeze| freeze.1),
                cancelling_dimensions: &d.cancelling,
            },
            looks_normalized: d.looks_normalized,
            drift: d.change.as_ref().map(|change| DriftDocument {
                update: change.update,
                vector_step: self.change_step,
                dimensions: change
                    .dimensions
                    .iter()
                    .map(|change| DriftDimension {
                        dimension: change.dimension,
                        update: change.update,
                        shift: finite(change.shift),
                        sd_ratio: finite(change.ratio),
                    })
                    .collect(),
            }),
            mean_distance: (d.normalized > 0).then_some(&d.mean_distance[..]),
            log_var_distance: (d.normalized > 0).then_some(&d.var_distance[..]),
            act_learn: self.act_learn.as_ref(),
            unfinished_episodes: self.unfinished_episodes,
        }
    }

    fn document(&self) -> RunDocument<'_> {
        RunDocument {
            run_id: &self.run_id,
            env_id: self.env_id,
            updates: self.state.batches,
            rows: self.rows,
            count: self.state.count,
            mean: &self.state.mean,
            var: &self.var_used,
            clip_fraction: (self.diagnostics.normalized > 0).then_some(self.diagnostics.clip_fraction),
            rollback: self.rollback,
            diagnostics: self.diagnostics_document(),
        }
    }

    fn name(&self) -> String {
        let run = printable(&self.run_id).into_owned();
        self.env_id.map_or_else(|| format!("run {run}"), |env| format!("run {run}, env {env}"))
    }
}

impl ReplayReport {
    /// The run whose state stands for all: the only one, or the last under carry-over.
    fn top(&self) -> Option<&NormalizedRun> {
        match &self.runs[..] {
            [only] => Some(only),
            runs if self.carried_over => runs.last(),
            _ => None,
        }
    }

    fn document(&self) -> Document<'_> {
        let top = self.top();
        let rows: u64 = self.runs.iter().map(|run| run.rows).sum();
        let has_clip = rows > 0 && self.runs.iter().all(|run| run.diagnostics.normalized > 0);
        let clipped: f64 = self.runs.iter().map(|run| run.diagnostics.clip_fraction * run.rows as f64).sum();
        Document {
            schema: self.schema,
            kind: self.kind,
            momentum: self.momentum,
            target: self.target,
            device: self.device,
            device_name: self.device_name.as_deref(),
            settings: &self.settings,
            updates: top.map(|run| run.state.batches),
            rows,
            count: top.map(|run| run.state.count),
            mean: top.map(|run| &run.state.mean[..]),
            var: top.map(|run| &run.var_used[..]),
            clip_fraction: has_clip.then(|| clipped / rows as f64),
            rollback: RollbackCounts {
                rows: self.runs.iter().map(|run| run.rollback.rows).sum(),
                batches: self.runs.iter().map(|run| run.rollback.batches).sum(),
            },
            diagnostics: top.map(NormalizedRun::diagnostics_document),
            runs: self.runs.iter().map(NormalizedRun::document).collect(),
            input: self.input(),
            written: &self.written,
        }
    }

    fn input(&self) -> Input<'_> {
        Input {
            files: self.n_files,
            skipped: self.skips.report.n_rows(),
            skipped_by_reason: &self.skips.report.rows,
            non_finite_cells: self.skips.n_bad_cells,
            non_finite_places: self
                .skips
                .places
                .iter()
                .map(|place| Place {
                    file: &place.file,
                    row: place.row,
                    dimension: place.dimension,
                    value: place.value.to_string(),
                })
                .collect(),
        }
    }

    fn title(&self) -> String {
        let memory = match self.momentum {
            Some(momentum) => format!("moving average {momentum}"),
            None => "full history".to_owned(),
        };
        let clip = self.settings.clip.map_or_else(|| "no clip".to_owned(), |clip| format!("clip {clip}"));
        let device = self.device_name.as_ref().map_or_else(String::new, |name| format!(", on {name}"));
        let preset = self.settings.preset.map_or_else(String::new, |preset| format!("{preset}: "));
        let scale =
            self.settings.gamma.map_or_else(String::new, |gamma| format!(", by return (gamma {gamma})"));
        format!(
            "{preset}{} normalized by {memory}, updated every {}, {}, epsilon {}, {clip}{scale}{device}",
            self.target,
            self.settings.update_every,
            self.settings.order,
            short(self.settings.epsilon)
        )
    }
}

/// Writes a replay or the statistics of a recording.
///
/// # Errors
/// If writing fails.
pub fn write_normalization(
    report: &ReplayReport,
    format: Format,
    n_dimensions: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Json => {
            serde_json::to_writer(&mut *out, &report.document())?;
            writeln!(out)
        }
        Format::Ndjson => {
            for run in &report.runs {
                serde_json::to_writer(&mut *out, &run.document())?;
                writeln!(out)?;
            }
            Ok(())
        }
        Format::Csv => all_dimensions(report).write_csv(out),
        Format::Table | Format::Markdown => write_for_people(report, format, n_dimensions, out),
    }
}

/// Every dimension of every run, numbers at full precision.
fn all_dimensions(report: &ReplayReport) -> Grid {
    let mut grid = Grid::new(&[
        ("run_id", Align::Left),
        ("env_id", Align::Right),
        ("dimension", Align::Right),
        ("name", Align::Left),
        ("mean", Align::Right),
        ("var", Align::Right),
        ("min", Align::Right),
        ("max", Align::Right),
        ("clip_fraction", Align::Right),
    ]);
    for run in &report.runs {
        for (d, name) in report.dimensions.iter().enumerate() {
            grid.row(vec![
                run.run_id.clone(),
                run.env_id.map_or_else(String::new, |env| env.to_string()),
                d.to_string(),
                name.clone(),
                run.state.mean[d].to_string(),
                run.var_used[d].to_string(),
                run.diagnostics.rows.min()[d].to_string(),
                run.diagnostics.rows.max()[d].to_string(),
                if run.diagnostics.normalized > 0 {
                    run.diagnostics.clip_by_dimension[d].to_string()
                } else {
                    String::new()
                },
            ]);
        }
    }
    grid
}

fn write_for_people(
    report: &ReplayReport,
    format: Format,
    n_dimensions: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "{}", report.title())?;
    for run in &report.runs {
        writeln!(out)?;
        writeln!(
            out,
            "{}: {} rows, {} updates, count {}",
            run.name(),
            grouped(run.rows),
            grouped(run.state.batches),
            short(run.state.count)
        )?;
        let grid = dimension_grid(report, run, n_dimensions);
        if format == Format::Markdown {
            grid.write_markdown(out)?;
        } else {
            grid.write_table(out)?;
        }
        if report.dimensions.len() > n_dimensions {
            writeln!(
                out,
                "{} of {} dimensions, those with most to say; --dimensions N shows more",
                n_dimensions,
                report.dimensions.len()
            )?;
        }
        for finding in findings(run) {
            writeln!(out, "- {finding}")?;
        }
    }
    for place in &report.skips.places {
        writeln!(
            out,
            "- left out: {} row {}, dimension {}: {}",
            place.file, place.row, place.dimension, place.value
        )?;
    }
    for written in &report.written {
        writeln!(out, "written: {written}")?;
    }
    Ok(())
}

fn dimension_grid(report: &ReplayReport, run: &NormalizedRun, n_dimensions: usize) -> Grid {
    let d = &run.diagnostics;
    let mut order: Vec<usize> = (0..report.dimensions.len()).collect();
    if order.len() > n_dimensions {
        // Most clipped first, then changed, then constant, then as recorded.
        let changed = |dim: &usize| {
            d.change.as_ref().is_some_and(|change| change.dimensions.iter().any(|c| c.dimension == *dim))
        };
        order.sort_by(|a, b| {
            let weight = |dim: &usize| (d.clip_by_dimension[*dim], f64::from(u8::from(changed(dim))));
            weight(b).partial_cmp(&weight(a)).unwrap_or(std::cmp::Ordering::Equal).then(a.cmp(b))
        });
        order.truncate(n_dimensions);
        order.sort_unstable();
    }
    let mut grid = Grid::new(&[
        ("dimension", Align::Left),
        ("mean", Align::Right),
        ("sd", Align::Right),
        ("min", Align::Right),
        ("max", Align::Right),
        ("clipped", Align::Right),
        ("", Align::Left),
    ]);
    for dim in order {
        grid.row(vec![
            report.dimensions[dim].clone(),
            short(run.state.mean[dim]),
            short(run.var_used[dim].sqrt()),
            short(d.rows.min()[dim]),
            short(d.rows.max()[dim]),
            if d.normalized > 0 { percent(d.clip_by_dimension[dim]) } else { "-".to_owned() },
            remark(run, dim),
        ]);
    }
    grid
}

fn percent(share: f64) -> String {
    if share == 0.0 { "0 %".to_owned() } else { format!("{} %", fixed(Some(100.0 * share), 2)) }
}

fn remark(run: &NormalizedRun, dim: usize) -> String {
    let d = &run.diagnostics;
    let mut remarks = Vec::new();
    if d.constant.contains(&dim) {
        remarks.push("constant".to_owned());
    } else if d.below_epsilon.contains(&dim) {
        remarks.push("variance below epsilon".to_owned());
    }
    let change = d.change.as_ref().and_then(|change| change.dimensions.iter().find(|c| c.dimension == dim));
    if let Some(change) = change {
        remarks.push(format!("shifts {:+.1} sd at update {}", change.shift, grouped(change.update)));
    }
    if d.prior_share[dim] > 0.5 && !d.constant.contains(&dim) {
        remarks.push(format!(
            "{:.0} % of the variance is the initial state's",
            100.0 * d.prior_share[dim].min(1.0)
        ));
    }
    remarks.join("; ")
}

/// What a reader should know, in sentences.
fn findings(run: &NormalizedRun) -> Vec<String> {
    let d = &run.diagnostics;
    let mut found = Vec::new();
    if let Some(change) = &d.change {
        let at = run.change_step.map_or_else(String::new, |step| format!(" (vector step {})", grouped(step)));
        let n = change.dimensions.len();
        let noun = if n == 1 { "dimension changes" } else { "dimensions change" };
        found.push(format!("drift: {n} {noun} at update {}{at}", grouped(change.update)));
    }
    if let (Some(lag), Some(batches)) = (d.lag_updates, d.effective_batches) {
        if lag.is_finite() {
            found.push(format!(
                "the moving average looks at {} batches; after a shift 10 % of it is left after {} updates",
                short(batches),
                short(lag.ceil())
            ));
        } else {
            found.push("momentum 1: the statistics never move".to_owned());
        }
    }
    if d.prior_weight > 0.01 {
        found.push(format!("the initial state still weighs {}", percent(d.prior_weight)));
    }
    if let [first, .., last] = &d.clip_phases[..]
        && d.clip_fraction > 0.0
    {
        found.push(format!(
            "clipped: {} of values, {} in the first phase, {} in the last",
            percent(d.clip_fraction),
            percent(first.fraction),
            percent(last.fraction)
        ));
    }
    if !d.constant.is_empty() {
        found.push(format!("constant dimensions: {}", numbers(&d.constant)));
    }
    if d.looks_normalized {
        found.push("the input looks normalized already (mean near 0, deviation near 1)".to_owned());
    }
    if !d.cancelling.is_empty() {
        found.push(format!(
            "32-bit statistics lose the variance of dimensions {} (mean^2/var above 2^24)",
            numbers(&d.cancelling)
        ));
    }
    if let Some((rows, dim)) = d.single_freeze.filter(|freeze| freeze.0 < 100_000_000) {
        found.push(format!(
            "a 32-bit running mean stands still after {} rows (dimension {dim})",
            grouped(rows)
        ));
    }
    if d.single_count_saturates {
        found.push("a 32-bit count stands still at 16,777,216 rows".to_owned());
    }
    if run.rollback.rows > 0 {
        let batches = if run.rollback.batches > 0 {
            format!(" in {} whole batches", grouped(run.rollback.batches))
        } else {
            String::new()
        };
        found.push(format!("rolled back and left out: {} rows{batches}", grouped(run.rollback.rows)));
    }
    if let Some(pair) = &run.act_learn {
        let worst = pair.max_abs.iter().copied().fold(0.0, f64::max);
        let mean = pair.mean_abs.iter().sum::<f64>() / pair.mean_abs.len().max(1) as f64;
        found.push(format!(
            "the learner saw other values than the policy: {} apart on average, {} at most",
            short(mean),
            short(worst)
        ));
    }
    if run.unfinished_episodes > 0 {
        found.push(format!("{} unfinished episodes count as batches of their own", run.unfinished_episodes));
    }
    found
}

fn numbers(dimensions: &[usize]) -> String {
    const SHOWN: usize = 12;
    let mut text = dimensions.iter().take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if dimensions.len() > SHOWN {
        text.push_str(&format!(" and {} more", dimensions.len() - SHOWN));
    }
    text
}
