//! What a person sees first: where it listens, what it is, and with `--demo` a call to copy. The only lines with keys.

use std::fmt::Write;
use std::net::SocketAddr;

use config::Snapshot;

use crate::demo::DemoKey;

/// What is shown before any log line.
pub(crate) struct Greeting<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) proxy: &'a [SocketAddr],
    pub(crate) control: SocketAddr,
    pub(crate) mock: Option<SocketAddr>,
    pub(crate) demo: &'a [DemoKey],
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
        writeln!(out, "  store    SQLite in {}", self.snapshot.data.display())?;
        self.write_providers(out)?;
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
                writeln!(out, "           set OPENAI_API_KEY or ANTHROPIC_API_KEY, and it is real")
            }
            (Some(address), false) => writeln!(out, "  mock     model `mock` (http://{address})"),
        }
    }

    fn write_first_call(&self, out: &mut String, first: &DemoKey) -> std::fmt::Result {
        let Some(proxy) = self.proxy.first() else { return Ok(()) };
        let (path, model) = self.first_model();
        let prefix = self.snapshot.ai.as_ref().map_or("", |ai| ai.prefix.as_str());
        writeln!(out, "\nA first call, which streams:\n")?;
        writeln!(out, "  curl -N http://{proxy}{prefix}{path} \\")?;
        writeln!(out, "    -H 'Authorization: Bearer {}' -H 'Content-Type: application/json' \\", first.key)?;
        let limit = if path == "/v1/messages" { "\"max_tokens\":256," } else { "" };
        writeln!(
            out,
            "    -d '{{\"model\":\"{model}\",{limit}\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'"
        )?;
        writeln!(out, "\nWhat it used: http://{}/api/usage/today, with the same Authorization header", self.control)
    }

    /// A path and a model that some provider answers.
    fn first_model(&self) -> (&'static str, String) {
        if self.mock.is_some() {
            return (ai::Endpoint::ChatCompletions.path(), "mock".to_owned());
        }
        let chat = |provider: &&std::sync::Arc<config::snapshot::Provider>| provider.kind.speaks(ai::Format::Chat);
        match self.snapshot.providers.iter().find(chat) {
            Some(provider) => (ai::Endpoint::ChatCompletions.path(), format!("{}/gpt-5-mini", provider.name)),
            None => (ai::Endpoint::Messages.path(), "claude-haiku-4-5".to_owned()),
        }
    }
}
