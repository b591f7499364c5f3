//! Compiles `routes[].cors`.

use crate::schema::traffic::{CORS_WITH_WILDCARD, CorsInput};
use crate::snapshot::{AllowedOrigin, Auth, Cors};
use http::HeaderValue;
use settings::error::{Code, Problem};
use settings::field::ValueList;
use settings::section::SettingsReader;

/// Returns the cross-origin rules of a route with this authentication; `None` if the section is invalid.
pub(super) fn cors(reader: &SettingsReader<'_>, input: &CorsInput, auth: &Auth) -> Option<Box<Cors>> {
    if !input.location.has("allowed_origins") {
        input.location.missing(reader, &["allowed_origins"]);
        return None;
    }
    let is_any = input.allowed_origins.list.iter().any(|origin| origin.value == AllowedOrigin::Any);
    if input.allow_credentials.value {
        let [headers, exposed] = [&input.allowed_headers, &input.exposed_headers].map(has_wildcard);
        for (key, _) in CORS_WITH_WILDCARD.iter().zip([is_any, headers, exposed]).filter(|(_, has)| *has) {
            let message = format!("`{key}` has `*`, which browsers do not accept with `allow_credentials`");
            let problem = Problem::new(Code::BadValue, input.allow_credentials.value_origin(), message);
            reader.report(problem.expected(format!("the values of `{key}`, or no `allow_credentials`")));
        }
    }
    let origins = input.allowed_origins.list.iter().map(|origin| origin.value.clone());
    Some(Box::new(Cors {
        origins: (!is_any).then(|| origins.collect()),
        credentials: input.allow_credentials.value,
        methods: joined(&input.allowed_methods),
        headers: if input.location.has("allowed_headers") {
            joined(&input.allowed_headers)
        } else {
            Some(HeaderValue::from_static(default_headers(auth)))
        },
        exposed: joined(&input.exposed_headers),
        max_age: input.max_age.as_ref().map(|age| HeaderValue::from(age.value.as_secs())),
    }))
}

/// Returns the headers without which a page could not send a JSON body and a credential of the route.
fn default_headers(auth: &Auth) -> &'static str {
    const NONE: &str = "Content-Type";
    const AUTHORIZATION: &str = "Content-Type, Authorization";
    const KEYS: &str = "Content-Type, Authorization, X-API-Key";
    match auth {
        Auth::None => NONE,
        Auth::Jwt(_) | Auth::Basic(_) | Auth::Forward(_) => AUTHORIZATION,
        Auth::Key | Auth::Listed(_) | Auth::Redis(_) => KEYS,
        // Each has the names of the shorter ones.
        Auth::Any(alternatives) => {
            alternatives.iter().map(default_headers).max_by_key(|names| names.len()).unwrap_or(NONE)
        }
    }
}

fn has_wildcard(values: &ValueList<String>) -> bool {
    values.list.iter().any(|value| value.value == "*")
}

/// Returns the values as one field value; `None` without values.
fn joined(values: &ValueList<String>) -> Option<HeaderValue> {
    let texts: Vec<&str> = values.list.iter().map(|value| value.value.as_str()).collect();
    // Methods and names of fields are valid in a value.
    (!texts.is_empty()).then(|| HeaderValue::try_from(texts.join(", ")).ok()).flatten()
}
