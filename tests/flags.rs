//! Every flag of every verb changes an answer somewhere; where it would change nothing, it is refused with the reason.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const GAMES: &str = "fixtures/simulated/campaign.parquet";
const WALKS: &str = "fixtures/simulated/walks.parquet";
const MASKS: &str = "fixtures/simulated/mask.parquet";
const GLOVE: &str = "fixtures/reference/glove_1_2.parquet";
const STEPS: &str = "fixtures/simulated/steps.parquet";
const ROLLED: &str = "fixtures/esper/transitions.parquet";

fn run_in(folder: &Path, arguments: &[String]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simic"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SIMIC_") {
            command.env_remove(name);
        }
    }
    let output = command
        .args(arguments)
        .env("NO_COLOR", "1")
        .env("TASK_OF_JOB", "1")
        .current_dir(folder)
        .output()
        .expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().expect("a code"), text(&output.stdout), text(&output.stderr))
}

fn run(arguments: &[&str]) -> (i32, String) {
    let arguments: Vec<String> =
        arguments.iter().copied().chain(["--no-config"]).map(str::to_owned).collect();
    let (code, _, stderr) = run_in(Path::new("."), &arguments);
    (code, stderr)
}

/// Flags every command takes, which are about how it speaks and where it writes (or are a rule for all commands, like
/// the seed and the column mapping): the same script may pass them to all.
const COMMON: [&str; 19] = [
    "layout",
    "help",
    "version",
    "format",
    "output",
    "force",
    "seed",
    "threads",
    "max-memory",
    "progress",
    "width",
    "wide",
    "ascii",
    "color",
    "quiet",
    "verbose",
    "column",
    "config",
    "no-config",
];

/// A flag with a case in which it changes what comes out: the result, a file, or what is said on the way.
struct Case {
    verb: &'static str,
    flag: &'static str,
    /// What comes before it.
    base: &'static str,
    /// The flag as it is given.
    given: &'static str,
}

const fn case(verb: &'static str, flag: &'static str, base: &'static str, given: &'static str) -> Case {
    Case { verb, flag, base, given }
}

/// Words that stand for files in cases.
const FILES: [(&str, &str); 19] = [
    ("LOG", "fixtures/esper/run_s_s11/events.jsonl.gz"),
    ("ARM", "fixtures/layouts/lerobot/v3.0/arm"),
    ("MONOTONE", "tests/cli/data/missing.csv"),
    ("GAMES", GAMES),
    ("WALKS", WALKS),
    ("MASKS", MASKS),
    ("GLOVE", GLOVE),
    ("STEPS", STEPS),
    ("ROLLED", ROLLED),
    ("RESETS", "fixtures/normalizers/next_step.parquet"),
    ("MISSING", "tests/cli/data/missing.csv"),
    ("REPEATED", "tests/cli/data/repeated.csv"),
    ("NAN", "tests/cli/data/nan.csv"),
    ("OTHER", "tests/cli/data/other_value.csv"),
    ("CHANGED", "fixtures/checks/changed.parquet"),
    ("DIGITS", "fixtures/digits_regions.parquet"),
    ("SWEEP", "fixtures/tables/sweep.csv"),
    ("WORDS", "fixtures/tables/on_off.tsv"),
    ("VECTOR", "fixtures/tables/vector_steps.csv"),
];

/// Flags of the rule, the same for every verb that goes through steps.
const RULE: [(&str, &str, &str); 20] = [
    ("preset", "STEPS", "--preset rsl-rl"),
    ("target", "STEPS", "--target reward"),
    ("obs", "VECTOR", "--obs x,xdot"),
    ("update-every", "STEPS", "--update-every rollout:8"),
    ("order", "STEPS --format json", "--order update-first"),
    ("epsilon", "STEPS --wide", "--epsilon 0.5"),
    ("clip", "STEPS", "--clip 0.5"),
    ("initial-count", "STEPS", "--initial-count 50"),
    ("warmup", "STEPS SLOW", "--warmup debias"),
    ("variance-floor", "STEPS MOMENTUM", "--variance-floor 0.9"),
    ("bias-correction", "STEPS SLOW", "--bias-correction exact"),
    ("scope", "STEPS", "--scope env"),
    ("clock", "ROLLED", "--clock episode-step"),
    ("rollback", "ROLLED", "--rollback keep"),
    ("reward-scale", "STEPS --target reward", "--reward-scale return"),
    ("gamma", "STEPS --target reward --reward-scale return", "--gamma 0.5"),
    (
        "autoreset",
        "RESETS --target reward --reward-scale return --return-reset autoreset",
        "--autoreset same-step",
    ),
    ("return-reset", "STEPS --target reward --reward-scale return", "--return-reset never"),
    ("carry-over", "TWO", "--carry-over"),
    ("on-bad", "BROKEN --target reward", "--on-bad skip"),
];

/// Flags of analyses of games.
const GAME_FLAGS: [(&str, &str, &str); 15] = [
    ("players", "WORDS --value accuracy", "--players attn,aug,norm"),
    ("by", "SWEEP --players attn,aug,norm", "--by lr"),
    ("adjust", "DIGITS", "--adjust bh"),
    ("test", "DIGITS --format json", "--test sign-flip"),
    ("simultaneous", "DIGITS", "--simultaneous"),
    ("value", "GAMES", "--value val_loss"),
    ("better", "GAMES", "--better lower"),
    ("confidence", "GAMES", "--confidence 0.5"),
    ("ci", "GAMES", "--ci normal"),
    ("resamples", "GAMES --cluster episode --ci bootstrap", "--resamples 100"),
    ("cluster", "GAMES", "--cluster game"),
    ("duplicates", "REPEATED", "--duplicates error"),
    ("slots", "MASKS", "--slots a,b,c,d,e,f,g,h"),
    ("on-bad", "NAN", "--on-bad skip"),
    ("games", "GAMES", "--games 100"),
];

/// Flags of pictures.
const FIGURE: [(&str, &str); 2] = [("figure-size", "--figure-size 800x500"), ("theme", "--theme paper")];

/// A text that lives as long as the cases.
fn leaked(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// Flags of the rule that a verb refuses whatever else is given, and says why.
const REFUSED: [(&str, &str); 7] = [
    ("normalize compare", "scope"),
    ("normalize compare", "carry-over"),
    ("normalize verify", "scope"),
    ("normalize verify", "order"),
    ("normalize verify", "epsilon"),
    ("normalize verify", "clip"),
    ("normalize verify", "bias-correction"),
];

fn cases() -> Vec<Case> {
    let shapley = "analyze shapley";
    let interactions = "analyze interactions";
    let ablation = "analyze ablation";
    let mut cases = vec![
        case("inspect", "value", "OTHER", "--value top1"),
        case("inspect", "problems", "ROLLED", "--problems"),
        case("inspect", "strict", "MISSING --problems", "--strict"),
        case(shapley, "value", "GAMES", "--value val_loss"),
        case(shapley, "better", "GAMES", "--better lower"),
        case(shapley, "method", "GAMES", "--method kernel"),
        case(shapley, "permutations", "GAMES --method permutation", "--permutations 10"),
        case(shapley, "no-antithetic", "GAMES --method permutation", "--no-antithetic"),
        case(shapley, "missing", "MISSING --method permutation", "--missing skip"),
        case(shapley, "range", "GAMES --method bounds", "--range 0,2"),
        case(shapley, "monotone", "MONOTONE --method bounds --range 0,1", "--monotone"),
        case(shapley, "sampling", "GAMES --method permutation", "--sampling stratified"),
        case(shapley, "convergence", "GAMES --method permutation", "--convergence"),
        case(shapley, "ranking", "DIGITS", "--ranking"),
        case(shapley, "trend", "GAMES", "--trend"),
        case(shapley, "compare-recorded", "LOG", "--compare-recorded"),
        case(shapley, "sources", "GAMES", "--sources"),
        case(shapley, "target-half-width", "GAMES", "--target-half-width 0.001"),
        case(shapley, "confidence", "GAMES", "--confidence 0.5"),
        case(shapley, "ci", "GAMES", "--ci normal"),
        case(shapley, "resamples", "GAMES --cluster episode --ci bootstrap", "--resamples 100"),
        case(shapley, "cluster", "GAMES", "--cluster game"),
        case(shapley, "duplicates", "REPEATED", "--duplicates error"),
        case(shapley, "slots", "MASKS", "--slots a,b,c,d,e,f,g,h"),
        case(shapley, "players", "WORDS --value accuracy", "--players attn,aug,norm"),
        case(shapley, "by", "SWEEP --players attn,aug,norm", "--by lr"),
        case(shapley, "on-bad", "NAN", "--on-bad skip"),
        case(shapley, "games", "GAMES", "--games 100"),
        case(shapley, "sort", "GAMES", "--sort value"),
        case(shapley, "sort", "WORDS --value accuracy --players norm,attn,aug", "--sort given"),
        case(interactions, "index", "GAMES", "--index stii"),
        case(interactions, "order", "GAMES", "--order 3"),
        case(interactions, "among", "GAMES", "--among r0c0,r1c0"),
        case(interactions, "regime-threshold", "GAMES", "--regime-threshold 0.2"),
        case(interactions, "top", "GAMES", "--top 3"),
        case(ablation, "contrast", "GAMES", "--contrast r0c0,r1c0"),
        case("normalize verify", "state", "STEPS", "--state EMA1"),
        case("normalize verify", "tolerance", "ARM", "--tolerance 1e-9"),
        case("normalize verify", "obs", "ARM", "--obs action"),
        case("normalize stats", "lerobot-stats-out", "ARM", "--lerobot-stats-out OUT.xml"),
        case("inspect", "obs", "VECTOR", "--obs x,xdot"),
        case("normalize verify", "run", "TWO --state WELFORD", "--run run1"),
        case("normalize verify", "tolerance", "STEPS --state EMA1", "--tolerance 100"),
        case("normalize verify", "momentum", "STEPS --state WELFORD", "--momentum 0.9"),
        case("normalize replay", "trace", "STEPS", "--trace OUT.parquet"),
        case("normalize replay", "precision", "STEPS -o OUT.parquet", "--precision f64"),
        case("normalize replay", "compression", "STEPS -o OUT.parquet", "--compression none"),
        case("normalize replay", "learn-every", "STEPS", "--learn-every rollout:8"),
        case("normalize replay", "device", "STEPS", "--device flex"),
        case("normalize compare", "momentum", "STEPS", "--momentum 0.9"),
        case("normalize compare", "welford", "STEPS --momentum 0.9", "--welford"),
        case("normalize compare", "device", "STEPS", "--device flex"),
        case("normalize compare", "shift-at", "STEPS", "--shift-at 100"),
        case("normalize compare", "divisors", "STEPS --target reward", "--divisors"),
        case("convert", "value", "DIGITS -o OUT", "--value val_loss"),
        case("convert", "players", "WORDS -o OUT", "--players attn,aug,norm"),
        case("convert", "obs", "VECTOR -o OUT", "--obs x,xdot"),
        case("convert", "slots", "MASKS -o OUT", "--slots a,b,c,d,e,f,g,h"),
        case("report", "value", "OTHER -o OUT.html", "--value top1"),
        case("report", "players", "WORDS --value accuracy -o OUT.html", "--players attn,aug,norm"),
        case("report", "by", "SWEEP --players attn,aug,norm -o OUT.html", "--by lr"),
        case("report", "obs", "VECTOR -o OUT.html", "--obs x,xdot"),
        case("report", "title", "GAMES -o OUT.html", "--title Campaign"),
        case("simulate coalitions", "n-runs", "-o OUT.parquet", "--n-runs 2"),
        case("simulate coalitions", "compression", "-o OUT.parquet", "--compression none"),
        case("simulate coalitions", "n-episodes", "-o OUT.parquet", "--n-episodes 2"),
        case("simulate coalitions", "n-envs", "-o OUT.parquet", "--n-envs 1"),
        case("simulate coalitions", "slots", "-o OUT.parquet", "--slots a,b"),
        case("simulate coalitions", "n-slots", "-o OUT.parquet", "--n-slots 2"),
        case("simulate coalitions", "effects", "-o OUT.parquet --n-slots 2", "--effects 1,2"),
        case("simulate coalitions", "interaction", "-o OUT.parquet --slots a,b", "--interaction a+b=3"),
        case("simulate coalitions", "baseline", "-o OUT.parquet", "--baseline 0.1"),
        case("simulate coalitions", "run-spread", "-o OUT.parquet", "--run-spread 1"),
        case("simulate coalitions", "spread", "-o OUT.parquet", "--spread 1"),
        case("simulate coalitions", "noise", "-o OUT.parquet", "--noise 1"),
        case("simulate coalitions", "repeats", "-o OUT.parquet", "--repeats 2"),
        case("simulate coalitions", "walks", "-o OUT.parquet", "--walks 4"),
        case("simulate coalitions", "spelling", "-o OUT.parquet", "--spelling mask"),
        case("simulate transitions", "n-runs", "-o OUT.parquet", "--n-runs 2"),
        case("simulate transitions", "compression", "-o OUT.parquet", "--compression none"),
        case("simulate transitions", "n-envs", "-o OUT.parquet", "--n-envs 1"),
        case("simulate transitions", "n-steps", "-o OUT.parquet", "--n-steps 10"),
        case("simulate transitions", "obs-width", "-o OUT.parquet", "--obs-width 1"),
        case("simulate transitions", "episode-length", "-o OUT.parquet", "--episode-length 5"),
        case("simulate transitions", "offset", "-o OUT.parquet", "--offset 5"),
        case("simulate transitions", "shift-at", "-o OUT.parquet", "--shift-at 5"),
        case("simulate transitions", "shift", "-o OUT.parquet --shift-at 5", "--shift 9"),
        case("check record", "name", "DIGITS", "--name other"),
        case("check record", "result", "--name other", "--result RESULT"),
        case("check accept", "name", "DIGITS --force", "--name other"),
        case("check accept", "result", "", "--result RESULT"),
        case("check accept", "other-runs", "NOISY", "--other-runs"),
        case("check accept", "regressions", "NOISY --other-runs", "--regressions"),
        case("shard plan", "target-bytes", "anew --force", "--target-bytes 3KB -- analyze shapley GAMES"),
        case("shard exec", "task", "half", "--task 1"),
        case("shard exec", "task-env", "half", "--task-env TASK_OF_JOB"),
        case("shard exec", "until-stdin-ends", "slow", "--task 0 --until-stdin-ends"),
        case("shard merge", "allow-missing", "half", "--allow-missing"),
        case("shard run", "workers", "open", "--workers 2"),
        case("check diff", "strict", "BASE1 BASE2 --other-runs", "--strict"),
        case("check diff", "other-runs", "BASE1 BASE2", "--other-runs"),
    ];
    cases.push(case(shapley, "adjust", "GAMES", "--adjust by"));
    cases.push(case(shapley, "test", "DIGITS", "--test sign-flip"));
    cases.push(case(shapley, "simultaneous", "DIGITS", "--simultaneous"));
    for verb in [shapley, interactions] {
        cases.push(case(verb, "group", "GAMES", "--group r0*=row0"));
        cases.push(case(verb, "partition", "GAMES", "--partition by-prefix"));
    }
    cases.push(case(shapley, "figure-kind", "GAMES -o OUT.svg", "--figure-kind coverage"));
    cases.push(case("normalize compare", "figure-kind", "STEPS -o OUT.svg", "--figure-kind traces"));
    cases.push(case("normalize replay", "figure", "STEPS", "--figure OUT.svg"));
    cases.push(case("normalize replay", "figure-size", "STEPS --figure OUT.svg", "--figure-size 800x500"));
    cases.push(case("normalize replay", "theme", "STEPS --figure OUT.svg", "--theme paper"));
    cases.push(case(interactions, "figure-kind", "GAMES -o OUT.svg", "--figure-kind intervals"));
    for (verb, base) in [
        (shapley, "GAMES"),
        (interactions, "GAMES"),
        ("normalize compare", "STEPS"),
        ("normalize stats", "STEPS MOMENTUM"),
        (ablation, "GAMES"),
        ("check", "DIGITS"),
        ("check run", "DIGITS"),
    ] {
        cases.push(Case { verb, flag: "figure", base, given: "--figure OUT.svg" });
        cases.extend(FIGURE.iter().map(|&(flag, given)| Case {
            verb,
            flag,
            base: leaked(format!("{base} -o OUT.svg")),
            given,
        }));
    }
    for verb in [interactions, ablation] {
        cases.extend(GAME_FLAGS.iter().map(|(flag, base, given)| case(verb, flag, base, given)));
    }
    for verb in ["normalize stats", "normalize replay"] {
        cases.push(case(verb, "momentum", "STEPS", "--momentum 0.9"));
        cases.push(case(verb, "state-in", "STEPS", "--state-in WELFORD"));
        cases.push(case(verb, "state-out", "STEPS", "--state-out OUT.json"));
    }
    for verb in ["normalize stats", "normalize replay", "normalize compare"] {
        cases.extend(RULE.iter().map(|(flag, base, given)| case(verb, flag, base, given)));
        cases.push(case(verb, "dimensions", "STEPS", "--dimensions 1"));
    }
    cases.extend(RULE.iter().map(|(flag, base, given)| case("normalize verify", flag, base, given)));
    cases.retain(|case| !REFUSED.contains(&(case.verb, case.flag)));
    cases.push(case(
        "normalize verify",
        "dimensions",
        "STEPS --state EMA1 --momentum 0.95",
        "--dimensions 1",
    ));
    for verb in ["check", "check run"] {
        cases.push(case(verb, "name", "DIGITS", "--name other"));
        cases.push(case(verb, "result", "", "--result RESULT"));
        cases.push(case(verb, "other-runs", "NOISY --baseline BASE1", "--other-runs"));
        cases.push(case(verb, "baseline", "NOISY", "--baseline BASE1"));
        cases.push(case(verb, "baseline-rev", "DIGITS", "--baseline-rev HEAD"));
        cases.push(case(verb, "strict", "NOISY --baseline BASE1 --other-runs", "--strict"));
        cases.push(case(verb, "report", "DIGITS", "--report junit=out.xml"));
    }
    cases
}

/// Files that cases write.
const OUTPUTS: [&str; 7] = [
    "out.parquet",
    "out.json",
    "out.xml",
    "out.html",
    "out.svg",
    "out/coalitions.parquet",
    "out/transitions.parquet",
];

/// A folder with what the words of cases stand for beside recorded files.
struct Workplace {
    folder: tempfile::TempDir,
}

impl Workplace {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().expect("a folder") };
        let path = |name: &str| place.folder.path().join(name);
        std::fs::write(
            path("broken.csv"),
            "step,obs,reward,rolled_back\n0,1,1,0\n1,NaN,NaN,0\n2,2,2,1\n3,4,4,0\n",
        )
        .expect("written");
        for setup in [
            "normalize stats STEPS --state-out WELFORD",
            "normalize stats STEPS --momentum 0.9 --state-out EMA1",
            "normalize stats STEPS --momentum 0.9 --state-in EMA1 --state-out EMA2",
            "normalize stats STEPS --target reward --state-out REWARDS",
            "normalize stats STEPS --target reward --reward-scale return --state-out RETURN",
            "analyze shapley CHANGED --format json -o RESULT",
            "simulate transitions -o two.parquet --n-runs 2 --n-steps 50",
            "normalize stats TWO --carry-over --state-out BOTH",
            "simulate coalitions -o noisy1.parquet --n-runs 3 --run-spread 0.1 --seed 1",
            "simulate coalitions -o noisy2.parquet --n-runs 3 --run-spread 0.1 --seed 2",
            "check record noisy1.parquet --name default",
            "shard plan half --target-bytes 4KB -- analyze shapley GAMES",
            "shard exec half --task 0",
            "shard plan open --target-bytes 4KB -- analyze shapley GAMES",
            "shard plan slow -- analyze shapley GAMES --method permutation --permutations 40000",
        ] {
            let (code, _, stderr) = place.run(setup);
            assert_eq!(code, 0, "{setup}: {stderr}");
            if setup.starts_with("check") {
                std::fs::rename(path("simic-baselines/default.json"), path("base1.json")).expect("moved");
            }
        }
        assert_eq!(place.run("check record noisy2.parquet").0, 0);
        std::fs::rename(path("simic-baselines/default.json"), path("base2.json")).expect("moved");
        assert_eq!(place.run("check record DIGITS").0, 0);
        std::fs::copy(path("simic-baselines/default.json"), path("digits.json")).expect("kept");
        place
    }

    /// The words of a command line, files in place of what stands for them.
    fn run(&self, line: &str) -> (i32, String, String) {
        let named = |word: &str| -> Vec<String> {
            if let Some((_, file)) = FILES.iter().find(|(name, _)| *name == word) {
                return vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(file).to_string_lossy().into_owned()];
            }
            match word {
                "WELFORD" => vec!["welford.json".to_owned()],
                "EMA1" => vec!["ema1.json".to_owned()],
                "EMA2" => vec!["ema2.json".to_owned()],
                "REWARDS" => vec!["rewards.json".to_owned()],
                "RETURN" => vec!["return.json".to_owned()],
                "BOTH" => vec!["both.json".to_owned()],
                "RESULT" => vec!["result.json".to_owned()],
                "BASE1" => vec!["base1.json".to_owned()],
                "BASE2" => vec!["base2.json".to_owned()],
                "TWO" => vec!["two.parquet".to_owned()],
                "NOISY" => vec!["noisy2.parquet".to_owned()],
                "BROKEN" => vec!["broken.csv".to_owned()],
                "MOMENTUM" => vec!["--momentum".to_owned(), "0.9".to_owned()],
                "SLOW" => vec!["--momentum".to_owned(), "0.999".to_owned()],
                "" => Vec::new(),
                word if word.starts_with("OUT") => vec![word.to_lowercase()],
                word => vec![word.to_owned()],
            }
        };
        let arguments: Vec<String> = line.split(' ').flat_map(named).collect();
        run_in(self.folder.path(), &arguments)
    }

    /// Everything a command leaves: exit code, both streams, and the file it was asked to write.
    fn outcome(&self, line: &str) -> (i32, String, String, Vec<Vec<u8>>) {
        let outputs = OUTPUTS.map(|name| self.folder.path().join(name));
        let (code, stdout, stderr) = self.run(line);
        let files = outputs.iter().filter_map(|path| std::fs::read(path).ok()).collect();
        outputs
            .iter()
            .filter(|path| path.exists())
            .for_each(|path| std::fs::remove_file(path).expect("removed"));
        let baselines = self.folder.path().join("simic-baselines");
        if baselines.join("other.json").exists() {
            std::fs::remove_file(baselines.join("other.json")).expect("removed");
        }
        std::fs::copy(self.folder.path().join("digits.json"), baselines.join("default.json"))
            .expect("restored");
        (code, stdout, stderr, files)
    }
}

/// (verb, flag) of every flag there is beside the common ones.
fn flags_of(command: &clap::Command, verb: &str, found: &mut BTreeSet<(String, String)>) {
    for argument in command.get_arguments() {
        if let Some(long) = argument.get_long().filter(|long| !COMMON.contains(long)) {
            found.insert((verb.to_owned(), long.to_owned()));
        }
    }
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        flags_of(inner, format!("{verb} {}", inner.get_name()).trim(), found);
    }
}

#[test]
fn every_flag_of_every_verb_changes_an_answer() {
    let cases = cases();
    let mut there = BTreeSet::new();
    flags_of(&simic::cli::command(), "", &mut there);
    let changing = cases.iter().map(|case| (case.verb, case.flag));
    let told: BTreeSet<(String, String)> =
        changing.chain(REFUSED).map(|(verb, flag)| (verb.to_owned(), flag.to_owned())).collect();
    let untold: Vec<_> = there.symmetric_difference(&told).collect();
    assert!(untold.is_empty(), "a flag without a case, or a case without a flag: {untold:?}");
    let place = Workplace::new();
    let mut wrong = Vec::new();
    for (verb, flag) in REFUSED {
        let (_, base, given) = RULE.iter().find(|(name, ..)| *name == flag).expect("a flag of the rule");
        let state = if verb == "normalize verify" { " --state WELFORD" } else { "" };
        let (code, _, stderr) = place.run(&format!("{verb} {base}{state} {given}"));
        if code != 2 || !stderr.contains("hint") {
            wrong.push(format!("{verb} {given}: {code} {stderr}"));
        }
    }
    for Case { verb, base, given, .. } in cases {
        // What a verb can write shows what a summary need not.
        let writes = match verb {
            "normalize verify" if base.contains("--state") || given.contains("--state") => "",
            "normalize verify" if base.contains("--reward-scale") || given.contains("--reward-scale") => {
                " --state RETURN"
            }
            "normalize verify" if base.contains("reward") => " --state REWARDS",
            "normalize verify" if base.contains("TWO") => " --state BOTH",
            "normalize verify" => " --state WELFORD",
            "normalize stats" if !given.contains("--state-out") && !given.contains("--scope") => {
                " --state-out OUT.json"
            }
            "normalize replay" if !base.contains("-o") && !given.contains("OUT") => " -o OUT.parquet",
            _ => "",
        };
        let base = format!("{base}{writes}");
        let line =
            |more: &str| format!("{verb} {base} {more}").split_whitespace().collect::<Vec<_>>().join(" ");
        let (plain, with) = (place.outcome(&line("")), place.outcome(&line(given)));
        if plain == with {
            wrong.push(format!("{verb} {base} {given}: nothing changed"));
        }
        if with.0 == 2 {
            wrong.push(format!("{verb} {base} {given} is refused: {}", with.2));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn flags_without_effect_are_refused_with_the_reason() {
    let cases: [(&str, &str); 81] = [
        ("analyze shapley SWEEP --players attn,aug,norm --by lr --test sign-flip", "needs at least 6"),
        ("analyze shapley GAMES --confidence 0.9999999999999999", "leaves nothing over"),
        ("analyze shapley GAMES -o OUT.svg --figure OUT.svg", "are both"),
        ("analyze shapley GAMES --range 0,1", "--method bounds"),
        ("analyze shapley GAMES --range 0,1 --method kernel", "--method bounds"),
        ("analyze shapley GAMES --resamples 300", "--ci bootstrap"),
        ("analyze shapley GAMES --permutations 10", "values are exact"),
        ("analyze shapley GAMES --no-antithetic", "values are exact"),
        ("analyze shapley GAMES --sampling balanced", "values are exact"),
        ("analyze shapley GAMES --convergence", "values are exact"),
        ("analyze shapley WALKS --sampling stratified", "walks of its own"),
        ("analyze shapley GLOVE --ranking", "needs 2 slots and 4 units; here are 3 slots and 1 unit"),
        ("analyze shapley GLOVE --trend", "no run has a slot in two episodes"),
        ("analyze shapley LOG --compare-recorded --partition by-prefix", "leave --partition out"),
        ("analyze shapley GAMES --missing skip", "values are exact"),
        ("analyze shapley WALKS --permutations 10", "walks of its own"),
        ("analyze shapley WALKS --missing skip", "walks of its own"),
        ("analyze shapley WALKS --no-antithetic", "walks of its own"),
        ("analyze shapley WALKS --duplicates first", "the values of its own rows"),
        ("analyze shapley GAMES --slots a,b", "name their own"),
        ("analyze shapley GLOVE --ci normal", "one unit"),
        ("analyze shapley GAMES --games 5 --format json", "shortens a table"),
        ("analyze shapley GAMES --sort value --format csv", "orders a table"),
        ("analyze shapley GAMES --sort value -o OUT.svg", "a picture is drawn"),
        ("analyze shapley GAMES --group r0*=row0 --sort given", "groups of --group stand nowhere"),
        ("analyze interactions GAMES --resamples 300", "--ci bootstrap"),
        ("analyze interactions GAMES --slots a,b", "name their own"),
        ("analyze interactions GLOVE --ci normal", "one unit"),
        ("analyze interactions GAMES --top 3 --format json", "shortens a table"),
        ("analyze interactions GAMES --games 3 --format csv", "shortens a table"),
        ("analyze interactions GAMES --order 1 --regime-threshold 0.1", "--order 1 has none"),
        ("analyze interactions GAMES --regime-threshold 0", "not a positive number"),
        ("analyze interactions GAMES --index pair --order 3", "one or two slots"),
        ("analyze interactions GAMES --order 5", "a game of 4 players"),
        ("analyze interactions GAMES --among r0c0,x", "no slot of these games"),
        ("analyze ablation GAMES --resamples 300", "--ci bootstrap"),
        ("analyze ablation GAMES --slots a,b", "name their own"),
        ("analyze ablation GLOVE --ci normal", "one unit"),
        ("analyze ablation GAMES --games 3 --format ndjson", "shortens a table"),
        ("analyze ablation GAMES --contrast r0c0,r0c0", "differs from itself"),
        ("analyze ablation GAMES --contrast r0c0", "two slots"),
        ("analyze ablation GAMES --contrast r0c0,x", "no slot of these games"),
        ("analyze ablation GAMES --contrast r0c0,r0c1 --contrast r0c1,r0c0", "asked twice"),
        ("analyze shapley GAMES --group x*=y", "no slot of these games fits"),
        ("analyze shapley GAMES --group r0*", "GLOB=NAME"),
        ("analyze shapley GAMES --group r0*=a --group *c0=b", "in group a and in group b"),
        ("analyze shapley GAMES --group r0*=r1c0", "as is a slot outside it"),
        ("analyze shapley GAMES --partition by-prefix --method kernel", "no other --method"),
        ("analyze shapley GAMES --partition by-prefix --group r0*=a", "cannot be used with"),
        ("analyze shapley GAMES --partition nowhere.json", "nowhere.json"),
        ("analyze interactions GAMES --group x*=y", "no slot of these games fits"),
        ("analyze interactions GAMES --order 4 --group r0*=row0", "a game of 2 players"),
        ("analyze shapley GLOVE --adjust bh", "one unit"),
        ("analyze interactions GLOVE --test sign-flip", "one unit"),
        ("analyze ablation GLOVE --simultaneous", "one unit"),
        ("analyze shapley GAMES --simultaneous", "needs at least 6"),
        ("analyze interactions GAMES --simultaneous", "needs at least 6"),
        ("analyze shapley GAMES --simultaneous --cluster episode --ci normal", "no other --ci"),
        ("analyze shapley GAMES --monotone", "--method bounds"),
        ("analyze shapley GAMES --target-half-width 0", "not a positive number"),
        ("normalize stats STEPS --dimensions 5 --format json", "shortens a table"),
        ("normalize replay STEPS --dimensions 5 --format csv", "shortens a table"),
        ("normalize compare STEPS --dimensions 5 --format ndjson", "shortens a table"),
        ("normalize replay STEPS --precision f64", "-o"),
        ("normalize replay STEPS --compression none", "-o"),
        ("normalize replay STEPS --gamma 0.9", "nothing is scaled"),
        ("normalize stats STEPS --target reward --gamma 0.9", "nothing is scaled"),
        ("normalize replay STEPS --return-reset never", "nothing is scaled"),
        ("normalize replay STEPS MOMENTUM --initial-count 5", "full history"),
        ("normalize replay STEPS --bias-correction exact", "moving average"),
        ("normalize replay STEPS MOMENTUM --warmup debias --bias-correction exact", "use one of the two"),
        ("normalize replay STEPS --warmup debias", "moving average"),
        ("normalize replay STEPS --scope env --learn-every rollout:8", "keeps them apart"),
        ("normalize compare STEPS --target reward --divisors --scope env", "would change nothing"),
        ("normalize stats STEPS --reward-scale return", "about rewards"),
        ("simulate transitions -o OUT.parquet --shift 3", "--shift-at"),
        ("simulate transitions -o OUT.parquet --n-steps 10 --shift-at 10", "nothing would shift"),
        ("simulate coalitions -o OUT.parquet --noise nan", "not finite"),
        ("normalize compare STEPS --momentum 0.9,0.9", "twice"),
        ("normalize compare STEPS --target reward --divisors --preset sb3", "--preset"),
        ("normalize compare STEPS --momentum 0.5..0.99:1000 --max-memory 10MB", "of --max-memory"),
    ];
    let place = Workplace::new();
    let mut wrong = Vec::new();
    for (line, reason) in cases {
        let (code, _, stderr) = place.run(line);
        if code != 2 || !stderr.contains(reason) {
            wrong.push(format!("{line}: {code} {stderr}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Flags of the screen, which every table obeys.
#[test]
fn tables_fit_the_width_asked_for() {
    let place = Workplace::new();
    for verb in [
        "analyze shapley GAMES",
        "normalize stats STEPS",
        "normalize replay STEPS",
        "normalize compare STEPS --dimensions 2",
        "normalize compare STEPS --target reward --divisors",
        "normalize verify STEPS --state EMA1",
        "normalize merge WELFORD",
        "check diff BASE1 BASE2 --other-runs",
        "inspect GAMES",
        "devices",
    ] {
        let shown = |flags: &str| place.run(&format!("{verb} {flags}")).1;
        let (usual, wide, ascii) = (shown(""), shown("--wide"), shown("--ascii"));
        assert_eq!(usual, shown("--width 100"), "{verb}");
        assert!(ascii.is_ascii() && (usual.is_ascii() || ascii != usual), "{verb}: {ascii}");
        assert!(wide.lines().count() <= usual.lines().count(), "{verb}");
        for width in [40, 60, 80, 100, 120, 200] {
            let text = shown(&format!("--width {width}"));
            // A path is never broken.
            let too_wide = |line: &&str| line.chars().count() > width && line.trim().contains(' ');
            let over: Vec<&str> = text.lines().filter(too_wide).filter(|line| !line.contains('/')).collect();
            assert!(over.is_empty(), "{verb} at {width}: {over:?}");
        }
    }
    let shapley = |flags: &str| place.run(&format!("analyze shapley GAMES {flags}"));
    assert_ne!(shapley("--width 60").1, shapley("--width 80").1);
    assert_ne!(shapley("--width 80").1, shapley("--wide").1);
    assert_eq!((shapley("--width 10").0, shapley("--width 80 --wide").0), (2, 2));
}

#[test]
fn a_bootstrap_of_a_handful_of_units_is_refused() {
    // Three runs, eight episodes each.
    let bootstrap =
        |cluster: &str| run(&["analyze", "shapley", GAMES, "--ci", "bootstrap", "--cluster", cluster]);
    let (code, stderr) = bootstrap("run");
    assert!(code == 2 && stderr.contains("of 3 units"), "{stderr}");
    let (code, stderr) = bootstrap("episode");
    assert!(code == 0 && !stderr.contains("too narrow"), "{stderr}");
}

/// A setting that stands in simic.toml or the environment for other occasions is left out with a note, not refused; what
/// is wrong with one says where it stands.
#[test]
fn settings_without_effect_are_left_out_and_wrong_ones_say_where_they_stand() {
    let place = Workplace::new();
    let settings = place.folder.path().join("simic.toml");
    let set = |text: &str| std::fs::write(&settings, text).expect("written");
    set("[analyze.shapley]\npermutations = 100\ngames = 5\n");
    let (code, with, stderr) = place.run("analyze shapley GAMES --format json");
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("games, from ") && stderr.contains("permutations, from "), "{stderr}");
    assert!(stderr.contains("simic.toml"), "{stderr}");
    let (_, without, _) = place.run("analyze shapley GAMES --format json --no-config");
    assert_eq!(with, without);
    // The same typed is refused.
    let (code, _, stderr) = place.run("analyze shapley GAMES --permutations 100");
    assert!(code == 2 && stderr.contains("values are exact"), "{stderr}");
    set("[analyze.shapley]\nconfidence = 95\n");
    let (code, _, stderr) = place.run("analyze shapley GAMES");
    assert!(
        code == 2 && stderr.contains("--confidence is set by") && stderr.contains("simic.toml"),
        "{stderr}"
    );
    set("[normalize.replay]\nprecision = \"f64\"\n");
    let (code, _, stderr) = place.run("normalize replay STEPS");
    assert!(code == 0 && stderr.contains("precision, from "), "{stderr}");
    let output = Command::new(env!("CARGO_BIN_EXE_simic"))
        .args(["analyze", "shapley", GAMES, "--no-config"])
        .env("SIMIC_PERMUTATIONS", "100")
        .output()
        .expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && stderr.contains("permutations, from SIMIC_PERMUTATIONS"), "{stderr}");
}
