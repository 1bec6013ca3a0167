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
//!                   |  |--> simulation ----+--> stats
//!                   |  |--> results  (documents: what an analysis found, and what it was asked)
//!                   |  |--> baseline (results against results)
//!                   |  |--> shards   (what tasks find, put together)
//!                   |  '--> report ----------> (documents -> table, JSON, CSV, Markdown, Parquet, Arrow, to any writer)
//!                   '-----> console ----------> (stdout, stderr, progress)
//! ```
//! Arrows are imports; they point one way between folders, and no two files import each other in a loop.
//! `attribution` and `normalization` compute; `results` makes documents of what they give, and imports them and
//! `stats` alone; `report` renders documents, `baseline` compares their metrics, `records` reads and writes files,
//! stored documents among them. Everything right of `commands` knows nothing of flags, terminals or exit codes.
//!
//! A command is five lines of story: arguments become a settings value (`results`), paths become typed rows
//! (`records`), an analysis gives numbers, a document holds them (`results`), `report` renders it.
//!
//! # Invariants
//! 1. Each outside crate has one home: clap in `cli`, `config` and `commands`, polars in `records` (and the one
//!    file of `report` that writes Parquet and Arrow IPC), comfy-table and maud in
//!    `report`, indicatif in `console`, burn in `normalization`, nalgebra in `attribution`, statrs in `stats`, random
//!    numbers in `stats` and the samplers; schemars describes settings where they are defined and documents in `results`;
//!    signals in `signals`.
//! 2. Analysis does no I/O, reads no clock, holds no hidden randomness, never prints and never exits.
//! 3. Non-finite numbers and malformed rows stop at `records`.
//! 4. No iteration over hash maps reaches a result.
//! 5. A finding is not an error: [`commands::Outcome`] and [`commands::CommandError`] are different types.
//! 6. Documents live in `results` alone, each with the name and version of its schema; each old version keeps a fixture.
//! 7. No two files import each other in a loop.
//!
//! The import map, the homes and the loops are tested in `tests/tidy.rs`; so is that docs/schemas is what the types say.
//!
//! # Files
//! Read: Parquet, Arrow IPC, NDJSON, CSV, stored normalizer states (docs/formats.md), `simic.toml`. Written: what
//! `--output`, `--trace`, `--state-out` and `--report` name, baselines (`simic check record|accept`), the folder of a job
//! (`simic shard`), beside each a
//! temporary file while it is under way; and unnamed temporary files where rows have to be put in order.

#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests compare exact arithmetic exactly"))]

pub mod attribution;
pub mod baseline;
pub mod cli;
pub mod commands;
mod config;
pub mod console;
mod job_arguments;
mod meant;
pub mod normalization;
mod printable;
mod progress;
pub mod records;
pub mod report;
pub mod results;
pub mod shards;
mod signals;
pub mod simulation;
pub mod stats;

pub use progress::{Progress, ProgressSink};
