//! `tollgate setup-link`: prints the link that creates the first admin, or with which an admin chooses a password, for
//! servers whose output is collected in logs.

use std::process::ExitCode;

use access::{Role, UserStatus};
use config::Flags;
use config::snapshot::Process;
use store::{Actor, NewLink, Purpose, Store, User};
use tls::ListenAddress;

use crate::cli::SetupLink;
use crate::commands::{block_on, load, open, printable, user};
use crate::failure::{self, StartFault};
use crate::link::{self, FirstAdmin, LinkDraft};
use crate::terminal::say;

/// Creates and prints a link; earlier links of this kind become invalid.
pub(crate) fn run(args: &SetupLink) -> anyhow::Result<ExitCode> {
    let loaded = load(&args.place, &Flags { addr: args.addr.clone(), ..Flags::default() })?;
    let control = link::control_of(&loaded);
    let process = loaded.snapshot.process;
    block_on(async {
        let store = open(&process).await?;
        let printed = print(&store, &process, &control, args.user.as_deref()).await;
        store.close().await;
        printed.map(|()| ExitCode::SUCCESS)
    })
}

/// Prints a link for the named admin, else for the first or the only one.
pub(super) async fn print(
    store: &Store,
    process: &Process,
    control: &ListenAddress,
    admin: Option<&str>,
) -> anyhow::Result<()> {
    let created = match admin {
        None => link::to_become_the_first_admin(store, process, control).await,
        Some(_) => Ok(None),
    };
    let (purpose, link) = match created {
        Ok(Some(link)) => ("The first person to open this link becomes the admin.".to_owned(), link),
        Ok(None) => {
            let admin = find(store, admin).await?;
            let draft = LinkDraft::new()?;
            let purpose = Purpose::Password { user: admin.id };
            let new = NewLink { purpose, hash: draft.hash(), expires_at: draft.expires_at };
            store.make_link(&Actor::COMMAND, new).await?;
            let email = printable(admin.address_or_name());
            (format!("With this link, the admin {email} chooses a password."), draft.url(process, control))
        }
        Err(FirstAdmin::Store(error)) => return Err(failure::of_store(process, error).into()),
        Err(error) => return Err(error.into()),
    };
    let secret = link.expose();
    say(&format!("{purpose} It expires after {} and is shown only once:\n{secret}\n", link::LIVES_FOR));
    Ok(())
}

/// Finds the admin of a link: the named one, or the only one.
async fn find(store: &Store, named: Option<&str>) -> anyhow::Result<User> {
    let is_admin = |user: &User| user.role == Role::Admin && user.email.is_some();
    if let Some(named) = named {
        let found = user(store, named).await?;
        let email = printable(found.address_or_name());
        anyhow::ensure!(is_admin(&found), "{email} is not an admin: `tollgate users password --link` prints a link");
        return Ok(found);
    }
    let users = store.users().await?;
    let mut admins: Vec<User> =
        users.into_iter().filter(|user| is_admin(user) && user.status == UserStatus::Active).collect();
    match (admins.pop(), admins.is_empty()) {
        (Some(admin), true) => Ok(admin),
        (last, _) => {
            let emails = admins.iter().chain(&last).map(|admin| printable(admin.address_or_name())).collect();
            Err(StartFault::SeveralAdmins { emails }.into())
        }
    }
}
