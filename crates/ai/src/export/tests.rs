use super::*;

/// As in OpenAI's reference, grouped by model and key; hours of one day are summed.
const OPENAI: &str = r#"{"object": "page", "data": [
    {"object": "bucket", "start_time": 1730419200, "end_time": 1730422800, "results": [
        {"object": "organization.usage.completions.result", "input_tokens": 1000, "output_tokens": 500,
         "input_cached_tokens": 800, "input_audio_tokens": 0, "output_audio_tokens": 0, "num_model_requests": 5,
         "project_id": null, "user_id": null, "api_key_id": "key_a", "model": "gpt-4o-2024-08-06", "batch": null},
        {"object": "organization.usage.completions.result", "input_tokens": 10, "output_tokens": 1,
         "input_cached_tokens": 0, "num_model_requests": 1, "api_key_id": "key_b", "model": "gpt-4o-2024-08-06"}]},
    {"object": "bucket", "start_time": 1730502000, "end_time": 1730505600, "results": [
        {"object": "organization.usage.completions.result", "input_tokens": 1, "output_tokens": 2,
         "input_cached_tokens": 0, "num_model_requests": 1, "model": "gpt-4o-2024-08-06"}]}],
  "has_more": true, "next_page": "page_x"}
{"object": "page", "data": [{"object": "bucket", "start_time": 1730505600, "end_time": 1730592000, "results": []}],
  "has_more": false, "next_page": null}"#;

/// The example of Anthropic's reference.
const ANTHROPIC: &str = r#"{"data": [{"starting_at": "2025-08-01T00:00:00Z", "ending_at": "2025-08-02T00:00:00Z", "results": [
    {"uncached_input_tokens": 1500, "cache_creation": {"ephemeral_1h_input_tokens": 1000, "ephemeral_5m_input_tokens": 500},
     "cache_read_input_tokens": 200, "output_tokens": 500, "server_tool_use": {"web_search_requests": 10},
     "api_key_id": "apikey_01", "workspace_id": "wrkspc_01", "model": "claude-sonnet-4-20250514",
     "service_tier": "standard", "context_window": "0-200k"}]}], "has_more": false, "next_page": null}"#;

fn line_key(day: &str, model: Option<&str>) -> ExportLineKey {
    ExportLineKey { day: Day::parse(day).unwrap(), provider: None, model: model.map(str::to_owned) }
}

#[test]
fn pages_of_openai_are_summed_by_day_and_model() {
    let export = Export::read(OPENAI).unwrap();
    assert_eq!(export.kind, Some(ProviderKind::OpenAi));
    assert_eq!(export.days, [Day::parse("2024-11-01").unwrap(), Day::parse("2024-11-02").unwrap()]);
    let figures = ExportFigures {
        requests: Some(7),
        input: Some(1_011),
        cached_input: Some(800),
        output: Some(503),
        ..ExportFigures::default()
    };
    assert_eq!(export.lines, BTreeMap::from([(line_key("2024-11-01", Some("gpt-4o-2024-08-06")), figures)]));
}

#[test]
fn a_page_of_anthropic_reports_input_by_class() {
    let export = Export::read(ANTHROPIC).unwrap();
    let figures = ExportFigures {
        input: Some(3_200),
        cached_input: Some(200),
        cache_write_short: Some(500),
        cache_write_long: Some(1_000),
        output: Some(500),
        ..ExportFigures::default()
    };
    assert_eq!(export.kind, Some(ProviderKind::Anthropic));
    assert_eq!(export.lines, BTreeMap::from([(line_key("2025-08-01", Some("claude-sonnet-4-20250514")), figures)]));
}

#[test]
fn costs_are_read_in_dollars_and_in_cents() {
    let openai = r#"{"object": "page", "has_more": false, "data": [{"start_time": 1730419200, "results": [
        {"object": "organization.costs.result", "amount": {"value": 0.06, "currency": "usd"}, "line_item": "Image models"},
        {"object": "organization.costs.result", "amount": {"value": "1.5e-2", "currency": "usd"}, "line_item": null}]}]}"#;
    let anthropic = r#"{"has_more": false, "data": [{"starting_at": "2024-11-01T00:00:00Z", "results": [
        {"amount": "7.5", "currency": "USD", "description": null, "model": null}]}]}"#;
    for text in [openai, anthropic] {
        let export = Export::read(text).unwrap();
        let cost = ExportFigures { cost: Some(75_000_000), ..ExportFigures::default() };
        assert_eq!(export.lines, BTreeMap::from([(line_key("2024-11-01", None), cost)]));
    }
}

#[test]
fn costs_are_of_all_models_together_if_some_have_no_model() {
    let model = Some("claude-sonnet-4-20250514");
    let tokens = r#"{"amount": "100", "currency": "USD", "description": "Claude Sonnet 4 Usage - Input Tokens",
        "cost_type": "tokens", "model": "claude-sonnet-4-20250514"}"#;
    let search = r#"{"amount": "50", "currency": "USD", "description": "Web Search Usage", "cost_type": "web_search",
        "model": null}"#;
    let whole = r#"{"amount": "150", "currency": "USD", "description": null, "cost_type": null, "model": null}"#;
    let page = |first: &[&str], second: &[&str]| {
        let first = first.join(", ");
        let second = second.join(", ");
        format!(
            r#"{{"data": [{{"starting_at": "2025-08-01T00:00:00Z", "results": [{first}]}},
            {{"starting_at": "2025-08-02T00:00:00Z", "results": [{second}]}}], "has_more": false}}"#
        )
    };
    let lines = |text: &str| Export::read(text).map(|export| export.lines);
    let of_cost = |cents: i64| ExportFigures { cost: Some(cents * 10_000_000), ..ExportFigures::default() };
    let first = "2025-08-01";
    let second = "2025-08-02";
    let one_day = BTreeMap::from([(line_key(first, None), of_cost(150))]);
    assert_eq!(lines(&page(&[tokens, search], &[])), Ok(one_day));
    let apart = BTreeMap::from([(line_key(first, None), of_cost(100)), (line_key(second, None), of_cost(50))]);
    assert_eq!(lines(&page(&[tokens], &[search])), Ok(apart.clone()));
    // Usage in the same file remains by model.
    let usage = lines(ANTHROPIC).unwrap();
    let with_usage: BTreeMap<_, _> = usage.into_iter().chain(apart).collect();
    assert_eq!(lines(&format!("{ANTHROPIC}{}", page(&[tokens], &[search]))), Ok(with_usage));
    let by_model = BTreeMap::from([(line_key(first, model), of_cost(100)), (line_key(second, model), of_cost(100))]);
    assert_eq!(lines(&page(&[tokens], &[tokens])), Ok(by_model));
    // A second report that is not by description contains the same costs.
    let mixed = ExportError::Mixed { day: Day::parse(first).unwrap() };
    assert_eq!(lines(&page(&[tokens, search, whole], &[])), Err(mixed));
}

#[test]
fn a_table_has_the_columns_that_it_names() {
    let text = "\u{feff}date,\"model\",requests,input_tokens,output_tokens,cost_usd\r\n\
                2026-11-20,\"gpt, \"\"5\"\"\",3,10,,0.25\r\n2026-11-20,mini,1,1,1,0\n\n2026-11-21,mini,0,0,0,";
    let export = Export::read(text).unwrap();
    let figures = |requests, input, output, cost| ExportFigures {
        requests: Some(requests),
        input: Some(input),
        output,
        cost,
        ..ExportFigures::default()
    };
    let lines = BTreeMap::from([
        (line_key("2026-11-20", Some("gpt, \"5\"")), figures(3, 10, None, Some(250_000_000))),
        (line_key("2026-11-20", Some("mini")), figures(1, 1, Some(1), Some(0))),
        (line_key("2026-11-21", Some("mini")), figures(0, 0, Some(0), None)),
    ]);
    assert_eq!((export.kind, export.lines), (None, lines));
}

#[test]
fn errors_name_the_line_or_the_field() {
    let bucket = |results: &str| format!(r#"{{"data": [{{"start_time": 0, "results": [{results}]}}]}}"#);
    let completions = r#"{"object": "organization.usage.completions.result", "num_model_requests": 1}"#;
    let euros = r#"{"object": "organization.costs.result", "amount": {"value": 1, "currency": "eur"}}"#;
    for (text, printed) in [
        (" \n", "it contains no figures"),
        ("{\n  \"data\": [{\"start_time\": \"x\"}]}", "line 2, column 29: invalid type: string \"x\", expected u64"),
        ("{\"data\": [", "line 1, column 10: EOF while parsing a list"),
        ("{}", "line 1, column 2: missing field `data`"),
        ("{\"data\": []}", "it contains no figures"),
        (r#"{"data": [{"results": []}]}"#, "page 1: data[0].start_time: missing, and so is starting_at"),
        (r#"{"data": [{"start_time": 0, "results": []}], "has_more": true}"#, "the last page reports further pages"),
        (
            r#"{"data": [{"starting_at": "2025-08-01T00:00:00+02:00", "results": []}]}"#,
            "page 1: data[0].starting_at: not a UTC time",
        ),
        (&format!("{OPENAI}{ANTHROPIC}"), "page 3: data[0]: another provider's format than the first"),
        (&bucket(completions), "page 1: data[0].results[0].input_tokens: missing"),
        (&bucket(r#"{"model": "x"}"#), "page 1: data[0].results[0].object: missing"),
        (&bucket(r#"{"object": "organization.usage.images.result"}"#), "page 1: data[0].results[0].object: only usage"),
        (&bucket(euros), "page 1: data[0].results[0].amount: another currency than USD"),
        ("requests\n1", "line 1, date: the header names date"),
        ("date,tokens\n", "line 1, tokens: the header names date"),
        ("date,date\n", "line 1, date: the header names date"),
        ("date,requests", "it contains no figures"),
        ("date,requests\n2026-11-20,1,2", "line 2, the whole line: another number of fields"),
        ("date,requests\n2026-11-20,1\n2026-11-31,1", "line 3, date: expected a day"),
        ("date,requests\n2026-11-20,-1", "line 2, requests: expected a whole number"),
        ("date,cost_usd\n2026-11-20,$1", "line 2, cost_usd: expected an amount"),
        ("date,model\n2026-11-20,\"a\n\nb", "line 2, field 2: a quote that does not end"),
        ("date,model\n2026-11-20,a\"b\"", "line 2, field 2: a quote within a field"),
        ("date,model\n2026-11-20,\"a\"b", "line 2, field 2: text follows a closing quote"),
        ("date,model,requests\n2026-11-20,a,1\n2026-11-20,,1", "2026-11-20: some figures are for one model"),
    ] {
        let error = Export::read(text).unwrap_err().to_string();
        assert!(error.starts_with(printed), "{text}: {error}");
    }
}
