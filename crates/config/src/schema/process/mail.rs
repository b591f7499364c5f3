//! The keys of `mail`.

use std::path::PathBuf;
use std::time::Duration;

use settings::field::{default, optional, required};
use settings::form::{DurationForm, FILE, Scalar, TextForm, bad};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;

use crate::snapshot::{MailSender, SmtpServer};

section! {
    MailInput {
        /// The SMTP server: `smtps://` with TLS, `smtp+starttls://` with STARTTLS, or `smtp://` on this machine.
        smtp: Option<Input<SmtpServer>> = required(SMTP);
        /// The sender of mails: `Billing <billing@example.com>`.
        from: Option<Input<MailSender>> = required(FROM);
        /// The certificate authorities, in PEM.
        ca: Option<Input<PathBuf>> = optional(FILE, "Mozilla's");
        /// Time limit of each step of a delivery.
        timeout: Input<Duration> = default(TIMEOUT, || Duration::from_secs(60));
    }
}

/// The longest step: servers may need 10 minutes to accept a message (RFC 5321, 4.5.3.2.6).
const TIMEOUT: DurationForm = DurationForm::new(Duration::from_secs(1), Duration::from_secs(600));
const SMTP: TextForm<SmtpServer> = TextForm {
    parse: |url| {
        let expected = "smtps://[USER:PASSWORD@]HOST[:PORT], smtp+starttls://…, or smtp://… to localhost";
        SmtpServer::parse(url).ok_or_else(|| bad(expected))
    },
    shown: |server| Value::secret(&server.url),
    cell: "`smtps://[USER:PASSWORD@]HOST[:PORT]`, `smtp+starttls://…`",
    pattern: r"^[Ss][Mm][Tt][Pp]([Ss]|\+[Ss][Tt][Aa][Rr][Tt][Tt][Ll][Ss])?://.",
    scalar: Scalar::Text,
};
const FROM: TextForm<MailSender> = TextForm {
    parse: |text| MailSender::parse(text).ok_or_else(|| bad("an address, or NAME <ADDRESS>")),
    shown: |sender| Value::text(sender),
    cell: "address, or `NAME <ADDRESS>`",
    pattern: "^[^@]*[^@ <]@[^@]+$",
    scalar: Scalar::Text,
};
