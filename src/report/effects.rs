//! Values with their intervals as tables show them: a column, its picture, and what stands behind it.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::io;

use super::grid::Column;
use super::page::Page;
use super::plot::IntervalScale;
use super::screen::Glyphs;
use crate::attribution::{Cluster, GameKey};
use crate::results::text::{Spread, counted, decimals, effects, fixed, grouped, short};
use crate::results::{AdjustKind, Direction, TestKind, Testing};

/// Which way a value is good.
pub(super) fn direction_words(direction: Option<Direction>) -> &'static str {
    match direction {
        Some(Direction::Higher) => "higher is better",
        Some(Direction::Lower) => "lower is better: a helping slot is negative",
        None => "which way is better is not known",
    }
}

/// What the games of a group have in common, after a comma.
pub(super) fn group_words(group: &BTreeMap<String, String>) -> String {
    group.iter().map(|(name, value)| format!(", {name}={value}")).collect()
}

/// Intervals of a column: their level, and whether they hold together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    confidence: f64,
    is_simultaneous: bool,
}

impl Level {
    /// Of intervals within a game.
    pub(super) fn within_game(confidence: f64) -> Self {
        Self { confidence, is_simultaneous: false }
    }

    /// Of intervals over units.
    pub(super) fn over_units(confidence: f64, testing: Testing) -> Self {
        Self { confidence, is_simultaneous: testing.simultaneous }
    }

    /// `95 %`.
    fn percent(self) -> String {
        // 1 - 0.05 is not quite 0.95; nobody wants to read that.
        format!("{} %", (self.confidence * 1e8).round() / 1e6)
    }

    /// `95 % interval`.
    pub(super) fn name(self) -> String {
        let kind = if self.is_simultaneous { "simultaneous interval" } else { "interval" };
        format!("{} {kind}", self.percent())
    }
}

/// The sign between a value and half its interval.
pub(super) fn plus_minus(glyphs: Glyphs) -> &'static str {
    glyphs.pick("±", "+/-")
}

/// The column of a value and its interval, explained.
pub(super) fn value_column(name: &str, spreads: &[Spread], level: Level, page: &Page<'_>) -> Column {
    if spreads.iter().all(|spread| spread.interval.is_none()) {
        return Column::left(name);
    }
    if effect_cells(spreads, page).iter().any(|cell| cell.contains(" to ")) {
        return Column::left(&format!("{name} ({})", level.name()));
    }
    let plus_minus = plus_minus(page.glyphs());
    Column::left(&format!("{name} {plus_minus} {}", level.percent()))
        .explained(format!("{plus_minus}: half of the {}", level.name()))
}

/// The cells of a value and its interval.
pub(super) fn effect_cells(spreads: &[Spread], page: &Page<'_>) -> Vec<String> {
    effects(spreads, plus_minus(page.glyphs()))
}

/// Cells of both ends alone.
pub(super) fn ranges(spreads: &[Spread]) -> Vec<String> {
    let ends = spreads.iter().filter_map(|spread| spread.interval);
    let places = decimals(ends.flat_map(|(low, high)| [low, high]));
    let shown = |spread: &Spread| match spread.interval {
        Some((low, high)) => format!("{} to {}", fixed(Some(low), places), fixed(Some(high), places)),
        None => "-".to_owned(),
    };
    spreads.iter().map(shown).collect()
}

/// Values and intervals drawn on one scale, where pages are drawn on and something spreads.
pub(super) struct Picture {
    drawn: Option<(IntervalScale, Glyphs)>,
    /// Whether there is more than dots.
    has_intervals: bool,
}

impl Picture {
    pub(super) fn of(spreads: &[Spread], page: &Page<'_>) -> Self {
        let scale = IntervalScale::of(spreads.iter().copied(), page.glyphs()).filter(|_| page.draws());
        Self {
            drawn: scale.map(|scale| (scale, page.glyphs())),
            has_intervals: spreads.iter().any(|spread| spread.interval.is_some()),
        }
    }

    pub(super) fn column(&self) -> Option<Column> {
        let (scale, glyphs) = self.drawn.as_ref()?;
        let (low, high) = scale.ends();
        let places = decimals([low, high].into_iter());
        let (low, high) = (fixed(Some(low), places), fixed(Some(high), places));
        let zero = glyphs.pick('│', '|');
        let what = if self.has_intervals { "lines: intervals" } else { "dots: values" };
        Some(Column::left("").drops(6).explained(format!("{what} from {low} to {high}, {zero} at 0")))
    }

    pub(super) fn cell(&self, spread: Spread) -> Option<String> {
        self.drawn.as_ref().map(|(scale, _)| scale.draw(spread))
    }
}

/// `Holm-adjusted`, and what the tests are made by where that is not the interval's distribution.
pub(super) fn adjusted_words(testing: Testing) -> String {
    if testing.simultaneous && testing.adjust == AdjustKind::Holm && testing.test == TestKind::Interval {
        return "adjusted by the sign flips of the intervals,".to_owned();
    }
    let by = match testing.test {
        TestKind::Interval => "",
        TestKind::SignFlip => "by sign flips, ",
    };
    format!("{by}{}-adjusted", testing.adjust.name())
}

/// The columns of tests: p adjusted over `over`, and whether that is significant.
pub(super) fn test_columns(testing: Testing, confidence: f64, over: &str) -> [Column; 2] {
    let legend = format!("p: of a mean of 0, {} over {over}", adjusted_words(testing));
    [
        Column::right("p").drops(8).explained(legend),
        Column::left("significant")
            .drops(7)
            .explained(format!("significant: p below {}", short(1.0 - confidence))),
    ]
}

/// `yes`, `no`, or that nothing was tested.
pub(super) fn yes_or_no(significant: Option<bool>) -> String {
    significant.map_or("-", |significant| if significant { "yes" } else { "no" }).to_owned()
}

/// Rows behind a document; of a group they are those of all groups.
pub(super) fn rows_read(group: &BTreeMap<String, String>, n: u64) -> String {
    let rows = counted(n, "row");
    if group.is_empty() { rows } else { format!("of {rows} in all groups") }
}

/// A test statistic.
pub(super) fn statistic(t: Option<f64>) -> String {
    t.map_or_else(|| "-".to_owned(), |t| format!("{t:.2}"))
}

/// The parts of a game's key that tell it apart from the others; `None` where it is the only one.
pub(super) fn distinct_name(game: &GameKey, all: &(impl Iterator<Item = GameKey> + Clone)) -> Option<String> {
    let differs = |is_other: &dyn Fn(&GameKey) -> bool| all.clone().any(|other| is_other(&other));
    let mut parts = Vec::new();
    if differs(&|other| other.run_id != game.run_id) {
        parts.push(format!("run {}", game.run_id));
    }
    if differs(&|other| other.episode != game.episode) {
        parts.push(format!("episode {}", game.episode));
    }
    if differs(&|other| other.env_id != game.env_id) {
        parts.push(format!("env {}", game.env_id));
    }
    if let (true, Some(batch)) = (differs(&|other| other.batch != game.batch), game.batch) {
        parts.push(format!("batch {batch}"));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The first words about a game: which one, what its ends are, how much of it is recorded.
pub(super) struct GameTitle {
    pub(super) name: Option<String>,
    /// Values of none and of all.
    pub(super) ends: [Option<f64>; 2],
    pub(super) n_coalitions: usize,
    pub(super) n_players: usize,
}

impl Display for GameTitle {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let places = decimals(self.ends.into_iter().flatten());
        if let Some(name) = &self.name {
            write!(f, "{name}: ")?;
        }
        match self.ends {
            [None, None] => write!(f, "neither none nor all recorded")?,
            [Some(none), None] => write!(f, "{} (none), all not recorded", fixed(Some(none), places))?,
            [None, Some(all)] => write!(f, "{} (all), none not recorded", fixed(Some(all), places))?,
            [none, all] => write!(f, "from {} (none) to {} (all)", fixed(none, places), fixed(all, places))?,
        }
        write!(f, "; {} of 2^{} coalitions", grouped(self.n_coalitions as u64), self.n_players)
    }
}

/// That games are not listed.
pub(super) fn write_unlisted(n: usize, page: &mut Page<'_>) -> io::Result<()> {
    if n == 0 {
        return Ok(());
    }
    page.blank()?;
    let verb = if n == 1 { "is" } else { "are" };
    page.line(&format!(
        "{} {verb} not listed; --games N lists them, --format json or csv holds all",
        counted(n as u64, "game")
    ))
}

/// What independent units a summary is over.
pub(super) struct Units {
    pub(super) cluster: Cluster,
    pub(super) n_runs: usize,
    pub(super) n_episodes: usize,
    pub(super) between_runs: Option<f64>,
}

/// Runs from which on intervals over them are no longer wide for their number alone: t of 5 degrees is within a third
/// of the normal.
const SEVERAL_RUNS: usize = 6;

/// What the unit means for the intervals, where there are several runs.
pub(super) fn write_independence(units: &Units, page: &mut Page<'_>) -> io::Result<()> {
    let n_runs = units.n_runs;
    // Where every run is one episode, both units are the same.
    if n_runs < 2 || units.n_episodes == n_runs {
        return Ok(());
    }
    if let Some(share) = units.between_runs {
        page.line(&format!("{:.0} % of the variance between episodes lies between runs", 100.0 * share))?;
    }
    match units.cluster {
        Cluster::Run if n_runs < SEVERAL_RUNS => page.line(&format!(
            "{n_runs} runs make wide intervals; those of --cluster episode are of these runs only, not of others"
        )),
        Cluster::Run => Ok(()),
        Cluster::Episode | Cluster::Game => page.line(&format!(
            "intervals and tests are of these {n_runs} runs only, not of others; --cluster run has those"
        )),
    }
}
