//! Mappings whose values may be secrets: the listing has digests of them.

use access::Secret;
use serde_json::Value as Json;
use settings::field::KeyField;
use settings::secret_text::{is_secret_header, names_secret};
use settings::section::Section;
use settings::section::setting::{Listing, Value};
use settings::spec::{Describe, ValueShape};

/// A mapping in which some names are those of secrets. Regular expressions are conditions, not secrets.
pub(super) struct SecretValues<F> {
    field: F,
    /// Whether the value with this name may be a secret.
    may_be_secret: fn(&str, &str) -> bool,
}

impl<F> SecretValues<F> {
    /// The field has values of headers.
    pub(super) const fn of_headers(field: F) -> Self {
        Self { field, may_be_secret: |name, _| is_secret_header(name) }
    }

    /// The field has values of query parameters.
    pub(super) const fn of_parameters(field: F) -> Self {
        Self { field, may_be_secret: |name, _| is_secret_parameter(name) }
    }

    /// The field has values of JSON bodies, by their pointers. A number such as that of `max_tokens` is no secret.
    pub(super) const fn of_body(field: F) -> Self {
        let may_be_secret = |name: &str, text: &str| {
            let is_plain = |value: Json| value.is_number() || value.is_boolean() || value.is_null();
            names_secret(name) && !serde_json::from_str::<Json>(text).is_ok_and(is_plain)
        };
        Self { field, may_be_secret }
    }
}

/// Whether the value of a query parameter with this name may be a secret.
pub(crate) fn is_secret_parameter(name: &str) -> bool {
    names_secret(name)
}

impl<F: Describe> Describe for SecretValues<F> {
    fn shape(&self) -> ValueShape {
        self.field.shape()
    }

    fn cell(&self) -> String {
        self.field.cell()
    }

    fn default_cell(&self) -> String {
        self.field.default_cell()
    }

    fn schema(&self) -> Json {
        self.field.schema()
    }
}

impl<F: KeyField> KeyField for SecretValues<F> {
    type Input = F::Input;

    fn read(&self, section: &Section<'_>, key: &str) -> Self::Input {
        self.field.read(section, key)
    }

    fn show(&self, input: &Self::Input, key: &str, listing: &mut Listing<'_>) {
        let before = listing.settings.len();
        self.field.show(input, key, listing);
        for setting in listing.settings.iter_mut().skip(before) {
            let name = setting.key.strip_prefix(key).and_then(|name| name.strip_prefix('.'));
            if let Some(name) = name.filter(|name| !name.ends_with(".regex"))
                && let Value::Text(text) = &setting.value
                && (self.may_be_secret)(name, text)
            {
                setting.value = Value::secret(&Secret::new(text.clone()));
            }
        }
    }
}
