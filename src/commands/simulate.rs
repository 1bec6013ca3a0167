//! `simic simulate`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};

use super::common::check_free;
use super::{CommandError, Context, Outcome};
use crate::records::{AtomicFile, Compression, ParquetTable, TableWriter, is_url_path};
use crate::report::write_truth;
use crate::results::{SimulationDocument, TrueDesign, TruePair, TrueValue};
use crate::simulation::{CoalitionRow, CoalitionSimulation, Design, Interaction, TransitionSimulation};

/// Rows per row group.
const ROWS_PER_GROUP: usize = 1 << 17;

/// Shift planted unless told otherwise, in standard deviations.
const DEFAULT_SHIFT: f64 = 3.0;

/// Largest factorial written: 2^26 rows a game.
const MAX_FACTORIAL: usize = 26;

/// What to simulate.
#[derive(Debug, Clone, Subcommand)]
pub enum SimulateCommand {
    /// Evaluated configurations of slots with known Shapley values
    Coalitions(CoalitionArgs),
    /// Environment steps with a planted shift of the observations
    Transitions(TransitionArgs),
}

/// Flags of the file written.
#[derive(Debug, Clone, Args)]
pub struct FileArgs {
    /// Runs
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub n_runs: u32,
    /// Compression of the Parquet file
    #[arg(long, value_enum, default_value = "zstd")]
    pub compression: CompressionArg,
}

/// Writes games whose true Shapley values are known to Parquet, and prints the truth.
///
/// --output names the Parquet file; with a directory (or a name ending in /) each run gets a file of its own.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  simic simulate coalitions -o runs/demo.parquet
  simic simulate coalitions -o runs/ --n-runs 5 --slots r0c0,r0c1,r1c0 --effects 0.1,0.05,-0.02
  simic simulate coalitions -o big.parquet --n-slots 20 --n-episodes 1 --spelling mask")]
pub struct CoalitionArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Episodes per run
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..))]
    pub n_episodes: u32,
    /// Environments per episode
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub n_envs: u32,
    /// Slot ids [default: r0c0, r0c1, r0c2, r1c0, ...]
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', conflicts_with = "n_slots")]
    pub slots: Vec<String>,
    /// Number of slots
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub n_slots: u8,
    /// Effect of each slot [default: a falling series that changes sign]
    #[arg(long, value_name = "X,Y,Z", value_delimiter = ',', allow_hyphen_values = true)]
    pub effects: Vec<f64>,
    /// Effect a pair of slots has together, SLOT+SLOT=X (repeatable) [default: one, of the first two]
    #[arg(long, value_name = "A+B=X", allow_hyphen_values = true)]
    pub interaction: Vec<String>,
    /// Value of the empty coalition
    #[arg(long, value_name = "X", default_value_t = 0.5, allow_hyphen_values = true)]
    pub baseline: f64,
    /// Standard deviation of effects over runs
    #[arg(long, value_name = "SD", default_value_t = 0.0)]
    pub run_spread: f64,
    /// Standard deviation of effects over episodes of a run
    #[arg(long, value_name = "SD", default_value_t = 0.02)]
    pub spread: f64,
    /// Standard deviation of one evaluation
    #[arg(long, value_name = "SD", default_value_t = 0.005)]
    pub noise: f64,
    /// Evaluations of each coalition
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub repeats: u32,
    /// Record this many permutations (antithetic pairs) instead of the full factorial
    #[arg(long, value_name = "M", conflicts_with = "repeats")]
    pub walks: Option<u32>,
    /// How coalitions are spelled
    #[arg(long, value_enum, default_value = "config")]
    pub spelling: SpellingArg,
}

/// Writes environment steps of vector environments to Parquet.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  simic simulate transitions -o runs/steps.parquet
  simic simulate transitions -o steps.parquet --n-steps 125000 --obs-width 64 --shift-at 60000 --shift 3")]
pub struct TransitionArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Environments
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    pub n_envs: u32,
    /// Vector steps
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub n_steps: u32,
    /// Values per observation
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pub obs_width: u32,
    /// Longest episode
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub episode_length: u32,
    /// Spacing of the dimensions' means
    #[arg(long, value_name = "X", default_value_t = 1.0, allow_hyphen_values = true)]
    pub offset: f64,
    /// Vector step at which observations shift
    #[arg(long, value_name = "STEP")]
    pub shift_at: Option<u32>,
    /// Size of the shift in standard deviations [default: 3]
    #[arg(long, value_name = "X", requires = "shift_at", allow_hyphen_values = true)]
    pub shift: Option<f64>,
}

/// Parquet compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompressionArg {
    /// Small
    Zstd,
    /// Fast to read
    Lz4,
    /// Understood everywhere
    Snappy,
    /// None
    None,
}

/// Spelling of a coalition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SpellingArg {
    /// slot_ids and config lists
    Config,
    /// A bare mask
    Mask,
    /// One `slot:<id>` column per slot
    Columns,
}

impl From<CompressionArg> for Compression {
    fn from(compression: CompressionArg) -> Self {
        match compression {
            CompressionArg::Zstd => Self::Zstd,
            CompressionArg::Lz4 => Self::Lz4,
            CompressionArg::Snappy => Self::Snappy,
            CompressionArg::None => Self::Uncompressed,
        }
    }
}

/// Simulates, writes, and prints what an analysis should find.
///
/// # Errors
/// Contradictory settings, or a file that cannot be written.
pub fn run(command: &SimulateCommand, context: &Context) -> Result<Outcome, CommandError> {
    match command {
        SimulateCommand::Coalitions(args) => coalitions(args, context),
        SimulateCommand::Transitions(args) => transitions(args, context),
    }
}

/// The files to write: one for all runs, or one each in a directory.
fn targets(context: &Context, n_runs: u32) -> Result<Vec<PathBuf>, CommandError> {
    let Some(output) = &context.common.output else {
        return Err(CommandError::usage(
            "simulate writes Parquet: name the file with --output",
            "for instance -o runs/demo.parquet",
        ));
    };
    let extension = output.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    if let Some(other @ ("csv" | "tsv" | "ndjson" | "jsonl" | "json" | "arrow" | "ipc" | "feather")) =
        extension.as_deref()
    {
        return Err(CommandError::usage(
            format!("{}: simulate writes Parquet, not {other}", output.display()),
            "name the file with .parquet",
        ));
    }
    let is_directory = output.is_dir() || output.to_string_lossy().ends_with('/');
    let paths: Vec<PathBuf> = if is_directory {
        (0..n_runs).map(|run| output.join(format!("{}.parquet", run_name(run)))).collect()
    } else {
        vec![output.clone()]
    };
    for path in &paths {
        check_free(path, context.common.force)?;
    }
    let directory = if is_directory { Some(output.as_path()) } else { output.parent() };
    let is_made = |directory: &&Path| !directory.as_os_str().is_empty() && !is_url_path(directory);
    if let Some(directory) = directory.filter(is_made) {
        std::fs::create_dir_all(directory).map_err(|source| unwritable(directory, source))?;
    }
    Ok(paths)
}

fn run_name(run: u32) -> String {
    format!("run{run}")
}

fn unwritable(path: &Path, source: std::io::Error) -> CommandError {
    CommandError::Output { target: path.display().to_string(), source }
}

/// Writes the runs to their files, `batches` at a time; returns the rows written.
fn write_runs(
    context: &Context,
    file: &FileArgs,
    paths: &[PathBuf],
    mut batches: impl FnMut(u32, &mut dyn FnMut(ParquetTable) -> std::io::Result<()>) -> std::io::Result<()>,
) -> Result<(), CommandError> {
    let shared = paths.len() == 1;
    let runs_of = |index: usize| {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        if shared { 0..file.n_runs } else { index..index + 1 }
    };
    for (index, path) in paths.iter().enumerate() {
        let mut write = || -> std::io::Result<()> {
            let mut target = AtomicFile::create(path, context.common.force)?;
            let mut writer = TableWriter::new(target.as_file(), file.compression.into())?;
            for run in runs_of(index) {
                batches(run, &mut |table| writer.write(table))?;
            }
            writer.finish()?;
            target.commit()
        };
        write().map_err(|source| unwritable(path, source))?;
    }
    Ok(())
}

fn print_truth(context: &Context, truth: &SimulationDocument) -> Result<Outcome, CommandError> {
    let written = context
        .console
        .output(None, false, |out| write_truth(truth, context.format(), &context.screen(), out));
    written.map_err(|source| CommandError::Output { target: "the result".to_owned(), source })?;
    Ok(Outcome::Clean)
}

fn coalitions(args: &CoalitionArgs, context: &Context) -> Result<Outcome, CommandError> {
    let slots = slot_ids(args);
    let simulation = coalition_simulation(args, &slots, context.common.seed)?;
    let paths = targets(context, args.file.n_runs)?;
    let progress = context.console.progress();
    progress.begin("simulating", u64::from(args.file.n_runs) * u64::from(args.n_episodes));
    let mut n_rows = 0;
    write_runs(context, &args.file, &paths, |run, write| {
        let mut batch = CoalitionBatch::default();
        for episode in 0..args.n_episodes {
            for env in 0..args.n_envs {
                for row in simulation.game(run as usize, episode as usize, env as usize) {
                    batch.push(run, episode, env, row);
                    if batch.rows.len() >= ROWS_PER_GROUP {
                        write(std::mem::take(&mut batch).table(args.spelling, &slots))?;
                    }
                    n_rows += 1;
                }
            }
            progress.advance(1);
        }
        if batch.rows.is_empty() { Ok(()) } else { write(batch.table(args.spelling, &slots)) }
    })?;
    drop(progress);
    let files = paths.iter().map(|path| path.display().to_string()).collect();
    print_truth(context, &truth_of(&simulation, &slots, files, n_rows))
}

/// What an analysis of the rows should find.
fn truth_of(
    simulation: &CoalitionSimulation,
    slots: &[String],
    files: Vec<String>,
    n_rows: u64,
) -> SimulationDocument {
    let (values, realized) = (simulation.shapley_values(), simulation.realized_shapley_values());
    let row = |(place, id): (usize, &String)| TrueValue {
        slot_id: id.clone(),
        shapley: values[place],
        realized: Some(realized[place]),
        effect: Some(simulation.effects[place]),
    };
    let pair = |pair: &Interaction| TruePair {
        slot_ids: (slots[pair.first].clone(), slots[pair.second].clone()),
        effect: pair.effect,
    };
    let design = TrueDesign {
        baseline: simulation.baseline,
        interactions: simulation.interactions.iter().map(pair).collect(),
        run_spread: simulation.run_spread,
        spread: simulation.spread,
        noise: simulation.noise,
    };
    SimulationDocument::of_coalitions(files, n_rows, slots.iter().enumerate().map(row).collect(), design)
}

fn slot_ids(args: &CoalitionArgs) -> Vec<String> {
    if !args.slots.is_empty() {
        return args.slots.clone();
    }
    if args.spelling == SpellingArg::Mask {
        return (0..args.n_slots).map(|i| format!("s{i}")).collect();
    }
    (0..args.n_slots).map(|i| format!("r{}c{}", i / 3, i % 3)).collect()
}

fn coalition_simulation(
    args: &CoalitionArgs,
    slots: &[String],
    seed: u64,
) -> Result<CoalitionSimulation, CommandError> {
    let n = slots.len();
    if let Some((_, id)) = slots.iter().enumerate().find(|(i, id)| slots[..*i].contains(id)) {
        return Err(CommandError::usage(
            format!("--slots names '{id}' twice"),
            "every slot has an id of its own",
        ));
    }
    if !args.effects.is_empty() && args.effects.len() != n {
        let message = format!("--effects gives {} values for {n} slots", args.effects.len());
        return Err(CommandError::usage(message, "one effect per slot"));
    }
    if args.walks.is_none() && n > MAX_FACTORIAL {
        let message =
            format!("a full factorial of {n} slots has 2^{n} rows a game; at most {MAX_FACTORIAL} slots");
        return Err(CommandError::usage(message, "--walks M records permutations instead"));
    }
    if n > 64 {
        return Err(CommandError::usage(
            format!("{n} slots; at most 64 can be simulated"),
            "name fewer --slots",
        ));
    }
    let numbers = [args.run_spread, args.spread, args.noise, args.baseline];
    if numbers.iter().chain(&args.effects).any(|x| !x.is_finite()) {
        return Err(CommandError::usage(
            "a number is not finite",
            "--baseline, --effects, --run-spread, --spread and --noise are ordinary numbers",
        ));
    }
    if [args.run_spread, args.spread, args.noise].iter().any(|sd| *sd < 0.0) {
        return Err(CommandError::usage(
            "a standard deviation is negative",
            "--run-spread, --spread and --noise are at least 0",
        ));
    }
    if args.walks == Some(0) {
        return Err(CommandError::usage("--walks 0 records nothing", "give the number of permutations"));
    }
    let per_game = args.walks.map_or_else(
        || (n as f64).exp2() * f64::from(args.repeats),
        |walks| f64::from(walks) * (n + 1) as f64,
    );
    let n_games = f64::from(args.file.n_runs) * f64::from(args.n_episodes) * f64::from(args.n_envs);
    check_rows(per_game * n_games)?;
    let default_effect = |i: usize| {
        let size = 0.4 / (n as f64).max(3.0) * 0.85f64.powi(i32::try_from(i).unwrap_or(i32::MAX));
        if i % 4 == 3 { -0.5 * size } else { size }
    };
    let effects =
        if args.effects.is_empty() { (0..n).map(default_effect).collect() } else { args.effects.clone() };
    let interactions = if args.interaction.is_empty() && n > 1 {
        vec![Interaction { first: 0, second: 1, effect: 0.1 / (n as f64).max(3.0) }]
    } else {
        args.interaction.iter().map(|text| interaction(text, slots)).collect::<Result<_, _>>()?
    };
    Ok(CoalitionSimulation {
        n_runs: args.file.n_runs as usize,
        n_episodes: args.n_episodes as usize,
        n_envs: args.n_envs as usize,
        baseline: args.baseline,
        effects,
        interactions,
        run_spread: args.run_spread,
        spread: args.spread,
        noise: args.noise,
        design: match args.walks {
            Some(n) => Design::Walks { n_permutations: n as usize },
            None => Design::Factorial { repeats: args.repeats as usize },
        },
        seed,
    })
}

/// Rows that no disk here holds: 10^11 of some ten bytes each are a terabyte.
const MAX_ROWS: f64 = 1e11;

fn check_rows(n_rows: f64) -> Result<(), CommandError> {
    if n_rows <= MAX_ROWS {
        return Ok(());
    }
    Err(CommandError::usage(
        format!("that makes {n_rows:.1e} rows; at most {MAX_ROWS:.0e} are written"),
        "fewer runs, episodes, environments, steps or slots",
    ))
}

fn interaction(text: &str, slots: &[String]) -> Result<Interaction, CommandError> {
    let malformed = || {
        CommandError::usage(
            format!("--interaction {text}: expected SLOT+SLOT=X"),
            "for instance r0c0+r0c1=0.05",
        )
    };
    let (pair, effect) = text.split_once('=').ok_or_else(malformed)?;
    let (first, second) = pair.split_once('+').ok_or_else(malformed)?;
    let place = |id: &str| {
        slots.iter().position(|slot| slot == id).ok_or_else(|| {
            CommandError::usage(
                format!("--interaction {text}: no slot '{id}'"),
                format!("the slots are {}", slots.join(", ")),
            )
        })
    };
    let pair = Interaction {
        first: place(first)?,
        second: place(second)?,
        effect: effect.parse().ok().filter(|effect: &f64| effect.is_finite()).ok_or_else(malformed)?,
    };
    if pair.first == pair.second { Err(malformed()) } else { Ok(pair) }
}

#[derive(Default)]
struct CoalitionBatch {
    places: Vec<(u32, u32, u32)>,
    rows: Vec<CoalitionRow>,
}

impl CoalitionBatch {
    fn push(&mut self, run: u32, episode: u32, env: u32, row: CoalitionRow) {
        self.places.push((run, episode, env));
        self.rows.push(row);
    }

    fn table(self, spelling: SpellingArg, slots: &[String]) -> ParquetTable {
        let names: Vec<String> = self.places.iter().map(|place| run_name(place.0)).collect();
        let ints = |pick: &dyn Fn(&(u32, u32, u32)) -> u32| -> Vec<i64> {
            self.places.iter().map(|place| i64::from(pick(place))).collect()
        };
        let table = ParquetTable::new()
            .text("run_id", &names.iter().map(String::as_str).collect::<Vec<_>>())
            .ints("episode", &ints(&|place| place.1))
            .ints("env_id", &ints(&|place| place.2));
        let is_on = |row: &CoalitionRow, player: usize| row.mask >> player & 1 == 1;
        let mut table = match spelling {
            SpellingArg::Mask => {
                match self.rows.iter().map(|row| u32::try_from(row.mask)).collect::<Result<Vec<_>, _>>() {
                    Ok(masks) if slots.len() <= 32 => table.uints("mask", &masks),
                    _ => table.wide_uints("mask", &self.rows.iter().map(|row| row.mask).collect::<Vec<_>>()),
                }
            }
            SpellingArg::Config => {
                let ids = vec![slots.to_vec(); self.rows.len()];
                let configs: Vec<Vec<bool>> =
                    self.rows.iter().map(|row| (0..slots.len()).map(|i| is_on(row, i)).collect()).collect();
                table.text_lists("slot_ids", &ids).bool_lists("config", &configs)
            }
            SpellingArg::Columns => slots.iter().enumerate().fold(table, |table, (player, slot)| {
                let column: Vec<bool> = self.rows.iter().map(|row| is_on(row, player)).collect();
                table.bools(&format!("slot:{slot}"), &column)
            }),
        };
        if self.rows.iter().any(|row| row.walk.is_some()) {
            let walk = |pick: &dyn Fn((i64, i64)) -> i64| -> Vec<i64> {
                self.rows.iter().filter_map(|row| row.walk).map(pick).collect()
            };
            table = table.ints("perm", &walk(&|walk| walk.0)).ints("pos", &walk(&|walk| walk.1));
        }
        table
            .floats("val_accuracy", &self.rows.iter().map(|row| row.accuracy).collect::<Vec<_>>())
            .floats("val_loss", &self.rows.iter().map(|row| row.loss).collect::<Vec<_>>())
    }
}

fn transitions(args: &TransitionArgs, context: &Context) -> Result<Outcome, CommandError> {
    if !args.offset.is_finite() || args.shift.is_some_and(|shift| !shift.is_finite()) {
        return Err(CommandError::usage(
            "a number is not finite",
            "--offset and --shift are ordinary numbers",
        ));
    }
    if let Some(step) = args.shift_at.filter(|step| *step >= args.n_steps) {
        return Err(CommandError::usage(
            format!("--shift-at {step}: there are {} vector steps, so nothing would shift", args.n_steps),
            "name an earlier step, or give more --n-steps",
        ));
    }
    let simulation = TransitionSimulation {
        n_envs: args.n_envs as usize,
        n_steps: args.n_steps as usize,
        width: args.obs_width as usize,
        episode_length: args.episode_length as usize,
        offset: args.offset,
        shift_at: args.shift_at.map(|step| step as usize),
        shift: args.shift.unwrap_or(DEFAULT_SHIFT),
        seed: context.common.seed,
    };
    let paths = targets(context, args.file.n_runs)?;
    let progress = context.console.progress();
    progress.begin("simulating", u64::from(args.file.n_runs) * u64::from(args.n_steps));
    let mut n_rows = 0;
    write_runs(context, &args.file, &paths, |run, write| {
        let mut stepper = simulation.start(run as usize);
        let (mut obs, mut rows) = (Vec::new(), Vec::new());
        for step in 0..args.n_steps {
            stepper.step(&mut obs, &mut rows);
            if rows.len() + simulation.n_envs > ROWS_PER_GROUP || step + 1 == args.n_steps {
                n_rows += rows.len() as u64;
                let name = run_name(run);
                let ints = |pick: &dyn Fn(&crate::simulation::StepRow) -> i64| {
                    rows.iter().map(pick).collect::<Vec<_>>()
                };
                let table = ParquetTable::new()
                    .text("run_id", &vec![name.as_str(); rows.len()])
                    .ints("episode", &ints(&|row| row.episode))
                    .ints("step", &ints(&|row| row.step))
                    .ints("env_id", &ints(&|row| row.env_id))
                    .float_lists("obs", std::mem::take(&mut obs), simulation.width)
                    .floats("reward", &rows.iter().map(|row| row.reward).collect::<Vec<_>>())
                    .bools("terminated", &rows.iter().map(|row| row.terminated).collect::<Vec<_>>())
                    .bools("truncated", &vec![false; rows.len()]);
                write(table)?;
                rows.clear();
            }
            progress.advance(1);
        }
        Ok(())
    })?;
    drop(progress);
    let files = paths.iter().map(|path| path.display().to_string()).collect();
    print_truth(context, &SimulationDocument::of_steps(files, n_rows))
}
