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
        "configuration.md", "errors/README.md", "metrics.md", "logs.md",
    ]
    Operate: [
        "installation.md", "kubernetes.md", "guides/cloudflare.md", "http2.md", "deployment.md", "guides/publishing.md", "postgresql.md",
        "leases.md", "vault.md", "reselling.md", "migrating.md", "migrating-litellm.md", "traces.md", "troubleshooting.md", "runbook.md",
        "export.md", "growing.md", "tuning.md", "performance.md", "upgrade.md", "live-configuration.md",
        "guarantees.md", "audit.md",
    ]
    Errors: [
        "errors/ambiguous_credentials.md", "errors/auth_unavailable.md", "errors/bad_request.md",
        "errors/budget_exceeded.md", "errors/conflict.md", "errors/cost_unbounded.md", "errors/directory_busy.md",
        "errors/draining.md", "errors/forbidden.md", "errors/format_mismatch.md", "errors/header_too_large.md",
        "errors/internal.md", "errors/issuer_unavailable.md", "errors/key_expired.md", "errors/key_malformed.md",
        "errors/key_revoked.md", "errors/key_unknown.md", "errors/method_not_allowed.md",
        "errors/misdirected_request.md", "errors/model_not_found.md", "errors/no_healthy_upstream.md",
        "errors/not_found.md", "errors/overloaded.md", "errors/password_invalid.md", "errors/payload_too_large.md",
        "errors/payment_required.md", "errors/payment_unavailable.md", "errors/price_unknown.md",
        "errors/quota_exceeded.md", "errors/quota_withheld.md", "errors/rate_limited.md", "errors/request_timeout.md",
        "errors/route_not_found.md", "errors/signup_closed.md", "errors/spool_full.md", "errors/token_expired.md",
        "errors/token_invalid.md", "errors/unauthorized.md", "errors/unavailable.md", "errors/unprocessable.md",
        "errors/unsupported_media_type.md", "errors/upgrade_required.md", "errors/upstream_connect.md",
        "errors/upstream_protocol.md", "errors/upstream_reset.md", "errors/upstream_timeout.md",
        "errors/user_suspended.md",
    ]
}
