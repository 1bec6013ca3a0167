//! Many settings through the same batches on every device present, against the CPU one setting at a time.

use serde_json::Value;
use simic::normalization::{
    Block, Divisor, Engine, Memory, MomentumUnit, Order, Pass, Replay, Rule, Warmup, sweep_obstacle,
};
use simic::stats::Rows;

use crate::engines::{Recording, STATE_BOUND, check_windows, engines, normal, recordings, simic};

/// Variances that 32 bits tell from 0.
const LEAST_VAR: f64 = 1e-30;

/// Memories of every kind that a device takes.
fn settings(shared: Rule) -> Vec<Rule> {
    let of = |memory| Rule { memory, ..shared };
    let ema = of(Memory::ema(0.99));
    let mut rules: Vec<Rule> =
        [0.0, 0.3, 0.9, 0.99, 0.9999, 1.0].into_iter().map(|m| of(Memory::ema(m))).collect();
    rules.extend([
        of(Memory::Welford),
        Rule { initial_count: 0.0, ..of(Memory::Welford) },
        of(Memory::Ema { momentum: 0.999, unit: MomentumUnit::Row }),
        Rule { warmup: Warmup::Debias, ..ema },
        Rule { warmup: Warmup::Welford(100), ..ema },
        Rule { until: Some(200), ..of(Memory::Welford) },
        Rule { skip_first: 2, ..ema },
    ]);
    rules
}

/// What settings share: the order, the clip and the divisor.
fn shared() -> Vec<(&'static str, Rule)> {
    let base = Rule::observations(Memory::Welford);
    let first = Rule { order: Order::UpdateFirst, ..base };
    vec![
        ("normalized first", base),
        ("updated first", first),
        ("tight clip", Rule { clip: Some(0.7), ..base }),
        ("tight clip, updated first", Rule { clip: Some(0.7), ..first }),
        ("no clip", Rule { clip: None, ..base }),
        (
            "bounded divisor",
            Rule { divisor: Divisor { inside_root: 0.0, outside_root: 0.01, min: 0.5, max: 3.0 }, ..base },
        ),
    ]
}

fn run(rules: &[Rule], recording: &Recording, engine: Option<&Engine>) -> Vec<Replay> {
    let width = recording.width;
    let new = |rule: &Rule| Replay::new(*rule, width, recording.n_updates(), 16);
    let mut replays: Vec<Replay> = rules.iter().map(new).collect();
    let mut start = 0;
    for (stop, ends) in &recording.blocks {
        let range = start * width..stop * width;
        #[expect(clippy::cast_possible_truncation, reason = "values are singles")]
        let singles: Vec<f32> = recording.values[range.clone()].iter().map(|x| *x as f32).collect();
        let rows =
            if recording.is_single { Rows::F32(&singles) } else { Rows::F64(&recording.values[range]) };
        let block = Block { rows, input: None, ends };
        match engine {
            Some(engine) => Replay::sweep(&mut replays, engine, &block, Pass::Whole).expect("it works"),
            None => Replay::run_together(&mut replays, &block, Pass::Whole, |_, _| {}),
        }
        start = *stop;
    }
    replays.iter_mut().for_each(|replay| replay.finish(|_| {}));
    replays
}

fn check(name: &str, rules: &[Rule], recording: &Recording, engine: &Engine) {
    let (found, expected) = (run(rules, recording, Some(engine)), run(rules, recording, None));
    for (found, expected) in found.iter().zip(&expected) {
        let rule = expected.normalizer().rule();
        let at = format!("{name}, {:?} {:?} on {}", rule.memory, rule.warmup, engine.name());
        let (own, cpu) = (found.normalizer(), expected.normalizer());
        assert_eq!(
            (own.count(), own.updates(), own.rows()),
            (cpu.count(), cpu.updates(), cpu.rows()),
            "{at}"
        );
        for d in 0..recording.width {
            let (mean, var) = (cpu.mean()[d], cpu.var()[d]);
            let size = mean.abs().max(var.sqrt());
            assert!((own.mean()[d] - mean).abs() <= STATE_BOUND * size, "{at}: {} {mean}", own.mean()[d]);
            let bound = (STATE_BOUND * var).max(LEAST_VAR);
            assert!((own.var()[d] - var).abs() <= bound, "{at}: {} {var}", own.var()[d]);
        }
        check_windows(&at, found.windows(), expected.windows(), recording.width);
        for (found, expected) in found.windows().iter().zip(expected.windows()) {
            let (own, cpu) = (&found.in_use, &expected.in_use);
            assert_eq!(own.n, cpu.n, "{at}");
            for d in 0..cpu.mean.len() {
                let rows = expected.moments.var(d);
                // An initial state may lie far from the rows: it is as exact as it is far.
                let far = (cpu.mean[d] - expected.moments.mean()[d]).abs();
                let deviation = cpu.var[d].max(rows).sqrt().max(cpu.mean[d].abs()).max(far);
                let (a, b) = (own.mean[d], cpu.mean[d]);
                assert!((a - b).abs() <= STATE_BOUND * deviation, "{at}: mean in use {a} {b}");
                // Where a state is a mixture of an initial one far away, what it swelled to in between.
                let most = cpu.var[d].max(rows);
                let (a, b) = (own.var[d], cpu.var[d]);
                let bound = (STATE_BOUND * most).max(LEAST_VAR);
                assert!((a - b).abs() <= bound, "{at}: variance in use {a} {b}, of rows {most}");
            }
        }
    }
}

#[test]
fn every_setting_of_a_sweep_is_what_the_cpu_says() {
    let recordings = recordings();
    for engine in engines() {
        for (shared_name, shared) in shared() {
            let rules = settings(shared);
            assert!(rules.iter().all(|rule| sweep_obstacle(rule).is_none()));
            for (name, recording) in recordings.iter().filter(|(_, recording)| recording.input.is_none()) {
                let is_open = ["open batches", "closed late"].contains(name);
                if shared.order == Order::UpdateFirst && is_open {
                    continue;
                }
                check(&format!("{shared_name}, {name}"), &rules, recording, &engine);
            }
        }
    }
}

#[test]
fn a_hundred_thousand_updates_of_slow_averages_lose_nothing() {
    // An offset of 300 deviations and a shift half way: 32 bits alone would stand still.
    let mut values = normal(100_000, 1, 5);
    values.iter_mut().for_each(|x| *x += 300.0);
    values[50_000..].iter_mut().for_each(|x| *x += 2.0);
    let recording = Recording::of(1, values, std::iter::repeat(1), 25_000);
    let momenta = [0.0, 0.9, 0.999, 0.99999, 0.999_999];
    let rules: Vec<Rule> = momenta.map(|m| Rule::observations(Memory::ema(m))).to_vec();
    for engine in engines() {
        check("slow", &rules, &recording, &engine);
    }
}

#[test]
fn values_beyond_32_bits_are_refused_in_a_sweep() {
    for engine in engines() {
        let mut replays = vec![Replay::new(Rule::observations(Memory::Welford), 1, 2, 1)];
        let block = Block { rows: Rows::F64(&[0.0, 1e200, -1e200, 3.0]), input: None, ends: &[2, 4] };
        let error = Replay::sweep(&mut replays, &engine, &block, Pass::Whole).expect_err("too large");
        assert!(error.to_string().contains("32 bits") && error.hint().contains("--device cpu"));
    }
}

fn compared(device: &str, flags: &[&str]) -> Value {
    let steps = ["normalize", "compare", "fixtures/simulated/steps.parquet", "--format", "json"];
    let output = simic(&[&steps[..], flags, &["--device", device]].concat(), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Numbers of two documents, wherever they stand: lags within an update, all others within a part of their size.
fn check_alike(at: &str, found: &Value, expected: &Value) {
    match (found, expected) {
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len(), "{at}");
            a.iter().zip(b).enumerate().for_each(|(i, (a, b))| check_alike(&format!("{at}/{i}"), a, b));
        }
        (Value::Object(a), Value::Object(b)) => {
            for (key, expected) in b {
                check_alike(&format!("{at}/{key}"), &a[key], expected);
            }
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().expect("a number"), b.as_f64().expect("a number"));
            let bound = if at.contains("lag_") { 1.0 } else { 2e-4 * b.abs().max(0.1) };
            assert!((a - b).abs() <= bound, "{at}: {a} {b}");
        }
        (a, b) => assert_eq!(a, b, "{at}"),
    }
}

#[test]
fn the_program_compares_the_same_on_every_device() {
    let grid = ["--momentum", "0.5..0.9999:40", "--welford"];
    let cases: [&[&str]; 4] = [
        &grid,
        &["--momentum", "0.9,0.99", "--order", "update-first", "--clip", "1.5"],
        &["--momentum", "0.9", "--welford", "--shift-at", "100", "--update-every", "rollout:16"],
        &["--momentum", "0.5,0.9", "--warmup", "debias", "--update-every", "row"],
    ];
    for engine in engines() {
        let device = engine.choice().name();
        for flags in cases {
            let (found, expected) = (compared(device, flags), compared("cpu", flags));
            assert_eq!((&found["device"], &expected["device"]), (&device.into(), &"cpu".into()));
            assert_eq!(found["settings"]["device"], *device);
            assert!(expected["settings"].get("device").is_none(), "the cpu is what everybody has");
            assert!(found["runs"][0]["settings"][0]["lag_updates_mean"].is_array(), "a lag is told");
            check_alike("runs", &found["runs"], &expected["runs"]);
        }
    }
}

#[test]
fn what_no_device_compares_is_refused_with_the_reason() {
    let cases: [(&[&str], &str); 4] = [
        (&["--target", "reward"], "without their mean"),
        (&["--momentum", "0.9", "--variance-floor", "0.1"], "a floor"),
        (&["--preset", "torchrl"], "its bias is corrected"),
        (&["--target", "reward", "--divisors"], "--divisors"),
    ];
    for (flags, reason) in cases {
        let steps = ["normalize", "compare", "fixtures/simulated/steps.parquet", "--device", "flex"];
        let output = simic(&[&steps[..], flags].concat(), &[]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {stderr}");
        assert!(stderr.contains(reason) && stderr.contains("hint: "), "{stderr}");
    }
}
