//! `tollgate config` and `tollgate plans`.

use std::net::SocketAddr;

use clap::{Args, Subcommand, ValueEnum};
use config::load::Flags;
use config::snapshot::LogFormat;

use super::{LogLines, Place};

pub(super) const CONFIG_EXAMPLES: &str = "Examples:
  tollgate config show
  tollgate config show --config tollgate.yaml
  # Only what variables set
  tollgate config show --source environment
  # As JSON, without defaults
  tollgate config show --json |
      jq '.settings[] | select(.from != \"default\") | .key'

Each line has a key, its value and its source: a flag, a variable, a line of a .env or of the file, or the default. The \
command accepts the flags of `serve` and shows the settings with which `serve` would run. Secrets are shown as ***.";

pub(super) const PLANS_EXAMPLES: &str = "Examples:
  tollgate plans list
  # Show what would change
  tollgate plans apply --config tollgate.yaml --dry-run
  tollgate plans apply --config tollgate.yaml

A start adds plans that the store does not have, and leaves the others. `apply` also changes plans of the store to match the \
configuration. It removes none. Running servers apply the change within a second.";

/// What the command line sets over all else.
#[derive(Debug, Clone, Args)]
pub(crate) struct Overrides {
    /// The proxy's address [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// The control API's address [default: 127.0.0.1:8787]
    #[arg(long, value_name = "ADDR")]
    pub(crate) addr: Option<SocketAddr>,
    /// Answer every LLM call with the mock provider, whatever keys there are
    #[arg(long)]
    pub(crate) mock: bool,
    /// How log lines look [default: text on a terminal, JSON elsewhere]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log: Option<LogLines>,
}

impl Overrides {
    /// As the configuration takes them.
    pub(crate) fn flags(&self) -> Flags {
        let Self { listen, addr, mock, log } = *self;
        Flags { listen, addr, mock, log: log.map(LogFormat::from), ..Flags::default() }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ConfigCommands {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every setting in force, and where it comes from
    Show {
        /// As JSON
        #[arg(long)]
        json: bool,
        /// Only what comes from there; may be given several times
        #[arg(long, value_name = "SOURCE")]
        source: Vec<Source>,
        #[command(flatten)]
        overrides: Overrides,
        #[command(flatten)]
        place: Place,
    },
}

/// Where a setting may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Source {
    /// The command line
    Flag,
    /// A variable of the process
    Environment,
    /// A line of a .env
    EnvFile,
    /// The configuration file
    File,
    /// Nobody set it
    Default,
}

impl Source {
    /// As a setting names its kind of source.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::EnvFile => "env_file",
            Self::File => "file",
            Self::Default => "default",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct PlansCommands {
    #[command(subcommand)]
    pub(crate) command: PlansCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PlansCommand {
    /// List the store's plans
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Make the store's plans as they are configured
    Apply {
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        place: Place,
    },
}
