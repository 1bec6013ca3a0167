//! Flags that say which columns of a table play which role.

use clap::Args;

use crate::commands::{CommandError, refuse_doubled};

/// Columns named as players, and as parts of a game's key.
#[derive(Debug, Clone, Args)]
pub struct RoleArgs {
    /// Two-state columns that are the players: true and false, 0 and 1, on and off, yes and no; * and ? make patterns
    /// [default: what the rows say, else the Boolean columns]
    #[arg(long, value_name = "A,B,C", value_delimiter = ',')]
    pub players: Vec<String>,
    /// Columns whose values make groups: their games are kept apart, each group has a summary of its own
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    pub by: Vec<String>,
}

impl RoleArgs {
    /// Refuses columns named twice.
    pub(super) fn check(&self) -> Result<(), CommandError> {
        refuse_doubled("players", &self.players)?;
        refuse_doubled("by", &self.by)?;
        match self.players.iter().find(|player| self.by.contains(player)) {
            Some(name) => Err(CommandError::usage(
                format!("--players and --by both name '{name}'"),
                "a column is a player or makes groups",
            )),
            None => Ok(()),
        }
    }
}
