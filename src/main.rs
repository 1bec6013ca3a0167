//! The `simic` program.

/// Decoding allocates and frees large buffers all the time; the system allocator hands each back to the kernel and
/// faults it in again, which is half the time of a short run.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    simic::cli::main()
}
