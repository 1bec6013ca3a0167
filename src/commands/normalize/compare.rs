//! `simic normalize compare`.

use std::str::FromStr;

use clap::Args;

use super::device::{DeviceArg, tell_device};
use super::divisors;
use super::extent::facts_of;
use super::grid::AskedMomentum;
use super::lag::watch_lags;
use super::passed::{PassedRun, Passing};
use super::pipeline::{Event, walk};
use super::plan::Plan;
use super::presets::PresetArgs;
use super::replay::{open, settled, tell_skips};
use super::replayer::{N_WINDOWS, begin_under, expected_updates};
use super::settings::{Base, Memories, RuleArgs};
use crate::commands::figures::{FigureArgs, FigureKindArgs};
use crate::commands::{CommandError, Completeness, Context, Outcome};
use crate::normalization::{
    Correction, Engine, Granularity, KnownStep, Memory, Replay, Rule, Warmup, open_device, sweep_obstacle,
};
use crate::progress::Progress;
use crate::records::{InputFile, RunInfo, StepRecording};
use crate::report::{comparison_figure, write_comparison};
use crate::results::{
    CompareAnalysis, CompareInput, ComparisonDocument, DeviceUsed, RuleAnalysis, Skipped, StepInput,
};
use crate::shards::{ComparedRun, FoundRuns};

/// Replays many settings over one recording, side by side; batch moments are computed once for all.
///
/// For each setting: how far its statistics lie from those of the rows around, how long they lag behind a shift
/// of the distribution, how badly the variance is underestimated there, and what is clipped.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  simic normalize compare --momentum 0.9,0.99,0.999 --welford
  simic normalize compare runs/ --momentum 0.5..0.99999:1000 --device auto
  simic normalize compare runs/ --momentum 0.99 --welford --shift-at 120 --format json
  simic normalize compare runs/ --target reward --divisors")]
pub struct CompareArgs {
    /// Files, directories, patterns, or - for stdin [default: $SIMIC_RUNS, else runs/]
    #[arg(value_name = "RUNS")]
    pub runs: Vec<String>,
    /// Moving averages to compare, each in [0, 1]; auto for a grid from 0.5 to 0.99999 and full history, LOW..HIGH:N for one of
    /// N evenly spaced in the logarithm of 1 - m [default: 0.9,0.99,0.999 and full history]
    #[arg(long, value_name = "M,M,...|auto|LOW..HIGH:N", value_delimiter = ',', value_parser = AskedMomentum::from_str)]
    pub momentum: Vec<AskedMomentum>,
    /// Compare with full history
    #[arg(long)]
    pub welford: bool,
    /// The distribution shifts at this vector step [default: found, if there is a shift]
    #[arg(long, value_name = "STEP")]
    pub shift_at: Option<u64>,
    #[command(flatten)]
    pub(super) preset: PresetArgs,
    #[command(flatten)]
    pub(super) rule: RuleArgs,
    /// What every framework would divide these rewards by, side by side (--target reward)
    #[arg(long, conflicts_with_all = ["momentum", "welford", "shift_at", "preset", "dimensions"])]
    pub divisors: bool,
    /// Where settings go through the batches: cpu at 64 bits, every other device at 32, all settings together (simic devices
    /// lists them)
    #[arg(long, value_enum, default_value = "cpu")]
    pub device: DeviceArg,
    /// Dimensions to list for each setting in a table [default: none]
    #[arg(long, value_name = "N")]
    pub dimensions: Option<usize>,
    #[command(flatten)]
    pub(super) figure: FigureArgs,
    #[command(flatten)]
    figure_kind: FigureKindArgs,
}

impl CompareArgs {
    /// What is asked, as a value.
    ///
    /// # Errors
    /// Arguments that contradict each other.
    pub(in crate::commands) fn analysis(&self, context: &Context) -> Result<CompareAnalysis, CommandError> {
        check_momenta(self)?;
        let (momentum, welford) = self.asked();
        let rule = self.rule.analysis(context, self.base())?;
        let device = self.device.into();
        Ok(CompareAnalysis { rule, momentum, welford, shift_at: self.shift_at, device })
    }

    /// The momenta asked for, and whether full history is.
    fn asked(&self) -> (Vec<f64>, bool) {
        let is_auto = self.momentum.contains(&AskedMomentum::Auto);
        (self.momentum.iter().flat_map(AskedMomentum::momenta).collect(), self.welford || is_auto)
    }

    /// What flags of the rule change, in all settings whose kind of memory they are about.
    fn base(&self) -> Base {
        let is_default = self.momentum.is_empty() && !self.welford;
        let memories = Memories {
            has_moving: is_default || !self.momentum.is_empty(),
            has_full: is_default || self.asked().1,
        };
        Base { preset: self.preset.named(), momentum: None, memories: Some(memories) }
    }
}

/// Reads, replays everything at once, reports.
///
/// # Errors
/// Unreadable input, or an output that cannot be written.
pub fn run(args: &CompareArgs, context: &Context) -> Result<Outcome, CommandError> {
    context.check_table_flag("dimensions", args.dimensions.is_some())?;
    if args.divisors {
        if args.device != DeviceArg::Cpu {
            return Err(CommandError::usage("--divisors runs on the cpu alone", "leave --device out"));
        }
        if context.is_drawn() || args.figure.figure.is_some() {
            return Err(CommandError::usage("there is no picture of --divisors", "leave the picture out"));
        }
        return divisors::run(&args.runs, &args.rule, context);
    }
    let analysis = args.analysis(context)?;
    check_view(args, context)?;
    let files = context.discover(&args.runs)?.files;
    let found = measure(&analysis, &files, context)?;
    conclude(args, context, &analysis, found, Completeness::Whole)
}

/// Refuses flags about what is shown that show nothing, and outputs that are there.
///
/// # Errors
/// The first such flag.
pub(in crate::commands) fn check_view(args: &CompareArgs, context: &Context) -> Result<(), CommandError> {
    context.check_table_flag("dimensions", args.dimensions.is_some())?;
    args.figure.check(&args.figure_kind, context)?;
    context.check_output()
}

/// Says what the runs come to.
///
/// # Errors
/// A shift beyond the recording, or an output that cannot be written.
pub(in crate::commands) fn conclude(
    args: &CompareArgs,
    context: &Context,
    analysis: &CompareAnalysis,
    found: FoundRuns<ComparedRun>,
    completeness: Completeness,
) -> Result<Outcome, CommandError> {
    let mut document = document(analysis, found)?;
    completeness.tell(&mut document.verdict);
    if args.figure.write(&args.figure_kind, context, |kind| comparison_figure(&document, kind))? {
        return Ok(Outcome::Clean);
    }
    let dimensions = args.dimensions.unwrap_or(0);
    context.write(|out| write_comparison(&document, context.format(), &context.screen(), dimensions, out))?;
    Ok(Outcome::Clean)
}

/// Every setting on every run.
///
/// # Errors
/// Unreadable input, settings that cannot share their batches, or a shift beyond the recording.
pub(in crate::commands) fn compute(
    analysis: &CompareAnalysis,
    files: &[InputFile],
    context: &Context,
) -> Result<ComparisonDocument, CommandError> {
    document(analysis, measure(analysis, files, context)?)
}

/// Every setting on single runs.
///
/// # Errors
/// Unreadable input, or settings that cannot share their batches.
pub(in crate::commands) fn measure(
    analysis: &CompareAnalysis,
    files: &[InputFile],
    context: &Context,
) -> Result<FoundRuns<ComparedRun>, CommandError> {
    let mut plan = Plan::of(&analysis.rule, false);
    check(&plan)?;
    let rules = rules(analysis);
    let engine = open_device(analysis.device)?;
    if let Some(engine) = &engine {
        check_device(engine, &plan, &rules)?;
    }
    tell_device(analysis.device, engine.as_ref(), context);
    let recording = open(files, &mut plan, context)?;
    check_memory(rules.len(), recording.width(), context)?;
    let progress = context.console.progress();
    let first = first_pass(&recording, &plan, (&rules, analysis.shift_at), engine.as_ref(), &progress)?;
    let passed = first.iter().zip(recording.runs());
    let shifts = passed.map(|(passed, run)| passed.shift(run, analysis.shift_at)).collect();
    let watched = watch_lags(&recording, &plan, shifts, engine.as_ref(), &progress, |run| {
        begin(&rules, &plan, &recording.runs()[run], recording.width())
    })?;
    drop(progress);
    let runs = first.iter().zip(recording.runs()).zip(&watched);
    let runs = runs.map(|((passed, run), watched)| passed.row(run, analysis, watched.as_ref())).collect();
    tell_skips(&recording, context);
    Context::check_unchanged(files)?;
    Ok(FoundRuns { runs, recording: facts_of(&recording, None, DeviceUsed::of(engine.as_ref())) })
}

/// What the runs come to.
fn document(
    analysis: &CompareAnalysis,
    found: FoundRuns<ComparedRun>,
) -> Result<ComparisonDocument, CommandError> {
    let FoundRuns { runs, recording } = found;
    check_shift(analysis.shift_at, runs.iter().filter_map(|run| run.end))?;
    let settled = CompareAnalysis { rule: settled(&analysis.rule, recording.columns()), ..analysis.clone() };
    let device = recording.device;
    let StepInput { files, skipped_by_reason, skipped_files, .. } = recording.input;
    let input = CompareInput::new(files, Skipped { rows: skipped_by_reason, files: skipped_files });
    let runs = runs.into_iter().map(|run| run.row).collect();
    Ok(ComparisonDocument::new(settled, device, runs, input).concluded())
}

/// Bytes that one dimension of a window takes under one setting: its moments, the state in use, what was clipped.
pub(super) const WINDOW_BYTES: u64 = 64;

/// Refuses more settings than there is memory for: each keeps its windows.
pub(super) fn check_memory(n_settings: usize, width: usize, context: &Context) -> Result<(), CommandError> {
    // Windows are joined once there are twice as many as aimed at.
    let each = 2 * N_WINDOWS * width as u64 * WINDOW_BYTES;
    let budget = context.budget().bytes();
    if each.saturating_mul(n_settings as u64) <= budget {
        return Ok(());
    }
    Err(CommandError::usage(
        format!(
            "{n_settings} settings of {width} dimensions take {} MB, more than the {} MB of --max-memory",
            each.saturating_mul(n_settings as u64) / 1_000_000,
            budget / 1_000_000
        ),
        format!("compare at most {} at once, or raise --max-memory", budget / each.max(1)),
    ))
}

/// Refuses momenta that are there twice, and the usual grid beside others.
fn check_momenta(args: &CompareArgs) -> Result<(), CommandError> {
    let twice = |name: String| {
        CommandError::usage(format!("--momentum names {name} twice"), "one setting is shown once")
    };
    let n_autos = args.momentum.iter().filter(|asked| **asked == AskedMomentum::Auto).count();
    if n_autos > 1 {
        return Err(twice("auto".to_owned()));
    }
    if n_autos == 0 {
        let mut momenta = args.asked().0;
        momenta.sort_by(f64::total_cmp);
        if let Some(pair) = momenta.windows(2).find(|pair| pair[0].total_cmp(&pair[1]).is_eq()) {
            return Err(twice(pair[0].to_string()));
        }
    }
    let is_auto = args.momentum.contains(&AskedMomentum::Auto);
    if is_auto && args.momentum.len() > 1 {
        return Err(CommandError::usage(
            "--momentum auto is a grid of its own",
            "name momenta, or leave the grid to auto",
        ));
    }
    if is_auto && args.welford {
        return Err(CommandError::idle(
            "welford",
            "adds full history, which --momentum auto has among its settings",
            "leave --welford out",
        ));
    }
    Ok(())
}

/// Refuses rules under which settings do not share their batches.
///
/// # Errors
/// As said.
pub(in crate::commands) fn check_rule(rule: &RuleAnalysis) -> Result<(), CommandError> {
    check(&Plan::of(rule, false))
}

/// Refuses a shift beyond the end of every run, as far as their rows are counted.
///
/// # Errors
/// As said.
pub(in crate::commands) fn check_recording(
    analysis: &CompareAnalysis,
    recording: &StepRecording,
) -> Result<(), CommandError> {
    let plan = Plan::of(&analysis.rule, false);
    let ends = recording.runs().iter().map(|run| KnownStep {
        updates: expected_updates(&plan, run.n_rows, run.n_vector_steps, 1),
        vector_step: run.n_vector_steps,
    });
    check_shift(analysis.shift_at, ends)
}

/// Refuses settings that do not share their batches.
///
/// # Errors
/// The first such.
pub(super) fn check(plan: &Plan) -> Result<(), CommandError> {
    let refused = if plan.per_env {
        Some("--scope env")
    } else if plan.granularity == Granularity::Episode {
        Some("--update-every episode")
    } else if plan.carry_over {
        Some("--carry-over")
    } else {
        None
    };
    if let Some(flag) = refused {
        return Err(CommandError::usage(
            format!("compare shares its batches between all settings and cannot do so under {flag}"),
            "simic normalize replay takes one such setting at a time",
        ));
    }
    Ok(())
}

/// Refuses what no device takes through batches.
fn check_device(engine: &Engine, plan: &Plan, rules: &[Rule]) -> Result<(), CommandError> {
    let of_returns = plan.return_scale.map(|_| "rewards are divided by the deviation of their returns");
    let obstacle = of_returns.or_else(|| rules.iter().find_map(sweep_obstacle));
    let Some(obstacle) = obstacle else { return Ok(()) };
    Err(CommandError::usage(
        format!("--device {} compares no such settings: {obstacle}", engine.choice().name()),
        "leave --device out: the cpu compares all of them",
    ))
}

/// Refuses a shift beyond the end of every run: it would change nothing.
///
/// # Errors
/// As said.
fn check_shift(shift_at: Option<u64>, ends: impl Iterator<Item = KnownStep>) -> Result<(), CommandError> {
    let longest = ends.max_by_key(|end| end.vector_step);
    let (Some(step), Some(KnownStep { updates, vector_step: steps })) = (shift_at, longest) else {
        return Ok(());
    };
    if step < steps {
        return Ok(());
    }
    Err(CommandError::usage(
        format!(
            "--shift-at {step} lies beyond the recording, which has {steps} vector steps and {updates} updates"
        ),
        format!("name a vector step from 0 to {}, or leave --shift-at out and have it found", steps - 1),
    ))
}

/// The rules asked for: with a preset and nothing else, that preset's own.
pub(super) fn rules(analysis: &CompareAnalysis) -> Vec<Rule> {
    let base = analysis.rule.rule;
    let of = |memory: Memory| {
        let warmup = if memory == Memory::Welford { Warmup::None } else { base.warmup };
        let correction = if memory == Memory::Welford { Correction::None } else { base.correction };
        Rule { memory, warmup, correction, ..base }
    };
    let mut rules: Vec<Rule> = analysis.momentum.iter().map(|m| of(Memory::ema(*m))).collect();
    if analysis.welford {
        rules.push(of(Memory::Welford));
    }
    if rules.is_empty() {
        if analysis.rule.preset.is_some() {
            rules.push(of(base.memory));
        }
        rules.extend([0.9, 0.99, 0.999].map(|m| of(Memory::ema(m))));
        rules.push(of(Memory::Welford));
    }
    // A preset's own setting, the first, may be one of the usual ones.
    let own = rules.first().copied();
    let mut place = 0;
    rules.retain(|rule| {
        place += 1;
        place == 1 || Some(*rule) != own
    });
    rules
}

/// The replays of a run under all rules, as it begins.
pub(super) fn begin(rules: &[Rule], plan: &Plan, run: &RunInfo, width: usize) -> Vec<Replay> {
    rules.iter().map(|rule| begin_under(*rule, plan, run, width, None)).collect()
}

fn first_pass(
    recording: &StepRecording,
    plan: &Plan,
    (rules, shift_at): (&[Rule], Option<u64>),
    engine: Option<&Engine>,
    progress: &Progress,
) -> Result<Vec<PassedRun>, CommandError> {
    let mut passed: Vec<PassedRun> = Vec::new();
    let mut passing: Option<Passing> = None;
    walk(recording, plan, progress, &mut |event| {
        match event {
            Event::Begin(run) => {
                let run = &recording.runs()[run];
                passing = Some(Passing::new(begin(rules, plan, run, recording.width()), run, shift_at));
            }
            Event::Rows(rows) => {
                if let Some(passing) = &mut passing {
                    passing.take(rows, engine)?;
                }
            }
            Event::End(_) => {
                if let Some(mut passing) = passing.take() {
                    passing.replays.iter_mut().for_each(|replay| replay.finish(|_| {}));
                    passed.push(passing.passed());
                }
            }
        }
        Ok(())
    })?;
    Ok(passed)
}
