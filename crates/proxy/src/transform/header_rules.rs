//! The changes of headers that a route makes, after all others.

use config::snapshot::{HeaderPart, HeaderRules, HeaderTemplate, unreserved};
use http1::{Field, HeadEdits, InvalidPart, KnownName};
use tokio::time::Instant;

use crate::account::identity::Identity;
use crate::account::request::RequestContext;
use crate::client::head::{is_one_of, is_same_name};
use crate::client::trusted::TrustRule;
use crate::transform::control_cookies::ControlCookies;
use crate::transform::credentials::HeaderCredentials;

/// Longest value with values of the request, in bytes. A longer one is not written.
const VALUE_LEN_MAX: usize = 8_192;

/// The changes of a route, and the request whose values they have.
#[derive(Clone, Copy)]
pub(crate) struct RouteHeaders<'a> {
    pub(crate) rules: &'a HeaderRules,
    pub(crate) request: &'a RequestContext,
    pub(crate) identity: &'a Identity,
    /// The credentials in the values; `None` if they have none.
    pub(crate) credentials: Option<&'a HeaderCredentials<'a>>,
    /// Which received headers the receiver may trust; `None` if it is the client.
    pub(crate) trust: Option<&'a TrustRule<'a>>,
}

impl RouteHeaders<'_> {
    /// Applies the changes to a request. Servers that convert names to variables (RFC 3875, 4.1.18) read underscores as
    /// hyphens, so a client's fields with such names are removed too.
    ///
    /// # Errors
    /// The edits have too many names.
    pub(crate) fn apply_to_request(&self, edits: &mut HeadEdits) -> Result<(), InvalidPart> {
        let is_lookalike = |name: &[u8]| name.contains(&b'_') && is_one_of(name, &self.rules.names);
        edits.remove_fields(self.request.head.fields(), |field| is_lookalike(field.name));
        self.apply(edits)
    }

    /// Applies the changes. A field whose value does not exist or cannot be written is removed: a client cannot set it.
    ///
    /// # Errors
    /// The edits have too many names.
    pub(crate) fn apply(&self, edits: &mut HeadEdits) -> Result<(), InvalidPart> {
        let rules = self.rules;
        edits.append_all(&rules.replaced)?;
        for template in &rules.replaced_by_values {
            edits.remove_named(template.name.as_bytes())?;
            self.append(edits, template)?;
        }
        edits.append_all(&rules.appended)?;
        rules.appended_values.iter().try_for_each(|template| self.append(edits, template))
    }

    fn append(&self, edits: &mut HeadEdits, template: &HeaderTemplate) -> Result<(), InvalidPart> {
        let value = self.value(template).filter(|value| value.len() <= VALUE_LEN_MAX);
        let written = match &value {
            Some(value) => edits.append_named(template.name.as_bytes(), value),
            None => Err(InvalidPart::Value),
        };
        match written {
            Err(InvalidPart::Value) => {
                tracing::debug!(request_id = %self.request.id, header = %template.name, "a header has no valid value");
                Ok(())
            }
            written => written,
        }
    }

    /// Returns the parts of the fields with these names that depend on the client; `None` for a part without a value.
    pub(crate) fn parts_of_client(&self, names: &[Box<str>]) -> impl Iterator<Item = Option<Vec<u8>>> {
        let templates = self.rules.replaced_by_values.iter().chain(&self.rules.appended_values);
        let parts =
            templates.filter(move |template| is_one_of(template.name.as_bytes(), names)).flat_map(|of| &of.parts);
        // Parameters are parts of the URL.
        let of_client = parts
            .filter(|part| matches!(part, HeaderPart::Claim(_) | HeaderPart::Header(_) | HeaderPart::ClientAddress));
        of_client.map(|part| {
            let mut value = Vec::new();
            self.add_part(&mut value, part).map(|()| value)
        })
    }

    /// Returns the value of a field; `None` if the request has no value for a part of it.
    fn value(&self, template: &HeaderTemplate) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        template.parts.iter().try_for_each(|part| self.add_part(&mut value, part))?;
        Some(value)
    }

    fn add_part(&self, value: &mut Vec<u8>, part: &HeaderPart) -> Option<()> {
        match part {
            HeaderPart::Literal(text) => value.extend_from_slice(text.as_bytes()),
            HeaderPart::Credential(label) => {
                value.extend_from_slice(self.credentials?.get(label)?.expose().as_bytes());
            }
            HeaderPart::Latency => {
                let elapsed = Instant::now().saturating_duration_since(self.request.begun);
                value.extend_from_slice(format!("{}ms", elapsed.as_millis()).as_bytes());
            }
            HeaderPart::RequestId => value.extend_from_slice(self.request.id_text.as_bytes()),
            HeaderPart::ClientAddress => {
                value.extend_from_slice(self.request.origin(self.request.is_peer_trusted()).address.as_bytes());
            }
            HeaderPart::Claim(name) => {
                let claims = &self.identity.token.as_ref()?.verified.claims;
                value.extend_from_slice(claims.field_value(name).ok().flatten()?.as_bytes());
            }
            HeaderPart::Header(name) => self.add_header(value, name)?,
            HeaderPart::Parameter(position) => {
                let path = unreserved(self.request.head.path());
                let captures = self.rules.path.as_ref()?.captures(&path)?;
                value.extend_from_slice(captures.get(*position)?.as_bytes());
            }
        }
        Some(())
    }

    /// Adds the values of a header of the request, as one list (RFC 9110, 5.3). An upstream gets none that it would not get
    /// under the header's own name.
    fn add_header(&self, value: &mut Vec<u8>, name: &str) -> Option<()> {
        let control_cookies = ControlCookies::from_key_prefix(self.request.snapshot.process.brand.slug());
        let is_removed = |field: &Field<'_>| {
            let is_session = field.known == Some(KnownName::Cookie) && control_cookies.is_in(field.value);
            is_session || self.trust.is_some_and(|trust| trust.removes(field) || trust.replaces(field))
        };
        let received = self.request.head.fields().iter().filter(|field| !is_removed(field));
        let token = self.identity.token.iter().flat_map(|token| token.identity_fields());
        let service = self.identity.service.iter().flat_map(|service| service.identity_fields());
        let named = |field: &Field<'_>| is_same_name(field.name, name.as_bytes());
        let certificate = self.trust.and_then(|trust| trust.certificate_field());
        let mut of_identity = token.chain(service).chain(certificate).filter(named).map(|field| field.value).peekable();
        let mut received = received.filter(named).map(|field| field.value);
        let values: &mut dyn Iterator<Item = &[u8]> =
            if of_identity.peek().is_some() { &mut of_identity } else { &mut received };
        value.extend_from_slice(values.next()?);
        for other in values {
            value.extend_from_slice(b", ");
            value.extend_from_slice(other);
        }
        Some(())
    }
}
