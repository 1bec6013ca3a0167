//! Flags about slots that belong together.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;

use crate::attribution::{GroupRule, Partition, PartitionRule, Quotient, Unions};
use crate::commands::CommandError;
use crate::results::Grouping;
use crate::shards::Unmatched;

/// Bytes of a partition's file that are read: a thousand slots take a hundredth of it.
const MOST_BYTES: u64 = 1 << 20;

/// Slots that belong together.
#[derive(Debug, Clone, Args)]
pub(super) struct GroupArgs {
    /// Slots that fit GLOB are one slot called NAME, on or off together (repeatable)
    ///
    /// Only coalitions of whole groups are looked at; what else is recorded does not matter.
    #[arg(long, value_name = "GLOB=NAME", conflicts_with = "partition")]
    pub(super) group: Vec<GroupRule>,
    /// Unions of slots that divide first (Owen values): by-prefix, or a JSON or TOML file, name -> list of slots
    #[arg(long, value_name = "FILE")]
    pub(super) partition: Option<String>,
}

impl GroupArgs {
    /// What is asked, as a value.
    ///
    /// # Errors
    /// A partition that cannot be read or is none.
    pub(super) fn grouping(&self) -> Result<Grouping, CommandError> {
        let partition = match self.partition.as_deref() {
            None => None,
            Some("by-prefix") => Some(Partition::By(PartitionRule::ByPrefix)),
            Some(path) => Some(read_partition(Path::new(path)).map_err(|reason| {
                CommandError::usage(
                    format!("--partition {path}: {reason}"),
                    "by-prefix, or a file of the form {\"encoder\": [\"e0\", \"e1\"], \"decoder\": [\"d0\"]} (or the same in TOML)",
                )
            })?),
        };
        Ok(Grouping { group: self.group.clone(), partition })
    }
}

fn read_partition(path: &Path) -> Result<Partition, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > MOST_BYTES {
        return Err(format!("{size} bytes are too many for a partition"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let is_toml = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
    let unions: BTreeMap<String, Vec<String>> = if is_toml {
        toml::from_str(&text).map_err(|error| error.message().to_owned())?
    } else {
        serde_json::from_str(&text).map_err(|error| error.to_string())?
    };
    Partition::named(unions)
}

/// Patterns and names that no game has.
pub(super) fn unmatched(quotient: &Quotient, unions: Option<&Unions>) -> Unmatched {
    Unmatched {
        groups: quotient.unmatched().into_iter().cloned().map(String::from).collect(),
        players: unions.map_or_else(Vec::new, Unions::unmatched).into_iter().map(str::to_owned).collect(),
    }
}

/// Refuses patterns and names that no game has.
///
/// # Errors
/// The first of them.
pub(super) fn check_grouping(unmatched: &Unmatched) -> Result<(), CommandError> {
    if let Some(group) = unmatched.groups.first() {
        return Err(CommandError::usage(
            format!("--group {group}: no slot of these games fits"),
            "* stands for any characters, ? for one; simic analyze shapley lists the slots",
        ));
    }
    if let Some(player) = unmatched.players.first() {
        return Err(CommandError::usage(
            format!("--partition names '{player}', which is no slot of these games"),
            "simic analyze shapley lists the slots",
        ));
    }
    Ok(())
}
