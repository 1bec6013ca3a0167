//! Every spelling of a coalition row to a mask and the slots its bits stand for.

use super::super::columns::{self, BadCells, Lists, Masks};
use super::super::error::Problem;
use super::super::schema::SLOT_PREFIX;
use super::super::table::{Column, describe_type};
use super::CoalitionOptions;
use crate::attribution::coalition::{WORD_BITS, insert, words_for};

/// Slots of a row as written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Layout {
    /// Named slots in the row's order.
    Named(Vec<String>),
    /// That many slots without names.
    Width(usize),
    /// A bare mask: the width follows from the run's widest mask.
    Open,
}

pub(super) enum Spelling {
    Config { config: String, slot_ids: Option<String> },
    Mask { mask: String, slot_ids: Option<String> },
    SlotColumns(Vec<String>),
}

/// Columns of one part by name, handed out one after the other.
pub(super) struct PartColumns {
    pub(super) columns: std::vec::IntoIter<Column>,
}

impl PartColumns {
    pub(super) fn next(&mut self) -> Column {
        match self.columns.next() {
            Some(column) => column,
            None => unreachable!("one column is read per name asked for"),
        }
    }
}

/// Masks of one part with the layout of each row.
pub(super) struct Configured {
    pub(super) masks: Masks,
    pub(super) layouts: Vec<Layout>,
    /// Layout of each row; `None` if there is one for all.
    pub(super) row_layouts: Option<Vec<u32>>,
}

pub(super) fn read_spelling(
    spelling: &Spelling,
    read: &mut PartColumns,
    n_rows: usize,
    options: &CoalitionOptions,
    bad: &mut BadCells,
) -> Configured {
    match spelling {
        Spelling::Mask { mask, slot_ids: None } => {
            let masks = columns::masks(read.next(), mask, n_rows, bad);
            let layout = options.slots.clone().map_or(Layout::Open, Layout::Named);
            if let Layout::Named(slots) = &layout {
                check_width(&masks, n_rows, |_| slots.len(), mask, bad);
            }
            Configured { masks, layouts: vec![layout], row_layouts: None }
        }
        Spelling::Mask { mask, slot_ids: Some(slot_ids) } => {
            let (layouts, row_layouts) = read_layouts(read.next(), slot_ids, n_rows, bad);
            let masks = columns::masks(read.next(), mask, n_rows, bad);
            let width = |row: usize| layouts.get(row_layouts[row] as usize).map_or(0, layout_width);
            check_width(&masks, n_rows, width, mask, bad);
            Configured { masks, layouts, row_layouts: Some(row_layouts) }
        }
        Spelling::Config { config, slot_ids } => {
            let named = slot_ids.as_ref().map(|name| read_layouts(read.next(), name, n_rows, bad));
            read_configs(read.next(), config, named, n_rows, options, bad)
        }
        Spelling::SlotColumns(names) => {
            let words = words_for(names.len());
            let mut masks = vec![0u64; n_rows * words];
            for (player, name) in names.iter().enumerate() {
                let Column::Values(array) = read.next() else {
                    let expected = "a column of true and false";
                    bad.push(0, name, Problem::WrongType { expected, found: "a constant".to_owned() });
                    continue;
                };
                let truths =
                    columns::truths(&*array, |row, problem| bad.push(row.unwrap_or(0), name, problem));
                for (row, _) in truths.iter().flatten().enumerate().filter(|(_, is_on)| **is_on) {
                    insert(&mut masks[row * words..(row + 1) * words], player);
                }
            }
            let ids = names.iter().map(|name| name[SLOT_PREFIX.len()..].to_owned()).collect();
            let masks = Masks::Wide { words, bits: masks.into() };
            Configured { masks, layouts: vec![Layout::Named(ids)], row_layouts: None }
        }
    }
}

fn layout_width(layout: &Layout) -> usize {
    match layout {
        Layout::Named(ids) => ids.len(),
        Layout::Width(width) => *width,
        Layout::Open => WORD_BITS,
    }
}

fn check_width(
    masks: &Masks,
    n_rows: usize,
    width: impl Fn(usize) -> usize,
    column: &str,
    bad: &mut BadCells,
) {
    for row in 0..n_rows {
        let (mask, slots) = (masks.first_word(row), width(row));
        if slots < WORD_BITS && mask >> slots != 0 {
            bad.push(row, column, Problem::MaskTooWide { mask, slots });
        }
    }
}

/// Distinct slot lists of a part and which each row has.
fn read_layouts(column: Column, name: &str, n_rows: usize, bad: &mut BadCells) -> (Vec<Layout>, Vec<u32>) {
    let mut layouts: Vec<Layout> = Vec::new();
    let mut rows = vec![0u32; n_rows];
    let Some(lists) = columns::lists(column, name, "a list of slot ids", bad) else { return (layouts, rows) };
    let Some(ids) = columns::texts(&*lists.values) else {
        let found = describe_type(lists.values.dtype());
        bad.push(0, name, Problem::WrongType { expected: "lists of text", found });
        return (layouts, rows);
    };
    for row in 0..n_rows {
        let range = lists.range(row);
        if row > 0 && same_list(&ids, &lists, row) {
            rows[row] = rows[row - 1];
            continue;
        }
        if let Some(position) = range.clone().find(|position| ids.get(*position).is_none()) {
            bad.push(row, name, Problem::Null("a slot id"));
            // The cell still needs a layout: an empty id stands for the null.
            let _ = position;
        }
        let slots: Vec<String> =
            range.map(|position| ids.get(position).unwrap_or_default().to_owned()).collect();
        if let Some(doubled) = slots.iter().enumerate().find(|(i, id)| slots[..*i].contains(id)) {
            bad.push(row, name, Problem::DuplicateSlot(doubled.1.clone()));
        }
        let layout = Layout::Named(slots);
        let known = layouts.iter().position(|other| *other == layout);
        rows[row] = u32::try_from(known.unwrap_or(layouts.len())).unwrap_or(u32::MAX);
        if known.is_none() {
            layouts.push(layout);
        }
    }
    (layouts, rows)
}

fn same_list(ids: &polars_arrow::array::Utf8ViewArray, lists: &Lists, row: usize) -> bool {
    use polars_arrow::array::Array;
    let (before, here) = (lists.range(row - 1), lists.range(row));
    ids.null_count() == 0
        && before.len() == here.len()
        && before.zip(here).all(|(a, b)| columns::same_view(ids, a, b))
}

fn read_configs(
    column: Column,
    name: &str,
    named: Option<(Vec<Layout>, Vec<u32>)>,
    n_rows: usize,
    options: &CoalitionOptions,
    bad: &mut BadCells,
) -> Configured {
    let empty = Configured {
        masks: Masks::of_words(vec![0; n_rows]),
        layouts: vec![Layout::Open],
        row_layouts: None,
    };
    let Some(lists) = columns::lists(column, name, "a list of true and false", bad) else { return empty };
    let truths = columns::truths(&*lists.values, |position, problem| {
        let is_before = |offset: &usize| position.is_some_and(|position| *offset <= position);
        bad.push(lists.offsets.partition_point(is_before).saturating_sub(1), name, problem);
    });
    let Some(truths) = truths else { return empty };
    let widest = (0..n_rows).map(|row| lists.range(row).len()).max().unwrap_or(0);
    let words = words_for(widest);
    let mut masks = vec![0u64; n_rows * words];
    for row in 0..n_rows {
        let mask = &mut masks[row * words..(row + 1) * words];
        for (player, is_on) in truths[lists.range(row)].iter().enumerate() {
            mask[player / WORD_BITS] |= u64::from(*is_on) << (player % WORD_BITS);
        }
    }
    let (layouts, row_layouts) = match named {
        Some((layouts, row_layouts)) => {
            for (row, layout) in row_layouts.iter().enumerate() {
                let slots = layouts.get(*layout as usize).map_or(0, layout_width);
                let config = lists.range(row).len();
                if slots != config {
                    bad.push(row, name, Problem::ConfigLength { config, slots });
                }
            }
            (layouts, row_layouts)
        }
        None => unnamed_layouts(&lists, n_rows, options.slots.as_deref(), name, bad),
    };
    Configured { masks: Masks::Wide { words, bits: masks.into() }, layouts, row_layouts: Some(row_layouts) }
}

/// Layouts of configurations without slot ids: `--slots`, or their length.
fn unnamed_layouts(
    lists: &Lists,
    n_rows: usize,
    slots: Option<&[String]>,
    name: &str,
    bad: &mut BadCells,
) -> (Vec<Layout>, Vec<u32>) {
    let mut layouts = Vec::new();
    let mut rows = vec![0u32; n_rows];
    for (row, place) in rows.iter_mut().enumerate() {
        let config = lists.range(row).len();
        let layout = match slots {
            Some(slots) => {
                if slots.len() != config {
                    bad.push(row, name, Problem::ConfigLength { config, slots: slots.len() });
                }
                Layout::Named(slots.to_vec())
            }
            None => Layout::Width(config),
        };
        let known = layouts.iter().position(|other| *other == layout);
        *place = u32::try_from(known.unwrap_or(layouts.len())).unwrap_or(u32::MAX);
        if known.is_none() {
            layouts.push(layout);
        }
    }
    (layouts, rows)
}
