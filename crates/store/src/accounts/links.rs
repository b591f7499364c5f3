//! One-time links to sign up, to choose a password, or to become the first admin. Only their hashes are stored.

use access::{LinkId, Role, Secret, TicketHash, Timestamp, UserId};
use serde_json::json;
use thiserror::Error;
use uuid::Uuid;

use crate::accounts::password_links;
use crate::accounts::session_end::CredentialGone;
use crate::accounts::sessions::{NewSession, Session, SessionError};
use crate::accounts::users::change::has_admin;
use crate::accounts::users::password::PasswordUpdate;
use crate::accounts::users::{self, Email, NewUser, NoUser, User, UserError, UserRef, find};
use crate::audit::{Act, Actor, ActorKind, AuditAction};
use crate::error::DatabaseError;
use crate::opening::handle::Store;
use crate::plans::{self, NoPlan};
use crate::sql::{Transaction, micros, statements, timestamp};

/// Maximum number of invitations that are neither used, withdrawn nor expired. A user has at most one open link for a password.
pub const OPEN_MAX: usize = 1_000;

const INVITE: &str = "invite";
const PASSWORD: &str = "password";
const FIRST_ADMIN: &str = "first_admin";

/// Columns and tables of a [`LinkRow`].
macro_rules! link_columns {
    () => {
        "l.id, l.kind, l.user_id, l.email, p.name AS plan, l.made_by_id, l.expires_at, l.used_at, l.created_at
        FROM links l LEFT JOIN plans p ON p.id = l.plan_id"
    };
}

statements! {
    ADD = "INSERT INTO links (id, kind, hash, user_id, email, plan_id, made_by_id, expires_at, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)";
    COUNT_OPEN = "SELECT count(*) FROM links WHERE kind = 'invite' AND used_at IS NULL AND expires_at > $1";
    FIND = concat!("SELECT ", link_columns!(), " WHERE l.hash = $1");
    OPEN = concat!("SELECT ", link_columns!(), " WHERE l.kind = 'invite' AND l.used_at IS NULL AND l.expires_at > $1 AND l.id < $2 ORDER BY l.id DESC LIMIT $3");
    // The row is the lock: if two requests redeem a link at once, the second waits here and finds it used.
    REDEEM = "UPDATE links SET used_at = $3, updated_at = $3 WHERE hash = $1 AND kind = $2 AND used_at IS NULL AND
        expires_at > $3";
    TAKE_BACK = "UPDATE links SET expires_at = $2, updated_at = $2 WHERE id = $1 AND kind = 'invite' AND used_at IS NULL AND
        expires_at > $2";
    TAKE_BACK_ALL = "UPDATE links SET expires_at = $1, updated_at = $1 WHERE used_at IS NULL AND expires_at > $1";
    TAKE_BACK_FIRST = "UPDATE links SET expires_at = $1, updated_at = $1 WHERE kind = 'first_admin' AND used_at IS NULL AND
        expires_at > $1";
}

/// An admin exists already; only an admin can create further ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an admin already exists")]
pub struct AdminExists;

/// The error of the creation of a link.
#[derive(Debug, Error)]
pub enum LinkError {
    /// The store has the maximum number of open invitations.
    #[error("the store has the maximum of {OPEN_MAX} open invitations: withdraw some first")]
    TooManyLinks,
    /// The link is for the first admin, and an admin exists.
    #[error(transparent)]
    AdminExists(#[from] AdminExists),
    /// The plan of the invitation does not exist.
    #[error(transparent)]
    NoPlan(#[from] NoPlan),
    /// The user of a password link does not exist.
    #[error(transparent)]
    NoUser(#[from] NoUser),
    /// The user that is created with the link cannot be created.
    #[error(transparent)]
    User(#[from] UserError),
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// The error of the use of a link, and of signing up.
#[derive(Debug, Error)]
pub enum RedeemError {
    /// The link does not exist, or it is used, withdrawn or expired; the response does not reveal which.
    #[error("the link does not exist, or it is used or expired")]
    NoLink,
    /// The link is for the first admin, and an admin exists.
    #[error(transparent)]
    AdminExists(#[from] AdminExists),
    /// The user cannot be created, or does not exist.
    #[error(transparent)]
    User(#[from] UserError),
    /// The session of the new user cannot begin.
    #[error(transparent)]
    CredentialGone(#[from] CredentialGone),
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<NoUser> for RedeemError {
    fn from(missing: NoUser) -> Self {
        Self::User(missing.into())
    }
}

impl From<SessionError> for RedeemError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::CredentialGone(gone) => gone.into(),
            SessionError::Database(error) => error.into(),
        }
    }
}

/// The purpose of a link. `Debug` omits the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// Allows one person to sign up.
    Invite {
        /// Address that the new user must have; `None` allows any address.
        email: Option<Email>,
        /// Plan of the new user; `None` is the default plan of sign-ups.
        plan: Option<String>,
    },
    /// Allows a user to choose a password.
    Password {
        /// User who chooses the password.
        user: UserId,
    },
    /// Allows a person to sign up as an admin, while no admin with a password exists.
    FirstAdmin,
}

/// A link that is to be created.
#[derive(Debug, Clone)]
pub struct NewLink {
    /// Purpose of the link.
    pub purpose: Purpose,
    /// SHA-256 of the link's ticket.
    pub hash: TicketHash,
    /// The link is invalid from this time on. At most 30 days ahead: older links are deleted.
    pub expires_at: Timestamp,
}

/// The password that the user of a link chose.
#[derive(Debug, Clone, Copy)]
pub struct RedeemedPassword<'a> {
    /// Hash of the password.
    pub phc: &'a Secret,
    /// The stored hash that the password was verified against: the user chose the same password again. The sessions
    /// continue, unless the stored hash has changed by now.
    pub same_as: Option<&'a Secret>,
}

impl<'a> RedeemedPassword<'a> {
    /// Returns a password that differs from the previous one.
    #[must_use]
    pub const fn new(phc: &'a Secret) -> Self {
        Self { phc, same_as: None }
    }
}

/// A link that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Public id of the link.
    pub id: LinkId,
    /// Purpose of the link.
    pub purpose: Purpose,
    /// User who created the link; `None` for a command or Tollgate itself.
    pub made_by: Option<UserId>,
    /// The link is invalid from this time on.
    pub expires_at: Timestamp,
    /// Time at which the link was created.
    pub created_at: Timestamp,
}

#[derive(sqlx_macros::FromRow)]
struct LinkRow {
    id: Uuid,
    kind: String,
    user_id: Option<Uuid>,
    email: Option<String>,
    plan: Option<String>,
    made_by_id: Option<Uuid>,
    expires_at: i64,
    used_at: Option<i64>,
    created_at: i64,
}

impl LinkRow {
    fn read(self) -> Result<Link, DatabaseError> {
        let purpose = match (self.kind.as_str(), self.user_id) {
            (INVITE, _) => Purpose::Invite { email: self.email.and_then(Email::stored), plan: self.plan },
            (PASSWORD, Some(user)) => Purpose::Password { user: UserId(user) },
            (FIRST_ADMIN, _) => Purpose::FirstAdmin,
            _ => return Err(DatabaseError::Unreadable { table: "links", column: "kind" }),
        };
        Ok(Link {
            id: LinkId(self.id),
            purpose,
            made_by: self.made_by_id.map(UserId),
            expires_at: timestamp(self.expires_at),
            created_at: timestamp(self.created_at),
        })
    }

    /// Returns why the link is invalid at `now`; only for the log.
    fn shut_at(&self, now: i64) -> Option<&'static str> {
        match self {
            Self { used_at: Some(_), .. } => Some("used"),
            _ if self.expires_at <= now => Some("expired"),
            _ => None,
        }
    }
}

impl Purpose {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Invite { .. } => INVITE,
            Self::Password { .. } => PASSWORD,
            Self::FirstAdmin => FIRST_ADMIN,
        }
    }
}

impl Store {
    /// Creates a link. A password link withdraws those of the same user, and a link for the first admin all others of
    /// its kind; the audit line contains their number.
    ///
    /// # Errors
    /// [`LinkError::TooManyLinks`], [`LinkError::NoPlan`], [`LinkError::NoUser`], [`LinkError::AdminExists`] for the first
    /// admin's link, and database errors.
    pub async fn make_link(&self, by: &Actor, new: NewLink) -> Result<Link, LinkError> {
        let mut transaction = match new.purpose {
            // Serialised with the transactions that create admins, or with those that count open invitations.
            Purpose::FirstAdmin | Purpose::Invite { .. } => self.begin_quiet().await?,
            Purpose::Password { .. } => self.begin().await?,
        };
        let made = self.add_link(&mut transaction, by, new).await?;
        transaction.commit().await?;
        Ok(made)
    }

    /// Creates a user, as [`create_user`](Self::create_user), and a link to choose its password, in one transaction.
    ///
    /// # Errors
    /// The errors of [`create_user`](Self::create_user), [`LinkError::TooManyLinks`], and database errors.
    pub async fn create_user_with_link(
        &self,
        by: &Actor,
        new: NewUser,
        hash: TicketHash,
        expires_at: Timestamp,
    ) -> Result<(User, Link), LinkError> {
        let mut transaction = self.begin_quiet().await?;
        let user = self.add_user(&mut transaction, by, new, None).await?;
        let new = NewLink { purpose: Purpose::Password { user: user.id }, hash, expires_at };
        let made = self.add_link(&mut transaction, by, new).await?;
        transaction.commit().await?;
        Ok((user, made))
    }

    async fn add_link(&self, transaction: &mut Transaction, by: &Actor, new: NewLink) -> Result<Link, LinkError> {
        let id = self.new_id();
        let now = self.now();
        let mut user = None;
        let mut email = None;
        let mut plan = None;
        let mut taken_back = 0;
        match &new.purpose {
            Purpose::Invite { email: of, plan: named } => {
                let (open,): (i64,) = transaction.query(COUNT_OPEN).bind(now).one().await?;
                if usize::try_from(open).unwrap_or(usize::MAX) >= OPEN_MAX {
                    return Err(LinkError::TooManyLinks);
                }
                email = of.as_ref().map(|of| of.as_str().to_owned());
                if let Some(named) = named {
                    plan = Some(plans::find_id::<LinkError>(transaction, named).await?.0);
                }
            }
            Purpose::Password { user: of } => {
                if !users::hold(transaction, *of).await? {
                    return Err(NoUser { id: Some(*of) }.into());
                }
                taken_back = password_links::take_back_of(transaction, *of, now).await?;
                user = Some(*of);
            }
            Purpose::FirstAdmin => {
                if has_admin(transaction).await? {
                    return Err(AdminExists.into());
                }
                taken_back = transaction.query(TAKE_BACK_FIRST).bind(now).run().await?;
            }
        }
        let made_by = match by.by {
            ActorKind::User { user, .. } | ActorKind::Key { user, .. } => Some(user),
            ActorKind::Command | ActorKind::System => None,
        };
        let add = transaction
            .query(ADD)
            .bind(id)
            .bind(new.purpose.kind())
            .bind(new.hash.0.to_vec())
            .bind(user.map(|user| user.0))
            .bind(email)
            .bind(plan)
            .bind(made_by.map(|user| user.0))
            .bind(micros(new.expires_at))
            .bind(now);
        add.run().await?;
        let act = Act::new(AuditAction::LinkCreate, id, user).with(json!({"kind": new.purpose.kind()}));
        self.note(transaction, by, act.counting("links_taken_back", taken_back)).await?;
        let purpose = new.purpose;
        let expires_at = new.expires_at;
        let created_at = timestamp(now);
        Ok(Link { id: LinkId(id), purpose, made_by, expires_at, created_at })
    }

    /// Returns the link with this hash, if it can be used. Only the log reveals whether a link was used or has expired.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn find_link(&self, hash: TicketHash) -> Result<Option<Link>, DatabaseError> {
        let row: Option<LinkRow> = self.query(FIND).bind(hash.0.to_vec()).find().await?;
        row.filter(|row| is_open(row, self.now())).map(LinkRow::read).transpose()
    }

    /// Withdraws an invitation, and returns whether it existed and could be used.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn take_back_invite(&self, by: &Actor, id: LinkId) -> Result<bool, DatabaseError> {
        let mut transaction = self.begin().await?;
        if transaction.query(TAKE_BACK).bind(id.0).bind(self.now()).run().await? == 0 {
            return Ok(false);
        }
        self.note(&mut transaction, by, Act::new(AuditAction::LinkRevoke, id.0, None)).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Returns the invitations that can be used and precede `before`, newest first; at most `limit`.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn open_invites(&self, before: Option<LinkId>, limit: u32) -> Result<Vec<Link>, DatabaseError> {
        let before = before.map_or(Uuid::max(), |link| link.0);
        let rows: Vec<LinkRow> = self.query(OPEN).bind(self.now()).bind(before).bind(i64::from(limit)).all().await?;
        rows.into_iter().map(LinkRow::read).collect()
    }

    /// Signs a member up with an invitation, or without one if sign-up is open. This uses up the invitation. If the
    /// invitation names a plan, the user gets that plan; if it names an address, the user must have that address.
    ///
    /// # Errors
    /// [`RedeemError::NoLink`], and the errors of [`create_user`](Self::create_user); the invitation then remains usable.
    pub async fn register(&self, by: &Actor, new: NewUser, invite: Option<TicketHash>) -> Result<User, RedeemError> {
        let mut transaction = self.begin_quiet().await?;
        let user = self.add_member(&mut transaction, by, new, invite).await?;
        transaction.commit().await?;
        Ok(user)
    }

    /// Signs a member up and begins a session in the same transaction, so that a client may retry after an error.
    ///
    /// # Errors
    /// The errors of [`register`](Self::register) and [`begin_session`](Self::begin_session).
    pub async fn register_signed_in(
        &self,
        by: &Actor,
        new: NewUser,
        invite: Option<TicketHash>,
        session: impl FnOnce(UserId) -> NewSession + Send,
    ) -> Result<(User, Session), RedeemError> {
        let mut transaction = self.begin_quiet().await?;
        let user = self.add_member(&mut transaction, by, new, invite).await?;
        let own = Actor { by: ActorKind::User { user: user.id, session: None }, ..*by };
        let begun = self.add_session(&mut transaction, &own, session(user.id)).await?;
        transaction.commit().await?;
        Ok((user, begun))
    }

    async fn add_member(
        &self,
        transaction: &mut Transaction,
        by: &Actor,
        new: NewUser,
        invite: Option<TicketHash>,
    ) -> Result<User, RedeemError> {
        let mut new = NewUser { role: Role::Member, demo: false, ..new };
        let mut link = None;
        if let Some(hash) = invite {
            let invitation = self.redeem(transaction, hash, INVITE).await?;
            link = Some(invitation.id);
            if let Purpose::Invite { email, plan } = invitation.purpose {
                if email.is_some() && email != new.email {
                    return Err(RedeemError::NoLink);
                }
                new.plan = plan.unwrap_or(new.plan);
            }
        }
        Ok(self.add_user(transaction, by, new, link).await?)
    }

    /// Sets the password of the link's user, as [`set_password`](Self::set_password) does, and ends all sessions of the
    /// user, unless the user chose the same password again.
    ///
    /// # Errors
    /// [`RedeemError::NoLink`], and database errors.
    pub async fn redeem_password(
        &self,
        by: &Actor,
        hash: TicketHash,
        chosen: RedeemedPassword<'_>,
    ) -> Result<User, RedeemError> {
        let mut transaction = self.begin().await?;
        // The user's row is locked before the link, as in every other change of a password.
        let row: Option<LinkRow> = transaction.query(FIND).bind(hash.0.to_vec()).find().await?;
        if let Some(user) = row.and_then(|row| row.user_id) {
            users::hold(&mut transaction, UserId(user)).await?;
        }
        let link = self.redeem(&mut transaction, hash, PASSWORD).await?;
        let Purpose::Password { user } = link.purpose else { return Err(RedeemError::NoLink) };
        let put = PasswordUpdate { user, phc: chosen.phc, except: None, link: Some(link.id) };
        match chosen.same_as {
            Some(before) => self.put_same_password::<RedeemError>(&mut transaction, by, put, before).await?,
            None => self.put_password::<RedeemError>(&mut transaction, by, put).await?,
        }
        let user = find(&mut transaction, &UserRef::Id(user)).await?;
        transaction.commit().await?;
        Ok(user)
    }

    /// Creates the first admin, while no admin with a password exists.
    ///
    /// # Errors
    /// [`RedeemError::NoLink`], [`RedeemError::AdminExists`], and the errors of [`create_user`](Self::create_user); the
    /// link then remains usable.
    pub async fn redeem_first_admin(&self, by: &Actor, hash: TicketHash, new: NewUser) -> Result<User, RedeemError> {
        let mut transaction = self.begin_quiet().await?;
        let link = self.redeem(&mut transaction, hash, FIRST_ADMIN).await?;
        if has_admin(&mut transaction).await? {
            return Err(AdminExists.into());
        }
        let new = NewUser { role: Role::Admin, demo: false, ..new };
        let user = self.add_user(&mut transaction, by, new, Some(link.id)).await?;
        transaction.commit().await?;
        Ok(user)
    }

    async fn redeem(
        &self,
        transaction: &mut Transaction,
        hash: TicketHash,
        kind: &'static str,
    ) -> Result<Link, RedeemError> {
        let now = self.now();
        let redeemed = transaction.query(REDEEM).bind(hash.0.to_vec()).bind(kind).bind(now).run().await?;
        let row: Option<LinkRow> = transaction.query(FIND).bind(hash.0.to_vec()).find().await?;
        match row {
            Some(row) if redeemed == 1 => Ok(row.read()?),
            Some(row) => {
                is_open(&row, now);
                Err(RedeemError::NoLink)
            }
            None => Err(RedeemError::NoLink),
        }
    }
}

/// Withdraws all links in the store.
pub(crate) async fn take_back_all(transaction: &mut Transaction, now: i64) -> Result<(), DatabaseError> {
    transaction.query(TAKE_BACK_ALL).bind(now).run().await?;
    Ok(())
}

/// Whether a link can be used; logs the reason if it cannot.
fn is_open(row: &LinkRow, now: i64) -> bool {
    let shut = row.shut_at(now);
    if let Some(why) = shut {
        tracing::info!(link = %row.id, kind = row.kind, why, "a used or expired one-time link was refused");
    }
    shut.is_none()
}
