//! Cutting runs that are longer than a task is to be: the tasks of each in stages.

use std::collections::BTreeMap;

use crate::commands::normalize::relay::{self, Way};
use crate::records::StepRecording;
use crate::results::{CutRun, JobDocument, RuleAnalysis, StretchPass, TaskInput, TaskRow, TaskStretch};
use crate::shards::FileUnits;

/// How the runs of a recording can be cut.
#[derive(Debug)]
pub(super) struct Cutting {
    rule: RuleAnalysis,
    /// Why they cannot be.
    way: Result<Way, &'static str>,
    /// Each with the rows of its environments.
    runs: Vec<(CutRun, Vec<u64>)>,
    width: usize,
    /// Bytes of the states at one cut.
    state_bytes: u64,
}

/// Bytes of states that one task carries at most: every task of the stage after it reads them.
const MOST_STATES: u64 = 64 << 20;

impl Cutting {
    /// Of a recording under a rule, this way, if there is one, with states of so many bytes at every cut.
    pub(super) fn of(
        rule: &RuleAnalysis,
        (way, state_bytes): (Result<Way, &'static str>, u64),
        recording: &StepRecording,
    ) -> Self {
        let runs = recording.runs().iter().enumerate();
        let runs =
            runs.map(|(number, run)| (relay::cut_run(run), recording.rows_of_environments(number).to_vec()));
        Self { rule: rule.clone(), way, runs: runs.collect(), width: recording.width(), state_bytes }
    }

    /// The stretches of a task's run, where it is longer than a task is to be and can be cut; why it cannot be.
    fn stretches(
        &self,
        row: &TaskRow,
        units: &[FileUnits],
        target_bytes: u64,
        number: usize,
    ) -> Result<Option<(CutRun, Vec<TaskRow>)>, Uncut> {
        if row.bytes <= target_bytes {
            return Ok(None);
        }
        let [place] = row.places[..] else {
            return Err(Uncut { run: None, reason: "several share a file" });
        };
        let (run, env_rows) = &self.runs[place];
        let uncut = |reason| Uncut { run: Some(run.run_id.clone()), reason };
        let parts = RunParts::of(row, units);
        if row.inputs.iter().any(|input| units[input.place].dataset.is_some()) {
            return Err(uncut("its data set describes it as a whole"));
        }
        let way = self.way.map_err(|reason| Uncut { run: None, reason })?;
        if parts.n_rows() != run.n_rows {
            return Err(uncut("its files hold other rows"));
        }
        let most_rows = u128::from(target_bytes) * u128::from(run.n_rows) / u128::from(row.bytes.max(1));
        let most_rows = u64::try_from(most_rows).unwrap_or(u64::MAX);
        let cuts = relay::cuts((&self.rule, way), run, (env_rows, self.width), most_rows);
        if cuts.is_empty() {
            return Err(uncut("its updates are longer, or it has fewer rows than are handled together"));
        }
        if self.state_bytes.saturating_mul(cuts.len() as u64 + 1) > MOST_STATES {
            return Err(uncut("the states of its settings at all cuts would be more than 64 MiB"));
        }
        let ends = cuts.iter().map(|cut| cut.rows).chain([run.n_rows]);
        let starts = [relay::Cut::default()].into_iter().chain(cuts.iter().copied());
        let stretches: Vec<TaskRow> = (starts.zip(ends).enumerate())
            .map(|(place, (start, end))| {
                let read = parts.of_rows(start.rows, end);
                let stretch = TaskStretch {
                    pass: if way == Way::Sum { StretchPass::Sums } else { StretchPass::Moments },
                    run: number,
                    number: place,
                    rows: [start.rows, end],
                    skip: read.skip,
                    first_step: start.vector_steps,
                    updates: start.updates,
                    after: None,
                };
                TaskRow { inputs: read.inputs, bytes: read.bytes, stretch: Some(stretch), ..row.clone() }
            })
            .collect();
        if stretches.iter().map(|stretch| stretch.bytes).sum::<u64>() > row.bytes.saturating_mul(MOST_READ) {
            return Err(uncut(
                "its row groups, or texts, are longer than its stretches: each would be read several times",
            ));
        }
        let run = CutRun { n_files: row.inputs.len(), n_stretches: stretches.len(), ..run.clone() };
        Ok(Some((run, stretches)))
    }
}

/// Why a run is not cut, or none is.
struct Uncut {
    run: Option<String>,
    reason: &'static str,
}

fn told(reason: &str, runs: &[String]) -> String {
    match runs {
        [] => format!("runs are not cut: {reason}"),
        [run] => format!("run {run} is not cut: {reason}"),
        [run, ..] => format!("each of {} runs, {run} among them, is not cut: {reason}", runs.len()),
    }
}

/// Tasks in order of their stages.
#[derive(Debug, Default)]
pub(super) struct Relayed {
    /// Lines of the plan.
    pub(super) rows: Vec<TaskRow>,
    /// Tasks of each stage; none where there is one.
    pub(super) stages: Vec<usize>,
    /// Runs that are cut.
    pub(super) runs: Vec<CutRun>,
    /// Why runs are not cut that are longer than a task is to be.
    pub(super) reasons: Vec<String>,
}

/// Cuts runs that are longer than a task is to be.
pub(super) fn relayed(
    rows: Vec<TaskRow>,
    cutting: Option<&Cutting>,
    units: &[FileUnits],
    target_bytes: u64,
) -> Relayed {
    let Some(cutting) = cutting else { return Relayed { rows, ..Relayed::default() } };
    let mut found = Relayed::default();
    let (mut states, mut replays) = (Vec::new(), Vec::new());
    let mut uncut: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for row in rows {
        match cutting.stretches(&row, units, target_bytes, found.runs.len()) {
            Ok(Some((run, stretches))) => {
                let first = found.rows.len();
                found.rows.extend(stretches.iter().cloned());
                if cutting.way != Ok(Way::Sum) {
                    // As tasks are numbered in the end.
                    states.push(states_of(&row, &run, [first, found.rows.len()], found.runs.len()));
                    replays.extend(stretches);
                }
                found.runs.push(run);
            }
            Ok(None) => found.rows.push(row),
            Err(Uncut { run, reason }) => {
                found.rows.push(row);
                uncut.entry(reason).or_default().extend(run);
            }
        }
    }
    found.reasons = uncut.iter().map(|(reason, runs)| told(reason, runs)).collect();
    if !states.is_empty() {
        found.stages = vec![found.rows.len(), states.len(), replays.len()];
        let first_states = found.rows.len();
        let first_replay = first_states + states.len();
        let is_compared = cutting.way == Ok(Way::Compare);
        let pass = if is_compared { StretchPass::Settings } else { StretchPass::Replay };
        for stretch in replays.iter_mut().filter_map(|row: &mut TaskRow| row.stretch.as_mut()) {
            let states = first_states + stretch.run;
            (stretch.pass, stretch.after) = (pass, Some([states, states + 1]));
        }
        let mut lags: Vec<TaskRow> = if is_compared { states.clone() } else { Vec::new() };
        let mut first = first_replay;
        for (stretch, run) in lags.iter_mut().filter_map(|row| row.stretch.as_mut()).zip(&found.runs) {
            let end = first + run.n_stretches;
            (stretch.pass, stretch.after) = (StretchPass::Lags, Some([first, end]));
            first = end;
        }
        if is_compared {
            found.stages.push(lags.len());
        }
        found.rows.extend(states);
        found.rows.extend(replays);
        found.rows.extend(lags);
    }
    found.rows.iter_mut().enumerate().for_each(|(id, row)| row.id = id);
    found
}

/// The task that goes through what was seen of a run.
fn states_of(row: &TaskRow, run: &CutRun, after: [usize; 2], number: usize) -> TaskRow {
    let stretch = TaskStretch {
        pass: StretchPass::States,
        run: number,
        number: 0,
        rows: [0, run.n_rows],
        skip: 0,
        first_step: 0,
        updates: 0,
        after: Some(after),
    };
    TaskRow { inputs: Vec::new(), stretch: Some(stretch), bytes: 0, ..row.clone() }
}

/// Times that all stretches together may read a run, at most: more where its parts are longer than they.
const MOST_READ: u64 = 2;

/// The parts of files that hold a run, one after the other.
struct RunParts<'a> {
    parts: Vec<RunPart<'a>>,
}

/// A part of a file.
struct RunPart<'a> {
    input: &'a TaskInput,
    /// Its number in the file.
    part: usize,
    /// Whether the file has others.
    has_others: bool,
    /// Rows of the run before it.
    first_row: u64,
    n_rows: u64,
    bytes: u64,
}

/// What a stretch reads.
struct StretchRead {
    inputs: Vec<TaskInput>,
    skip: u64,
    bytes: u64,
}

impl<'a> RunParts<'a> {
    fn of(row: &'a TaskRow, units: &[FileUnits]) -> Self {
        let mut parts = Vec::new();
        let mut first_row = 0;
        for input in &row.inputs {
            let file = &units[input.place];
            let n_rows: u64 = file.parts.iter().map(|part| part.n_rows).sum();
            for (number, part) in file.parts.iter().enumerate() {
                let bytes = u128::from(file.n_bytes) * u128::from(part.n_rows) / u128::from(n_rows.max(1));
                let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
                let has_others = file.parts.len() > 1;
                parts.push(RunPart {
                    input,
                    part: number,
                    has_others,
                    first_row,
                    n_rows: part.n_rows,
                    bytes,
                });
                first_row += part.n_rows;
            }
        }
        Self { parts }
    }

    fn n_rows(&self) -> u64 {
        self.parts.iter().map(|part| part.n_rows).sum()
    }

    /// What holds rows of the run.
    fn of_rows(&self, first: u64, end: u64) -> StretchRead {
        let is_read = |part: &&RunPart<'_>| part.first_row < end && part.first_row + part.n_rows > first;
        let mut read = StretchRead { inputs: Vec::new(), skip: 0, bytes: 0 };
        for part in self.parts.iter().filter(is_read) {
            if read.inputs.is_empty() {
                read.skip = first - part.first_row;
            }
            read.bytes += part.bytes;
            match read.inputs.last_mut().filter(|last| last.place == part.input.place) {
                Some(TaskInput { parts: Some(parts), .. }) => parts.push(part.part),
                Some(_) => {}
                None => {
                    let parts = part.has_others.then(|| vec![part.part]);
                    read.inputs.push(TaskInput { parts, ..part.input.clone() });
                }
            }
        }
        read
    }
}

/// Whether a task goes through a stretch for this.
pub(super) fn is_of(task: &TaskRow, pass: StretchPass) -> bool {
    task.stretch.as_ref().is_some_and(|stretch| stretch.pass == pass)
}

/// Whether what a task finds is taken up by tasks of a later stage, and nothing of it by the result.
pub(super) fn is_taken_up(task: &TaskRow) -> bool {
    [StretchPass::Moments, StretchPass::States, StretchPass::Settings]
        .into_iter()
        .any(|pass| is_of(task, pass))
}

fn is_replay(task: &TaskRow) -> bool {
    is_of(task, StretchPass::Replay)
}

/// Stretches of each cut run whose finds are among those of `tasks`.
pub(super) fn n_stretches(tasks: &[TaskRow], job: &JobDocument) -> Vec<usize> {
    let mut n_stretches = vec![0; job.recording.cut_runs.len()];
    for stretch in tasks.iter().filter(|task| !is_taken_up(task)).filter_map(|task| task.stretch.as_ref()) {
        if let Some((n, run)) = n_stretches.get_mut(stretch.run).zip(job.recording.cut_runs.get(stretch.run))
        {
            *n += if stretch.pass == StretchPass::Lags { run.n_stretches } else { 1 };
        }
    }
    n_stretches
}

/// Tasks that leave rows, in the order of these; runs that lack a stretch have none.
pub(super) fn in_order_of_rows<'a>(tasks: &'a [TaskRow], job: &JobDocument) -> Vec<&'a TaskRow> {
    let n_stretches = n_stretches(tasks, job);
    let is_whole = |task: &&TaskRow| match &task.stretch {
        None => true,
        Some(stretch) => {
            let cut = job.recording.cut_runs.get(stretch.run);
            is_replay(task) && cut.is_some_and(|cut| cut.n_stretches == n_stretches[stretch.run])
        }
    };
    let mut rows: Vec<&TaskRow> = tasks.iter().filter(is_whole).collect();
    rows.sort_by_key(|task| {
        (task.places.first().copied(), task.stretch.as_ref().map(|stretch| stretch.number))
    });
    rows
}
