//! `tollgate billing`: closes the billing periods that have ended.

use std::process::ExitCode;

use billing::Books;
use billing::close::CloseCounts;
use config::Flags;
use store::Actor;

use crate::cli::{BillingCommand, BillingCommands};
use crate::commands::{block_on, load, open};
use crate::terminal::say;
use crate::wire::billing::settings_of;

/// Exit code if a period could not be closed.
const FAILED: u8 = 1;

/// Runs the command against the store.
pub(crate) fn run(args: &BillingCommands) -> anyhow::Result<ExitCode> {
    let BillingCommand::Close { last_day, place } = &args.command;
    let snapshot = load(place, &Flags::default())?.snapshot;
    let process = &snapshot.process;
    if !process.billing.is_enabled {
        anyhow::bail!(
            "billing_disabled: the configuration does not enable billing: pass the file with billing.enabled"
        );
    }
    block_on(async {
        let store = open(process).await?;
        let books = Books::new(store.clone(), settings_of(process), None);
        let counts = books.close_all(&Actor::COMMAND, *last_day).await;
        store.close().await;
        let counts = counts?;
        say(&in_words(counts));
        Ok(if counts.failed > 0 { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
    })
}

fn in_words(counts: CloseCounts) -> String {
    let CloseCounts { made, closed, waiting, failed, .. } = counts;
    let mut text = format!("{made} new invoices of {closed} periods\n");
    if waiting > 0 {
        text.push_str(&format!("{waiting} periods wait until the usage of every node is stored\n"));
    }
    if failed > 0 {
        text.push_str(&format!("{failed} periods could not be closed: the log names them\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_prints_0_new() {
        assert_eq!(in_words(CloseCounts::default()), "0 new invoices of 0 periods\n");
        let counts = CloseCounts { made: 2, closed: 3, waiting: 1, failed: 1, overdue: 0 };
        assert_eq!(in_words(counts).lines().count(), 3);
    }
}
