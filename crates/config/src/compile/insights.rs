//! Compiles the section `insights`, and runs its tests.

use insights::rules::{Metadata, RuleSet, covered};
use insights::settings::{
    AnomalySettings, CacheSettings, ClassRule, ForecastSettings, InsightSettings, NumberRange, RoiSettings,
    RuleConditions, SignoffSettings,
};
use insights::{Class, NanoMoney};
use settings::error::{Code, Problem, ValueOrigin};
use settings::field::ValueList;
use settings::input::Input;
use settings::section::SettingsReader;

use super::UsedNames;
use crate::note::Note;
use crate::schema::traffic::{
    ClassConditionsInput, ClassEventInput, ClassExpectInput, ClassRuleInput, ClassTestInput, InsightsInput,
    NumberRangeInput,
};

/// Returns the settings. A rule that no request reaches is a note.
pub(super) fn insights(reader: &SettingsReader<'_>, input: &InsightsInput, notes: &mut Vec<Note>) -> InsightSettings {
    let mut names = UsedNames::default();
    let read: Vec<(&Input<String>, ClassRule)> =
        input.rules.list.iter().filter_map(|rule| self::rule(reader, &mut names, rule)).collect();
    let rules: Vec<ClassRule> = read.iter().map(|(_, rule)| rule.clone()).collect();
    for (at, (name, rule)) in read.iter().enumerate() {
        let earlier = rules.iter().take(at).find(|earlier| covered(&rule.when, &earlier.when));
        if let Some(earlier) = earlier {
            let at = name.value_origin().and_then(ValueOrigin::place);
            let place = at.map_or_else(String::new, |at| format!(":{}:{}", at.line, at.column));
            let place = format!("{}{place}", reader.file());
            notes.push(Note::RuleUnreached { place, rule: rule.name.clone(), earlier: earlier.name.clone() });
        }
    }
    let InsightsInput { signoff, anomalies, forecast, roi, cache, .. } = input;
    let mut roles = signoff.roles.clone();
    roles.dedup();
    let settings = InsightSettings {
        version: InsightSettings::default().version,
        rules,
        anomalies: AnomalySettings { days_min: anomalies.days_min.value, score_min: anomalies.score_min.value },
        forecast: ForecastSettings { interval: forecast.interval.value },
        roi: RoiSettings { gateway_cost: NanoMoney::from_nano_usd(roi.gateway_cost.value) },
        signoff: SignoffSettings { roles: roles.list.into_iter().map(|role| role.value).collect() },
        cache: CacheSettings {
            today_ms: u64::try_from(cache.today.value.as_millis()).unwrap_or(u64::MAX),
            redis: cache.redis.value,
        },
    };
    run_tests(reader, &input.tests.list, &settings);
    settings
}

fn rule<'a>(
    reader: &SettingsReader<'_>,
    names: &mut UsedNames,
    input: &'a ClassRuleInput,
) -> Option<(&'a Input<String>, ClassRule)> {
    let when = conditions(reader, &input.when);
    let name = input.name.as_ref()?;
    let is_new = names.take(reader, name, "rule");
    let class = input.class.as_ref()?.value;
    let confidence = input.confidence.as_ref()?.value;
    is_new.then(|| (name, ClassRule { name: name.value.clone(), class, when, confidence }))
}

fn conditions(reader: &SettingsReader<'_>, input: &ClassConditionsInput) -> RuleConditions {
    let range = |input: Option<&NumberRangeInput>| input.and_then(|range| number_range(reader, range));
    RuleConditions {
        client: names(&input.client),
        route: names(&input.route),
        format: names(&input.format),
        model: names(&input.model),
        status: range(input.status.as_ref()),
        streamed: input.streamed.as_ref().map(|streamed| streamed.value),
        tools: names(&input.tools),
        requests_per_key: range(input.requests_per_key.as_ref()),
        requests_per_session: range(input.requests_per_session.as_ref()),
        interval_s: range(input.interval_s.as_ref()),
        input_tokens: range(input.input_tokens.as_ref()),
    }
}

/// Returns the values of a condition; an empty list is no condition.
fn names<T: ToString>(input: &ValueList<T>) -> Option<Vec<String>> {
    Some(input.list.iter().map(|name| name.value.to_string()).collect::<Vec<_>>()).filter(|names| !names.is_empty())
}

fn number_range(reader: &SettingsReader<'_>, input: &NumberRangeInput) -> Option<NumberRange> {
    let NumberRangeInput { location, min, max } = input;
    if !location.has("min") && !location.has("max") {
        location.missing(reader, &["min", "max"]);
    }
    if let Some(min) = min
        && let Some(max) = max
        && min.value > max.value
    {
        let message = format!("`{}` has an invalid value", location.name("max"));
        let problem = Problem::new(Code::BadValue, max.value_origin(), message);
        reader.report(problem.expected(format!("at least {}", min.value)));
    }
    let range = NumberRange { min: min.as_ref().map(|of| of.value), max: max.as_ref().map(|of| of.value) };
    (range != NumberRange::default()).then_some(range)
}

/// Reports the tests that fail, and those that expect nothing. Tests of an invalid configuration do not run.
fn run_tests(reader: &SettingsReader<'_>, tests: &[ClassTestInput], settings: &InsightSettings) {
    for ClassTestInput { expect: ClassExpectInput { location, .. }, .. } in tests {
        if !location.has("class") && !location.has("rule") {
            let problem = Problem::new(Code::Missing, location.at, format!("`{}` expects nothing", location.path));
            reader.report(problem.expected("`class` or `rule`"));
        }
    }
    if !reader.is_valid() {
        return;
    }
    let rules = RuleSet::with(&settings.rules);
    for ClassTestInput { event, expect, .. } in tests {
        let decided = rules.decide(&metadata(event));
        let (class, rule) = decided.map_or((Class::Other, ""), |rule| (rule.class, rule.name.as_str()));
        if let Some(expected) = expect.class.as_ref().filter(|expected| expected.value != class) {
            failed(reader, expected, expected.value.as_str(), &format!("`{}` by the rule `{rule}`", class.as_str()));
        }
        if let Some(expected) = expect.rule.as_ref().filter(|expected| expected.value != rule) {
            failed(reader, expected, &expected.value, &format!("the rule `{rule}`"));
        }
    }
}

fn failed<T>(reader: &SettingsReader<'_>, at: &Input<T>, expected: &str, found: &str) {
    let problem = Problem::new(Code::Test, at.value_origin(), format!("the test fails: the result is {found}"));
    reader.report(problem.expected(expected).of_tests());
}

/// Returns the metadata of an event. As in the server, requests of a session have no number of requests of their key.
fn metadata(event: &ClassEventInput) -> Metadata<'_> {
    let number = |input: Option<&Input<u64>>| input.map(|input| input.value);
    let has_session = event.requests_per_session.is_some() || event.interval_s.is_some();
    let requests_per_key = if has_session { None } else { number(event.requests_per_key.as_ref()) };
    Metadata {
        client: text_of(event.client.as_ref()),
        route: text_of(event.route.as_ref()),
        format: text_of(event.format.as_ref()),
        model: text_of(event.model.as_ref()),
        status: u16::try_from(event.status.value).unwrap_or(0),
        streamed: event.streamed.as_ref().map(|streamed| streamed.value),
        tools: event.tools.as_ref().map(|tools| tools.value),
        requests_per_key: Some(requests_per_key.unwrap_or(0)),
        requests_per_session: number(event.requests_per_session.as_ref()),
        interval_s: number(event.interval_s.as_ref()),
        input_tokens: number(event.input_tokens.as_ref()),
    }
}

fn text_of(input: Option<&Input<String>>) -> Option<&str> {
    input.map(|input| input.value.as_str())
}
