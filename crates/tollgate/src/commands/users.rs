//! `tollgate users create|list|suspend|activate`.

use std::process::ExitCode;

use access::UserStatus;
use config::load::Flags;
use store::{Email, NewUser, Store, User, UserRef};

use crate::cli::{Users, UsersCommand};
use crate::commands::{block_on, load, open, open_or_make, printable, say};

/// Runs the command against the store.
pub(crate) fn run(args: &Users) -> anyhow::Result<ExitCode> {
    let place = match &args.command {
        UsersCommand::Create { place, .. } | UsersCommand::List { place } => place,
        UsersCommand::Suspend(which) | UsersCommand::Activate(which) => &which.place,
    };
    let snapshot = load(place, &Flags::default())?.snapshot;
    block_on(async {
        let store = match &args.command {
            UsersCommand::Create { email, .. } => {
                // Before anything is made.
                Email::parse(email)?;
                let store = open_or_make(&snapshot).await?;
                // Without a file it is not known which plans a store shall have that has some.
                if place.config.is_some() || store.plans().await?.is_empty() {
                    store.ensure_plans(&snapshot.plans).await?;
                }
                store
            }
            UsersCommand::List { .. } | UsersCommand::Suspend(_) | UsersCommand::Activate(_) => open(&snapshot).await?,
        };
        let done = act(&store, &args.command).await;
        store.close().await;
        for user in done? {
            let (status, plan) = (user.status.as_str(), printable(&user.plan.name));
            say(&format!("{}  {status:<9}  {plan:<10}  {}\n", user.id, printable(user.email.as_str())));
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Does it; answers the users to show.
async fn act(store: &Store, command: &UsersCommand) -> anyhow::Result<Vec<User>> {
    Ok(match command {
        UsersCommand::Create { email, name, plan, .. } => {
            let name = name.as_ref().unwrap_or(email).clone();
            let new = NewUser { email: Email::parse(email)?, name, plan: plan.clone(), demo: false };
            vec![store.create_user(new).await?]
        }
        UsersCommand::List { .. } => store.users().await?,
        UsersCommand::Suspend(which) => {
            vec![store.set_user_status(&UserRef::parse(&which.user)?, UserStatus::Suspended).await?]
        }
        UsersCommand::Activate(which) => {
            vec![store.set_user_status(&UserRef::parse(&which.user)?, UserStatus::Active).await?]
        }
    })
}
