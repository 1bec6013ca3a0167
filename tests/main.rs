//! One integration binary: every test of the program from outside, and the laws its mathematics obeys.

#![allow(clippy::float_cmp, reason = "tests compare exact arithmetic exactly")]
#![allow(clippy::print_stdout, reason = "what is skipped is said")]

mod batches;
mod browser;
mod checks;
#[cfg(feature = "cloud")]
mod cloud;
mod convert;
mod counts;
mod cut_runs;
mod dependencies;
mod documents;
mod drift;
mod engine_sweeps;
mod engine_traffic;
mod engines;
mod flags;
mod folders;
mod full_disk;
mod gallery;
mod hdf5;
mod honest_records;
mod hostile;
mod interaction_laws;
mod kills;
mod laws;
mod layouts;
mod lerobot;
mod logs;
mod mutations;
mod normalization_laws;
mod normalizers;
mod outputs;
mod page;
mod program;
mod reference;
mod replay_order;
mod shards;
mod sizes;
mod states;
mod tables;
mod threads;
mod tidy;
mod transcripts;
mod verification;
mod wide;

/// Reads the coalition rows of one fixture.
fn recording(path: &str) -> simic::records::CoalitionRecording {
    recording_of(path, &[])
}

/// The same with value columns of choice.
fn recording_of(path: &str, values: &[&str]) -> simic::records::CoalitionRecording {
    use simic::attribution::Repeats;
    use simic::records::{CoalitionOptions, CoalitionRecording, ColumnMap, OnBad, discover};
    let options = CoalitionOptions {
        columns: ColumnMap::default(),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        slots: None,
        repeats: Repeats::Mean,
        on_bad: OnBad::Error,
    };
    let files = discover(&[path.to_owned()], None).expect("fixtures are there").files;
    CoalitionRecording::read(&files, &options, &simic::Progress::none()).expect("fixtures are readable")
}

/// Settings of an analysis with defaults.
fn settings(method: simic::attribution::MethodRequest) -> simic::attribution::ShapleySettings {
    use simic::attribution::{
        ConvergenceRequest, MissingPolicy, PermutationDesign, PermutationSettings, ShapleySettings,
    };
    use simic::stats::{ConfidenceLevel, IntervalMethod};
    ShapleySettings {
        method,
        permutations: PermutationSettings {
            n_permutations: 400,
            design: PermutationDesign::Plain,
            antithetic: true,
            seed: 0,
        },
        missing: MissingPolicy::Error,
        convergence: ConvergenceRequest::default(),
        marginal_deviations: false,
        range: None,
        monotone: None,
        confidence: ConfidenceLevel::new(0.95).expect("a level"),
        interval: IntervalMethod::StudentT,
    }
}

/// A game from its complete table.
fn complete_game(values: Vec<f64>) -> simic::attribution::Game {
    use simic::attribution::{CoalitionTable, Game, GameKey};
    let n = values.len().trailing_zeros() as usize;
    Game {
        key: GameKey { group: [].into(), run_id: "test".into(), episode: 0, env_id: 0, batch: None },
        players: (0..n).map(|i| format!("s{i}")).collect(),
        table: CoalitionTable::complete(values),
        walks: Vec::new(),
        n_bad_walks: 0,
    }
}
