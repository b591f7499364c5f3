//! The message of a mail: its headers and its parts.

use std::time::{Duration, SystemTime};

use access::Timestamp;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart, header::ContentType};
use lettre::{Address, Message};
use thiserror::Error;
use uuid::Uuid;

use super::body;
use super::notice::Notice;
use crate::language::Language;

/// The longest name in a header.
const NAME_CHARS_MAX: usize = 100;

/// A name and an address of a mail.
#[derive(Debug, Clone)]
pub struct MailParty {
    name: Option<String>,
    address: Address,
}

/// The address cannot be used in mails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("mails cannot reach the address")]
pub struct NotAnAddress;

impl MailParty {
    /// Parses an address. Control characters of the name are removed, so a name cannot add headers.
    ///
    /// # Errors
    /// [`NotAnAddress`] if the address is invalid.
    pub fn new(name: &str, address: &str) -> Result<Self, NotAnAddress> {
        let address = address.parse().map_err(|_| NotAnAddress)?;
        let name: String = name.chars().filter(|letter| !letter.is_control()).take(NAME_CHARS_MAX).collect();
        Ok(Self { name: Some(name).filter(|name| !name.trim().is_empty()), address })
    }

    pub(super) const fn address(&self) -> &Address {
        &self.address
    }

    fn mailbox(&self) -> Mailbox {
        Mailbox::new(self.name.clone(), self.address.clone())
    }
}

/// A document that is attached to a mail.
#[derive(Debug)]
pub(super) struct AttachedFile {
    pub(super) name: String,
    pub(super) content: Vec<u8>,
}

/// The parts of a message.
#[derive(Debug)]
pub(super) struct NewMessage<'a> {
    /// The id of the row, which makes the Message-ID: a repeat has the same one.
    pub(super) id: Uuid,
    pub(super) from: &'a MailParty,
    pub(super) to: &'a MailParty,
    pub(super) at: Timestamp,
    pub(super) language: Language,
    pub(super) notice: &'a Notice,
    pub(super) attached: Option<AttachedFile>,
}

impl NewMessage<'_> {
    /// Returns the message as it is sent.
    ///
    /// # Errors
    /// Errors of the library, for a message that it cannot write.
    pub(super) fn build(self) -> Result<Vec<u8>, lettre::error::Error> {
        let auto = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
        let language =
            HeaderValue::new(HeaderName::new_from_ascii_str("Content-Language"), self.language.code().to_owned());
        let builder = Message::builder()
            .from(self.from.mailbox())
            .to(self.to.mailbox())
            .subject(self.notice.subject.clone())
            .date(SystemTime::UNIX_EPOCH + Duration::from_micros(self.at.0))
            .message_id(Some(format!("<{}@{}>", self.id, self.from.address.domain())))
            .raw_header(auto)
            .raw_header(language);
        let texts = MultiPart::alternative_plain_html(body::text(self.notice), body::html(self.notice, self.language));
        let message = match self.attached {
            None => builder.multipart(texts)?,
            Some(AttachedFile { name, content }) => {
                let pdf = ContentType::parse("application/pdf").unwrap_or(ContentType::TEXT_PLAIN);
                let file = Attachment::new(name).body(content, pdf);
                builder.multipart(MultiPart::mixed().multipart(texts).singlepart(file))?
            }
        };
        Ok(message.formatted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_line_breaks_add_no_headers() {
        let from = MailParty::new("Billing", "billing@example.com").unwrap();
        let to = MailParty::new("Ada\r\nBcc: eve@example.com\r\n\r\nbody", "ada@example.com").unwrap();
        let notice = Notice {
            subject: "Faktur \u{e9}\r\nX-Injected: 1".to_owned(),
            paragraphs: vec!["<b>\r\n.\r\nQUIT".to_owned()],
            figures: Vec::new(),
            link: None,
            signature: "PT".to_owned(),
        };
        let new = NewMessage {
            id: Uuid::nil(),
            from: &from,
            to: &to,
            at: Timestamp(0),
            language: Language::Indonesian,
            notice: &notice,
            attached: Some(AttachedFile { name: "a.pdf".to_owned(), content: b"%PDF".to_vec() }),
        };
        let message = String::from_utf8(new.build().unwrap()).unwrap();
        let (head, _) = message.split_once("\r\n\r\n").unwrap();
        let names: Vec<&str> = head
            .split("\r\n")
            .filter(|line| !line.starts_with([' ', '\t']))
            .map(|line| line.split_once(':').unwrap().0)
            .collect();
        for name in &names {
            assert!(
                [
                    "From",
                    "To",
                    "Subject",
                    "Date",
                    "Message-ID",
                    "Auto-Submitted",
                    "Content-Language",
                    "MIME-Version",
                    "Content-Type"
                ]
                .contains(name),
                "{head}"
            );
        }
        assert!(message.contains("Message-ID: <00000000-0000-0000-0000-000000000000@example.com>"), "{head}");
        assert!(message.is_ascii(), "a server without 8BITMIME accepts the message");
        let counts = ["<b>", "&lt;b&gt;"].map(|text| message.matches(text).count());
        assert_eq!(counts, [1, 1], "the text is as it is in plain text, and no markup in HTML: {message}");
        assert_eq!(MailParty::new("a", "no address").map(|_| ()), Err(NotAnAddress));
    }
}
