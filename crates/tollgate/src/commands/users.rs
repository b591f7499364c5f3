//! `tollgate users create`, `list`, `password`, `role`, `plan`, `suspend` and `activate`.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use access::password::{self, Password};
use access::{Plan, Role, Secret, UserStatus};
use anyhow::Context;
use config::{Flags, LoadedConfig, Snapshot};
use store::{
    Actor, Email, InvalidText, LinkError, NewLink, NewUser, NoPlan, Purpose, Store, User, UserChange, UserError,
    UserRef,
};

use crate::cli::{CreateUser, PasswordFlags, UserPassword, UserPlan, UserRole, Users, UsersCommand};
use crate::commands::{block_on, has_store, load, load_for_store, open, open_or_make, printable, user};
use crate::failure::StartFault;
use crate::link::{self, LinkDraft};
use crate::terminal;
use crate::terminal::say;

/// The plan of a new user if the command names none and this one exists.
const PLAN: &str = "starter";

/// Runs the command against the store.
pub(crate) fn run(args: &Users) -> anyhow::Result<ExitCode> {
    let place = match &args.command {
        UsersCommand::Create(create) => &create.place,
        UsersCommand::List { place } => place,
        UsersCommand::Password(password) => &password.which.place,
        UsersCommand::Role(role) => &role.which.place,
        UsersCommand::Plan(plan) => &plan.which.place,
        UsersCommand::Suspend(which) | UsersCommand::Activate(which) => &which.place,
    };
    let loaded = || load(place, &Flags::default());
    block_on(async {
        match &args.command {
            UsersCommand::Create(create) => self::create(&loaded()?, create).await?,
            UsersCommand::Password(password) => self::password(&loaded()?, password).await?,
            command @ (UsersCommand::List { .. }
            | UsersCommand::Role(_)
            | UsersCommand::Plan(_)
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
        UsersCommand::Plan(UserPlan { which, plan }) => {
            (which, UserChange { plan: Some(plan.clone()), ..UserChange::default() })
        }
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
    if !has_store(&snapshot.process)? {
        plan(snapshot, create, &snapshot.traffic.plans)?;
    }
    Ok(())
}

/// Returns the plan of a new user: the named one, otherwise [`PLAN`], otherwise the plan of the first admin of a link.
fn plan(snapshot: &Snapshot, create: &CreateUser, plans: &[Plan]) -> anyhow::Result<String> {
    let find = |name: &str| plans.iter().find(|plan| plan.name == name);
    let (name, found) = match &create.plan {
        Some(name) => (name.as_str(), find(name)),
        None => (PLAN, find(PLAN).or_else(|| find(&snapshot.traffic.signup.plan)).or_else(|| plans.first())),
    };
    found.map(|plan| plan.name.clone()).ok_or_else(|| {
        let names: Vec<String> = plans.iter().map(|plan| printable(&plan.name)).collect();
        let error = anyhow::Error::new(NoPlan { name: printable(name) });
        error.context(format!("no user was created; the plans are {}", names.join(", ")))
    })
}

async fn create(loaded: &LoadedConfig, create: &CreateUser) -> anyhow::Result<()> {
    let snapshot = &loaded.snapshot;
    // Checked before anything is created.
    let email = create.email.as_deref().map(Email::parse).transpose()?;
    check_new(snapshot, create)?;
    let (new, source) = match (email, &create.service) {
        (Some(email), _) => person(snapshot, create, email).await?,
        (None, service) => {
            let name = service.clone().unwrap_or_default();
            (NewUser::service(name, String::new()), PasswordSource::Ask)
        }
    };
    let store = open_or_make(&snapshot.process).await?;
    let done = async {
        // Without a file, the plans of an existing store are not known.
        if create.place.config.is_some() || store.plans().await?.is_empty() {
            store.ensure_plans(&snapshot.traffic.plans).await?;
        }
        let new = NewUser { plan: plan(snapshot, create, &store.plans().await?)?, ..new };
        let created = match source {
            PasswordSource::Link => {
                let draft = LinkDraft::new()?;
                let created = store.create_user_with_link(&Actor::COMMAND, new, draft.hash(), draft.expires_at).await;
                let url = || draft.url(&snapshot.process, link::control_of(loaded));
                created.map(|(created, _)| (created, Some(url())))
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

/// Returns a person without a plan, with the password that the operator chose, and the source of the password.
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
        ..NewUser::member(email, name, String::new())
    };
    Ok((new, source))
}

async fn password(loaded: &LoadedConfig, args: &UserPassword) -> anyhow::Result<()> {
    let process = &loaded.snapshot.process;
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
            return Ok((found, Some(draft.url(process, link::control_of(loaded)))));
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
