//! `simic normalize compare`.

use std::str::FromStr;

use clap::Args;

use super::device::{DeviceArg, tell_device};
use super::extent::facts_of;
use super::grid::AskedMomentum;
use super::lag::watch_lags;
use super::pipeline::{Event, walk};
use super::plan::Plan;
use super::presets::PresetArgs;
use super::replay::{open, settle, settled, tell_skips};
use super::replayer::{N_WINDOWS, expected_updates, updates_per_step};
use super::settings::{Base, Memories, RuleArgs, TargetArg};
use crate::commands::figures::{FigureArgs, FigureKindArgs};
use crate::commands::{CommandError, Completeness, Context, Outcome};
use crate::normalization::{
    Autoreset, Block, Correction, Diagnostics, Engine, EpisodeCount, Granularity, KnownStep, Lanes, Memory,
    Output, Pace, Preset, Replay, Rule, Shift, Target, Timeline, Warmup, WatchedShift, find_drift,
    open_device, sweep_obstacle,
};
use crate::progress::Progress;
use crate::records::{InputFile, StepRecording};
use crate::report::{comparison_figure, write_comparison, write_divisors};
use crate::results::{
    CompareAnalysis, CompareInput, ComparedRunRow, ComparedSettingRow, ComparisonDocument, DeviceUsed,
    DivisorDocument, DivisorRow, RuleAnalysis, Skipped, StepInput, untold_reason,
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
        return divisors(args, context);
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
    let first = first_pass(&recording, &plan, &rules, engine.as_ref(), &progress)?;
    let shifts = first
        .iter()
        .enumerate()
        .map(|(run, finished)| shift_of(analysis.shift_at, &recording, run, finished));
    let shifts: Vec<Option<Shift>> = shifts.collect();
    let watched = watch_lags(&recording, &plan, shifts, engine.as_ref(), &progress, |run| {
        begin(&recording, &plan, &rules, run)
    })?;
    drop(progress);
    let runs = first.iter().enumerate().map(|(run, finished)| {
        let watched = watched[run].as_ref();
        let pace = finished.pace(&recording, run);
        let windows = finished.replays.first().and_then(|replay| {
            let state = replay.normalizer().state();
            let rule = replay.normalizer().rule();
            ComparedRunRow::windows(&Diagnostics::of(rule, replay.windows(), &state, pace))
        });
        let traced = ComparedRunRow::traced(windows.as_ref(), finished.replays.len());
        let settings = finished.replays.iter().enumerate().map(|(i, replay)| {
            let state = replay.normalizer().state();
            let diagnostics = Diagnostics::of(replay.normalizer().rule(), replay.windows(), &state, pace);
            let lag = watched.and_then(|watched| watched.lags.get(i));
            ComparedSettingRow::new(&state, &diagnostics, lag).tracing(&traced, &diagnostics)
        });
        let settings = settings.collect();
        ComparedRunRow {
            run_id: recording.runs()[run].run_id.clone(),
            shift_at: watched.map(|watched| watched.shift.vector_step),
            shift_given: analysis.shift_at.is_some(),
            shift_update: watched.map(|watched| watched.shift.update),
            windows,
            shift_reason: shift_reason(watched, analysis.shift_at, finished, recording.width(), pace),
            recommended: None,
            traced,
            settings,
        }
    });
    let runs =
        runs.map(|run| ComparedRunRow { recommended: ComparedRunRow::recommend(&run.settings), ..run });
    let ends = first.iter().map(|finished| finished.timeline.end());
    let runs = runs.zip(ends).map(|(row, end)| ComparedRun { row, end }).collect();
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
const WINDOW_BYTES: u64 = 64;

/// Refuses more settings than there is memory for: each keeps its windows.
fn check_memory(n_settings: usize, width: usize, context: &Context) -> Result<(), CommandError> {
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

/// The rewards under the conventions of every framework that has some.
fn divisors(args: &CompareArgs, context: &Context) -> Result<Outcome, CommandError> {
    if args.rule.target != TargetArg::Reward {
        return Err(CommandError::usage("--divisors is about rewards", "add --target reward"));
    }
    // Any framework that scales by returns makes sense of flags about them.
    let base = Base { preset: Some(Preset::Sb3), momentum: None, memories: None };
    let asked = RuleAnalysis { preset: None, ..args.rule.analysis(context, base)? };
    if asked.is_per_env() {
        return Err(CommandError::usage(
            "--divisors are those of all environments together; --scope env would change nothing",
            "leave --scope out",
        ));
    }
    context.check_output()?;
    let files = context.discover(&args.runs)?.files;
    let mut rows = Vec::new();
    let mut read = None;
    let mut autoresets: Vec<Autoreset> = Vec::new();
    for preset in Preset::ALL {
        if preset.conventions(Target::Reward).is_none() {
            continue;
        }
        // What is about returns goes for the frameworks that scale by them.
        let asked = match preset.conventions(Target::Reward).and_then(|known| known.return_scale) {
            Some(_) => args.rule.clone(),
            None => RuleArgs { gamma: None, return_reset: None, autoreset: None, ..args.rule.clone() },
        };
        let rule = asked.analysis(context, Base { preset: Some(preset), momentum: None, memories: None })?;
        let mut plan = Plan::of(&rule, false);
        let recording = match read.take() {
            // Nothing but the key columns decides on order; one plan's reading serves the others.
            Some(recording) => recording,
            None => open(&files, &mut plan, context)?,
        };
        if plan.return_scale.is_some() {
            // Nor do the rows of resets differ.
            plan.autoresets.clone_from(&autoresets);
            settle(&mut plan, &recording, context)?;
            autoresets.clone_from(&plan.autoresets);
        }
        rows.extend(divisors_of(&recording, &plan, preset, context)?);
        read = Some(recording);
    }
    let Some(recording) = read else { unreachable!("some frameworks normalize rewards") };
    rows.sort_by_key(|row| row.run);
    tell_skips(&recording, context);
    let named = rows
        .into_iter()
        .map(|row| DivisorRow { run_id: recording.runs()[row.run].run_id.clone(), ..row.shown });
    let document = DivisorDocument::new(
        named.collect(),
        settled(&asked, (recording.value_columns(), &recording.named_dimensions())),
    )
    .concluded();
    context.write(|out| write_divisors(&document, context.format(), &context.screen(), out))?;
    Ok(Outcome::Clean)
}

struct RunDivisor {
    run: usize,
    shown: DivisorRow,
}

fn divisors_of(
    recording: &StepRecording,
    plan: &Plan,
    preset: Preset,
    context: &Context,
) -> Result<Vec<RunDivisor>, CommandError> {
    let mut rows = Vec::new();
    let mut lanes: Option<Lanes> = None;
    let progress = context.console.progress();
    walk(recording, plan, &progress, &mut |event| {
        match event {
            Event::Begin(run) => {
                let info = &recording.runs()[run];
                let expected = expected_updates(plan, info.n_rows, info.n_vector_steps, 1);
                lanes = Some(Lanes::new(vec![Replay::new(plan.rule, 1, expected, N_WINDOWS)]));
            }
            Event::Rows(rows) => {
                let Some(lanes) = &mut lanes else { unreachable!("a run has begun") };
                lanes.run(&rows.lane_rows(), rows.pass, Output::None, |_, _| {})?;
            }
            Event::End(run) => {
                let Some(lanes) = &mut lanes else { unreachable!("a run has begun") };
                lanes.finish(|_, _| {});
                let replay = &lanes.replays()[0];
                let (mut center, mut inverse) = ([0.0], [0.0]);
                replay.normalizer().scaling(&mut center, &mut inverse);
                let clipped: u64 = replay.windows().iter().map(|window| window.clipped[0]).sum();
                let normalized: u64 = replay.windows().iter().map(|window| window.normalized).sum();
                rows.push(RunDivisor {
                    run,
                    shown: DivisorRow {
                        run_id: String::new(),
                        preset: preset.name().to_owned(),
                        deviation_of: if plan.return_scale.is_some() { "return" } else { "reward" }
                            .to_owned(),
                        subtracted: center[0],
                        divisor: 1.0 / inverse[0],
                        clip_fraction: clipped as f64 / normalized.max(1) as f64,
                    },
                });
            }
        }
        Ok(())
    })?;
    Ok(rows)
}

fn check(plan: &Plan) -> Result<(), CommandError> {
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

/// Why no shift can be told, where none was given or found.
fn shift_reason(
    watched: Option<&WatchedShift>,
    given: Option<u64>,
    finished: &Finished,
    width: usize,
    pace: Pace,
) -> Option<String> {
    let replay = finished.replays.first().filter(|_| watched.is_none() && given.is_none())?;
    untold_reason(&find_drift(replay.windows(), width, pace))
}

/// The rules asked for: with a preset and nothing else, that preset's own.
fn rules(analysis: &CompareAnalysis) -> Vec<Rule> {
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

/// The replays of one run under all rules.
struct Finished {
    replays: Vec<Replay>,
    /// Vector steps at the beginning and the end of every block.
    timeline: Timeline,
    episodes: EpisodeCount,
}

impl Finished {
    fn pace(&self, recording: &StepRecording, run: usize) -> Pace {
        self.episodes.pace(recording.runs()[run].n_vector_steps)
    }
}

fn begin(recording: &StepRecording, plan: &Plan, rules: &[Rule], run: usize) -> Vec<Replay> {
    let info = &recording.runs()[run];
    let expected = expected_updates(plan, info.n_rows, info.n_vector_steps, 1);
    let per_step = updates_per_step(plan, info);
    let replay =
        |rule: &Rule| Replay::new(*rule, recording.width(), expected, N_WINDOWS).in_steps_of(per_step);
    rules.iter().map(replay).collect()
}

fn first_pass(
    recording: &StepRecording,
    plan: &Plan,
    rules: &[Rule],
    engine: Option<&Engine>,
    progress: &Progress,
) -> Result<Vec<Finished>, CommandError> {
    let mut finished: Vec<Finished> = Vec::new();
    walk(recording, plan, progress, &mut |event| {
        match event {
            Event::Begin(run) => finished.push(Finished {
                replays: begin(recording, plan, rules, run),
                timeline: Timeline::default(),
                episodes: EpisodeCount::new(recording.runs()[run].envs.len()),
            }),
            Event::Rows(rows) => {
                let Some(Finished { replays, timeline, episodes }) = finished.last_mut() else {
                    unreachable!("a run has begun")
                };
                if rows.pass.has_moments() {
                    episodes.add(&rows.block.lane, &rows.block.episode, rows.block.ended.as_deref());
                }
                let lane_rows = rows.lane_rows();
                let block = Block { rows: lane_rows.rows, input: lane_rows.input, ends: lane_rows.ends };
                let before = replays[0].normalizer().updates();
                match engine {
                    Some(engine) => Replay::sweep(replays, engine, &block, rows.pass)?,
                    None => Replay::run_together(replays, &block, rows.pass, |_, _| {}),
                }
                let after = replays[0].normalizer().updates();
                let steps = &rows.block.vector_step;
                if let (Some(first), Some(last)) = (steps.first(), steps.last())
                    && rows.pass.has_moments()
                {
                    timeline.push(before, *first);
                    timeline.push(after, last + 1);
                }
            }
            Event::End(_) => {
                for replay in &mut finished.last_mut().into_iter().flat_map(|f| &mut f.replays) {
                    replay.finish(|_| {});
                }
            }
        }
        Ok(())
    })?;
    Ok(finished)
}

/// Where a run shifts: where that was given, else where its windows say so.
fn shift_of(given: Option<u64>, recording: &StepRecording, run: usize, finished: &Finished) -> Option<Shift> {
    let replay = finished.replays.first()?;
    let (windows, width, timeline) = (replay.windows(), recording.width(), &finished.timeline);
    match given {
        Some(step) if timeline.end().is_none_or(|end| step >= end.vector_step) => None,
        Some(step) => Some(Shift::at_step(step, windows, width, timeline)),
        None => Shift::find(windows, replay.window_updates(), width, timeline, finished.pace(recording, run)),
    }
}
