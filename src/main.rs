//! The command line of kube-devops: parses the arguments, runs the command, and returns its exit status.

use std::process::ExitCode;

use clap::Parser;
use kube_devops::commands::{Cli, ExitStatus};
use kube_devops::output::Text;
use kube_devops::terminal;

/// Static binaries are linked to musl, whose own allocator is slow with several threads.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => run(cli).into(),
        Err(error) => usage(&error).into(),
    }
}

fn run(cli: Cli) -> ExitStatus {
    cli.run().unwrap_or_else(|error| {
        // An error about a closed stderr could be written nowhere.
        let _ = terminal::error(format_args!("{error:#}"));
        ExitStatus::Failed
    })
}

/// Writes what the parser returned in place of a command: an error, a help or the version.
fn usage(error: &clap::Error) -> ExitStatus {
    let text = error.render();
    let write = |out: &mut Text<'_>| {
        let colours = out.has_colours();
        let out = out.exact();
        if colours { write!(out, "{}", text.ansi()) } else { write!(out, "{text}") }
    };
    let _ = if error.use_stderr() { terminal::to_stderr(write) } else { terminal::to_stdout(write) };
    if error.use_stderr() { ExitStatus::Failed } else { ExitStatus::Clean }
}
