//! `simic normalize verify`.

use std::path::PathBuf;

use clap::Args;

use super::outputs::TableArgs;
use super::pipeline::{Event, walk};
use super::replay::{open, settled, tell_skips};
use super::settings::{MomentumArgs, Plan, RuleArgs};
use super::stored::{Expected, check};
use crate::commands::{CommandError, Context, Outcome};
use crate::normalization::{
    Block, Claim, Diagnosis, Granularity, Lanes, Memory, NormalizerState, Output, Replay, Rule, StaleProbe,
    Warmup, finer_grid, momentum_grid,
};
use crate::progress::Progress;
use crate::records::{StepRecording, StoredState};
use crate::report::write_verification;
use crate::results::{StateComparison, VerificationDocument, VerifyAnalysis};

/// Compares a stored normalizer state with what a recording implies.
///
/// Within the tolerance the exit code is 0. Otherwise it is 1, with the dimensions that differ and what became of
/// the state: reset at a step, stale, never updated, of another run, of another momentum, invalid, or of other
/// dimensions. States are read from simic's own files, safetensors, npz, esper-lite metadata, PyTorch checkpoints
/// and Stable-Baselines3 pickles; nothing in them is executed.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  simic normalize verify runs/ --state vecnormalize.pkl --preset sb3
  simic normalize verify runs/a.parquet --state checkpoint.pt --preset esper
  simic normalize verify runs/ --state normalizer.json --momentum 0.99")]
pub struct VerifyArgs {
    /// Files, directories, patterns, or - for stdin [default: $SIMIC_RUNS, else runs/]
    #[arg(value_name = "RUNS")]
    pub runs: Vec<String>,
    /// The stored state
    #[arg(long, value_name = "FILE")]
    pub state: PathBuf,
    /// The run the state should be of [default: any of those recorded]
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
    /// Largest distance: of means in standard deviations, of variances relative
    #[arg(long, value_name = "X", default_value_t = 1e-4, allow_negative_numbers = true)]
    pub tolerance: f64,
    #[command(flatten)]
    pub(super) momentum: MomentumArgs,
    #[command(flatten)]
    pub(super) rule: RuleArgs,
    #[command(flatten)]
    table: TableArgs,
}

/// Reads, replays, compares, reports.
///
/// # Errors
/// Unreadable input or state, or an output that cannot be written.
pub fn run(args: &VerifyArgs, context: &Context) -> Result<Outcome, CommandError> {
    let dimensions = args.table.dimensions(context)?;
    context.check_output()?;
    if args.tolerance.is_nan() || args.tolerance < 0.0 {
        return Err(CommandError::usage("--tolerance must be at least 0", "for instance --tolerance 1e-4"));
    }
    let target = match args.rule.target {
        super::settings::TargetArg::Obs => "obs",
        _ => "reward",
    };
    let stored = StoredState::read_claim(&args.state, target)?;
    // What the file says about itself is taken unless a flag says otherwise.
    let momentum = args.momentum.momentum.or(stored.momentum);
    let mut rule = args.rule.analysis(context, momentum)?;
    if let (Some(prior), None) = (stored.initial, args.rule.initial_count) {
        rule.rule = rule.rule.from_prior(prior);
    }
    if let (Memory::Ema { unit, .. }, None) = (&mut rule.rule.memory, args.momentum.momentum)
        && stored.momentum.is_some()
    {
        *unit = stored.momentum_unit;
    }
    check(&args.state, &stored, Expected::of_rule(&rule))?;
    let mut analysis = VerifyAnalysis { rule, run: args.run.clone(), tolerance: args.tolerance };
    let plan = Plan::of(&analysis.rule, false);
    if plan.per_env {
        return Err(CommandError::usage(
            "--scope env has one state per environment, a file one",
            "verify a recording of one environment",
        ));
    }
    let recording = open(&context.discover(&args.runs)?.files, &plan, context)?;
    if let Some(run) = &analysis.run
        && recording.runs().iter().all(|info| info.run_id != *run)
    {
        let known: Vec<&str> = recording.runs().iter().map(|info| info.run_id.as_str()).collect();
        return Err(CommandError::State(
            format!("no run '{run}' in the recording"),
            format!("recorded are: {}", known.join(", ")),
        ));
    }
    let claim = Claim {
        mean: stored.mean.clone(),
        var: stored.var.clone(),
        count: stored.count,
        precision: stored.precision,
    };
    let progress = context.console.progress();
    let verifier = Verifier {
        recording: &recording,
        plan: &plan,
        claim: &claim,
        analysis: &analysis,
        progress: &progress,
    };
    let verified = verifier.verify()?;
    drop(progress);
    tell_skips(&recording, context);
    analysis.rule = settled(&analysis.rule, &recording);
    let document = VerificationDocument::new(
        analysis,
        StateComparison {
            state: &args.state.display().to_string(),
            format: stored.format,
            claim: &claim,
            run_id: &recording.runs()[verified.run].run_id,
            expected: &verified.expected,
            diagnosis: verified.diagnosis.as_ref(),
        },
    );
    context.write(|out| write_verification(&document, context.format(), dimensions, out))?;
    Ok(if document.matches { Outcome::Clean } else { Outcome::Findings })
}

/// The run a state was compared with, and what came of it.
struct Verified {
    run: usize,
    expected: NormalizerState,
    /// Why the two differ; `None` if they do not.
    diagnosis: Option<Diagnosis>,
}

struct Verifier<'a> {
    recording: &'a StepRecording,
    plan: &'a Plan,
    claim: &'a Claim,
    analysis: &'a VerifyAnalysis,
    progress: &'a Progress,
}

/// What one replay of one run found.
struct Replayed {
    state: NormalizerState,
    stale: Option<u64>,
    /// Likewise, where its count was the stored one too.
    stale_by_count: Option<u64>,
    rows: u64,
}

impl Verifier<'_> {
    fn verify(&self) -> Result<Verified, CommandError> {
        let mut runs = self.replay_all()?;
        let tolerance = self.analysis.tolerance;
        let candidates: Vec<usize> = (0..runs.len())
            .filter(|run| {
                self.analysis.run.as_ref().is_none_or(|id| *id == self.recording.runs()[*run].run_id)
            })
            .collect();
        let is_close = |run: &&usize| {
            let state = &runs[**run].state;
            self.claim.is_close(&state.mean, &state.var, tolerance)
        };
        let has_count = |run: &&usize| self.claim.has_count(runs[**run].state.count);
        let nearest = |candidates: &[usize]| {
            let apart = |run: &usize| self.claim.distance_to(&runs[*run].state.mean, &runs[*run].state.var);
            candidates.iter().copied().min_by(|a, b| apart(a).total_cmp(&apart(b))).unwrap_or(0)
        };
        let (run, diagnosis) =
            if let Some(run) = candidates.iter().find(|run| is_close(run) && has_count(run)) {
                (*run, None)
            } else if let Some(run) = candidates.iter().find(|run| runs[**run].stale_by_count.is_some()) {
                // Statistics that have settled look alike early and late: the count tells.
                let (updates, of) = (runs[*run].stale_by_count.unwrap_or(0), runs[*run].state.batches);
                (*run, Some(Diagnosis::Stale { updates, of }))
            } else if let Some(run) = candidates.iter().find(is_close) {
                (*run, Some(Diagnosis::Count))
            } else {
                let run = nearest(&candidates);
                (run, Some(self.diagnose(&runs, run)?))
            };
        Ok(Verified { run, expected: runs.swap_remove(run).state, diagnosis })
    }

    fn replay_all(&self) -> Result<Vec<Replayed>, CommandError> {
        let mut lanes: Option<Lanes> = None;
        let mut probe = StaleProbe::new(self.analysis.tolerance);
        let mut runs = Vec::new();
        walk(self.recording, self.plan, self.progress, &mut |event| {
            match event {
                Event::Begin(_) => {
                    let carried = lanes.take().filter(|_| self.plan.carry_over);
                    lanes = Some(carried.unwrap_or_else(|| {
                        Lanes::new(vec![Replay::new(self.plan.rule, self.recording.width(), u64::MAX, 1)])
                    }));
                    probe = StaleProbe::new(self.analysis.tolerance);
                }
                Event::Rows(rows) => {
                    let Some(lanes) = &mut lanes else { unreachable!("a run has begun") };
                    lanes.process(&rows.lane_rows(), Output::None, |_, update| {
                        probe.watch(self.claim, update.normalizer);
                    })?;
                }
                Event::End(_) => {
                    let Some(lanes) = &mut lanes else { unreachable!("a run has begun") };
                    lanes.finish(|_, update| probe.watch(self.claim, update.normalizer));
                    let normalizer = lanes.replays()[0].normalizer();
                    runs.push(Replayed {
                        state: normalizer.state(),
                        stale: probe.found(),
                        stale_by_count: probe.found_by_count(),
                        rows: normalizer.rows(),
                    });
                }
            }
            Ok(())
        })?;
        if runs.is_empty() {
            return Err(CommandError::NothingLeft);
        }
        Ok(runs)
    }

    fn diagnose(&self, runs: &[Replayed], run: usize) -> Result<Diagnosis, CommandError> {
        let expected = &runs[run].state;
        let tolerance = self.analysis.tolerance;
        if let Some(found) = self.claim.diagnose(&self.plan.rule, expected, tolerance) {
            return Ok(found);
        }
        let other = (0..runs.len()).filter(|other| *other != run).find(|other| {
            let state = &runs[*other].state;
            self.claim.is_close(&state.mean, &state.var, tolerance)
        });
        if let Some(other) = other {
            return Ok(Diagnosis::OtherRun { run_id: self.recording.runs()[other].run_id.clone() });
        }
        if let Some(updates) = runs[run].stale {
            return Ok(Diagnosis::Stale { updates, of: expected.batches });
        }
        // The run it is closest to need not be the one it stopped early in.
        if let Some(other) = (0..runs.len()).find(|other| runs[*other].stale.is_some()) {
            return Ok(Diagnosis::OtherRun { run_id: self.recording.runs()[other].run_id.clone() });
        }
        if self.can_share() {
            if let Some(reset) = self.find_reset(runs, run)? {
                return Ok(reset);
            }
            if let Some(momentum) = self.find_momentum(run)? {
                return Ok(momentum);
            }
        }
        Ok(Diagnosis::Unknown)
    }

    /// Whether batches can be told without replaying everything by itself.
    fn can_share(&self) -> bool {
        self.plan.granularity != Granularity::Episode
            && self.plan.return_scale.is_none()
            && !self.plan.carry_over
    }

    /// A replay that begins where the stored count says.
    fn find_reset(&self, runs: &[Replayed], run: usize) -> Result<Option<Diagnosis>, CommandError> {
        let initial =
            if self.plan.rule.memory == Memory::Welford { self.plan.rule.initial_count } else { 0.0 };
        let Some(count) = self.claim.count else { return Ok(None) };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of rows")]
        let rows = (count - initial).round().max(0.0) as u64;
        if rows == 0 || rows >= runs[run].rows {
            return Ok(None);
        }
        let skip = runs[run].rows - rows;
        let mut replay = Replay::new(self.plan.rule, self.recording.width(), u64::MAX, 1);
        let mut seen = 0u64;
        let mut start: Option<(u64, u64)> = None;
        let mut n_updates = 0u64;
        let result = walk(self.recording, self.plan, self.progress, &mut |event| {
            match event {
                Event::Rows(rows) if rows.block.run == run => {
                    let n_rows = rows.block.n_rows() as u64;
                    let begins_in = skip.saturating_sub(seen).min(n_rows);
                    seen += n_rows;
                    let from = usize::try_from(begins_in).unwrap_or(usize::MAX);
                    n_updates += rows.ends.iter().filter(|end| **end <= from && **end > 0).count() as u64;
                    if begins_in < n_rows {
                        start.get_or_insert((n_updates, rows.block.vector_step[from]));
                        let width = self.recording.width();
                        let values = rows.block.values.rows().slice(from..rows.block.n_rows(), width);
                        let ends: Vec<usize> =
                            rows.ends.iter().filter(|end| **end > from).map(|end| end - from).collect();
                        replay.process(
                            &Block { rows: values, input: None, ends: &ends },
                            Output::None,
                            |_| {},
                        )?;
                    }
                }
                Event::End(ended) if ended == run => replay.finish(|_| {}),
                _ => {}
            }
            Ok(())
        });
        result?;
        let normalizer = replay.normalizer();
        let fits = self.claim.is_close(normalizer.mean(), normalizer.var(), self.analysis.tolerance);
        Ok(start.filter(|_| fits).map(|(update, vector_step)| Diagnosis::Reset { update, vector_step }))
    }

    /// The momentum whose state is the stored one, narrowed down grid by grid; none if even the closest state lies
    /// beyond the tolerance.
    fn find_momentum(&self, run: usize) -> Result<Option<Diagnosis>, CommandError> {
        const MOST_PASSES: usize = 10;
        let base = Rule { warmup: Warmup::None, ..self.plan.rule };
        let unit = self.plan.rule.memory.unit();
        let of_momentum = |momentum: f64| Rule { memory: Memory::Ema { momentum, unit }, ..base };
        let mut grid = momentum_grid();
        let mut found: (Option<f64>, f64) = (None, f64::INFINITY);
        // A grid may happen to lie no better than the one before; two in a row have nothing left to find.
        let mut n_stalled = 0;
        for pass in 0..MOST_PASSES {
            let mut rules: Vec<Rule> = grid.iter().copied().map(of_momentum).collect();
            // Full history once, and afterwards the momentum people would have chosen.
            rules.push(match found.0 {
                Some(momentum) if pass > 0 => of_momentum(rounded(momentum)),
                _ => Rule { memory: Memory::Welford, ..base },
            });
            let distances = self.distances(run, &rules)?;
            let nearest =
                |n: usize| (0..n).min_by(|a, b| distances[*a].total_cmp(&distances[*b])).unwrap_or(0);
            let (best, before) = (nearest(rules.len()), found.1);
            if distances[best] < found.1 {
                found = (rules[best].memory.momentum(), distances[best]);
            }
            n_stalled = if found.1 > 0.5 * before { n_stalled + 1 } else { 0 };
            if (pass > 0 && found.1 <= self.analysis.tolerance) || n_stalled > 1 {
                break;
            }
            grid = finer_grid(&grid, nearest(grid.len()));
        }
        let (momentum, distance) = found;
        let is_same = momentum == self.plan.rule.memory.momentum();
        let fits = distance <= self.analysis.tolerance;
        // What the grid met to the last digits is shown as people write it.
        let shown = |found: f64| if (rounded(found) - found).abs() < 1e-12 { rounded(found) } else { found };
        let momentum = momentum.map(shown);
        Ok((fits && !is_same).then_some(Diagnosis::OtherMomentum { momentum, distance }))
    }

    /// Distances of the stored state from the final states of `rules`, in one pass.
    fn distances(&self, run: usize, rules: &[Rule]) -> Result<Vec<f64>, CommandError> {
        let mut replays: Vec<Replay> =
            rules.iter().map(|rule| Replay::new(*rule, self.recording.width(), u64::MAX, 1)).collect();
        walk(self.recording, self.plan, self.progress, &mut |event| {
            match event {
                Event::Rows(rows) if rows.block.run == run => {
                    let block = Block { rows: rows.block.values.rows(), input: None, ends: &rows.ends };
                    Replay::process_together(&mut replays, &block, |_, _| {});
                }
                Event::End(ended) if ended == run => {
                    replays.iter_mut().for_each(|replay| replay.finish(|_| {}));
                }
                _ => {}
            }
            Ok(())
        })?;
        let apart = |replay: &Replay| {
            let normalizer = replay.normalizer();
            self.claim.distance_to(normalizer.mean(), normalizer.var())
        };
        Ok(replays.iter().map(apart).collect())
    }
}

/// People choose momenta of few nines and digits: the nearest such one if it is near.
fn rounded(momentum: f64) -> f64 {
    let rest = 1.0 - momentum;
    if rest <= 0.0 {
        return momentum;
    }
    let digit = 10f64.powf(rest.log10().floor() - 1.0);
    let nice = (rest / digit).round() * digit;
    if ((nice - rest) / rest).abs() < 1e-2 { 1.0 - nice } else { momentum }
}
