//! `simic normalize compare`.

use clap::{Args, ValueEnum};

use super::pipeline::{Event, Prepared, walk};
use super::replay::{N_WINDOWS, expected_updates, open};
use super::settings::{Plan, PresetArg, RuleArgs, TargetArg, momentum};
use crate::commands::{CommandError, Context, Outcome};
use crate::normalization::{
    Block, Diagnostics, Granularity, Lag, LagProbe, Lanes, Memory, Output, Preset, Replay, Rows, Rule,
    Target, Warmup, locate_shift, regimes,
};
use crate::progress::Progress;
use crate::records::StepRecording;
use crate::report::{
    CompareReport, ComparedRun, ComparedSetting, DivisorReport, DivisorRow, write_comparison, write_divisors,
};

/// Replays many settings over one recording, side by side; batch moments are computed once for all.
///
/// For each setting: how far its statistics lie from those of the rows around, how long they lag behind a shift
/// of the distribution, how badly the variance is underestimated there, and what is clipped.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  simic normalize compare --momentum 0.9,0.99,0.999 --welford
  simic normalize compare runs/ --momentum 0.99 --welford --shift-at 120 --format json
  simic normalize compare runs/ --target reward --divisors")]
pub struct CompareArgs {
    /// Files, directories, patterns, or - for stdin [default: $SIMIC_RUNS, else runs/]
    #[arg(value_name = "RUNS")]
    pub runs: Vec<String>,
    /// Moving averages to compare, each in [0, 1] [default: 0.9,0.99,0.999 and full history]
    #[arg(long, value_name = "M,M,...", value_delimiter = ',', value_parser = momentum)]
    pub momentum: Vec<f64>,
    /// Compare with full history
    #[arg(long)]
    pub welford: bool,
    /// The distribution shifts at this vector step [default: found, if there is a shift]
    #[arg(long, value_name = "STEP")]
    pub shift_at: Option<u64>,
    #[command(flatten)]
    pub(super) rule: RuleArgs,
    /// What every framework would divide these rewards by, side by side (--target reward)
    #[arg(long, conflicts_with_all = ["momentum", "welford", "shift_at"])]
    pub divisors: bool,
    /// Dimensions to list for each setting in a table
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub dimensions: usize,
}

/// Reads, replays everything at once, reports.
///
/// # Errors
/// Unreadable input, or an output that cannot be written.
pub fn run(args: &CompareArgs, context: &Context) -> Result<Outcome, CommandError> {
    if args.divisors {
        return divisors(args, context);
    }
    let plan = args.rule.plan(context, None, false)?;
    check(&plan)?;
    context.check_output()?;
    let recording = open(&args.runs, &plan, context, &[])?;
    let rules = rules(args, &plan);
    let progress = context.console.progress();
    let first = first_pass(&recording, &plan, &rules, &progress)?;
    let shifts = first
        .iter()
        .enumerate()
        .map(|(run, replays)| shift_of(args.shift_at, &recording, run, replays, recording.width()));
    let mut shifts: Vec<Option<Shift>> = shifts.collect();
    let lags = if shifts.iter().any(Option::is_some) {
        lag_pass(&recording, &plan, &rules, &mut shifts, &progress)?
    } else {
        vec![Vec::new(); first.len()]
    };
    drop(progress);
    let runs = first.iter().enumerate().map(|(run, finished)| {
        let lags = &lags[run];
        let settings = finished.replays.iter().enumerate().map(|(i, replay)| {
            let state = replay.normalizer().state();
            let diagnostics = Diagnostics::of(replay.normalizer().rule(), replay.windows(), &state);
            ComparedSetting { diagnostics, state, lag: lags.get(i).cloned() }
        });
        ComparedRun {
            run_id: recording.runs()[run].run_id.clone(),
            shift_at: shifts[run].as_ref().map(|shift| shift.vector_step),
            shift_given: args.shift_at.is_some(),
            settings: settings.collect(),
        }
    });
    let report = CompareReport {
        target: plan.target.name(),
        update_every: plan.granularity.describe(),
        dimensions: recording.dimension_names(),
        runs: runs.collect(),
        n_files: recording.n_files(),
        skips: recording.skips(),
    };
    if let Some(skipped) = recording.skips().report.describe() {
        context.console.warn(&skipped);
    }
    context.write(|out| write_comparison(&report, context.format(), args.dimensions, out))?;
    Ok(Outcome::Clean)
}

/// The rewards under the conventions of every framework that has some.
fn divisors(args: &CompareArgs, context: &Context) -> Result<Outcome, CommandError> {
    if args.rule.target != TargetArg::Reward {
        return Err(CommandError::usage("--divisors is about rewards", "add --target reward"));
    }
    context.check_output()?;
    let mut rows = Vec::new();
    let mut read = None;
    for preset in PresetArg::value_variants() {
        if Preset::from(*preset).conventions(Target::Reward).is_none() {
            continue;
        }
        let rule = RuleArgs { preset: Some(*preset), ..args.rule.clone() };
        let plan = rule.plan(context, None, false)?;
        let recording = match read.take() {
            // Nothing but the key columns decides on order; one plan's reading serves the others.
            Some(recording) => recording,
            None => open(&args.runs, &plan, context, &[])?,
        };
        rows.extend(divisors_of(&recording, &plan, *preset, context)?);
        read = Some(recording);
    }
    let Some(recording) = read else { unreachable!("some frameworks normalize rewards") };
    rows.sort_by_key(|row| row.run);
    if let Some(skipped) = recording.skips().report.describe() {
        context.console.warn(&skipped);
    }
    let report = DivisorReport {
        rows: rows
            .into_iter()
            .map(|row| DivisorRow { run_id: recording.runs()[row.run].run_id.clone(), ..row.shown })
            .collect(),
    };
    context.write(|out| write_divisors(&report, context.format(), out))?;
    Ok(Outcome::Clean)
}

struct RunDivisor {
    run: usize,
    shown: DivisorRow,
}

fn divisors_of(
    recording: &StepRecording,
    plan: &Plan,
    preset: PresetArg,
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
                lanes.process(&rows.lane_rows(), Output::None, |_, _| {})?;
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
                        preset: Preset::from(preset).name(),
                        deviation_of: if plan.return_scale.is_some() { "return" } else { "reward" },
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
    } else if plan.return_scale.is_some() {
        Some("--reward-scale return")
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

/// The rules asked for: with a preset and nothing else, that preset's own.
fn rules(args: &CompareArgs, plan: &Plan) -> Vec<Rule> {
    let of = |memory: Memory| {
        let warmup = if memory == Memory::Welford { Warmup::None } else { plan.rule.warmup };
        Rule { memory, warmup, ..plan.rule }
    };
    let mut rules: Vec<Rule> = args.momentum.iter().map(|m| of(Memory::ema(*m))).collect();
    if args.welford {
        rules.push(of(Memory::Welford));
    }
    if rules.is_empty() {
        if args.rule.preset.is_some() {
            rules.push(plan.rule);
        }
        rules.extend([0.9, 0.99, 0.999].map(|m| of(Memory::ema(m))));
        rules.push(of(Memory::Welford));
    }
    rules
}

/// The replays of one run under all rules.
struct Finished {
    replays: Vec<Replay>,
    /// (updates, vector step after them) at the end of every window.
    window_steps: Vec<(u64, u64)>,
}

fn begin(recording: &StepRecording, plan: &Plan, rules: &[Rule], run: usize) -> Vec<Replay> {
    let info = &recording.runs()[run];
    let expected = expected_updates(plan, info.n_rows, info.n_vector_steps, 1);
    rules.iter().map(|rule| Replay::new(*rule, recording.width(), expected, N_WINDOWS)).collect()
}

fn first_pass(
    recording: &StepRecording,
    plan: &Plan,
    rules: &[Rule],
    progress: &Progress,
) -> Result<Vec<Finished>, CommandError> {
    let mut finished: Vec<Finished> = Vec::new();
    walk(recording, plan, progress, &mut |event| {
        match event {
            Event::Begin(run) => finished
                .push(Finished { replays: begin(recording, plan, rules, run), window_steps: Vec::new() }),
            Event::Rows(rows) => {
                let Some(Finished { replays, window_steps }) = finished.last_mut() else {
                    unreachable!("a run has begun")
                };
                let block = Block { rows: rows.block.values.rows(), input: None, ends: &rows.ends };
                let before = replays[0].normalizer().updates();
                Replay::process_together(replays, &block, |_, _| {});
                let after = replays[0].normalizer().updates();
                if let Some(step) = rows.block.vector_step.first() {
                    // Vector steps between known updates follow by proportion: updates of a block are even.
                    window_steps.push((before, *step));
                    if let Some(last) = rows.block.vector_step.last() {
                        window_steps.push((after, last + 1));
                    }
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

/// Where a run's distribution shifts, and the moments on either side.
struct Shift {
    vector_step: u64,
    update: u64,
    /// Where it was found, not given: the dimension it is strongest in, and the updates to look at closely.
    look: Option<(usize, std::ops::Range<u64>)>,
    before: Vec<(f64, f64)>,
    after: Vec<(f64, f64)>,
}

fn shift_of(
    given: Option<u64>,
    recording: &StepRecording,
    run: usize,
    finished: &Finished,
    width: usize,
) -> Option<Shift> {
    let replay = finished.replays.first()?;
    let windows = replay.windows();
    let update_of = |step: u64| interpolate(&finished.window_steps, |p| p.1, |p| p.0, step);
    let step_of = |update: u64| interpolate(&finished.window_steps, |p| p.0, |p| p.1, update);
    let (update, vector_step, look, sides) = match given {
        Some(step) if step >= recording.runs()[run].n_vector_steps => return None,
        Some(step) => {
            let update = update_of(step);
            let split = windows.partition_point(|window| window.first_update < update);
            (update, step, None, regimes(windows, split, width))
        }
        None => {
            let change = crate::normalization::find_change(windows, width)?;
            let window = replay.window_updates();
            let look = change.update.saturating_sub(window)..change.update + window;
            let strongest = change.dimensions.first().map_or(0, |change| change.dimension);
            (change.update, step_of(change.update), Some((strongest, look)), (change.before, change.after))
        }
    };
    let pairs = |moments: &crate::normalization::RowMoments| {
        moments.mean().iter().copied().zip(moments.vars()).collect()
    };
    Some(Shift { vector_step, update, look, before: pairs(&sides.0), after: pairs(&sides.1) })
}

/// Linear interpolation in a rising list of pairs.
fn interpolate(
    pairs: &[(u64, u64)],
    x: impl Fn(&(u64, u64)) -> u64,
    y: impl Fn(&(u64, u64)) -> u64,
    at: u64,
) -> u64 {
    let place = pairs.partition_point(|pair| x(pair) <= at);
    match (place.checked_sub(1).map(|i| &pairs[i]), pairs.get(place)) {
        (Some(low), Some(high)) => {
            let (run, rise) = (x(high) - x(low), y(high) - y(low));
            y(low) + (at - x(low)) * rise / run.max(1)
        }
        (Some(low), None) => y(low),
        (None, Some(high)) => y(high),
        (None, None) => 0,
    }
}

/// Replays once more and watches every update after the shift.
fn lag_pass(
    recording: &StepRecording,
    plan: &Plan,
    rules: &[Rule],
    shifts: &mut [Option<Shift>],
    progress: &Progress,
) -> Result<Vec<Vec<Lag>>, CommandError> {
    let mut replays = Vec::new();
    let mut probes: Vec<std::sync::Mutex<LagProbe>> = Vec::new();
    let mut closer = CloserLook::default();
    let mut lags: Vec<Vec<Lag>> = vec![Vec::new(); recording.runs().len()];
    walk(recording, plan, progress, &mut |event| {
        match event {
            Event::Begin(run) => {
                replays = begin(recording, plan, rules, run);
                closer = CloserLook::default();
                probes = match &shifts[run] {
                    Some(shift) => rules
                        .iter()
                        .map(|_| LagProbe::new(shift.update, &shift.before, &shift.after).into())
                        .collect(),
                    None => Vec::new(),
                };
            }
            // Without a shift there is nothing to watch.
            Event::Rows(_) if probes.is_empty() => {}
            Event::Rows(rows) => {
                let values: Rows<'_> = rows.block.values.rows();
                if let Some(shift) = &mut shifts[rows.block.run]
                    && let Some(found) = closer.look(shift, rows, replays[0].normalizer().updates())
                {
                    (shift.update, shift.vector_step) = found;
                    for probe in &mut probes {
                        if let Ok(probe) = probe.get_mut() {
                            probe.move_to(shift.update);
                        }
                    }
                }
                let block = Block { rows: values, input: None, ends: &rows.ends };
                Replay::process_together(&mut replays, &block, |i, update| {
                    if let Ok(mut probe) = probes[i].lock() {
                        probe.watch(update.normalizer);
                    }
                });
            }
            Event::End(run) => {
                for replay in &mut replays {
                    replay.finish(|_| {});
                }
                lags[run] = std::mem::take(&mut probes)
                    .into_iter()
                    .map(|probe| {
                        probe.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).finish()
                    })
                    .collect();
            }
        }
        Ok(())
    })?;
    Ok(lags)
}

/// Batch means of one dimension around a shift that windows have found.
#[derive(Default)]
struct CloserLook {
    means: Vec<f64>,
    /// Vector step after each batch.
    steps: Vec<u64>,
}

impl CloserLook {
    /// Gathers what a block holds of the updates to look at; tells (update, vector step) once all were seen.
    fn look(&mut self, shift: &mut Shift, rows: &Prepared, updates_before: u64) -> Option<(u64, u64)> {
        let (dimension, range) = shift.look.clone()?;
        let width = rows.block.width;
        let values = rows.block.values.rows();
        let mut start = 0;
        for (i, end) in rows.ends.iter().enumerate() {
            let update = updates_before + i as u64;
            if range.contains(&update) && *end > start {
                let sum: f64 = (start..*end).map(|row| values.get(row * width + dimension)).sum();
                self.means.push(sum / (end - start) as f64);
                self.steps.push(rows.block.vector_step[end - 1]);
            }
            start = *end;
        }
        let after = updates_before + rows.ends.len() as u64;
        if after < range.end || self.means.is_empty() {
            return None;
        }
        shift.look = None;
        let split = locate_shift(&self.means)?;
        Some((range.start + split as u64, self.steps[split]))
    }
}
