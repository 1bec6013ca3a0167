//! What the program does with a file, in this process: by its readers, and by its own door.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use simic::attribution::{MethodRequest, Repeats, ShapleyEngine};
use simic::baseline::{Judgement, Rules, judge};
use simic::records::{
    Clock, CoalitionOptions, CoalitionRecording, ColumnMap, InputFile, InspectOptions, OnBad, PartBudget,
    RecordError, StepOptions, StepRecording, StepSizes, StepTarget, StoredState, discover, inspect,
    read_baseline, read_result_or_baseline,
};

use super::corpus::{Original, Reader};
use super::mutator::Random;

/// What a part may take once it is decoded.
const BUDGET: PartBudget = PartBudget::of_bytes(64 << 20);

/// How a reading ended, where it ended as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// With values.
    Read,
    /// With one error.
    Refused,
}

/// What is wrong with a reading.
type Fault = String;

/// Reads a case by one of the readers that its kind of file has.
///
/// # Errors
/// An error that is not one line, or has no hint.
pub(super) fn read(original: &Original, path: &Path, random: &mut Random) -> Result<Ending, Fault> {
    match original.reader {
        Reader::Steps if random.below(4) > 0 => ending(read_steps(path, random)),
        Reader::Coalitions if random.below(4) > 0 => ending(read_coalitions(path, random)),
        Reader::Steps | Reader::Coalitions => inspect_file(path, random),
        Reader::State => ending(read_state(path, random)),
        Reader::Document => read_document(path),
        Reader::Configuration => Ok(Ending::Read),
    }
}

fn ending(outcome: Result<(), RecordError>) -> Result<Ending, Fault> {
    match outcome {
        Ok(()) => Ok(Ending::Read),
        Err(error) => told(&error, error.hint().as_deref()),
    }
}

/// Characters of a line that somebody is to read.
const MOST_WORDS: usize = 4100;

/// Words and a hint.
fn told(error: &impl Display, hint: Option<&str>) -> Result<Ending, Fault> {
    let text = error.to_string();
    if text.is_empty() {
        return Err("an error without words".to_owned());
    }
    if hint.is_none_or(str::is_empty) {
        return Err(format!("an error without a hint: {text}"));
    }
    Ok(Ending::Refused)
}

fn files(path: &Path) -> Result<Vec<InputFile>, RecordError> {
    Ok(discover(&[path.to_string_lossy().into_owned()], None)?.within(BUDGET).files)
}

fn on_bad(random: &mut Random) -> OnBad {
    [OnBad::Error, OnBad::Skip][random.below(2)]
}

fn read_steps(path: &Path, random: &mut Random) -> Result<(), RecordError> {
    let options = StepOptions {
        columns: ColumnMap::default(),
        target: [StepTarget::Obs, StepTarget::Obs, StepTarget::Reward][random.below(3)],
        clock: [Clock::Row, Clock::EpisodeStep][random.below(2)].clone(),
        needs_round: false,
        needs_episode_ends: random.below(2) == 0,
        carries_columns: random.below(2) == 0,
        on_bad: on_bad(random),
        sizes: StepSizes::default(),
    };
    let recording = StepRecording::open(&files(path)?, &options, &simic::Progress::none())?;
    recording.stream(&simic::Progress::none(), |block| {
        assert_eq!(block.values.rows().len(), block.n_rows() * block.width, "rows have values");
        Ok::<(), RecordError>(())
    })
}

/// Games looked at, and the most players that are analysed: more would take the time of other cases.
const MOST_GAMES: usize = 8;
const MOST_PLAYERS: usize = 8;

fn coalition_options(random: &mut Random) -> CoalitionOptions {
    CoalitionOptions {
        columns: ColumnMap::default(),
        values: Vec::new(),
        slots: None,
        repeats: [Repeats::Mean, Repeats::Error][random.below(2)],
        on_bad: on_bad(random),
    }
}

fn read_coalitions(path: &Path, random: &mut Random) -> Result<(), RecordError> {
    let options = coalition_options(random);
    let recording = CoalitionRecording::read(&files(path)?, &options, &simic::Progress::none())?;
    let engine = ShapleyEngine::new(crate::settings(MethodRequest::Auto));
    for index in 0..recording.n_games().min(MOST_GAMES) {
        let game = recording.game(index, 0)?;
        // A game without a value under the method is an answer, too.
        if game.players.len() <= MOST_PLAYERS
            && let Ok(result) = engine.game(&game)
        {
            assert_eq!(result.players.len(), game.players.len(), "every player has a value");
        }
    }
    Ok(())
}

fn inspect_file(path: &Path, random: &mut Random) -> Result<Ending, Fault> {
    let options = InspectOptions { coalitions: coalition_options(random), looks_for_oddities: true };
    let files = files(path).map_err(|error| error.to_string())?;
    let rows = inspect(&files, &options, &simic::Progress::none());
    Ok(if rows.files[0].problems.is_empty() { Ending::Read } else { Ending::Refused })
}

fn read_state(path: &Path, random: &mut Random) -> Result<(), RecordError> {
    let target = ["obs", "reward"][random.below(2)];
    let state = if random.below(2) == 0 {
        StoredState::read(path, target)?
    } else {
        StoredState::read_claim(path, target)?
    };
    for name in ["state.json", "state.safetensors"] {
        assert!(!state.to_bytes(Path::new(name)).is_empty(), "a state can be written");
    }
    Ok(())
}

fn read_document(path: &Path) -> Result<Ending, Fault> {
    if let Err(error) = read_baseline(path) {
        told(&error, Some(error.hint()))?;
    }
    match read_result_or_baseline(path) {
        Ok(document) => {
            let judgement = Judgement { alpha: 0.05, strict: true, other_runs: false, seed: 0 };
            let result = judge(&document.metrics, &document.metrics, &Rules::default(), &judgement);
            assert!(result.findings.len() >= document.metrics.len(), "every metric is judged");
            Ok(Ending::Read)
        }
        Err(error) => told(&error, Some(error.hint())),
    }
}

/// The program's own door: arguments in, exit code and stderr out, all in this process.
pub(super) struct Door {
    folder: PathBuf,
    stderr: std::fs::File,
}

impl Door {
    /// `stderr` is the file that this process's stderr goes to.
    pub(super) fn new(folder: &Path, stderr: &Path) -> Self {
        let chain = std::fs::read("tests/cli/data/chain.csv").expect("a fixture");
        std::fs::write(folder.join("chain.csv"), chain).expect("written");
        let stderr = std::fs::OpenOptions::new().read(true).write(true).open(stderr).expect("open");
        Self { folder: folder.to_owned(), stderr }
    }

    /// Runs a verb on a case.
    ///
    /// # Errors
    /// An exit code that is none of the contract's for this, or an error that is not one line with a hint.
    pub(super) fn enter(
        &mut self,
        original: &Original,
        path: &Path,
        random: &mut Random,
    ) -> Result<Ending, Fault> {
        let case = path.to_string_lossy().into_owned();
        let output = self.folder.join("out.parquet").to_string_lossy().into_owned();
        let state = self.folder.join("out.json").to_string_lossy().into_owned();
        let words: &[&str] = match (original.reader, random.below(4)) {
            (Reader::Steps, 0) => &["normalize", "stats", &case, "--state-out", &state, "--force"],
            (Reader::Steps, 1) => &[
                "normalize",
                "replay",
                &case,
                "-o",
                &output,
                "--trace",
                &state,
                "--force",
                "--momentum",
                "0.9",
            ],
            (Reader::Steps, 2) => {
                &["normalize", "replay", &case, "-o", &output, "--force", "--on-bad", "skip"]
            }
            (Reader::Coalitions, 0..=2) => &["analyze", "shapley", &case],
            (Reader::Steps | Reader::Coalitions, _) => &["inspect", &case],
            (Reader::State, 0) => &["normalize", "merge", &case],
            (Reader::State, _) => {
                &["normalize", "stats", "fixtures/simulated/steps.parquet", "--state-in", &case]
            }
            (Reader::Document, _) => &["check", "diff", &case, &case],
            (Reader::Configuration, 0 | 1) => {
                &["analyze", "shapley", "tests/cli/data/chain.csv", "--config", &case]
            }
            (Reader::Configuration, _) => &["check", "--config", &case],
        };
        let is_configuration = original.reader == Reader::Configuration;
        let common: &[&str] = if is_configuration {
            &[]
        } else {
            &["--no-config", "--threads", "1", "--max-memory", "64MiB", "--format", "json"]
        };
        let all: Vec<OsString> = ["simic"].iter().chain(words).chain(common).map(OsString::from).collect();
        let start = self.stderr.seek(SeekFrom::End(0)).expect("seekable");
        let code = simic::cli::run_on(&all);
        self.stderr.seek(SeekFrom::Start(start)).expect("seekable");
        let mut said = Vec::new();
        self.stderr.read_to_end(&mut said).expect("readable");
        self.stderr.set_len(0).expect("a file");
        judged(code, &String::from_utf8_lossy(&said), is_configuration, words)
    }
}

fn judged(code: u8, said: &str, is_configuration: bool, words: &[&str]) -> Result<Ending, Fault> {
    let fault = |what: &str| Err(format!("{words:?}: {what}: exit code {code}, {said:?}"));
    let starting = |label: &str| said.lines().filter(|line| line.starts_with(label)).count();
    let is_judged = matches!(words[0], "check" | "inspect");
    if said.lines().any(|line| line.chars().count() > MOST_WORDS) {
        return fault("a line longer than can be read");
    }
    if said.contains(|c: char| c.is_control() && c != '\n') {
        return fault("control characters on stderr");
    }
    match code {
        0 => Ok(Ending::Read),
        1 if is_judged => Ok(Ending::Read),
        2 if is_configuration && starting("error:") == 1 => Ok(Ending::Refused),
        // A check without a baseline says so in its report.
        3 if words[0] == "check" && starting("error:") == 0 => Ok(Ending::Refused),
        2 if words[0] == "normalize" && starting("error:") == 1 => Ok(Ending::Refused),
        3 if starting("error:") == 1 && starting("hint:") == 1 => Ok(Ending::Refused),
        _ => fault("not one of the contract's endings"),
    }
}
