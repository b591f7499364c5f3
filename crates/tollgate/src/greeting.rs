//! The text that `serve` prints first: addresses, providers, and with `--demo` an example request. Only this text
//! contains keys and links.

use std::fmt::Write;
use std::net::SocketAddr;

use config::snapshot::{Credential, Listener, Provider};
use config::{FirstCall, FirstRouteCall, Snapshot};
use tls::ListenAddress;

use crate::cli::Place;
use crate::demo::{self, Demo, DemoKey};
use crate::link::{self, AdminSetup};

/// The text that is printed before any log line.
pub(crate) struct Greeting<'a> {
    pub(crate) snapshot: &'a Snapshot,
    /// The flags that name the configuration and the data folder of this server.
    pub(crate) place: &'a Place,
    pub(crate) proxy: &'a [Listener],
    pub(crate) control: &'a ListenAddress,
    pub(crate) mock: Option<SocketAddr>,
    /// The stub of the payment provider.
    pub(crate) payments: Option<SocketAddr>,
    pub(crate) demo: &'a Demo,
    /// How the operator creates the first admin; `None` if an admin exists.
    pub(crate) setup: Option<&'a AdminSetup>,
    /// Whether the admin API is served, in addition to health checks.
    pub(crate) serves_api: bool,
}

/// Returns the URL of a listener. A Unix socket has none.
fn url(scheme: &str, address: &ListenAddress) -> String {
    match address {
        ListenAddress::Tcp(address) => format!("{scheme}://{address}"),
        ListenAddress::Unix(_) => address.to_string(),
    }
}

impl Greeting<'_> {
    /// Returns the text, which ends with a line break.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let name = &self.snapshot.process.brand.name;
        writeln!(out, "{name} {}", env!("CARGO_PKG_VERSION"))?;
        for listener in self.proxy {
            writeln!(out, "  proxy    {}", url(listener.scheme(), &listener.address))?;
        }
        writeln!(out, "  control  {}", url(self.snapshot.process.control.scheme(), self.control))?;
        if self.serves_api {
            writeln!(out, "  pages    {}/dashboard/", self.snapshot.process.control_url(self.control))?;
        }
        match &self.snapshot.process.store.url {
            None => writeln!(out, "  store    SQLite in {}", self.snapshot.process.data.display())?,
            Some(_) => {
                writeln!(out, "  store    PostgreSQL; the spool is in {}", self.snapshot.process.data.display())?;
            }
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
            Some(AdminSetup::Link(link)) => {
                writeln!(out, "\nThere is no admin yet. The first person to open this link becomes the admin.")?;
                writeln!(out, "It is shown only once and expires after {}, or with the next link:", link::LIVES_FOR)?;
                writeln!(out, "  {}", link.expose())
            }
            Some(AdminSetup::Command(command)) => {
                writeln!(out, "\nThere is no admin yet. To print a link that creates one:")?;
                writeln!(out, "  {command}")
            }
        }
    }

    fn write_demo(&self, out: &mut String) -> std::fmt::Result {
        let Demo { keys, elsewhere } = self.demo;
        if let Some(email) = elsewhere {
            writeln!(out, "\nDemo users exist in this store. Their keys are in {}, in the", demo::FILE)?;
            writeln!(out, "data folder of the server that created them. To create another key:")?;
            let command = link::command_at(self.place, &format!("tollgate keys create --user {email}"));
            writeln!(out, "  {command}")?;
        }
        let Some(first) = keys.first() else { return Ok(()) };
        writeln!(out, "\nDemo keys (stored in {}):", self.snapshot.process.data.join(demo::FILE).display())?;
        for demo in keys {
            writeln!(out, "  {:<9} {}", demo.plan, demo.key)?;
        }
        writeln!(out, "\nThe first key as a variable of a shell:\n  export KEY={}", first.key)?;
        self.write_first_call(out, first)
    }

    fn write_providers(&self, out: &mut String) -> std::fmt::Result {
        let real = self.snapshot.traffic.providers.iter().filter(|provider| provider.kind != ai::ProviderKind::Mock);
        // The vault may have none yet.
        let needs = |provider: &Provider| match provider.credential {
            Credential::Vault { .. } => " (with a stored credential)",
            Credential::None | Credential::Fixed(_) | Credential::Aws(_) | Credential::ServiceAccount(_) => "",
        };
        let names: Vec<String> = real.map(|provider| format!("{}{}", provider.name, needs(provider))).collect();
        if !names.is_empty() {
            writeln!(out, "  LLM      {}: requests cost money", names.join(", "))?;
        }
        if let Some(address) = self.payments {
            writeln!(out, "  payments stub of Midtrans (http://{address}): POST /_stub/pay/ORDER pays an order")?;
        }
        match (self.mock, names.is_empty()) {
            (None, _) => Ok(()),
            (Some(address), true) => {
                writeln!(out, "  LLM      mock provider (http://{address}), with invented prices.")?;
                writeln!(out, "           OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY adds a provider")
            }
            (Some(address), false) => {
                writeln!(out, "  mock     provider `mock` (http://{address}), with invented prices")
            }
        }
    }

    /// Writes an LLM request if LLM endpoints are served, and otherwise a request to the admin API.
    fn write_first_call(&self, out: &mut String, first: &DemoKey) -> std::fmt::Result {
        let scheme = self.snapshot.process.control.scheme();
        let usage = format!("{scheme}://{}/api/usage/today", self.control);
        let key = &first.key;
        if let Some(proxy) = self.proxy.first()
            && let Some(call) = self.snapshot.traffic.first_call()
        {
            let FirstCall { path, body } = call;
            writeln!(out, "\nExample request (streaming):\n")?;
            writeln!(out, "  curl -N '{}://{}{path}' \\", proxy.scheme(), proxy.address)?;
            writeln!(out, "    -H 'Authorization: Bearer {key}' \\")?;
            writeln!(out, "    -H 'Content-Type: application/json' \\")?;
            writeln!(out, "    -d '{body}'")?;
            if self.serves_api {
                writeln!(out, "\nUsage of the key (with the same Authorization header):\n  {usage}")?;
            }
        } else if let Some(proxy) = self.proxy.first()
            && let Some(call) = self.snapshot.traffic.first_route_call()
        {
            let FirstRouteCall { path, needs_key } = call;
            writeln!(out, "\nExample request of the first route:\n")?;
            let end = if needs_key { " \\" } else { "" };
            writeln!(out, "  curl '{}://{}{path}'{end}", proxy.scheme(), proxy.address)?;
            if needs_key {
                writeln!(out, "    -H 'Authorization: Bearer {key}'")?;
            }
        } else if self.serves_api {
            writeln!(out, "\nExample request (today's usage of the key):\n")?;
            writeln!(out, "  curl '{usage}' \\")?;
            writeln!(out, "    -H 'Authorization: Bearer {key}'")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use access::Secret;
    use clap::Parser;
    use config::Environment;
    use config::snapshot::Origin;
    use config::{Flags, Sources};

    use crate::cli::Cli;

    use super::*;

    fn snapshot(yaml: &str) -> Snapshot {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tollgate.yaml");
        std::fs::write(&file, yaml).unwrap();
        let environment = &Environment::default();
        config::load(Sources { file: Some(&file), environment, flags: Flags::default() }).unwrap().snapshot
    }

    /// The snapshot of a running server: with the address of the mock provider if it is enabled.
    fn running(yaml: &str) -> Snapshot {
        let snapshot = snapshot(yaml);
        if !snapshot.traffic.mock.on {
            return snapshot;
        }
        let traffic = snapshot.traffic.with_mock(Origin::parse("http://127.0.0.1:8080").unwrap());
        Snapshot { traffic, ..snapshot }
    }

    fn place(data: Option<&str>) -> Place {
        Place { config: None, env_file: None, data: data.map(Into::into) }
    }

    fn text(snapshot: &Snapshot, place: &Place, setup: Option<&AdminSetup>, serves_api: bool) -> String {
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        let mock = snapshot.traffic.mock.on.then_some(address);
        let key = format!("tollgate_{}", "0".repeat(32));
        let keys = vec![DemoKey { email: "a@b.invalid".to_owned(), plan: "business".to_owned(), key }];
        let demo = &Demo { keys, elsewhere: Some("demo-business@tollgate.invalid".to_owned()) };
        let proxy =
            [Listener { name: None, address: address.into(), socket_mode: 0, tls: None, proxy_protocol: false }];
        let proxy = &proxy[..];
        let control = &ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 8787)));
        Greeting { snapshot, place, proxy, control, mock, payments: None, demo, setup, serves_api }.text()
    }

    #[test]
    fn the_first_call_is_one_that_is_served() {
        let text = |yaml: &str, serves_api| text(&running(yaml), &place(None), None, serves_api);
        let llm = text("{}", true);
        assert!(llm.contains("curl -N 'http://127.0.0.1:8080/v1/chat/completions'"), "{llm}");
        assert!(llm.contains(r#"-d '{"model":"mock","#), "{llm}");
        let none = text("ai: {enabled: false}", true);
        assert!(!none.contains("8080/v1") && !none.contains("LLM"), "{none}");
        assert!(none.contains("curl 'http://127.0.0.1:8787/api/usage/today'"), "{none}");
        assert!(none.contains("  pages    http://127.0.0.1:8787/dashboard/\n"), "{none}");
        assert!(none.contains(&format!("\n  export KEY=tollgate_{}\n", "0".repeat(32))), "{none}");
        let routes = "upstreams: [{name: u, backends: [{url: 'http://127.0.0.1:9'}]}]\n\
            routes: [{path: {prefix: /orders}, upstreams: u}]\nai: {enabled: false}\n";
        let routed = text(routes, true);
        assert!(routed.contains("curl 'http://127.0.0.1:8080/orders' \\\n    -H 'Authorization: Bearer"), "{routed}");
        assert!(!routed.contains("/api/usage/today"), "{routed}");
        // A process that serves only health checks shows no request to the admin API.
        let probes = text("ai: {enabled: false}", false);
        assert!(!probes.contains("curl") && !probes.contains("/api/"), "{probes}");
    }

    /// The page at `/` shows the same request.
    #[test]
    fn the_first_call_is_that_of_the_snapshot() {
        let up = "providers: [{name: up, kind: anthropic, credential: k}]\nmock: false\n";
        let entry = "models: [{name: fast, targets: [{provider: up, model: x}]}]\n";
        for yaml in [up.to_owned(), format!("{up}{entry}ai: {{prefix: /llm}}\n")] {
            let snapshot = running(&yaml);
            let FirstCall { path, body } = snapshot.traffic.first_call().unwrap();
            let text = text(&snapshot, &place(None), None, true);
            assert!(text.contains(&format!("'http://127.0.0.1:8080{path}'")) && text.contains(&body), "{text}");
        }
    }

    #[test]
    fn commands_name_the_data_folder_of_this_server() {
        let text = text(&running("{}"), &place(Some("/srv/it's")), None, true);
        let command = r"tollgate keys create --user demo-business@tollgate.invalid --data '/srv/it'\''s'";
        assert!(text.contains(&format!("\n  {command}\n")), "{text}");
        let words = ["tollgate", "keys", "create", "--user", "demo-business@tollgate.invalid", "--data", "/srv/it's"];
        Cli::try_parse_from(words).unwrap();
    }

    /// Paths, the brand and links may have any length. A command to copy is one line.
    #[test]
    fn lines_fit_80_columns_except_for_commands_and_configured_text() {
        let data = "/home/somebody/projects/a-company/the-gateway/environments/staging/tollgate-data";
        let command = format!("tollgate setup-link --data {data} --addr 127.0.0.1:8787");
        let link = format!("https://gateway.staging.a-company.example.com/control/link#tgl_{}", "0".repeat(43));
        let setups = [AdminSetup::Link(Secret::new(link.clone())), AdminSetup::Command(command.clone())];
        let three = "providers: [{name: openai, kind: openai, credential: k}, {name: anthropic, kind: anthropic, \
            credential: k}, {name: google, kind: gemini, credential: k}]";
        let postgres = "store: {url: 'postgres://u:p@localhost/db'}";
        let files = ["", "mock: true", three, postgres];
        for (setup, yaml) in setups.iter().flat_map(|setup| files.map(|yaml| (setup, yaml))) {
            let yaml = format!("data: {data}\n{yaml}\n");
            let printed = text(&running(&yaml), &place(Some(data)), Some(setup), true);
            assert!(printed.contains(data), "{printed}");
            assert_eq!(printed.contains(&link), matches!(setup, AdminSetup::Link(_)), "{printed}");
            assert_eq!(printed.contains(&command), matches!(setup, AdminSetup::Command(_)), "{printed}");
            let is_command = |line: &str| line.starts_with("  tollgate ") || line.starts_with("    -d '");
            for line in printed.lines().filter(|line| !is_command(line)) {
                let fixed_text = line.replace(data, "").replace(&link, "");
                assert!(fixed_text.chars().count() <= 80, "{line}");
            }
        }
    }
}
