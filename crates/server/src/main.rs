use std::process::ExitCode;

fn main() -> ExitCode {
    mingying::cli::run()
}
