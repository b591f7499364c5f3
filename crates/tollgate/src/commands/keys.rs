//! `tollgate keys create|list|revoke`.

use std::process::ExitCode;

use access::{ApiKey, KeyId};
use anyhow::Context;
use config::Snapshot;
use config::load::Flags;
use store::{Key, NewKey, Store};

use crate::cli::{Keys, KeysCommand};
use crate::commands::{block_on, load, open, printable, say, user};

/// Runs the command against the store.
pub(crate) fn run(args: &Keys) -> anyhow::Result<ExitCode> {
    let (KeysCommand::Create { place, .. } | KeysCommand::List { place, .. } | KeysCommand::Revoke { place, .. }) =
        &args.command;
    let snapshot = load(place, &Flags::default())?.snapshot;
    block_on(async {
        let store = open(&snapshot).await?;
        let done = act(&store, &snapshot, &args.command).await;
        store.close().await;
        done.map(|()| ExitCode::SUCCESS)
    })
}

async fn act(store: &Store, snapshot: &Snapshot, command: &KeysCommand) -> anyhow::Result<()> {
    match command {
        KeysCommand::Create { user: owner, label, .. } => {
            let owner = user(store, owner).await?;
            let key = ApiKey::generate(&snapshot.brand.key_prefix)?;
            let new = NewKey {
                user: owner.id,
                label: label.clone(),
                hash: key.hash(),
                prefix: key.prefix().to_owned(),
                last4: key.last4().to_owned(),
                expires_at: None,
            };
            show(&store.create_key(new).await?);
            say(&format!("This is the only time the key is shown:\n{}\n", key.expose()));
        }
        KeysCommand::List { user: owner, .. } => {
            let owner = match owner {
                Some(owner) => Some(user(store, owner).await?.id),
                None => None,
            };
            store.keys(owner).await?.iter().for_each(show);
        }
        KeysCommand::Revoke { key, .. } => {
            let id = key.parse().with_context(|| format!("{key} is no key's id: `tollgate keys list` shows them"))?;
            show(&store.revoke_key(KeyId(id)).await?);
        }
    }
    Ok(())
}

fn show(key: &Key) {
    let state = if key.revoked_at.is_some() { "revoked" } else { "active" };
    let label = printable(&key.label);
    say(&format!("{}  {state:<7}  {}_…{}  {label}\n", key.id, printable(&key.prefix), printable(&key.last4)));
}
