//! The files that cases are made of: every fixture the program reads, and a few texts for what has none.

use std::path::Path;

use super::mutator::Structure;

/// What reads a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reader {
    /// Rows of steps.
    Steps,
    /// Rows of coalitions.
    Coalitions,
    /// A stored state.
    State,
    /// A result or a baseline.
    Document,
    /// simic.toml.
    Configuration,
}

/// A good file.
pub(super) struct Original {
    /// Where it is, or what stands for its name.
    pub(super) name: String,
    /// How the file has to end to be told by its name.
    pub(super) extension: String,
    pub(super) bytes: Vec<u8>,
    pub(super) reader: Reader,
    pub(super) structure: Structure,
}

/// Larger files are mostly values; a mutation of one rarely meets anything else.
const MOST_BYTES: usize = 70_000;

const STEPS_CSV: &str = "run_id,episode,env_id,step,obs_0,obs_1,reward,terminated,truncated,note\n\
    01,0,0,0,0.5,-1.5,1,false,false,a\n01,0,1,0,0.25,2,0.5,false,false,\"b, quoted\"\n\
    01,0,0,1,0.75,1e-3,-1,true,false,\n01,0,1,1,1,2.5,0,false,true,d\n1,1,0,0,3,4,0.125,false,false,e\n";

const STEPS_NDJSON: &str = r#"{"run_id":"a","episode":0,"env_id":0,"step":0,"obs":[0.5,1.5],"reward":1,"terminated":false}
{"run_id":"a","episode":0,"env_id":0,"step":1,"obs":[0.25,-1],"reward":0.5,"terminated":true}
{"run_id":"a","episode":1,"env_id":0,"step":0,"obs":[2,3.5e1],"reward":-1,"terminated":false,"tag":"x"}
"#;

const COALITIONS_NDJSON: &str = r#"{"run_id":"a","episode":0,"slot_ids":["s0","s1"],"config":[false,false],"val_accuracy":0.5}
{"run_id":"a","episode":0,"slot_ids":["s0","s1"],"config":[true,false],"val_accuracy":0.625}
{"run_id":"a","episode":0,"slot_ids":["s0","s1"],"config":[false,true],"val_accuracy":0.75}
{"run_id":"a","episode":0,"slot_ids":["s0","s1"],"config":[true,true],"val_accuracy":1}
"#;

const CONFIGURATION: &str = "format = \"json\"\nseed = 7\nthreads = 1\nmax-memory = \"64MiB\"\nquiet = true\n\
    [column]\nmask = \"mask\"\nepisode = \"episode\"\n\
    [analyze.shapley]\nvalue = [\"val_accuracy\"]\nconfidence = 0.95\nmethod = \"exact\"\nrange = [0.0, 1.0]\n\
    [normalize.stats]\nmomentum = 0.99\nclip = 10\n\
    [check.chain]\nruns = [\"chain.csv\"]\nflags = { value = \"val_accuracy\", seed = 3 }\nalpha = 0.05\nstrict = true\n\
    [[check.chain.rules]]\nmetric = \"shapley/*/mean\"\nmode = \"close\"\nrel = 1e-6\n\
    [[check.chain.rules]]\nmetric = \"value/full/mean\"\nmode = \"range\"\nmin = 0.25\nmax = 2.0\n";

/// All of them, in order of their names.
pub(super) fn corpus() -> Vec<Original> {
    let mut found = Vec::new();
    for folder in ["fixtures", "tests/cli/data"] {
        for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
            let entry = entry.expect("readable");
            if entry.file_type().is_file() {
                found.extend(original(entry.path()));
            }
        }
    }
    for (name, text, reader) in [
        ("steps.csv", STEPS_CSV, Reader::Steps),
        ("steps.ndjson", STEPS_NDJSON, Reader::Steps),
        ("coalitions.ndjson", COALITIONS_NDJSON, Reader::Coalitions),
        ("simic.toml", CONFIGURATION, Reader::Configuration),
    ] {
        let extension = extension(Path::new(name));
        let bytes = text.as_bytes().to_vec();
        found.push(Original { name: name.to_owned(), extension, bytes, reader, structure: Structure::Text });
    }
    found
}

fn extension(path: &Path) -> String {
    path.extension().map(|extension| extension.to_string_lossy().into_owned()).unwrap_or_default()
}

fn original(path: &Path) -> Option<Original> {
    let name = path.to_string_lossy().into_owned();
    let extension = extension(path);
    let is_steps =
        ["steps", "transitions", "next_step", "returns", "hostile", "carried", "widths", "sd_falls"]
            .iter()
            .any(|word| name.contains(word));
    let rows = if is_steps { Reader::Steps } else { Reader::Coalitions };
    let (reader, structure) = match extension.as_str() {
        "parquet" | "arrow" => (rows, Structure::Binary),
        "csv" | "ndjson" => (rows, Structure::Text),
        "pkl" => (Reader::State, Structure::Pickle),
        "npz" | "pt" => (Reader::State, Structure::Archive),
        "safetensors" => (Reader::State, Structure::Safetensors),
        "json" if name.ends_with("normalizer.json") || name.ends_with("normalizer_truth.json") => {
            (Reader::State, Structure::Text)
        }
        "json" if name.contains("documents") || name.contains("baselines") => {
            (Reader::Document, Structure::Text)
        }
        _ => return None,
    };
    let bytes = std::fs::read(path).expect("readable");
    let is_wanted = !bytes.is_empty() && bytes.len() <= MOST_BYTES;
    is_wanted.then_some(Original { name, extension, bytes, reader, structure })
}
