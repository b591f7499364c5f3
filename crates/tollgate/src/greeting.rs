//! What a person sees first: where it listens, what it is, and with `--demo` a call to copy. The only lines with keys and links.

use std::fmt::Write;
use std::net::SocketAddr;

use access::Secret;
use config::Snapshot;

use crate::demo::DemoKey;
use crate::link;

/// What is shown before any log line.
pub(crate) struct Greeting<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) proxy: &'a [SocketAddr],
    pub(crate) control: SocketAddr,
    pub(crate) mock: Option<SocketAddr>,
    pub(crate) demo: &'a [DemoKey],
    /// Makes the first admin; `None` where there is one.
    pub(crate) first_admin: Option<&'a Secret>,
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
        if let Some(link) = self.first_admin {
            writeln!(
                out,
                "\nThere is no admin yet. Whoever opens this link first becomes one (shown only now; it holds"
            )?;
            writeln!(out, "for {}, or until the next start):", link::LIVES_FOR)?;
            writeln!(out, "  {}", link.expose())?;
        }
        if let [first, ..] = self.demo {
            writeln!(out, "\nDemo keys (kept in {}):", self.snapshot.data.join("demo-keys.json").display())?;
            for demo in self.demo {
                writeln!(out, "  {:<9} {}", demo.plan, demo.key)?;
            }
            self.write_first_call(out, first)?;
        }
        writeln!(out)
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
                writeln!(
                    out,
                    "  LLM      a mock answers (http://{address}): no call leaves this machine or costs money;"
                )?;
                writeln!(out, "           set OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY, and it is real")
            }
            (Some(address), false) => writeln!(out, "  mock     model `mock` (http://{address})"),
        }
    }

    fn write_first_call(&self, out: &mut String, first: &DemoKey) -> std::fmt::Result {
        let Some(proxy) = self.proxy.first() else { return Ok(()) };
        let (path, body) = self.first_call();
        let prefix = self.snapshot.ai.as_ref().map_or("", |ai| ai.prefix.as_str());
        writeln!(out, "\nA first call, which streams:\n")?;
        writeln!(out, "  curl -N 'http://{proxy}{prefix}{path}' \\")?;
        writeln!(out, "    -H 'Authorization: Bearer {}' -H 'Content-Type: application/json' \\", first.key)?;
        writeln!(out, "    -d '{body}'")?;
        writeln!(out, "\nWhat it used: http://{}/api/usage/today, with the same Authorization header", self.control)
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
