use super::*;

#[test]
fn every_metric_is_shown_as_documented() {
    let metrics = Metrics::new();
    let proxy = &metrics.proxy;
    let control = &metrics.control;
    let route = LabelValue::from("users");
    let labels = RequestLabels { route: route.clone(), method: "GET", status: 200, result: "succeeded" };
    proxy.requests.get_or_create(&labels).inc();
    proxy.duration.get_or_create(&RouteLabels { route }).observe_us(1_500);
    proxy.upstream_duration.get_or_create(&UpstreamLabels { upstream: "u".into() }).observe_us(1_500);
    proxy.refusals.get_or_create(&CodeLabels { code: "rate_limited" }).inc();
    let failed = UpstreamCodeLabels { upstream: "u".into(), code: "upstream_reset" };
    proxy.upstream_errors.get_or_create(&failed).inc();
    let model = ModelLabels { provider: "openai".into(), model: "gpt-5-mini".into() };
    let tokens = TokenLabels { provider: model.provider.clone(), model: model.model.clone(), class: "input" };
    proxy.tokens.get_or_create(&tokens).inc_by(7);
    proxy.cost.get_or_create(&model).inc_by(1_750);
    proxy.unpriced.get_or_create(&model).inc();
    proxy.prices_expiring.get_or_create(&model).set(1_795_305_600);
    proxy.connections.set(3);
    let call = ApiLabels { method: "GET", path: "/health".into(), status: 200 };
    control.requests.get_or_create(&call).inc();
    control.response_time.get_or_create(&PathLabels { method: "GET", path: "/health".into() }).observe_us(90);
    let text = metrics.encode();
    for line in [
        "tollgate_build_info{version=\"0.1.0\"} 1",
        "tollgate_requests_total{route=\"users\",method=\"GET\",status=\"200\",result=\"succeeded\"} 1",
        "tollgate_request_duration_seconds_bucket{le=\"0.0025\",route=\"users\"} 1",
        "tollgate_request_duration_seconds_sum{route=\"users\"} 0.0015",
        "tollgate_upstream_duration_seconds_count{upstream=\"u\"} 1",
        "tollgate_refusals_total{code=\"rate_limited\"} 1",
        "tollgate_upstream_errors_total{upstream=\"u\",code=\"upstream_reset\"} 1",
        "tollgate_connections 3",
        "tollgate_requests_in_flight 0",
        "tollgate_buffered_bytes 0",
        "tollgate_tokens_total{provider=\"openai\",model=\"gpt-5-mini\",class=\"input\"} 7",
        "tollgate_cost_nano_usd_total{provider=\"openai\",model=\"gpt-5-mini\"} 1750",
        "tollgate_unpriced_requests_total{provider=\"openai\",model=\"gpt-5-mini\"} 1",
        "tollgate_prices_expiring_timestamp_seconds{provider=\"openai\",model=\"gpt-5-mini\"} 1795305600",
        "tollgate_panics_total 0",
        "tollgate_meter_released_total 0",
        "tollgate_meter_settled_total 0",
        "tollgate_meter_reserved_total 0",
        "tollgate_meter_dropped_total 0",
        "tollgate_meter_overruns_total 0",
        "tollgate_meter_bounded_total 0",
        "tollgate_meter_interrupted_total 0",
        "tollgate_meter_in_flight{measure=\"credits\"} 0",
        "tollgate_meter_in_flight{measure=\"tokens\"} 0",
        "tollgate_meter_in_flight{measure=\"nano_usd\"} 0",
        "tollgate_meter_used_total{measure=\"tokens\"} 0",
        "tollgate_meter_overrun_total{measure=\"nano_usd\"} 0",
        "tollgate_meter_estimated_total{measure=\"nano_usd\"} 0",
        "tollgate_meter_cut_off_total{measure=\"nano_usd\"} 0",
        "tollgate_lease_unusable_amount{measure=\"credits\"} 0",
        "tollgate_spool_bytes 0",
        "tollgate_spool_records 0",
        "tollgate_spool_ingest_lag_seconds 0.0",
        "tollgate_spool_oldest_seconds 0",
        "tollgate_spool_ingested_total 0",
        "tollgate_spool_ingest_errors_total 0",
        "api_requests_total{method=\"GET\",path=\"/health\",status=\"200\"} 1",
        "api_response_time_seconds_count{method=\"GET\",path=\"/health\"} 1",
        "api_panics_total 0",
        "tollgate_log_lines_dropped_total 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn labels_of_routes_are_escaped_and_bounded() {
    let metrics = Metrics::new();
    let shown = || {
        let text = metrics.encode();
        text.lines().filter(|line| line.starts_with("tollgate_route_labels{")).map(str::to_owned).collect::<Vec<_>>()
    };
    metrics.proxy.route_labels.show([("/a\"\\d+\nb", [("team", "accounts")])]);
    assert_eq!(shown(), [r#"tollgate_route_labels{route="/a\"\\d+\nb",team="accounts"} 1"#]);
    let names: Vec<String> = (0..1_001).map(|nth| format!("/{nth}")).collect();
    metrics.proxy.route_labels.show(names.iter().map(|name| (name.as_str(), [("team", "accounts")])));
    assert_eq!(shown().len(), 1_000);
}

#[test]
fn jobs_are_shown_as_documented() {
    let metrics = Metrics::new();
    let job = JobLabels { job: "retention" };
    metrics.jobs.runs.get_or_create(&JobRunLabels { job: job.job, outcome: "failed" }).inc();
    metrics.jobs.duration.get_or_create(&job).set(1.5);
    metrics.jobs.running.get_or_create(&job).set(1);
    metrics.jobs.last_success.get_or_create(&job).set(1_795_305_600);
    let text = metrics.encode();
    for line in [
        "tollgate_job_runs_total{job=\"retention\",outcome=\"failed\"} 1",
        "tollgate_job_duration_seconds{job=\"retention\"} 1.5",
        "tollgate_job_running{job=\"retention\"} 1",
        "tollgate_job_last_success_timestamp_seconds{job=\"retention\"} 1795305600",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[test]
fn scrape_hooks_copy_external_totals() {
    let metrics = Metrics::new();
    metrics.on_scrape(Box::new(|metrics| {
        set_total(&metrics.meter.settled, 41);
        set_total(&metrics.meter.settled, 12);
        metrics.spool.bytes.set(4_096);
        metrics.spool.ingest_lag_seconds.set(0.125);
        metrics.meter.in_flight.set(MeasureAmounts { credits: 1, tokens: 2, nano_usd: u64::MAX });
        metrics.meter.used.set(MeasureAmounts { credits: 3, tokens: 4, nano_usd: 5 });
        metrics.meter.used.set(MeasureAmounts { credits: 2, tokens: 6, nano_usd: 5 });
    }));
    let text = metrics.encode();
    for line in [
        "tollgate_meter_settled_total 41",
        "tollgate_spool_bytes 4096",
        "tollgate_spool_ingest_lag_seconds 0.125",
        "tollgate_meter_in_flight{measure=\"credits\"} 1",
        "tollgate_meter_in_flight{measure=\"tokens\"} 2",
        "tollgate_meter_in_flight{measure=\"nano_usd\"} 9223372036854775807",
        "tollgate_meter_used_total{measure=\"credits\"} 3",
        "tollgate_meter_used_total{measure=\"tokens\"} 6",
        "tollgate_meter_used_total{measure=\"nano_usd\"} 5",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn process_memory_and_start_time_are_shown() {
    let text = Metrics::new().encode();
    let figure = |name: &str| -> i64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}\n{text}"));
        line.trim().parse().unwrap()
    };
    assert!(figure("process_resident_memory_bytes ") > 1_000_000);
    assert!(figure("tollgate_memory_limit_bytes ") > figure("process_resident_memory_bytes "));
    assert!(figure("process_start_time_seconds ") > 1_700_000_000);
}
