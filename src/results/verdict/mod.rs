//! Conclusions: one to three sentences that answer what a verb was asked, made from the document alone.
//!
//! One file per document. Each gives its document a method `concluded`, which fills the key `verdict`; the command that
//! made the document calls it last, and `report` prints the sentences first. Sentences name things as the recording
//! does (its slots, its seeds or runs) and say the confidence and the number of units behind them; what the data cannot
//! tell is said as that. Nothing is computed here that is not in the document.

mod ablation;
mod check;
mod comparison;
mod interactions;
mod normalization;
mod shapley;
mod states;
mod statistics;
mod words;

pub use words::{interval_words, unit_noun};
