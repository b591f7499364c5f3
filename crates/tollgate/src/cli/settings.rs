//! Arguments of `tollgate config` and `tollgate plans`.

use clap::builder::RangedU64ValueParser;
use clap::{Args, Subcommand, ValueEnum};
use config::Flags;
use config::snapshot::{LogFormat, WORKERS_MAX};
use tls::ListenAddress;

use super::{LogLines, Place};

pub(super) const CONFIG_EXAMPLES: &str = "Examples:
  tollgate config show
  tollgate config show --config tollgate.yaml
  # Only settings from environment variables
  tollgate config show --source environment
  # As JSON, without defaults
  tollgate config show --json |
      jq '.settings[] | select(.from != \"default\") | .key'

Each line has a key, its value and its source: a flag, an environment variable, a line of the .env file or of the \
configuration, or the default. The command accepts the flags of `serve` and shows the settings that `serve` would \
use: those of a stored configuration of the admin API, if one is in force over the file. Secrets are shown as ***.";

pub(super) const SCHEMA_EXAMPLES: &str = "Examples:
  tollgate schema > tollgate.schema.json
  # The default of a key
  tollgate schema | jq '.properties.data.default'

The schema is written in JSON Schema, draft 2020-12. An editor with the YAML language server checks and completes a \
file whose first line is:

  # yaml-language-server: $schema=tollgate.schema.json

`tollgate check` also finds errors that no schema can express, such as names that refer to nothing.";

pub(super) const PLANS_EXAMPLES: &str = "Examples:
  tollgate plans list
  # Show what would change
  tollgate plans apply --config tollgate.yaml --dry-run
  tollgate plans apply --config tollgate.yaml

`serve` adds missing plans to the store, and does not change existing ones. `apply` also changes existing plans to \
match the configuration. Neither removes plans. Running servers apply the change within a second.";

/// Flags that override the configuration.
#[derive(Debug, Clone, Args)]
pub(crate) struct Overrides {
    /// Address of the proxy [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub(crate) listen: Option<ListenAddress>,
    /// Address of the admin API [default: 127.0.0.1:8787]
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub(crate) addr: Option<ListenAddress>,
    /// Send every LLM request to the mock provider, even if provider keys are set
    #[arg(long)]
    pub(crate) mock: bool,
    /// Format of log lines [default: text on a terminal, otherwise JSON]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log: Option<LogLines>,
    /// Number of proxy threads [default: one per core, at most 8]
    #[arg(long, value_name = "N", value_parser = workers())]
    pub(crate) workers: Option<u32>,
}

fn address(text: &str) -> Result<ListenAddress, &'static str> {
    text.parse().map_err(|_| "expected ADDRESS:PORT or unix:/PATH, such as 127.0.0.1:8080")
}

impl Overrides {
    /// Converts the flags for the configuration.
    pub(crate) fn flags(&self) -> Flags {
        let Self { listen, addr, mock, log, workers } = self.clone();
        Flags { listen, addr, mock, log: log.map(LogFormat::from), workers, ..Flags::default() }
    }
}

/// Returns the parser of `--workers`.
fn workers() -> RangedU64ValueParser<u32> {
    RangedU64ValueParser::new().range(1..=u64::from(WORKERS_MAX))
}

#[derive(Debug, Args)]
pub(crate) struct ConfigCommands {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every effective setting with its source
    Show {
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
        /// Print only settings from this source; can be repeated
        #[arg(long, value_name = "SOURCE")]
        source: Vec<SettingSource>,
        #[command(flatten)]
        overrides: Overrides,
        #[command(flatten)]
        place: Place,
    },
}

/// The source of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SettingSource {
    /// Flags of the command
    Flag,
    /// Variables of the environment
    Environment,
    /// Lines of the .env file
    EnvFile,
    /// Lines of the configuration file
    File,
    /// Defaults that are built in
    Default,
}

impl SettingSource {
    /// Returns the name that settings use for this kind of source.
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
    /// List the plans in the store
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Change the plans in the store to match the configuration
    Apply {
        /// Print the changes without applying them
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        place: Place,
    },
}
