//! Ablations: the document `simic.ablation/1`.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::analysis::IntervalKind;
use super::games::{GameAnalysis, GameName, SummaryNumbers};
use super::metric::Direction;
use super::shapley::ShapleyInput;
use crate::attribution::{
    AblationResult, AblationSettings, AblationSummary, Cluster, ConvergenceRequest, Measure, MeasuredValue,
    MethodRequest, MissingPolicy, PermutationDesign, PermutationSettings, ShapleySettings,
};

/// Schema of the document.
pub const ABLATION_SCHEMA: &str = "simic.ablation/1";

/// `analyze ablation` as it was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AblationAnalysis {
    /// Pairs of slots whose difference is asked for.
    pub contrast: Vec<[String; 2]>,
    /// What every analysis of games is asked.
    #[serde(flatten)]
    pub games: GameAnalysis,
}

impl AblationAnalysis {
    /// What was left open, said as it was decided for one value column: its name and which way it is good.
    #[must_use]
    pub fn settled(&self, value: &str) -> Self {
        Self { games: self.games.settled(value), ..self.clone() }
    }

    /// What the engine is asked.
    pub fn engine(&self) -> AblationSettings {
        AblationSettings { contrasts: self.contrast.clone(), confidence: self.games.confidence }
    }

    /// What Shapley values are asked: exact ones, or those of recorded walks.
    pub fn shapley(&self) -> ShapleySettings {
        ShapleySettings {
            method: MethodRequest::Auto,
            permutations: PermutationSettings {
                n_permutations: 0,
                design: PermutationDesign::Plain,
                antithetic: true,
                seed: self.games.seed,
            },
            missing: MissingPolicy::Error,
            convergence: ConvergenceRequest::default(),
            marginal_deviations: false,
            range: None,
            monotone: None,
            confidence: self.games.confidence,
            interval: self.games.inference().interval,
        }
    }
}

/// Ablations in one value column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AblationDocument {
    /// `simic.ablation/1`.
    #[schemars(extend("const" = ABLATION_SCHEMA))]
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
    /// Level of intervals and tests.
    pub confidence: f64,
    /// How intervals over units were made.
    pub ci: IntervalKind,
    /// Independent unit over games.
    pub cluster: Cluster,
    /// Share of the variance of episodes that lies between runs, over all rows together; null where nothing tells it.
    pub between_runs: Option<f64>,
    /// Seed.
    pub seed: u64,
    /// Games in order of key.
    pub games: Vec<AblationGame>,
    /// One row per slot and measure over games; slots in natural order.
    pub summary: Vec<AblationRow>,
    /// One row per contrast and measure over games.
    pub contrasts: Vec<ContrastRow>,
    /// What was read and what was left out.
    pub input: ShapleyInput,
    /// Everything the numbers depend on besides the input.
    pub settings: AblationAnalysis,
}

/// The measures of one game.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AblationGame {
    /// Which game.
    #[serde(flatten)]
    pub name: GameName,
    /// Players.
    pub n_players: usize,
    /// Distinct coalitions recorded.
    pub n_coalitions: usize,
    /// Whether all are, so that marginals are Banzhaf values.
    pub complete: bool,
    /// v(empty).
    pub baseline: Option<f64>,
    /// v(N).
    pub full: Option<f64>,
    /// Rows left out because they agree to the bit with an evaluation of their coalition among fresh ones.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub copies: u64,
    /// Slots in player order.
    pub players: Vec<AblatedPlayer>,
    /// Contrasts between slots of this game.
    pub contrasts: Vec<GameContrast>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// The measures of one slot in one game; null where the rows for one are missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AblatedPlayer {
    /// The slot.
    pub slot_id: String,
    /// The measures.
    #[serde(flatten)]
    pub measures: Measures,
    /// Whether some measure is above 0 and another below.
    pub sign_disagreement: bool,
}

/// The first slot's measures less the second's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GameContrast {
    /// The slot.
    pub first: String,
    /// The slot taken away.
    pub second: String,
    /// The differences.
    #[serde(flatten)]
    pub measures: Measures,
}

/// A number per measure; null where the rows for one are missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measures {
    /// v(N) - v(N - i).
    pub removal_cost: Option<MeasureValue>,
    /// v({i}) - v(empty).
    pub first_in: Option<MeasureValue>,
    /// Mean with the slot less mean without, over recorded coalitions; the Banzhaf value where all are.
    pub marginal: Option<MeasureValue>,
    /// Shapley value: exact, or of recorded walks.
    pub shapley: Option<MeasureValue>,
}

/// A number of one game with its uncertainty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeasureValue {
    /// Value.
    pub value: f64,
    /// Standard error; null without repeated evaluations.
    pub stderr: Option<f64>,
    /// Lower end of the interval.
    pub ci_low: Option<f64>,
    /// Upper end of the interval.
    pub ci_high: Option<f64>,
}

/// One slot and measure over all units that have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AblationRow {
    /// The slot.
    pub slot_id: String,
    /// The measure.
    pub measure: Measure,
    /// Mean, interval and test.
    #[serde(flatten)]
    pub numbers: SummaryNumbers,
    /// Whether the mean of some measure of the slot is above 0 and that of another below.
    pub sign_disagreement: bool,
    /// Whether their intervals are.
    pub sign_disagreement_beyond_intervals: bool,
}

/// One contrast and measure over all units that have both slots.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContrastRow {
    /// The slot.
    pub first: String,
    /// The slot taken away.
    pub second: String,
    /// The measure.
    pub measure: Measure,
    /// Mean of the differences, interval and test.
    #[serde(flatten)]
    pub numbers: SummaryNumbers,
}

impl Measures {
    /// From values in the order of [`Measure::ALL`].
    fn of(values: &[Option<MeasuredValue>]) -> Self {
        let at = |measure: Measure| values[measure as usize].as_ref().map(MeasureValue::of);
        Self {
            removal_cost: at(Measure::RemovalCost),
            first_in: at(Measure::FirstIn),
            marginal: at(Measure::Marginal),
            shapley: at(Measure::Shapley),
        }
    }

    /// The value of one measure.
    pub fn get(&self, measure: Measure) -> Option<&MeasureValue> {
        match measure {
            Measure::RemovalCost => self.removal_cost.as_ref(),
            Measure::FirstIn => self.first_in.as_ref(),
            Measure::Marginal => self.marginal.as_ref(),
            Measure::Shapley => self.shapley.as_ref(),
        }
    }
}

impl MeasureValue {
    fn of(value: &MeasuredValue) -> Self {
        Self {
            value: value.value,
            stderr: value.standard_error,
            ci_low: value.interval.map(|interval| interval.low),
            ci_high: value.interval.map(|interval| interval.high),
        }
    }
}

impl AblationGame {
    fn of(game: &AblationResult) -> Self {
        let n_measures = Measure::ALL.len();
        let mut players = Vec::new();
        let mut contrasts = Vec::new();
        let blocks = game.terms.chunks(n_measures).zip(game.values.chunks(n_measures));
        for (place, (terms, values)) in blocks.enumerate() {
            let measures = Measures::of(values);
            match &terms[0].players[..] {
                [slot_id] => players.push(AblatedPlayer {
                    slot_id: slot_id.clone(),
                    measures,
                    sign_disagreement: game.sign_disagreement(place).of_values,
                }),
                [first, second, ..] => {
                    contrasts.push(GameContrast { first: first.clone(), second: second.clone(), measures });
                }
                [] => {}
            }
        }
        Self {
            name: GameName::of(&game.key),
            n_players: game.n_players,
            n_coalitions: game.n_coalitions,
            complete: game.is_complete,
            baseline: game.baseline,
            full: game.full,
            copies: game.n_copies,
            players,
            contrasts,
        }
    }
}

impl AblationDocument {
    /// The document of an analysis, whose settings name one value column and its direction.
    pub fn new(
        settings: AblationAnalysis,
        games: &[AblationResult],
        summary: &AblationSummary,
        input: ShapleyInput,
    ) -> Self {
        let group = games
            .first()
            .map_or_else(BTreeMap::new, |game| settings.games.reading.named_group(&game.key.group));
        let asked = GameAnalysis { cluster: summary.terms.cluster.into(), ..settings.games };
        let mut rows = Vec::new();
        let mut contrasts = Vec::new();
        for term in &summary.terms.terms {
            let (measure, numbers) = (term.term.measure, SummaryNumbers::of(term));
            match &term.term.players[..] {
                [slot_id] => {
                    let disagreement = summary.sign_disagreement(slot_id);
                    rows.push(AblationRow {
                        slot_id: slot_id.clone(),
                        measure,
                        numbers,
                        sign_disagreement: disagreement.of_values,
                        sign_disagreement_beyond_intervals: disagreement.of_intervals,
                    });
                }
                [first, second, ..] => contrasts.push(ContrastRow {
                    first: first.clone(),
                    second: second.clone(),
                    measure,
                    numbers,
                }),
                [] => {}
            }
        }
        Self {
            schema: ABLATION_SCHEMA.to_owned(),
            verdict: Vec::new(),
            value: asked.value.first().cloned().unwrap_or_default(),
            group,
            direction: asked.better,
            confidence: asked.confidence.get(),
            ci: asked.ci,
            cluster: summary.terms.cluster,
            between_runs: summary.terms.between_runs,
            seed: asked.seed,
            games: games.iter().map(AblationGame::of).collect(),
            summary: rows,
            contrasts,
            input,
            settings: AblationAnalysis { games: asked, ..settings },
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
