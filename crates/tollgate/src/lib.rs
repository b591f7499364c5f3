//! `tollgate`: the commands, and the only place that connects all crates.
//!
//! Read in this order: `cli` (commands and flags), `commands`, then `wire` (how a server is built), with `secrets`,
//! `freed_memory`, `lock`, `slot`, `inherited`, `upgrade`, `systemd`, `demo`, `greeting`, `link`, `terminal` and `signals` beside it.

mod cli;
mod commands;
mod core_dumps;
mod demo;
mod examples;
mod failure;
mod freed_memory;
mod greeting;
mod inherited;
mod link;
mod lock;
mod secrets;
mod signals;
mod slot;
mod store_options;
mod systemd;
mod terminal;
mod upgrade;
mod wire;

use std::process::ExitCode;

use clap::Parser;

/// Runs the binary `tollgate` with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    prepare();
    let Some(command) = cli::Cli::parse().command else {
        freed_memory::bound();
        return end(commands::start::run());
    };
    if matches!(command, cli::Command::Serve(_)) {
        freed_memory::bound();
    }
    let done = match command {
        cli::Command::Serve(args) => commands::serve::run(&args),
        cli::Command::Check(args) => commands::check::run(&args),
        cli::Command::Explain(args) => commands::explain::run(&args),
        cli::Command::Config(args) => commands::settings::run(&args),
        cli::Command::Schema => commands::settings::schema(),
        cli::Command::Plans(args) => commands::plans::run(&args),
        cli::Command::Prices(args) => commands::prices::run(&args),
        cli::Command::Credits(args) => commands::credits::run(&args),
        cli::Command::Budgets(args) => commands::budgets::run(&args),
        cli::Command::Users(args) => commands::users::run(&args),
        cli::Command::SetupLink(args) => commands::setup_link::run(&args),
        cli::Command::Keys(args) => commands::keys::run(&args),
        cli::Command::Usage(args) => commands::usage::run(&args),
        cli::Command::Leases(args) => commands::leases::run(&args),
        cli::Command::Nodes(args) => commands::nodes::run(&args),
        cli::Command::Billing(args) => commands::billing::run(&args),
        cli::Command::Jobs(args) => commands::jobs::run(&args),
        cli::Command::Limits(args) => commands::limits::run(&args),
        cli::Command::Audit(args) => commands::audit::run(&args),
        cli::Command::Migrate(args) => commands::migrate::run(&args),
        cli::Command::Move(args) => commands::copies::move_to(&args),
        cli::Command::Backup(args) => commands::copies::back_up(&args),
        cli::Command::Restore(args) => commands::copies::restore(&args),
        cli::Command::Vault(args) => commands::vault::run(&args),
        cli::Command::Upgrade(args) => commands::upgrade::run(&args),
        cli::Command::Verify(args) => commands::verify::run(&args),
        cli::Command::Mock(args) => commands::mock::run(&args),
        cli::Command::Examples(args) => commands::examples::run(&args),
        cli::Command::Generate(args) => commands::generate::run(&args),
    };
    end(done)
}

/// Runs the binary `api`: `tollgate serve` with the arguments of the process.
#[must_use]
pub fn serve() -> ExitCode {
    prepare();
    let cli::ServeOnly { serve } = cli::ServeOnly::parse();
    freed_memory::bound();
    end(commands::serve::run(&serve))
}

/// Returns the exit code of a command, and reports its error.
fn end(done: anyhow::Result<ExitCode>) -> ExitCode {
    let done = done.and_then(|code| terminal::written().map(|()| code));
    done.unwrap_or_else(|error| failure::report(&error))
}

/// Prepares the process, before it does anything else.
fn prepare() {
    // Before secrets are in memory.
    core_dumps::forbid();
    // rustls selects a provider itself only if the build has exactly one. An error means that it is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    link::remember_program();
}
