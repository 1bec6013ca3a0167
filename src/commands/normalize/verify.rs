//! `simic normalize verify`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValue;

use super::candidates::{Candidates, Sources};
use super::inquiry::Subject;
use super::outputs::{TableArgs, state_fingerprint};
use super::presets::PresetArg;
use super::recorded;
use super::recordings::Recordings;
use super::replay::{settled, tell_skips};
use super::settings::{MomentumArgs, RuleArgs, TargetArg};
use super::trial::Trial;
use crate::commands::{CommandError, Completeness, Context, Outcome};
use crate::normalization::{Claim, Preset};
use crate::records::{InputFile, StateWanted, StepOptions, StepRecording, StoredState};
use crate::report::write_verification;
use crate::results::{AskedRule, StateComparison, VerificationDocument, VerifyAnalysis};

/// A framework, or every one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyPresetArg {
    /// Every framework that can apply.
    Auto,
    /// This one.
    Named(PresetArg),
}

impl clap::ValueEnum for VerifyPresetArg {
    fn value_variants<'a>() -> &'a [Self] {
        use VerifyPresetArg::{Auto, Named};
        &[
            Auto,
            Named(PresetArg::Esper),
            Named(PresetArg::Sb3),
            Named(PresetArg::Gymnasium),
            Named(PresetArg::RslRl),
            Named(PresetArg::Torchrl),
            Named(PresetArg::Brax),
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Auto => Some(PossibleValue::new("auto").help("Each of these that can be the state's")),
            Self::Named(preset) => preset.to_possible_value(),
        }
    }
}

/// Compares a stored normalizer state with what a recording implies.
///
/// Within the tolerance the exit code is 0. Otherwise it is 1, with the dimensions that differ and what became of
/// the state: one vector step ahead or behind, stale, reset at a step, never updated, of another run, framework or
/// momentum, with sample variances, invalid, or of other dimensions. States are read from simic's own files,
/// safetensors, npz, esper-lite metadata, PyTorch checkpoints, LeRobot policies, openpi and Stable-Baselines3 pickles; nothing in
/// them is executed.
///
/// Without a state it is the statistics that a LeRobot data set records of every feature (count, mean, std, min, max,
/// quantiles, over all rows and over each episode) that are compared with its rows; --obs names features.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  simic normalize verify runs/ --state vecnormalize.pkl
  simic normalize verify runs/a.parquet --state checkpoint.pt --preset esper
  simic normalize verify runs/ --state normalizer.json --momentum 0.99
  simic normalize verify lerobot/pusht
  simic normalize verify lerobot/pusht --obs action")]
pub struct VerifyArgs {
    /// Files, directories, patterns, or - for stdin [default: $SIMIC_RUNS, else runs/]
    #[arg(value_name = "RUNS")]
    pub runs: Vec<String>,
    /// The stored state [default: the statistics that data sets record of their own rows]
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// The run the state should be of [default: any of those recorded]
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
    /// Largest distance: of means in standard deviations, of variances relative
    #[arg(long, value_name = "X", default_value_t = 1e-4, allow_negative_numbers = true)]
    pub tolerance: f64,
    #[command(flatten)]
    pub(super) momentum: MomentumArgs,
    /// Conventions of this framework [default: auto, unless flags ask for a rule of their own]
    #[arg(long, value_enum, help_heading = "How training normalized")]
    pub preset: Option<VerifyPresetArg>,
    #[command(flatten)]
    pub(super) rule: RuleArgs,
    #[command(flatten)]
    table: TableArgs,
}

impl VerifyArgs {
    /// Refuses flags about a state where none is named.
    ///
    /// # Errors
    /// The first one given.
    fn refuse_state_flags(&self, context: &Context) -> Result<(), CommandError> {
        let given = [
            ("run", self.run.is_some()),
            ("momentum", self.momentum.momentum.is_some()),
            ("preset", self.preset.is_some()),
            ("column", !context.common.column.is_empty()),
        ];
        let given = given.into_iter().find(|(_, is_given)| *is_given).map(|(flag, _)| flag);
        match given.or(self.rule.changed()) {
            None => Ok(()),
            Some(flag) => Err(CommandError::idle(
                flag,
                "is about a state, and without --state recorded statistics are compared",
                format!("name the state with --state FILE, or leave --{flag} out"),
            )),
        }
    }

    /// Which state of a file that holds several.
    fn state_target(&self) -> &'static str {
        match self.rule.target {
            TargetArg::Obs => "obs",
            TargetArg::Reward | TargetArg::Return => "reward",
        }
    }

    /// What is compared with: every framework's rule, a framework's, or that of the flags.
    fn asked(&self) -> Result<(AskedRule, Option<Preset>), CommandError> {
        if let Some(flag) = self.rule.about_use() {
            return Err(CommandError::usage(
                format!("{flag} is about how a state is used, and verify compares the state itself"),
                format!("leave {flag} out; simic normalize replay uses states"),
            ));
        }
        let has_rule_flags = self.momentum.momentum.is_some() || self.rule.fixes_rule();
        match self.preset {
            Some(VerifyPresetArg::Named(preset)) => Ok((AskedRule::Preset, Some(preset.into()))),
            Some(VerifyPresetArg::Auto) if has_rule_flags => Err(CommandError::usage(
                "--preset auto tries the rules frameworks have; other flags ask for one rule",
                "leave --preset out, or the flags",
            )),
            None if has_rule_flags => Ok((AskedRule::Flags, None)),
            Some(VerifyPresetArg::Auto) | None => Ok((AskedRule::Auto, None)),
        }
    }
}

/// What a file claims.
fn claimed(stored: &StoredState) -> Claim {
    Claim {
        mean: stored.mean.clone(),
        var: stored.var.clone(),
        count: stored.count,
        precision: stored.precision,
    }
}

/// Reads, replays, compares, reports.
///
/// # Errors
/// Unreadable input or state, or an output that cannot be written.
pub fn run(args: &VerifyArgs, context: &Context) -> Result<Outcome, CommandError> {
    check_view(args, context)?;
    if args.state.is_none() {
        check_tolerance(args)?;
        args.refuse_state_flags(context)?;
        let (runs, features) = (&args.runs[..], &args.rule.obs[..]);
        let n_rows = args.table.dimensions(context)?;
        let asked = recorded::Asked { runs, features, tolerance: args.tolerance, n_rows };
        return recorded::run(&asked, context);
    }
    let asked = Asked::of(args, context)?;
    let files = context.discover(&args.runs)?.files;
    conclude(args, context, asked.verified(args, &files, context)?, Completeness::Whole)
}

/// Refuses flags about what is shown that show nothing, and outputs that are there.
///
/// # Errors
/// The first such flag.
pub(in crate::commands) fn check_view(args: &VerifyArgs, context: &Context) -> Result<(), CommandError> {
    args.table.dimensions(context)?;
    context.check_output()
}

/// Says what came of it.
///
/// # Errors
/// An output that cannot be written.
pub(in crate::commands) fn conclude(
    args: &VerifyArgs,
    context: &Context,
    mut document: VerificationDocument,
    completeness: Completeness,
) -> Result<Outcome, CommandError> {
    let dimensions = args.table.dimensions(context)?;
    completeness.tell(&mut document.verdict);
    context
        .write(|out| write_verification(&document, context.format(), &context.screen(), dimensions, out))?;
    Ok(if document.matches { Outcome::Clean } else { Outcome::Findings })
}

/// A stored state and the rules it is compared with.
pub(in crate::commands) struct Asked {
    rule: AskedRule,
    stored: StoredState,
    candidates: Candidates,
}

impl Asked {
    /// What the arguments ask.
    ///
    /// # Errors
    /// Arguments that contradict each other, and a state that cannot be read.
    pub(in crate::commands) fn of(args: &VerifyArgs, context: &Context) -> Result<Self, CommandError> {
        check_tolerance(args)?;
        let Some(path) = &args.state else {
            return Err(CommandError::usage(
                "without --state the statistics that one data set records are compared, which is work for one machine",
                "name the state with --state FILE, or run the command as it is",
            ));
        };
        let (asked, preset) = args.asked()?;
        let wanted = StateWanted { target: args.state_target(), features: &args.rule.obs };
        let stored = StoredState::read_wanted_claim(path, wanted)?;
        let momentum = args.momentum.momentum;
        let sources = Sources { args: &args.rule, momentum, path, stored: &stored, context };
        let candidates = sources.candidates(asked, preset)?;
        if candidates.rules.iter().any(|candidate| candidate.plan.per_env) {
            return Err(CommandError::usage(
                "--scope env has one state per environment, a file one",
                "verify a recording of one environment",
            ));
        }
        Ok(Self { rule: asked, stored, candidates })
    }

    /// How steps are read.
    pub(in crate::commands) fn options(&self) -> &StepOptions {
        &self.candidates.rules[0].plan.options
    }

    /// Everything that decides on the numbers besides the input: the rule asked for, what else is, and the state itself.
    pub(in crate::commands) fn analysis(&self, args: &VerifyArgs) -> (VerifyAnalysis, Option<String>) {
        let analysis = VerifyAnalysis {
            rule: self.candidates.rules[0].rule.clone(),
            asked: Some(self.rule),
            run: args.run.clone(),
            tolerance: args.tolerance,
        };
        (analysis, args.state.as_deref().and_then(state_fingerprint))
    }

    /// What became of the state.
    ///
    /// # Errors
    /// Unreadable input.
    pub(in crate::commands) fn verified(
        mut self,
        args: &VerifyArgs,
        files: &[InputFile],
        context: &Context,
    ) -> Result<VerificationDocument, CommandError> {
        let (stored, candidates) = (&self.stored, &mut self.candidates);
        let mut recordings = Recordings::open(files, &mut candidates.rules[0].plan, context)?;
        check_run(args.run.as_deref(), recordings.plain())?;
        let claim = claimed(stored);
        let subject = Subject { claim: &claim, run: args.run.as_deref(), tolerance: args.tolerance };
        let verified = Trial::new(subject, candidates, &mut recordings).verify()?;
        let rule = &candidates.rules[verified.candidate];
        let recording = recordings.of(&rule.plan);
        tell_skips(recording, context);
        let analysis = VerifyAnalysis {
            rule: settled(&rule.rule, (recording.value_columns(), &recording.named_dimensions())),
            asked: Some(self.rule),
            run: args.run.clone(),
            tolerance: args.tolerance,
        };
        let comparison = StateComparison {
            state: &args.state.as_deref().map_or_else(String::new, |path| path.display().to_string()),
            format: stored.format,
            claim: &claim,
            run_id: &recording.runs()[verified.run].run_id,
            expected: &verified.expected,
            diagnosis: verified.diagnosis.as_ref(),
            preset: verified.preset,
            tried: verified.tried,
        };
        Context::check_unchanged(files)?;
        Ok(VerificationDocument::new(analysis, comparison).concluded())
    }
}

fn check_tolerance(args: &VerifyArgs) -> Result<(), CommandError> {
    if args.tolerance.is_nan() || args.tolerance < 0.0 {
        return Err(CommandError::usage("--tolerance must be at least 0", "for instance --tolerance 1e-4"));
    }
    Ok(())
}

/// Refuses a run that was not recorded.
fn check_run(asked: Option<&str>, recording: &StepRecording) -> Result<(), CommandError> {
    let Some(run) = asked.filter(|run| recording.runs().iter().all(|info| info.run_id != **run)) else {
        return Ok(());
    };
    let known: Vec<&str> = recording.runs().iter().map(|info| info.run_id.as_str()).collect();
    Err(CommandError::State(
        format!("no run '{run}' in the recording"),
        format!("recorded are: {}", known.join(", ")),
    ))
}
