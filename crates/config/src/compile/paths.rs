//! Compiles `paths`, and notes the routes that refuse other spellings of the paths of stricter ones.

use std::collections::HashSet;
use std::sync::Arc;

use settings::input::Input;
use settings::place::Place;
use settings::section::SettingsReader;

use crate::note::Note;
use crate::schema::traffic::{Ambiguity, TrafficInput};
use crate::snapshot::{
    Match, PathMatch, PathRefusal, PathSteps, RefusedPaths, Route, RouteRequest, Router, Segment, WrittenParts,
};

/// Returns the forms of paths that no route accepts.
pub(super) fn refused(traffic: &TrafficInput) -> RefusedPaths {
    let input = &traffic.paths;
    RefusedPaths {
        encoded_slashes: is(input.encoded_slashes.as_ref(), Ambiguity::Refuse),
        semicolons: is(input.semicolons.as_ref(), Ambiguity::Refuse),
    }
}

/// Compiles the router of these routes.
pub(super) fn router(
    reader: &SettingsReader<'_>,
    traffic: &TrafficInput,
    routes: Vec<Arc<Route>>,
    notes: &mut Vec<Note>,
) -> Router {
    let input = &traffic.paths;
    let steps = PathSteps {
        merge_slashes: input.merge_slashes.as_ref().is_none_or(|merge| merge.value),
        slashes: !is(input.encoded_slashes.as_ref(), Ambiguity::Keep),
        semicolons: !is(input.semicolons.as_ref(), Ambiguity::Keep),
        escapes: input.reserved_escapes.is_none(),
        double_escapes: input.double_escapes.is_none(),
        letter_case: input.letter_case.is_none(),
        blanks: input.blanks.is_none(),
    };
    let router = Router::new(routes).with_readings(steps, traffic.sizes.body.value);
    note(reader, &router, notes);
    router
}

fn is(setting: Option<&Input<Ambiguity>>, expected: Ambiguity) -> bool {
    setting.is_some_and(|setting| setting.value == expected)
}

/// Notes each entry of `routes` that refuses other spellings of the path of a stricter route, with the first such route.
fn note(reader: &SettingsReader<'_>, router: &Router, notes: &mut Vec<Note>) {
    let mut noted = HashSet::new();
    for strict in router.routes() {
        let Some(path) = sample(&strict.matches.path) else { continue };
        let mut refusing: Option<&Arc<Route>> = None;
        let mut spellings = Vec::new();
        for spelling in spellings_of(&path) {
            let Some(route) = refused_by(router, strict, &spelling) else { continue };
            if refusing.is_none_or(|first| Arc::ptr_eq(first, route)) {
                refusing = Some(route);
                spellings.push(spelling);
            }
        }
        let Some(route) = refusing.filter(|route| noted.insert(route.entry)) else { continue };
        notes.push(Note::SpellingsRefused {
            place: place_text(reader, route.place),
            route: route.policy.name.to_string(),
            spellings,
            other: strict.policy.name.to_string(),
            other_place: place_text(reader, strict.place),
        });
    }
}

/// Returns the route that a spelling of the path of `strict` selects, if it refuses it because of that route.
fn refused_by<'a>(router: &'a Router, strict: &Arc<Route>, path: &str) -> Option<&'a Arc<Route>> {
    let host = strict.matches.host.as_ref().map(|host| host.to_string().replace("*.", "a.")).unwrap_or_default();
    let method = strict.matches.methods.first().map_or("GET", String::as_str);
    let listener = strict.matches.listeners.first().map_or(0, |listener| listener.position);
    let parts = &WrittenParts::default();
    let requested = RouteRequest { method, host: host.as_bytes(), path, listener, parts };
    let Match::Route(route) = router.find(requested) else { return None };
    match router.refusal(requested, route)? {
        PathRefusal::OtherReading { route: Some(other), .. } if Arc::ptr_eq(other, strict) => Some(route),
        PathRefusal::OtherReading { .. } | PathRefusal::Form(_) => None,
    }
}

/// Returns a path that a route matches; `None` for an expression.
fn sample(path: &PathMatch) -> Option<String> {
    match path {
        PathMatch::Exact(path) => Some(path.clone()),
        PathMatch::Prefix(path) => Some(path.clone()).filter(|path| !path.trim_matches('/').is_empty()),
        PathMatch::Template(template) => {
            let segments = template.segments().iter().map(|segment| match segment {
                Segment::Literal(text) => format!("/{text}"),
                Segment::Parameter(_) | Segment::Rest(_) => "/x".to_owned(),
            });
            Some(segments.collect())
        }
        PathMatch::Regex(_) => None,
    }
}

/// Returns spellings of a path: one for each step of backends.
fn spellings_of(path: &str) -> Vec<String> {
    let (_, rest) = path.split_at(path.len().min(1));
    let letter = rest.char_indices().find(|(_, char)| char.is_ascii_alphabetic());
    let twice = letter.map(|(at, char)| {
        let (before, after) = rest.split_at(at);
        format!("/{before}%25{:02x}{}", u32::from(char), after.get(1..).unwrap_or_default())
    });
    let capitals = path.to_ascii_uppercase();
    let plain = [format!("//{rest}"), format!("/%2F{rest}"), format!("{path};x"), capitals, format!("{path}%20")];
    plain.into_iter().chain(twice).filter(|spelling| spelling != path).collect()
}

fn place_text(reader: &SettingsReader<'_>, place: Option<Place>) -> String {
    place.map_or_else(|| reader.file().to_owned(), |at| format!("{}:{}:{}", reader.file(), at.line, at.column))
}
