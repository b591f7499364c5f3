//! Arguments of `tollgate check`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

pub(super) const CHECK_EXAMPLES: &str = "Examples:
  tollgate check tollgate.yaml
  # From another program
  helm template chart | yq '.data.config' |
      tollgate check -
  # Annotations of a pull request on GitHub
  tollgate check --format github deploy/tollgate.yaml

The command also reports calls that servers would refuse, such as those of models without a price under a budget of \
money; with `production: true`, these notes are errors. The exit status is 2 if the configuration is invalid, a test fails, \
or such an error is found.";

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Configuration file to check; `-` is stdin [default: that of TOLLGATE_CONFIG, else ./tollgate.yaml]
    pub(crate) file: Option<PathBuf>,
    /// Format of the result
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = CheckFormat::Text)]
    pub(crate) format: CheckFormat,
    /// File of NAME=value lines; the environment takes precedence [default: .env, if it exists]
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// A line of text for each finding
    Text,
    /// One JSON object with all findings
    Json,
    /// Workflow commands of GitHub, which annotate the lines of the file
    Github,
}
