//! The rules a stored state is compared under: the one asked for, and those of every framework that can apply.

use std::path::Path;

use super::plan::Plan;
use super::settings::{Base, RuleArgs};
use super::stored::{Expected, check};
use crate::commands::{CommandError, Context};
use crate::normalization::{Memory, MomentumUnit, Preset, Prior, Rule, Target};
use crate::records::StoredState;
use crate::results::{AskedRule, RuleAnalysis};

/// A rule to compare with.
pub(super) struct Candidate {
    pub(super) rule: RuleAnalysis,
    pub(super) plan: Plan,
}

/// A framework whose rule cannot be the state's.
pub(super) struct LeftOut {
    pub(super) preset: Preset,
    pub(super) reason: String,
}

/// The rules a state is compared under, the one asked for first.
pub(super) struct Candidates {
    pub(super) asked: AskedRule,
    pub(super) rules: Vec<Candidate>,
    pub(super) left_out: Vec<LeftOut>,
}

/// What candidates are made of.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) args: &'a RuleArgs,
    pub(super) momentum: Option<f64>,
    pub(super) path: &'a Path,
    pub(super) stored: &'a StoredState,
    pub(super) context: &'a Context,
}

impl Sources<'_> {
    /// The rule asked for (under `asked` auto: what the file says of itself, else the contract's own), and every
    /// framework's.
    ///
    /// # Errors
    /// If the rule asked for contradicts itself or the file, or no rule at all can apply.
    pub(super) fn candidates(
        &self,
        asked: AskedRule,
        preset: Option<Preset>,
    ) -> Result<Candidates, CommandError> {
        let own = self.candidate(preset);
        let mut found = Candidates { asked, rules: Vec::new(), left_out: Vec::new() };
        let refused = match (own, asked) {
            (Ok(own), _) => {
                found.rules.push(own);
                None
            }
            (Err(error), AskedRule::Auto) => Some(error),
            (Err(error), _) => return Err(error),
        };
        if asked != AskedRule::Flags {
            for other in Preset::ALL.into_iter().filter(|other| Some(*other) != preset) {
                match self.applicable(other) {
                    Ok(candidate) => found.rules.push(candidate),
                    Err(reason) => found.left_out.push(LeftOut { preset: other, reason }),
                }
            }
        }
        match refused {
            Some(error) if found.rules.is_empty() => Err(error),
            _ => Ok(found),
        }
    }

    /// The rule of a framework, or the contract's own, with what the file and flags say.
    fn candidate(&self, preset: Option<Preset>) -> Result<Candidate, CommandError> {
        // What the file says about itself is taken unless a flag says otherwise.
        let momentum = self.momentum.or(self.stored.momentum);
        let mut rule = self.args.analysis(self.context, Base { preset, momentum, memories: None })?;
        if let (Some(prior), None) = (self.stored.initial, self.args.initial_count) {
            rule.rule = rule.rule.from_prior(prior);
        }
        if let (Memory::Ema { unit, .. }, None) = (&mut rule.rule.memory, self.momentum)
            && self.stored.momentum.is_some()
        {
            *unit = self.stored.momentum_unit;
        }
        check(self.path, self.stored, Expected::of_rule(&rule))?;
        Ok(Candidate { plan: Plan::of(&rule, false), rule })
    }

    /// The rule of a framework, unless the file says that it is not its.
    fn applicable(&self, preset: Preset) -> Result<Candidate, String> {
        let target = Target::from(self.args.target);
        let Some(conventions) = preset.conventions(target) else {
            return Err(format!("it does not normalize {}", target.plural()));
        };
        if let Some(reason) = contradiction(self.stored, &conventions.rule) {
            return Err(reason);
        }
        self.candidate(Some(preset)).map_err(|error| error.to_string())
    }
}

/// Why the state in a file cannot be one of `rule`, by what the file says of itself.
fn contradiction(stored: &StoredState, rule: &Rule) -> Option<String> {
    let kind = |name: &str| if name == "ema" { "a moving average" } else { "full history" };
    if let Some(found) = stored.kind.as_deref().filter(|kind| *kind != rule.memory.name()) {
        return Some(format!("the file says {}, it keeps {}", kind(found), kind(rule.memory.name())));
    }
    if stored.momentum.is_some() && stored.momentum_unit != rule.memory.unit() {
        let unit = |unit: MomentumUnit| match unit {
            MomentumUnit::Update => "an update",
            MomentumUnit::Row => "a row",
        };
        let (found, own) = (unit(stored.momentum_unit), unit(rule.memory.unit()));
        return Some(format!("the file's momentum is one of {found}, its own one of {own}"));
    }
    let prior = stored.initial.filter(|prior| !is_same_beginning(rule.memory, *prior, rule.prior()))?;
    let words = |prior: Prior| match rule.memory {
        Memory::Welford if prior.count == 0.0 => "nothing".to_owned(),
        Memory::Welford => format!("{} rows of ({}, {})", prior.count, prior.mean, prior.var),
        Memory::Ema { .. } => format!("({}, {})", prior.mean, prior.var),
    };
    Some(format!("the file began with {}, it begins with {}", words(prior), words(rule.prior())))
}

/// Whether two initial states lead to the same ones: one of no weight may be any.
fn is_same_beginning(memory: Memory, a: Prior, b: Prior) -> bool {
    let is_same = |a: f64, b: f64| (a - b).abs() <= 1e-12;
    let has_same_moments = is_same(a.mean, b.mean) && is_same(a.var, b.var);
    match memory {
        Memory::Welford => is_same(a.count, b.count) && (b.count == 0.0 || has_same_moments),
        Memory::Ema { .. } => has_same_moments,
    }
}
