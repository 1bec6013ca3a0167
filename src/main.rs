//! The `simic` program.

fn main() -> std::process::ExitCode {
    simic::cli::main()
}
