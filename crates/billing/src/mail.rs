//! Mails to customers and to finance. A mail is a row that is added with the change that it announces; the job `mail`
//! sends it.
//!
//! The figures of a mail are read when it is sent. A request for payment is not sent if its invoice is paid by then.

mod body;
mod delivery;
mod facts;
mod message;
mod notice;
mod smtp;

pub use delivery::{MailDelivery, SPEC};
pub use message::{MailParty, NotAnAddress};
pub use smtp::{ConnectionSecurity, OPENING_MAX, SmtpSettings, TlsUnusable};

/// The settings of mails that do not change while the process runs. The seller is that of the books.
#[derive(Debug)]
pub struct MailSettings {
    /// The server that takes mails.
    pub smtp: SmtpSettings,
    /// The sender of all mails.
    pub from: MailParty,
    /// The URL of the pages, for links; without one, mails have no links.
    pub pages: Option<String>,
}
