//! Allowed dependencies between crates. The table is the architecture (ARCHITECTURE.md).

use super::finding::{FileLine, Finding};
use super::graph::{Graph, Package};
use super::tree::{File, Tree};

/// Each crate with the workspace crates that it may use. Every crate may use `telemetry`.
const TABLE: &[(&str, &[&str])] = &[
    ("access", &[]),
    ("meter", &["access"]),
    ("ai", &["meter", "access"]),
    ("http1", &[]),
    ("evidence", &["access"]),
    ("insights", &["access"]),
    ("json_edits", &[]),
    ("jobs", &["access"]),
    ("tls", &["access"]),
    ("discovery", &["tls", "jobs", "access"]),
    ("otlp", &["tls", "jobs", "access"]),
    ("spool", &["meter", "access"]),
    ("export", &["tls", "spool", "meter", "jobs", "access"]),
    ("mock", &["ai", "access"]),
    ("settings", &["access"]),
    ("config", &["settings", "http1", "insights", "json_edits", "ai", "tls", "meter", "access"]),
    ("store", &["spool", "meter", "access"]),
    ("ledger", &["invoicing", "store", "spool", "meter", "jobs", "access"]),
    ("cluster", &["store", "meter", "jobs", "access"]),
    ("invoicing", &["evidence", "meter", "access"]),
    ("billing", &["insights", "invoicing", "ledger", "store", "jobs", "tls", "meter", "access"]),
    ("proxy", &["http1", "json_edits", "config", "ai", "tls", "spool", "meter", "access"]),
    (
        "control",
        &[
            "http1",
            "insights",
            "evidence",
            "dashboard",
            "billing",
            "ledger",
            "cluster",
            "store",
            "config",
            "tls",
            "meter",
            "access",
        ],
    ),
    ("dashboard", &[]),
    ("telemetry", &[]),
    ("api", &["tollgate"]),
    (
        "tollgate",
        &[
            "control",
            "insights",
            "invoicing",
            "evidence",
            "export",
            "dashboard",
            "discovery",
            "proxy",
            "billing",
            "ledger",
            "cluster",
            "store",
            "config",
            "mock",
            "otlp",
            "tls",
            "spool",
            "ai",
            "meter",
            "jobs",
            "access",
        ],
    ),
];

/// Packages that may use every workspace crate. No crate may use them.
const UNRESTRICTED: &[&str] = &["xtask", "e2e", "bench", "fuzz"];

/// External crates that only some workspace crates may use, with the reason.
const RESERVED: &[(&str, &[&str], &str)] = &[
    ("sqlx", &["store", "ledger", "cluster"], "only store, ledger and cluster use SQL"),
    ("sqlx-macros", &["store", "ledger", "cluster"], "only store, ledger and cluster use SQL"),
    ("rusqlite", &["store"], "only store opens a SQLite file: see decision 0032"),
    ("redis", &["cluster"], "only cluster uses Redis"),
    ("axum", &["control"], "a gateway route is data, not a handler: Axum is for the admin API"),
    ("tower-http", &["control"], "tower layers are for control only"),
    ("anyhow", &["tollgate"], "modules return an error enum: anyhow is for the binary and tests"),
    ("clap", &["tollgate"], "commands are in tollgate"),
];

/// Workspace crates without I/O, so that they can be fuzzed and simulated.
const WITHOUT_IO: &[&str] = &["access", "meter", "ai", "http1", "insights", "json_edits"];

/// External crates that do I/O.
const IO: &[&str] =
    &["hyper", "hyper-util", "mio", "reqwest", "rustix", "rustls", "socket2", "tempfile", "tokio-rustls"];

/// Crates without I/O that may use Tokio's `sync`.
const TOKIO_SYNC: &[&str] = &["access", "meter"];

/// Checks the manifests. It also checks sources for Tokio, because features are unified over the workspace and no
/// manifest shows them.
pub(crate) fn check(graph: &Graph, tree: &Tree) -> Vec<Finding> {
    let members: Vec<&str> = graph.members().map(|package| package.name.as_str()).collect();
    let mut findings = Vec::new();
    for package in graph.members() {
        let manifest = tree.file(&package.manifest);
        findings.extend(membership(package, manifest));
        findings.extend(inside(package, manifest, &members));
        findings.extend(outside(package, manifest));
        if TOKIO_SYNC.contains(&package.name.as_str()) {
            findings.extend(manifest.into_iter().filter_map(tokio_features));
            findings.extend(tokio_sources(tree, &package.name));
        }
    }
    findings
}

fn membership(package: &Package, manifest: Option<&File>) -> Vec<Finding> {
    let place = FileLine { path: &package.manifest, line: 0 };
    let mut findings = Vec::new();
    if package.publishable {
        findings.push(place.fails("the crate could be published", "write `publish.workspace = true`"));
    }
    let text = manifest.map_or("", |file| &file.text);
    let mut lines = text.lines().map(str::trim).skip_while(|line| *line != "[lints]").skip(1);
    if lines.next() != Some("workspace = true") {
        findings.push(place.fails("the workspace's lints do not apply", "write `workspace = true` under `[lints]`"));
    }
    findings
}

fn inside(package: &Package, manifest: Option<&File>, members: &[&str]) -> Vec<Finding> {
    let crate_name = package.name.as_str();
    if UNRESTRICTED.contains(&crate_name) {
        return Vec::new();
    }
    let Some((_, may)) = TABLE.iter().find(|(name, _)| *name == crate_name) else {
        let remedy = "add it to the table in xtask/src/tidy/dependencies.rs and to ARCHITECTURE.md";
        return vec![
            FileLine { path: &package.manifest, line: 0 }
                .fails(format!("the table has no row for `{crate_name}`"), remedy),
        ];
    };
    let used = package.dependencies.iter().filter(|name| members.contains(&name.as_str()));
    let refused = used.filter(|name| *name != "telemetry" && !may.contains(&name.as_str()));
    refused
        .map(|name| {
            let list = if may.is_empty() { "no workspace crate".to_owned() } else { may.join(", ") };
            place(package, manifest, name).fails(
                format!("`{crate_name}` may not use `{name}`"),
                format!("it may use {list} (and telemetry): move the code, or pass the data in"),
            )
        })
        .collect()
}

fn outside(package: &Package, manifest: Option<&File>) -> Vec<Finding> {
    let crate_name = package.name.as_str();
    let mut findings = Vec::new();
    for name in &package.dependencies {
        let reserved = RESERVED.iter().find(|(outside, _, _)| outside == name);
        if let Some((_, may, why)) = reserved
            && !may.contains(&crate_name)
            && !UNRESTRICTED.contains(&crate_name)
        {
            findings.push(place(package, manifest, name).fails(format!("`{crate_name}` may not use `{name}`"), *why));
        }
        let tokio = name == "tokio" && !TOKIO_SYNC.contains(&crate_name);
        if WITHOUT_IO.contains(&crate_name) && (IO.contains(&name.as_str()) || tokio) {
            let what = format!("`{crate_name}` does no I/O and may not use `{name}`");
            findings.push(place(package, manifest, name).fails(what, "take bytes and time as arguments"));
        }
    }
    findings
}

/// The line of a manifest that names a dependency.
fn place<'a>(package: &'a Package, manifest: Option<&'a File>, dependency: &str) -> FileLine<'a> {
    let named = |line: &str| {
        line.strip_prefix(dependency).is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
            || line.contains(&format!("package = \"{dependency}\""))
    };
    let line = manifest.and_then(|file| file.lines().find(|(_, line)| named(line))).map_or(0, |(number, _)| number);
    FileLine { path: &package.manifest, line }
}

/// A Tokio feature other than `sync` in the manifest.
fn tokio_features(manifest: &File) -> Option<Finding> {
    let before_development = manifest.lines().take_while(|(_, line)| *line != "[dev-dependencies]");
    let (number, features) = before_development
        .filter(|(_, line)| line.starts_with("tokio"))
        .find_map(|(number, line)| Some((number, line.split_once("features = [")?.1.split(']').next()?)))?;
    let other =
        features.split(',').map(|feature| feature.trim().trim_matches('"')).find(|feature| *feature != "sync")?;
    let remedy = "crates without I/O may use `sync` only";
    Some(manifest.line(number).fails(format!("enables Tokio's `{other}`"), remedy))
}

/// Uses of Tokio other than `sync`, outside of tests.
fn tokio_sources(tree: &Tree, crate_name: &str) -> Vec<Finding> {
    let folder = format!("crates/{crate_name}/src/");
    let mut findings = Vec::new();
    for file in tree.below(&folder).filter(|file| file.is(&["rs"]) && file.name() != "tests.rs") {
        for (number, line) in file.lines().take_while(|(_, line)| line.trim() != "#[cfg(test)]") {
            let used = line.split("tokio::").skip(1).find(|rest| !rest.starts_with("sync"));
            if used.is_some() && !line.trim_start().starts_with("//") {
                let remedy = format!("`{crate_name}` does no I/O: it may use `tokio::sync::…` only");
                findings.push(file.line(number).fails("uses Tokio other than `sync`", remedy));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::finding::messages;

    const LINTS: &str = "[lints]\nworkspace = true\n";

    fn check_one(name: &str, dependencies: &[&str], files: &[(&str, &str)]) -> Vec<String> {
        let changed = Package {
            name: name.to_owned(),
            manifest: format!("crates/{name}/Cargo.toml"),
            member: true,
            dependencies: dependencies.iter().map(|name| (*name).to_owned()).collect(),
            ..Package::default()
        };
        let others = ["store", "mock", "telemetry"].map(|name| Package {
            name: name.to_owned(),
            manifest: format!("crates/{name}/Cargo.toml"),
            member: true,
            ..Package::default()
        });
        let manifests = others.iter().map(|package| (package.manifest.as_str(), LINTS));
        let tree = Tree::from_files(&manifests.chain(files.iter().copied()).collect::<Vec<_>>());
        let packages = others.iter().filter(|package| package.name != name).cloned().chain([changed]);
        messages(&check(&Graph { packages: packages.collect() }, &tree))
    }

    #[test]
    fn a_dependency_outside_the_table_fails_where_it_is_written() {
        let manifest = format!("{LINTS}\n[dependencies]\nstore.workspace = true\ntelemetry.workspace = true\n");
        let messages = check_one("proxy", &["store", "telemetry"], &[("crates/proxy/Cargo.toml", &manifest)]);
        assert_eq!(
            messages,
            [
                "crates/proxy/Cargo.toml:5: `proxy` may not use `store`; it may use http1, json_edits, config, ai, tls, spool, meter, access (and \
              telemetry): move the code, or pass the data in"
            ]
        );
    }

    #[test]
    fn a_crate_without_a_row_fails() {
        let messages = check_one("invoices", &[], &[("crates/invoices/Cargo.toml", LINTS)]);
        assert!(messages.len() == 1 && messages[0].contains("the table has no row for `invoices`"), "{messages:?}");
        assert!(check_one("e2e", &["store", "mock", "anyhow"], &[("crates/e2e/Cargo.toml", LINTS)]).is_empty());
    }

    #[test]
    fn sql_outside_the_store_and_io_in_ai_fail() {
        for (who, whom) in
            [("control", "sqlx"), ("proxy", "axum"), ("store", "anyhow"), ("ai", "tokio"), ("meter", "hyper")]
        {
            let path = format!("crates/{who}/Cargo.toml");
            let messages = check_one(who, &[whom], &[(&path, LINTS)]);
            assert!(
                messages.len() == 1 && messages[0].contains(&format!("may not use `{whom}`")),
                "{who} {whom}: {messages:?}"
            );
        }
    }

    #[test]
    fn tokio_beyond_sync_fails_in_access() {
        let manifest =
            format!("{LINTS}\n[dependencies]\ntokio = {{ version = \"1\", features = [\"sync\", \"net\"] }}\n");
        let source = "use tokio::sync::mpsc;\nuse tokio::net::TcpStream;\n#[cfg(test)]\nuse tokio::time;\n";
        let files = [("crates/access/Cargo.toml", manifest.as_str()), ("crates/access/src/lib.rs", source)];
        let messages = check_one("access", &["tokio"], &files);
        assert!(messages.len() == 2, "{messages:?}");
        assert!(messages[0].starts_with("crates/access/Cargo.toml:5: enables Tokio's `net`"), "{messages:?}");
        assert!(messages[1].starts_with("crates/access/src/lib.rs:2: uses Tokio other than `sync`"), "{messages:?}");
    }

    #[test]
    fn a_crate_that_leaves_the_workspaces_lints_or_could_be_published_fails() {
        let lintless = check_one("meter", &[], &[("crates/meter/Cargo.toml", "[package]\n")]);
        assert!(lintless.len() == 1 && lintless[0].contains("lints do not apply"), "{lintless:?}");
        let package = Package { publishable: true, name: "meter".to_owned(), ..Package::default() };
        let manifest = Tree::from_files(&[("Cargo.toml", LINTS)]);
        let published = messages(&membership(&package, manifest.file("Cargo.toml")));
        assert!(published.len() == 1 && published[0].contains("could be published"), "{published:?}");
    }
}
