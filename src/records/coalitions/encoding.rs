//! From every encoding of a coalition row (mask, configuration, slot columns) to a mask and its slots.

use super::super::columns::{self, BadCells, Lists, Masks};
use super::super::error::Problem;
use super::super::part::Column;
use super::super::table::describe_type;
use super::options::CoalitionOptions;
use super::players_on;
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
    /// Names that some row of the part switches on: the players are those of the whole run.
    Seen(Vec<String>),
}

/// How the rows of a file say which slots are on, with the columns that say it.
pub(super) enum CoalitionEncoding {
    Config { config: String, slot_ids: Option<String> },
    Mask { mask: String, slot_ids: Option<String> },
    PlayersOn { on: String },
    Players(Vec<PlayerColumn>),
}

/// A column of two states, and the player it is about.
pub(super) struct PlayerColumn {
    pub(super) column: String,
    pub(super) id: String,
}

/// Columns of one part by name, handed out one after the other.
pub(super) struct PartColumns {
    columns: std::vec::IntoIter<Column>,
}

impl PartColumns {
    pub(super) fn new(columns: Vec<Column>) -> Self {
        Self { columns: columns.into_iter() }
    }

    pub(super) fn next(&mut self) -> Column {
        match self.columns.next() {
            Some(column) => column,
            None => unreachable!("one column is read per name asked for"),
        }
    }
}

impl CoalitionEncoding {
    /// Whether the rows name their slots themselves.
    pub(super) fn names_slots(&self) -> bool {
        match self {
            Self::Config { slot_ids, .. } | Self::Mask { slot_ids, .. } => slot_ids.is_some(),
            Self::PlayersOn { .. } | Self::Players(_) => true,
        }
    }

    /// The columns in the order [`read_encoding`] takes them.
    pub(super) fn columns(&self) -> Vec<String> {
        match self {
            Self::Config { config: first, slot_ids } | Self::Mask { mask: first, slot_ids } => {
                slot_ids.iter().chain([first]).cloned().collect()
            }
            Self::PlayersOn { on } => vec![on.clone()],
            Self::Players(players) => players.iter().map(|player| player.column.clone()).collect(),
        }
    }
}

/// Distinct layouts of a part and which of them each row has.
struct RowLayouts {
    layouts: Vec<Layout>,
    rows: Vec<u32>,
}

impl RowLayouts {
    fn of_rows(n_rows: usize) -> Self {
        Self { layouts: Vec::new(), rows: vec![0; n_rows] }
    }

    fn set(&mut self, row: usize, layout: Layout) {
        let known = self.layouts.iter().position(|other| *other == layout);
        self.rows[row] = u32::try_from(known.unwrap_or(self.layouts.len())).unwrap_or(u32::MAX);
        if known.is_none() {
            self.layouts.push(layout);
        }
    }

    /// Slots of a row; 0 if it has no layout.
    fn width(&self, row: usize) -> usize {
        self.layouts.get(self.rows[row] as usize).map_or(0, layout_width)
    }
}

/// Masks of one part with the layout of each row.
pub(super) struct EncodedMasks {
    pub(super) masks: Masks,
    pub(super) layouts: Vec<Layout>,
    /// Layout of each row; `None` if there is one for all.
    pub(super) row_layouts: Option<Vec<u32>>,
}

/// Masks and layouts of one part, from the columns next in `read`.
pub(super) fn read_encoding(
    encoding: &CoalitionEncoding,
    read: &mut PartColumns,
    n_rows: usize,
    options: &CoalitionOptions,
    bad: &mut BadCells,
) -> EncodedMasks {
    match encoding {
        CoalitionEncoding::Mask { mask, slot_ids: None } => {
            let masks = columns::masks(read.next(), mask, n_rows, bad);
            let layout = options.slots.clone().map_or(Layout::Open, Layout::Named);
            if let Layout::Named(slots) = &layout {
                check_width(&masks, n_rows, |_| slots.len(), mask, bad);
            }
            EncodedMasks { masks, layouts: vec![layout], row_layouts: None }
        }
        CoalitionEncoding::Mask { mask, slot_ids: Some(slot_ids) } => {
            let named = read_layouts(read.next(), slot_ids, n_rows, bad);
            let masks = columns::masks(read.next(), mask, n_rows, bad);
            check_width(&masks, n_rows, |row| named.width(row), mask, bad);
            EncodedMasks { masks, layouts: named.layouts, row_layouts: Some(named.rows) }
        }
        CoalitionEncoding::Config { config, slot_ids } => {
            let named = slot_ids.as_ref().map(|name| read_layouts(read.next(), name, n_rows, bad));
            read_configs(read.next(), config, named, n_rows, options, bad)
        }
        CoalitionEncoding::PlayersOn { on } => {
            let named = players_on::read(read.next(), on, n_rows, bad);
            EncodedMasks { masks: named.masks, layouts: vec![Layout::Seen(named.names)], row_layouts: None }
        }
        CoalitionEncoding::Players(players) => read_player_columns(players, read, n_rows, bad),
    }
}

fn read_player_columns(
    players: &[PlayerColumn],
    read: &mut PartColumns,
    n_rows: usize,
    bad: &mut BadCells,
) -> EncodedMasks {
    let words = words_for(players.len());
    let mut masks = vec![0u64; n_rows * words];
    for (player, PlayerColumn { column, .. }) in players.iter().enumerate() {
        let truths = columns::truth_column(read.next(), column, n_rows, bad);
        for (row, _) in truths.iter().enumerate().filter(|(_, is_on)| **is_on) {
            insert(&mut masks[row * words..(row + 1) * words], player);
        }
    }
    let ids = players.iter().map(|player| player.id.clone()).collect();
    let masks = Masks::Wide { words, bits: masks.into() };
    EncodedMasks { masks, layouts: vec![Layout::Named(ids)], row_layouts: None }
}

fn layout_width(layout: &Layout) -> usize {
    match layout {
        Layout::Named(ids) | Layout::Seen(ids) => ids.len(),
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
        if slots > WORD_BITS {
            bad.push(row, column, Problem::MaskTooShort { slots });
        } else if slots < WORD_BITS && mask >> slots != 0 {
            bad.push(row, column, Problem::MaskTooWide { mask, slots });
        }
    }
}

/// Distinct slot lists of a part and which each row has.
fn read_layouts(column: Column, name: &str, n_rows: usize, bad: &mut BadCells) -> RowLayouts {
    let mut found = RowLayouts::of_rows(n_rows);
    let Some(lists) = columns::name_lists(column, name, "a list of slot ids", n_rows, bad) else {
        return found;
    };
    let Some(ids) = columns::texts(&*lists.values) else {
        let dtype = describe_type(lists.values.dtype());
        bad.whole(name, "lists of text", dtype);
        return found;
    };
    for row in 0..n_rows {
        let range = lists.range(row);
        if row > 0 && same_list(&ids, &lists, row) {
            found.rows[row] = found.rows[row - 1];
            continue;
        }
        // The cell still needs a layout: an empty id stands for a null.
        if range.clone().any(|position| ids.get(position).is_none()) {
            bad.push(row, name, Problem::Null("a slot id"));
        }
        let slots: Vec<String> =
            range.map(|position| ids.get(position).unwrap_or_default().to_owned()).collect();
        if let Some(doubled) = slots.iter().enumerate().find(|(i, id)| slots[..*i].contains(id)) {
            bad.push(row, name, Problem::DuplicateSlot(doubled.1.clone()));
        }
        found.set(row, Layout::Named(slots));
    }
    found
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
    named: Option<RowLayouts>,
    n_rows: usize,
    options: &CoalitionOptions,
    bad: &mut BadCells,
) -> EncodedMasks {
    let empty = EncodedMasks {
        masks: Masks::of_words(vec![0; n_rows]),
        layouts: vec![Layout::Open],
        row_layouts: None,
    };
    let Some(lists) = columns::digit_lists(column, name, "a list of true and false", n_rows, bad) else {
        return empty;
    };
    let truths = columns::truths(&*lists.values, |position, problem| match position {
        Some(position) => {
            let row = lists.offsets.partition_point(|offset| *offset <= position).saturating_sub(1);
            bad.push(row, name, problem);
        }
        None => bad.whole(name, "lists of true and false", describe_type(lists.values.dtype())),
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
    let RowLayouts { layouts, rows } = match named {
        Some(named) => {
            for row in 0..n_rows {
                let (config, slots) = (lists.range(row).len(), named.width(row));
                if slots != config {
                    bad.push(row, name, Problem::ConfigLength { config, slots });
                }
            }
            named
        }
        None => unnamed_layouts(&lists, n_rows, options.slots.as_deref(), name, bad),
    };
    EncodedMasks { masks: Masks::Wide { words, bits: masks.into() }, layouts, row_layouts: Some(rows) }
}

/// Layouts of configurations without slot ids: `--slots`, or their length.
fn unnamed_layouts(
    lists: &Lists,
    n_rows: usize,
    slots: Option<&[String]>,
    name: &str,
    bad: &mut BadCells,
) -> RowLayouts {
    let mut found = RowLayouts::of_rows(n_rows);
    for row in 0..n_rows {
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
        found.set(row, layout);
    }
    found
}
