//! The keys of `tests[]`.

use super::forms::{ANY_NAME, FIELD_NAME_PATTERN};
use super::route::FIELD_VALUE;
use super::secret_values::SecretValues;
use crate::explain::WrittenRequest;
use http::{HeaderName, HeaderValue};
use serde_json::{Value as Json, json};
use settings::field::{Map, nested, optional, required};
use settings::form::{Scalar, TextForm, Whole, bad};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;
use settings::spec::Rule;

section! {
    RequestTestInput {
        /// The method with a URL or a path: `GET https://api.example.com/users?page=1`.
        request: Option<Input<String>> = required(REQUEST);
        /// Headers of the request, at most 100.
        headers: Vec<(String, Input<HeaderValue>)> =
            SecretValues::of_headers(Map::new(FIELD_VALUE, is_field, "a field name", FIELD_NAME_PATTERN));
        /// The expected result; at least one key.
        expect: ExpectInput = nested::<ExpectInput>();
        rules: Rule::Required("expect");
    }
}

section! {
    ExpectInput {
        /// The route, or the path of an LLM endpoint.
        route: Option<Input<String>> = optional(ANY_NAME, "");
        /// An upstream that may get the request.
        upstream: Option<Input<String>> = optional(ANY_NAME, "");
        /// The path and query for the upstream.
        target: Option<Input<String>> = optional(ANY_NAME, "");
        /// The status, if the gateway responds: 401, 404, a redirect, `respond`.
        status: Option<Input<u32>> = optional(Whole::<u32>::new(200, 599), "");
        rules: Rule::Values(any_expectation);
    }
}

fn any_expectation() -> Json {
    json!({"minProperties": 1})
}

/// Whether a request can have a field of this name.
fn is_field(name: &str) -> bool {
    name.len() <= 64 && HeaderName::from_bytes(name.as_bytes()).is_ok()
}

const REQUEST: TextForm<String> = TextForm {
    parse: |line| match WrittenRequest::parse(line, &[]) {
        Ok(_) => Ok(line.to_owned()),
        Err(error) => Err(bad(&error.to_string())),
    },
    shown: |line| Value::text(line),
    cell: "method and URL",
    pattern: r"^([!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]+)?([Hh][Tt][Tt][Pp][Ss]?://|/)[!-~]*$",
    scalar: Scalar::Text,
};
