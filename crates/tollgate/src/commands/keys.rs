//! `tollgate keys create`, `list`, `label`, `rotate` and `revoke`.

mod administration;

use std::collections::HashMap;
use std::process::ExitCode;

use access::limits::bounds::{UnfitBound, network};
use access::{ApiKey, Clock, Credits, KeyBounds, KeyId, Timestamp, UserId};
use anyhow::Context;
use config::Flags;
use config::snapshot::Process;
use store::{Actor, Key, KeyChange, KeySecret, NewKey, Rotation, Store, User};

use crate::cli::{CreateKey, Keys, KeysCommand};
use crate::commands::{block_on, load, load_for_store, moment, open, printable, user};
use crate::terminal::say;

/// Runs the command against the store.
pub(crate) fn run(args: &Keys) -> anyhow::Result<ExitCode> {
    let place = match &args.command {
        KeysCommand::Create(create) => &create.place,
        KeysCommand::List { place, .. } => place,
        KeysCommand::Label { which, .. } | KeysCommand::Rotate { which, .. } | KeysCommand::Revoke(which) => {
            &which.place
        }
    };
    let process = load_for_store(place)?;
    block_on(async {
        let store = open(&process).await?;
        let done = if let KeysCommand::Create(create) = &args.command
            && create.admin
        {
            create_for_admin(&store, create).await
        } else {
            act(&store, &process, &args.command).await
        };
        store.close().await;
        done.map(|()| ExitCode::SUCCESS)
    })
}

/// Creates a key with the scope `admin`.
async fn create_for_admin(store: &Store, create: &CreateKey) -> anyhow::Result<()> {
    let loaded = load(&create.place, &Flags::default())?;
    let admin = administration::admin(store, &loaded, create).await?;
    let now = Clock::system().now();
    let secret = ApiKey::generate(&loaded.snapshot.process.brand.key_prefix)?;
    let expires_at = create.expires.map(|after| now.after(after));
    let new = NewKey { expires_at, bounds: bounds(create)?, ..NewKey::unbounded(admin.id, &*create.label, &secret) };
    show(&store.create_key(&administration::actor(&admin), administration::key(new)).await?, now);
    print_secret(&secret);
    Ok(())
}

async fn act(store: &Store, process: &Process, command: &KeysCommand) -> anyhow::Result<()> {
    let now = Clock::system().now();
    match command {
        KeysCommand::Create(create) => {
            let secret = ApiKey::generate(&process.brand.key_prefix)?;
            let owner = user(store, create.user.as_deref().unwrap_or_default()).await?;
            let expires_at = create.expires.map(|after| now.after(after));
            let new =
                NewKey { expires_at, bounds: bounds(create)?, ..NewKey::unbounded(owner.id, &*create.label, &secret) };
            show(&store.create_key(&Actor::COMMAND, new).await?, now);
            print_secret(&secret);
        }
        KeysCommand::List { user: owner, .. } => {
            let owner = match owner {
                Some(owner) => Some(user(store, owner).await?.id),
                None => None,
            };
            let users: HashMap<UserId, String> =
                store.users().await?.into_iter().map(|user| (user.id, name_of(&user))).collect();
            for key in store.keys(owner).await? {
                say(&line(&key, users.get(&key.user).map(String::as_str), now));
            }
        }
        KeysCommand::Label { which, label } => {
            let change = KeyChange { label: Some(label.clone()), ..KeyChange::default() };
            show(&store.change_key(&Actor::COMMAND, id(&which.key)?, change).await?, now);
        }
        KeysCommand::Rotate { which, grace } => {
            let secret = ApiKey::generate(&process.brand.key_prefix)?;
            let rotation = Rotation { secret: KeySecret::from_key(&secret), grace: grace.unwrap_or_default() };
            show(&store.rotate_key(&Actor::COMMAND, id(&which.key)?, rotation).await?, now);
            print_secret(&secret);
        }
        KeysCommand::Revoke(which) => show(&store.revoke_key(&Actor::COMMAND, id(&which.key)?).await?, now),
    }
    Ok(())
}

/// Returns the address of a user, or the name of a service user.
fn name_of(user: &User) -> String {
    user.email.as_ref().map_or_else(|| user.name.clone(), |email| email.as_str().to_owned())
}

/// Parses the id of a key.
pub(crate) fn id(text: &str) -> anyhow::Result<KeyId> {
    let id =
        text.parse().with_context(|| format!("{text} is not the id of a key: `tollgate keys list` lists all keys"))?;
    Ok(KeyId(id))
}

fn bounds(create: &CreateKey) -> Result<KeyBounds, UnfitBound> {
    // An empty list of flags means no restriction.
    let some = |names: &[String]| (!names.is_empty()).then(|| names.to_vec());
    let networks: Result<Vec<_>, _> = create.addresses.iter().map(|text| network(text)).collect();
    let bounds = KeyBounds {
        credits_per_day: create.credits_per_day.map(Credits::whole),
        requests_per_minute: create.requests_per_minute,
        routes: some(&create.routes),
        models: some(&create.models),
        addresses: Some(networks?).filter(|networks| !networks.is_empty()),
        control: create.control,
    };
    bounds.check().map(|()| bounds)
}

fn print_secret(secret: &ApiKey) {
    say(&format!("This is the only time the key is shown:\n{}\n", secret.expose()));
}

fn show(key: &Key, now: Timestamp) {
    say(&line(key, None, now));
}

/// Formats a key as one line, with its user and its restrictions on a second one.
fn line(key: &Key, user: Option<&str>, now: Timestamp) -> String {
    let state = match (key.revoked_at, key.expires_at) {
        (Some(_), _) => "revoked",
        (None, Some(end)) if end <= now => "expired",
        (None, _) => "active",
    };
    let label = printable(&key.label);
    let mut line = format!("{}  {state:<7}  {}_…{}  {label}\n", key.id, printable(&key.prefix), printable(&key.last4));
    let user = user.map(|user| format!("user {}", printable(user)));
    let details: Vec<String> = user.into_iter().chain(details(key)).collect();
    if !details.is_empty() {
        line.push_str(&format!("    {}\n", details.join("; ")));
    }
    line
}

fn details(key: &Key) -> Vec<String> {
    let mut details = Vec::new();
    let mut say = |detail: Option<String>| details.extend(detail);
    let KeyBounds { credits_per_day, requests_per_minute, routes, models, addresses, control } = &key.bounds;
    say(key.used_at.map(|at| format!("used {}", moment(at))));
    say(key.expires_at.map(|at| format!("expires {}", moment(at))));
    if key.is_admin {
        say(Some("scope admin".to_owned()));
    } else {
        say(routes.as_deref().map(|names| format!("routes {}", named(names))));
        say(models.as_deref().map(|names| format!("models {}", named(names))));
    }
    say(addresses.as_deref().map(|networks| format!("from {}", named(networks))));
    say(control.map(|scope| format!("control {}", scope.as_str())));
    say(credits_per_day.map(|credits| format!("{credits} credits a day")));
    say(requests_per_minute.map(|requests| format!("{requests} requests a minute")));
    say(key.previous.as_ref().map(|previous| {
        let used = previous.used_at.map_or("not used since".to_owned(), |at| format!("used {}", moment(at)));
        format!("secret …{} until {}, {used}", printable(&previous.last4), moment(previous.until))
    }));
    details
}

fn named<T: ToString>(names: &[T]) -> String {
    let names: Vec<String> = names.iter().map(|name| printable(&name.to_string())).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use access::{Ids, KeyNo};
    use store::PreviousSecret;

    use super::*;

    #[test]
    fn a_key_is_listed_with_its_state() {
        let at = |seconds: u64| Timestamp(1_795_176_000_000_000 + seconds * 1_000_000);
        let mut ids = Ids::new(Clock::manual(at(0)));
        let plain = Key {
            id: KeyId(ids.next_uuid()),
            no: KeyNo(1),
            user: UserId(ids.next_uuid()),
            label: "lap\u{1b}[2Jtop".to_owned(),
            prefix: "tollgate".to_owned(),
            last4: "9f3c".to_owned(),
            previous: None,
            bounds: KeyBounds::default(),
            is_admin: false,
            labels: access::LabelSet::NONE,
            used_by: None,
            used_at: None,
            expires_at: None,
            revoked_at: None,
            created_at: at(0),
        };
        assert_eq!(line(&plain, None, at(0)), format!("{}  active   tollgate_…9f3c  lap\\u{{1b}}[2Jtop\n", plain.id));
        let of_user = line(&plain, Some("ada@example.com"), at(0));
        assert_eq!(of_user.lines().nth(1), Some("    user ada@example.com"));
        let bounds = KeyBounds {
            credits_per_day: Some(Credits::whole(9)),
            models: Some(vec!["a".to_owned(), "b/*".to_owned()]),
            routes: Some(Vec::new()),
            addresses: Some(vec![network("10.0.0.1").unwrap()]),
            ..KeyBounds::default()
        };
        let previous = PreviousSecret { last4: "0000".to_owned(), until: at(60), used_at: None };
        let used_at = Some(at(1));
        let full = Key { expires_at: Some(at(9)), bounds, previous: Some(previous), used_at, ..plain };
        assert!(line(&full, None, at(9)).contains("expired"));
        let printed = line(&full, None, at(8));
        let details = printed.lines().nth(1).unwrap().trim();
        assert_eq!(
            details,
            "used 2026-11-20T12:00:01Z; expires 2026-11-20T12:00:09Z; routes none; models a, b/*; from 10.0.0.1/32; \
             9 credits a day; secret …0000 until 2026-11-20T12:01:00Z, not used since"
        );
        let bounds = KeyBounds { routes: Some(Vec::new()), models: Some(Vec::new()), ..KeyBounds::default() };
        let admin = Key { is_admin: true, bounds, used_at: None, previous: None, ..full };
        assert!(line(&admin, None, at(8)).ends_with("    expires 2026-11-20T12:00:09Z; scope admin\n"));
    }
}
