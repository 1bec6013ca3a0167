//! `simic schema`.

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::{CommandError, Context, Outcome};
use crate::results::{SCHEMAS, schema};

/// Prints the JSON Schema of a document, generated from the type that writes it.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  simic schema shapley
  simic schema replay -o replay.schema.json")]
pub struct SchemaArgs {
    /// The document: what simic analyze shapley prints with --format json is a shapley document, and so on
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(SCHEMAS.map(|(name, _)| name)))]
    name: String,
}

/// Prints the schema.
///
/// # Errors
/// An output that cannot be written.
pub fn run(args: &SchemaArgs, context: &Context) -> Result<Outcome, CommandError> {
    context.check_output()?;
    let Some(text) = schema(&args.name) else { unreachable!("the parser knows the names") };
    context.write(|out| out.write_all(text.as_bytes()))?;
    Ok(Outcome::Clean)
}
