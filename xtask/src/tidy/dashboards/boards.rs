//! Long because: a flat table of panels. The three dashboards: the gateway, LLM calls and money, and one node.

use super::panel::{Board, Computation, Panel, Query};

/// The dashboards, in the order of their files.
pub(super) const ALL: &[Board] = &[GATEWAY, LLM, NODE];

const fn panel(title: &'static str, unit: &'static str, queries: &'static [Query]) -> Panel {
    Panel { title, unit, queries }
}

const fn query(metric: &'static str, computes: Computation, by: &'static [&'static str]) -> Query {
    only(metric, computes, by, &[])
}

const fn only(
    metric: &'static str,
    computes: Computation,
    by: &'static [&'static str],
    only: &'static [&'static str],
) -> Query {
    Query { metric, computes, by, only }
}

const GATEWAY: Board = Board {
    name: "gateway",
    title: "Tollgate: gateway",
    is_of_one_node: false,
    rows: &[
        (
            "Requests",
            &[
                panel(
                    "Requests by result",
                    "reqps",
                    &[query("tollgate_requests_total", Computation::Rate, &["result"])],
                ),
                panel(
                    "Share of failed requests",
                    "percentunit",
                    // As for the alerts, a backend's 404 or 409 is no failure of a service.
                    &[only(
                        "tollgate_requests_total",
                        Computation::Share,
                        &[],
                        &["result=\"failed\"", "status!~\"4..\""],
                    )],
                ),
                panel("Requests by route", "reqps", &[query("tollgate_requests_total", Computation::Rate, &["route"])]),
            ],
        ),
        (
            "Latency",
            &[
                panel(
                    "Duration of requests",
                    "s",
                    &[
                        query("tollgate_request_duration_seconds", Computation::Quantile(50), &[]),
                        query("tollgate_request_duration_seconds", Computation::Quantile(95), &[]),
                        query("tollgate_request_duration_seconds", Computation::Quantile(99), &[]),
                    ],
                ),
                panel(
                    "Duration by route, p95",
                    "s",
                    &[query("tollgate_request_duration_seconds", Computation::Quantile(95), &["route"])],
                ),
                panel(
                    "Head of the response of upstreams, p95",
                    "s",
                    &[query("tollgate_upstream_duration_seconds", Computation::Quantile(95), &["upstream"])],
                ),
            ],
        ),
        (
            "Refusals and limits",
            &[
                panel("Refusals by code", "reqps", &[query("tollgate_refusals_total", Computation::Rate, &["code"])]),
                panel(
                    "Refused by rate limits",
                    "reqps",
                    &[query("tollgate_limits_refused_total", Computation::Rate, &["limit"])],
                ),
                panel(
                    "Requests by status",
                    "reqps",
                    &[query("tollgate_requests_total", Computation::Rate, &["status"])],
                ),
            ],
        ),
        (
            "Upstreams",
            &[
                panel(
                    "Failures of backends by cause",
                    "reqps",
                    &[query("tollgate_backend_failures_total", Computation::Rate, &["upstream", "cause"])],
                ),
                panel(
                    "Retries, and retries without budget",
                    "reqps",
                    &[
                        query("tollgate_upstream_retries_total", Computation::Rate, &["upstream", "cause"]),
                        query("tollgate_upstream_retries_refused_total", Computation::Rate, &["upstream"]),
                    ],
                ),
                panel(
                    "Backends without requests",
                    "short",
                    &[
                        query("tollgate_backend_unhealthy", Computation::Max, &["upstream", "backend"]),
                        query("tollgate_backend_ejected", Computation::Max, &["upstream", "backend"]),
                        query("tollgate_backend_breakers_open", Computation::Max, &["upstream", "backend"]),
                    ],
                ),
            ],
        ),
        (
            "Backends and control",
            &[
                panel(
                    "Head of the response of backends, p95",
                    "s",
                    &[query("tollgate_backend_duration_seconds", Computation::Quantile(95), &["backend"])],
                ),
                panel(
                    "Requests in flight by backend",
                    "short",
                    &[query("tollgate_backend_requests_in_flight", Computation::Sum, &["backend"])],
                ),
                panel("Admin API by status", "reqps", &[query("api_requests_total", Computation::Rate, &["status"])]),
            ],
        ),
    ],
};

const LLM: Board = Board {
    name: "llm",
    title: "Tollgate: LLM and money",
    is_of_one_node: false,
    rows: &[
        (
            "Money",
            &[
                panel(
                    "Cost per hour by model",
                    "currencyUSD",
                    &[query("tollgate_cost_nano_usd_total", Computation::UsdPerHour, &["provider", "model"])],
                ),
                panel(
                    "Cost per hour by provider",
                    "currencyUSD",
                    &[query("tollgate_cost_nano_usd_total", Computation::UsdPerHour, &["provider"])],
                ),
                panel(
                    "Calls with unknown cost",
                    "short",
                    &[query("tollgate_unpriced_requests_total", Computation::Increase, &["provider", "model"])],
                ),
            ],
        ),
        (
            "Tokens",
            &[
                panel("Tokens by class", "short", &[query("tollgate_tokens_total", Computation::Rate, &["class"])]),
                panel(
                    "Tokens by model",
                    "short",
                    &[query("tollgate_tokens_total", Computation::Rate, &["provider", "model"])],
                ),
                panel(
                    "Tokens in this range by model",
                    "short",
                    &[query("tollgate_tokens_total", Computation::Increase, &["model"])],
                ),
            ],
        ),
        (
            "Providers",
            &[
                panel(
                    "Calls of LLM endpoints by result",
                    "reqps",
                    &[only("tollgate_requests_total", Computation::Rate, &["route", "result"], &["route=~\"/v1.*\""])],
                ),
                panel(
                    "Attempts at targets by result",
                    "reqps",
                    &[query("tollgate_target_attempts_total", Computation::Rate, &["provider", "model", "result"])],
                ),
                panel(
                    "Targets left out after failures",
                    "short",
                    &[query("tollgate_target_cooled_down", Computation::Max, &["provider", "model"])],
                ),
            ],
        ),
        (
            "Budgets",
            &[
                panel(
                    "Refused by quotas, budgets and prices",
                    "reqps",
                    &[only(
                        "tollgate_refusals_total",
                        Computation::Rate,
                        &["code"],
                        &["code=~\"quota_exceeded|budget_exceeded|quota_withheld|cost_unbounded|price_unknown\""],
                    )],
                ),
                panel(
                    "Charged per second",
                    "short",
                    &[query("tollgate_meter_used_total", Computation::Rate, &["measure"])],
                ),
                panel(
                    "Reserved by requests in flight",
                    "short",
                    &[query("tollgate_meter_in_flight", Computation::Sum, &["measure"])],
                ),
            ],
        ),
        (
            "Exactness",
            &[
                panel(
                    "Charges that no provider reported",
                    "short",
                    &[
                        query("tollgate_meter_estimated_total", Computation::Rate, &["measure"]),
                        query("tollgate_meter_cut_off_total", Computation::Rate, &["measure"]),
                    ],
                ),
                panel(
                    "Charges beyond the reservation",
                    "short",
                    &[query("tollgate_meter_overrun_total", Computation::Rate, &["measure"])],
                ),
                panel(
                    "Time until the last price ends",
                    "s",
                    &[query("tollgate_prices_expiring_timestamp_seconds", Computation::Until, &["provider", "model"])],
                ),
            ],
        ),
    ],
};

const NODE: Board = Board {
    name: "node",
    title: "Tollgate: one node",
    is_of_one_node: true,
    rows: &[
        (
            "Process",
            &[
                panel(
                    "Memory",
                    "bytes",
                    &[
                        query("process_resident_memory_bytes", Computation::Max, &[]),
                        query("tollgate_memory_limit_bytes", Computation::Max, &[]),
                        query("tollgate_buffered_bytes", Computation::Max, &[]),
                    ],
                ),
                panel(
                    "Connections and requests in flight",
                    "short",
                    &[
                        query("tollgate_connections", Computation::Max, &[]),
                        query("tollgate_requests_in_flight", Computation::Max, &[]),
                    ],
                ),
                panel("Time since the start", "s", &[query("process_start_time_seconds", Computation::Since, &[])]),
            ],
        ),
        (
            "Disks",
            &[
                panel("Free space", "bytes", &[query("tollgate_disk_free_bytes", Computation::Max, &["folder"])]),
                panel("Whole space", "bytes", &[query("tollgate_disk_size_bytes", Computation::Max, &["folder"])]),
                panel(
                    "Rows that the export has skipped",
                    "short",
                    &[query("tollgate_export_skipped_rows_total", Computation::Increase, &[])],
                ),
            ],
        ),
        (
            "Spool and ingest",
            &[
                panel("Size of the spool", "bytes", &[query("tollgate_spool_bytes", Computation::Max, &[])]),
                panel(
                    "Age of the oldest record, and lag",
                    "s",
                    &[
                        query("tollgate_spool_oldest_seconds", Computation::Max, &[]),
                        query("tollgate_spool_ingest_lag_seconds", Computation::Max, &[]),
                    ],
                ),
                panel(
                    "Ingested events, and failed batches",
                    "cps",
                    &[
                        query("tollgate_spool_ingested_total", Computation::Rate, &[]),
                        query("tollgate_spool_ingest_errors_total", Computation::Rate, &[]),
                    ],
                ),
            ],
        ),
        (
            "Jobs",
            &[
                panel(
                    "Failed runs by job",
                    "short",
                    &[only(
                        "tollgate_job_runs_total",
                        Computation::Increase,
                        &["job", "outcome"],
                        &["outcome!=\"succeeded\""],
                    )],
                ),
                panel(
                    "Time since the last success",
                    "s",
                    &[query("tollgate_job_last_success_timestamp_seconds", Computation::Since, &["job"])],
                ),
                panel(
                    "Duration of the last run",
                    "s",
                    &[query("tollgate_job_duration_seconds", Computation::Max, &["job"])],
                ),
            ],
        ),
        (
            "Leases and limits",
            &[
                panel(
                    "Lease requests, failures and waits",
                    "cps",
                    &[
                        query("tollgate_lease_ticks_total", Computation::Rate, &[]),
                        query("tollgate_lease_failures_total", Computation::Rate, &[]),
                        query("tollgate_lease_waits_total", Computation::Rate, &[]),
                    ],
                ),
                panel("Unusable leases", "short", &[query("tollgate_lease_unusable", Computation::Max, &[])]),
                panel(
                    "Redis counts (1), and requests counted alone",
                    "short",
                    &[
                        query("tollgate_limits_shared", Computation::Max, &[]),
                        query("tollgate_limits_fallbacks_total", Computation::Rate, &[]),
                    ],
                ),
            ],
        ),
        (
            "Secrets and configuration",
            &[
                panel(
                    "Time until certificates expire",
                    "s",
                    &[query("tollgate_tls_certificate_expiry_timestamp_seconds", Computation::Until, &["file"])],
                ),
                panel("Age of the master key", "s", &[query("tollgate_vault_key_age_seconds", Computation::Max, &[])]),
                panel(
                    "Time since the configuration changed",
                    "s",
                    &[query("tollgate_config_last_success_timestamp_seconds", Computation::Since, &[])],
                ),
            ],
        ),
        (
            "Refused changes and the clock",
            &[
                panel(
                    "Refused configurations and upgrades",
                    "short",
                    &[
                        only("tollgate_config_reloads_total", Computation::Increase, &[], &["result=\"refused\""]),
                        query("tollgate_upgrades_refused_total", Computation::Increase, &[]),
                    ],
                ),
                panel(
                    "Value of the key of etcd is refused",
                    "short",
                    &[query("tollgate_config_source_refused", Computation::Max, &[])],
                ),
                panel(
                    "Leaps of the clock",
                    "s",
                    &[
                        query("tollgate_clock_ahead_seconds", Computation::Max, &[]),
                        query("tollgate_clock_leaps_total", Computation::Rate, &[]),
                    ],
                ),
            ],
        ),
        (
            "Failures of secrets and the export",
            &[
                panel(
                    "Keys of issuers: fetches",
                    "cps",
                    &[query("tollgate_issuer_fetches_total", Computation::Rate, &["issuer", "outcome"])],
                ),
                panel(
                    "Unusable certificates and credentials",
                    "short",
                    &[
                        query("tollgate_tls_reload_failures_total", Computation::Increase, &["file"]),
                        query("tollgate_vault_undecryptable_total", Computation::Increase, &[]),
                    ],
                ),
                panel("Lag of the export", "s", &[query("tollgate_export_lag_seconds", Computation::Max, &[])]),
            ],
        ),
        (
            "Internal errors",
            &[
                panel(
                    "Panics",
                    "short",
                    &[
                        query("tollgate_panics_total", Computation::Increase, &[]),
                        query("api_panics_total", Computation::Increase, &[]),
                    ],
                ),
                panel(
                    "Usage without a settlement, dropped log lines",
                    "short",
                    &[
                        query("tollgate_meter_dropped_total", Computation::Increase, &[]),
                        query("tollgate_log_lines_dropped_total", Computation::Increase, &[]),
                    ],
                ),
                panel("Keys of issuers", "short", &[query("tollgate_issuer_keys", Computation::Max, &["issuer"])]),
            ],
        ),
    ],
};
