//! Decoded columns to typed values, each malformed cell with its row.

mod bad_cells;
mod floats;
mod ints;
mod lists;
mod masks;
mod numbers;
mod run_ids;
mod texts;
mod truths;

pub(super) use self::bad_cells::{BadCell, BadCells, Fault, nulls, sorted_by_row};
pub(super) use self::floats::finite_floats;
pub(super) use self::ints::{Ints, ints, optional_ints};
pub(super) use self::lists::{Lists, digit_lists, flattened, is_list, lists, name_lists};
pub(super) use self::masks::{Masks, masks};
pub(super) use self::numbers::{is_numeric, numbers};
pub(super) use self::run_ids::{Texts, labels, run_ids};
pub(super) use self::texts::{same_view, texts};
pub(super) use self::truths::{check_flag_type, flags, truth_column, truths};
