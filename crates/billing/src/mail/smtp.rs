//! A delivery to the SMTP server, step by step. Each step has a time limit.

use std::fmt;
use std::time::Duration;

use access::Secret;
use lettre::Address;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use thiserror::Error;
use tokio::time::timeout;

/// How a connection to the server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionSecurity {
    /// TLS from the first byte.
    Tls,
    /// TLS after the command `STARTTLS`, which the server must offer.
    StartTls,
    /// No TLS, to a server on this machine.
    Plain,
}

/// The SMTP server and how to reach it.
#[derive(Debug, Clone)]
pub struct SmtpSettings {
    /// How the connection is protected.
    pub security: ConnectionSecurity,
    /// The host name or address.
    pub host: String,
    /// The port of the server.
    pub port: u16,
    /// The user name and the password; `None` means no sign-in.
    pub credentials: Option<(String, Secret)>,
    /// The certificates that sign that of the server, in PEM; `None` means those of Mozilla.
    pub ca: Option<Vec<u8>>,
    /// Time limit of each step.
    pub timeout: Duration,
    /// Time limit of all steps before the message together.
    pub opening: Duration,
}

/// The usual time limit of all steps before the message. Without it, a server that uses the whole time of each step would
/// hold a delivery for longer than a run of the job.
pub const OPENING_MAX: Duration = Duration::from_mins(2);

/// The certificates of `mail.ca` cannot be used.
#[derive(Debug, Error)]
#[error("the certificates of mail.ca cannot be used")]
pub struct TlsUnusable(#[from] SmtpError);

/// Why a message was not delivered.
#[derive(Debug, Error)]
#[error("{message}")]
pub(super) struct SmtpFailure {
    pub(super) effect: FailureEffect,
    /// The status of the response, for logs; it has no text of the server, which may contain addresses.
    pub(super) status: Option<u16>,
    /// The message for the row.
    pub(super) message: String,
}

/// What a failure means for the mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailureEffect {
    /// The server cannot be used: no mail is sent for now.
    NoServer,
    /// The server refused this message for now.
    Later,
    /// The server refused this message for good.
    Refused,
    /// The message was sent, and its response is missing.
    Unknown,
}

/// The longest message of a row.
const MESSAGE_CHARS_MAX: usize = 200;

/// A client of one SMTP server.
pub(super) struct SmtpClient {
    settings: SmtpSettings,
    tls: Option<TlsParameters>,
    hello: ClientId,
}

impl fmt::Debug for SmtpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpClient").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A delivery for which the server waits for the message.
pub(super) struct OpenDelivery {
    connection: AsyncSmtpConnection,
    limit: Duration,
}

impl SmtpClient {
    /// Returns a client that names itself by the domain of its sender.
    pub(super) fn new(settings: SmtpSettings, domain: &str) -> Result<Self, TlsUnusable> {
        let tls = match settings.security {
            ConnectionSecurity::Plain => None,
            ConnectionSecurity::Tls | ConnectionSecurity::StartTls => {
                let mut builder = TlsParameters::builder(settings.host.clone());
                if let Some(pem) = &settings.ca {
                    builder = builder.certificate_store(CertificateStore::None);
                    builder = builder.add_root_certificate(Certificate::from_pem(pem)?);
                }
                Some(builder.build()?)
            }
        };
        Ok(Self { settings, tls, hello: ClientId::Domain(domain.to_owned()) })
    }

    /// Connects, signs in, and announces a message. The server then waits for it.
    pub(super) async fn open(&self, from: &Address, to: &Address) -> Result<OpenDelivery, SmtpFailure> {
        within(self.settings.opening, Box::pin(self.open_step_by_step(from, to))).await?
    }

    async fn open_step_by_step(&self, from: &Address, to: &Address) -> Result<OpenDelivery, SmtpFailure> {
        let mut connection = self.connect().await?;
        let mut parameters = Vec::new();
        if !to.to_string().is_ascii() {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                let message = "the server accepts only addresses in ASCII";
                return Err(SmtpFailure::new(FailureEffect::Refused, message));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let limit = self.settings.timeout;
        // All mails have this sender, so that its refusal concerns the configuration. With SMTPUTF8, it may
        // concern the recipient.
        let refused: fn(SmtpError) -> SmtpFailure =
            if parameters.is_empty() { SmtpFailure::no_server } else { SmtpFailure::from };
        within(limit, connection.command(Mail::new(Some(from.clone()), parameters))).await?.map_err(refused)?;
        let recipient = within(limit, connection.command(Rcpt::new(to.clone(), Vec::new()))).await?;
        recipient.map_err(SmtpFailure::of_recipient)?;
        within(limit, connection.command(Data)).await?.map_err(SmtpFailure::from)?;
        Ok(OpenDelivery { connection, limit })
    }

    /// Any failure here is one of the server or of the configuration, not of a message.
    async fn connect(&self) -> Result<AsyncSmtpConnection, SmtpFailure> {
        let Self { settings, tls, hello } = self;
        let server = (settings.host.as_str(), settings.port);
        let at_once = if settings.security == ConnectionSecurity::Tls { tls.clone() } else { None };
        let connecting = AsyncSmtpConnection::connect_tokio1(server, Some(settings.timeout), hello, at_once, None);
        let mut connection = within(settings.timeout, connecting).await?.map_err(SmtpFailure::no_server)?;
        if settings.security == ConnectionSecurity::StartTls
            && let Some(tls) = tls.clone()
        {
            within(settings.timeout, connection.starttls(tls, hello)).await?.map_err(SmtpFailure::no_server)?;
        }
        if let Some((user, password)) = &settings.credentials {
            let credentials = Credentials::new(user.clone(), password.expose().to_owned());
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            let signing_in = connection.auth(&mechanisms, &credentials);
            within(settings.timeout, signing_in).await?.map_err(SmtpFailure::no_server)?;
        }
        Ok(connection)
    }
}

impl OpenDelivery {
    /// Sends the message. Without a response, the server may have accepted it.
    pub(super) async fn send(mut self, message: &[u8]) -> Result<(), SmtpFailure> {
        let sent = timeout(self.limit, self.connection.message(message)).await;
        let sent = sent.map_err(|_| SmtpFailure::new(FailureEffect::Unknown, "the server did not respond in time"))?;
        match sent {
            Ok(_) => {
                // The message is accepted, whatever happens to the connection.
                let _ = timeout(self.limit.min(QUIT_MAX), self.connection.quit()).await;
                Ok(())
            }
            Err(error) if error.is_transient() || error.is_permanent() => Err(SmtpFailure::from(error)),
            Err(error) => Err(SmtpFailure { effect: FailureEffect::Unknown, ..SmtpFailure::from(error) }),
        }
    }

    /// Ends the delivery without a message.
    pub(super) async fn abort(mut self) {
        let _ = timeout(QUIT_MAX, self.connection.abort()).await;
    }
}

/// The time for the end of a connection, which decides nothing.
const QUIT_MAX: Duration = Duration::from_secs(2);

async fn within<T>(limit: Duration, step: impl Future<Output = T>) -> Result<T, SmtpFailure> {
    let message = "the server did not respond in time";
    timeout(limit, step).await.map_err(|_| SmtpFailure::new(FailureEffect::NoServer, message))
}

impl SmtpFailure {
    pub(super) fn new(effect: FailureEffect, message: &str) -> Self {
        Self { effect, status: None, message: message.to_owned() }
    }

    fn no_server(error: SmtpError) -> Self {
        Self { effect: FailureEffect::NoServer, ..Self::from(error) }
    }

    /// Reads the refusal of a recipient. By default, Postfix refuses the sender in this response.
    fn of_recipient(error: SmtpError) -> Self {
        let failure = Self::from(error);
        let is_sender =
            ["5.1.7 ", "5.1.8 ", "Sender address rejected"].iter().any(|text| failure.message.contains(text));
        if is_sender { Self { effect: FailureEffect::NoServer, ..failure } } else { failure }
    }
}

impl From<SmtpError> for SmtpFailure {
    /// A response decides about the message; a failure of the connection does not.
    fn from(error: SmtpError) -> Self {
        let effect = match (error.is_permanent(), error.is_transient()) {
            (true, _) => FailureEffect::Refused,
            (_, true) => FailureEffect::Later,
            (false, false) => FailureEffect::NoServer,
        };
        let status = error.status().map(u16::from);
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !text.contains(&cause_text) {
                text = format!("{text}: {cause_text}");
            }
            source = cause.source();
        }
        let message = text.chars().filter(|letter| !letter.is_control()).take(MESSAGE_CHARS_MAX).collect();
        Self { effect, status, message }
    }
}
