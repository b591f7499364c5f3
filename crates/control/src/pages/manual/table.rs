//! The documents that are pages. The groups have the order of `docs/README.md`, and a test compares them.

use std::sync::OnceLock;

use super::{ManualGroup, ManualPage};

/// Defines the table from the paths of the documents in each group.
macro_rules! table {
    ($($group:ident: [$($path:literal),+ $(,)?])+) => {
        /// All pages in the order of the index.
        pub(super) static PAGES: [ManualPage; [$($($path),+),+].len()] = [$($(ManualPage {
            group: ManualGroup::$group,
            path: $path,
            text: include_str!(concat!("../../../../../docs/", $path)),
            html: OnceLock::new(),
        }),+),+];
    };
}

table! {
    Start: [
        "tour.md", "glossary.md", "examples.md", "mock.md",
    ]
    Guides: [
        "guides/routing.md", "routing.md", "explain.md", "guides/authentication.md", "authentication.md", "keys.md",
        "guides/rate-limits.md", "rate-limits.md", "guides/budgets.md", "budgets.md", "prices.md",
        "guides/upstreams.md", "upstreams.md", "discovery.md", "cache.md", "compression.md", "guides/fallback.md",
        "fallback.md", "providers.md", "translation.md", "guides/clients.md", "clients.md", "install-script.md", "guides/billing.md", "billing.md",
        "guides/insights.md", "insights.md", "guides/api.md", "api.md", "python.md",
    ]
    Lists: [
        "configuration.md", "errors.md", "metrics.md", "logs.md",
    ]
    Operate: [
        "installation.md", "kubernetes.md", "guides/cloudflare.md", "http2.md", "deployment.md", "guides/publishing.md", "postgresql.md",
        "leases.md", "vault.md", "reselling.md", "migrating.md", "migrating-litellm.md", "traces.md", "troubleshooting.md", "runbook.md",
        "export.md", "growing.md", "tuning.md", "performance.md", "upgrade.md", "live-configuration.md",
        "guarantees.md", "audit.md",
    ]
}
