//! Compiles the changes of headers and statuses in `routes[].transformations`.

use http::StatusCode;
use http1::HeadEdits;
use settings::error::{Code, Problem};
use settings::input::Input;
use settings::section::{SettingsReader, one_of};

use super::change_inputs::ChangeInputs;
use crate::schema::traffic::{HEADERS_MAX, HeaderPiece, HeaderText};
use crate::snapshot::credentials::KEY_HEADERS;
use crate::snapshot::{HeaderPart, HeaderRules, HeaderTemplate, PathMatch, ResponseRules, Template};

/// The names of values, for errors.
const NAMES: &str = "`${latency}`, `${request_id}`, `${client_address}`, `${claim.NAME}`, `${header.NAME}`, `${path.NAME}`, \
    or a variable such as `${NAME}`";

/// The parts of a route that give values to headers.
#[derive(Clone, Copy)]
pub(super) struct ValueSources<'a> {
    pub(super) path: &'a PathMatch,
    /// Whether clients of the route may have an access token with claims.
    pub(super) has_claims: bool,
}

type Headers = [(String, Input<HeaderText>)];

/// Returns the changes of the headers of requests to upstreams; `None` without one.
pub(super) fn of_requests(
    reader: &SettingsReader<'_>,
    inputs: ChangeInputs<'_>,
    from: ValueSources<'_>,
) -> Option<Box<HeaderRules>> {
    let removed = inputs.request("remove_headers").map_or(&[][..], |input| &input.remove_headers.list);
    let added = inputs.request("add_headers").map_or(&[][..], |input| &input.add_headers);
    let appended = inputs.request("append_headers").map_or(&[][..], |input| &input.append_headers);
    rules(reader, (removed, added, appended), from).map(Box::new)
}

/// Returns the changes of responses; `None` without one.
pub(super) fn of_responses(
    reader: &SettingsReader<'_>,
    inputs: ChangeInputs<'_>,
    from: ValueSources<'_>,
) -> Option<Box<ResponseRules>> {
    let removed = inputs.response("remove_headers").map_or(&[][..], |input| &input.remove_headers.list);
    let added = inputs.response("add_headers").map_or(&[][..], |input| &input.add_headers);
    let appended = inputs.response("append_headers").map_or(&[][..], |input| &input.append_headers);
    refuse_credentials(reader, [added, appended]);
    let headers = rules(reader, (removed, added, appended), from);
    let statuses = inputs.response("status").map_or(&[][..], |input| &input.status);
    let statuses = statuses.iter().filter_map(|(from, to)| Some((from.parse::<StatusCode>().ok()?, to.value)));
    let rules = ResponseRules { headers, statuses: statuses.collect() };
    (rules.headers.is_some() || !rules.statuses.is_empty()).then(|| Box::new(rules))
}

/// Reports credentials of the vault in responses, which clients see.
fn refuse_credentials(reader: &SettingsReader<'_>, lists: [&Headers; 2]) {
    for (name, value) in lists.into_iter().flatten().filter(|(_, value)| value.value.has_credential()) {
        let message = format!("the header `{name}` of responses has a credential of the vault");
        reader
            .report(Problem::new(Code::BadValue, value.value_origin(), message).expected("it in a header of requests"));
    }
}

fn rules(
    reader: &SettingsReader<'_>,
    lists: (&[Input<String>], &Headers, &Headers),
    from: ValueSources<'_>,
) -> Option<HeaderRules> {
    let (removed, added, appended) = lists;
    if removed.is_empty() && added.is_empty() && appended.is_empty() {
        return None;
    }
    let mut fixed = HeadEdits::for_forwarding();
    let mut fixed_appended = HeadEdits::for_forwarding();
    let mut is_writable = true;
    for name in removed {
        is_writable &= fixed.remove_named(name.value.as_bytes()).is_ok();
    }
    let mut templates = [Vec::new(), Vec::new()];
    for (nth, list) in [added, appended].into_iter().enumerate() {
        check_names(reader, list);
        for (name, value) in list.iter().take(HEADERS_MAX) {
            let Some(template) = template(reader, name, value, from) else { continue };
            match template.parts.as_ref() {
                [] | [HeaderPart::Literal(_)] => {
                    let text = value.value.to_string();
                    let name = name.as_bytes();
                    let text = text.as_bytes();
                    let written =
                        if nth == 0 { fixed.set_named(name, text) } else { fixed_appended.append_named(name, text) };
                    is_writable &= written.is_ok();
                }
                _ => templates.get_mut(nth).into_iter().for_each(|list| list.push(template.clone())),
            }
        }
    }
    if !is_writable {
        // The names that edits refuse are reported as keys.
        return None;
    }
    let [replaced_by_values, appended_values] = templates.map(Vec::into_boxed_slice);
    let has_parameter =
        |template: &HeaderTemplate| template.parts.iter().any(|part| matches!(part, HeaderPart::Parameter(_)));
    let needs_path = replaced_by_values.iter().chain(&appended_values).any(has_parameter);
    let path = if needs_path { path_template(from.path).cloned() } else { None };
    let has_credentials = [added, appended].into_iter().flatten().any(|(_, value)| value.value.has_credential());
    let names = removed.iter().map(|name| name.value.as_str()).chain(added.iter().map(|(name, _)| name.as_str()));
    let names = names.map(Box::from).collect();
    Some(HeaderRules {
        names,
        replaced: fixed,
        replaced_by_values,
        appended: fixed_appended,
        appended_values,
        path,
        has_credentials,
    })
}

const fn path_template(path: &PathMatch) -> Option<&Template> {
    match path {
        PathMatch::Template(template) => Some(template),
        PathMatch::Exact(_) | PathMatch::Prefix(_) | PathMatch::Regex(_) => None,
    }
}

/// Reports names that differ in the case of letters only, and too many of them.
fn check_names(reader: &SettingsReader<'_>, list: &Headers) {
    for (nth, (name, value)) in list.iter().enumerate() {
        let first = list.iter().take(nth).find(|(other, _)| other.eq_ignore_ascii_case(name));
        if let Some((_, first)) = first {
            let problem =
                Problem::new(Code::Duplicate, value.value_origin(), format!("a second value of the header `{name}`"));
            reader.report(problem.expected("one value per name").first(first.value_origin()));
        }
    }
    if let Some((_, value)) = list.get(HEADERS_MAX) {
        let problem = Problem::new(Code::BadValue, value.value_origin(), "the route changes too many headers");
        reader.report(problem.expected(format!("at most {HEADERS_MAX} entries")));
    }
}

/// Returns a field with the values that its name and text mean; `None` if one does not exist.
fn template(
    reader: &SettingsReader<'_>,
    name: &str,
    value: &Input<HeaderText>,
    from: ValueSources<'_>,
) -> Option<HeaderTemplate> {
    let mut parts = Vec::new();
    for piece in &value.value.pieces {
        parts.push(match piece {
            HeaderPiece::Literal(text) => HeaderPart::Literal(text.as_str().into()),
            HeaderPiece::Credential(label) => HeaderPart::Credential(label.as_str().into()),
            HeaderPiece::Name(written) => match part(written, from) {
                Ok(part) => part,
                Err(expected) => {
                    let message = format!("`${{{written}}}` is no value of a request");
                    reader.report(Problem::new(Code::UnknownName, value.value_origin(), message).expected(expected));
                    return None;
                }
            },
        });
    }
    Some(HeaderTemplate { name: name.into(), parts: parts.into() })
}

/// Returns the value of the request with this name, or a description of valid ones.
fn part(written: &str, from: ValueSources<'_>) -> Result<HeaderPart, String> {
    match written.split_once('.') {
        None if written == "latency" => Ok(HeaderPart::Latency),
        None if written == "request_id" => Ok(HeaderPart::RequestId),
        None if written == "client_address" => Ok(HeaderPart::ClientAddress),
        Some(("claim", name)) if is_claim(name) => match from.has_claims {
            true => Ok(HeaderPart::Claim(name.into())),
            false => Err("a route with `auth: {type: jwt}`, whose clients have claims".to_owned()),
        },
        Some(("header", name)) if is_header(name) => match is_credential(name) {
            false => Ok(HeaderPart::Header(name.to_ascii_lowercase().into())),
            true => Err("another header: headers of credentials are not copied".to_owned()),
        },
        Some(("path", name)) => {
            let names: Vec<&str> = path_template(from.path).into_iter().flat_map(Template::names).collect();
            let found = names.iter().position(|known| *known == name);
            found.map(HeaderPart::Parameter).ok_or_else(|| match names.as_slice() {
                [] => "a path of the route that has parameters".to_owned(),
                names => one_of(names.iter().copied()),
            })
        }
        _ => Err(NAMES.to_owned()),
    }
}

/// Whether a claim can have this name. A default, as variables have, is not supported.
fn is_claim(name: &str) -> bool {
    (1..=128).contains(&name.len()) && !name.contains(":-") && name.bytes().all(|octet| octet.is_ascii_graphic())
}

fn is_header(name: &str) -> bool {
    (1..=64).contains(&name.len()) && http::HeaderName::from_bytes(name.as_bytes()).is_ok()
}

/// Whether clients send credentials in this header, in any case and with underscores for hyphens.
fn is_credential(name: &str) -> bool {
    let plain = name.replace('_', "-");
    let known = KEY_HEADERS.iter().map(|name| name.as_str()).chain(["authorization", "proxy-authorization"]);
    known.into_iter().any(|known| known.eq_ignore_ascii_case(&plain))
}
