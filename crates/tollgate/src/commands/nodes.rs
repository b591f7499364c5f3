//! `tollgate nodes list`, `forget` and `drain`.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use access::Timestamp;
use config::snapshot::Process;
use store::{Actor, ForgetNodeError, Node, NodeProgress, Store};
use uuid::Uuid;

use crate::cli::{NodesCommand, NodesCommands, Place};
use crate::commands::{block_on, load_for_store, moment, open, printable};
use crate::failure::{self, StartFault};
use crate::lock::Lock;
use crate::slot::Slot;
use crate::terminal::say;
use crate::wire::left_slot::LeftSlot;

/// Runs the command against the store.
pub(crate) fn run(args: &NodesCommands) -> anyhow::Result<ExitCode> {
    let (node, place) = match &args.command {
        NodesCommand::List { place } => return list(place),
        NodesCommand::Drain { place } => return drain(place),
        NodesCommand::Forget { node, place } => (node, place),
    };
    let process = load_for_store(place)?;
    // On SQLite, only the folder shows that an idle server may run.
    if [Slot::Main, Slot::Next].into_iter().any(|slot| Node::id_in(&slot.folder(&process.data)) == Some(*node)) {
        anyhow::bail!(
            "node_folder_exists: {} is the data folder of node {node}: start Tollgate on it, which stores its usage",
            process.data.display()
        );
    }
    block_on(async {
        let store = open(&process).await?;
        let output = forget(&store, &process, *node).await;
        store.close().await;
        say(&output?);
        Ok(ExitCode::SUCCESS)
    })
}

fn list(place: &Place) -> anyhow::Result<ExitCode> {
    let process = load_for_store(place)?;
    block_on(async {
        let store = open(&process).await?;
        let nodes = store.node_progress().await;
        let now = store.clock().now();
        store.close().await;
        let nodes = nodes.map_err(|error| failure::of_store(&process, error))?;
        if io::stdout().is_terminal() {
            say(&row(["ID", "STATE", "LAST SEEN", "STORED UNTIL", "VERSION"]));
        }
        nodes.iter().for_each(|node| say(&listed(node, now)));
        Ok(ExitCode::SUCCESS)
    })
}

/// Stores the usage in the data folder of a stopped server, in both slots, and returns its leases.
fn drain(place: &Place) -> anyhow::Result<ExitCode> {
    let process = load_for_store(place)?;
    let unreadable = |source| StartFault::DataUnreadable { folder: process.data.clone(), source };
    std::fs::metadata(&process.data).map_err(unreadable)?;
    let _lock = Lock::take(&process.data)?;
    block_on(async {
        let store = open(&process).await?;
        let mut settled = Ok(());
        for slot in [Slot::Main, Slot::Next] {
            if settled.is_ok() {
                settled = Box::pin(LeftSlot::of_stopped(&store, &process, slot).settle()).await;
            }
        }
        store.close().await;
        settled?;
        say(&format!("the store has all usage of {}\n", process.data.display()));
        Ok(ExitCode::SUCCESS)
    })
}

/// Describes a node by its state: `running`, `left` if its usage is stored, `silent` if days wait for its usage.
fn listed(node: &NodeProgress, now: Timestamp) -> String {
    let state = match node {
        _ if node.has_left_nothing() => "left",
        _ if node.may_run(now) => "running",
        _ => "silent",
    };
    row([&node.id.to_string(), state, &moment(node.seen_at), &stored_until(node), &printable(&node.version)])
}

fn row([id, state, seen, stored, version]: [&str; 5]) -> String {
    format!("{id:<36}  {state:<7}  {seen:<20}  {stored:<20}  {version}\n")
}

/// Forgets the node, and returns the output.
async fn forget(store: &Store, process: &Process, id: Uuid) -> anyhow::Result<String> {
    match store.forget_node(&Actor::COMMAND, id).await {
        Ok(node) => Ok(forgotten(&node)),
        Err(error @ ForgetNodeError::NoNode(_)) => {
            let nodes = store.node_progress().await.map_err(|error| failure::of_store(process, error))?;
            Err(anyhow::anyhow!("node_unknown: {error}{}", blocking(&nodes, store.clock().now())))
        }
        Err(error @ (ForgetNodeError::Seen(_) | ForgetNodeError::HasLeft(_) | ForgetNodeError::Database(_))) => {
            Err(failure::of_store(process, error).into())
        }
    }
}

/// Lists the silent nodes whose usage is awaited.
fn blocking(nodes: &[NodeProgress], now: Timestamp) -> String {
    let blocks = |node: &&NodeProgress| !node.has_left_nothing() && !node.may_run(now);
    let lines: String = nodes.iter().filter(blocks).map(line).collect();
    if lines.is_empty() { ": no silent node blocks".to_owned() } else { format!(". Silent nodes that block:{lines}") }
}

fn line(node: &NodeProgress) -> String {
    format!("\n  {}  last seen {}, stored until {}", node.id, moment(node.seen_at), stored_until(node))
}

fn stored_until(node: &NodeProgress) -> String {
    node.ingested_until.map_or_else(|| "never".to_owned(), moment)
}

fn forgotten(node: &NodeProgress) -> String {
    let id = node.id;
    let seen = moment(node.seen_at);
    let records = node.depth.records;
    format!(
        "node {id} is forgotten: invoices and reviews of days no longer wait for it\n\
         Usage that only its data folder has is not recorded. When it was last seen ({seen}), its spool had {records} \
         records; its usage was stored until {}.\n\
         If the folder returns, start Tollgate on it: invoices wait until its usage is stored, and bill it as late usage.\n",
        stored_until(node)
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use access::Day;
    use store::SpooledUsage;

    use super::*;

    fn node(ingested_until: Option<Timestamp>) -> NodeProgress {
        NodeProgress {
            id: Uuid::nil(),
            version: "1".to_owned(),
            seen_at: Day(20_412).start(),
            left_at: None,
            ingested_until,
            depth: SpooledUsage { records: 7, ..SpooledUsage::default() },
        }
    }

    #[test]
    fn silent_nodes_are_listed_with_their_times() {
        let nodes = [node(None)];
        let seen = Day(20_412).start();
        assert_eq!(blocking(&nodes, seen.after(Duration::from_secs(299))), ": no silent node blocks");
        assert_eq!(
            blocking(&nodes, seen.after(Duration::from_secs(301))),
            ". Silent nodes that block:\n  00000000-0000-0000-0000-000000000000  last seen 2025-11-20T00:00:00Z, \
             stored until never"
        );
    }

    #[test]
    fn nodes_are_listed_with_their_state() {
        let awaited = node(None);
        let seen = Day(20_412).start();
        let state = |node: &NodeProgress, after| listed(node, seen.after(Duration::from_secs(after)));
        assert_eq!(
            state(&awaited, 301),
            "00000000-0000-0000-0000-000000000000  silent   2025-11-20T00:00:00Z  never                 1\n"
        );
        assert!(state(&awaited, 299).contains("  running  "));
        let left = NodeProgress { left_at: Some(seen), depth: SpooledUsage::default(), ..node(Some(seen)) };
        assert!(state(&left, 1).contains("  left     "));
    }

    #[test]
    fn the_lost_usage_is_reported() {
        let text = forgotten(&node(Some(Day(20_411).start())));
        assert!(text.contains("had 7 records; its usage was stored until 2025-11-19T00:00:00Z."), "{text}");
        assert!(text.lines().count() == 3 && text.contains("late usage"), "{text}");
    }
}
