//! Signals that end the program: what it has not finished is removed first.

use crate::records::remove_unfinished_outputs;

/// Ends the program at an interrupt, a request to end or a hang-up, with 128 + the signal as exit code, as shells
/// report it: 130, 143, 129. Signals that whoever started the program ignores (`nohup`, a job in the background)
/// stay ignored. Without a handler the signal still ends the program, but may leave a temporary file.
#[cfg(unix)]
pub(crate) fn clean_up_on_signals() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
    use std::sync::Arc;

    let ignored = ignored_signals();
    let heeded = [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0);
    // Past a limit of file sizes a write fails as on a full disk, once its signal no longer ends the program.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
    let Ok(mut signals) = signal_hook::iterator::Signals::new(heeded) else { return };
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            end(128 + signal);
        }
    });
}

/// Ends the program at an interrupt with exit code 130.
#[cfg(not(unix))]
pub(crate) fn clean_up_on_signals() {
    let _ = ctrlc::set_handler(|| end(130));
}

/// Ends the program with exit code 143 when its standard input ends, as if it had been asked to: whoever holds the other end
/// is gone.
pub(crate) fn end_when_stdin_ends() {
    std::thread::spawn(|| {
        // What is written to it says nothing; an error is an end as well.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        end(143);
    });
}

#[expect(clippy::exit, reason = "a signal handler has no caller to return to")]
fn end(code: i32) {
    remove_unfinished_outputs();
    std::process::exit(code);
}

/// Bit `s - 1` is set for a signal `s` that is ignored, where the system tells (Linux).
#[cfg(unix)]
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
