//! Arguments of the hidden command `tollgate generate`, which packages use.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::Shell;

#[derive(Debug, Args)]
pub(crate) struct GenerateCommands {
    #[command(subcommand)]
    pub(crate) command: GenerateCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GenerateCommand {
    /// Print the completions of a shell
    Completions {
        /// Shell that reads them
        shell: Shell,
    },
    /// Write a manual page for each command
    Man {
        /// Existing folder of the pages
        folder: PathBuf,
    },
}
