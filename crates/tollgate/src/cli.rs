//! What can be typed: `tollgate --help`.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use config::snapshot::LogFormat;

const EXAMPLES: &str = "Examples:
  tollgate serve --demo                     try it: demo users, a mock provider, no configuration
  OPENAI_API_KEY=sk-… tollgate serve        in front of OpenAI
  tollgate serve --config tollgate.yaml     as configured
  tollgate check tollgate.yaml              is the file right?
  tollgate users create --email ada@example.com --name Ada --plan pro
  tollgate keys create --user ada@example.com --label laptop";

const SERVE_EXAMPLES: &str = "Examples:
  tollgate serve --demo
  tollgate serve --config tollgate.yaml --data /var/lib/tollgate
  tollgate serve --listen 0.0.0.0:8080 --addr 127.0.0.1:8787 --log json

A provider's key in the environment (OPENAI_API_KEY, ANTHROPIC_API_KEY) switches that provider on: calls then cost
money. With none, a mock provider answers: model `mock`, and `mock/slow`, `mock/429`, `mock/cut` misbehave.";

const KEYS_EXAMPLES: &str = "Examples:
  tollgate keys create --user ada@example.com --label laptop
  tollgate keys list --user ada@example.com
  tollgate keys revoke --key 0199aa00-0000-7000-8000-000000000000

They work beside a running server, which sees the change within a second.";

const USERS_EXAMPLES: &str = "Examples:
  tollgate users create --email ada@example.com --name Ada --plan pro
  tollgate users suspend --user ada@example.com

They work beside a running server, which sees the change within a second.";

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
    /// Make, suspend and activate users
    #[command(after_help = USERS_EXAMPLES)]
    Users(Users),
    /// Make, list and revoke keys
    #[command(after_help = KEYS_EXAMPLES)]
    Keys(Keys),
    /// Run the mock LLM provider alone
    Mock(Mock),
}

/// Where the configuration and the data are.
#[derive(Debug, Clone, Args)]
pub(crate) struct Place {
    /// The configuration file; without one the defaults hold
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The folder of the store, the spool and the lock [default: ./tollgate-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The proxy's address [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// The control API's address [default: 127.0.0.1:8787]
    #[arg(long, value_name = "ADDR")]
    pub(crate) addr: Option<SocketAddr>,
    /// Answer every LLM call with the mock provider, whatever keys there are
    #[arg(long)]
    pub(crate) mock: bool,
    /// Make three demo users, and show their keys
    #[arg(long)]
    pub(crate) demo: bool,
    /// Worker threads [default: one a core, at most 8]
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<NonZeroUsize>,
    /// How log lines look [default: text on a terminal, JSON elsewhere]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log: Option<LogLines>,
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
}

#[derive(Debug, Args)]
pub(crate) struct Users {
    #[command(subcommand)]
    pub(crate) command: UsersCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// Make a user
    Create {
        /// A unique address
        #[arg(long)]
        email: String,
        /// Shown to people [default: the address]
        #[arg(long)]
        name: Option<String>,
        /// The plan's name
        #[arg(long, default_value = "starter")]
        plan: String,
        #[command(flatten)]
        place: Place,
    },
    /// List every user
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Refuse every key of a user
    Suspend(WhichUser),
    /// Undo `suspend`
    Activate(WhichUser),
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
pub(crate) struct Keys {
    #[command(subcommand)]
    pub(crate) command: KeysCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key; it is shown once, alone on the last line
    Create {
        /// Its owner's address or id
        #[arg(long)]
        user: String,
        /// What its owner calls it
        #[arg(long, default_value = "default")]
        label: String,
        #[command(flatten)]
        place: Place,
    },
    /// List keys, by prefix and last four digits
    List {
        /// Only this user's, by address or id
        #[arg(long)]
        user: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Refuse a key from now on
    Revoke {
        /// Its id, as `keys list` shows it
        #[arg(long)]
        key: String,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Mock {
    /// Its address; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8090")]
    pub(crate) listen: SocketAddr,
}
