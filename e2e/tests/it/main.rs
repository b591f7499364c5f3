//! Tests of the built binary from outside, with real clients: one module per topic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; JSON is read by indexing"
)]

mod accounts;
mod activation;
mod audit;
mod auth;
mod backlog;
mod billing;
mod billing_example;
mod bodies;
mod brand;
mod browser_cors;
mod browser_keys;
mod budgets;
mod bytes;
mod cache;
mod callers;
mod clients;
mod compression;
mod copies;
mod cors;
mod crash;
mod demo;
mod discovery;
mod drain;
mod effective_limits;
mod endings;
mod endpoints;
mod examples;
mod explain;
mod export;
mod fallback;
mod foreign;
mod formats;
mod framing;
mod from_document;
mod hangups;
mod health_checks;
mod hostile;
mod http2;
mod insights;
mod install;
mod issuer_keys;
mod jobs;
mod keys;
mod killed;
mod killed_backends;
mod leaks;
mod leases;
mod limits;
mod mails;
mod migrate;
mod nodes;
mod openapi;
mod outage;
mod outcomes;
mod people;
mod plain;
mod prices;
mod protocols;
mod quota;
mod read_only;
mod reconcile;
mod redis_keys;
mod refusals;
mod reload;
mod response_rules;
mod revoke;
mod roles;
mod route_bounds;
mod route_matches;
mod routes;
mod settings;
mod spending;
mod start;
mod store;
mod storms;
mod subject_quotas;
mod telemetry;
mod texts;
mod tls;
mod traces;
mod transformations;
mod upgrades;
mod upstream;
mod upstream_hosts;
mod usage;
mod usage_requests;
mod vault;
mod volume;
mod webhooks;
