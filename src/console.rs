//! The only place that prints: results to stdout, everything else to stderr.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::printable::{printable, printable_lines};
use crate::progress::{Progress, ProgressSink};
use crate::records::AtomicFile;

/// When something optional is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl When {
    fn decide(self, automatic: bool) -> bool {
        match self {
            Self::Auto => automatic,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// How the program talks.
#[derive(Debug)]
pub struct Console {
    color: bool,
    /// Colours of results: asked for, or decided by where they go.
    paint: When,
    progress: bool,
    quiet: bool,
    verbose: bool,
}

impl Console {
    /// A console for stdout and stderr as they are.
    pub fn new(color: When, progress: When, quiet: bool, verbose: bool) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let on_terminal = io::stderr().is_terminal();
        Self {
            color: color.decide(on_terminal && !no_color),
            paint: if color == When::Auto && no_color { When::Never } else { color },
            progress: progress.decide(on_terminal) && !quiet,
            quiet,
            verbose,
        }
    }

    /// Prints an error and what to do about it.
    pub fn error(&self, message: &str, hint: Option<&str>) {
        self.line("error", "\x1b[1;31m", message);
        if let Some(hint) = hint {
            self.line("hint", "\x1b[1;36m", hint);
        }
    }

    /// Prints something that may change how a result is read.
    pub fn warn(&self, message: &str) {
        if !self.quiet {
            self.line("warning", "\x1b[1;33m", message);
        }
    }

    /// Prints a remark.
    pub fn note(&self, message: &str) {
        if !self.quiet {
            self.line("note", "\x1b[1m", message);
        }
    }

    /// Prints a detail that only `-v` shows.
    pub fn detail(&self, message: &str) {
        if self.verbose && !self.quiet {
            self.line("detail", "\x1b[2m", message);
        }
    }

    fn line(&self, label: &str, style: &str, message: &str) {
        let (on, off) = if self.color { (style, "\x1b[0m") } else { ("", "") };
        // A message quotes recordings, paths and settings: none of them may speak to the terminal.
        let message = printable(message);
        // With stderr gone there is nobody to tell.
        let _ = writeln!(io::stderr().lock(), "{on}{label}:{off} {message}");
    }

    /// Prints what the parser of arguments has to say, of several lines and quoting what was typed: as it is where it
    /// is harmless, else plain and escaped.
    pub fn usage(plain: &str, print_styled: impl FnOnce()) {
        match printable_lines(plain) {
            std::borrow::Cow::Borrowed(_) => print_styled(),
            std::borrow::Cow::Owned(escaped) => {
                let _ = writeln!(io::stderr().lock(), "{}", escaped.trim_end());
            }
        }
    }

    /// Whether what goes to `path` (stdout if `None`) is seen on a terminal.
    pub fn is_terminal(path: Option<&Path>) -> bool {
        match path.filter(|path| !is_stdout(path)) {
            None => io::stdout().is_terminal(),
            // A pipe is not opened to find out: that would wait for its reader.
            Some(path) => is_device(path) && std::fs::File::open(path).is_ok_and(|file| file.is_terminal()),
        }
    }

    /// Whether a result that goes to `path` (stdout if `None`) is coloured.
    pub fn paints(&self, path: Option<&Path>) -> bool {
        self.paint.decide(Self::is_terminal(path))
    }

    /// A progress handle: a bar on stderr, or nobody.
    pub fn progress(&self) -> Progress {
        if !self.progress {
            return Progress::none();
        }
        Progress::new(Box::new(Bar::new()))
    }

    /// Writes a result to stdout, or whole to `path`.
    ///
    /// A closed pipe is no error: the reader has seen enough.
    ///
    /// # Errors
    /// If the destination exists and `force` is not set, or writing fails.
    pub fn output(
        &self,
        path: Option<&Path>,
        force: bool,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        // A dash is stdout, whatever that leads to; a pipe or device is written to, not replaced.
        let path = path.filter(|path| !is_stdout(path));
        if let Some(path) = path.filter(|path| std::fs::metadata(path).is_ok_and(|found| !found.is_file())) {
            let mut target = io::BufWriter::new(std::fs::OpenOptions::new().write(true).open(path)?);
            return write(&mut target).and_then(|()| target.flush());
        }
        let Some(path) = path else {
            let mut stdout = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
            return match write(&mut stdout).and_then(|()| stdout.flush()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    // What the buffer still holds must not be tried again on drop.
                    let _ = stdout.into_parts();
                    Ok(())
                }
                outcome => outcome,
            };
        };
        let mut file = AtomicFile::create(path, force)?;
        {
            let mut buffered = io::BufWriter::with_capacity(1 << 16, &mut file);
            write(&mut buffered)?;
            buffered.flush()?;
        }
        file.commit()
    }
}

/// Names of stdout.
fn is_stdout(path: &Path) -> bool {
    path == Path::new("-") || path == Path::new("/dev/stdout")
}

#[cfg(unix)]
fn is_device(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::metadata(path).is_ok_and(|found| found.file_type().is_char_device())
}

#[cfg(not(unix))]
fn is_device(_: &Path) -> bool {
    false
}

/// How long work goes on before its progress is shown.
const SHOWN_AFTER: Duration = Duration::from_millis(500);

/// A bar that appears once work has taken a while, and leaves a clear line.
struct Bar {
    bar: ProgressBar,
    /// Whether the work is over; who holds it decides what is drawn.
    is_over: Arc<Mutex<bool>>,
}

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::hidden();
        let is_over = Arc::new(Mutex::new(false));
        let (shown, is_over_there) = (bar.clone(), Arc::clone(&is_over));
        std::thread::spawn(move || {
            std::thread::sleep(SHOWN_AFTER);
            let is_over = is_over_there.lock().unwrap_or_else(PoisonError::into_inner);
            if !*is_over {
                shown.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
                shown.enable_steady_tick(Duration::from_millis(200));
            }
        });
        Self { bar, is_over }
    }
}

impl ProgressSink for Bar {
    fn begin(&self, phase: &str, total: u64) {
        // Work of unknown size has no share that is done.
        let template = if total == 0 {
            "{msg:>10} {spinner}"
        } else {
            "{msg:>10} {bar:32} {percent:>3}% {pos}/{len} {eta}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.reset();
        self.bar.set_length(total);
        self.bar.set_message(phase.to_owned());
    }

    fn advance(&self, n: u64) {
        self.bar.inc(n);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        *self.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.bar.finish_and_clear();
    }
}
