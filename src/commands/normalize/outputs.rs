//! The files a replay writes: whole or not at all, and never over what is read.

use std::path::Path;

use super::pipeline::Prepared;
use super::replay::ReplayArgs;
use super::settings::Plan;
use crate::commands::{CommandError, Context};
use crate::normalization::Rule;
use crate::records::{
    AtomicFile, NormalizedValues, NormalizedWriter, StatePlace, StepRecording, StoredState, TraceRows,
    TraceWriter, fnv1a,
};
use crate::report::{NormalizedRun, ReplayReport};

/// Outputs must be apart from each other and say by their names what they will hold.
pub(super) fn check_paths(args: &ReplayArgs, context: &Context) -> Result<(), CommandError> {
    let (output, trace) = (context.common.output.as_deref(), args.trace.as_deref());
    for path in [output, trace].into_iter().flatten() {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        if !matches!(extension.as_deref(), Some("parquet" | "pq" | "parq")) {
            return Err(CommandError::usage(
                format!("{}: replay writes Parquet", path.display()),
                "name the file with .parquet; the summary goes to stdout",
            ));
        }
    }
    if let Some(path) = &args.state_out {
        check_state_path(path)?;
    }
    if output.is_some() && output == trace {
        return Err(CommandError::usage(
            "--output and --trace name the same file",
            "give each a file of its own",
        ));
    }
    Ok(())
}

/// A state file is JSON or safetensors, by its name.
pub(super) fn check_state_path(path: &Path) -> Result<(), CommandError> {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    if matches!(extension.as_deref(), Some("json" | "safetensors")) {
        return Ok(());
    }
    Err(CommandError::usage(
        format!("{}: a state is stored as JSON or safetensors", path.display()),
        "name the file with .json or .safetensors",
    ))
}

/// Stores the final state: one file, or one per run beside it.
pub(super) fn store_states(
    path: &Path,
    report: &ReplayReport,
    recording: &StepRecording,
    rule: &Rule,
    context: &Context,
) -> Result<(), CommandError> {
    if let Some(run) = report.runs.iter().find(|run| run.env_id.is_some()).filter(|_| report.runs.len() > 1) {
        return Err(CommandError::usage(
            format!("--state-out {}: one state per environment of {}, one file", path.display(), run.run_id),
            "--format json prints all states; --scope shared keeps one",
        ));
    }
    let shown = match &report.runs[..] {
        [only] => only,
        runs if report.carried_over => &runs[runs.len() - 1],
        runs => {
            return Err(CommandError::usage(
                format!("--state-out {}: {} states, one file", path.display(), runs.len()),
                "name one run, or carry the statistics over with --carry-over",
            ));
        }
    };
    let mut stored = StoredState::of(&shown.state, report.settings.epsilon, report.settings.clip);
    let (first, last) = (&recording.runs()[0], &recording.runs()[recording.runs().len() - 1]);
    let place = |run_id: &str, (episode, step)| StatePlace { run_id: run_id.to_owned(), episode, step };
    stored.span = Some((place(&first.run_id, first.span.0), place(&last.run_id, last.span.1)));
    // Moments of another device differ in their last digits: no fingerprint is better than one that never fits.
    stored.fingerprint = (report.device == "cpu").then(|| fingerprint(shown));
    stored.target = Some(report.target.to_owned());
    stored.merge_obstacle = rule.merge_obstacle().map(str::to_owned);
    let bytes = stored.to_bytes(path);
    context
        .console
        .output(Some(path), context.common.force, |out| out.write_all(&bytes))
        .map_err(|source| CommandError::Output { target: path.display().to_string(), source })
}

/// A fingerprint of the rows a state has seen: of their number, moments and extremes, to the bit (FNV-1a).
fn fingerprint(run: &NormalizedRun) -> String {
    let rows = &run.diagnostics.rows;
    let numbers = rows.mean().iter().copied().chain(rows.vars()).chain(rows.min().iter().copied());
    let words = numbers.chain(rows.max().iter().copied()).map(f64::to_bits).chain([rows.n()]);
    format!("{:016x}", fnv1a(words.flat_map(u64::to_le_bytes)))
}

/// The files under way.
pub(super) struct Outputs {
    pub(super) steps: Option<(AtomicFile, NormalizedWriter, String)>,
    pub(super) trace: Option<(AtomicFile, TraceWriter, String)>,
}

impl Outputs {
    pub(super) fn create(
        args: &ReplayArgs,
        plan: &Plan,
        recording: &StepRecording,
        context: &Context,
    ) -> Result<Self, CommandError> {
        let force = context.common.force;
        for path in [context.common.output.as_ref(), args.trace.as_ref(), args.state_out.as_ref()]
            .into_iter()
            .flatten()
        {
            if path.is_dir() || (path.exists() && !force) {
                let hint = if path.is_dir() { "name a file in it" } else { "--force replaces it" };
                return Err(CommandError::usage(format!("{} exists", path.display()), hint));
            }
        }
        let compression = args.compression.into();
        let failed = |path: &Path| {
            let target = path.display().to_string();
            move |source| CommandError::Output { target, source }
        };
        let steps = context.common.output.as_deref().map(|path| {
            let create = || -> std::io::Result<_> {
                let mut file = AtomicFile::create(path, force)?;
                let writer =
                    NormalizedWriter::new(file.as_file(), recording, plan.options.target, compression)?;
                Ok((file, writer, path.display().to_string()))
            };
            create().map_err(failed(path))
        });
        let trace = args.trace.as_deref().map(|path| {
            let create = || -> std::io::Result<_> {
                let mut file = AtomicFile::create(path, force)?;
                let writer = TraceWriter::new(file.as_file(), recording.width(), plan.per_env, compression)?;
                Ok((file, writer, path.display().to_string()))
            };
            create().map_err(failed(path))
        });
        Ok(Self { steps: steps.transpose()?, trace: trace.transpose()? })
    }

    pub(super) fn write(
        &mut self,
        rows: &Prepared,
        values: Option<NormalizedValues>,
        trace: Option<TraceRows>,
    ) -> Result<(), CommandError> {
        if let (Some((_, writer, name)), Some(values)) = (&mut self.steps, values) {
            writer
                .write(&rows.block, values)
                .map_err(|source| CommandError::Output { target: name.clone(), source })?;
        }
        self.write_trace(trace)
    }

    pub(super) fn write_trace(&mut self, trace: Option<TraceRows>) -> Result<(), CommandError> {
        if let (Some((_, writer, name)), Some(trace)) = (&mut self.trace, trace) {
            writer.write(trace).map_err(|source| CommandError::Output { target: name.clone(), source })?;
        }
        Ok(())
    }

    pub(super) fn commit(self) -> Result<Vec<String>, CommandError> {
        let mut written = Vec::new();
        let failed = |name: &String| {
            let target = name.clone();
            move |source| CommandError::Output { target, source }
        };
        // Everything is whole before anything is moved into place.
        let mut files = Vec::new();
        if let Some((file, writer, name)) = self.steps {
            writer.finish().map_err(failed(&name))?;
            files.push((file, name));
        }
        if let Some((file, writer, name)) = self.trace {
            writer.finish().map_err(failed(&name))?;
            files.push((file, name));
        }
        for (file, name) in files {
            file.commit().map_err(failed(&name))?;
            written.push(name);
        }
        Ok(written)
    }
}
