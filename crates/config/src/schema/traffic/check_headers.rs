//! Headers of health checks. Values that may be secrets are not shown.

use super::forms::FIELD_NAME_PATTERN;
use super::route::FIELD_VALUE;
use access::Secret;
use http::HeaderValue;
use serde_json::Value as Json;
use settings::field::{KeyField, Map};
use settings::form::{Form, FormRefusal};
use settings::input::Input;
use settings::secret_text::is_secret_header;
use settings::section::setting::{Listing, Value};
use settings::section::{Section, SettingsReader};
use settings::spec::{Describe, ValueShape};
use settings::yaml::{Kind, YamlNode};

/// The form of the value of a header. Sensitive values are not shown.
struct CheckHeaderForm;

impl Form for CheckHeaderForm {
    type Value = HeaderValue;

    fn parse(&self, text: &str) -> Result<HeaderValue, FormRefusal> {
        FIELD_VALUE.parse(text)
    }

    fn shown(&self, value: &HeaderValue) -> Value {
        if value.is_sensitive() {
            return Value::secret(&Secret::new(String::from_utf8_lossy(value.as_bytes()).into_owned()));
        }
        FIELD_VALUE.shown(value)
    }

    fn cell(&self) -> String {
        FIELD_VALUE.cell()
    }

    fn schema(&self) -> Json {
        FIELD_VALUE.schema()
    }

    fn read_node(&self, reader: &SettingsReader<'_>, node: &YamlNode, name: &str) -> Option<Input<HeaderValue>> {
        let mut input = FIELD_VALUE.read_node(reader, node, name)?;
        // The content of a file may be a secret.
        let is_of_file = matches!(&node.kind, Kind::Scalar(text) if text.starts_with("file:"));
        input.value.set_sensitive(is_of_file);
        Some(input)
    }
}

/// A mapping of names of headers to their values.
pub(super) struct CheckHeaders(Map<CheckHeaderForm>);

impl CheckHeaders {
    /// `expected` describes valid names.
    pub(super) const fn new(is_name: fn(&str) -> bool, expected: &'static str) -> Self {
        Self(Map::new(CheckHeaderForm, is_name, expected, FIELD_NAME_PATTERN))
    }
}

impl Describe for CheckHeaders {
    fn shape(&self) -> ValueShape {
        self.0.shape()
    }

    fn cell(&self) -> String {
        self.0.cell()
    }

    fn default_cell(&self) -> String {
        self.0.default_cell()
    }

    fn schema(&self) -> Json {
        self.0.schema()
    }
}

impl KeyField for CheckHeaders {
    type Input = Vec<(String, Input<HeaderValue>)>;

    fn read(&self, section: &Section<'_>, key: &str) -> Self::Input {
        let mut headers = self.0.read(section, key);
        headers
            .iter_mut()
            .filter(|(name, _)| is_secret_header(name))
            .for_each(|(_, input)| input.value.set_sensitive(true));
        headers
    }

    fn show(&self, input: &Self::Input, key: &str, listing: &mut Listing<'_>) {
        self.0.show(input, key, listing);
    }
}
