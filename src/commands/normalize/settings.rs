//! Flags that say how a recording was normalized.

use std::str::FromStr;

use clap::{Args, ValueEnum};

use crate::commands::common::OnBadArg;
use crate::commands::{CommandError, Context, refuse_doubled};
use crate::normalization::{
    AutoresetRule, Conventions, Correction, Divisor, Granularity, Memory, MomentumUnit, Order, Preset,
    ReturnReset, ReturnScale, Rule, Target, Warmup,
};
use crate::results::{Rollback, RuleAnalysis, Scope, StepReading};

/// What is normalized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TargetArg {
    /// Observations
    Obs,
    /// Rewards, by their own deviation
    Reward,
    /// Recorded returns, by their deviation
    Return,
}

impl From<TargetArg> for Target {
    fn from(target: TargetArg) -> Self {
        match target {
            TargetArg::Obs => Self::Obs,
            TargetArg::Reward => Self::Reward,
            TargetArg::Return => Self::Return,
        }
    }
}

/// Before or after the update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OrderArg {
    /// A batch is normalized with the state before its own update
    NormalizeFirst,
    /// With the state after it
    UpdateFirst,
}

/// Whose statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScopeArg {
    /// One set for all environments
    Shared,
    /// One set per environment
    Env,
}

/// What a reward is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RewardScaleArg {
    /// The deviation of the rewards
    Reward,
    /// The deviation of the discounted return
    Return,
}

/// When an environment's discounted return begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReturnResetArg {
    /// After the end of an episode
    EpisodeEnd,
    /// The same, and the terminal step does not add to what came before
    TerminalStep,
    /// At the terminal step only; truncation does not count
    TerminationOnly,
    /// Never
    Never,
    /// As Gymnasium: termination-only where environments reset in the next step, else terminal-step
    Autoreset,
}

/// When environments reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AutoresetArg {
    /// As the rows show it
    Auto,
    /// Within the step that ends an episode: every row is a step
    SameStep,
    /// In the step after it: the row after an end is a reset, not a step
    NextStep,
}

impl From<AutoresetArg> for AutoresetRule {
    fn from(autoreset: AutoresetArg) -> Self {
        match autoreset {
            AutoresetArg::Auto => Self::Auto,
            AutoresetArg::SameStep => Self::SameStep,
            AutoresetArg::NextStep => Self::NextStep,
        }
    }
}

/// Rows that training rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RollbackArg {
    /// Leave the rows out
    Drop,
    /// Leave their whole batches out
    DropBatch,
    /// They count like any other
    Keep,
}

/// Which bias correction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CorrectionArg {
    /// None
    None,
    /// The initial state removed exactly
    Exact,
    /// As TorchRL was released
    Torchrl,
}

/// What single flags change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Base {
    /// A framework's conventions; `None` for the contract's own.
    pub(super) preset: Option<Preset>,
    /// The momentum asked for.
    pub(super) momentum: Option<f64>,
    /// Memories that the rule is applied with, where they are not its own alone.
    pub(super) memories: Option<Memories>,
}

/// Which kinds of memory are among several settings: flags about one kind need it to be there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memories {
    pub(super) has_moving: bool,
    pub(super) has_full: bool,
}

impl Memories {
    /// That of one rule.
    fn of(rule: &Rule) -> Self {
        let has_moving = matches!(rule.memory, Memory::Ema { .. });
        Self { has_moving, has_full: !has_moving }
    }
}

/// One momentum, or none.
#[derive(Debug, Clone, Args)]
pub struct MomentumArgs {
    /// Exponential moving average that keeps this much per update, in [0, 1] [default: full history (Welford)]
    #[arg(long, value_name = "M", value_parser = momentum, allow_negative_numbers = true)]
    pub momentum: Option<f64>,
}

/// How a recording was normalized.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "How training normalized")]
pub struct RuleArgs {
    /// What is normalized
    #[arg(long, value_enum, default_value = "obs")]
    pub target: TargetArg,
    /// Columns that are the observation, one after the other [default: obs and its other names]
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    pub obs: Vec<String>,
    /// Rows of one update: step, rollout:N, round, episode or row [default: step; rewards: row]
    #[arg(long, value_name = "UNIT", value_parser = Granularity::from_str)]
    pub update_every: Option<Granularity>,
    /// Whether a batch is normalized before or after its own update [default: normalize-first; rewards: update-first]
    #[arg(long, value_enum)]
    pub order: Option<OrderArg>,
    /// Added to the variance under the root (rewards: least deviation) [default: 1e-4; rewards: 1e-8]
    #[arg(long, value_name = "X", value_parser = not_negative, allow_negative_numbers = true)]
    pub epsilon: Option<f64>,
    /// Bound of normalized values; inf for none [default: 10]
    #[arg(long, value_name = "X", value_parser = clip, allow_negative_numbers = true)]
    pub clip: Option<f64>,
    /// Weight of the initial state in rows (full history) [default: 1e-4; rewards: 0]
    #[arg(long, value_name = "N", value_parser = not_negative, allow_negative_numbers = true)]
    pub initial_count: Option<f64>,
    /// How a moving average gets past its initial state: none, debias or welford:N
    #[arg(long, value_name = "HOW", value_parser = Warmup::from_str)]
    pub warmup: Option<Warmup>,
    /// Keep the variance at or above this share of the batch's
    #[arg(long, value_name = "F", value_parser = not_negative, allow_negative_numbers = true)]
    pub variance_floor: Option<f64>,
    /// Correct a moving average for its initial state when it is used
    #[arg(long, value_enum)]
    pub bias_correction: Option<CorrectionArg>,
    /// Whose statistics
    #[arg(long, value_enum, default_value = "shared")]
    pub scope: ScopeArg,
    /// How environments are aligned in time: row, episode-step or a column's name
    #[arg(long, value_name = "CLOCK", default_value = "row")]
    pub clock: String,
    /// Rows that training rolled back [default: drop; preset esper: keep]
    #[arg(long, value_enum)]
    pub rollback: Option<RollbackArg>,
    /// What a reward is divided by [default: reward; presets sb3, gymnasium, rsl-rl: return]
    #[arg(long, value_enum)]
    pub reward_scale: Option<RewardScaleArg>,
    /// Discount of the return
    #[arg(long, value_name = "G", value_parser = momentum, allow_negative_numbers = true)]
    pub gamma: Option<f64>,
    /// When an environment's discounted return begins anew [default: episode-end]
    #[arg(long, value_enum)]
    pub return_reset: Option<ReturnResetArg>,
    /// When environments reset: a row that only resets one is in no return [default: auto]
    #[arg(long, value_enum)]
    pub autoreset: Option<AutoresetArg>,
    /// Carry the statistics from one run to the next
    #[arg(long)]
    pub carry_over: bool,
    /// Malformed rows and files
    #[arg(long, value_enum, default_value = "error")]
    pub on_bad: OnBadArg,
}

fn number(text: &str) -> Result<f64, String> {
    f64::from_str(text).ok().filter(|x| !x.is_nan()).ok_or_else(|| format!("'{text}' is not a number"))
}

pub(super) fn momentum(text: &str) -> Result<f64, String> {
    number(text)?
        .clamp(0.0, 1.0)
        .eq(&number(text)?)
        .then(|| number(text))
        .ok_or("expected a number in [0, 1]")?
}

fn not_negative(text: &str) -> Result<f64, String> {
    let value = number(text)?;
    if (0.0..f64::INFINITY).contains(&value) {
        Ok(value)
    } else {
        Err("expected a number at or above 0".to_owned())
    }
}

fn clip(text: &str) -> Result<f64, String> {
    let value = number(text)?;
    if value > 0.0 { Ok(value) } else { Err("expected a number above 0, or inf".to_owned()) }
}

impl RuleArgs {
    /// How training normalized, as a value: the conventions of `base`, else the contract's, with what flags change.
    ///
    /// # Errors
    /// Arguments that contradict each other.
    pub(super) fn analysis(&self, context: &Context, base: Base) -> Result<RuleAnalysis, CommandError> {
        let Base { preset, momentum, memories } = base;
        let target = Target::from(self.target);
        let conventions = conventions(preset, target, momentum)?;
        let rule = self.rule(conventions.rule, momentum);
        let update_every = self.update_every.unwrap_or(conventions.granularity);
        let memories = memories.unwrap_or(Memories::of(&rule));
        self.check(&rule, update_every, memories)?;
        let return_scale = self.return_scale(&conventions)?;
        self.check_effect(&rule, return_scale, memories)?;
        Ok(RuleAnalysis {
            preset,
            update_every,
            order: rule.order,
            scope: match self.scope {
                ScopeArg::Shared => Scope::Shared,
                ScopeArg::Env => Scope::Env,
            },
            epsilon: rule.divisor.epsilon(),
            clip: rule.clip,
            gamma: return_scale.map(|scale| scale.gamma),
            target,
            rule,
            rollback: match self.rollback {
                Some(RollbackArg::DropBatch) => Rollback::DropBatch,
                Some(RollbackArg::Keep) => Rollback::Keep,
                None if conventions.keeps_rolled_back => Rollback::Keep,
                Some(RollbackArg::Drop) | None => Rollback::Drop,
            },
            return_reset: return_scale.map(|scale| scale.reset),
            autoreset: self.autoreset.map(AutoresetRule::from),
            carry_over: self.carry_over,
            reading: StepReading {
                columns: context.columns()?.to_map(),
                values: self.obs.clone(),
                dimensions: Vec::new(),
                clock: self.clock.clone(),
                on_bad: self.on_bad.into(),
            },
        })
    }

    /// Whether any flag asks for a rule of its own. What no framework fixes does not: a discount, when environments
    /// reset, what is read and what is left out.
    pub(super) fn fixes_rule(&self) -> bool {
        self.update_every.is_some()
            || self.initial_count.is_some()
            || self.warmup.is_some()
            || self.variance_floor.is_some()
            || self.reward_scale.is_some()
            || self.return_reset.is_some()
    }

    /// A flag about how values are normalized or rows are read that was given, observations apart.
    pub(super) fn changed(&self) -> Option<&'static str> {
        let given = [
            ("target", self.target != TargetArg::Obs),
            ("update-every", self.update_every.is_some()),
            ("order", self.order.is_some()),
            ("epsilon", self.epsilon.is_some()),
            ("clip", self.clip.is_some()),
            ("initial-count", self.initial_count.is_some()),
            ("warmup", self.warmup.is_some()),
            ("variance-floor", self.variance_floor.is_some()),
            ("bias-correction", self.bias_correction.is_some()),
            ("scope", self.scope != ScopeArg::Shared),
            ("clock", self.clock != "row"),
            ("rollback", self.rollback.is_some()),
            ("reward-scale", self.reward_scale.is_some()),
            ("gamma", self.gamma.is_some()),
            ("return-reset", self.return_reset.is_some()),
            ("autoreset", self.autoreset.is_some()),
            ("carry-over", self.carry_over),
            ("on-bad", self.on_bad != OnBadArg::Error),
        ];
        given.into_iter().find(|(_, is_given)| *is_given).map(|(flag, _)| flag)
    }

    /// Flags about how a state is used, which say nothing of the state itself.
    pub(super) fn about_use(&self) -> Option<&'static str> {
        let given = [
            ("--order", self.order.is_some()),
            ("--epsilon", self.epsilon.is_some()),
            ("--clip", self.clip.is_some()),
            ("--bias-correction", self.bias_correction.is_some()),
        ];
        given.into_iter().find(|(_, is_given)| *is_given).map(|(flag, _)| flag)
    }

    /// Rollouts that the learner normalizes again at their end, unless a flag says otherwise.
    pub(super) fn learn_every(analysis: &RuleAnalysis) -> Option<Granularity> {
        let learns_later =
            analysis.preset.and_then(|preset| preset.conventions(analysis.target))?.learns_later;
        match (learns_later, analysis.update_every) {
            (false, _) => None,
            (true, rollout @ Granularity::Rollout(_)) => Some(rollout),
            // What rsl_rl collects between two updates of the policy, unless told otherwise.
            (true, _) => Some(Granularity::Rollout(24)),
        }
    }

    /// Refuses flags that would change nothing.
    fn check_effect(
        &self,
        rule: &Rule,
        return_scale: Option<ReturnScale>,
        memories: Memories,
    ) -> Result<(), CommandError> {
        let has_return_scale = return_scale.is_some();
        let has_exact_correction = rule.correction == Correction::Exact;
        let idle = if !self.obs.is_empty() && self.target != TargetArg::Obs {
            Some(("obs", "names observations, and others are normalized", "leave --target or --obs out"))
        } else if self.gamma.is_some() && !has_return_scale {
            Some((
                "gamma",
                "discounts a return, and nothing is scaled by one",
                "add --target reward --reward-scale return",
            ))
        } else if self.return_reset.is_some() && !has_return_scale {
            Some((
                "return-reset",
                "is about a return, and nothing is scaled by one",
                "add --target reward --reward-scale return",
            ))
        } else if self.autoreset.is_some() && !has_return_scale {
            Some((
                "autoreset",
                "is about rows in no return, and nothing is scaled by one",
                "add --target reward --reward-scale return",
            ))
        } else if self.initial_count.is_some()
            && !memories.has_full
            && !matches!(rule.warmup, Warmup::Welford(_))
        {
            Some((
                "initial-count",
                "weighs the initial state of full history; a moving average has none",
                "leave it out, or leave --momentum out",
            ))
        } else if self.bias_correction.is_some_and(|c| c != CorrectionArg::None) && !memories.has_moving {
            Some(("bias-correction", "is about a moving average", "give --momentum M, or leave it out"))
        } else if rule.warmup == Warmup::Debias && has_exact_correction {
            Some((
                "warmup",
                "debias leaves nothing of the initial state that --bias-correction exact could remove",
                "use one of the two",
            ))
        } else {
            None
        };
        idle.map_or(Ok(()), |(flag, reason, hint)| Err(CommandError::idle(flag, reason, hint)))
    }

    /// Refuses arguments that contradict each other.
    fn check(&self, rule: &Rule, update_every: Granularity, memories: Memories) -> Result<(), CommandError> {
        refuse_doubled("obs", &self.obs)?;
        if update_every == Granularity::Episode && rule.order == Order::UpdateFirst {
            return Err(CommandError::usage(
                "--update-every episode with --order update-first: an episode's batch is complete only at its end, \
                 when rows of other environments are already out",
                "use --order normalize-first, or --update-every rollout:N",
            ));
        }
        if update_every == Granularity::Episode && self.scope == ScopeArg::Env {
            return Err(CommandError::usage(
                "--update-every episode gathers an episode over all environments; --scope env keeps them apart",
                "use one of the two",
            ));
        }
        if update_every == Granularity::Episode && self.rollback == Some(RollbackArg::DropBatch) {
            return Err(CommandError::usage(
                "--update-every episode with --rollback drop-batch: an episode's first rows are out before a later \
                 one is known to be rolled back",
                "use --rollback drop, which leaves out the rows themselves, or --update-every rollout:N",
            ));
        }
        if !memories.has_moving && self.warmup.is_some_and(|w| w != Warmup::None) {
            return Err(CommandError::idle(
                "warmup",
                "is about a moving average",
                "give --momentum M, or leave --warmup out",
            ));
        }
        Ok(())
    }

    /// The preset's rule with what single flags change.
    fn rule(&self, mut rule: Rule, momentum: Option<f64>) -> Rule {
        if let Some(momentum) = momentum {
            let unit = match rule.memory {
                Memory::Ema { unit, .. } => unit,
                Memory::Welford => MomentumUnit::Update,
            };
            rule.memory = Memory::Ema { momentum, unit };
        }
        if let Some(order) = self.order {
            rule.order = match order {
                OrderArg::NormalizeFirst => Order::NormalizeFirst,
                OrderArg::UpdateFirst => Order::UpdateFirst,
            };
        }
        if let Some(epsilon) = self.epsilon {
            let divisor = rule.divisor;
            rule.divisor = if divisor.outside_root > 0.0 {
                Divisor::outside(epsilon)
            } else if divisor.inside_root == 0.0 && divisor.min > 0.0 {
                Divisor { min: epsilon, ..divisor }
            } else {
                Divisor { inside_root: epsilon, ..divisor }
            };
        }
        if let Some(clip) = self.clip {
            rule.clip = clip.is_finite().then_some(clip);
        }
        rule.initial_count = self.initial_count.unwrap_or(rule.initial_count);
        rule.warmup = self.warmup.unwrap_or(rule.warmup);
        rule.variance_floor = self.variance_floor.or(rule.variance_floor);
        rule.correction = match self.bias_correction {
            Some(CorrectionArg::None) => Correction::None,
            Some(CorrectionArg::Exact) => Correction::Exact,
            Some(CorrectionArg::Torchrl) => Correction::TorchRl,
            None => rule.correction,
        };
        rule
    }

    fn return_scale(&self, conventions: &Conventions) -> Result<Option<ReturnScale>, CommandError> {
        let is_reward = self.target == TargetArg::Reward;
        let wants = match self.reward_scale {
            Some(RewardScaleArg::Return) => true,
            Some(RewardScaleArg::Reward) => false,
            None => conventions.return_scale.is_some(),
        };
        if self.reward_scale.is_some() && !is_reward {
            return Err(CommandError::usage("--reward-scale is about rewards", "add --target reward"));
        }
        if !wants {
            return Ok(None);
        }
        let known = conventions.return_scale;
        Ok(Some(ReturnScale {
            gamma: self.gamma.or(known.map(|scale| scale.gamma)).unwrap_or(0.99),
            reset: match self.return_reset {
                Some(ReturnResetArg::EpisodeEnd) => ReturnReset::EpisodeEnd,
                Some(ReturnResetArg::TerminalStep) => ReturnReset::TerminalStep,
                Some(ReturnResetArg::TerminationOnly) => ReturnReset::TerminationOnly,
                Some(ReturnResetArg::Never) => ReturnReset::Never,
                Some(ReturnResetArg::Autoreset) => ReturnReset::Autoreset,
                None => known.map_or(ReturnReset::EpisodeEnd, |scale| scale.reset),
            },
        }))
    }
}

/// The preset's conventions, else the contract's.
fn conventions(
    preset: Option<Preset>,
    target: Target,
    momentum: Option<f64>,
) -> Result<Conventions, CommandError> {
    let Some(preset) = preset else {
        let memory = momentum.map_or(Memory::Welford, Memory::ema);
        return Ok(Conventions::default_for(target, memory));
    };
    preset.conventions(target).ok_or_else(|| {
        CommandError::usage(
            format!("{} does not normalize --target {}", preset.name(), target.name()),
            "choose another preset, or leave it out",
        )
    })
}
