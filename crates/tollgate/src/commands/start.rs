//! `tollgate` without a command: serves if a configuration or a data folder exists, and otherwise explains how to
//! start.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use clap::Parser;
use config::Flags;

use crate::cli::{Cli, Command, Place};
use crate::commands::config_file::ConfigFile;
use crate::commands::{environment, load, serve};
use crate::terminal::say;

/// Serves, or explains how to start.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let place = Place { config: None, env_file: None, data: None };
    let file = ConfigFile::chosen(&place, &environment(&place)?);
    let words: Vec<OsString> = match file.path() {
        Some(file) => vec!["serve".into(), "--config".into(), file.into()],
        None => {
            let data = load(&place, &Flags::default())?.snapshot.process.data;
            if !data.is_dir() {
                say(&how_to_start(&data));
                return Ok(ExitCode::SUCCESS);
            }
            vec!["serve".into()]
        }
    };
    telemetry::logs::write_stderr(format!("running `tollgate {}`\n", words.join(OsStr::new(" ")).display()));
    let parsed = Cli::try_parse_from(std::iter::once("tollgate".into()).chain(words))?;
    let Some(Command::Serve(args)) = parsed.command else { bail!("`serve` is not a command") };
    serve::run(&args)
}

fn how_to_start(data: &Path) -> String {
    format!(
        "There is neither a configuration (tollgate.yaml) nor a data folder ({}) here.

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
