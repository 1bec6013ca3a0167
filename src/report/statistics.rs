//! Renderings of recorded statistics against those of the rows.

use std::io::{self, Write};

use super::Format;
use super::grid::{Column, Grid};
use super::page::{Page, Tone};
use super::screen::Screen;
use super::tidy::{Tidy, TidyTable};
use crate::results::text::{counted, grouped, ratio, short};
use crate::results::{StatisticRow, StatisticSource, StatisticsDocument, StatisticsSet};

/// Writes what was found.
///
/// # Errors
/// If writing fails.
pub fn write_statistics(
    report: &StatisticsDocument,
    format: Format,
    screen: &Screen,
    n_rows: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Json | Format::Ndjson => {
            serde_json::to_writer(&mut *out, report)?;
            writeln!(out)
        }
        Format::Csv | Format::Parquet | Format::Arrow => tidy(report).write(format, out),
        Format::Table | Format::Markdown => {
            let mut page = Page::new(format, screen, out);
            page.verdict(&report.verdict, if report.matches { Tone::Good } else { Tone::Bad })?;
            report.sets.iter().try_for_each(|set| write_set(set, n_rows, &mut page))
        }
    }
}

fn write_set(set: &StatisticsSet, n_rows: usize, page: &mut Page<'_>) -> io::Result<()> {
    let fps = set.fps.map_or_else(String::new, |fps| format!(", {} a second", short(fps)));
    page.line(&format!(
        "{} ({}): {} in {}{fps}; recorded in {}",
        set.run_id,
        set.layout,
        counted(set.rows, "row"),
        counted(set.episodes, "episode"),
        set.sources.join(" and ")
    ))?;
    for left_out in &set.left_out {
        page.line(&format!("not compared: {} ({})", left_out.feature, left_out.reason))?;
    }
    page.blank()?;
    page.grid(&feature_grid(set))?;
    let differing: Vec<&StatisticRow> = set.differing().collect();
    if differing.is_empty() {
        return Ok(());
    }
    page.blank()?;
    page.grid(&difference_grid(set, &differing[..n_rows.min(differing.len())]))?;
    if differing.len() > n_rows {
        page.line(&format!("{} more; --dimensions {} lists all", differing.len() - n_rows, differing.len()))?;
    }
    Ok(())
}

/// What is recorded and how much of it differs, a feature a row.
fn feature_grid(set: &StatisticsSet) -> Grid {
    let mut grid = Grid::new(vec![
        Column::left("feature"),
        Column::left("type").drops(2),
        Column::right("dimensions").drops(1),
        Column::right("numbers").explained("numbers: recorded ones that were compared"),
        Column::right("differ"),
    ]);
    for feature in &set.features {
        let checks = set.checks.iter().filter(|check| check.feature == feature.feature);
        let (compared, differing) =
            checks.fold((0, 0), |(n, off), check| (n + check.n_compared, off + check.n_differing));
        let last_axis = if feature.of_last_axis { " (last axis)" } else { "" };
        grid.row(vec![
            feature.feature.clone(),
            feature.dtype.clone(),
            format!("{}{last_axis}", feature.dimensions.len()),
            grouped(compared),
            grouped(differing),
        ]);
    }
    grid
}

fn difference_grid(set: &StatisticsSet, rows: &[&StatisticRow]) -> Grid {
    let mut grid = Grid::new(vec![
        Column::left("feature"),
        Column::left("statistic"),
        Column::left("over").drops(2),
        Column::right("differ").drops(3),
        Column::left("farthest off"),
        Column::right("recorded"),
        Column::right("implied"),
        Column::right("distance").drops(1).explained(
            "distance: of means, extremes and quantiles in standard deviations, of deviations relative, of counts in rows",
        ),
        Column::left("recorded are").wraps(),
    ]);
    for row in rows {
        let worst = row.worst.as_ref();
        let episode = worst.and_then(|worst| worst.episode);
        let place = set.place(row);
        grid.row(vec![
            row.feature.clone(),
            row.statistic.clone(),
            source_name(row.source).to_owned(),
            format!("{} of {}", grouped(row.n_differing), grouped(row.n_compared)),
            episode.map_or_else(|| place.clone(), |episode| format!("{place}, episode {episode}")),
            worst.and_then(|worst| worst.recorded).map_or_else(|| "none".to_owned(), short),
            worst.map_or_else(String::new, |worst| short(worst.expected)),
            worst.and_then(|worst| worst.distance).map_or_else(|| "-".to_owned(), ratio),
            row.detail.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    grid
}

fn source_name(source: StatisticSource) -> &'static str {
    match source {
        StatisticSource::Set => "set",
        StatisticSource::Episodes => "episodes",
    }
}

fn tidy(report: &StatisticsDocument) -> TidyTable {
    let rows: Vec<(&StatisticsSet, &StatisticRow)> =
        report.sets.iter().flat_map(|set| set.checks.iter().map(move |check| (set, check))).collect();
    let worst = |row: &StatisticRow| row.worst.clone();
    Tidy::new(&rows)
        .text("run_id", |(set, _)| Some(set.run_id.clone()))
        .text("feature", |(_, row)| Some(row.feature.clone()))
        .text("over", |(_, row)| Some(source_name(row.source).to_owned()))
        .text("statistic", |(_, row)| Some(row.statistic.clone()))
        .int("n_compared", |(_, row)| Some(row.n_compared))
        .int("n_differing", |(_, row)| Some(row.n_differing))
        .text("dimension", |(set, row)| row.worst.as_ref().map(|_| set.place(row)))
        .int("episode", move |(_, row)| worst(row)?.episode)
        .float("recorded", |(_, row)| row.worst.as_ref()?.recorded)
        .float("implied", |(_, row)| Some(row.worst.as_ref()?.expected))
        .float("distance", |(_, row)| row.worst.as_ref()?.distance)
        .text("detail", |(_, row)| row.detail.clone())
        .table()
}
