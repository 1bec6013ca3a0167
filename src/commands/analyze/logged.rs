//! `analyze shapley --compare-recorded`: the trainer's own estimates beside the values of the recording.

use std::collections::{BTreeMap, BTreeSet};

use crate::attribution::{GameResult, Logged, compare_logged};
use crate::commands::{CommandError, Context};
use crate::console::Console;
use crate::records::{ColumnMap, InputFile, LoggedEstimate, LoggedEstimates, logged_estimates};
use crate::results::RecordedRow;

/// Reads estimates: of the file `named`, else of those that `files` hold.
///
/// # Errors
/// Unreadable input, or no estimates in it.
pub(super) fn read_logged(
    named: Option<&str>,
    files: &[InputFile],
    context: &Context,
) -> Result<Vec<LoggedEstimates>, CommandError> {
    let columns: ColumnMap = context.columns()?;
    let found = match named {
        Some(path) => {
            let files = context.discover(&[path.to_owned()])?.files;
            let found = logged_estimates(&files, &columns, true)?;
            Context::check_unchanged(&files)?;
            found
        }
        None => logged_estimates(files, &columns, false)?,
    };
    let (estimates, notes) = found;
    notes.iter().for_each(|note| context.console.note(note));
    Ok(estimates)
}

/// Puts estimates beside the values of games.
///
/// A game is found by run, episode and environment; of several (batches) it is the last. Where both hold one run, it is the same
/// whatever it is called, which is said where both name it.
///
/// # Errors
/// Estimates that name no run, of a recording of several.
pub(super) fn compare(
    results: &[GameResult],
    estimates: &[LoggedEstimates],
    console: &Console,
) -> Result<Vec<RecordedRow>, CommandError> {
    let mut games: BTreeMap<(&str, i64, i64), &GameResult> = BTreeMap::new();
    for game in results {
        let key = &game.key;
        let last = games.entry((&key.run_id, key.episode, key.env_id)).or_insert(game);
        if key.batch >= last.key.batch {
            *last = game;
        }
    }
    let own_runs: BTreeSet<&str> = results.iter().map(|game| &*game.key.run_id).collect();
    let logged_runs: BTreeSet<&str> = estimates.iter().map(|logged| &*logged.run_id).collect();
    let only_run = own_runs.first().filter(|_| own_runs.len() == 1 && logged_runs.len() == 1);
    let stray = estimates.iter().find(|logged| !own_runs.contains(&*logged.run_id));
    match (stray, only_run) {
        (Some(logged), Some(own)) if logged.is_run_named => console.note(&format!(
            "--compare-recorded: the estimates are of run {}, and are compared with run {own}, the only one there is",
            logged.run_id
        )),
        (Some(logged), None) if !logged.is_run_named && own_runs.len() > 1 => {
            return Err(CommandError::State(
                format!("--compare-recorded: the estimates name no run, and the recording has {}", own_runs.len()),
                "add a column run_id to them".to_owned(),
            ));
        }
        _ => {}
    }
    // They come in order of run, episode, environment and event.
    let place_of = |logged: &LoggedEstimates| (logged.run_id.clone(), logged.episode, logged.env_id);
    let mut before = None;
    let row = |logged: &LoggedEstimates| {
        let place = place_of(logged);
        let is_repeat = before.replace(place.clone()) == Some(place);
        let run = only_run.copied().unwrap_or(&logged.run_id);
        let game = games.get(&(run, logged.episode, logged.env_id)).copied();
        let slots: Vec<Logged> = logged.slots.iter().map(logged_value).collect();
        let place = (logged.run_id.clone(), logged.episode, logged.env_id, logged.event);
        RecordedRow::of(place, game.and_then(|game| game.key.batch), compare_logged(&slots, game, is_repeat))
    };
    Ok(estimates.iter().map(row).collect())
}

fn logged_value(estimate: &LoggedEstimate) -> Logged {
    Logged {
        slot_id: estimate.slot_id.clone(),
        value: estimate.value,
        sd: estimate.sd,
        n_samples: estimate.n_samples,
    }
}
