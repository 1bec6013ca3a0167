//! Interactions: the document `simic.interactions/1`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::analysis::IntervalKind;
use super::games::{GameAnalysis, GameName, SummaryNumbers};
use super::grouping::Grouping;
use super::metric::Direction;
use super::shapley::{MethodUsed, ShapleyInput};
use crate::attribution::{
    Cluster, Contribution, InteractionIndex, InteractionResult, InteractionSettings, InteractionSummaries,
    InteractionSummary, Method, Orientation, Regime, RegimeRule, Term,
};
use crate::stats::ConfidenceInterval;

/// Schema of the document.
pub const INTERACTIONS_SCHEMA: &str = "simic.interactions/1";

/// `analyze interactions` as it was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InteractionAnalysis {
    /// Which index.
    pub index: InteractionIndex,
    /// Most players of a term.
    pub order: usize,
    /// Only terms among these players; null for all.
    pub among: Option<Vec<String>>,
    /// Smallest effect that matters, in units of the value.
    pub regime_threshold: f64,
    /// Slots that belong together.
    #[serde(flatten)]
    pub grouping: Grouping,
    /// What every analysis of games is asked.
    #[serde(flatten)]
    pub games: GameAnalysis,
}

impl InteractionAnalysis {
    /// What was left open, said as it was decided for one value column: its name and which way it is good.
    #[must_use]
    pub fn settled(&self, value: &str) -> Self {
        Self { games: self.games.settled(value), ..self.clone() }
    }

    /// What the engine is asked, once it is settled which way the value is good.
    pub fn engine(&self) -> InteractionSettings {
        InteractionSettings {
            index: self.index,
            order: self.order,
            among: self.among.clone().unwrap_or_default(),
            confidence: self.games.confidence,
            regime: RegimeRule {
                threshold: self.regime_threshold,
                orientation: match self.games.better {
                    Some(Direction::Lower) => Orientation::Lower,
                    Some(Direction::Higher) | None => Orientation::Higher,
                },
            },
        }
    }
}

/// Interactions of one value column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InteractionDocument {
    /// `simic.interactions/1`.
    #[schemars(extend("const" = INTERACTIONS_SCHEMA))]
    pub schema: String,
    /// What was found, in sentences.
    #[serde(default)]
    pub verdict: Vec<String>,
    /// Value column.
    pub value: String,
    /// The values of the columns that make groups which the games have in common; absent without groups.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub group: BTreeMap<String, String>,
    /// Which way it is good; null if its name does not tell and nobody said.
    pub direction: Option<Direction>,
    /// Which index.
    pub index: InteractionIndex,
    /// Most players of a term.
    pub order: usize,
    /// Method used: exact, or the fit of a game of pairs.
    pub method: MethodUsed,
    /// Level of intervals and tests.
    pub confidence: f64,
    /// How intervals over units were made.
    pub ci: IntervalKind,
    /// Independent unit over games.
    pub cluster: Cluster,
    /// Share of the variance of episodes that lies between runs, over all terms together; null where nothing tells it.
    pub between_runs: Option<f64>,
    /// Seed.
    pub seed: u64,
    /// Games in order of key.
    pub games: Vec<InteractionGame>,
    /// Terms over games, by number of players and then in natural order.
    pub summary: Vec<InteractionRow>,
    /// What was read and what was left out.
    pub input: ShapleyInput,
    /// Everything the numbers depend on besides the input.
    pub settings: InteractionAnalysis,
}

/// The terms of one game.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InteractionGame {
    /// Which game.
    #[serde(flatten)]
    pub name: GameName,
    /// Players.
    pub n_players: usize,
    /// Distinct coalitions recorded.
    pub n_coalitions: usize,
    /// Method used.
    pub method: Method,
    /// v(empty).
    pub baseline: Option<f64>,
    /// v(N).
    pub full: Option<f64>,
    /// Sum of all terms less (full - baseline); null for an index that need not add up, and where only some terms are asked for.
    pub efficiency_gap: Option<f64>,
    /// Whether the numbers are those of a fit to some of the coalitions.
    pub biased: bool,
    /// Rows left out because they agree to the bit with an evaluation of their coalition among fresh ones.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub copies: u64,
    /// The largest factor on errors of recorded values in a fitted effect; absent without a fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<f64>,
    /// Weighted R^2 of the fit; absent without one, and where recorded values do not differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r_squared: Option<f64>,
    /// By number of players, then in player order.
    #[schemars(with = "Vec<TermRow>")]
    pub terms: Terms,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// The terms of a game as the analysis gave them: rows are made when they are asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// Shared by all games of a campaign.
    names: Arc<[Term]>,
    values: Vec<Contribution>,
}

impl Terms {
    /// One row per term.
    pub fn rows(&self) -> impl Iterator<Item = TermRow<'_>> {
        self.names.iter().zip(&self.values).map(|(term, value)| TermRow::of(term, value))
    }
}

impl Serialize for Terms {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.rows())
    }
}

impl<'de> Deserialize<'de> for Terms {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rows: Vec<TermRow<'static>> = Vec::deserialize(deserializer)?;
        let values = rows.iter().map(TermRow::contribution).collect();
        let names = rows.into_iter().map(|row| Term::new(row.players.into_owned())).collect();
        Ok(Self { names, values })
    }
}

/// One term in one game.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TermRow<'a> {
    /// Its players.
    pub players: Cow<'a, [String]>,
    /// Value of the index.
    pub value: f64,
    /// Standard error from repeated evaluations; null without them.
    pub stderr: Option<f64>,
    /// Lower end of the interval from them.
    pub ci_low: Option<f64>,
    /// Upper end of the interval from them.
    pub ci_high: Option<f64>,
    /// What it amounts to: by the interval, or where there are no repeats by the recorded table as it stands. Absent for
    /// single players.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regime: Option<Regime>,
}

impl<'a> TermRow<'a> {
    fn of(term: &'a Term, value: &Contribution) -> Self {
        Self {
            players: Cow::Borrowed(term.players()),
            value: value.value,
            stderr: value.standard_error,
            ci_low: value.interval.map(|interval| interval.low),
            ci_high: value.interval.map(|interval| interval.high),
            regime: value.regime,
        }
    }

    fn contribution(&self) -> Contribution {
        Contribution {
            value: self.value,
            standard_error: self.stderr,
            interval: self.ci_low.zip(self.ci_high).map(|(low, high)| ConfidenceInterval { low, high }),
            regime: self.regime,
        }
    }
}

/// One term over all units in which all its players play.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InteractionRow {
    /// Its players.
    pub players: Vec<String>,
    /// Mean, interval and test.
    #[serde(flatten)]
    pub numbers: SummaryNumbers,
    /// What it amounts to, by the interval over units; null for single players.
    #[serde(default)]
    pub regime: Option<Regime>,
}

impl InteractionDocument {
    /// The document of an analysis, whose settings name one value column and its direction.
    pub fn new(
        settings: InteractionAnalysis,
        games: Vec<InteractionResult>,
        summary: &InteractionSummaries,
        input: ShapleyInput,
    ) -> Self {
        let group = games
            .first()
            .map_or_else(BTreeMap::new, |game| settings.games.reading.named_group(&game.key.group));
        let games: Vec<InteractionGame> = games.into_iter().map(InteractionGame::of).collect();
        let asked = GameAnalysis { cluster: summary.cluster.into(), ..settings.games };
        Self {
            schema: INTERACTIONS_SCHEMA.to_owned(),
            verdict: Vec::new(),
            value: asked.value.first().cloned().unwrap_or_default(),
            group,
            direction: asked.better,
            index: settings.index,
            order: settings.order,
            method: MethodUsed::of_methods(games.iter().map(|game| game.method)),
            confidence: asked.confidence.get(),
            ci: asked.ci,
            cluster: summary.cluster,
            between_runs: summary.between_runs,
            seed: asked.seed,
            games,
            summary: summary.terms.iter().map(InteractionRow::of).collect(),
            input,
            settings: InteractionAnalysis { games: asked, ..settings },
        }
    }

    /// Runs behind the games.
    pub fn n_runs(&self) -> usize {
        self.games.iter().map(|game| &*game.name.run_id).collect::<BTreeSet<_>>().len()
    }

    /// Episodes of all runs behind the games.
    pub fn n_episodes(&self) -> usize {
        self.games.iter().map(|game| (&*game.name.run_id, game.name.episode)).collect::<BTreeSet<_>>().len()
    }
}

impl InteractionGame {
    fn of(game: InteractionResult) -> Self {
        Self {
            name: GameName::of(&game.key),
            n_players: game.n_players,
            n_coalitions: game.n_coalitions,
            method: game.method,
            baseline: game.baseline,
            full: game.full,
            efficiency_gap: game.efficiency_gap,
            biased: game.biased,
            copies: game.n_copies,
            condition: game.condition,
            r_squared: game.r_squared,
            terms: Terms { names: game.terms, values: game.values },
        }
    }
}

impl InteractionRow {
    fn of(row: &InteractionSummary) -> Self {
        Self {
            players: row.summary.term.players().to_vec(),
            numbers: SummaryNumbers::of(&row.summary),
            regime: row.regime,
        }
    }
}
