//! Shapley values: the document `simic.shapley/1`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::analysis::{IntervalKind, ShapleyAnalysis};
use super::convergence::ConvergenceRow;
use super::kernel::KernelRow;
use super::logged::RecordedRow;
use super::metric::{Direction, Metric};
use super::numbers::told;
use super::order::{RankingRow, TrendRow};
use super::skips::{InputCounts, Skipped};
use super::sources::{Plan, SourceRow};
use crate::attribution::{
    Best, Cluster, GameKey, GameResult, Method, MethodRequest, PermutationDesign, PlayerSummary, PlayerValue,
    ShapleyBounds, Summary, UnitMean, player_sources, rank_players, rounding_floor, trends, unit_means,
};
use crate::stats::{ConfidenceInterval, VarianceComponents};

/// Schema of the document.
pub const SHAPLEY_SCHEMA: &str = "simic.shapley/1";

/// The method of all games, or that they differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MethodUsed {
    /// All 2^n coalitions.
    Exact,
    /// Permutations.
    Permutation,
    /// Constrained weighted least squares.
    Kernel,
    /// Intervals only.
    Bounds,
    /// Games came by several methods, or a document made elsewhere does not tell.
    #[default]
    Mixed,
}

impl MethodUsed {
    /// The method used if all games share it.
    pub(super) fn of_methods(mut methods: impl Iterator<Item = Method>) -> Self {
        match methods.next() {
            Some(first) if methods.all(|method| method == first) => match first {
                Method::Exact => Self::Exact,
                Method::Permutation => Self::Permutation,
                Method::Kernel => Self::Kernel,
                Method::Bounds => Self::Bounds,
            },
            _ => Self::Mixed,
        }
    }

    /// The word in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Permutation => "permutation",
            Self::Kernel => "kernel",
            Self::Bounds => "bounds",
            Self::Mixed => "mixed",
        }
    }
}

/// Shapley values of one value column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShapleyDocument {
    /// `simic.shapley/1`.
    #[schemars(extend("const" = SHAPLEY_SCHEMA))]
    pub schema: String,
    /// The conclusion in sentences; documents written before there were any lack it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verdict: Vec<String>,
    /// Value column.
    pub value: String,
    /// The values of the columns that make groups which the games have in common; absent without groups.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub group: BTreeMap<String, String>,
    /// Which way it is good; null if its name does not tell and nobody said.
    #[serde(default)]
    pub direction: Option<Direction>,
    /// Method used.
    #[serde(default)]
    pub method: MethodUsed,
    /// Method asked for.
    #[serde(default = "auto")]
    pub requested_method: MethodRequest,
    /// Level of intervals and tests.
    #[serde(default = "usual")]
    pub confidence: f64,
    /// How intervals over units were made.
    #[serde(default)]
    pub ci: IntervalKind,
    /// Independent unit over games.
    pub cluster: Cluster,
    /// Share of the variance of episodes that lies between runs (intraclass correlation), over all slots together;
    /// null where nothing tells it.
    /// Documents written before 0.2 lack it.
    #[serde(default, deserialize_with = "told", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<f64>")]
    pub between_runs: Option<Option<f64>>,
    /// Seed.
    #[serde(default)]
    pub seed: u64,
    /// Games in order of key.
    pub games: Vec<GameRow>,
    /// Slots over games, in natural order.
    pub summary: Vec<SummaryRow>,
    /// Where the variance of one game's value comes from, slot by slot; absent where not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Vec<SourceRow>>,
    /// How stable the order of the slots is; absent where not asked for, and of few units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranking: Option<RankingRow>,
    /// How values change with the episodes, slot by slot; absent where not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trend: Option<Vec<TrendRow>>,
    /// Estimates that the trainer logged itself, beside the values; absent where not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<Vec<RecordedRow>>,
    /// What would bring intervals to the half-width asked for; absent where none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// What was read and what was left out.
    #[serde(default)]
    pub input: ShapleyInput,
    /// Everything the numbers depend on besides the input; documents written before 0.2 lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<ShapleyAnalysis>,
    /// Unit means behind each row of the summary, where the document comes from the analysis itself.
    #[serde(skip)]
    unit_means: Vec<Vec<UnitMean>>,
}

// What documents made elsewhere (for check --result) need not tell.
fn auto() -> MethodRequest {
    MethodRequest::Auto
}

fn exact() -> Method {
    Method::Exact
}

fn usual() -> f64 {
    0.95
}

/// The values of one game.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GameRow {
    /// Run.
    pub run_id: Arc<str>,
    /// Episode within the run.
    #[serde(default)]
    pub episode: i64,
    /// Environment.
    #[serde(default)]
    pub env_id: i64,
    /// Batch or epoch, where recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<i64>,
    /// Players.
    #[serde(default)]
    pub n_players: usize,
    /// Distinct coalitions recorded.
    #[serde(default)]
    pub n_coalitions: usize,
    /// Method used.
    #[serde(default = "exact")]
    pub method: Method,
    /// v(empty).
    pub baseline: Option<f64>,
    /// v(N).
    pub full: Option<f64>,
    /// Sum of the values less (full - baseline).
    pub efficiency_gap: Option<f64>,
    /// Whether missing coalitions bias the values.
    #[serde(default)]
    pub biased: bool,
    /// Whether units are means of antithetic pairs; absent without permutations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub antithetic: Option<bool>,
    /// Variance of as many independent permutations over that of the units used, summed over the slots; absent where units
    /// are single permutations, or nothing tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_efficiency: Option<f64>,
    /// How values settle as permutations come in; absent where not asked for, and under other methods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub convergence: Option<Box<ConvergenceRow>>,
    /// Rows left out because they agree to the bit with an evaluation of their coalition among fresh ones.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub copies: u64,
    /// Permutations the recording has of its own, those left out not counted.
    #[serde(default, skip_serializing_if = "is_none_left_out")]
    pub walks_recorded: usize,
    /// Recorded permutations left out because they have no antithetic partner.
    #[serde(default, skip_serializing_if = "is_none_left_out")]
    pub walks_unpaired: usize,
    /// Recorded permutations left out because their rows do not walk from empty to full.
    #[serde(default, skip_serializing_if = "is_none_left_out")]
    pub walks_bad: usize,
    /// The evaluation that would narrow bounds most; absent where none is missing, and under other methods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_evaluation: Option<Box<NextEvaluationRow>>,
    /// How far to believe a fit; absent under other methods, and in documents written before there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Box<KernelRow>>,
    /// Values in player order.
    #[schemars(with = "Vec<PlayerRow>")]
    pub players: Players,
}

/// An evaluation that was not recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NextEvaluationRow {
    /// Slots that are on.
    pub players_on: Vec<String>,
    /// By how much all intervals together get narrower, whatever it gives.
    pub narrows: f64,
}

/// The players of a game with their values, as the analysis gave them: rows are made when they are asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Players {
    /// Shared by all games of a campaign.
    slot_ids: Arc<[String]>,
    values: Vec<PlayerValue>,
}

impl Players {
    /// One row per player.
    pub fn rows(&self) -> impl Iterator<Item = PlayerRow<'_>> {
        self.slot_ids.iter().zip(&self.values).map(|(id, player)| PlayerRow::of(id, player))
    }

    /// Number of players.
    pub fn n_players(&self) -> usize {
        self.values.len()
    }
}

impl Serialize for Players {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.rows())
    }
}

impl<'de> Deserialize<'de> for Players {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rows: Vec<PlayerRow<'static>> = Vec::deserialize(deserializer)?;
        let values = rows.iter().map(PlayerRow::value).collect();
        Ok(Self { slot_ids: rows.into_iter().map(|row| row.slot_id.into_owned()).collect(), values })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
fn is_none_left_out(n: &usize) -> bool {
    *n == 0
}

/// One player's value in one game.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlayerRow<'a> {
    /// The slot.
    pub slot_id: Cow<'a, str>,
    /// Shapley value.
    pub shapley: Option<f64>,
    /// Sample standard deviation of the independent units (n - 1).
    pub sd: Option<f64>,
    /// Standard error.
    pub stderr: Option<f64>,
    /// The part of it that evaluation noise makes, which more permutations do not narrow; absent without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr_noise: Option<f64>,
    /// Independent units behind the value.
    #[serde(default)]
    pub n_samples: u64,
    /// Lower end of the interval.
    pub ci_low: Option<f64>,
    /// Upper end of the interval.
    pub ci_high: Option<f64>,
    /// Least possible value, under bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound_low: Option<f64>,
    /// Greatest possible value, under bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound_high: Option<f64>,
}

/// One slot over all units in which it plays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SummaryRow {
    /// The slot.
    pub slot_id: String,
    /// Mean of the unit means.
    pub mean: f64,
    /// Sample standard deviation of the unit means (n - 1).
    pub sd: Option<f64>,
    /// sd/sqrt(units).
    pub stderr: Option<f64>,
    /// Independent units.
    #[serde(default)]
    pub n_units: u64,
    /// Games.
    #[serde(default)]
    pub n_games: u64,
    /// Lower end of the interval.
    pub ci_low: Option<f64>,
    /// Upper end of the interval.
    pub ci_high: Option<f64>,
    /// t statistic of mean = 0; null where it is infinite (constant units) or there is no test.
    pub t: Option<f64>,
    /// Two-sided p value of mean = 0, by the distribution the interval is made by (`ci`).
    pub p_value: Option<f64>,
    /// Holm-adjusted over the slots.
    pub p_adjusted: Option<f64>,
    /// p_adjusted below 1 - confidence.
    pub significant: Option<bool>,
    /// Whether some game lacks coalitions, so that the mean is biased and has neither interval nor test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub biased: Option<bool>,
    /// Games by the method their values came from.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub games_by_method: BTreeMap<String, u64>,
    /// Share of the variance of the slot's episodes that lies between runs; absent where nothing tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between_runs: Option<f64>,
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShapleyInput {
    /// Files read.
    pub files: usize,
    /// Rows used.
    pub rows: u64,
    /// Rows left out.
    #[serde(default)]
    pub skipped: u64,
    /// Rows left out, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped_rows: BTreeMap<String, u64>,
    /// Files left out, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped_files: BTreeMap<String, u64>,
    /// Games left out, for which the method has no value.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped_games: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl ShapleyInput {
    /// Counts of a recording, and of games without a value.
    pub fn new(counts: InputCounts, skipped: &Skipped, skipped_games: u64) -> Self {
        Self {
            files: counts.files,
            rows: counts.rows,
            skipped: skipped.n_rows(),
            skipped_rows: skipped.rows.clone(),
            skipped_files: skipped.files.clone(),
            skipped_games,
        }
    }
}

impl ShapleyDocument {
    /// The document of an analysis, whose settings name one value column and its direction.
    pub fn new(
        settings: ShapleyAnalysis,
        value: &str,
        games: Vec<GameResult>,
        summary: Summary,
        input: ShapleyInput,
    ) -> Self {
        let group =
            games.first().map_or_else(BTreeMap::new, |game| settings.reading.named_group(&game.key.group));
        let (sources, plan) = asked_of_sources(&settings, &games, &summary);
        let (ranking, trend) = asked_of_order(&settings, &games, &summary);
        let games: Vec<GameRow> = games.into_iter().map(GameRow::of).collect();
        let (cluster, between_runs) = (summary.cluster, summary.between_runs);
        let settings = ShapleyAnalysis { cluster: cluster.into(), ..settings };
        let (summary, unit_means) = summary.players.into_iter().map(SummaryRow::of).unzip();
        Self {
            schema: SHAPLEY_SCHEMA.to_owned(),
            verdict: Vec::new(),
            value: value.to_owned(),
            group,
            direction: settings.better,
            method: MethodUsed::of_methods(games.iter().map(|game| game.method)),
            requested_method: settings.method,
            confidence: settings.confidence.get(),
            ci: settings.ci,
            cluster,
            between_runs: Some(between_runs),
            seed: settings.seed,
            games,
            summary,
            sources,
            ranking,
            trend,
            recorded: None,
            plan,
            input,
            settings: Some(settings),
            unit_means,
        }
    }

    /// The same with estimates of the trainer.
    #[must_use]
    pub fn beside(self, recorded: Option<Vec<RecordedRow>>) -> Self {
        Self { recorded, ..self }
    }

    /// What the games have in common, `lr=0.1, dataset=a`; `None` without groups.
    pub fn group_name(&self) -> Option<String> {
        let parts: Vec<String> = self.group.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// Whether all games have the same players.
    pub fn has_same_players(&self) -> bool {
        self.games.windows(2).all(|pair| pair[0].players.slot_ids == pair[1].players.slot_ids)
    }

    /// How permutations of a game were drawn together; each by itself where the recording has its own.
    pub fn sampling_of(&self, game: &GameRow) -> PermutationDesign {
        let drawn = self.settings.as_ref().filter(|_| game.walks_recorded == 0);
        drawn.map_or(PermutationDesign::Plain, |settings| settings.sampling)
    }

    /// What a value of 0 is the rest of: the document tells the ends, not every coalition.
    pub fn scale(&self) -> f64 {
        let ends = self.games.iter().flat_map(|game| [game.full, game.baseline]).flatten().map(f64::abs);
        ends.chain(self.summary.iter().map(|row| row.mean.abs())).fold(0.0, f64::max)
    }

    /// Whether values are Owen values: slots divide what their union gets.
    pub fn has_unions(&self) -> bool {
        self.settings.as_ref().is_some_and(|settings| settings.grouping.partition.is_some())
    }

    /// Runs behind the games.
    pub fn n_runs(&self) -> usize {
        self.games.iter().map(|game| &*game.run_id).collect::<BTreeSet<_>>().len()
    }

    /// Episodes of all runs behind the games.
    pub fn n_episodes(&self) -> usize {
        self.games.iter().map(|game| (&*game.run_id, game.episode)).collect::<BTreeSet<_>>().len()
    }

    /// Numbers for checks: every slot's mean, and the values of the full and the empty coalition, each over the
    /// analysis's own units.
    ///
    /// Ids are `shapley/SLOT/mean`, `value/full/mean` and `value/empty/mean`, behind `prefix`.
    pub fn metrics(&self, prefix: &str) -> Vec<Metric> {
        let keys: Vec<GameKey> = self.games.iter().map(GameRow::key).collect();
        let samples = |means: &[UnitMean]| -> BTreeMap<String, f64> {
            means.iter().map(|unit| (self.cluster.unit_name(&keys[unit.game]), unit.mean)).collect()
        };
        let over_games = |value: &dyn Fn(&GameRow) -> Option<f64>| {
            let games: Vec<_> = keys.iter().zip(self.games.iter().map(value)).collect();
            unit_means(&games, self.cluster)
        };
        let scale = self.scale();
        let mut metrics = Vec::new();
        for (place, summary) in self.summary.iter().enumerate() {
            let means = match self.unit_means.get(place) {
                Some(means) => samples(means),
                None => samples(&over_games(&|game| game.value_of(&summary.slot_id))),
            };
            let id = format!("{prefix}shapley/{}/mean", summary.slot_id);
            metrics.extend(Metric::mean(id, &self.value, self.direction, means).map(|metric| Metric {
                value: summary.mean,
                stderr: summary.stderr.or(metric.stderr),
                ci: summary.ci_low.zip(summary.ci_high),
                rounding: Some(rounding_floor(scale)),
                ..metric
            }));
        }
        let mut end = |name: &str, value: &dyn Fn(&GameRow) -> Option<f64>| {
            let id = format!("{prefix}value/{name}/mean");
            metrics.extend(Metric::mean(id, &self.value, self.direction, samples(&over_games(value))));
        };
        end("full", &|game| game.full);
        end("empty", &|game| game.baseline);
        metrics
    }
}

/// Sources of variance and the plan, where they are asked for.
fn asked_of_sources(
    settings: &ShapleyAnalysis,
    games: &[GameResult],
    summary: &Summary,
) -> (Option<Vec<SourceRow>>, Option<Plan>) {
    if !settings.sources && settings.target_half_width.is_none() {
        return (None, None);
    }
    let inference = settings.inference();
    let found = player_sources(games, &summary.players, summary.cluster, &inference);
    let rows = found.iter().zip(&summary.players);
    let sources = settings
        .sources
        .then(|| rows.clone().map(|(own, player)| SourceRow::of(&player.term, own)).collect());
    let plan = settings.target_half_width.map(|target| {
        let plans =
            rows.map(|(own, player)| (player.term.clone(), own.plan(player, games, target, &inference)));
        Plan::of(target, plans.collect())
    });
    (sources, plan)
}

/// The order of the slots and their trends, where they are asked for.
fn asked_of_order(
    settings: &ShapleyAnalysis,
    games: &[GameResult],
    summary: &Summary,
) -> (Option<RankingRow>, Option<Vec<TrendRow>>) {
    let inference = settings.inference();
    let best = match settings.better {
        Some(Direction::Lower) => Best::Smallest,
        Some(Direction::Higher) | None => Best::Largest,
    };
    let ranking = settings.ranking.then(|| {
        let keys: Vec<&GameKey> = games.iter().map(|game| &game.key).collect();
        rank_players(&keys, summary.cluster, &summary.players, best, &inference).map(RankingRow::of)
    });
    let trend = settings.trend.then(|| {
        let slots: Vec<&str> = summary.players.iter().map(|player| player.term.as_str()).collect();
        trends(games, &slots, &inference).into_iter().map(TrendRow::of).collect()
    });
    (ranking.flatten(), trend)
}

fn named(counts: BTreeMap<Method, u64>) -> BTreeMap<String, u64> {
    counts.into_iter().map(|(method, n)| (method.name().to_owned(), n)).collect()
}

impl GameRow {
    fn of(game: GameResult) -> Self {
        Self {
            run_id: game.key.run_id,
            episode: game.key.episode,
            env_id: game.key.env_id,
            batch: game.key.batch,
            n_players: game.players.len(),
            n_coalitions: game.n_coalitions,
            method: game.method,
            baseline: game.baseline,
            full: game.full,
            efficiency_gap: game.efficiency_gap,
            biased: game.biased,
            antithetic: game.antithetic,
            relative_efficiency: game.relative_efficiency,
            convergence: game.convergence.map(|course| Box::new(ConvergenceRow::of(&course))),
            walks_recorded: game.n_recorded_walks,
            walks_unpaired: game.unpaired_walks,
            walks_bad: game.bad_walks,
            copies: game.n_copies,
            next_evaluation: game.next_evaluation.map(|next| {
                Box::new(NextEvaluationRow { players_on: next.players_on, narrows: next.narrows })
            }),
            kernel: game.kernel.map(|fit| Box::new(KernelRow::of(*fit))),
            players: Players { slot_ids: game.slot_ids, values: game.players },
        }
    }

    /// Which game.
    pub fn key(&self) -> GameKey {
        GameKey {
            group: Arc::default(),
            run_id: Arc::clone(&self.run_id),
            episode: self.episode,
            env_id: self.env_id,
            batch: self.batch,
        }
    }

    fn value_of(&self, slot_id: &str) -> Option<f64> {
        self.players.rows().find(|player| player.slot_id == slot_id)?.shapley
    }
}

impl<'a> PlayerRow<'a> {
    fn of(slot_id: &'a str, player: &PlayerValue) -> Self {
        Self {
            slot_id: Cow::Borrowed(slot_id),
            shapley: player.shapley,
            sd: player.sd,
            stderr: player.standard_error,
            stderr_noise: player.noise_error,
            n_samples: player.n_samples,
            ci_low: player.interval.map(|interval| interval.low),
            ci_high: player.interval.map(|interval| interval.high),
            bound_low: player.bounds.map(|bounds| bounds.low),
            bound_high: player.bounds.map(|bounds| bounds.high),
        }
    }

    fn value(&self) -> PlayerValue {
        PlayerValue {
            shapley: self.shapley,
            sd: self.sd,
            standard_error: self.stderr,
            noise_error: self.stderr_noise,
            n_samples: self.n_samples,
            interval: self.ci_low.zip(self.ci_high).map(|(low, high)| ConfidenceInterval { low, high }),
            bounds: self.bound_low.zip(self.bound_high).map(|(low, high)| ShapleyBounds { low, high }),
        }
    }
}

impl SummaryRow {
    fn of(summary: PlayerSummary) -> (Self, Vec<UnitMean>) {
        let row = Self {
            slot_id: summary.term,
            mean: summary.mean,
            sd: summary.sd,
            stderr: summary.standard_error,
            n_units: summary.n_units,
            n_games: summary.n_games,
            ci_low: summary.interval.map(|interval| interval.low),
            ci_high: summary.interval.map(|interval| interval.high),
            t: summary.t.filter(|t| t.is_finite()),
            p_value: summary.p_value,
            p_adjusted: summary.p_adjusted,
            significant: summary.significant,
            biased: Some(summary.biased),
            games_by_method: named(summary.games_by_method),
            between_runs: summary.components.and_then(VarianceComponents::share_between),
        };
        (row, summary.unit_means)
    }

    /// The t statistic, infinite ones included: constant units have a p value and no finite t.
    pub fn t_statistic(&self) -> Option<f64> {
        self.t.or_else(|| self.p_value.map(|_| f64::INFINITY.copysign(self.mean)))
    }
}
