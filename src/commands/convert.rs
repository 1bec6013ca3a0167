//! `simic convert`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{CommandError, Context, Outcome, refuse_doubled};
use crate::attribution::Repeats;
use crate::records::{
    AtomicFile, Clock, CoalitionOptions, CoalitionRecording, ColumnMap, FileKind, InputFile, OnBad,
    StepConverter, StepOptions, StepRecording, StepSizes, StepTarget, Table, is_url_path, value_columns,
    write_coalitions,
};

/// Writes recordings again as canonical Parquet: `coalitions.parquet` and `transitions.parquet` in the directory -o names.
///
/// What is read is written whole: an analysis of the written files gives the same numbers to the bit. Steps come in replay
/// order, so that reading them again needs no sorting.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  simic convert runs/*.csv -o canonical/
  simic convert sweep.csv --players attn,aug,norm -o canonical/")]
pub struct ConvertArgs {
    /// Files, directories, patterns, or - for stdin [default: $SIMIC_RUNS, else runs/]
    #[arg(value_name = "RUNS")]
    pub runs: Vec<String>,
    /// Value column of coalition rows (repeatable) [default: all columns of numbers that play no other role]
    #[arg(long, value_name = "NAME")]
    pub value: Vec<String>,
    /// Two-state columns that are the players; * and ? make patterns
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    pub players: Vec<String>,
    /// Columns that are the observation
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    pub obs: Vec<String>,
    /// Slot ids of bare masks, in bit order
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    pub slots: Vec<String>,
}

/// Reads, writes, says what was written.
///
/// # Errors
/// No directory named, unreadable input, or files that cannot be written.
pub fn run(args: &ConvertArgs, context: &Context) -> Result<Outcome, CommandError> {
    refuse_doubled("players", &args.players)?;
    refuse_doubled("obs", &args.obs)?;
    let Some(folder) = &context.common.output else {
        return Err(CommandError::usage(
            "convert writes Parquet files: name their directory",
            "for instance -o canonical/",
        ));
    };
    if folder
        .extension()
        .is_some_and(|extension| ["csv", "parquet", "json", "ndjson"].iter().any(|known| extension == *known))
    {
        return Err(CommandError::usage(
            format!("convert writes a folder of files, and {} is called as a file", folder.display()),
            "for instance -o canonical/",
        ));
    }
    if folder.exists() && !folder.is_dir() {
        return Err(CommandError::usage(
            format!("{} is no directory", folder.display()),
            "convert writes files in one",
        ));
    }
    let files = context.discover(&args.runs)?.files;
    let map = context.columns()?.with_players(&args.players).with_obs(&args.obs);
    let mut of_kinds: [Vec<InputFile>; 2] = [Vec::new(), Vec::new()];
    let mut tables: [Vec<Table>; 2] = [Vec::new(), Vec::new()];
    for file in &files {
        let table = Table::open(file)?;
        let kind = match map.kind(&table)? {
            FileKind::Coalitions => 0,
            FileKind::Transitions => 1,
            FileKind::Other => {
                context.console.note(&format!("{}: neither coalitions nor steps, left out", file.name));
                continue;
            }
        };
        of_kinds[kind].push(file.clone());
        tables[kind].push(table);
    }
    let [coalitions, steps] = of_kinds;
    if coalitions.is_empty() && steps.is_empty() {
        return Err(CommandError::NothingLeft);
    }
    let failed = |path: &Path| {
        let target = path.display().to_string();
        move |source| CommandError::Output { target, source }
    };
    refuse_loss(&tables[0], &map, false)?;
    refuse_loss(&tables[1], &map, true)?;
    let values = if args.value.is_empty() { value_columns(&tables[0], &map) } else { args.value.clone() };
    drop(tables);
    if !is_url_path(folder) {
        std::fs::create_dir_all(folder).map_err(failed(folder))?;
    }
    let mut finished: Vec<(AtomicFile, PathBuf, String)> = Vec::new();
    let target = |name: &str| -> Result<(AtomicFile, PathBuf), CommandError> {
        let path = folder.join(name);
        let file = AtomicFile::create(&path, context.common.force).map_err(failed(&path))?;
        Ok((file, path))
    };
    if !coalitions.is_empty() {
        let (mut file, path) = target("coalitions.parquet")?;
        let recording = read_coalitions(args, values, &map, &coalitions, context)?;
        let n_rows = write_coalitions(&recording, file.as_file()).map_err(failed(&path))?;
        finished.push((file, path, format!("{n_rows} rows of {} games", recording.n_games())));
    }
    if !steps.is_empty() {
        let (mut file, path) = target("transitions.parquet")?;
        let n_rows = convert_steps(&map, &steps, &mut file, &path, context)?;
        finished.push((file, path, format!("{n_rows} rows of steps")));
    }
    Context::check_unchanged(&files)?;
    for (file, path, what) in finished {
        file.commit().map_err(failed(&path))?;
        context.console.note(&format!("{}: {what}", path.display()));
    }
    Ok(Outcome::Clean)
}

/// Refuses files that have not the same columns: one file of all of them has a place for what all have. Of coalitions,
/// whose configurations may be spelled in several ways, numbers without another role are looked at.
fn refuse_loss(tables: &[Table], map: &ColumnMap, are_steps: bool) -> Result<(), CommandError> {
    let columns = |table: &Table| -> BTreeMap<String, String> {
        let values = value_columns(std::slice::from_ref(table), map);
        let columns = table.described_columns().into_iter();
        columns.filter(|(name, _)| are_steps || values.contains(name)).collect()
    };
    let Some(first) = tables.first() else { return Ok(()) };
    let expected = columns(first);
    for table in &tables[1..] {
        let found = columns(table);
        let names = expected.keys().chain(found.keys());
        let differs = |name: &&String| {
            let (a, b) = (expected.get(*name), found.get(*name));
            // Of coalitions all numbers become one type.
            if are_steps { a != b } else { a.is_some() != b.is_some() }
        };
        if let Some(name) = names.into_iter().find(differs) {
            let kind = |of: Option<&String>| of.map_or_else(|| "not there".to_owned(), Clone::clone);
            return Err(CommandError::usage(
                format!(
                    "column {name} is {} in {} and {} in {}: it would be lost",
                    kind(expected.get(name)),
                    first.name(),
                    kind(found.get(name)),
                    table.name()
                ),
                "convert these files one by one, each into a folder of its own",
            ));
        }
    }
    Ok(())
}

fn read_coalitions(
    args: &ConvertArgs,
    values: Vec<String>,
    map: &ColumnMap,
    files: &[InputFile],
    context: &Context,
) -> Result<CoalitionRecording, CommandError> {
    let values = values.into_iter().filter(|name| !map.is_player(name)).collect();
    let options = CoalitionOptions {
        columns: map.clone(),
        values,
        slots: (!args.slots.is_empty()).then(|| args.slots.clone()),
        repeats: Repeats::First,
        on_bad: OnBad::Error,
    };
    let progress = context.console.progress();
    let recording = CoalitionRecording::read(files, &options, &progress)?;
    drop(progress);
    for note in recording.notes() {
        context.console.note(note);
    }
    Ok(recording)
}

fn convert_steps(
    map: &ColumnMap,
    files: &[InputFile],
    file: &mut AtomicFile,
    path: &Path,
    context: &Context,
) -> Result<u64, CommandError> {
    let mut options = StepOptions {
        columns: map.clone(),
        target: StepTarget::Obs,
        clock: Clock::Row,
        needs_round: false,
        needs_episode_ends: false,
        carries_columns: true,
        on_bad: OnBad::Error,
        sizes: StepSizes::default(),
    };
    let progress = context.console.progress();
    let recording = match StepRecording::open(files, &options, &progress) {
        // Steps may have rewards alone.
        Err(error) if error.is_missing_columns() => {
            options.target = StepTarget::Reward;
            StepRecording::open(files, &options, &progress)?
        }
        recording => recording?,
    };
    let failed = |source| CommandError::Output { target: path.display().to_string(), source };
    let mut converter = StepConverter::new(file.as_file(), &recording, options.target).map_err(failed)?;
    let mut n_rows = 0;
    recording.stream(&progress, |block| -> Result<(), CommandError> {
        n_rows += block.n_rows() as u64;
        converter.write(&block).map_err(failed)
    })?;
    converter.finish().map_err(failed)?;
    drop(progress);
    for note in recording.notes() {
        context.console.note(note);
    }
    Ok(n_rows)
}
