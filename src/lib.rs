//! Offline analysis of recorded training runs.
//!
//! Training runs of reinforcement-learning and morphogenetic systems leave recorded episodes behind: steps with
//! observations and rewards, and counterfactual evaluations (which slots were switched on, and what that scored).
//! This crate reads those recordings and says what they mean, without the training code. The `simic` program is
//! [`cli::main`] and nothing else.
//!
//! # Module map
//! ```text
//! main -> cli -> commands -> records ---------> (files)
//!                   |  |--> attribution ---.
//!                   |  |--> normalization -+
//!                   |  |--> baseline ------+
//!                   |  |--> simulation ----+--> stats
//!                   |  '--> report ----------> (table, JSON, CSV, Markdown, to any writer)
//!                   '-----> console ----------> (stdout, stderr, progress)
//! ```
//! Arrows are imports and point one way. Everything right of `commands` knows nothing of flags, terminals or
//! exit codes.
//!
//! # Invariants
//! 1. Each outside crate has one home: clap in `cli`, `config` and `commands`, polars in `records`, comfy-table in
//!    `report`, indicatif in `console`, burn in `normalization`, statrs in `stats`, random numbers in `stats` and the samplers.
//! 2. Analysis does no I/O, reads no clock, holds no hidden randomness, never prints and never exits.
//! 3. Non-finite numbers and malformed rows stop at `records`.
//! 4. No iteration over hash maps reaches a result.
//! 5. A finding is not an error: [`commands::Outcome`] and [`commands::CommandError`] are different types.
//! 6. Result types map to stored documents in one place (`report`; baselines in `records`), each with a version.
//!
//! The import map and the homes are tested in `tests/tidy.rs`.
//!
//! # Files
//! Read: Parquet, Arrow IPC, NDJSON, CSV, stored normalizer states (docs/formats.md), `simic.toml`. Written: what
//! `--output`, `--trace`, `--state-out` and `--report` name, baselines (`simic check record|accept`), beside each a
//! temporary file while it is under way; and unnamed temporary files where rows have to be put in order.

#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests compare exact arithmetic exactly"))]

pub mod attribution;
pub mod baseline;
pub mod cli;
pub mod commands;
mod config;
pub mod console;
pub mod normalization;
mod progress;
pub mod records;
pub mod report;
pub mod simulation;
pub mod stats;

pub use progress::{Progress, ProgressSink};
