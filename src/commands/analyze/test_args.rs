//! Flags about how statements over units are tested.

use clap::{Args, ValueEnum};

use crate::attribution::ClusterRequest;
use crate::commands::CommandError;
use crate::results::{AdjustKind, IntervalKind, TestKind, Testing};
use crate::stats::ConfidenceLevel;

/// How statements over units are tested.
#[derive(Debug, Clone, Args)]
pub(super) struct TestArgs {
    /// How p values of one report are adjusted for their number [default: holm]
    #[arg(long, value_enum)]
    pub(super) adjust: Option<AdjustArg>,
    /// Where p values over units come from [default: the distribution of --ci]
    #[arg(long, value_enum)]
    pub(super) test: Option<TestArg>,
    /// Intervals over units that hold all together, by sign flips, instead of each for itself
    #[arg(long)]
    pub(super) simultaneous: bool,
}

/// Adjustment for multiplicity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum AdjustArg {
    /// Holm: the chance of any false finding
    Holm,
    /// Benjamini and Hochberg: the share of false findings
    Bh,
    /// Benjamini and Yekutieli: the same under any dependence
    By,
}

/// Source of p values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum TestArg {
    /// The distribution that intervals are made by
    Interval,
    /// Flips of the units' signs: exact up to 20 units
    SignFlip,
}

impl TestArgs {
    /// What is asked, as a value.
    ///
    /// # Errors
    /// Simultaneous intervals by another way than theirs.
    pub(super) fn testing(&self, ci: IntervalKind) -> Result<Testing, CommandError> {
        if self.simultaneous && ci != IntervalKind::T {
            return Err(CommandError::usage(
                "--simultaneous makes its intervals by sign flips; it has no other --ci",
                "leave --ci out",
            ));
        }
        Ok(Testing {
            adjust: match self.adjust {
                None | Some(AdjustArg::Holm) => AdjustKind::Holm,
                Some(AdjustArg::Bh) => AdjustKind::Bh,
                Some(AdjustArg::By) => AdjustKind::By,
            },
            test: match self.test {
                None | Some(TestArg::Interval) => TestKind::Interval,
                Some(TestArg::SignFlip) => TestKind::SignFlip,
            },
            simultaneous: self.simultaneous,
        })
    }

    /// The same as far as the number of runs tells: where they are the units, there are no more.
    ///
    /// # Errors
    /// Likewise.
    pub(super) fn check_runs(
        &self,
        cluster: ClusterRequest,
        n_runs: usize,
        level: ConfidenceLevel,
    ) -> Result<(), CommandError> {
        match cluster {
            ClusterRequest::Run => self.check(n_runs as u64, level),
            ClusterRequest::Auto if n_runs > 1 => self.check(n_runs as u64, level),
            ClusterRequest::Auto | ClusterRequest::Episode | ClusterRequest::Game => Ok(()),
        }
    }

    /// Refuses flags that changed nothing, or ask more than `n_units` units can tell.
    ///
    /// # Errors
    /// The first such flag, with the reason.
    pub(super) fn check(&self, n_units: u64, level: ConfidenceLevel) -> Result<(), CommandError> {
        let given = [
            ("adjust", self.adjust.is_some()),
            ("test", self.test.is_some()),
            ("simultaneous", self.simultaneous),
        ];
        if let Some((flag, _)) = given.into_iter().find(|(_, is_given)| *is_given && n_units < 2) {
            return Err(CommandError::idle(
                flag,
                "changes nothing here: it is about statements over units, and there is one unit",
                format!("leave --{flag} out"),
            ));
        }
        // 2^(n-1) patterns of signs, of which a share of 1 - level lies beyond the interval.
        let needed = 1.0 + (1.0 / (1.0 - level.get())).log2() - 1e-9;
        if self.test == Some(TestArg::SignFlip) && (n_units as f64) < needed {
            return Err(CommandError::usage(
                format!(
                    "--test sign-flip of {n_units} units finds nothing: this level needs at least {}",
                    needed.ceil()
                ),
                "leave --test out, or lower --confidence",
            ));
        }
        if self.simultaneous && (n_units as f64) < needed {
            return Err(CommandError::usage(
                format!(
                    "--simultaneous of {n_units} units says nothing: this level needs at least {}",
                    needed.ceil()
                ),
                "leave --simultaneous out, or lower --confidence; p values are adjusted in any case",
            ));
        }
        Ok(())
    }
}
