//! Compiles the rewrites of `routes[].transformations`, and the parameters in `routes[].redirect`.

use settings::error::{Code, Problem};
use settings::field::Either;
use settings::input::Input;
use settings::section::setting::MASK;
use settings::section::{SettingsReader, one_of};

use super::change_inputs::ChangeInputs;
use super::matches::{check_sendable, exactly_one};
use crate::schema::traffic::{PathRewriteInput, QueryRewriteInput, is_secret_parameter};
use crate::snapshot::{
    Composition, PathMatch, PathRewrite, Pattern, QueryRewrite, Rewrite, Segment, Template, TextPart, UpstreamHost,
    encoded,
};

/// Returns the rewrite of a route with this path; `None` without one.
pub(super) fn rewrite(reader: &SettingsReader<'_>, inputs: ChangeInputs<'_>, from: &PathMatch) -> Option<Box<Rewrite>> {
    let input = inputs.request("rewrite")?.rewrite.as_ref()?;
    let path = input.path.as_ref().and_then(|path| path_rewrite(reader, path, from));
    if path.is_none() && input.query.is_none() {
        return None;
    }
    let query = input.query.as_ref().map(|input| query(reader, input)).unwrap_or_default();
    Some(Box::new(Rewrite { path, query }))
}

/// Returns the change of a path; `None` if it is invalid.
pub(super) fn path_rewrite(
    reader: &SettingsReader<'_>,
    input: &Either<PathMatch, PathRewriteInput>,
    from: &PathMatch,
) -> Option<PathRewrite> {
    match input {
        Either::Single(path) => whole(reader, path, from).map(PathRewrite::Whole),
        Either::Nested(rule) => by_rule(reader, rule, from),
    }
}

/// Returns the host that the backends of a route receive.
pub(super) fn upstream_host(inputs: ChangeInputs<'_>) -> UpstreamHost {
    let host = inputs.request("rewrite").and_then(|request| request.rewrite.as_ref()?.host.as_ref());
    host.map_or(UpstreamHost::ByScheme, |host| host.value.clone())
}

/// Returns a new path that may have parameters of the route.
fn whole(reader: &SettingsReader<'_>, path: &Input<PathMatch>, from: &PathMatch) -> Option<Composition> {
    check_sendable(reader, path, &path.value.to_string());
    let PathMatch::Template(template) = &path.value else {
        return Some(Composition { from: None, parts: vec![TextPart::Literal(path.value.to_string().into())] });
    };
    let mut parts = Vec::new();
    for segment in template.segments() {
        match segment {
            Segment::Literal(text) => parts.push(TextPart::Literal(format!("/{text}").into())),
            Segment::Parameter(name) | Segment::Rest(name) => {
                parts.push(TextPart::Literal("/".into()));
                parts.push(TextPart::Capture(parameter(reader, path, (name, from))?));
            }
        }
    }
    Some(Composition { from: of_template(from), parts })
}

/// Returns the number of a parameter of the route's path, and reports one that does not exist. `*name` is the rest of it.
pub(super) fn parameter<T>(reader: &SettingsReader<'_>, input: &Input<T>, named: (&str, &PathMatch)) -> Option<usize> {
    let (written, from) = named;
    let ends_with_rest = matches!(from, PathMatch::Template(template) if template.ends_with_rest());
    let name = if ends_with_rest { written.strip_prefix('*').unwrap_or(written) } else { written };
    let names: Vec<&str> = match from {
        PathMatch::Template(template) => template.names().collect(),
        PathMatch::Exact(_) | PathMatch::Prefix(_) | PathMatch::Regex(_) => Vec::new(),
    };
    let found = names.iter().position(|known| *known == name);
    let found = found.filter(|at| name == written || at + 1 == names.len());
    if found.is_none() {
        let problem =
            Problem::new(Code::UnknownName, input.value_origin(), format!("the route's path has no `{{{written}}}`"));
        let expected = match names.as_slice() {
            [] => "a text without parameters, or a path of the route that has them".to_owned(),
            names => one_of(names.iter().copied()),
        };
        reader.report(problem.expected(expected));
    }
    found
}

pub(super) fn of_template(path: &PathMatch) -> Option<Template> {
    match path {
        PathMatch::Template(template) => Some(template.clone()),
        PathMatch::Exact(_) | PathMatch::Prefix(_) | PathMatch::Regex(_) => None,
    }
}

fn by_rule(reader: &SettingsReader<'_>, rule: &PathRewriteInput, from: &PathMatch) -> Option<PathRewrite> {
    if !exactly_one(reader, &rule.location, &["prefix", "regex"]) {
        return None;
    }
    for [key, other] in [["regex", "to"], ["to", "regex"]] {
        if rule.location.has(key) && !rule.location.has(other) {
            rule.location.missing(reader, &[other]);
            return None;
        }
    }
    if let Some(prefix) = &rule.prefix {
        check_sendable(reader, prefix, &prefix.value);
        let PathMatch::Prefix(replaced) = from else {
            let message = "only a route whose `path` has a `prefix` can replace it";
            let problem = Problem::new(Code::BadValue, prefix.value_origin(), message);
            reader.report(problem.expected("a path in place of the section, or `regex` and `to`"));
            return None;
        };
        let to = prefix.value.trim_end_matches('/').into();
        return Some(PathRewrite::Prefix { from_len: replaced.len(), to });
    }
    let pattern = &rule.regex.as_ref()?.value;
    let to = rule.to.as_ref()?;
    Some(PathRewrite::Regex { pattern: pattern.clone(), to: replacement(reader, to, pattern)? })
}

/// Returns the parts of a replacement: `$1` is a group, `$$` a dollar sign.
fn replacement(reader: &SettingsReader<'_>, to: &Input<String>, pattern: &Pattern) -> Option<Vec<TextPart>> {
    let mut parts = Vec::new();
    let mut pieces = to.value.split('$');
    parts.push(TextPart::Literal(pieces.next()?.into()));
    while let Some(piece) = pieces.next() {
        let digits = piece.bytes().take(2).take_while(u8::is_ascii_digit).count();
        let (number, rest) = piece.split_at_checked(digits)?;
        // The text between two dollar signs is empty.
        if piece.is_empty()
            && let Some(after) = pieces.next()
        {
            parts.push(TextPart::Literal(format!("${after}").into()));
            continue;
        }
        let Some(group) = pattern.group(number) else {
            let message = format!("the regular expression has no group `${number}`");
            let problem = Problem::new(Code::UnknownName, to.value_origin(), message);
            reader.report(problem.expected("`$1` for the first group in parentheses, or `$$` for a dollar sign"));
            return None;
        };
        parts.push(TextPart::Capture(group));
        parts.push(TextPart::Literal(rest.into()));
    }
    Some(parts)
}

fn query(reader: &SettingsReader<'_>, input: &QueryRewriteInput) -> QueryRewrite {
    let joined = |shows_all: bool| {
        let added = input.add.iter().map(|(name, value)| {
            let refers = value.value_origin().is_some_and(|at| reader.is_reference(at));
            let is_shown = shows_all || !(refers || is_secret_parameter(name));
            format!("{}={}", encoded(name), if is_shown { encoded(&value.value) } else { MASK.to_owned() })
        });
        added.collect::<Vec<_>>().join("&").into()
    };
    // A backend might read a parameter of the client that precedes an added one.
    let replaced = input.add.iter().map(|(name, _)| name.as_str());
    QueryRewrite {
        remove: input.remove.list.iter().map(|name| name.value.as_str()).chain(replaced).map(Box::from).collect(),
        add: joined(true),
        shown_add: joined(false),
    }
}
