//! The admin who creates a key for administration, as the API demands: with a password.

use access::credentials::password;
use access::{KeyBounds, Role, UserStatus};
use anyhow::{Context as _, bail};
use config::LoadedConfig;
use store::{Actor, ActorKind, NewKey, Store, User};

use crate::cli::CreateKey;
use crate::commands::{printable, setup_link, user};
use crate::failure::StartFault;
use crate::link;
use crate::terminal;

/// Maximum number of attempts to type the password.
const TRIES_MAX: usize = 3;

/// Returns the admin with a valid password. An admin without one gets a link on a terminal.
pub(super) async fn admin(store: &Store, loaded: &LoadedConfig, create: &CreateKey) -> anyhow::Result<User> {
    let Some(admin) = named(store, create.user.as_deref()).await? else {
        return Err(unfinished(store, loaded, None).await?);
    };
    let email = admin.email.as_ref().context("a service user administers nothing")?;
    let Some((_, Some(hash))) = store.credentials_of(email).await? else {
        return Err(unfinished(store, loaded, Some(email.as_str())).await?);
    };
    let prompt = format!("Password of {}: ", printable(email.as_str()));
    for _ in 0..TRIES_MAX {
        let presented = match (create.password_stdin, terminal::is_there()) {
            (true, _) => terminal::read_line_of_stdin()?,
            (false, true) => terminal::ask_once(&prompt).await?,
            (false, false) => return Err(StartFault::AdminPasswordMissing.into()),
        };
        if password::verify(&presented, &hash) {
            return Ok(admin);
        }
        if create.password_stdin {
            break;
        }
    }
    bail!("the password is wrong: no key was created")
}

/// Returns the named admin, else the only one; `None` without any.
async fn named(store: &Store, name: Option<&str>) -> anyhow::Result<Option<User>> {
    let is_admin = |user: &User| user.role == Role::Admin && user.status == UserStatus::Active && user.email.is_some();
    if let Some(name) = name {
        let found = user(store, name).await?;
        anyhow::ensure!(is_admin(&found), "{} is not an admin: no key was created", printable(found.address_or_name()));
        return Ok(Some(found));
    }
    let mut admins: Vec<User> = store.users().await?.into_iter().filter(is_admin).collect();
    if admins.len() > 1 {
        let emails: Vec<String> = admins.iter().map(|admin| printable(admin.address_or_name())).collect();
        bail!("name the admin who owns the key with --user: {}", emails.join(", "));
    }
    Ok(admins.pop())
}

/// Prints the link with which an admin chooses a password, and returns the error of the command.
async fn unfinished(store: &Store, loaded: &LoadedConfig, admin: Option<&str>) -> anyhow::Result<anyhow::Error> {
    if !terminal::is_there() {
        return Ok(StartFault::AdminPasswordMissing.into());
    }
    setup_link::print(store, &loaded.snapshot.process, &link::control_of(loaded), admin).await?;
    Ok(anyhow::anyhow!("no key was created: choose a password with the link, and repeat the command"))
}

/// Returns the author of the key.
pub(super) const fn actor(admin: &User) -> Actor {
    Actor { by: ActorKind::User { user: admin.id, session: None }, address: None }
}

/// Returns the key with the scope `admin`, which sends no requests to upstreams and providers.
pub(super) fn key(new: NewKey) -> NewKey {
    let nothing = Some(Vec::new());
    let bounds = KeyBounds { routes: nothing.clone(), models: nothing, ..new.bounds };
    NewKey { bounds, is_admin: true, ..new }
}
