//! The keys of `routes[].transformations`.

use settings::field::{Either, Map, ValueList, list, maybe_nested, nested, optional, single_or_absent};
use settings::form::{Scalar, TextForm, accept};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;
use settings::spec::Rule;

use super::forms::PATH;
use super::matches::{PARAMETER_TEXT, PATH_MATCH, REGEX, is_parameter};
use super::secret_values::SecretValues;
use crate::snapshot::{PathMatch, Pattern, UpstreamHost};

section! {
    RewriteInput {
        /// The new path, with parameters of the route's path: `/v2/users/{id}`.
        path: Option<Either<PathMatch, PathRewriteInput>> = single_or_absent(PATH_MATCH, nested::<PathRewriteInput>());
        /// The [host](routing.md#hosts) for the backend.
        host: Option<Input<UpstreamHost>> = optional(UPSTREAM_HOST, "`preserve` over `http`, `backend` over `https`");
        /// Changes of the query parameters.
        query: Option<QueryRewriteInput> = maybe_nested::<QueryRewriteInput>();
    }
}

section! {
    PathRewriteInput {
        /// Replaces the prefix of the route's path.
        prefix: Option<Input<String>> = optional(PATH, "");
        /// A regular expression; `to` replaces its first match in the path.
        regex: Option<Input<Pattern>> = optional(REGEX, "");
        /// The replacement; `$1` is the first group.
        to: Option<Input<String>> = optional(REPLACEMENT, "");
        rules: Rule::ExactlyOne(&["prefix", "regex"]), Rule::Requires("regex", "to"), Rule::Requires("to", "regex");
    }
}

section! {
    QueryRewriteInput {
        /// Parameters that replace the request's parameters of the same name.
        add: Vec<(String, Input<String>)> = ADDED;
        /// The names of parameters that are removed.
        remove: ValueList<String> = list(PARAMETER_NAME, 64, "none");
    }
}

const ADDED: SecretValues<Map<TextForm<String>>> = SecretValues::of_parameters(Map::new(
    PARAMETER_TEXT,
    is_parameter,
    "a name of 1 to 128 characters, not encoded",
    r"^[\s\S]{1,128}$",
));

/// Longest host with a port, in bytes.
const HOST_LEN_MAX: usize = 259;
const UPSTREAM_HOST: TextForm<UpstreamHost> = TextForm {
    parse: |text| match text {
        "preserve" => Ok(UpstreamHost::Preserve),
        "backend" => Ok(UpstreamHost::Backend),
        name => {
            let (host, port) = name.split_once(':').map_or((name, None), |(host, port)| (host, Some(port)));
            let is_label = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_');
            let is_port = |port: &str| port.bytes().all(|digit| digit.is_ascii_digit()) && port.parse::<u16>().is_ok();
            let is_valid = !host.is_empty() && host.bytes().all(is_label) && port.is_none_or(is_port);
            let expected = "`preserve`, `backend`, or a host with or without a port: api.example.com:8080";
            accept(name, is_valid && name.len() <= HOST_LEN_MAX, expected).map(|name| UpstreamHost::Name(name.into()))
        }
    },
    shown: |host| match host {
        UpstreamHost::ByScheme | UpstreamHost::Preserve => Value::text("preserve"),
        UpstreamHost::Backend => Value::text("backend"),
        UpstreamHost::Name(name) => Value::text(name),
    },
    cell: "`preserve`, `backend`, or host",
    pattern: "^[A-Za-z0-9._-]+(:[0-9]{1,4}|:[1-5][0-9]{4}|:6[0-4][0-9]{3}|:65[0-4][0-9]{2}|:655[0-2][0-9]|:6553[0-5])?$",
    scalar: Scalar::Text,
};
const PARAMETER_NAME: TextForm<String> = TextForm {
    parse: |name| accept(name, is_parameter(name), "a name of 1 to 128 characters, not encoded"),
    shown: |name| Value::text(name),
    cell: "name",
    pattern: r"^[\s\S]{1,128}$",
    scalar: Scalar::Any,
};
const REPLACEMENT: TextForm<String> = TextForm {
    parse: |text| {
        let is_sent = |octet: u8| octet.is_ascii_graphic() && !matches!(octet, b'?' | b'#');
        let is_valid = text.len() <= 2_048 && text.bytes().all(is_sent);
        accept(text, is_valid, "a part of a path, such as /api/$1/")
    },
    shown: |text| Value::text(text),
    cell: "part of a path",
    pattern: "^[!-\"$->@-~]{0,2048}$",
    scalar: Scalar::Any,
};
