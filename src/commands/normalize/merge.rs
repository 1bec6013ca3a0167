//! `simic normalize merge`.

use std::path::PathBuf;

use clap::Args;

use super::stored::{Expected, check, check_count};
use crate::commands::{CommandError, Context, Outcome};
use crate::normalization::{Memory, MergeError, MomentumUnit, merge_states};
use crate::records::{StateSpan, StoredState};
use crate::report::{Format, write_merge};

/// Combines stored states of shards into the state of the whole, exactly.
///
/// Full-history states merge in any order. Moving averages compose in the order given: name them in the order of
/// time. Each shard's initial state is taken out, so that it counts once.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  simic normalize merge shard-*.json -o merged.json
  simic normalize merge monday.safetensors tuesday.safetensors -o both.safetensors")]
pub struct MergeArgs {
    /// State files, moving averages in order of time
    #[arg(value_name = "STATE", required = true, num_args = 1..)]
    pub states: Vec<PathBuf>,
}

/// Reads, merges, writes.
///
/// # Errors
/// States that cannot be read or do not belong together, or an output that cannot be written.
pub fn run(args: &MergeArgs, context: &Context) -> Result<Outcome, CommandError> {
    context.check_output()?;
    if let Some(path) = &context.common.output {
        super::outputs::check_state_path(path)?;
    }
    let stored: Vec<StoredState> =
        args.states.iter().map(|path| StoredState::read(path, "obs")).collect::<Result<_, _>>()?;
    check_order(args, &stored)?;
    let target = stored.iter().find_map(|stored| stored.target.clone());
    let reward_scale = stored.iter().find_map(|stored| stored.reward_scale.clone());
    let expected = Expected {
        target: target.as_deref(),
        reward_scale: reward_scale.as_deref(),
        width: None,
        memory: None,
    };
    let states: Vec<_> = stored
        .iter()
        // A file that does not say what it is cannot be merged exactly and is refused below.
        .map(|stored| stored.resume(stored.momentum.map_or(Memory::Welford, Memory::ema)))
        .collect();
    for (path, stored) in args.states.iter().zip(&stored) {
        check(path, stored, expected)?;
        if let Some(obstacle) = &stored.merge_obstacle {
            return Err(CommandError::State(
                format!("{}: cannot be merged exactly: {obstacle}", path.display()),
                "replay the shards one after the other with --state-in instead".to_owned(),
            ));
        }
        check_count(path, stored)?;
        let problem = if stored.initial.is_none() {
            Some("it does not say what it started from")
        } else if stored.momentum_unit == MomentumUnit::Row {
            Some("its momentum is one of rows, not of updates")
        } else if stored.momentum.is_some() && stored.batches.is_none() {
            Some("it does not say how many updates it has seen")
        } else {
            None
        };
        if let Some(problem) = problem {
            return Err(CommandError::State(
                format!("{}: cannot be merged exactly: {problem}", path.display()),
                "merge states that simic stored (--state-out)".to_owned(),
            ));
        }
    }
    let merged = merge_states(&states).map_err(|error| {
        let advice = "shards of one recording have one kind, momentum and width".to_owned();
        let place = match &error {
            MergeError::Differs(number, _) => args.states.get(number - 1),
            MergeError::Nothing => None,
        };
        let file = place.map_or_else(String::new, |path| format!("{}: ", path.display()));
        CommandError::State(format!("{file}{error}"), advice)
    })?;
    let first = &stored[0];
    let mut result = StoredState::of(&merged, first.epsilon.unwrap_or(1e-4), first.clip);
    result.target = target;
    result.check_moments().map_err(|detail| {
        let advice = "a shard whose initial state still weighs nearly all cannot be taken apart".to_owned();
        CommandError::State(format!("the merged state is none: {detail}"), advice)
    })?;
    result.continues = stored.iter().flat_map(StoredState::all_seen).collect();
    let spans: Option<Vec<_>> = stored.iter().map(|stored| stored.span.clone()).collect();
    result.span = spans.and_then(|spans| {
        Some(StateSpan { first: spans.first()?.first.clone(), last: spans.last()?.last.clone() })
    });
    if let Some(path) = &context.common.output {
        let bytes = result.to_bytes(path);
        context.write(|out| out.write_all(&bytes))?;
    }
    let written = context.common.output.as_ref().map(|path| path.display().to_string());
    let document = result.document().merged_of(stored.len());
    // With a file written, what is shown is a summary unless the document is asked for.
    let format = context.format();
    context
        .console
        .output(None, false, |out| write_merge(&document, written.as_deref(), format, &context.screen(), out))
        .map_err(|source| CommandError::Output { target: "the result".to_owned(), source })?;
    let is_order_told = matches!(merged.memory, Memory::Ema { .. }) && stored.len() > 1;
    if format == Format::Table && is_order_told {
        context
            .console
            .note("moving averages were composed in the order given; another order is another state");
    }
    Ok(Outcome::Clean)
}

/// Refuses states of the same rows, and moving averages named against the order of time.
fn check_order(args: &MergeArgs, stored: &[StoredState]) -> Result<(), CommandError> {
    for (later, state) in stored.iter().enumerate() {
        for (earlier, other) in stored[..later].iter().enumerate() {
            let (one, two) = (args.states[earlier].display(), args.states[later].display());
            if state.fingerprint.is_some() && state.fingerprint == other.fingerprint {
                return Err(CommandError::State(
                    format!("{one} and {two} have seen the same rows"),
                    "name each shard once".to_owned(),
                ));
            }
            for ((first, inner), (second, outer)) in
                [((&one, other), (&two, state)), ((&two, state), (&one, other))]
            {
                if outer.continues.iter().any(|seen| inner.all_seen().any(|own| own == *seen)) {
                    return Err(CommandError::State(
                        format!("{second} has seen rows of {first}, from which it went on or was merged"),
                        format!("leave {first} out: its rows would count twice"),
                    ));
                }
            }
            let is_ema = state.momentum.is_some();
            if let (true, Some(before), Some(after)) = (is_ema, &other.span, &state.span)
                && before.first.run_id == after.first.run_id
                && before.first > after.first
            {
                return Err(CommandError::State(
                    format!(
                        "{two} begins at episode {}, step {}: before {one}, which is named first",
                        after.first.episode, after.first.step
                    ),
                    "moving averages compose in order of time: name the earlier shard first".to_owned(),
                ));
            }
        }
    }
    Ok(())
}
