//! Which checks there are: those of simic.toml, or one of the files named.

use std::path::{Path, PathBuf};

use clap::Args;
use toml::Table;

use crate::baseline::{Judgement, Rules};
use crate::commands::{CommandError, Context};
use crate::config::{self, CheckText};

/// Folder of baselines, beside simic.toml.
const FOLDER: &str = "simic-baselines";

/// Name of the check where simic.toml has none.
const DEFAULT_NAME: &str = "default";

/// Level of the tests unless the check says otherwise.
const DEFAULT_ALPHA: f64 = 0.05;

/// Which checks, and on what.
#[derive(Debug, Clone, Args)]
pub struct TargetArgs {
    /// Files, directories or quoted patterns instead of the check's own [default: those of simic.toml, else runs/]
    #[arg(value_name = "RUNS")]
    pub runs: Vec<String>,
    /// Only this check (repeatable) [default: all of simic.toml, else one named default]
    #[arg(long, value_name = "NAME")]
    pub name: Vec<String>,
    /// Take this result (printed by an analysis with --format json) instead of running the analysis
    #[arg(long, value_name = "FILE", conflicts_with = "runs")]
    pub result: Option<PathBuf>,
}

/// Whether the new side is another campaign.
#[derive(Debug, Clone, Args)]
pub struct OtherRunsArgs {
    /// Units of the new side are other runs than the stored ones: none is missed
    #[arg(long)]
    pub other_runs: bool,
}

impl OtherRunsArgs {
    /// What the flag says goes for every check.
    pub(super) fn apply(&self, plans: &mut [CheckPlan]) {
        plans.iter_mut().for_each(|plan| plan.judgement.other_runs |= self.other_runs);
    }
}

/// One check, ready to run.
#[derive(Debug)]
pub(super) struct CheckPlan {
    pub(super) name: String,
    pub(super) command: Option<String>,
    pub(super) runs: Vec<String>,
    pub(super) flags: Table,
    pub(super) result: Option<PathBuf>,
    pub(super) rules: Rules,
    pub(super) judgement: Judgement,
    /// Where its baseline is.
    pub(super) baseline: PathBuf,
    /// simic.toml as it is, for flags of commands.
    pub(super) document: Table,
    /// Folder that names of inputs are stored relative to.
    folder: PathBuf,
}

impl CheckPlan {
    /// A file's name as the baseline stores it: its real place, relative to simic.toml's folder (or the one we are
    /// in) where it lies below, with slashes.
    pub(super) fn stored_name(&self, name: &str) -> String {
        let here = if self.folder.as_os_str().is_empty() { Path::new(".") } else { &self.folder };
        let path = Path::new(name).canonicalize().unwrap_or_else(|_| PathBuf::from(name));
        let below =
            here.canonicalize().ok().and_then(|here| path.strip_prefix(here).map(Path::to_owned).ok());
        below.unwrap_or(path).to_string_lossy().replace('\\', "/")
    }

    /// Refuses rules that no metric of either side answers to.
    ///
    /// # Errors
    /// A rule that guards nothing.
    pub(super) fn check_rules(&self, ids: &[&str]) -> Result<(), CommandError> {
        let idle = self.rules.idle(ids);
        let Some(pattern) = idle.first() else { return Ok(()) };
        let known: Vec<&str> = ids.iter().copied().take(4).collect();
        Err(CommandError::usage(
            format!("check {}: rule for '{pattern}' matches no metric", self.name),
            format!(
                "there are {} and the like; '*' is one part of a path, '**' any number",
                known.join(", ")
            ),
        ))
    }
}

/// The checks asked for, in order of name.
///
/// # Errors
/// A configuration that makes no sense, or a check it does not have.
pub(super) fn plans(args: &TargetArgs, context: &Context) -> Result<Vec<CheckPlan>, CommandError> {
    let common = &context.common;
    let found = config::checks(common.config.as_deref(), common.no_config).map_err(|error| {
        CommandError::usage(error.to_string(), "docs/checks.md says what [check.NAME] takes")
    })?;
    let (folder, mut texts, document) = match found {
        Some(found) => {
            let checks = found.texts.into_iter().collect::<Vec<(String, CheckText)>>();
            (folder_of(&found.path), checks, found.document)
        }
        None => (PathBuf::new(), Vec::new(), Table::new()),
    };
    if texts.is_empty() {
        let name = match &args.name[..] {
            [] => DEFAULT_NAME.to_owned(),
            [name] => name.clone(),
            _ => {
                return Err(CommandError::usage(
                    "several names and no simic.toml",
                    "a check per [check.NAME] there",
                ));
            }
        };
        texts.push((name, CheckText::default()));
    }
    for name in &args.name {
        if !texts.iter().any(|(known, _)| known == name) {
            let known: Vec<&str> = texts.iter().map(|(known, _)| known.as_str()).collect();
            return Err(CommandError::usage(
                format!("no check '{name}'"),
                format!("simic.toml has {}", known.join(", ")),
            ));
        }
    }
    texts.retain(|(name, _)| args.name.is_empty() || args.name.contains(name));
    if (!args.runs.is_empty() || args.result.is_some()) && texts.len() > 1 {
        return Err(CommandError::usage(
            "files for several checks",
            "choose one with --name, or let simic.toml say which files each check has",
        ));
    }
    let mut plans = Vec::with_capacity(texts.len());
    for (name, text) in texts {
        let plan = plan(name, text, &folder, args, context)?;
        let same = plans.iter().find(|other: &&CheckPlan| other.baseline == plan.baseline);
        if let Some(other) = same {
            return Err(CommandError::usage(
                format!(
                    "checks {} and {} have one baseline, {}",
                    other.name,
                    plan.name,
                    plan.baseline.display()
                ),
                "give each a file of its own",
            ));
        }
        plans.push(CheckPlan { document: document.clone(), ..plan });
    }
    Ok(plans)
}

/// The folder of a file, empty for the one we are in.
fn folder_of(path: &Path) -> PathBuf {
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    match std::env::current_dir() {
        Ok(here) if here == folder => PathBuf::new(),
        _ => folder,
    }
}

fn plan(
    name: String,
    text: CheckText,
    folder: &Path,
    args: &TargetArgs,
    context: &Context,
) -> Result<CheckPlan, CommandError> {
    let failed = |problem: String| {
        CommandError::usage(format!("check {name}: {problem}"), "docs/checks.md says what [check.NAME] takes")
    };
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(is_plain) {
        return Err(failed(
            "a name of letters, digits, '-', '_' and '.', as its baseline is a file".to_owned(),
        ));
    }
    let alpha = text.alpha.unwrap_or(DEFAULT_ALPHA);
    if !(alpha > 0.0 && alpha < 0.5) {
        return Err(failed(format!("alpha must lie between 0 and 0.5, not {alpha}")));
    }
    let rules = Rules::parse(&text.rules).map_err(|error| failed(error.to_string()))?;
    let here = |runs: &[String]| -> Vec<String> {
        runs.iter().map(|run| folder.join(run).to_string_lossy().into_owned()).collect()
    };
    let baseline = match &text.baseline {
        Some(path) => folder.join(path),
        None => folder.join(FOLDER).join(format!("{name}.json")),
    };
    Ok(CheckPlan {
        runs: if args.runs.is_empty() { here(&text.runs) } else { args.runs.clone() },
        command: text.command,
        flags: text.flags,
        result: args.result.clone(),
        rules,
        judgement: Judgement {
            alpha,
            strict: text.strict.unwrap_or(false),
            other_runs: text.other_runs.unwrap_or(false),
            seed: context.common.seed,
        },
        baseline,
        document: Table::new(),
        folder: folder.to_owned(),
        name,
    })
}
