//! An example request that this configuration serves, shown on a page or at startup.

use crate::resolve::MOCK;
use crate::snapshot::{Auth, PathMatch, Traffic};

/// Path and body of a streamed LLM request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstCall {
    /// The path with `ai.prefix`, and a query if the format needs one.
    pub path: String,
    /// A JSON body without a `'`.
    pub body: String,
}

impl Traffic {
    /// Returns a request that a provider can serve: the built-in mock, which costs nothing, otherwise the first entry
    /// of `models`, otherwise the first provider. `None` without LLM endpoints or providers.
    #[must_use]
    pub fn first_call(&self) -> Option<FirstCall> {
        let prefix = &self.ai.as_ref()?.prefix;
        let is_mocked = self.providers.iter().any(|provider| *provider.name == *MOCK);
        let mock = self.models.iter().find(|model| is_mocked && *model.name == *MOCK);
        // A name is written into a command between single quotes, and into JSON.
        let is_plain = |name: &str| !name.contains(['\'', '"', '\\', '*']);
        let entry = mock.or_else(|| self.models.iter().find(|model| is_plain(&model.name)));
        let (kind, name) = match entry.and_then(|model| Some((model.first_target()?, model))) {
            Some((target, model)) => (target.provider.kind, model.name.to_string()),
            None => {
                let provider = self.providers.first()?;
                (provider.kind, format!("{}/{}", provider.name, provider.kind.descriptor().example.model))
            }
        };
        let example = &kind.descriptor().example;
        let named = |text: &str| text.replace("{model}", &name);
        let path = named(example.endpoint.path()) + example.query;
        let body = named(example.body);
        Some(FirstCall { path: format!("{prefix}{path}"), body })
    }
}

/// Path of a GET request of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstRouteCall {
    /// The path, which a shell reads between single quotes.
    pub path: String,
    /// Whether the route needs a key of a user.
    pub needs_key: bool,
}

impl Traffic {
    /// Returns a request of the first route that a plain GET can use: without a host, conditions or parameters, and with a
    /// key or without authentication. `None` without such a route.
    #[must_use]
    pub fn first_route_call(&self) -> Option<FirstRouteCall> {
        self.router.routes().iter().find_map(|route| {
            let (PathMatch::Exact(path) | PathMatch::Prefix(path)) = &route.matches.path else { return None };
            let needs_key = match route.policy.auth {
                Auth::Key => true,
                Auth::None => false,
                Auth::Listed(_) | Auth::Redis(_) | Auth::Jwt(_) | Auth::Basic(_) | Auth::Forward(_) | Auth::Any(_) => {
                    return None;
                }
            };
            let accepts_get =
                route.matches.methods.is_empty() || route.matches.methods.iter().any(|method| method == "GET");
            let is_plain = accepts_get
                && route.matches.host.is_none()
                && route.matches.listeners.is_empty()
                && route.matches.conditions.is_none()
                && !path.contains('\'');
            let path = if path.is_empty() { "/" } else { path.as_str() };
            is_plain.then(|| FirstRouteCall { path: path.to_owned(), needs_key })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Origin;
    use crate::{Environment, Sources, load};

    fn traffic(source: &str) -> Traffic {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.yaml");
        std::fs::write(&path, source).unwrap();
        let environment = Environment::default();
        let sources = Sources { file: Some(&path), environment: &environment, flags: crate::Flags::default() };
        load(sources).unwrap_or_else(|error| panic!("{error}")).snapshot.traffic
    }

    /// Returns the request of a file, and that of the same file when the built-in mock listens.
    fn calls(source: &str) -> [Option<FirstCall>; 2] {
        let traffic = traffic(source);
        let mocked = traffic.clone().with_mock(Origin::parse("http://127.0.0.1:1").unwrap());
        [traffic.first_call(), mocked.first_call()]
    }

    fn check(source: &str, path: &str, model: &str) {
        let call = calls(source)[0].clone().unwrap();
        assert_eq!(call.path, path, "{source}");
        assert!(call.body.contains(&format!(r#""model":"{model}""#)) || path.contains(model), "{source}: {call:?}");
        assert!(serde_json::from_str::<serde_json::Value>(&call.body).is_ok() && !call.body.contains('\''), "{call:?}");
    }

    #[test]
    fn the_first_route_is_one_that_a_plain_get_can_use() {
        let of = |routes: &str| {
            let upstreams = "upstreams: [{name: u, backends: [{url: 'http://127.0.0.1:9'}]}]";
            let yaml = format!("{upstreams}\nroutes: [{routes}]\n");
            traffic(&yaml).first_route_call().map(|call| (call.path, call.needs_key))
        };
        let skipped = "{path: /p, methods: [POST], upstreams: u}, {path: '/x/{id}', upstreams: u}, \
            {path: /h, host: a.example, upstreams: u}, {path: /c, headers: {X: a}, upstreams: u}";
        assert_eq!(of(skipped), None);
        assert_eq!(
            of(&format!("{skipped}, {{path: {{prefix: /api}}, upstreams: u}}")),
            Some(("/api".to_owned(), true))
        );
        assert_eq!(of("{path: {prefix: /}, upstreams: u, auth: {type: none}}"), Some(("/".to_owned(), false)));
    }

    #[test]
    fn it_is_one_that_the_configuration_serves() {
        let provider = |kind: &str| format!("providers: [{{name: up, kind: {kind}, credential: k}}]\n");
        check(&provider("openai"), "/v1/chat/completions", "up/gpt-5-mini");
        check(&provider("anthropic"), "/v1/messages", "up/claude-haiku-4-5");
        let google = "/v1beta/models/up/gemini-2.5-flash:streamGenerateContent?alt=sse";
        check(&provider("gemini"), google, "up/gemini-2.5-flash");
        let entries = "models: [{name: \"a'b\", targets: [{provider: up, model: x}]}, {name: fast, targets: [{provider: up, model: x}]}]\n";
        check(&format!("{}{entries}ai: {{prefix: /llm}}\n", provider("anthropic")), "/llm/v1/messages", "fast");
        assert_eq!(calls("ai: {enabled: false}\n"), [None, None]);
        let [none, mocked] = calls("");
        assert_eq!(none, None);
        let mocked = mocked.unwrap();
        assert!(mocked.path == "/v1/chat/completions" && mocked.body.starts_with(r#"{"model":"mock","#), "{mocked:?}");
    }
}
