//! esper-lite's event log (`events.jsonl`): counterfactual matrices as coalitions, executed actions as steps.
//!
//! One JSON object per line with an envelope (`event_type`, `epoch`, `group_id`, ...) and `data`. A matrix belongs to the
//! epoch of its environment that is completed next. What the recorder made up is left out and counted: the row of nobody of
//! an `ablation_only` matrix of two slots and more (it is the least of the leave-one-out accuracies), and the second
//! evaluation of a matrix of one slot (a copy). Estimates of Shapley values that the trainer logged are rows by slot. Steps that were rolled back have no action; they are rows without a reward,
//! marked so.

use std::collections::{BTreeMap, BTreeSet};

use polars_arrow::array::{Array, BooleanArray, ListArray, PrimitiveArray, Utf8ViewArray};
use polars_arrow::offset::Offsets;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::error::{Problem, RecordError};
use super::super::literal::with_null_non_finite;
use super::{Columns, Made};

/// Events that are read, as they are spelled in a line.
const TYPES: [&str; 5] = [
    "\"TRAINING_STARTED\"",
    "\"EPOCH_COMPLETED\"",
    "\"COUNTERFACTUAL_MATRIX_COMPUTED\"",
    "\"ANALYTICS_SNAPSHOT\"",
    "\"MORPHOLOGY_CAUSAL_LOG\"",
];

#[derive(Deserialize)]
struct Envelope {
    event_type: String,
    #[serde(default)]
    group_id: Option<String>,
}

#[derive(Deserialize)]
struct Event<T> {
    data: T,
}

#[derive(Deserialize)]
struct Started {
    n_envs: Option<i64>,
    max_epochs: Option<i64>,
}

#[derive(Deserialize)]
struct EpochCompleted {
    env_id: i64,
    episode_idx: Option<i64>,
    inner_epoch: Option<i64>,
}

#[derive(Deserialize)]
struct Matrix {
    env_id: i64,
    slot_ids: Vec<String>,
    configs: Vec<Config>,
    episode_idx: Option<i64>,
    strategy: Option<String>,
}

#[derive(Deserialize)]
struct Config {
    seed_mask: Vec<bool>,
    accuracy: Option<f64>,
}

#[derive(Deserialize)]
struct Snapshot {
    kind: Option<String>,
    env_id: Option<i64>,
    episode_idx: Option<i64>,
    inner_epoch: Option<i64>,
    total_reward: Option<f64>,
    value_estimate: Option<f64>,
    shapley_values: Option<BTreeMap<String, Estimate>>,
}

#[derive(Deserialize)]
struct Estimate {
    mean: Option<f64>,
    std: Option<f64>,
    n_samples: Option<i64>,
}

#[derive(Deserialize)]
struct Morphology {
    phase: Option<String>,
    action_id: Option<String>,
}

/// Whether a line is an event of such a log.
pub(super) fn is_event(line: &[u8]) -> bool {
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "that they are there is all that is asked")]
    struct Marks {
        event_id: String,
        event_type: String,
        timestamp: String,
    }
    serde_json::from_slice::<Marks>(&with_null_non_finite(line)).is_ok()
}

/// What is read of a line.
enum Read {
    Started(Started),
    Epoch(EpochCompleted),
    Matrix(Matrix),
    Action(Snapshot),
    Estimates(Snapshot),
    RolledBack(String),
    Other,
}

/// The events of a log in order, each with the number of its run.
struct Log {
    events: Vec<(usize, Read)>,
    n_runs: usize,
    notes: Vec<String>,
}

fn damaged(name: &str, line: usize, what: impl std::fmt::Display) -> RecordError {
    let detail = format!("line {line}: {}", what.to_string().replace(" at line 1 ", " at "));
    RecordError::file(name, Problem::Unreadable { format: "esper-lite event log", detail })
}

fn parse(name: &str, contents: &[u8]) -> Result<Log, RecordError> {
    let mut log = Log { events: Vec::new(), n_runs: 0, notes: Vec::new() };
    let mut n_other = 0u64;
    let mut runs: BTreeMap<Option<String>, usize> = BTreeMap::new();
    let n_lines = contents.split(|byte| *byte == b'\n').count();
    for (number, line) in contents.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let line = with_null_non_finite(line);
        let envelope: Envelope = match serde_json::from_slice(&line) {
            Ok(envelope) => envelope,
            // Without its end a last line is one that the recorder did not get to write.
            Err(_) if number + 1 == n_lines => {
                log.notes
                    .push(format!("{name}: line {} is cut off, as a stopped recorder leaves it", number + 1));
                continue;
            }
            Err(error) => return Err(damaged(name, number + 1, error)),
        };
        let text = String::from_utf8_lossy(&line);
        // Every group is a run of its own, and every start of training within a group one more.
        let is_start = envelope.event_type == "TRAINING_STARTED";
        let place = match runs.get(&envelope.group_id) {
            Some(place) if !is_start => *place,
            _ => {
                runs.insert(envelope.group_id.clone(), log.n_runs);
                log.n_runs += 1;
                log.n_runs - 1
            }
        };
        let event = if TYPES.iter().any(|known| text.contains(known)) {
            read(&envelope.event_type, &line).map_err(|error| damaged(name, number + 1, error))?
        } else {
            Read::Other
        };
        if matches!(event, Read::Other) {
            n_other += 1;
        } else {
            log.events.push((place, event));
        }
    }
    if n_other > 0 {
        log.notes.push(format!("{name}: {n_other} events of other kinds are not read"));
    }
    Ok(log)
}

fn data<T: DeserializeOwned>(line: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice::<Event<T>>(line).map(|event| event.data)
}

fn read(event_type: &str, line: &[u8]) -> serde_json::Result<Read> {
    Ok(match event_type {
        "TRAINING_STARTED" => Read::Started(data(line)?),
        "EPOCH_COMPLETED" => Read::Epoch(data(line)?),
        "COUNTERFACTUAL_MATRIX_COMPUTED" => Read::Matrix(data(line)?),
        "ANALYTICS_SNAPSHOT" => {
            let snapshot: Snapshot = data(line)?;
            match snapshot.kind.as_deref() {
                Some("last_action") => Read::Action(snapshot),
                Some("shapley_computed") => Read::Estimates(snapshot),
                _ => Read::Other,
            }
        }
        "MORPHOLOGY_CAUSAL_LOG" => {
            let step: Morphology = data(line)?;
            match step {
                Morphology { phase: Some(phase), action_id: Some(id) } if phase == "rollback" => {
                    Read::RolledBack(id)
                }
                _ => Read::Other,
            }
        }
        _ => Read::Other,
    })
}

/// Run ids of rows, where a log holds several runs; a log of one run has the name of its folder.
fn run_ids(runs: &[usize], n_runs: usize) -> Option<Box<Utf8ViewArray>> {
    (n_runs > 1).then(|| {
        let names: Vec<Option<String>> = runs.iter().map(|run| Some(format!("run{run}"))).collect();
        Box::new(Utf8ViewArray::from_slice(names))
    })
}

fn ints(values: Vec<i64>) -> Box<dyn Array> {
    Box::new(PrimitiveArray::from_vec(values))
}

/// The matrices of a log as coalition rows.
pub(super) fn coalitions(name: &str, contents: &[u8]) -> Result<Made, RecordError> {
    let mut log = parse(name, contents)?;
    let mut rows = CoalitionRows::default();
    // Matrices wait for the epoch of their environment that is completed next.
    let mut waiting: BTreeMap<(usize, i64, i64), Vec<Matrix>> = BTreeMap::new();
    let mut last_epoch: BTreeMap<(usize, i64, i64), i64> = BTreeMap::new();
    for (run, event) in log.events {
        match event {
            Read::Matrix(matrix) => {
                let key = (run, matrix.episode_idx.unwrap_or(0), matrix.env_id);
                waiting.entry(key).or_default().push(matrix);
            }
            Read::Epoch(epoch) => {
                let key = (run, epoch.episode_idx.unwrap_or(0), epoch.env_id);
                let inner = epoch.inner_epoch.unwrap_or(0);
                last_epoch.insert(key, inner);
                for matrix in waiting.remove(&key).unwrap_or_default() {
                    rows.push(key, inner, matrix);
                }
            }
            _ => {}
        }
    }
    for (key, matrices) in waiting {
        let inner = last_epoch.get(&key).map_or(1, |last| last + 1);
        for matrix in matrices {
            rows.push(key, inner, matrix);
        }
    }
    log.notes.extend(rows.notes(name));
    rows.columns(log.n_runs)
        .map(|columns| columns.made(log.notes))
        .ok_or_else(|| RecordError::file(name, Problem::NoRows))
}

#[derive(Default)]
struct CoalitionRows {
    run: Vec<usize>,
    episode: Vec<i64>,
    env: Vec<i64>,
    batch: Vec<i64>,
    slot_ids: Vec<Vec<String>>,
    config: Vec<Vec<bool>>,
    accuracy: Vec<f64>,
    n_made_up: u64,
    n_copies: u64,
    n_unmeasured: u64,
    n_games_without_empty: u64,
}

impl CoalitionRows {
    fn push(&mut self, (run, episode, env): (usize, i64, i64), batch: i64, matrix: Matrix) {
        let Matrix { slot_ids, configs, strategy, .. } = matrix;
        let n = slot_ids.len();
        let is_made_up = |config: &Config| {
            strategy.as_deref() == Some("ablation_only") && n >= 2 && !config.seed_mask.contains(&true)
        };
        let mut seen: BTreeSet<(Vec<bool>, u64)> = BTreeSet::new();
        let mut kept: Vec<(Vec<bool>, f64)> = Vec::new();
        for config in configs {
            if is_made_up(&config) {
                self.n_made_up += 1;
                continue;
            }
            let Some(accuracy) = config.accuracy else {
                self.n_unmeasured += 1;
                continue;
            };
            if n == 1 && !seen.insert((config.seed_mask.clone(), accuracy.to_bits())) {
                self.n_copies += 1;
                continue;
            }
            kept.push((config.seed_mask, accuracy));
        }
        if !kept.iter().any(|(mask, _)| !mask.contains(&true)) {
            self.n_games_without_empty += 1;
            return;
        }
        for (mask, accuracy) in kept {
            self.run.push(run);
            self.episode.push(episode);
            self.env.push(env);
            self.batch.push(batch);
            self.slot_ids.push(slot_ids.clone());
            self.config.push(mask);
            self.accuracy.push(accuracy);
        }
    }

    fn notes(&self, name: &str) -> Vec<String> {
        let counts = [
            (
                self.n_made_up,
                "rows left out whose value the recorder made up (nobody on, under ablation_only)",
            ),
            (self.n_copies, "rows left out that copy the one evaluation of a single slot"),
            (self.n_unmeasured, "rows left out without a finite accuracy"),
            (self.n_games_without_empty, "matrices left out in which nobody on was not measured"),
        ];
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{name}: {n} {what}")).collect()
    }

    fn columns(self, n_runs: usize) -> Option<Columns> {
        if self.accuracy.is_empty() {
            return None;
        }
        let mut columns = Columns::default();
        if let Some(ids) = run_ids(&self.run, n_runs) {
            columns.push("run_id", ids);
        }
        columns.push("episode", ints(self.episode));
        columns.push("env_id", ints(self.env));
        columns.push("batch", ints(self.batch));
        let lengths = |lists: usize, length: &dyn Fn(usize) -> usize| {
            let Ok(offsets) = Offsets::<i64>::try_from_lengths((0..lists).map(length)) else {
                unreachable!("lengths of lists in memory fit 63 bits")
            };
            offsets
        };
        let names: Vec<&str> = self.slot_ids.iter().flatten().map(String::as_str).collect();
        let names = Utf8ViewArray::from_slice_values(names);
        let dtype = ListArray::<i64>::default_datatype(names.dtype().clone());
        let offsets = lengths(self.slot_ids.len(), &|row| self.slot_ids[row].len());
        columns
            .push("slot_ids", Box::new(ListArray::<i64>::new(dtype, offsets.into(), Box::new(names), None)));
        let states: Vec<bool> = self.config.iter().flatten().copied().collect();
        let states = BooleanArray::from_slice(states);
        let dtype = ListArray::<i64>::default_datatype(states.dtype().clone());
        let offsets = lengths(self.config.len(), &|row| self.config[row].len());
        columns
            .push("config", Box::new(ListArray::<i64>::new(dtype, offsets.into(), Box::new(states), None)));
        columns.push("val_accuracy", Box::new(PrimitiveArray::from_vec(self.accuracy)));
        Some(columns)
    }
}

/// The executed actions of a log as steps, rolled-back ones among them.
pub(super) fn steps(name: &str, contents: &[u8]) -> Result<Made, RecordError> {
    let mut log = parse(name, contents)?;
    let rolled_back: BTreeSet<(usize, i64, i64, i64)> = (log.events.iter())
        .filter_map(|(run, event)| match event {
            Read::RolledBack(id) => place_of_action(id).map(|(round, epoch, env)| (*run, round, epoch, env)),
            _ => None,
        })
        .collect();
    let mut rows = StepRows::default();
    let (mut n_envs, mut max_epochs) = (None, None);
    let mut n_without_reward = 0u64;
    for (run, event) in &log.events {
        match event {
            Read::Started(started) => (n_envs, max_epochs) = (started.n_envs, started.max_epochs),
            Read::Epoch(epoch) => {
                let (Some(episode), Some(inner), Some(envs)) = (epoch.episode_idx, epoch.inner_epoch, n_envs)
                else {
                    continue;
                };
                let round = episode.div_euclid(envs.max(1));
                if rolled_back.contains(&(*run, round, inner, epoch.env_id)) {
                    let is_last = Some(inner) == max_epochs;
                    rows.push(
                        *run,
                        (episode, inner - 1, epoch.env_id),
                        round,
                        (0.0, f64::NAN),
                        is_last,
                        true,
                    );
                }
            }
            Read::Action(action) => {
                let (Some(episode), Some(inner), Some(env)) =
                    (action.episode_idx, action.inner_epoch, action.env_id)
                else {
                    continue;
                };
                let Some(reward) = action.total_reward else {
                    n_without_reward += 1;
                    continue;
                };
                let round = episode.div_euclid(n_envs.unwrap_or(1).max(1));
                let value = action.value_estimate.unwrap_or(f64::NAN);
                let is_last = Some(inner) == max_epochs;
                rows.push(*run, (episode, inner - 1, env), round, (reward, value), is_last, false);
            }
            Read::Matrix(_) | Read::Estimates(_) | Read::RolledBack(_) | Read::Other => {}
        }
    }
    if n_without_reward > 0 {
        log.notes.push(format!("{name}: {n_without_reward} actions left out without a finite reward"));
    }
    if rows.reward.is_empty() {
        return Err(RecordError::file(name, Problem::NoRows));
    }
    Ok(rows.columns(log.n_runs).made(log.notes))
}

/// The Shapley values that the trainer estimated and logged, one row per slot; `event` counts those of one episode.
pub(super) fn estimates(name: &str, contents: &[u8]) -> Result<Made, RecordError> {
    let log = parse(name, contents)?;
    let mut n_events: BTreeMap<(usize, i64, i64), i64> = BTreeMap::new();
    let (mut runs, mut episodes, mut envs, mut events) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut slots, mut values) = (Vec::new(), Vec::new());
    let (mut sds, mut n_samples) = (Vec::new(), Vec::new());
    for (run, event) in log.events {
        let Read::Estimates(found) = event else { continue };
        let (Some(episode), Some(env)) = (found.episode_idx, found.env_id) else { continue };
        let n = n_events.entry((run, episode, env)).or_default();
        for (slot, estimate) in found.shapley_values.unwrap_or_default() {
            let Some(mean) = estimate.mean else { continue };
            runs.push(run);
            episodes.push(episode);
            envs.push(env);
            events.push(*n);
            slots.push(slot);
            values.push(mean);
            sds.push(estimate.std);
            n_samples.push(estimate.n_samples);
        }
        *n += 1;
    }
    if values.is_empty() {
        return Err(RecordError::file(name, Problem::NoRows));
    }
    let mut columns = Columns::default();
    if let Some(ids) = run_ids(&runs, log.n_runs) {
        columns.push("run_id", ids);
    }
    columns.push("episode", ints(episodes));
    columns.push("env_id", ints(envs));
    columns.push("event", ints(events));
    columns.push("slot_id", Box::new(Utf8ViewArray::from_slice_values(slots)));
    columns.push("estimate", Box::new(PrimitiveArray::from_vec(values)));
    columns.push("sd", Box::new(PrimitiveArray::<f64>::from(sds)));
    columns.push("n_samples", Box::new(PrimitiveArray::<i64>::from(n_samples)));
    Ok(columns.made(Vec::new()))
}

/// Round, epoch and environment of an action id, `morph-b1-e34-env1-r0c0-op0`.
fn place_of_action(id: &str) -> Option<(i64, i64, i64)> {
    let mut parts = id.split('-').skip(1);
    let round = parts.next()?.strip_prefix('b')?.parse().ok()?;
    let epoch = parts.next()?.strip_prefix('e')?.parse().ok()?;
    let env = parts.next()?.strip_prefix("env")?.parse().ok()?;
    Some((round, epoch, env))
}

#[derive(Default)]
struct StepRows {
    run: Vec<usize>,
    episode: Vec<i64>,
    step: Vec<i64>,
    env: Vec<i64>,
    round: Vec<i64>,
    reward: Vec<f64>,
    value: Vec<f64>,
    done: Vec<bool>,
    rolled_back: Vec<bool>,
}

impl StepRows {
    fn push(
        &mut self,
        run: usize,
        (episode, step, env): (i64, i64, i64),
        round: i64,
        (reward, value): (f64, f64),
        done: bool,
        rolled_back: bool,
    ) {
        self.run.push(run);
        self.episode.push(episode);
        self.step.push(step);
        self.env.push(env);
        self.round.push(round);
        self.reward.push(reward);
        self.value.push(value);
        self.done.push(done);
        self.rolled_back.push(rolled_back);
    }

    fn columns(self, n_runs: usize) -> Columns {
        let mut columns = Columns::default();
        if let Some(ids) = run_ids(&self.run, n_runs) {
            columns.push("run_id", ids);
        }
        columns.push("episode", ints(self.episode));
        columns.push("step", ints(self.step));
        columns.push("env_id", ints(self.env));
        columns.push("round", ints(self.round));
        columns.push("reward", Box::new(PrimitiveArray::from_vec(self.reward)));
        columns.push("value", Box::new(PrimitiveArray::from_vec(self.value)));
        columns.push("done", Box::new(BooleanArray::from_slice(self.done)));
        columns.push("rolled_back", Box::new(BooleanArray::from_slice(self.rolled_back)));
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(kind: &str, data: &str) -> String {
        format!(
            "{{\"event_id\":\"1\",\"event_type\":\"{kind}\",\"timestamp\":\"t\",\"epoch\":null,\"group_id\":\"g\",\"data\":{data}}}\n"
        )
    }

    fn matrix(episode: i64, slots: &str, configs: &str, strategy: &str) -> String {
        line(
            "COUNTERFACTUAL_MATRIX_COMPUTED",
            &format!(
                "{{\"env_id\":0,\"slot_ids\":[{slots}],\"configs\":[{configs}],\"episode_idx\":{episode},\"strategy\":\"{strategy}\"}}"
            ),
        )
    }

    fn epoch(episode: i64, inner: i64) -> String {
        line(
            "EPOCH_COMPLETED",
            &format!(
                "{{\"env_id\":0,\"val_accuracy\":NaN,\"inner_epoch\":{inner},\"episode_idx\":{episode}}}"
            ),
        )
    }

    fn column<'a, T: 'static>(made: &'a Made, name: &str) -> &'a T {
        let place = made.columns.iter().position(|(column, _)| column == name).expect("the column");
        made.arrays[place].as_any().downcast_ref().expect("its type")
    }

    #[test]
    fn a_matrix_belongs_to_the_epoch_completed_next() {
        let one = "{\"seed_mask\":[false],\"accuracy\":50.0},{\"seed_mask\":[true],\"accuracy\":60.0},{\"seed_mask\":[true],\"accuracy\":60.0}";
        let log = [
            matrix(0, "\"a\"", one, "ablation_only"),
            epoch(1, 9),
            epoch(0, 3),
            matrix(0, "\"a\"", one, "x"),
        ]
        .concat();
        let made = coalitions("log", log.as_bytes()).expect("rows");
        let batches = column::<PrimitiveArray<i64>>(&made, "batch");
        // Four rows: the copy of the one slot's evaluation counts once; the last matrix waits for epoch 4.
        assert_eq!(batches.values().as_slice(), [3, 3, 4, 4]);
        assert!(made.notes.iter().any(|note| note.contains("2 rows left out that copy")), "{:?}", made.notes);
    }

    #[test]
    fn groups_and_starts_are_runs_of_their_own() {
        let action = "{\"kind\":\"last_action\",\"env_id\":0,\"episode_idx\":0,\"inner_epoch\":1,\"total_reward\":0.5}";
        let start = line("TRAINING_STARTED", "{\"n_envs\":1,\"max_epochs\":2}");
        let action = line("ANALYTICS_SNAPSHOT", action);
        let other = |text: &str| text.replace("\"g\"", "\"h\"");
        let log =
            [start.clone(), action.clone(), other(&start), other(&action), action.clone(), start, action]
                .concat();
        let made = steps("log", log.as_bytes()).expect("rows");
        let runs: Vec<Option<&str>> = column::<Utf8ViewArray>(&made, "run_id").iter().collect();
        assert_eq!(runs, [Some("run0"), Some("run1"), Some("run0"), Some("run2")]);
    }

    #[test]
    fn what_the_recorder_made_up_is_left_out() {
        let two =
            "{\"seed_mask\":[false,false],\"accuracy\":50.0},{\"seed_mask\":[true,true],\"accuracy\":60.0}";
        let log = [
            matrix(0, "\"a\",\"b\"", two, "ablation_only"),
            matrix(1, "\"a\",\"b\"", two, "full_factorial"),
            epoch(0, 1),
            epoch(1, 1),
        ]
        .concat();
        let made = coalitions("log", log.as_bytes()).expect("rows");
        assert_eq!(column::<PrimitiveArray<i64>>(&made, "episode").values().as_slice(), [1, 1]);
        assert!(
            made.notes.iter().any(|note| note.contains("1 rows left out whose value the recorder made up"))
        );
    }

    #[test]
    fn a_cut_last_line_is_told_and_a_broken_one_within_is_an_error() {
        let whole = [epoch(0, 1), epoch(0, 2)].concat();
        let action = line(
            "ANALYTICS_SNAPSHOT",
            "{\"kind\":\"last_action\",\"env_id\":0,\"episode_idx\":0,\"inner_epoch\":1,\"total_reward\":0.5}",
        );
        let cut = format!("{action}{whole}{{\"event_id\":\"1\",\"eve");
        let made = steps("log", cut.as_bytes()).expect("rows");
        assert!(made.notes.iter().any(|note| note.contains("line 4 is cut off")), "{:?}", made.notes);
        let broken = format!("{action}{{\"event_id\"\n{whole}");
        let error = steps("log", broken.as_bytes()).map(|_| ()).expect_err("an error").to_string();
        assert!(error.contains("line 2"), "{error}");
    }

    #[test]
    fn estimates_of_the_trainer_are_rows_by_slot_and_event() {
        let event = |mean: &str| {
            line(
                "ANALYTICS_SNAPSHOT",
                &format!(
                    "{{\"kind\":\"shapley_computed\",\"env_id\":1,\"episode_idx\":5,\"num_slots\":2,\"shapley_values\":{{\"b\":{{\"mean\":{mean},\"std\":0.5,\"n_samples\":20}},\"a\":{{\"mean\":1.0,\"std\":0.0,\"n_samples\":20}}}}}}"
                ),
            )
        };
        let log = [event("2.0"), event("NaN")].concat();
        let made = estimates("log", log.as_bytes()).expect("rows");
        // What is no number is no estimate.
        assert_eq!(column::<PrimitiveArray<f64>>(&made, "estimate").values().as_slice(), [1.0, 2.0, 1.0]);
        assert_eq!(column::<PrimitiveArray<i64>>(&made, "event").values().as_slice(), [0, 0, 1]);
        assert!(estimates("log", epoch(0, 1).as_bytes()).is_err());
    }

    #[test]
    fn a_rolled_back_step_has_no_reward() {
        let start =
            line("TRAINING_STARTED", "{\"n_envs\":1,\"max_epochs\":2,\"rng_seed\":11936186279229903635}");
        let action = |inner: i64, reward: f64| {
            line(
                "ANALYTICS_SNAPSHOT",
                &format!(
                    "{{\"kind\":\"last_action\",\"env_id\":0,\"episode_idx\":3,\"inner_epoch\":{inner},\"total_reward\":{reward}}}"
                ),
            )
        };
        let rollback = line(
            "MORPHOLOGY_CAUSAL_LOG",
            "{\"phase\":\"rollback\",\"action_id\":\"morph-b3-e2-env0-r0c0-op0\"}",
        );
        let log = [start, epoch(3, 1), action(1, 0.25), epoch(3, 2), rollback].concat();
        let made = steps("log", log.as_bytes()).expect("rows");
        assert_eq!(column::<PrimitiveArray<i64>>(&made, "step").values().as_slice(), [0, 1]);
        assert_eq!(column::<PrimitiveArray<f64>>(&made, "reward").values().as_slice(), [0.25, 0.0]);
        let rolled_back: Vec<bool> = column::<BooleanArray>(&made, "rolled_back").values_iter().collect();
        assert_eq!(rolled_back, [false, true]);
    }
}
