//! Which rows there are, and whether they come in replay order: from the key columns alone.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::super::columns::{self, BadCells};
use super::super::error::{Problem, RecordError};
use super::super::schema::OnBad;
use super::super::table::Table;
use super::keys::PieceKeys;
use super::{Clock, RunInfo, StepOptions, StepSkips, StepTarget};
use crate::progress::Progress;

/// Key pieces decoded at once.
const PIECES_AT_ONCE: usize = 64;

/// Names of the columns read from one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyNames {
    pub(super) run_id: Option<String>,
    pub(super) episode: Option<String>,
    pub(super) env_id: Option<String>,
    pub(super) step: Option<String>,
    pub(super) clock: Option<String>,
    pub(super) round: Option<String>,
    pub(super) rolled_back: Option<String>,
    pub(super) terminated: Option<String>,
    pub(super) truncated: Option<String>,
    pub(super) done: Option<String>,
    /// Columns of the values.
    pub(super) values: Vec<String>,
}

impl KeyNames {
    pub(super) fn find(table: &Table, options: &StepOptions) -> Result<Self, RecordError> {
        let find = |field: &str| options.columns.find(table, field);
        let missing = |needed: String| {
            RecordError::file(table.name(), Problem::MissingColumns { needed, found: table.column_names() })
        };
        let clock = match &options.clock {
            Clock::Column(name) if table.has_column(name) => Some(name.clone()),
            Clock::Column(name) => return Err(missing(format!("clock column {name}"))),
            _ => None,
        };
        let round = find("round")?;
        if options.needs_round && round.is_none() {
            return Err(missing("round column (round, rollout or batch)".to_owned()));
        }
        let field = options.target.field();
        let mut values: Vec<String> = find(field)?.into_iter().collect();
        if values.is_empty() && options.target == StepTarget::Obs {
            let numbered = (0..table.column_names().len()).map(|i| format!("obs_{i}"));
            values = numbered.take_while(|name| table.has_column(name)).collect();
        }
        if values.is_empty() {
            return Err(missing(format!("{field} column")));
        }
        Ok(Self {
            run_id: find("run_id")?,
            episode: find("episode")?,
            env_id: find("env_id")?,
            step: find("step")?,
            clock,
            round: round.filter(|_| options.needs_round),
            rolled_back: find("rolled_back")?,
            terminated: find("terminated")?,
            truncated: find("truncated")?,
            done: find("done")?,
            values,
        })
    }

    /// The key columns that order depends on.
    fn ordering(&self) -> Vec<String> {
        let names = [&self.run_id, &self.episode, &self.env_id, &self.step, &self.clock];
        let mut distinct: Vec<String> = Vec::new();
        for name in names.into_iter().flatten() {
            if !distinct.contains(name) {
                distinct.push(name.clone());
            }
        }
        distinct
    }

    /// All columns.
    pub(super) fn all(&self) -> Vec<String> {
        let mut names = self.ordering();
        let others = [&self.round, &self.rolled_back, &self.terminated, &self.truncated, &self.done];
        names.extend(others.into_iter().flatten().cloned());
        names.extend(self.values.iter().cloned());
        names
    }
}

/// Rows of one environment of one run that follow each other in one piece, in order of (episode, step).
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    run: u32,
    env: u32,
    first: (i64, i64),
    last: (i64, i64),
    /// Place of the first row over all files.
    row: u64,
    len: u64,
}

/// Runs, and where every row belongs.
#[derive(Debug)]
pub(super) struct Index {
    runs: Vec<RunInfo>,
    run_numbers: BTreeMap<String, usize>,
    /// Rows per (run, episode), where asked for.
    episode_rows: BTreeMap<(usize, i64), u64>,
    skipped: BTreeMap<&'static str, u64>,
    order: Order,
    implied_steps: bool,
    clock: Clock,
    /// Rows of the files before each file.
    file_starts: Vec<u64>,
}

#[derive(Debug)]
enum Order {
    /// As the rows lie.
    Files,
    /// Stretches in file order, each with the vector step of its first row (row clock).
    Sorted { stretches: Vec<(u64, u64, i64)>, samples: Vec<(usize, i64, i64)>, stride: u64 },
}

/// What the first pass knows of one run.
#[derive(Debug, Default)]
struct RunScan {
    run_id: String,
    n_rows: u64,
    envs: Vec<EnvScan>,
    numbers: BTreeMap<i64, usize>,
    last: Option<((i64, i64), i64)>,
    n_clocks: u64,
    span: Option<((i64, i64), (i64, i64))>,
    /// Position in `envs` of the row before.
    cursor: usize,
}

#[derive(Debug)]
struct EnvScan {
    env: i64,
    n_rows: u64,
    last: (i64, i64),
}

struct Scan<'a> {
    options: &'a StepOptions,
    runs: Vec<RunScan>,
    numbers: BTreeMap<String, usize>,
    current: Option<usize>,
    is_ordered: bool,
    episode_rows: BTreeMap<(usize, i64), u64>,
}

impl Scan<'_> {
    fn run(&mut self, run_id: String) -> usize {
        if let Some(current) = self.current
            && self.runs[current].run_id == run_id
        {
            return current;
        }
        let number = if let Some(number) = self.numbers.get(&run_id) {
            // Rows of a run seen before: runs are interleaved.
            self.is_ordered = false;
            *number
        } else {
            self.numbers.insert(run_id.clone(), self.runs.len());
            self.runs.push(RunScan { run_id, ..RunScan::default() });
            self.runs.len() - 1
        };
        self.current = Some(number);
        number
    }

    fn add(&mut self, keys: &PieceKeys, is_bad: &[bool]) {
        let mut row = 0;
        while row < keys.n_rows() {
            if is_bad.get(row) == Some(&true) {
                row += 1;
                continue;
            }
            let end = keys.runs.run_end(row, keys.n_rows());
            let run = self.run(keys.runs.get(row));
            for row in row..end {
                if is_bad.get(row) == Some(&true) {
                    continue;
                }
                let place = keys.place(row);
                let clock = match &self.options.clock {
                    Clock::Row => None,
                    Clock::EpisodeStep => Some(place),
                    Clock::Column(_) => keys.clock.as_ref().map(|clock| (clock.get(row), 0)),
                };
                if self.options.needs_episode_ends {
                    *self.episode_rows.entry((run, place.0)).or_default() += 1;
                }
                self.is_ordered &= self.runs[run].add(keys.envs.get(row), place, clock);
            }
            row = end;
        }
    }
}

impl RunScan {
    /// Adds a row; says whether it comes in replay order.
    fn add(&mut self, env: i64, place: (i64, i64), clock: Option<(i64, i64)>) -> bool {
        self.n_rows += 1;
        let (first, last) = self.span.unwrap_or((place, place));
        self.span = Some((first.min(place), last.max(place)));
        let guess = if self.cursor + 1 < self.envs.len() { self.cursor + 1 } else { 0 };
        let number = if self.envs.get(guess).is_some_and(|scan| scan.env == env) {
            guess
        } else if let Some(number) = self.numbers.get(&env) {
            *number
        } else {
            self.numbers.insert(env, self.envs.len());
            self.envs.push(EnvScan { env, n_rows: 0, last: (i64::MIN, i64::MIN) });
            self.envs.len() - 1
        };
        self.cursor = number;
        let scan = &mut self.envs[number];
        let clock = clock.unwrap_or((scan.n_rows as i64, 0));
        let is_later = scan.n_rows == 0 || place > scan.last;
        scan.n_rows += 1;
        scan.last = place;
        let here = (clock, env);
        let is_after = self.last.is_none_or(|last| here > last);
        if self.last.is_none_or(|(last, _)| last != clock) {
            self.n_clocks += 1;
        }
        self.last = Some(here);
        is_later && is_after
    }
}

impl Index {
    pub(super) fn build(
        tables: &[Table],
        names: &[KeyNames],
        options: &StepOptions,
        progress: &Progress,
        skips: &mut StepSkips,
    ) -> Result<Self, RecordError> {
        let mut scan = Scan {
            options,
            runs: Vec::new(),
            numbers: BTreeMap::new(),
            current: None,
            is_ordered: true,
            episode_rows: BTreeMap::new(),
        };
        let mut skipped = BTreeMap::new();
        let pass = KeyPass { tables, names, options };
        progress.begin("ordering", tables.iter().map(Table::n_rows).sum());
        pass.run(progress, &mut skipped, |keys, is_bad, _| {
            scan.add(keys, is_bad);
            Ok(())
        })?;
        if scan.runs.is_empty() {
            return Err(RecordError::file(tables[0].name(), Problem::NoRows));
        }
        let mut file_starts = vec![0];
        for table in tables {
            file_starts.push(file_starts[file_starts.len() - 1] + table.n_rows());
        }
        let order = if scan.is_ordered {
            Order::Files
        } else {
            sorted_order(&pass, &scan, &file_starts, &mut skipped, progress)?
        };
        for (reason, n) in &skipped {
            *skips.report.rows.entry(reason).or_default() += n;
        }
        let clock_is_row = options.clock == Clock::Row;
        let runs = scan.runs.iter().map(|run| RunInfo {
            run_id: run.run_id.clone(),
            n_rows: run.n_rows,
            envs: run.numbers.keys().copied().collect(),
            span: run.span.unwrap_or_default(),
            n_vector_steps: if clock_is_row {
                run.envs.iter().map(|env| env.n_rows).max().unwrap_or(0)
            } else if scan.is_ordered {
                run.n_clocks
            } else {
                run.n_rows.div_ceil(run.envs.len().max(1) as u64)
            },
        });
        Ok(Self {
            runs: runs.collect(),
            run_numbers: scan.numbers,
            episode_rows: scan.episode_rows,
            skipped,
            order,
            implied_steps: names.iter().any(|names| names.step.is_none()),
            clock: options.clock.clone(),
            file_starts,
        })
    }

    pub(super) fn runs(&self) -> &[RunInfo] {
        &self.runs
    }

    pub(super) fn run_number(&self, run_id: &str) -> Option<usize> {
        self.run_numbers.get(run_id).copied()
    }

    pub(super) fn skipped_rows(&self) -> &BTreeMap<&'static str, u64> {
        &self.skipped
    }

    pub(super) fn is_ordered(&self) -> bool {
        matches!(self.order, Order::Files)
    }

    pub(super) fn has_implied_steps(&self) -> bool {
        self.implied_steps
    }

    pub(super) fn order_note(&self) -> Option<String> {
        (!self.is_ordered()).then(|| {
            "rows do not come in replay order (vector step, env_id): they are put in order first".to_owned()
        })
    }

    /// Rows of an episode over all environments of a run.
    pub(super) fn episode_rows(&self, run: usize, episode: i64) -> Option<u64> {
        self.episode_rows.get(&(run, episode)).copied()
    }

    /// The clock of every row of a piece: its vector step, or what stands for it; the greatest there is for rows
    /// that the first pass left out.
    pub(super) fn clocks(&self, keys: &PieceKeys) -> Vec<(i64, i64)> {
        let steps = match &self.order {
            Order::Sorted { stretches, .. } => Some(self.sorted_steps(keys, stretches)),
            Order::Files => None,
        };
        let clock = |row: usize| match &self.clock {
            Clock::Row => (steps.as_ref().map_or(0, |steps| steps[row].unwrap_or(0)), 0),
            Clock::EpisodeStep => keys.place(row),
            Clock::Column(_) => (keys.clock.as_ref().map_or(0, |clock| clock.get(row)), 0),
        };
        let has_place = |row: usize| steps.as_ref().is_none_or(|steps| steps[row].is_some());
        (0..keys.n_rows()).map(|row| if has_place(row) { clock(row) } else { (i64::MAX, 0) }).collect()
    }

    /// Vector step of every row of a piece by the stretches they lie in.
    fn sorted_steps(&self, keys: &PieceKeys, stretches: &[(u64, u64, i64)]) -> Vec<Option<i64>> {
        let start = self.file_starts[keys.file] + keys.first_row;
        let mut at = stretches.partition_point(|(row, len, _)| row + len <= start);
        (0..keys.n_rows() as u64)
            .map(|offset| {
                let here = start + offset;
                while at < stretches.len() && stretches[at].0 + stretches[at].1 <= here {
                    at += 1;
                }
                let (row, _, step) = stretches.get(at).filter(|stretch| stretch.0 <= here)?;
                Some(step + (here - row) as i64)
            })
            .collect()
    }

    /// Limits that cut the rows into stretches of about `rows` each: (run, clock) of the first row of each but
    /// the first.
    pub(super) fn cuts(&self, rows: u64) -> Vec<(usize, i64, i64)> {
        let Order::Sorted { samples, stride, .. } = &self.order else { return Vec::new() };
        let step = usize::try_from((rows / stride).max(1)).unwrap_or(usize::MAX);
        let mut cuts: Vec<(usize, i64, i64)> = samples.iter().skip(step).step_by(step).copied().collect();
        cuts.dedup();
        cuts
    }
}

/// One reading of all key columns in file order.
struct KeyPass<'a> {
    tables: &'a [Table],
    names: &'a [KeyNames],
    options: &'a StepOptions,
}

impl KeyPass<'_> {
    fn run(
        &self,
        progress: &Progress,
        skipped: &mut BTreeMap<&'static str, u64>,
        mut add: impl FnMut(&PieceKeys, &[bool], u64) -> Result<(), RecordError>,
    ) -> Result<(), RecordError> {
        let jobs: Vec<(usize, usize)> = (self.tables.iter().enumerate())
            .flat_map(|(file, table)| (0..table.parts().len()).map(move |part| (file, part)))
            .collect();
        let mut start = 0;
        for jobs in jobs.chunks(PIECES_AT_ONCE) {
            let read: Vec<_> = jobs.par_iter().map(|(file, part)| self.read(*file, *part)).collect();
            for keys in read {
                let (keys, bad) = keys?;
                let table = &self.tables[keys.file];
                let mut is_bad = Vec::new();
                for cell in bad.cells {
                    let error = RecordError::cell(
                        table.name(),
                        keys.row_number(cell.row),
                        &cell.column,
                        cell.problem,
                    );
                    let is_null = matches!(error.problem, Problem::Null(_));
                    if self.options.on_bad == OnBad::Error || !is_null {
                        return Err(error);
                    }
                    is_bad.resize(keys.n_rows(), false);
                    if !std::mem::replace(&mut is_bad[cell.row], true) {
                        *skipped.entry(error.class()).or_default() += 1;
                    }
                }
                add(&keys, &is_bad, start)?;
                start += keys.n_rows() as u64;
                progress.advance(keys.n_rows() as u64);
            }
        }
        Ok(())
    }

    fn read(&self, file: usize, part: usize) -> Result<(PieceKeys, BadCells), RecordError> {
        let table = &self.tables[file];
        let place = table.parts()[part];
        let names = self.names[file].ordering();
        let arrays = table.read_arrays(part, &(0..place.n_rows), &names)?;
        let array = |name: &String| {
            let place = names.iter().position(|other| other == name);
            place.and_then(|place| arrays.get(place)).cloned()
        };
        let mut bad = BadCells::default();
        let keys = PieceKeys::of(
            &self.names[file],
            table.stem(),
            file,
            place.first_row,
            place.n_rows,
            array,
            &mut bad,
        );
        Ok((keys, columns::sorted_by_row(bad)))
    }
}

/// Sorts stretches of rows; a doubled key is an error.
fn sorted_order(
    pass: &KeyPass<'_>,
    scan: &Scan<'_>,
    file_starts: &[u64],
    skipped: &mut BTreeMap<&'static str, u64>,
    progress: &Progress,
) -> Result<Order, RecordError> {
    let mut stretches = collect_stretches(pass, scan, progress, u64::MAX)?;
    stretches.sort_by_key(|s| (s.run, s.env, s.first, s.row));
    if stretches.windows(2).any(|pair| overlaps(&pair[0], &pair[1])) {
        // Stretches reach into each other: row by row then.
        stretches = collect_stretches(pass, scan, progress, 1)?;
        stretches.sort_by_key(|s| (s.run, s.env, s.first, s.row));
        if pass.options.on_bad == OnBad::Skip {
            let all = stretches.len();
            stretches.dedup_by(|later, first| overlaps(first, later));
            let dropped = (all - stretches.len()) as u64;
            if dropped > 0 {
                *skipped.entry("duplicate step").or_default() += dropped;
            }
        }
        let found = stretches.windows(2).find(|pair| overlaps(&pair[0], &pair[1]));
        if let Some([first, second]) = found {
            return Err(doubled(pass, scan, file_starts, first, second));
        }
    }
    let n_rows: u64 = stretches.iter().map(|s| s.len).sum();
    let stride = n_rows.div_ceil(1 << 20).max(1);
    let mut placed = Vec::with_capacity(stretches.len());
    let mut samples = Vec::new();
    let mut next = 0u64;
    let mut phase = 0u64;
    for (i, stretch) in stretches.iter().enumerate() {
        let is_same = i > 0 && (stretches[i - 1].run, stretches[i - 1].env) == (stretch.run, stretch.env);
        if !is_same {
            next = 0;
        }
        placed.push((stretch.row, stretch.len, next as i64));
        // Every `stride`-th row: enough to cut all rows into even buckets.
        while phase < stretch.len {
            let clock = match pass.options.clock {
                Clock::Row => ((next + phase) as i64, 0),
                _ => stretch.first,
            };
            samples.push((stretch.run as usize, clock.0, clock.1));
            phase += stride;
        }
        phase -= stretch.len;
        next += stretch.len;
    }
    placed.sort_unstable();
    samples.sort_unstable();
    Ok(Order::Sorted { stretches: placed, samples, stride })
}

fn overlaps(a: &Stretch, b: &Stretch) -> bool {
    (a.run, a.env) == (b.run, b.env) && a.last >= b.first
}

fn doubled(
    pass: &KeyPass<'_>,
    scan: &Scan<'_>,
    file_starts: &[u64],
    first: &Stretch,
    second: &Stretch,
) -> RecordError {
    let place = |stretch: &Stretch| {
        let file = file_starts.partition_point(|start| *start <= stretch.row) - 1;
        (file, stretch.row - file_starts[file])
    };
    let (file, row) = place(second);
    let (other_file, other_row) = place(first);
    let run = &scan.runs[second.run as usize];
    RecordError {
        file: pass.tables[file].name().to_owned(),
        row: Some(row),
        column: None,
        problem: Problem::DuplicateStep {
            step: format!(
                "run {}, episode {}, step {}, env {}",
                run.run_id, second.first.0, second.first.1, run.envs[second.env as usize].env
            ),
            other: format!("{}, row {other_row}", pass.tables[other_file].name()),
        },
    }
}

fn collect_stretches(
    pass: &KeyPass<'_>,
    scan: &Scan<'_>,
    progress: &Progress,
    longest: u64,
) -> Result<Vec<Stretch>, RecordError> {
    // Under clocks of their own, long stretches would hide where rows belong.
    let longest = if pass.options.clock == Clock::Row { longest } else { longest.min(256) };
    let mut stretches: Vec<Stretch> = Vec::new();
    progress.begin("ordering", pass.tables.iter().map(Table::n_rows).sum());
    pass.run(progress, &mut BTreeMap::new(), |keys, is_bad, start| {
        let mut row = 0;
        while row < keys.n_rows() {
            let end = keys.runs.run_end(row, keys.n_rows());
            let run = scan.numbers.get(&keys.runs.get(row)).copied().unwrap_or(0);
            for row in row..end {
                if is_bad.get(row) == Some(&true) {
                    continue;
                }
                let place = keys.place(row);
                let env = scan.runs[run].numbers.get(&keys.envs.get(row)).copied().unwrap_or(0);
                let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
                let (run, env) = (narrow(run), narrow(env));
                let global = start + row as u64;
                if let Some(last) = stretches.last_mut()
                    && (last.run, last.env) == (run, env)
                    && last.row + last.len == global
                    && place > last.last
                    && last.len < longest
                {
                    last.last = place;
                    last.len += 1;
                } else {
                    stretches.push(Stretch { run, env, first: place, last: place, row: global, len: 1 });
                }
            }
            row = end;
        }
        Ok(())
    })?;
    Ok(stretches)
}
