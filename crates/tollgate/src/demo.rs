//! Three demo users whose keys can be shown again: random for each data folder, and stored in it.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use access::{ApiKey, BillingInterval, Day, Money, PlanPrice};
use anyhow::Context;
use config::snapshot::Process;
use control::configuration::DemoBilling;
use serde::{Deserialize, Serialize};
use store::{Email, NewKey, NewUser, Store, UserError, UserRef};

use crate::failure::{self, StartFault};

pub(crate) const FILE: &str = "demo-keys.json";

/// Name and plan of each demo user. The address is `demo-PLAN@BRAND.invalid`.
const USERS: [(&str, &str); 3] = [("Demo Starter", "starter"), ("Demo Pro", "pro"), ("Demo Business", "business")];

/// Rupiah per dollar of a demo, in millionths, for every day.
const EXCHANGE: (Day, u64) = (Day(0), 16_500_000_000);
/// The prices of plans in rupiah per month.
const PRICES: [(&str, i64); 3] = [("starter", 0), ("pro", 150_000), ("business", 1_500_000)];

/// Returns the prices and the exchange rate of a demo whose configuration has none.
pub(crate) fn billing() -> DemoBilling {
    DemoBilling { prices: prices(), exchange: EXCHANGE }
}

fn prices() -> Vec<(String, PlanPrice)> {
    let price = |rupiah| PlanPrice {
        price: Money::rupiah(rupiah),
        interval: BillingInterval::Month,
        trial_days: 0,
        charges: Vec::new(),
    };
    PRICES.iter().map(|(plan, rupiah)| ((*plan).to_owned(), price(*rupiah))).collect()
}

/// A demo key, the only key that is stored in plain text.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct DemoKey {
    pub(crate) email: String,
    pub(crate) plan: String,
    pub(crate) key: String,
}

/// The demo users of a store.
#[derive(Clone, Default)]
pub(crate) struct Demo {
    /// The keys in this data folder, in the order of the plans.
    pub(crate) keys: Vec<DemoKey>,
    /// A user whose keys are only in the data folder of another server.
    pub(crate) elsewhere: Option<String>,
}

/// Creates missing demo users, and reads the keys of the others. Servers that share a store share its demo users; only
/// the server that created a user can show its key.
pub(crate) async fn seed(store: &Store, process: &Process) -> anyhow::Result<Demo> {
    let data = &process.data;
    let path = data.join(FILE);
    let mut stored_keys = read(&path)?;
    let plans = store.plans().await.map_err(|error| failure::of_store(process, error))?;
    let mut demo = Demo::default();
    for (name, plan) in USERS {
        if !plans.iter().any(|known| known.name == plan) {
            continue;
        }
        let email = format!("demo-{plan}@{}.invalid", process.brand.slug());
        if let Some(key) = stored_keys.iter().find(|stored| stored.email == email) {
            let key = key.clone();
            ensure(store, name, &key).await?;
            demo.keys.push(key);
            continue;
        }
        if store.is_shared() && store.find_user(&UserRef::Email(Email::parse(&email)?)).await?.is_some() {
            demo.elsewhere = Some(email);
            continue;
        }
        let key = ApiKey::generate(&process.brand.key_prefix)?.expose().to_owned();
        let key = DemoKey { email, plan: plan.to_owned(), key };
        stored_keys.push(key.clone());
        let unwritable = |error| StartFault::unwritable(data, error);
        // Written first: otherwise a crash could leave a key in the store that cannot be shown.
        write(&path, &stored_keys).map_err(unwritable)?;
        if ensure(store, name, &key).await? {
            demo.keys.push(key);
        } else {
            stored_keys.pop();
            write(&path, &stored_keys).map_err(unwritable)?;
            demo.elsewhere = Some(key.email);
        }
    }
    Ok(demo)
}

/// Creates the user and its key if they are missing. Returns `false` if another server has created the user meanwhile.
async fn ensure(store: &Store, name: &str, demo: &DemoKey) -> anyhow::Result<bool> {
    let email = Email::parse(&demo.email)?;
    let user = match store.find_user(&UserRef::Email(email.clone())).await? {
        Some(user) => user,
        None => {
            let new = NewUser { demo: true, ..NewUser::member(email, name, demo.plan.clone()) };
            match store.create_user(&store::Actor::SYSTEM, new).await {
                Ok(user) => user,
                Err(UserError::EmailTaken) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    };
    let key = ApiKey::parse(&demo.key).with_context(|| {
        format!("demo_keys_damaged: {FILE} in the data folder contains an invalid key: delete the file")
    })?;
    if matches!(store.find_principal(key.hash()).await?, Err(access::NotFound::Unknown)) {
        store.create_key(&store::Actor::SYSTEM, NewKey::unbounded(user.id, "demo", &key)).await?;
    }
    Ok(true)
}

fn read(path: &PathBuf) -> anyhow::Result<Vec<DemoKey>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .with_context(|| format!("demo_keys_damaged: {} cannot be parsed: delete the file", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => {
            Err(error).with_context(|| format!("demo_keys_damaged: {} cannot be read: delete the file", path.display()))
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
