//! Three demo users with keys that can be shown again: random for each data folder, kept beside the data.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use access::ApiKey;
use anyhow::Context;
use config::Snapshot;
use serde::{Deserialize, Serialize};
use store::{Email, NewKey, NewUser, Store, UserRef};

use crate::failure::{self, StartFault};

const FILE: &str = "demo-keys.json";

/// Name and plan of each. The address is `demo-PLAN@BRAND.invalid`.
const USERS: [(&str, &str); 3] = [("Demo Starter", "starter"), ("Demo Pro", "pro"), ("Demo Business", "business")];

/// A demo key in clear; nothing else that is stored is.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct DemoKey {
    pub(crate) email: String,
    pub(crate) plan: String,
    pub(crate) key: String,
}

/// Makes the demo users that are missing; answers their keys, in the order of the plans.
pub(crate) async fn seed(store: &Store, snapshot: &Snapshot) -> anyhow::Result<Vec<DemoKey>> {
    let data = &snapshot.data;
    let path = data.join(FILE);
    let mut kept = read(&path)?;
    let plans = store.plans().await.map_err(|error| failure::of_store(snapshot, error))?;
    let mut shown = Vec::new();
    for (name, plan) in USERS {
        if !plans.iter().any(|known| known.name == plan) {
            continue;
        }
        let email = format!("demo-{plan}@{}.invalid", snapshot.brand.slug());
        let key = match kept.iter().find(|kept| kept.email == email) {
            Some(kept) => kept.clone(),
            None => {
                let key = ApiKey::generate(&snapshot.brand.key_prefix)?.expose().to_owned();
                let made = DemoKey { email, plan: plan.to_owned(), key };
                kept.push(made.clone());
                // Written first: a key in the store that nobody can show would be of no use.
                write(&path, &kept).map_err(|error| StartFault::unwritable(data, error))?;
                made
            }
        };
        ensure(store, name, &key).await?;
        shown.push(key);
    }
    Ok(shown)
}

async fn ensure(store: &Store, name: &str, demo: &DemoKey) -> anyhow::Result<()> {
    let email = Email::parse(&demo.email)?;
    let user = match store.find_user(&UserRef::Email(email.clone())).await? {
        Some(user) => user,
        None => {
            let new = NewUser { demo: true, ..NewUser::member(email, name, demo.plan.clone()) };
            store.create_user(&store::Actor::SYSTEM, new).await?
        }
    };
    let key = ApiKey::parse(&demo.key)
        .with_context(|| format!("demo_keys_damaged: {FILE} in the data folder holds what is no key: delete it"))?;
    if matches!(store.find_principal(key.hash()).await?, Err(access::NotFound::Unknown)) {
        store.create_key(&store::Actor::SYSTEM, NewKey::of(user.id, "demo", &key)).await?;
    }
    Ok(())
}

fn read(path: &PathBuf) -> anyhow::Result<Vec<DemoKey>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .with_context(|| format!("demo_keys_damaged: {} cannot be understood: delete it", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => {
            Err(error).with_context(|| format!("demo_keys_damaged: {} cannot be read: delete it", path.display()))
        }
    }
}

fn write(path: &Path, keys: &[DemoKey]) -> std::io::Result<()> {
    let draft = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(&serde_json::to_vec_pretty(keys)?)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}
