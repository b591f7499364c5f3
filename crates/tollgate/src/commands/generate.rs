//! `tollgate generate`: completions of shells and manual pages, from the declarations of the commands.

use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;

use crate::cli::{Cli, GenerateCommand, GenerateCommands};
use crate::terminal::say;

/// Writes completions to stdout, or manual pages to a folder.
pub(crate) fn run(args: &GenerateCommands) -> anyhow::Result<ExitCode> {
    match &args.command {
        GenerateCommand::Completions { shell } => {
            // clap_complete panics if its writer fails, so the text is written afterwards.
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut visible(), "tollgate", &mut text);
            say(&String::from_utf8(text)?);
        }
        GenerateCommand::Man { folder } => {
            clap_mangen::generate_to(visible(), folder)
                .with_context(|| format!("cannot write manual pages into {}", folder.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The commands without the hidden ones, which completions would offer.
fn visible() -> clap::Command {
    let all = Cli::command();
    let shown = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    clap::Command::new("tollgate")
        .version(env!("CARGO_PKG_VERSION"))
        .about(all.get_about().cloned().unwrap_or_default())
        .after_help(all.get_after_help().cloned().unwrap_or_default())
        .args(all.get_arguments().cloned())
        .subcommands(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completions_and_pages_have_each_visible_command_and_no_hidden_one() {
        let mut bash = Vec::new();
        clap_complete::generate(clap_complete::Shell::Bash, &mut visible(), "tollgate", &mut bash);
        let bash = String::from_utf8(bash).unwrap();
        let folder = tempfile::tempdir().unwrap();
        clap_mangen::generate_to(visible(), folder.path()).unwrap();
        let mut commands = 0;
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let is_offered = bash.contains(&format!("tollgate,{name})"));
            let page = folder.path().join(format!("tollgate-{name}.1"));
            assert_eq!((is_offered, page.exists()), (!command.is_hide_set(), !command.is_hide_set()), "{name}");
            commands += 1;
        }
        assert!(commands > 20, "{commands}");
    }
}
