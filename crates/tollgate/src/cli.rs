//! What can be typed: `tollgate --help`.

mod audit;
mod budgets;
mod keys;
mod leases;
mod limits;
mod prices;
mod settings;

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

const EXAMPLES: &str = "Examples:
  tollgate serve --demo                     try it: demo users, a mock provider, no configuration
  OPENAI_API_KEY=sk-… tollgate serve        in front of OpenAI
  tollgate serve --config tollgate.yaml     as configured
  tollgate check tollgate.yaml              is the file right?
  tollgate config show                      what is in force, and where it comes from
  tollgate users create --email ada@example.com --name Ada --plan pro
  tollgate keys create --user ada@example.com --label laptop";

const SERVE_EXAMPLES: &str = "Examples:
  tollgate serve --demo
  tollgate serve --config tollgate.yaml --data /var/lib/tollgate
  tollgate serve --listen 0.0.0.0:8080 --addr 127.0.0.1:8787 --log json
  DATABASE_URL=postgres://… tollgate serve --role proxy     beside another process with --role control

A provider's key in the environment (OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY) switches that provider on: calls
then cost money. With none, a mock provider answers: model `mock`, and `mock/slow`, `mock/429`, `mock/cut` misbehave.";

const USERS_EXAMPLES: &str = "Examples:
  tollgate users create --email ada@example.com --name Ada --plan pro
  tollgate users create --email root@example.com --admin
  tollgate users password --user ada@example.com --link
  tollgate users role --user ada@example.com admin
  tollgate users suspend --user ada@example.com

They work beside a running server, which sees the change within a second.";

const USERS_CREATE_EXAMPLES: &str = "Examples:
  tollgate users create --email ada@example.com --name Ada --plan pro
  tollgate users create --email ada@example.com --link
  tollgate users create --email root@example.com --admin
  tollgate users create --email root@example.com --admin --password-stdin < password.txt

A member signs in by key until a password is set or chosen with the link. An admin acts by password alone: it is asked for on
a terminal, and where none is typed, the link is printed. It opens the control API (public_url.control, or control.listen).";

const USERS_PASSWORD_EXAMPLES: &str = "Examples:
  tollgate users password --user ada@example.com              asks on a terminal
  tollgate users password --user ada@example.com --link       for who forgot it
  tollgate users password --user ada@example.com --password-stdin < password.txt

A new password ends every session of the user.";

const USERS_ROLE_EXAMPLES: &str = "Examples:
  tollgate users role --user ada@example.com admin
  tollgate users role --user ada@example.com member

An admin changes users, plans and shared credentials over the API, signed in by password. The last one stays.";

const VAULT_EXAMPLES: &str = "Examples:
  tollgate vault status                     which master keys there are, and what is sealed with each
  MASTER_ENCRYPTION_KEY=… MASTER_ENCRYPTION_KEY_PREVIOUS=… tollgate vault rotate

`rotate` seals every credential anew while servers serve, once each of them has both keys. It may be stopped at any point
and started again; it says when the previous key may go.";

const MIGRATE_EXAMPLES: &str = "Examples:
  tollgate migrate status                              of SQLite in ./tollgate-data
  DATABASE_URL=postgres://… tollgate migrate up        before servers start with store.migrate: false
  tollgate migrate down                                one step; with it goes what only its tables could hold

`serve` does `up` by itself unless store.migrate is false. `down` is refused while a server runs on the store.";

const MOVE_EXAMPLES: &str = "Examples:
  tollgate move --to postgres://tollgate:secret@db.internal/tollgate
  tollgate move --data /var/lib/tollgate --to \"$DATABASE_URL\"

Every row is read back and compared before anything is kept. The server of the data folder must have ended; start it
with DATABASE_URL afterwards.";

const BACKUP_EXAMPLES: &str = "Examples:
  tollgate backup /var/backups/tollgate-2026-11-20.db
  DATABASE_URL=postgres://… tollgate backup tollgate.db     PostgreSQL's rows, in the same kind of file

The file is a SQLite database of the store as it stood at one moment.";

const RESTORE_EXAMPLES: &str = "Examples:
  tollgate restore tollgate-2026-11-20.db --data ./tollgate-data
  tollgate restore tollgate-2026-11-20.db --replace         sets the store aside that is there, and compares the two
  DATABASE_URL=postgres://… tollgate restore tollgate.db    into an empty PostgreSQL

A backup brings back what was true then: revoked keys open again, spent credits can be spent again. It says which.";

/// One gate between callers and every API they call or sell: keys, limits, quotas, usage, cost.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
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
    #[command(after_help = USERS_EXAMPLES)]
    Users(Users),
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
    #[command(after_help = MIGRATE_EXAMPLES)]
    Migrate(Migrate),
    /// Copy the SQLite store into an empty PostgreSQL
    #[command(after_help = MOVE_EXAMPLES)]
    Move(Move),
    /// Copy the whole store into one file, beside running servers
    #[command(after_help = BACKUP_EXAMPLES)]
    Backup(Backup),
    /// Make a store of a backup
    #[command(after_help = RESTORE_EXAMPLES)]
    Restore(Restore),
    /// Look after the master key that providers' credentials are encrypted with
    #[command(after_help = VAULT_EXAMPLES)]
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
pub(crate) struct Users {
    #[command(subcommand)]
    pub(crate) command: UsersCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// Make a user
    #[command(after_help = USERS_CREATE_EXAMPLES)]
    Create(CreateUser),
    /// List every user
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Set a user's password, or print a one-time link to choose one
    #[command(after_help = USERS_PASSWORD_EXAMPLES)]
    Password(UserPassword),
    /// Make a user an admin or a member
    #[command(after_help = USERS_ROLE_EXAMPLES)]
    Role(UserRole),
    /// Refuse every key of a user, and end its sessions
    Suspend(WhichUser),
    /// Undo `suspend`; ended sessions stay so
    Activate(WhichUser),
}

#[derive(Debug, Args)]
pub(crate) struct CreateUser {
    /// A unique address
    #[arg(long)]
    pub(crate) email: String,
    /// Shown to people [default: the address]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The plan's name
    #[arg(long, default_value = "starter")]
    pub(crate) plan: String,
    /// One who may change users, plans and shared credentials
    #[arg(long)]
    pub(crate) admin: bool,
    #[command(flatten)]
    pub(crate) by: ChosenBy,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct UserPassword {
    #[command(flatten)]
    pub(crate) by: ChosenBy,
    #[command(flatten)]
    pub(crate) which: WhichUser,
}

/// Where a password comes from; without either, it is asked for on a terminal.
#[derive(Debug, Args)]
pub(crate) struct ChosenBy {
    /// Read the password from stdin: one line of 12 to 128 characters
    #[arg(long, conflicts_with = "link")]
    pub(crate) password_stdin: bool,
    /// Print a link with which the password is chosen, once, within 24 hours
    #[arg(long)]
    pub(crate) link: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UserRole {
    /// What the user shall be
    #[arg(value_enum)]
    pub(crate) role: NewRole,
    #[command(flatten)]
    pub(crate) which: WhichUser,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum NewRole {
    /// May change users, plans and shared credentials
    Admin,
    /// Uses what is its own
    Member,
}

impl From<NewRole> for access::Role {
    fn from(role: NewRole) -> Self {
        match role {
            NewRole::Admin => Self::Admin,
            NewRole::Member => Self::Member,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct WhichUser {
    /// Its address or id
    #[arg(long)]
    pub(crate) user: String,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct VaultCommands {
    #[command(subcommand)]
    pub(crate) command: VaultCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum VaultCommand {
    /// List master keys by fingerprint
    Status {
        #[command(flatten)]
        place: Place,
    },
    /// Seal everything with MASTER_ENCRYPTION_KEY that MASTER_ENCRYPTION_KEY_PREVIOUS has sealed
    Rotate {
        #[command(flatten)]
        place: Place,
    },
    /// Give up what was sealed with a master key that is lost; no server may run
    Reset {
        /// Delete it: without this, it is only counted
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    #[command(subcommand)]
    pub(crate) command: MigrateCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MigrateCommand {
    /// Apply every migration that is missing
    Up {
        #[command(flatten)]
        place: Place,
    },
    /// Undo the newest one
    Down {
        #[command(flatten)]
        place: Place,
    },
    /// List them
    Status {
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Move {
    /// The empty database: postgres://USER:PASSWORD@HOST:PORT/DATABASE
    #[arg(long, value_name = "URL")]
    pub(crate) to: String,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// A file that is not there yet
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// A file that `tollgate backup` made
    pub(crate) file: PathBuf,
    /// Set aside the SQLite store that is in the data folder
    #[arg(long)]
    pub(crate) replace: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct Mock {
    /// Its address; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8090")]
    pub(crate) listen: SocketAddr,
}
