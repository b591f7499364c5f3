//! What a person sees first: where it listens, what it is, and with `--demo` a call to copy. The only lines with keys and links.

use std::fmt::Write;
use std::net::SocketAddr;

use config::Snapshot;

use crate::demo::{self, Demo, DemoKey};
use crate::link::{self, Setup};

/// What is shown before any log line.
pub(crate) struct Greeting<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) proxy: &'a [SocketAddr],
    pub(crate) control: SocketAddr,
    pub(crate) mock: Option<SocketAddr>,
    pub(crate) demo: &'a Demo,
    /// How the first admin is created; `None` where one exists.
    pub(crate) setup: Option<&'a Setup>,
    /// Whether the control API is served, and not only its probes.
    pub(crate) serves_api: bool,
}

impl Greeting<'_> {
    /// The text; ends with a line break.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let name = &self.snapshot.brand.name;
        writeln!(out, "{name} {}", env!("CARGO_PKG_VERSION"))?;
        for address in self.proxy {
            writeln!(out, "  proxy    http://{address}")?;
        }
        writeln!(out, "  control  http://{}", self.control)?;
        match &self.snapshot.store.url {
            None => writeln!(out, "  store    SQLite in {}", self.snapshot.data.display())?,
            Some(_) => writeln!(out, "  store    PostgreSQL; the spool is in {}", self.snapshot.data.display())?,
        }
        if !self.proxy.is_empty() {
            self.write_providers(out)?;
        }
        self.write_setup(out)?;
        self.write_demo(out)?;
        writeln!(out)
    }

    fn write_setup(&self, out: &mut String) -> std::fmt::Result {
        match self.setup {
            None => Ok(()),
            Some(Setup::Link(link)) => {
                writeln!(out, "\nThere is no admin yet. Whoever opens this link first becomes one. It is shown")?;
                writeln!(out, "only now, and expires after {} or with the next such link:", link::LIVES_FOR)?;
                writeln!(out, "  {}", link.expose())
            }
            Some(Setup::Command(command)) => {
                writeln!(out, "\nThere is no admin yet. This command prints a link that creates one:")?;
                writeln!(out, "  {command}")
            }
        }
    }

    fn write_demo(&self, out: &mut String) -> std::fmt::Result {
        let Demo { keys, elsewhere } = self.demo;
        if let Some(email) = elsewhere {
            writeln!(out, "\nDemo users exist in this store. Their keys are in {}, in the", demo::FILE)?;
            writeln!(out, "data folder of the server that created them. To create another key:")?;
            writeln!(out, "  tollgate keys create --user {email}")?;
        }
        let Some(first) = keys.first() else { return Ok(()) };
        writeln!(out, "\nDemo keys (kept in {}):", self.snapshot.data.join(demo::FILE).display())?;
        for demo in keys {
            writeln!(out, "  {:<9} {}", demo.plan, demo.key)?;
        }
        self.write_first_call(out, first)
    }

    fn write_providers(&self, out: &mut String) -> std::fmt::Result {
        let real = self.snapshot.providers.iter().filter(|provider| provider.kind != ai::ProviderKind::Mock);
        let names: Vec<&str> = real.map(|provider| &*provider.name).collect();
        if !names.is_empty() {
            writeln!(out, "  LLM      {}: calls cost money", names.join(", "))?;
        }
        match (self.mock, names.is_empty()) {
            (None, _) => Ok(()),
            (Some(address), true) => {
                writeln!(out, "  LLM      a mock provider (http://{address}): calls cost no money;")?;
                writeln!(out, "           OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY enables another")
            }
            (Some(address), false) => writeln!(out, "  mock     model `mock` (http://{address})"),
        }
    }

    /// An LLM call where LLM calls are served, and otherwise a call to the control API.
    fn write_first_call(&self, out: &mut String, first: &DemoKey) -> std::fmt::Result {
        let (usage, key) = (format!("http://{}/api/usage/today", self.control), &first.key);
        let has_provider = self.mock.is_some() || !self.snapshot.providers.is_empty();
        if let (Some(proxy), Some(ai), true) = (self.proxy.first(), &self.snapshot.ai, has_provider) {
            let (path, body) = self.first_call();
            writeln!(out, "\nA first call, which streams:\n")?;
            writeln!(out, "  curl -N 'http://{proxy}{}{path}' \\", ai.prefix)?;
            writeln!(out, "    -H 'Authorization: Bearer {key}' \\")?;
            writeln!(out, "    -H 'Content-Type: application/json' \\")?;
            writeln!(out, "    -d '{body}'")?;
            if self.serves_api {
                writeln!(out, "\nWhat it used, with the same Authorization header:\n  {usage}")?;
            }
        } else if self.serves_api {
            writeln!(out, "\nA first call, which shows what the key has used today:\n")?;
            writeln!(out, "  curl '{usage}' \\")?;
            writeln!(out, "    -H 'Authorization: Bearer {key}'")?;
        }
        Ok(())
    }

    /// Path and body of a call that some provider answers.
    fn first_call(&self) -> (String, String) {
        const MESSAGES: &str = r#""stream":true,"messages":[{"role":"user","content":"Hello"}]"#;
        let chat = |model: &str| {
            (ai::Endpoint::ChatCompletions.path().to_owned(), format!(r#"{{"model":"{model}",{MESSAGES}}}"#))
        };
        let real = if self.mock.is_some() { None } else { self.snapshot.providers.first() };
        let Some(provider) = real else { return chat("mock") };
        let name = &provider.name;
        match provider.kind {
            ai::ProviderKind::Mock => chat(&format!("{name}/mock")),
            ai::ProviderKind::OpenAi => chat(&format!("{name}/gpt-5-mini")),
            ai::ProviderKind::Anthropic => (
                ai::Endpoint::Messages.path().to_owned(),
                format!(r#"{{"model":"{name}/claude-haiku-4-5","max_tokens":256,{MESSAGES}}}"#),
            ),
            ai::ProviderKind::Gemini => (
                format!(
                    "{}?alt=sse",
                    ai::Endpoint::StreamGenerateContent.path().replace("{model}", &format!("{name}/gemini-2.5-flash"))
                ),
                r#"{"contents":[{"parts":[{"text":"Hello"}]}]}"#.to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use access::Secret;
    use config::Environment;
    use config::load::{Flags, Sources};

    use super::*;

    fn snapshot(yaml: &str) -> Snapshot {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tollgate.yaml");
        std::fs::write(&file, yaml).unwrap();
        let environment = &Environment::default();
        config::load(Sources { file: Some(&file), environment, flags: Flags::default() }).unwrap().snapshot
    }

    fn text(snapshot: &Snapshot, setup: Option<&Setup>, serves_api: bool) -> String {
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        let mock = snapshot.mock.on.then_some(address);
        let keys = vec![DemoKey { email: "a@b.invalid".to_owned(), plan: "pro".to_owned(), key: "KEY".to_owned() }];
        let demo = &Demo { keys, elsewhere: Some("demo@tollgate.invalid".to_owned()) };
        let (proxy, control) = (&[address][..], SocketAddr::from(([127, 0, 0, 1], 8787)));
        Greeting { snapshot, proxy, control, mock, demo, setup, serves_api }.text()
    }

    #[test]
    fn the_first_call_is_one_that_is_served() {
        let llm = text(&snapshot("{}"), None, true);
        assert!(llm.contains("curl -N 'http://127.0.0.1:8080/v1/chat/completions'"), "{llm}");
        let none = text(&snapshot("ai: {enabled: false}"), None, true);
        assert!(!none.contains("8080/v1") && !none.contains("LLM"), "{none}");
        assert!(none.contains("curl 'http://127.0.0.1:8787/api/usage/today'"), "{none}");
        // A process that serves probes alone names no call to the control API.
        let probes = text(&snapshot("ai: {enabled: false}"), None, false);
        assert!(!probes.contains("curl") && !probes.contains("/api/"), "{probes}");
    }

    #[test]
    fn lines_fit_80_columns() {
        let link = Setup::Link(Secret::new("http://localhost:8787/link#tgl_x".to_owned()));
        for setup in [&link, &Setup::Command("tollgate setup-link".to_owned())] {
            let shown = text(&snapshot("{}"), Some(setup), true);
            let long = shown.lines().find(|line| line.chars().count() > 80 && !line.contains("-d '"));
            assert_eq!(long, None, "{shown}");
            assert_eq!(shown.contains("tgl_"), matches!(setup, Setup::Link(_)), "{shown}");
        }
    }
}
