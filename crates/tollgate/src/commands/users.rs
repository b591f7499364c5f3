//! `tollgate users create`, `list`, `password`, `role`, `grants`, `plan`, `suspend` and `activate`.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use access::credentials::password::{self, Password};
use access::{Plan, Role, Secret, UserId, UserStatus};
use anyhow::Context;
use config::{Flags, LoadedConfig, Snapshot};
use ledger::Ledger;
use store::{
    Actor, Email, InvalidText, LinkError, NewLink, NewUser, NoPlan, Purpose, RoleGrant, Store, User, UserChange,
    UserError, UserRef,
};

use crate::cli::{CreateUser, PasswordFlags, UserGrants, UserPassword, UserPlan, UserRole, Users, UsersCommand};
use crate::commands::config_file::ConfigFile;
use crate::commands::{block_on, has_store, load, load_for_store, open, open_or_make, printable, service, user};
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
        UsersCommand::Grants(grants) => &grants.which.place,
        UsersCommand::Plan(plan) => &plan.which.place,
        UsersCommand::Suspend(which) | UsersCommand::Activate(which) => &which.place,
    };
    let loaded = || load(place, &Flags::default());
    block_on(async {
        match &args.command {
            UsersCommand::Create(create) => self::create(&loaded()?, create).await?,
            UsersCommand::Password(password) => self::password(&loaded()?, password).await?,
            UsersCommand::Grants(grants) => {
                let insights = loaded()?.snapshot.traffic.insights.clone();
                let store = open(&load_for_store(place)?).await?;
                let done = self::grants(&store, &insights, grants).await;
                store.close().await;
                let (user, granted) = done?;
                show(&user, &granted);
            }
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
                users.iter().for_each(|(user, granted)| show(user, granted));
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Runs a command that needs no password, and returns the users to show, with their grants.
async fn act(store: &Store, command: &UsersCommand) -> anyhow::Result<Vec<(User, Vec<RoleGrant>)>> {
    let change = |status, role| UserChange { status, role, ..UserChange::default() };
    let (which, change) = match command {
        UsersCommand::Role(UserRole { which, role }) => (which, change(None, Some((*role).into()))),
        UsersCommand::Plan(UserPlan { which, plan }) => {
            (which, UserChange { plan: Some(plan.clone()), ..UserChange::default() })
        }
        UsersCommand::Suspend(which) => (which, change(Some(UserStatus::Suspended), None)),
        UsersCommand::Activate(which) => (which, change(Some(UserStatus::Active), None)),
        UsersCommand::List { .. } | UsersCommand::Create(_) | UsersCommand::Password(_) | UsersCommand::Grants(_) => {
            let users = store.users().await?;
            let ids: Vec<UserId> = users.iter().map(|user| user.id).collect();
            let mut granted = store.grants_of(&ids).await?;
            let with_grants = |user: User| {
                let granted = granted.remove(&user.id).unwrap_or_default();
                (user, granted)
            };
            return Ok(users.into_iter().map(with_grants).collect());
        }
    };
    let found = user(store, &which.user).await?;
    let changed = store.change_user(&Actor::COMMAND, &UserRef::Id(found.id), change).await?;
    let granted = store.grants(changed.id).await?;
    Ok(vec![(changed, granted)])
}

/// Replaces the grants of a user, and returns both.
async fn grants(
    store: &Store,
    configured: &insights::InsightSettings,
    args: &UserGrants,
) -> anyhow::Result<(User, Vec<RoleGrant>)> {
    let of_reviews = control::permissions::grants::of_reviews(&Ledger::new(store.clone()), configured).await?;
    let grants =
        control::permissions::grants::checked(args.roles.iter().map(|text| grant(text)).collect(), &of_reviews)
            .with_context(|| format!("nothing was changed; the roles are {}", printable(&roles(&of_reviews))))?;
    let change = UserChange { grants: Some(grants.clone()), ..UserChange::default() };
    let found = user(store, &args.which.user).await?;
    let changed = store.change_user(&Actor::COMMAND, &UserRef::Id(found.id), change).await?;
    Ok((changed, grants))
}

/// Reads `ROLE` or `ROLE:NAME=VALUE`.
fn grant(text: &str) -> RoleGrant {
    match text.split_once(':') {
        None => RoleGrant { role: text.to_owned(), label: None },
        Some((role, label)) => RoleGrant { role: role.to_owned(), label: Some(label.to_owned()) },
    }
}

/// Returns the names of the roles that a user may have beside admin and member.
fn roles(of_reviews: &[String]) -> String {
    let names: BTreeSet<&str> = of_reviews.iter().map(String::as_str).chain(["finance", "team_lead"]).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// Returns the heading for a terminal. Programs that read a pipe receive only the users.
fn heading(users: &[(User, Vec<RoleGrant>)]) -> String {
    let columns = row(["ID", "STATUS", "ROLE", "PLAN", "EMAIL", "GRANTS"]);
    match users {
        [] => format!("{columns}There is no user yet. `tollgate users create --email ADDRESS` creates one.\n"),
        _ => columns,
    }
}

/// Rejects a user that every store with this configuration would reject, so that a failure leaves no data folder
/// behind. Without the file in the working folder, which may name another store, no store is created.
fn check_new(LoadedConfig { snapshot, environment, .. }: &LoadedConfig, create: &CreateUser) -> anyhow::Result<()> {
    if create.name.iter().chain(&create.service).any(|name| name.trim().is_empty() || !store::is_fit_text(name)) {
        return Err(InvalidText { field: "a user's name" }.into());
    }
    if !has_store(&snapshot.process)? {
        if ConfigFile::chosen(&create.place, environment) == ConfigFile::Unread {
            return Err(StartFault::ConfigUnread { folder: snapshot.process.data.clone() }.into());
        }
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
    check_new(loaded, create)?;
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
        if !snapshot.file.is_empty() || store.plans().await?.is_empty() {
            store.ensure_plans(&snapshot.traffic.plans).await?;
        }
        if let Some(name) = &create.service
            && service(&store, name).await?.is_some()
        {
            let name = printable(name);
            anyhow::bail!(
                "the service user {name} exists already: no user was created; `tollgate users list` shows it"
            );
        }
        let new = NewUser { plan: plan(snapshot, create, &store.plans().await?)?, ..new };
        let created = match source {
            PasswordSource::Link => {
                let draft = LinkDraft::new()?;
                let created = store.create_user_with_link(&Actor::COMMAND, new, draft.hash(), draft.expires_at).await;
                let url = || draft.url(&snapshot.process, &link::control_of(loaded));
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
            let email = printable(create.email.as_deref().unwrap_or_default());
            let hint = if create.admin { ", and `tollgate users role` makes this user an admin" } else { "" };
            anyhow::anyhow!("{error}: no user was created; `tollgate users list` shows the user with {email}{hint}")
        })
    };
    let done = done.await;
    store.close().await;
    let (created, link) = done?;
    show(&created, &[]);
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
    // The audit log shows names, and no addresses.
    let name = create.name.as_deref().or_else(|| email.as_str().split('@').next()).unwrap_or_default().to_owned();
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
        let granted = store.grants(found.id).await?;
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
            let draft = LinkDraft::new()?;
            let purpose = Purpose::Password { user: found.id };
            let new = NewLink { purpose, hash: draft.hash(), expires_at: draft.expires_at };
            store.make_link(&Actor::COMMAND, new).await?;
            return Ok((found, granted, Some(draft.url(process, &link::control_of(loaded)))));
        };
        store.set_password(&Actor::COMMAND, found.id, &password::hash(&chosen)?, None).await?;
        anyhow::Ok((found, granted, None))
    };
    let done = done.await;
    store.close().await;
    match done? {
        (found, granted, Some(link)) => {
            show(&found, &granted);
            show_link(&link);
        }
        (found, granted, None) => {
            show(&found, &granted);
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

fn show(user: &User, granted: &[RoleGrant]) {
    let id = user.id.to_string();
    let plan = printable(&user.plan.name);
    let email = printable(user.address_or_name());
    let granted = granted.iter().map(written).collect::<Vec<_>>().join(",");
    say(&row([&id, user.status.as_str(), user.role.as_str(), &plan, &email, &granted]));
}

/// Returns a grant as `tollgate users grants` takes it.
fn written(RoleGrant { role, label }: &RoleGrant) -> String {
    let label = label.iter().map(|label| format!(":{label}"));
    printable(&std::iter::once(role.clone()).chain(label).collect::<String>())
}

fn row([id, status, role, plan, email, granted]: [&str; 6]) -> String {
    let row = format!("{id:<36}  {status:<9}  {role:<6}  {plan:<10}  {email:<28}  {granted}");
    format!("{}\n", row.trim_end())
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
            "ID                                    STATUS     ROLE    PLAN        EMAIL                         GRANTS\n\
             There is no user yet. `tollgate users create --email ADDRESS` creates one.\n"
        );
    }
}
