//! The commands and flags of `tollgate`.

mod audit;
mod billing;
mod budgets;
mod check;
mod credits;
mod examples;
mod explain;
mod generate;
mod jobs;
mod keys;
mod leases;
mod limits;
mod nodes;
mod prices;
mod settings;
mod stores;
mod upgrade;
mod usage;
mod users;

use std::net::SocketAddr;
use std::path::PathBuf;

pub(crate) use audit::Audit;
pub(crate) use billing::{BillingCommand, BillingCommands};
pub(crate) use budgets::{BudgetsCommand, BudgetsCommands, ScopeFlags, SetBudget};
pub(crate) use check::{Check, CheckFormat};
use clap::{Args, Parser, Subcommand, ValueEnum};
use config::snapshot::LogFormat;
pub(crate) use credits::{CreditsCommand, CreditsCommands, PriceCredits};
pub(crate) use examples::Examples;
pub(crate) use explain::Explain;
pub(crate) use generate::{GenerateCommand, GenerateCommands};
pub(crate) use jobs::{JobsCommand, JobsCommands};
pub(crate) use keys::{CreateKey, Keys, KeysCommand};
pub(crate) use leases::{LeasesCommand, LeasesCommands};
pub(crate) use limits::Limits;
pub(crate) use nodes::{NodesCommand, NodesCommands};
pub(crate) use prices::{PricesCommand, PricesCommands};
pub(crate) use settings::{ConfigCommand, ConfigCommands, Overrides, PlansCommand, PlansCommands};
pub(crate) use stores::{Backup, Migrate, MigrateCommand, Move, Restore, VaultCommand, VaultCommands};
pub(crate) use upgrade::Upgrade;
pub(crate) use usage::Usage;
pub(crate) use users::{
    CreateUser, PasswordFlags, SetupLink, UserGrants, UserPassword, UserPlan, UserRole, Users, UsersCommand,
};

const EXAMPLES: &str = "Examples:
  # Try it with demo users and a mock provider
  tollgate serve --demo
  # Serve OpenAI's models
  OPENAI_API_KEY=sk-… tollgate serve
  # Serve with a configuration file
  tollgate serve --config tollgate.yaml
  # Check a configuration, and show all effective settings
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
  # Only the proxy; control runs in another process
  DATABASE_URL=postgres://… tollgate serve --role proxy

A provider is enabled by its API key in the environment (OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY). Requests \
then cost money. Without a provider, a mock provider responds: the model `mock`, and `mock/slow`, `mock/429` and \
`mock/cut`, which simulate failures.";

const VERIFY_EXAMPLES: &str = "Examples:
  tollgate verify tollgate-2026-11-21.zip
  tollgate verify tollgate-2026-11-21.zip --key $KEY

The exit status is 0 if the export is unchanged, 1 if a byte was changed or another key signed it, and 2 if the file is not \
an export or cannot be read. Without --key, anybody could have signed it: compare the fingerprint.";

/// An API and LLM gateway: keys, rate limits, quotas, budgets, usage and cost
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// The arguments of the binary `api`.
#[derive(Debug, Parser)]
#[command(name = "api", version, about = "Run the proxy and the admin API", max_term_width = 100)]
pub(crate) struct ServeOnly {
    #[command(flatten)]
    pub(crate) serve: Serve,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the proxy and the admin API
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(Serve),
    /// Check a configuration file, and run its `tests`
    #[command(after_help = check::CHECK_EXAMPLES)]
    Check(Check),
    /// Show what happens to a request: its route, authentication, limits and upstream
    #[command(after_help = explain::EXPLAIN_EXAMPLES)]
    Explain(Explain),
    /// Show the effective configuration, and the source of each value
    #[command(after_help = settings::CONFIG_EXAMPLES)]
    Config(ConfigCommands),
    /// Print the JSON Schema of the configuration, for editors
    #[command(after_help = settings::SCHEMA_EXAMPLES)]
    Schema,
    /// List plans, and apply configured plans to the store
    #[command(after_help = settings::PLANS_EXAMPLES)]
    Plans(PlansCommands),
    /// List the prices of models, compare a price file with them, and find models without a price
    #[command(after_help = prices::PRICES_EXAMPLES)]
    Prices(PricesCommands),
    /// Print what a call costs in credits
    #[command(after_help = credits::CREDITS_EXAMPLES)]
    Credits(CreditsCommands),
    /// Set and list budgets of keys, users, plans and all users together
    #[command(after_help = budgets::BUDGETS_EXAMPLES)]
    Budgets(BudgetsCommands),
    /// Close and list billing periods, and try the price of a plan
    #[command(after_help = billing::BILLING_EXAMPLES)]
    Billing(BillingCommands),
    /// Create, suspend and activate users; set their passwords and roles
    #[command(after_help = users::USERS_EXAMPLES)]
    Users(Users),
    /// Print a one-time link with which the first admin is created
    #[command(after_help = users::SETUP_LINK_EXAMPLES)]
    SetupLink(SetupLink),
    /// Create, list, rotate and revoke keys
    #[command(after_help = keys::KEYS_EXAMPLES)]
    Keys(Keys),
    /// Print a user's usage of a month, by day and model
    #[command(after_help = usage::USAGE_EXAMPLES)]
    Usage(Usage),
    /// List the parts of quotas and budgets leased to servers, and take them back from dead servers
    #[command(after_help = leases::LEASES_EXAMPLES)]
    Leases(LeasesCommands),
    /// Forget a server whose data folder is lost, so that invoices and reviews no longer wait for it
    #[command(after_help = nodes::NODES_EXAMPLES)]
    Nodes(NodesCommands),
    /// List background jobs: their owners, periods and last runs
    #[command(after_help = jobs::JOBS_EXAMPLES)]
    Jobs(JobsCommands),
    /// List limits of requests and daily quotas with their maximum overshoot, and the clients near them
    #[command(after_help = limits::LIMITS_EXAMPLES)]
    Limits(Limits),
    /// Replace the running server by another binary without a failed request
    #[command(after_help = upgrade::UPGRADE_EXAMPLES)]
    Upgrade(Upgrade),
    /// Check that usage, totals, budgets and leases are consistent, or compare usage with a provider's report
    #[command(after_help = audit::AUDIT_EXAMPLES)]
    Audit(Audit),
    /// Update the tables of the store, or undo the newest update
    #[command(after_help = stores::MIGRATE_EXAMPLES)]
    Migrate(Migrate),
    /// Copy the SQLite store into an empty PostgreSQL database
    #[command(after_help = stores::MOVE_EXAMPLES)]
    Move(Move),
    /// Copy the store into one file while servers run
    #[command(after_help = stores::BACKUP_EXAMPLES)]
    Backup(Backup),
    /// Restore the store from a backup
    #[command(after_help = stores::RESTORE_EXAMPLES)]
    Restore(Restore),
    /// Manage the master key that encrypts provider credentials
    #[command(after_help = stores::VAULT_EXAMPLES)]
    Vault(VaultCommands),
    /// Verify an export without a server: its signature, and each file
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(Verify),
    /// Run the mock LLM provider on its own
    #[command(after_help = behaviours())]
    Mock(Mock),
    /// List the examples in this binary, or write one to a folder
    #[command(after_help = examples::EXAMPLES_EXAMPLES)]
    Examples(Examples),
    /// Generate completions of shells and manual pages, for packages
    #[command(hide = true)]
    Generate(GenerateCommands),
}

/// The model names in the help text, each before its description.
fn behaviours() -> String {
    let lines: String = mock::BEHAVIOURS.iter().map(|(name, does)| format!("  {name}\n      {does}\n")).collect();
    format!("Model names and their behaviour (N is a number):\n{lines}\nGET /mock/seen lists the received requests.")
}

/// The paths of the configuration and the data.
#[derive(Debug, Clone, Args)]
pub(crate) struct Place {
    /// Configuration file [default: that of TOLLGATE_CONFIG, else ./tollgate.yaml, which --data hides]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// File of NAME=value lines; the environment takes precedence [default: .env, if it exists]
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    /// Folder of the store, the spool and the lock [default: ./tollgate-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) overrides: Overrides,
    /// Create three demo users and show their keys
    #[arg(long)]
    pub(crate) demo: bool,
    /// Folder of example files with which the insights endpoints respond; without --data, the store is temporary
    #[arg(long, value_name = "DIR")]
    pub(crate) examples: Option<PathBuf>,
    /// Part of the server to run; `proxy` or `control` alone requires PostgreSQL
    #[arg(long, value_enum, default_value_t = Role::All)]
    pub(crate) role: Role,
    /// Start although the spool (usage not yet stored) is damaged; damaged records are lost and logged
    #[arg(long)]
    pub(crate) skip_corrupt: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// The proxy and the admin API
    All,
    /// The proxy; its control listener serves only /livez, /readyz and /metrics
    Proxy,
    /// The admin API without the proxy
    Control,
}

impl Role {
    /// Whether the process runs the proxy.
    pub(crate) const fn proxies(self) -> bool {
        matches!(self, Self::All | Self::Proxy)
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LogLines {
    /// One JSON object per line
    Json,
    /// Text lines for people
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
pub(crate) struct Verify {
    /// Export or receipt that is verified
    pub(crate) file: PathBuf,
    /// Public key that must have signed the export: 64 hex digits
    #[arg(long, value_name = "HEX")]
    pub(crate) key: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Mock {
    /// Address to listen on; port 0 selects a free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8090")]
    pub(crate) listen: SocketAddr,
    /// Run the stub of Midtrans instead: it takes payments, sends notifications, and plays the customer below /_stub/
    #[arg(long)]
    pub(crate) midtrans: bool,
    /// Server key that requests to the stub of Midtrans must have
    #[arg(long, value_name = "KEY", default_value = "SB-Mid-server-stub", requires = "midtrans")]
    pub(crate) server_key: String,
    /// URL to which the stub of Midtrans sends notifications
    #[arg(long, value_name = "URL", requires = "midtrans")]
    pub(crate) notify: Option<String>,
}

#[cfg(test)]
mod tests;
