//! `tollgate`: commands, and the one place that wires the rest together.
//!
//! Read in this order: `cli` (what can be typed), `commands`, then `wire` (how a server is built), with `lock`, `demo`,
//! `greeting` and `signals` beside it.

mod cli;
mod commands;
mod demo;
mod failure;
mod greeting;
mod lock;
mod signals;
mod wire;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // Two TLS providers in one build would make rustls ask; there is one, and it is named all the same. The error says
    // that it was named already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let done = match cli::Cli::parse().command {
        cli::Command::Serve(args) => commands::serve::run(&args),
        cli::Command::Check(args) => commands::check::run(&args),
        cli::Command::Users(args) => commands::users::run(&args),
        cli::Command::Keys(args) => commands::keys::run(&args),
        cli::Command::Mock(args) => commands::mock::run(&args),
    };
    done.unwrap_or_else(|error| failure::report(&error))
}
