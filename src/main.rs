//! The command line of kube-devops: parse, run, and end with the status that the run earned.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use kube_devops::commands::{Cli, ExitStatus};

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(status) => status.into(),
        Err(error) => {
            // Nothing is left to tell when stderr is gone too.
            let _ = writeln!(anstream::stderr(), "error: {error:#}");
            ExitStatus::Failed.into()
        }
    }
}
