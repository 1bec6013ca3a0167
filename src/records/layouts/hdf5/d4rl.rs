//! D4RL: arrays of all steps at the top of a file; an episode ends where `terminals` or `timeouts` is set.
//!
//! `next_observations` stand in the next row; what lies in groups (`infos`, `metadata`) is no column.

use super::super::super::columns::{self, BadCells};
use super::super::super::error::{Problem, RecordError};
use super::super::super::hdf5::{Container, Episodes, Group, LeftOut, Names, Piece, Plan, Source, Stored};
use super::found::Found;

/// Rows whose flags are read at once.
const ROWS_TOGETHER: u64 = 1 << 20;

/// The flags that end an episode.
const ENDS: [&str; 2] = ["terminals", "timeouts"];

/// The rows of a file.
pub(super) fn plan(container: &Container, root: &Group, names: &Names) -> Result<Plan, RecordError> {
    let file = container.name();
    for flag in ENDS {
        if !names.arrays.iter().any(|name| name == flag) {
            return Err(RecordError::file(file, Problem::NoEpisodeEnds(flag)));
        }
    }
    let n_rows = match root.array("observations")? {
        Ok(stored) => stored.n_rows,
        Err(what) => {
            let detail = format!("observations hold {what}");
            return Err(RecordError::file(file, Problem::Unreadable { format: "D4RL", detail }));
        }
    };
    let mut found = Found::default();
    found.made_up("episode", Source::Episode);
    found.made_up("step", Source::Step);
    for name in names.arrays.iter().filter(|name| *name != "next_observations") {
        let array = root.array(name)?.and_then(|stored| of_rows(stored, n_rows));
        found.array(name.clone(), vec![name.clone()], array, false);
    }
    let mut ends = Ends::default();
    for flag in ENDS {
        if let Some(LeftOut { what, .. }) = found.left_out.iter().find(|left_out| left_out.name == flag) {
            let problem = Problem::WrongType { expected: "a flag for each row", found: what.clone() };
            return Err(RecordError::column(file, flag, problem));
        }
    }
    container.check_claim(n_rows, 2)?;
    ends.read(container, root, n_rows)?;
    let mut notes = found.notes();
    if ends.is_open {
        let last = ends.starts.last().map_or(n_rows, |start| n_rows - start);
        notes.push(format!("its last episode, of {last} rows, has no end"));
    }
    Ok(Plan {
        base: Vec::new(),
        pieces: vec![Piece { name: String::new(), n_rows }],
        episodes: Episodes::Starts(ends.starts),
        fields: found.fields,
        left_out: found.left_out,
        notes,
    })
}

/// An array, if it has a row for each step.
fn of_rows(stored: Stored, n_rows: u64) -> Result<Stored, String> {
    if stored.n_rows == n_rows { Ok(stored) } else { Err(format!("{} rows of {n_rows}", stored.n_rows)) }
}

/// Where episodes begin.
#[derive(Default)]
struct Ends {
    starts: Vec<u64>,
    /// Whether the last row ends no episode.
    is_open: bool,
}

impl Ends {
    fn read(&mut self, container: &Container, root: &Group, n_rows: u64) -> Result<(), RecordError> {
        self.is_open = false;
        for start in (0..n_rows).step_by(usize::try_from(ROWS_TOGETHER).unwrap_or(usize::MAX)) {
            let rows = start..n_rows.min(start + ROWS_TOGETHER);
            let mut ended = vec![false; usize::try_from(rows.end - rows.start).unwrap_or(0)];
            for flag in ENDS {
                let Ok(stored) = root.array(flag)? else { continue };
                let array = stored.read(&rows, &stored.cell.clone().squeezed())?;
                let mut bad = BadCells::default();
                let flags = columns::flags(&*array, flag, &mut bad);
                if let Some(cell) = bad.cells.pop() {
                    return Err(RecordError::cell(
                        container.name(),
                        start + cell.row as u64,
                        flag,
                        cell.problem,
                    ));
                }
                ended.iter_mut().zip(flags).for_each(|(ended, flag)| *ended |= flag);
            }
            for (row, ended) in rows.zip(ended) {
                if !self.is_open {
                    self.starts.push(row);
                }
                self.is_open = !ended;
            }
            let held = self.starts.len() as u64 * 8;
            container.budget().check(container.name(), "where its episodes begin", held)?;
        }
        Ok(())
    }
}
