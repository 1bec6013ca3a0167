//! Everything a walk through a recording needs to know.

use crate::normalization::{Autoreset, AutoresetRule, Granularity, Order, ReturnScale, Rule, Target};
use crate::records::{Clock, ColumnMap, StepOptions, StepSizes, StepTarget};
use crate::results::{Rollback, RuleAnalysis};

/// Everything a replay needs to know.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) target: Target,
    pub(super) rule: Rule,
    pub(super) granularity: Granularity,
    pub(super) per_env: bool,
    pub(super) rollback: Rollback,
    pub(super) return_scale: Option<ReturnScale>,
    pub(super) autoreset: AutoresetRule,
    /// When the environments of each run reset, once the recording is open; empty where that decides on nothing.
    pub(super) autoresets: Vec<Autoreset>,
    pub(super) carry_over: bool,
    pub(super) options: StepOptions,
}

impl Plan {
    /// Whether batches must be whole before anything is done with them.
    pub(super) fn holds_batches(&self) -> bool {
        self.rule.order == Order::UpdateFirst || self.rollback == Rollback::DropBatch
    }

    /// What a replay under `analysis` needs to know.
    pub(super) fn of(analysis: &RuleAnalysis, carries_columns: bool) -> Self {
        let reading = &analysis.reading;
        Self {
            target: analysis.target,
            rule: analysis.rule,
            granularity: analysis.update_every,
            per_env: analysis.is_per_env(),
            rollback: analysis.rollback,
            return_scale: analysis.return_scale(),
            autoreset: analysis.autoreset.unwrap_or(AutoresetRule::Auto),
            autoresets: Vec::new(),
            carry_over: analysis.carry_over,
            options: StepOptions {
                columns: ColumnMap::of_map(&reading.columns).with_obs(&reading.values),
                target: match analysis.target {
                    Target::Obs => StepTarget::Obs,
                    Target::Reward => StepTarget::Reward,
                    Target::Return => StepTarget::Return,
                },
                clock: match reading.clock.as_str() {
                    "row" => Clock::Row,
                    "episode-step" => Clock::EpisodeStep,
                    name => Clock::Column(name.to_owned()),
                },
                needs_round: analysis.update_every == Granularity::Round,
                needs_episode_ends: analysis.update_every == Granularity::Episode,
                carries_columns,
                on_bad: reading.on_bad,
                sizes: StepSizes::default(),
            },
        }
    }
}
