//! `tollgate` without a command: serves if a configuration or a data folder exists, and otherwise explains how to
//! start.

use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use clap::Parser;
use config::Flags;

use crate::cli::{Cli, Command, Place};
use crate::commands::serve::CONFIG_FILE;
use crate::commands::{load, serve};
use crate::terminal::say;

/// Serves, or explains how to start.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let words = if Path::new(CONFIG_FILE).is_file() {
        vec!["serve", "--config", CONFIG_FILE]
    } else {
        let place = Place { config: None, env_file: None, data: None };
        let data = load(&place, &Flags::default())?.snapshot.process.data;
        if !data.is_dir() {
            say(&how_to_start(&data));
            return Ok(ExitCode::SUCCESS);
        }
        vec!["serve"]
    };
    telemetry::logs::write_stderr(format!("running `tollgate {}`\n", words.join(" ")));
    let parsed = Cli::try_parse_from(std::iter::once("tollgate").chain(words))?;
    let Some(Command::Serve(args)) = parsed.command else { bail!("`serve` is not a command") };
    serve::run(&args)
}

fn how_to_start(data: &Path) -> String {
    format!(
        "There is neither a configuration ({CONFIG_FILE}) nor a data folder ({}) here.

Try it with demo users and a mock provider:
  tollgate serve --demo

Serve the models of OpenAI, Anthropic or Google (each API key enables its provider):
  OPENAI_API_KEY=sk-… tollgate serve

Serve with a configuration file:
  tollgate serve --config FILE

All commands: tollgate help
",
        data.display()
    )
}
