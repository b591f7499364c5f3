//! `/api/users`: user accounts, for admins.

use std::sync::Arc;

use access::{Refusal, Role, UserId, UserNo, UserStatus};
use axum::Json;
use axum::extract::{Request, State};
use http::StatusCode;
use ledger::billing::subscriptions;
use serde::{Deserialize, Serialize};
use store::{Email, LinkError, NewLink, NewUser, Purpose, RoleGrant, User, UserChange, UserError, UserRef};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::day_insights::settings::in_force;
use crate::input;
use crate::input::{Segment, address_of, name_of};
use crate::message::figures::UsageFigures;
use crate::message::listing;
use crate::message::moment::{first_of_month, rfc3339};
use crate::message::problem::Problem;
use crate::message::words::{RoleWord, StatusWord, UserKindWord};
use crate::nouns::labels_view::{self, LabelsView};
use crate::nouns::reach;
use crate::permissions::grants;
use crate::process::state::App;
use crate::sign_in::Account;
use crate::sign_in::caller::{Admin, AdminPerson};
use crate::sign_in::links::{NewTicket, PASSWORD_FOR, PasswordLink};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct UserListQuery {
    /// Returns only the user with this e-mail address; case is ignored.
    email: Option<String>,
    /// Returns only users with this status.
    #[param(value_type = Option<StatusWord>)]
    status: Option<String>,
    /// The maximum number of items on the page. Default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The value of `next` of the previous page. Without it, the first page is returned.
    cursor: Option<String>,
}

/// A page of users, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Users {
    items: Vec<UserView>,
    /// The cursor of the next page; null on the last page.
    next: Option<String>,
}

/// A user with the usage of this month and the user's roles.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListedUser)]
struct UserView {
    #[serde(flatten)]
    account: Account,
    /// The usage of all keys since the first day of this month (UTC).
    month: UsageFigures,
    /// The time of the newest request with any of the user's keys; null without one.
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
    /// The roles of the user beside `admin` and `member`.
    grants: Vec<GrantView>,
}

/// Adds the usage of this month. It reads one row per user, day, key and node, and the keys of the users.
async fn with_usage(app: &App, users: &[User]) -> Result<Vec<UserView>, Problem> {
    let today = app.clock.now().day();
    let numbers: Vec<UserNo> = users.iter().map(|user| user.no).collect();
    let used = app.ledger.usage_of_users(&numbers, [first_of_month(today), today]).await?;
    let ids: Vec<UserId> = users.iter().map(|user| user.id).collect();
    let mut grants = app.store.grants_of(&ids).await?;
    let views = users.iter().zip(used).map(|(user, used)| UserView {
        account: Account::from(user),
        month: UsageFigures::from(&used.total),
        last_used_at: used.used_at.map(rfc3339),
        grants: grants.remove(&user.id).unwrap_or_default().into_iter().map(GrantView::from).collect(),
    });
    Ok(views.collect())
}

/// A user to create.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewUser, example = json!({"email": "bob@example.com", "name": "Bob", "plan": "pro", "role": "member"}))]
#[serde(deny_unknown_fields)]
struct NewUserRequest {
    /// `person` (default), or `service` for a program: a user without an e-mail address and a password.
    #[schema(value_type = Option<UserKindWord>)]
    kind: Option<String>,
    /// The e-mail address, which is also the name for the sign-in; not allowed for a service user.
    #[schema(max_length = 254)]
    email: Option<String>,
    /// The display name: 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// The name of the plan.
    plan: String,
    /// The role of the user. Default `member`; a service user is a member.
    #[schema(value_type = Option<RoleWord>)]
    role: Option<String>,
}

/// A new user, and for a person the link to choose a password.
#[derive(Serialize, ToSchema)]
pub(super) struct CreatedUser {
    user: Account,
    /// Null for a service user.
    password_link: Option<PasswordLink>,
}

/// Changes of a user. Missing fields stay unchanged.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = UserChange, example = json!({"plan": "pro", "status": "active"}))]
#[serde(deny_unknown_fields)]
struct UserChangeRequest {
    /// The display name: 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// The name of the plan.
    plan: Option<String>,
    /// The status. `suspended` makes all keys of the user invalid, and ends all sessions permanently.
    #[schema(value_type = Option<StatusWord>)]
    status: Option<String>,
    /// The role of the user.
    #[schema(value_type = Option<RoleWord>)]
    role: Option<String>,
    /// Roles beside `admin` and `member`: `finance`, `team_lead` and those that sign off; they replace all earlier ones.
    grants: Option<Vec<GrantView>>,
    /// The labels of the user's requests by name, at most 8, such as `{"team": "payments"}`; they replace all earlier ones.
    labels: Option<LabelsView>,
}

/// A role of a user beside `admin` and `member`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Grant)]
#[serde(deny_unknown_fields)]
struct GrantView {
    /// The name of the role: 1 to 50 characters.
    #[schema(min_length = 1, max_length = 50)]
    role: String,
    /// The label as `NAME=VALUE` that the role is limited to; null everywhere, as always for `finance`.
    label: Option<String>,
}

impl From<RoleGrant> for GrantView {
    fn from(RoleGrant { role, label }: RoleGrant) -> Self {
        Self { role, label }
    }
}

/// One user with the user's roles.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserDetail)]
pub(super) struct UserDetail {
    #[serde(flatten)]
    user: Account,
    /// The roles of the user beside `admin` and `member`.
    grants: Vec<GrantView>,
    /// The labels of the user's requests by name; a key's labels override them.
    labels: LabelsView,
}

impl UserDetail {
    async fn load(app: &App, user: &User) -> Result<Self, Problem> {
        let grants = app.store.grants(user.id).await?;
        Ok(Self {
            user: Account::from(user),
            grants: grants.into_iter().map(GrantView::from).collect(),
            labels: labels_view::view(&user.labels),
        })
    }

    fn bob() -> Self {
        let labels = [("team".to_owned(), "payments".to_owned())].into();
        Self { user: Account::bob(), grants: vec![GrantView { role: "finance".to_owned(), label: None }], labels }
    }
}

/// Lists users, oldest first.
#[utoipa::path(get, path = "/api/users", tag = "admin", params(UserListQuery), security(("token" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["forbidden"]))),
    responses((status = 200, body = Users, example = json!({
        "items": [{"id": "0199aa00-0000-7000-8000-000000000000", "name": "Ada", "kind": "person", "email": "ada@example.com", "plan": "starter",
            "role": "admin", "status": "active", "created_at": "2026-11-20T08:03:52Z",
            "month": {"requests": 12, "credits": 12,
                "tokens": {"input": 900, "cached_input": 100, "cache_write": 0, "output": 400, "reasoning": 50, "total": 1450},
                "cost": {"amount_nano": 1234000, "currency": "USD"}, "unpriced_requests": 0},
            "last_used_at": "2026-11-20T09:12:00Z", "grants": [{"role": "finance", "label": null}]}],
        "next": null
    }))))]
pub(super) async fn list(State(app): State<Arc<App>>, _: Admin, request: Request) -> Result<Json<Users>, Problem> {
    let UserListQuery { email, status, limit, cursor } = input::query(request.uri())?;
    let limit = listing::limit(limit)?;
    let unreadable = |message: String| Problem::new(Refusal::BadRequest, message);
    let status = status.map(|word| UserStatus::parse(&word).ok_or_else(|| unreadable(STATUSES.to_owned())));
    let status = status.transpose()?;
    if let Some(email) = email {
        let email = Email::sought(&email).map_err(|error| unreadable(format!("`email`: {error}")))?;
        let found = app.store.find_user(&UserRef::Email(email)).await?;
        let found = found.filter(|user| status.is_none_or(|status| user.status == status));
        let items = with_usage(&app, found.as_slice()).await?;
        return Ok(Json(Users { items, next: None }));
    }
    let after = match listing::after(cursor.as_deref())? {
        Some(id) => {
            let last = app.store.find_user(&UserRef::Id(UserId(id))).await?;
            Some(last.ok_or_else(listing::no_cursor)?.no)
        }
        None => None,
    };
    let mut found = app.store.users_after(after, status, limit + 1).await?;
    let next = listing::cut(&mut found, limit, |user| user.id.0);
    Ok(Json(Users { items: with_usage(&app, &found).await?, next }))
}

/// Creates a user: a person with a one-time link to choose a password within a day, or a service user.
///
/// A key with the scope `admin` creates members only.
#[utoipa::path(post, path = "/api/users", tag = "admin", request_body = NewUserRequest, security(("token" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["forbidden", "conflict", "unprocessable"]))),
    responses((status = 201, body = CreatedUser, example = json!({
        "user": Account::bob(),
        "password_link": {"url": "https://tollgate.example.com/link#tgl_Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyMDE",
            "expires_at": "2026-11-21T08:03:52Z"}
    }))))]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    request: Request,
) -> Result<(StatusCode, Json<CreatedUser>), Problem> {
    let body: NewUserRequest = input::required(request, app.limits.body).await?;
    let new = body.read()?;
    reach::require_below(&caller, new.role)?;
    if new.email.is_none() {
        let user = app.store.create_user(&caller.actor(), new).await?;
        return Ok((StatusCode::CREATED, Json(CreatedUser { user: Account::from(&user), password_link: None })));
    }
    let ticket = NewTicket::generate(&app, PASSWORD_FOR)?;
    let (hash, expires_at) = ticket.hash_and_expiry();
    let (user, link) = app.store.create_user_with_link(&caller.actor(), new, hash, expires_at).await?;
    let created =
        CreatedUser { user: Account::from(&user), password_link: Some(PasswordLink::new(ticket.url(&app), &link)) };
    Ok((StatusCode::CREATED, Json(created)))
}

/// Returns one user, for admins.
#[utoipa::path(get, path = "/api/users/{id}", tag = "admin", security(("token" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The user")), extensions(("x-codes" = json!(["forbidden", "not_found"]))),
    responses((status = 200, body = UserDetail, example = json!(UserDetail::bob()))))]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    _: Admin,
    Segment(id): Segment,
) -> Result<Json<UserDetail>, Problem> {
    let user = find(&app, &id).await?;
    Ok(Json(UserDetail::load(&app, &user).await?))
}

/// Changes a user's name, plan, status, role, grants or labels on every server within a second.
///
/// A key with the scope `admin` changes members only, and no grants.
#[utoipa::path(patch, path = "/api/users/{id}", tag = "admin", request_body = UserChangeRequest,
    security(("token" = []), ("cookie" = [])), params(("id" = Uuid, Path, description = "The user")),
    extensions(("x-codes" = json!(["forbidden", "not_found", "conflict", "unprocessable"]))),
    responses((status = 200, body = UserDetail, example = json!(UserDetail::bob()))))]
pub(super) async fn change(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    Segment(id): Segment,
    request: Request,
) -> Result<Json<UserDetail>, Problem> {
    let UserChangeRequest { name, plan, status, role, grants, labels } =
        input::required(request, app.limits.body).await?;
    let change = UserChange {
        name: name.as_deref().map(name_of).transpose()?,
        plan,
        status: status.as_deref().map(status_of).transpose()?,
        role: role.as_deref().map(role_of).transpose()?,
        grants: match grants {
            Some(grants) => Some(grants_of(grants, &in_force(&app).await?.signoff.roles)?),
            None => None,
        },
        labels: labels.as_ref().map(labels_view::read).transpose()?,
    };
    reach::require_below(&caller, change.role.unwrap_or(Role::Member))?;
    if change.grants.is_some() {
        // A role sees and changes what refuses the key, with a password that outlives it.
        caller.require_password()?;
    }
    let found = find(&app, &id).await?;
    reach::require_below(&caller, found.role)?;
    if found.email.is_none() && change.role == Some(Role::Admin) {
        return Err(Problem::new(Refusal::Unprocessable, "a service user must have the role `member`"));
    }
    if change.plan.as_ref().is_some_and(|plan| *plan != found.plan.name) {
        refuse_subscriber(&app, found.id).await?;
    }
    let user = UserRef::Id(UserId(id.parse::<Uuid>().map_err(|_| missing())?));
    let changed = app.store.change_user(&caller.actor(), &user, change).await;
    let changed = changed.map_err(|error| if let UserError::NoUser(_) = error { missing() } else { error.into() })?;
    app.sessions.forget_all_of(changed.id);
    Ok(Json(UserDetail::load(&app, &changed).await?))
}

/// Refuses a plan by hand for a user whose plan follows from a subscription: the next change of that would undo it.
///
/// # Errors
/// `conflict`; `unavailable`.
async fn refuse_subscriber(app: &App, user: UserId) -> Result<(), Problem> {
    if app.billing.current().is_none() || subscriptions::present(&app.store, user).await?.is_none() {
        return Ok(());
    }
    let message = "the plan follows from the subscription of the user: change or cancel that";
    Err(Problem::new(Refusal::Conflict, message))
}

/// Creates a one-time link with which the user chooses a new password within a day.
///
/// An older link becomes invalid.
#[utoipa::path(post, path = "/api/users/{id}/password-link", tag = "admin", security(("token" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The user")),
    extensions(("x-codes" = json!(["forbidden", "not_found", "conflict"]))),
    responses((status = 201, body = PasswordLink, example = json!({
        "url": "https://tollgate.example.com/link#tgl_Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyMDE",
        "expires_at": "2026-11-21T08:03:52Z"
    }))))]
pub(super) async fn password_link(
    State(app): State<Arc<App>>,
    AdminPerson(caller): AdminPerson,
    Segment(id): Segment,
) -> Result<(StatusCode, Json<PasswordLink>), Problem> {
    let user = find(&app, &id).await?;
    if user.email.is_none() {
        return Err(Problem::new(Refusal::Conflict, "a service user has no password; create a key for it"));
    }
    let user = user.id;
    let ticket = NewTicket::generate(&app, PASSWORD_FOR)?;
    let (hash, expires_at) = ticket.hash_and_expiry();
    let new = NewLink { purpose: Purpose::Password { user }, hash, expires_at };
    let link = app.store.make_link(&caller.actor(), new).await;
    let link = link.map_err(|error| if let LinkError::NoUser(_) = error { missing() } else { error.into() })?;
    Ok((StatusCode::CREATED, Json(PasswordLink::new(ticket.url(&app), &link))))
}

/// Signs a user out everywhere: ends all sessions permanently.
#[utoipa::path(delete, path = "/api/users/{id}/sessions", tag = "admin", security(("token" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The user")), extensions(("x-codes" = json!(["forbidden", "not_found"]))),
    responses((status = 204, description = "All sessions have ended")))]
pub(super) async fn sign_out(
    State(app): State<Arc<App>>,
    AdminPerson(caller): AdminPerson,
    Segment(id): Segment,
) -> Result<StatusCode, Problem> {
    let user = find(&app, &id).await?.id;
    app.store.end_sessions(&caller.actor(), user, None).await?;
    app.sessions.forget_all_of(user);
    Ok(StatusCode::NO_CONTENT)
}

impl NewUserRequest {
    /// Validates the fields.
    ///
    /// # Errors
    /// `bad_request` if a service user has an e-mail address, or a person none; `unprocessable`, which names the field.
    fn read(self) -> Result<NewUser, Problem> {
        let Self { kind, email, name, plan, role } = self;
        let role = role.as_deref().map(role_of).transpose()?.unwrap_or(Role::Member);
        match (kind.as_deref().unwrap_or("person"), email) {
            ("person", Some(email)) => {
                Ok(NewUser { role, ..NewUser::member(address_of(&email)?, name_of(&name)?, plan) })
            }
            ("person", None) => Err(Problem::new(Refusal::BadRequest, "a person needs `email`")),
            ("service", None) if role == Role::Member => Ok(NewUser::service(name_of(&name)?, plan)),
            ("service", None) => {
                Err(Problem::new(Refusal::Unprocessable, "a service user must have the role `member`"))
            }
            ("service", Some(_)) => Err(Problem::new(Refusal::BadRequest, "a service user has no `email`")),
            _ => Err(Problem::new(Refusal::Unprocessable, "`kind` must be `person` or `service`")),
        }
    }
}

const STATUSES: &str = "`status` must be `active` or `suspended`";

fn status_of(word: &str) -> Result<UserStatus, Problem> {
    UserStatus::parse(word).ok_or_else(|| Problem::new(Refusal::Unprocessable, STATUSES))
}

fn role_of(word: &str) -> Result<Role, Problem> {
    Role::parse(word).ok_or_else(|| Problem::new(Refusal::Unprocessable, "`role` must be `member` or `admin`"))
}

fn grants_of(views: Vec<GrantView>, of_reviews: &[String]) -> Result<Vec<RoleGrant>, Problem> {
    let grants = views.into_iter().map(|GrantView { role, label }| RoleGrant { role, label }).collect();
    grants::checked(grants, of_reviews).map_err(|error| Problem::new(Refusal::Unprocessable, error.to_string()))
}

/// Finds a user by the id in a path.
///
/// # Errors
/// `not_found`, also for an invalid id; `unavailable`.
pub(super) async fn find(app: &App, id: &str) -> Result<User, Problem> {
    let id = UserId(id.parse::<Uuid>().map_err(|_| missing())?);
    let found = app.store.find_user(&UserRef::Id(id)).await?;
    found.ok_or_else(missing)
}

fn missing() -> Problem {
    Problem::new(Refusal::NotFound, "no user has this id")
}
