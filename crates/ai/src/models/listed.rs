//! The list of models that a provider returns.

use std::borrow::Cow;

use serde::Deserialize;

/// Maximum number of names of one list. Further ones are left out.
pub const LISTED_MAX: usize = 2_048;
/// Longest name of a model that calls may have, in bytes.
const NAME_BYTES_MAX: usize = 256;
/// The beginning of the names in Google's list.
const GOOGLE_PREFIX: &str = "models/";

/// The list of any API: OpenAI and Anthropic have `data`, Google has `models`.
#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow, default)]
    data: Vec<ListedModel<'a>>,
    #[serde(borrow, default)]
    models: Vec<ListedModel<'a>>,
}

#[derive(Deserialize)]
struct ListedModel<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
}

/// Reads the body of a provider's list of models: the names that calls may have, sorted, each once. `None` if the body is no such
/// list.
#[must_use]
pub fn read(body: &[u8]) -> Option<Vec<Box<str>>> {
    // serde reads an array as the fields of a struct too.
    if !body.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let List { data, models } = serde_json::from_slice(body).ok()?;
    let of_openai = data.into_iter().filter_map(|model| model.id);
    let of_google = models.into_iter().filter_map(|model| model.name.or(model.id));
    let names = of_openai.chain(of_google);
    let names = names.filter_map(|name| callable(name.strip_prefix(GOOGLE_PREFIX).unwrap_or(&name)));
    let mut names: Vec<Box<str>> = names.take(LISTED_MAX).collect();
    names.sort_unstable();
    names.dedup();
    Some(names)
}

/// Returns a name, if calls may have it and a list may show it.
fn callable(name: &str) -> Option<Box<str>> {
    is_callable(name).then(|| name.into())
}

fn is_callable(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.contains(['*', '\\'])
        && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: Option<&[&str]>) {
        let read = read(body.as_bytes());
        let names = read.as_ref().map(|names| names.iter().map(|name| &**name).collect::<Vec<_>>());
        assert_eq!(names.as_deref(), expected, "{body}");
    }

    #[test]
    fn the_lists_of_all_apis_are_read() {
        check(
            r#"{"object":"list","data":[{"id":"b","object":"model"},{"id":"a","size":7},{"id":"b"}]}"#,
            Some(&["a", "b"]),
        );
        check(
            r#"{"data":[{"type":"model","id":"claude","display_name":"Claude"}],"has_more":false}"#,
            Some(&["claude"]),
        );
        check(r#"{"models":[{"name":"models/gemini","displayName":"G"}]}"#, Some(&["gemini"]));
        check(r#"{"data":[]}"#, Some(&[]));
    }

    #[test]
    fn names_that_no_call_can_have_are_left_out() {
        let long = "x".repeat(257);
        let body = format!(
            r#"{{"data":[{{"id":"{long}"}},{{"id":""}},{{"id":"a\nb"}},{{"id":"o/*"}},{{}},{{"id":"ok/m:1"}}]}}"#
        );
        check(&body, Some(&["ok/m:1"]));
        let many: Vec<String> = (0..LISTED_MAX + 5).map(|number| format!(r#"{{"id":"{number:05}"}}"#)).collect();
        assert_eq!(
            read(format!(r#"{{"data":[{}]}}"#, many.join(",")).as_bytes()).map(|names| names.len()),
            Some(LISTED_MAX)
        );
    }

    #[test]
    fn a_body_that_is_no_list_has_no_names() {
        for body in ["", "<html>", "[]", r#"{"data":{"id":"a"}}"#, r#"{"data":[7]}"#, r#"{"data":[{"id":7}]}"#] {
            check(body, None);
        }
    }
}
