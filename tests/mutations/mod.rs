//! Hostile inputs: every kind of file that is read, damaged at random by what it is made of.
//!
//! 20,000 cases by default; `SIMIC_MUTATIONS=10000000 cargo test --release hostile_inputs -- --nocapture` makes that many and
//! prints the same report; `SIMIC_MUTATIONS_FROM=CASE SIMIC_MUTATIONS=1` makes one again. A case is its number: the same
//! file and the same change whenever it is made, as long as the fixtures are the same ones.
//!
//! Cases run in processes of their own (this test, started again) whose address space ends at 4 GB, so that an
//! allocation by a claim, an overflow of the stack or an endless loop ends one of those and is told with its case.

mod corpus;
mod mutator;
mod readings;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use self::corpus::{Original, corpus};
use self::mutator::{Random, mutated};
use self::readings::{Door, Ending};

/// Cases where nothing else is asked for.
const N_CASES: u64 = 20_000;

/// One in so many cases also goes through the program's own door; those of a configuration all do.
const DOOR_EVERY: u64 = 16;

/// Memory of a process that reads cases, of parts within 64 MiB, whatever it has read before.
const MOST_RESIDENT_KB: u64 = 512 << 10;

/// Processor time that a case may take, and how long none may come forward before its process is ended.
const MOST_SECONDS: f64 = 5.0;
const PATIENCE: Duration = Duration::from_mins(5);

/// Cases found that are told.
const MOST_TOLD: usize = 20;

/// What this test is started again with: `FIRST STEP END FOLDER`.
const WORKER: &str = "SIMIC_MUTATIONS_WORKER";

/// What a process has read.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Tally {
    /// Cases, those read and those refused, by kind of file.
    kinds: BTreeMap<String, (u64, u64, u64)>,
    faults: Vec<(u64, String)>,
    peak_kb: u64,
    slowest: f64,
    slowest_case: u64,
}

impl Tally {
    fn add(&mut self, other: Self) {
        for (kind, (cases, read, refused)) in other.kinds {
            let sum = self.kinds.entry(kind).or_default();
            *sum = (sum.0 + cases, sum.1 + read, sum.2 + refused);
        }
        self.faults.extend(other.faults);
        self.peak_kb = self.peak_kb.max(other.peak_kb);
        if other.slowest > self.slowest {
            (self.slowest, self.slowest_case) = (other.slowest, other.slowest_case);
        }
    }
}

#[test]
fn hostile_inputs_are_read_or_refused() {
    if let Some(task) = std::env::var_os(WORKER) {
        work(&task.to_string_lossy());
        return;
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let n_cases = number("SIMIC_MUTATIONS").unwrap_or(N_CASES);
    let first = number("SIMIC_MUTATIONS_FROM").unwrap_or(0);
    let start = Instant::now();
    let n_workers = std::thread::available_parallelism().map_or(1, |n| n.get() as u64).min(n_cases);
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..n_workers)
            .map(|k| scope.spawn(move || supervise(first + k, n_workers, first + n_cases)))
            .collect();
        workers.into_iter().for_each(|worker| tally.add(worker.join().expect("supervised")));
    });
    report(&tally, n_workers, start.elapsed());
    tally.faults.sort();
    let told: Vec<String> =
        tally.faults.iter().take(MOST_TOLD).map(|(case, what)| format!("case {case}: {what}")).collect();
    assert!(told.is_empty(), "{} cases:\n{}", tally.faults.len(), told.join("\n"));
    let n_done: u64 = tally.kinds.values().map(|(cases, ..)| cases).sum();
    assert_eq!(n_done, n_cases, "every case is made");
    let n_refused: u64 = tally.kinds.values().map(|(.., refused)| refused).sum();
    // What changes nothing tests nothing.
    assert!(n_refused > n_done / 4 || n_done < 1000, "{n_refused} of {n_done} were noticed");
}

fn report(tally: &Tally, n_workers: u64, elapsed: Duration) {
    println!("{:<28} {:>10} {:>10} {:>10}", "kind", "cases", "read", "refused");
    for (kind, (cases, read, refused)) in &tally.kinds {
        println!("{kind:<28} {cases:>10} {read:>10} {refused:>10}");
    }
    println!(
        "{:.0} s of {n_workers} processes; peak {} MB; slowest case {:.2} s ({}); {} faults",
        elapsed.as_secs_f64(),
        tally.peak_kb >> 10,
        tally.slowest,
        tally.slowest_case,
        tally.faults.len()
    );
}

/// A process that makes cases, and where it says how far it is.
struct Worker {
    child: Child,
    folder: tempfile::TempDir,
}

impl Worker {
    fn start(first: u64, step: u64, end: u64) -> Self {
        // In memory where there is such a place: a case is a file.
        let place = Path::new("/dev/shm");
        let folder =
            if place.is_dir() { tempfile::tempdir_in(place) } else { tempfile::tempdir() }.expect("a folder");
        let stderr = std::fs::OpenOptions::new().create(true).append(true).open(folder.path().join("stderr"));
        let test = concat!(module_path!(), "::hostile_inputs_are_read_or_refused");
        let test = test.split_once("::").map_or(test, |(_, path)| path);
        let child = Command::new("sh")
            .args(["-c", "ulimit -v 4000000; exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().expect("this program"))
            .args(["--exact", test, "--nocapture", "--test-threads", "1"])
            .env(WORKER, format!("{first} {step} {end} {}", folder.path().display()))
            .env("RAYON_NUM_THREADS", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr.expect("a file"))
            .spawn()
            .expect("it starts");
        Self { child, folder }
    }

    /// The case under way.
    fn case(&self) -> Option<u64> {
        std::fs::read_to_string(self.folder.path().join("case")).ok()?.trim().parse().ok()
    }

    /// Waits for its end; ends it where no case comes forward.
    fn wait(&mut self) -> std::process::ExitStatus {
        let (mut case, mut since) = (self.case(), Instant::now());
        loop {
            if let Some(status) = self.child.try_wait().expect("waited for") {
                return status;
            }
            std::thread::sleep(Duration::from_millis(50));
            let now = self.case();
            if now != case {
                (case, since) = (now, Instant::now());
            } else if since.elapsed() > PATIENCE {
                let _ = self.child.kill();
            }
        }
    }

    fn tally(&self) -> Tally {
        let text = std::fs::read(self.folder.path().join("tally")).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }
}

/// Makes the cases `first`, `first + step`, ... below `end`; a process that a case ends is followed by another.
fn supervise(first: u64, step: u64, end: u64) -> Tally {
    let mut tally = Tally::default();
    let mut next = first;
    while next < end {
        let mut worker = Worker::start(next, step, end);
        let status = worker.wait();
        let case = worker.case();
        tally.add(worker.tally());
        if status.success() {
            break;
        }
        let Some(case) = case else {
            tally.faults.push((next, format!("its process did not begin: {status:?}")));
            break;
        };
        let said = std::fs::read_to_string(worker.folder.path().join("stderr")).unwrap_or_default();
        let said: String = said.chars().take(400).collect();
        tally.faults.push((case, format!("ended its process ({status}, {:?}): {said:?}", status.signal())));
        tally.kinds.entry("that ended their process".to_owned()).or_default().0 += 1;
        keep(case, &corpus());
        next = case + step;
    }
    tally
}

/// Keeps a case that fell, to look at.
fn keep(case: u64, corpus: &[Original]) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutations");
    let _ = std::fs::create_dir_all(&folder);
    let (original, bytes, _) = made(case, corpus);
    let _ = std::fs::write(folder.join(format!("{case}.{}", original.extension)), bytes);
}

/// A case's file, and the random numbers that go on from it.
fn made(case: u64, corpus: &[Original]) -> (&Original, Vec<u8>, Random) {
    let mut random = Random::of_case(case);
    let original = &corpus[random.below(corpus.len())];
    let same: Vec<&Original> = corpus.iter().filter(|other| other.extension == original.extension).collect();
    let other = same[random.below(same.len())];
    let bytes = mutated(&original.bytes, &other.bytes, original.structure, &mut random);
    (original, bytes, random)
}

/// What the last panic said; panics of decoders are errors of the files.
static PANIC: Mutex<String> = Mutex::new(String::new());

fn watch_panics() {
    std::panic::set_hook(Box::new(|info| {
        if !simic::records::is_decoding() {
            *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = info.to_string();
        }
    }));
}

/// Makes cases in this process, and says in `folder` how far it is.
fn work(task: &str) {
    let mut words = task.splitn(4, ' ');
    let mut number = || words.next().and_then(|word| word.parse::<u64>().ok()).expect("a number");
    let (first, step, end) = (number(), number(), number());
    let folder = PathBuf::from(words.next().expect("a folder"));
    watch_panics();
    let corpus = corpus();
    let mut door = Door::new(&folder, &folder.join("stderr"));
    let mut tally = Tally::default();
    for case in (first..end).step_by(usize::try_from(step).expect("small")) {
        std::fs::write(folder.join("case"), case.to_string()).expect("written");
        let (original, bytes, mut random) = made(case, &corpus);
        let path = folder.join(format!("case.{}", original.extension));
        std::fs::write(&path, bytes).expect("written");
        let start = processor_seconds();
        let is_through_door = case % DOOR_EVERY == 0 || original.reader == corpus::Reader::Configuration;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let ending = readings::read(original, &path, &mut random)?;
            if is_through_door { door.enter(original, &path, &mut random) } else { Ok(ending) }
        }));
        let seconds = processor_seconds() - start;
        let outcome = outcome.unwrap_or_else(|_| {
            Err(format!("panicked: {}", PANIC.lock().unwrap_or_else(PoisonError::into_inner)))
        });
        let resident = peak_kb();
        let kind = format!("{:?}, {}", original.reader, original.extension);
        let counts = tally.kinds.entry(kind).or_default();
        counts.0 += 1;
        let fault = match outcome {
            Ok(Ending::Read) => {
                counts.1 += 1;
                None
            }
            Ok(Ending::Refused) => {
                counts.2 += 1;
                None
            }
            Err(fault) => Some(fault),
        };
        let fault = fault
            .or_else(|| (seconds > MOST_SECONDS).then(|| format!("took {seconds:.1} s")))
            .or_else(|| {
                let is_new = resident > MOST_RESIDENT_KB && tally.peak_kb <= MOST_RESIDENT_KB;
                is_new.then(|| format!("took {} MB", resident >> 10))
            });
        tally.peak_kb = tally.peak_kb.max(resident);
        if seconds > tally.slowest {
            (tally.slowest, tally.slowest_case) = (seconds, case);
        }
        let has_fault = fault.is_some();
        if let Some(fault) = fault {
            tally.faults.push((case, format!("{}: {fault}", original.name)));
            keep(case, &corpus);
        }
        if has_fault || case % 256 < step || case + step >= end {
            // A process that is ended has told what it found before.
            std::fs::write(folder.join("tally"), serde_json::to_vec(&tally).expect("JSON")).expect("written");
        }
    }
}

/// Processor time of this process (Linux), in whole hundredths of a second: other programs do not count.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name, in parentheses, may hold anything; user and system time are the twelfth and thirteenth word after it.
    let words = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    words.filter_map(|word| word.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// The most memory this process has had (Linux).
fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
}
