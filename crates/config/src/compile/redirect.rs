//! Compiles `routes[].redirect`.

use settings::error::{Code, Problem};
use settings::input::Input;
use settings::section::SettingsReader;

use super::rewrite::{of_template, parameter, path_rewrite};
use crate::schema::traffic::RedirectInput;
use crate::snapshot::{Composition, PathMatch, Redirect, RedirectParts, RedirectTarget, TextPart};

/// The keys that replace a part of the requested address.
const PARTS: [&str; 4] = ["scheme", "host", "port", "path"];

/// Returns the redirect of a route with this path; `None` if it is invalid.
pub(super) fn redirect(reader: &SettingsReader<'_>, input: &RedirectInput, from: &PathMatch) -> Option<Redirect> {
    let location = &input.location;
    let status = input.status.value;
    let part = PARTS.into_iter().find(|key| location.has(key));
    let target = match (&input.to, part) {
        (Some(to), None) => {
            let text = String::from_utf8_lossy(to.value.as_bytes());
            let composed = composition(reader, to, (&text, from)).map(Box::new);
            RedirectTarget::Address { to: to.value.clone(), composed }
        }
        (_, Some(part)) if location.has("to") => {
            let message = format!("`{}` has `to` and `{part}`", location.path);
            reader.report(Problem::new(Code::BadValue, location.at, message).expected("one of them"));
            return None;
        }
        (_, Some(_)) => RedirectTarget::Parts(Box::new(RedirectParts {
            scheme: input.scheme.as_ref().map(|scheme| scheme.value),
            host: input.host.as_ref().map(|host| host.value.as_str().into()),
            port: input.port.as_ref().and_then(|port| u16::try_from(port.value).ok()),
            path: input.path.as_ref().and_then(|path| path_rewrite(reader, path, from)),
        })),
        (None, None) => {
            if !location.has("to") {
                location.missing(reader, &["to", "scheme", "host", "port", "path"]);
            }
            return None;
        }
    };
    Some(Redirect { target, status })
}

/// Returns the address of a redirect that has parameters of the route's path; `None` without parameters.
fn composition<T>(reader: &SettingsReader<'_>, to: &Input<T>, named: (&str, &PathMatch)) -> Option<Composition> {
    let (text, from) = named;
    if !text.contains(['{', '}']) {
        return None;
    }
    let invalid = || {
        let problem = Problem::new(Code::BadValue, to.value_origin(), "the address has an invalid parameter");
        reader.report(problem.expected("parameters such as {id} in the path of the address"));
    };
    let path_at = text.find("://").and_then(|at| Some(at + 3 + text.get(at + 3..)?.find('/')?)).unwrap_or(0);
    // A path may have a URL in its query.
    let is_url = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme));
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((literal, after)) = rest.split_once('{') {
        let at = text.len() - after.len();
        let is_in_host = is_url && (path_at == 0 || at <= path_at);
        // A parameter may contain `&` and `=`.
        let is_in_query = text.get(..at).is_none_or(|before| before.contains('?'));
        let is_in_path = !is_in_host && !is_in_query;
        let (name, behind) = match after.split_once('}') {
            Some(split) if is_in_path && !literal.contains('}') => split,
            Some(_) | None => {
                invalid();
                return None;
            }
        };
        parts.push(TextPart::Literal(literal.into()));
        parts.push(TextPart::Capture(parameter(reader, to, (name, from))?));
        rest = behind;
    }
    if rest.contains('}') {
        invalid();
        return None;
    }
    parts.push(TextPart::Literal(rest.into()));
    Some(Composition { from: of_template(from), parts })
}
