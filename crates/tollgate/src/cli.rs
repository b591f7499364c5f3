//! What can be typed: `tollgate --help`.

mod audit;
mod budgets;
mod keys;
mod leases;
mod limits;
mod prices;
mod settings;
mod stores;
mod users;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

pub(crate) use audit::Audit;
pub(crate) use budgets::{BudgetsCommand, BudgetsCommands, SetBudget, Whom};
use clap::{Args, Parser, Subcommand, ValueEnum};
use config::snapshot::LogFormat;
pub(crate) use keys::{CreateKey, Keys, KeysCommand};
pub(crate) use leases::{LeasesCommand, LeasesCommands};
pub(crate) use limits::Limits;
pub(crate) use prices::{PricesCommand, PricesCommands};
pub(crate) use settings::{ConfigCommand, ConfigCommands, Overrides, PlansCommand, PlansCommands};
pub(crate) use stores::{Backup, Migrate, MigrateCommand, Move, Restore, VaultCommand, VaultCommands};
pub(crate) use users::{ChosenBy, CreateUser, SetupLink, UserPassword, UserRole, Users, UsersCommand};

const EXAMPLES: &str = "Examples:
  # Try it: demo users, a mock provider, no configuration
  tollgate serve --demo
  # Serve OpenAI's models
  OPENAI_API_KEY=sk-… tollgate serve
  # Serve as configured
  tollgate serve --config tollgate.yaml
  # Check a configuration, and show every setting in force
  tollgate check tollgate.yaml
  tollgate config show
  # Create a user and a key
  tollgate users create --email ada@example.com --plan pro
  tollgate keys create --user ada@example.com --label laptop

Without a command, tollgate serves if ./tollgate.yaml or a data folder exists, and otherwise explains how to start.";

const SERVE_EXAMPLES: &str = "Examples:
  tollgate serve --demo
  tollgate serve --config tollgate.yaml --data /data
  tollgate serve --listen 0.0.0.0:8080 --log json
  # The proxy alone; another process runs --role control
  DATABASE_URL=postgres://… tollgate serve --role proxy

A provider is enabled by its API key in the environment (OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY). Calls then \
cost money. Without a provider, a mock provider responds: model `mock`, and `mock/slow`, `mock/429` and `mock/cut` \
simulate failures.";

/// One gate between callers and every API they call or sell: keys, limits, quotas, usage, cost.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the proxy and the control API
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(Serve),
    /// Check a configuration file, without running anything
    Check(Check),
    /// Show what is in force, and where each value comes from
    #[command(after_help = settings::CONFIG_EXAMPLES)]
    Config(ConfigCommands),
    /// List plans, and make the store's as they are configured
    #[command(after_help = settings::PLANS_EXAMPLES)]
    Plans(PlansCommands),
    /// List prices of models, and compare a price file with them
    #[command(after_help = prices::PRICES_EXAMPLES)]
    Prices(PricesCommands),
    /// Set and list budgets of keys, users, plans and everybody
    #[command(after_help = budgets::BUDGETS_EXAMPLES)]
    Budgets(BudgetsCommands),
    /// Make, suspend and activate users, set their passwords and roles
    #[command(after_help = users::USERS_EXAMPLES)]
    Users(Users),
    /// Print a one-time link that creates the first admin
    #[command(after_help = users::SETUP_LINK_EXAMPLES)]
    SetupLink(SetupLink),
    /// Make, list, rotate and revoke keys
    #[command(after_help = keys::KEYS_EXAMPLES)]
    Keys(Keys),
    /// Show what servers are lent of quotas and budgets that they share, and take it back from dead ones
    #[command(after_help = leases::LEASES_EXAMPLES)]
    Leases(LeasesCommands),
    /// Show every limit, with how far it may be passed and how much of it may lie idle as things stand
    #[command(after_help = limits::LIMITS_EXAMPLES)]
    Limits(Limits),
    /// Check that everything that is stored adds up, and that a provider counted the same
    #[command(after_help = audit::AUDIT_EXAMPLES)]
    Audit(Audit),
    /// Bring the store's tables up to date, or one step back
    #[command(after_help = stores::MIGRATE_EXAMPLES)]
    Migrate(Migrate),
    /// Copy the SQLite store into an empty PostgreSQL
    #[command(after_help = stores::MOVE_EXAMPLES)]
    Move(Move),
    /// Copy the whole store into one file, beside running servers
    #[command(after_help = stores::BACKUP_EXAMPLES)]
    Backup(Backup),
    /// Make a store of a backup
    #[command(after_help = stores::RESTORE_EXAMPLES)]
    Restore(Restore),
    /// Look after the master key that providers' credentials are encrypted with
    #[command(after_help = stores::VAULT_EXAMPLES)]
    Vault(VaultCommands),
    /// Run the mock LLM provider alone
    #[command(after_help = crate::commands::mock::behaviours())]
    Mock(Mock),
}

/// Where the configuration and the data are.
#[derive(Debug, Clone, Args)]
pub(crate) struct Place {
    /// The configuration file; without one the defaults hold
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A file of NAME=value lines, behind the environment [default: .env, if there is one]
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    /// The folder of the store, the spool and the lock [default: ./tollgate-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) overrides: Overrides,
    /// Make three demo users, and show their keys
    #[arg(long)]
    pub(crate) demo: bool,
    /// Which half of the server to run; one half alone needs PostgreSQL
    #[arg(long, value_enum, default_value_t = Role::All)]
    pub(crate) role: Role,
    /// Start past damage in the spool, and say what is lost
    #[arg(long)]
    pub(crate) skip_corrupt: bool,
    /// Worker threads [default: one a core, at most 8]
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<NonZeroUsize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Proxy and control API in one process
    All,
    /// The proxy; its control listener answers /livez, /readyz and /metrics
    Proxy,
    /// The control API
    Control,
}

impl Role {
    /// Whether requests are proxied.
    pub(crate) const fn proxies(self) -> bool {
        matches!(self, Self::All | Self::Proxy)
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LogLines {
    /// One JSON object a line
    Json,
    /// For people
    Text,
}

impl From<LogLines> for LogFormat {
    fn from(lines: LogLines) -> Self {
        match lines {
            LogLines::Json => Self::Json,
            LogLines::Text => Self::Text,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The file
    pub(crate) file: PathBuf,
    /// A file of NAME=value lines, behind the environment [default: .env, if there is one]
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Mock {
    /// Its address; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8090")]
    pub(crate) listen: SocketAddr,
}

#[cfg(test)]
mod tests;
