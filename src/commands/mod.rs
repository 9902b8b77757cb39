//! The commands: arguments in, output and an exit status out.

pub mod args;
