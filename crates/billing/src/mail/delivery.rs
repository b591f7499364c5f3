//! The job that sends mails.
//!
//! A mail is sent at most once as far as SMTP allows. Until the server waits for the message, every failure is repeated.
//! The state `sending` is stored before the message is sent. If the response is then missing, the server may have
//! accepted the message: its state becomes `unknown`, and it is not sent again. A server that does this repeatedly would
//! so end all mails, so the job pauses after the second such message in a row.

use std::sync::Arc;
use std::time::Duration;

use access::{Mono, Timestamp};
use jobs::{Cancellation, Job, JobError, JobSpec, NextRun, Owner};
use ledger::billing::{InvoiceParty, StoredMail, mails};
use store::{DatabaseError, Store};

use super::MailSettings;
use super::facts::{self, MailContent, MailFacts};
use super::message::{MailParty, NewMessage};
use super::notice::NoticeWriter;
use super::smtp::{FailureEffect, SmtpClient, SmtpFailure, TlsUnusable};
use crate::books::LiveBooks;
use crate::language::Language;
use crate::pauses::Pauses;
use crate::rules::mail_kind::MailKind;
use crate::settings::BillingSettings;

/// The specification of the job `mail`. A run sends one mail, so that a process that stops begins no further one. It waits for
/// the mail in progress for some seconds.
pub const SPEC: JobSpec = JobSpec {
    owner: Owner::OneNode,
    run_max: Duration::from_mins(15),
    cancellation: Cancellation::AfterRun,
    ..JobSpec::every("mail", Duration::from_secs(1))
};

/// Abandoned mails of one run.
const PAGE: u32 = 20;
/// The pauses between the attempts of a mail.
const PAUSES: Pauses = Pauses { first: Duration::from_secs(30), longest: Duration::from_hours(1) };
/// A mail that cannot be sent within this time is given up (RFC 5321, 4.5.4.1: 4 to 5 days).
const GIVEN_UP_AFTER: Duration = Duration::from_hours(4 * 24);
/// A sending that is older has no result, because its process ended: a run takes less.
const ABANDONED_AFTER: Duration = Duration::from_mins(20);

/// The job that sends mails.
#[derive(Debug, Clone)]
pub struct MailDelivery {
    store: Store,
    books: LiveBooks,
    settings: Arc<MailSettings>,
    client: Arc<SmtpClient>,
    silence: Silence,
}

/// A mail with the objects that it is about, and its recipient.
struct AddressedMail<'a> {
    mail: &'a StoredMail,
    kind: MailKind,
    facts: &'a MailFacts,
    to: &'a MailParty,
}

/// The messages that the server received without a response.
#[derive(Debug, Clone, Copy, Default)]
struct Silence {
    /// Number of such messages in a row.
    messages: i64,
    /// The beginning and the length of the pause; `None` after at most one message.
    pause: Option<(Mono, Duration)>,
}

/// The server cannot be used. The runner logs it; its message has no address.
#[derive(Debug, thiserror::Error)]
#[error("the SMTP server cannot be used")]
struct ServerUnusable(#[source] SmtpFailure);

/// The server received messages and did not respond. No mail is sent until the pause ends.
#[derive(Debug, thiserror::Error)]
#[error("the SMTP server did not respond to {0} messages in a row; mails pause for up to an hour")]
struct ServerSilent(i64);

impl MailDelivery {
    /// Returns the job for the store of these books.
    ///
    /// # Errors
    /// [`TlsUnusable`] if the certificates of `mail.ca` are invalid.
    pub fn new(store: Store, books: impl Into<LiveBooks>, settings: MailSettings) -> Result<Self, TlsUnusable> {
        let client = SmtpClient::new(settings.smtp.clone(), settings.from.address().domain())?;
        let settings = Arc::new(settings);
        let client = Arc::new(client);
        Ok(Self { store, books: books.into(), settings, client, silence: Silence::default() })
    }
}

impl Job for MailDelivery {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        // Without a seller, no mail is signed: mails wait until billing is on again.
        let Some(books) = self.books.current() else { return Ok(NextRun::Period) };
        let now = self.store.clock().now();
        for mail in mails::abandoned(&self.store, now.before(ABANDONED_AFTER), PAGE).await? {
            self.finish(&mail, "unknown", "the process ended while the mail was sent").await?;
        }
        let began = self.store.clock().mono();
        if self.silence.pause.is_some_and(|(since, pause)| began.since(since) < pause) {
            return Err(ServerSilent(self.silence.messages).into());
        }
        let due = mails::due(&self.store, now, 1).await?;
        let Some(mail) = due.first() else { return Ok(NextRun::Period) };
        self.deliver(mail, books.settings()).await?;
        Ok(NextRun::Now)
    }

    async fn has_work(&mut self) -> Result<bool, JobError> {
        let now = self.store.clock().now();
        Ok(!mails::due(&self.store, now, 1).await?.is_empty())
    }
}

impl MailDelivery {
    /// Sends one mail, or records why it is not sent. An error ends the run: other mails have the same one.
    async fn deliver(&mut self, mail: &StoredMail, billing: &BillingSettings) -> Result<(), JobError> {
        let now = self.store.clock().now();
        let Some(kind) = MailKind::of_name(&mail.kind) else {
            return Ok(self.finish(mail, "failed", "this version does not know the kind").await?);
        };
        // The process, the server or the configuration of mails may have been missing for that time.
        if mail.attempts > 0 && mail.created_at.after(GIVEN_UP_AFTER) <= now {
            return Ok(self.finish(mail, "failed", &format!("given up: {}", mail.error)).await?);
        }
        let facts = match facts::read(&self.store, mail, kind).await {
            Ok(MailContent::Facts(facts)) => facts,
            Ok(MailContent::Dropped(reason)) => {
                return Ok(mails::finish(&self.store, mail.id, "dropped", reason).await?);
            }
            Err(error @ DatabaseError::Unreadable { .. }) => return Ok(self.unreadable(mail, &error).await?),
            Err(error) => return Err(error.into()),
        };
        let to = match recipient(mail, kind, &billing.seller) {
            Ok(to) => to,
            Err(reason) => return Ok(self.finish(mail, "failed", reason).await?),
        };
        let addressed = AddressedMail { mail, kind, facts: &facts, to: &to };
        let message = match self.message(&addressed, billing) {
            Ok(message) => message,
            Err(error) => return Ok(self.finish(mail, "failed", &error.to_string()).await?),
        };
        let opened = match self.client.open(self.settings.from.address(), to.address()).await {
            Ok(opened) => opened,
            Err(failure) => return self.not_opened(mail, failure).await,
        };
        if !mails::claim(&self.store, mail.id).await? {
            opened.abort().await;
            return Ok(());
        }
        match opened.send(&message).await {
            Ok(()) => {
                self.silence = Silence::default();
                Ok(mails::finish(&self.store, mail.id, "sent", "").await?)
            }
            Err(failure) => self.not_sent(mail, failure).await,
        }
    }

    /// A value of the mail's object cannot be read, which does not concern other mails.
    async fn unreadable(&self, mail: &StoredMail, error: &DatabaseError) -> Result<(), DatabaseError> {
        tracing::warn!(mail = %mail.id, kind = mail.kind, %error, "the object of a mail cannot be read");
        mails::postpone(&self.store, mail.id, self.next_at(mail), &error.to_string()).await
    }

    /// Nothing was sent, so the mail may be repeated.
    async fn not_opened(&self, mail: &StoredMail, failure: SmtpFailure) -> Result<(), JobError> {
        match failure.effect {
            FailureEffect::Refused => Ok(self.refused(mail, &failure).await?),
            FailureEffect::Later | FailureEffect::NoServer | FailureEffect::Unknown => {
                let next_at = self.next_at(mail);
                mails::postpone(&self.store, mail.id, next_at, &failure.message).await?;
                if failure.effect == FailureEffect::Later { Ok(()) } else { Err(ServerUnusable(failure).into()) }
            }
        }
    }

    /// The message was sent, and the server did not accept it.
    async fn not_sent(&mut self, mail: &StoredMail, failure: SmtpFailure) -> Result<(), JobError> {
        match failure.effect {
            FailureEffect::Refused => Ok(self.refused(mail, &failure).await?),
            FailureEffect::Later => {
                Ok(mails::repeat(&self.store, mail.id, self.next_at(mail), &failure.message).await?)
            }
            FailureEffect::NoServer | FailureEffect::Unknown => {
                let messages = self.silence.messages + 1;
                let pause = (messages > 1).then(|| (self.store.clock().mono(), PAUSES.next(&self.store, messages - 2)));
                self.silence = Silence { messages, pause };
                self.finish(mail, "unknown", &failure.message).await?;
                Err(ServerUnusable(failure).into())
            }
        }
    }

    async fn refused(&self, mail: &StoredMail, failure: &SmtpFailure) -> Result<(), DatabaseError> {
        tracing::warn!(mail = %mail.id, kind = mail.kind, status = failure.status, "the SMTP server refused a mail for good");
        mails::finish(&self.store, mail.id, "failed", &failure.message).await
    }

    /// Records a result that an operator should know. The log has no address.
    async fn finish(&self, mail: &StoredMail, state: &str, error: &str) -> Result<(), DatabaseError> {
        tracing::warn!(mail = %mail.id, kind = mail.kind, state, "a mail is not sent any more");
        mails::finish(&self.store, mail.id, state, error).await
    }

    fn message(&self, of: &AddressedMail<'_>, billing: &BillingSettings) -> Result<Vec<u8>, lettre::error::Error> {
        let AddressedMail { mail, kind, facts, to } = *of;
        let customer = Language::of_code(&mail.language).unwrap_or(Language::English);
        let language = if kind.is_for_finance() { Language::English } else { customer };
        let pages = self.settings.pages.as_deref();
        let seller = &billing.seller.name;
        let notice = NoticeWriter { facts, language, seller, pages, zone: billing.zone }.notice(kind);
        let from = &self.settings.from;
        NewMessage { id: mail.id, from, to, at: mail.created_at, language, notice: &notice, attached: None }.build()
    }

    fn next_at(&self, mail: &StoredMail) -> Timestamp {
        PAUSES.next_at(&self.store, mail.attempts)
    }
}

/// Returns the recipient of a mail: the customer, or the address of the seller.
fn recipient(mail: &StoredMail, kind: MailKind, seller: &InvoiceParty) -> Result<MailParty, &'static str> {
    if !kind.is_for_finance() {
        return MailParty::new(&mail.name, &mail.email).map_err(|_| "the address of the user is invalid");
    }
    if seller.email.is_empty() {
        return Err("billing.seller.email is not set");
    }
    MailParty::new(&seller.name, &seller.email).map_err(|_| "billing.seller.email is not an address")
}
