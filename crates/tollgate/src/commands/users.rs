//! `tollgate users create`, `list`, `password`, `role`, `suspend` and `activate`.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use access::password::{self, Password};
use access::{Plan, Role, Secret, UserStatus};
use anyhow::Context;
use config::Flags;
use config::Snapshot;
use config::snapshot::Process;
use store::{
    Actor, Email, InvalidText, LinkError, NewLink, NewUser, NoPlan, Purpose, Store, User, UserChange, UserError,
    UserRef,
};

use crate::cli::{CreateUser, PasswordFlags, UserPassword, UserRole, Users, UsersCommand};
use crate::commands::{block_on, load, load_for_store, open, open_or_make, printable, user};
use crate::failure::StartFault;
use crate::link::{self, LinkDraft};
use crate::store_options::STORE_FILE;
use crate::terminal;
use crate::terminal::say;

/// Runs the command against the store.
pub(crate) fn run(args: &Users) -> anyhow::Result<ExitCode> {
    let place = match &args.command {
        UsersCommand::Create(create) => &create.place,
        UsersCommand::List { place } => place,
        UsersCommand::Password(password) => &password.which.place,
        UsersCommand::Role(role) => &role.which.place,
        UsersCommand::Suspend(which) | UsersCommand::Activate(which) => &which.place,
    };
    let snapshot = || load(place, &Flags::default()).map(|loaded| loaded.snapshot);
    block_on(async {
        match &args.command {
            UsersCommand::Create(create) => self::create(&snapshot()?, create).await?,
            UsersCommand::Password(password) => self::password(&snapshot()?.process, password).await?,
            command @ (UsersCommand::List { .. }
            | UsersCommand::Role(_)
            | UsersCommand::Suspend(_)
            | UsersCommand::Activate(_)) => {
                let store = open(&load_for_store(place)?).await?;
                let done = act(&store, command).await;
                store.close().await;
                let users = done?;
                if matches!(command, UsersCommand::List { .. }) && io::stdout().is_terminal() {
                    say(&heading(&users));
                }
                users.iter().for_each(show);
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Runs a command that needs no password, and returns the users to show.
async fn act(store: &Store, command: &UsersCommand) -> anyhow::Result<Vec<User>> {
    let change = |status, role| UserChange { status, role, ..UserChange::default() };
    let (which, change) = match command {
        UsersCommand::Role(UserRole { which, role }) => (which, change(None, Some((*role).into()))),
        UsersCommand::Suspend(which) => (which, change(Some(UserStatus::Suspended), None)),
        UsersCommand::Activate(which) => (which, change(Some(UserStatus::Active), None)),
        UsersCommand::List { .. } | UsersCommand::Create(_) | UsersCommand::Password(_) => {
            return Ok(store.users().await?);
        }
    };
    Ok(vec![store.change_user(&Actor::COMMAND, &UserRef::parse(&which.user)?, change).await?])
}

/// Returns the heading for a terminal. Programs that read a pipe receive only the users.
fn heading(users: &[User]) -> String {
    let columns = row(["ID", "STATUS", "ROLE", "PLAN", "EMAIL"]);
    match users {
        [] => format!("{columns}There is no user yet. `tollgate users create --email ADDRESS` creates one.\n"),
        _ => columns,
    }
}

/// Rejects a user that every store with this configuration would reject, so that a failure leaves no data folder
/// behind.
fn check_new(snapshot: &Snapshot, create: &CreateUser) -> anyhow::Result<()> {
    if create.name.iter().chain(&create.service).any(|name| name.trim().is_empty() || !store::is_fit_text(name)) {
        return Err(InvalidText { field: "a user's name" }.into());
    }
    let has_store = snapshot.process.store.url.is_some() || snapshot.process.data.join(STORE_FILE).exists();
    if !has_store && snapshot.traffic.plans.iter().all(|plan| plan.name != create.plan) {
        return Err(no_plan(create, snapshot.traffic.plans.iter()));
    }
    Ok(())
}

/// The error for a missing plan; `plans` exist.
fn no_plan<'a>(create: &CreateUser, plans: impl Iterator<Item = &'a Plan>) -> anyhow::Error {
    let names: Vec<String> = plans.map(|plan| printable(&plan.name)).collect();
    let error = anyhow::Error::new(NoPlan { name: printable(&create.plan) });
    error.context(format!("no user was created; the plans are {}", names.join(", ")))
}

async fn create(snapshot: &Snapshot, create: &CreateUser) -> anyhow::Result<()> {
    // Checked before anything is created.
    let email = create.email.as_deref().map(Email::parse).transpose()?;
    check_new(snapshot, create)?;
    let (new, source) = match (email, &create.service) {
        (Some(email), _) => person(snapshot, create, email).await?,
        (None, service) => {
            let name = service.clone().unwrap_or_default();
            (NewUser::service(name, create.plan.clone()), PasswordSource::Ask)
        }
    };
    let store = open_or_make(&snapshot.process).await?;
    let done = async {
        // Without a file, the plans of an existing store are not known.
        if create.place.config.is_some() || store.plans().await?.is_empty() {
            store.ensure_plans(&snapshot.traffic.plans).await?;
        }
        let plans = store.plans().await?;
        if plans.iter().all(|plan| plan.name != create.plan) {
            return Err(no_plan(create, plans.iter()));
        }
        let created = match source {
            PasswordSource::Link => {
                let draft = LinkDraft::new()?;
                let created = store.create_user_with_link(&Actor::COMMAND, new, draft.hash(), draft.expires_at).await;
                created
                    .map(|(created, _)| (created, Some(draft.url(&snapshot.process, snapshot.process.control.listen))))
            }
            PasswordSource::Ask | PasswordSource::Stdin => {
                let created = store.create_user(&Actor::COMMAND, new).await;
                created.map(|created| (created, None)).map_err(LinkError::User)
            }
        };
        created.map_err(|error| {
            let is_taken = matches!(error, LinkError::User(UserError::EmailTaken));
            let error = anyhow::Error::new(error);
            if !is_taken {
                return error;
            }
            error.context(format!(
                "no user was created: `tollgate users list` shows the user with {}, and `tollgate users role` makes \
                 this user an admin",
                printable(create.email.as_deref().unwrap_or_default())
            ))
        })
    };
    let done = done.await;
    store.close().await;
    let (created, link) = done?;
    show(&created);
    link.iter().for_each(show_link);
    Ok(())
}

/// Returns a person with the password that the operator chose, and the source of the password.
async fn person(snapshot: &Snapshot, create: &CreateUser, email: Email) -> anyhow::Result<(NewUser, PasswordSource)> {
    let mut source = create.by.source();
    let mut chosen = None;
    let own = [email.as_str(), create.name.as_deref().unwrap_or_default(), &snapshot.process.brand.name];
    if create.admin && source == PasswordSource::Ask {
        if terminal::is_there() {
            chosen = terminal::ask_password("Password (empty: print a one-time link instead): ", &own).await?;
        }
        source = if chosen.is_some() { PasswordSource::Ask } else { PasswordSource::Link };
    }
    if source == PasswordSource::Stdin {
        chosen = Some(terminal::read_password(&own)?);
    }
    let name = create.name.clone().or_else(|| create.email.clone()).unwrap_or_default();
    let new = NewUser {
        role: if create.admin { Role::Admin } else { Role::Member },
        password: chosen.as_ref().map(password::hash).transpose()?,
        ..NewUser::member(email, name, create.plan.clone())
    };
    Ok((new, source))
}

async fn password(process: &Process, args: &UserPassword) -> anyhow::Result<()> {
    let store = open(process).await?;
    let done = async {
        // Checked before the operator types a password.
        let found = user(&store, &args.which.user).await?;
        anyhow::ensure!(
            found.email.is_some(),
            "a service user has no password: create a key with `tollgate keys create`"
        );
        let own = [found.address_or_name(), &found.name, &process.brand.name];
        let chosen: Option<Password> = match args.by.source() {
            PasswordSource::Link => None,
            PasswordSource::Stdin => Some(terminal::read_password(&own)?),
            PasswordSource::Ask if terminal::is_there() => {
                let typed = terminal::ask_password("New password: ", &own).await?;
                Some(typed.context("no password was typed: nothing was changed")?)
            }
            PasswordSource::Ask => return Err(StartFault::PasswordMissing.into()),
        };
        let Some(chosen) = chosen else {
            let (draft, purpose) = (LinkDraft::new()?, Purpose::Password { user: found.id });
            let new = NewLink { purpose, hash: draft.hash(), expires_at: draft.expires_at };
            store.make_link(&Actor::COMMAND, new).await?;
            return Ok((found, Some(draft.url(process, process.control.listen))));
        };
        store.set_password(&Actor::COMMAND, found.id, &password::hash(&chosen)?, None).await?;
        anyhow::Ok((found, None))
    };
    let done = done.await;
    store.close().await;
    match done? {
        (found, Some(link)) => {
            show(&found);
            show_link(&link);
        }
        (found, None) => {
            show(&found);
            say("The password is set, and all sessions of this user have ended.\n");
        }
    }
    Ok(())
}

/// The source of a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PasswordSource {
    Ask,
    Stdin,
    Link,
}

impl PasswordFlags {
    const fn source(&self) -> PasswordSource {
        match (self.password_stdin, self.link) {
            (true, _) => PasswordSource::Stdin,
            (false, true) => PasswordSource::Link,
            (false, false) => PasswordSource::Ask,
        }
    }
}

fn show(user: &User) {
    let (id, plan, email) = (user.id.to_string(), printable(&user.plan.name), printable(user.address_or_name()));
    say(&row([&id, user.status.as_str(), user.role.as_str(), &plan, &email]));
}

fn row([id, status, role, plan, email]: [&str; 5]) -> String {
    format!("{id:<36}  {status:<9}  {role:<6}  {plan:<10}  {email}\n")
}

fn show_link(link: &Secret) {
    say(&format!(
        "This link to choose the password is shown only once, and can be used once within {}:\n{}\n",
        link::LIVES_FOR,
        link.expose()
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_has_a_header_and_the_command_that_creates_a_user() {
        assert_eq!(
            heading(&[]),
            "ID                                    STATUS     ROLE    PLAN        EMAIL\n\
             There is no user yet. `tollgate users create --email ADDRESS` creates one.\n"
        );
    }
}
