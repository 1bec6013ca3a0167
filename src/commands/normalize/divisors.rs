//! `simic normalize compare --divisors`: what every framework would divide the same rewards by.

use super::pipeline::{Event, walk};
use super::plan::Plan;
use super::replay::{open, settle, settled, tell_skips};
use super::replayer::{N_WINDOWS, expected_updates};
use super::settings::{Base, RuleArgs, TargetArg};
use crate::commands::{CommandError, Context, Outcome};
use crate::normalization::{Autoreset, Lanes, Output, Preset, Replay, Target};
use crate::records::StepRecording;
use crate::report::write_divisors;
use crate::results::{DivisorDocument, DivisorRow, RuleAnalysis};

/// The rewards under the conventions of every framework that has some.
///
/// # Errors
/// Unreadable input, or an output that cannot be written.
pub(super) fn run(runs: &[String], args: &RuleArgs, context: &Context) -> Result<Outcome, CommandError> {
    if args.target != TargetArg::Reward {
        return Err(CommandError::usage("--divisors is about rewards", "add --target reward"));
    }
    // Any framework that scales by returns makes sense of flags about them.
    let base = Base { preset: Some(Preset::Sb3), momentum: None, memories: None };
    let asked = RuleAnalysis { preset: None, ..args.analysis(context, base)? };
    if asked.is_per_env() {
        return Err(CommandError::usage(
            "--divisors are those of all environments together; --scope env would change nothing",
            "leave --scope out",
        ));
    }
    context.check_output()?;
    let files = context.discover(runs)?.files;
    let mut rows = Vec::new();
    let mut read = None;
    let mut autoresets: Vec<Autoreset> = Vec::new();
    for preset in Preset::ALL {
        if preset.conventions(Target::Reward).is_none() {
            continue;
        }
        // What is about returns goes for the frameworks that scale by them.
        let asked = match preset.conventions(Target::Reward).and_then(|known| known.return_scale) {
            Some(_) => args.clone(),
            None => RuleArgs { gamma: None, return_reset: None, autoreset: None, ..args.clone() },
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
