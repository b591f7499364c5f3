//! The quotas and budgets of a key as clients read them: Tollgate's own form, and the forms of OpenRouter, LiteLLM and Claude
//! Code, which menu-bar tools and status lines know (read 2026-11-30).

use std::borrow::Cow;

use access::amounts::usd;
use access::{Amount, Timestamp};
use meter::{BudgetId, BudgetScope, LimitPeriod, Measure};
use serde::Serialize;
use serde_json::{Value, json};

/// The form in which a client reads its quotas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaForm {
    /// `GET /v1/usage`: Tollgate's own form.
    Usage,
    /// `GET /api/v1/key`: the form of OpenRouter.
    OpenRouter,
    /// `GET /key/info`: the form of LiteLLM.
    LiteLlm,
    /// `GET /api/oauth/usage`: the form of Claude Code.
    ClaudeCode,
}

/// The state of the quotas and budgets of a key.
#[derive(Debug, Clone)]
pub struct KeyQuotas<'a> {
    /// The name of the user's plan.
    pub plan: &'a str,
    /// The id of the key.
    pub key_id: &'a str,
    /// The id of the user.
    pub user_id: &'a str,
    /// The models of the key, as its bounds have them; empty if it may request all models.
    pub models: &'a [String],
    /// The end of the key, if it has one.
    pub expires_at: Option<Timestamp>,
    /// The windows, the least share left first.
    pub windows: Vec<QuotaWindow>,
    /// The current time, from which resets are counted.
    pub now: Timestamp,
}

/// The state of one quota, budget or rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaWindow {
    /// The name, as in `RateLimit`.
    pub name: Cow<'static, str>,
    /// The scope of the quota, the budget or the rate.
    pub scope: BudgetScope,
    /// The quota or the budget; `None` for `requests_per_minute`.
    pub budget: Option<BudgetId>,
    /// The limit of the window.
    pub limit: Amount,
    /// The amount that requests may still reserve.
    pub left: Amount,
    /// The amount that no settled request has used.
    pub unspent: Amount,
    /// The time at which the window is full again.
    pub resets_at: Timestamp,
}

/// One window of `GET /v1/usage`.
#[derive(Serialize)]
struct WrittenWindow {
    name: Cow<'static, str>,
    scope: &'static str,
    measure: &'static str,
    per: String,
    limit: Value,
    used: Value,
    reserved: Value,
    left: Value,
    used_percent: f64,
    resets_at: String,
    resets_in: u64,
}

impl QuotaForm {
    /// Returns the form at a path behind `ai.prefix`.
    #[must_use]
    pub fn from_path(path: &str) -> Option<Self> {
        match path {
            "/v1/usage" => Some(Self::Usage),
            "/api/v1/key" | "/api/v1/auth/key" => Some(Self::OpenRouter),
            "/key/info" => Some(Self::LiteLlm),
            "/api/oauth/usage" => Some(Self::ClaudeCode),
            _ => None,
        }
    }

    /// Returns the first path of the form.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Usage => "/v1/usage",
            Self::OpenRouter => "/api/v1/key",
            Self::LiteLlm => "/key/info",
            Self::ClaudeCode => "/api/oauth/usage",
        }
    }
}

impl QuotaWindow {
    fn used(&self) -> Amount {
        self.limit.saturating_sub(self.unspent)
    }

    fn measure(&self) -> Option<Measure> {
        self.budget.map(|budget| budget.measure)
    }

    /// Returns the used share in thousandths, rounded down.
    fn used_permille(&self) -> u64 {
        let permille = (u128::from(self.used().0) * 1_000).checked_div(self.limit.0.into());
        permille.map_or(1_000, |permille| u64::try_from(permille).unwrap_or(1_000))
    }

    fn resets_in(&self, now: Timestamp) -> u64 {
        self.resets_at.0.saturating_sub(now.0).div_ceil(1_000_000)
    }

    fn is_money(&self, per: LimitPeriod) -> bool {
        self.budget.is_some_and(|budget| budget.measure == Measure::Money && budget.per == per)
    }

    /// Returns an amount as text or number: money is `12.5 USD`.
    fn value(&self, amount: Amount) -> Value {
        match self.measure() {
            Some(Measure::Money) => Value::String(usd::written_money(amount.money())),
            Some(Measure::Credits) => serde_json::to_value(amount.credits()).unwrap_or(Value::Null),
            Some(Measure::Tokens) | None => Value::from(amount.0),
        }
    }

    fn written(&self, now: Timestamp) -> WrittenWindow {
        let reserved = self.unspent.saturating_sub(self.left);
        WrittenWindow {
            name: self.name.clone(),
            scope: scope_word(self.scope),
            measure: self.measure().map_or("requests", Measure::as_str),
            per: self.budget.map_or_else(|| "minute".to_owned(), |budget| budget.per.to_string()),
            limit: self.value(self.limit),
            used: self.value(self.used()),
            reserved: self.value(reserved),
            left: self.value(self.left),
            used_percent: percent(self.used_permille()),
            resets_at: rfc3339(self.resets_at),
            resets_in: self.resets_in(now),
        }
    }

    /// Returns the window for a status line: `day 22% (312 credits left, 2h20m)`.
    fn line(&self, now: Timestamp) -> String {
        let left = match self.measure() {
            Some(measure) => measure.written(self.left),
            None => format!("{} requests", self.left.0),
        };
        format!("{} {}% ({left} left, {})", self.name, self.used_permille() / 10, span(self.resets_in(now)))
    }
}

impl KeyQuotas<'_> {
    /// Returns the quotas in a form, as JSON.
    #[must_use]
    pub fn body(&self, form: QuotaForm) -> Vec<u8> {
        let value = match form {
            QuotaForm::Usage => self.usage(),
            QuotaForm::OpenRouter => self.openrouter(),
            QuotaForm::LiteLlm => self.litellm(),
            QuotaForm::ClaudeCode => self.claude_code(),
        };
        // Serializing strings and numbers cannot fail.
        serde_json::to_vec(&value).unwrap_or_default()
    }

    /// Returns the quotas in one line of text, for status lines.
    #[must_use]
    pub fn line(&self) -> String {
        let budgets = self.budgets().map(|window| window.line(self.now)).collect::<Vec<_>>();
        if budgets.is_empty() { format!("{}: no quota\n", self.plan) } else { format!("{}\n", budgets.join(" · ")) }
    }

    /// Returns the quotas and budgets, without rates.
    fn budgets(&self) -> impl Iterator<Item = &QuotaWindow> {
        self.windows.iter().filter(|window| window.budget.is_some())
    }

    /// Returns the budget of money of which the least is left.
    fn money(&self) -> Option<&QuotaWindow> {
        self.windows.iter().find(|window| window.measure() == Some(Measure::Money))
    }

    fn usage(&self) -> Value {
        let windows: Vec<WrittenWindow> = self.windows.iter().map(|window| window.written(self.now)).collect();
        json!({
            "object": "usage", "plan": self.plan, "key_id": self.key_id, "user_id": self.user_id,
            "at": rfc3339(self.now), "windows": windows,
        })
    }

    /// Usage is known in windows of money only; an unknown usage is null, not zero.
    fn openrouter(&self) -> Value {
        let money = self.money();
        let of = |per| self.windows.iter().find(|window| window.is_money(per)).map(|window| dollars(window.used()));
        // The length of a window may be none of the three.
        let reset = money.and_then(|window| window.budget).filter(|budget| budget.per.window().is_none());
        let reset = reset.map(|budget| budget.per.adverb());
        json!({"data": {
            "label": self.key_id, "limit": money.map(|window| dollars(window.limit)),
            "limit_remaining": money.map(|window| dollars(window.left)), "limit_reset": reset,
            "usage": money.map(|window| dollars(window.used())), "usage_daily": of(LimitPeriod::Day), "usage_weekly": of(LimitPeriod::Week),
            "usage_monthly": of(LimitPeriod::Month), "byok_usage": null, "byok_usage_daily": null, "byok_usage_weekly": null,
            "byok_usage_monthly": null, "include_byok_in_limit": true, "is_free_tier": false, "is_management_key": false,
            "is_provisioning_key": false, "creator_user_id": self.user_id, "expires_at": self.expires_at.map(rfc3339),
        }})
    }

    fn litellm(&self) -> Value {
        let money = self.money();
        let duration = money.and_then(|window| window.budget).map(|budget| match budget.per {
            LimitPeriod::Day => "1d".to_owned(),
            LimitPeriod::Week => "7d".to_owned(),
            LimitPeriod::Month => "1mo".to_owned(),
            LimitPeriod::Window(window) => format!("{}m", window.usual_minutes()),
        });
        let rate = self.windows.iter().find(|window| window.budget.is_none()).map(|window| window.limit.0);
        json!({"key": self.key_id, "info": {
            "status": "active", "key_name": null, "key_alias": self.key_id,
            "spend": money.map(|window| dollars(window.used())), "max_budget": money.map(|window| dollars(window.limit)),
            "budget_duration": duration, "budget_reset_at": money.map(|window| rfc3339(window.resets_at)), "models": self.models,
            "tpm_limit": null, "rpm_limit": rate, "max_parallel_requests": null, "user_id": self.user_id, "team_id": null,
            "metadata": {"plan": self.plan}, "blocked": false, "expires": self.expires_at.map(rfc3339),
        }})
    }

    /// Reports the window of `anthropic-ratelimit-unified-overage-*`, to the second: Claude Code shows dollars only if both
    /// resets are equal.
    fn claude_code(&self) -> Value {
        let Some((window, budget)) = self.budgets().find_map(|window| Some((window, window.budget?))) else {
            return json!({"extra_usage": null, "limits": []});
        };
        let group = budget.per.adverb();
        let percent = window.used_permille() / 10;
        let cents = |amount: Amount| (budget.measure == Measure::Money).then_some(amount.0 / NANO_USD_PER_CENT);
        let severity = if percent >= 75 { "warning" } else { "normal" };
        json!({
            "extra_usage": {
                "is_enabled": true, "monthly_limit": cents(window.limit), "used_credits": cents(window.used()),
                "utilization": percent, "currency": "USD",
            },
            "limits": [{
                "kind": "spend", "group": group, "percent": percent, "resets_at": rfc3339(window.resets_at),
                "severity": severity, "is_active": true,
            }],
        })
    }
}

/// Billionths of a dollar in a cent.
const NANO_USD_PER_CENT: u64 = 10_000_000;

const fn scope_word(scope: BudgetScope) -> &'static str {
    match scope {
        BudgetScope::Key(_) => "key",
        BudgetScope::User(_) => "user",
        BudgetScope::Subject(_) => "subject",
        BudgetScope::Plan(_) => "plan",
        BudgetScope::Global => "global",
    }
}

/// Returns thousandths as a percentage for display.
fn percent(permille: u64) -> f64 {
    f64::from(u32::try_from(permille).unwrap_or(u32::MAX)) / 10.0
}

/// Returns dollars as the foreign forms have them: numbers, for display only.
fn dollars(amount: Amount) -> Value {
    let text = usd::decimal(amount.money());
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

/// Returns a time in UTC with milliseconds (RFC 3339).
fn rfc3339(at: Timestamp) -> String {
    let seconds = at.unix_seconds() % 86_400;
    let day = at.day();
    let hours = seconds / 3_600;
    let minutes = seconds / 60 % 60;
    format!("{day}T{hours:02}:{minutes:02}:{:02}.{:03}Z", seconds % 60, at.unix_millis() % 1_000)
}

/// Returns a number of seconds as people read it: `2h20m`, `3d4h`, `45s`.
fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use access::{Day, KeyNo, UserNo};

    use super::*;

    const NOW: Timestamp = Timestamp(1_728_021_600_123_000);

    fn window(
        name: &'static str,
        budget: Option<(BudgetScope, Measure, LimitPeriod)>,
        amounts: [u64; 3],
    ) -> QuotaWindow {
        let [limit, left, unspent] =
            amounts.map(|units| budget.map_or(Amount(units), |(_, measure, _)| measure.limit_of(units)));
        let budget = budget.map(|(scope, measure, per)| BudgetId { scope, measure, per });
        let scope = budget.map_or(USER, |budget| budget.scope);
        QuotaWindow { name: name.into(), scope, budget, limit, left, unspent, resets_at: Day(20_001).start() }
    }

    fn quotas(windows: Vec<QuotaWindow>) -> KeyQuotas<'static> {
        KeyQuotas { plan: "pro", key_id: "key_1", user_id: "user_1", models: &[], expires_at: None, windows, now: NOW }
    }

    const USER: BudgetScope = BudgetScope::User(UserNo(1));

    fn day_and_money() -> KeyQuotas<'static> {
        quotas(vec![
            window("day", Some((USER, Measure::Credits, LimitPeriod::Day)), [400, 300, 312]),
            window(
                "key+month:money",
                Some((BudgetScope::Key(KeyNo(1)), Measure::Money, LimitPeriod::Month)),
                [500_000_000_000, 228_600_000_000, 228_600_000_000],
            ),
            window("requests_per_minute", None, [60, 59, 59]),
        ])
    }

    fn body(quotas: &KeyQuotas<'_>, form: QuotaForm) -> Value {
        serde_json::from_slice(&quotas.body(form)).unwrap()
    }

    #[test]
    fn usage_has_every_window_with_what_is_used_reserved_and_left() {
        let usage = body(&day_and_money(), QuotaForm::Usage);
        assert_eq!(usage["plan"], "pro");
        assert_eq!(
            usage["windows"][0],
            json!({
                "name": "day", "scope": "user", "measure": "credits", "per": "day", "limit": 400, "used": 88,
                "reserved": 12, "left": 300, "used_percent": 22.0, "resets_at": "2024-10-05T00:00:00.000Z",
                "resets_in": 64_800,
            })
        );
        assert_eq!(usage["windows"][1]["left"], "228.6 USD");
        assert_eq!(
            (&usage["windows"][2]["measure"], &usage["windows"][2]["per"]),
            (&json!("requests"), &json!("minute"))
        );
    }

    #[test]
    fn a_status_line_has_the_quotas_without_rates() {
        let line = day_and_money().line();
        assert_eq!(line, "day 22% (300 credits left, 18h00m) · key+month:money 54% (228.6 USD left, 18h00m)\n");
        assert_eq!(quotas(Vec::new()).line(), "pro: no quota\n");
    }

    #[test]
    fn foreign_forms_know_the_money_and_invent_nothing() {
        let key = body(&day_and_money(), QuotaForm::OpenRouter)["data"].clone();
        let limits = ["limit", "limit_remaining", "limit_reset", "usage", "usage_monthly", "usage_daily"];
        assert_eq!(
            limits.map(|name| key[name].clone()),
            [json!(500), json!(228.6), json!("monthly"), json!(271.4), json!(271.4), Value::Null]
        );
        let info = body(&day_and_money(), QuotaForm::LiteLlm)["info"].clone();
        assert_eq!((&info["spend"], &info["max_budget"], &info["rpm_limit"]), (&json!(271.4), &json!(500), &json!(60)));
        for form in [QuotaForm::OpenRouter, QuotaForm::LiteLlm] {
            let none = body(&quotas(Vec::new()), form).to_string();
            assert!(none.contains("\"spend\":null") || none.contains("\"usage\":null"), "{none}");
        }
    }

    #[test]
    fn claude_code_gets_cents_of_money_and_percents_of_other_measures() {
        let mut money = day_and_money();
        money.windows.remove(0);
        let usage = body(&money, QuotaForm::ClaudeCode);
        assert_eq!(
            usage["extra_usage"],
            json!({
                "is_enabled": true, "monthly_limit": 50_000, "used_credits": 27_140, "utilization": 54, "currency": "USD"
            })
        );
        assert_eq!(usage["limits"][0]["group"], "monthly");
        let credits = body(&day_and_money(), QuotaForm::ClaudeCode);
        assert_eq!(
            (&credits["extra_usage"]["monthly_limit"], &credits["limits"][0]["percent"]),
            (&Value::Null, &json!(22))
        );
        assert_eq!(body(&quotas(Vec::new()), QuotaForm::ClaudeCode)["limits"], json!([]));
    }

    #[test]
    fn each_form_has_its_path() {
        for form in [QuotaForm::Usage, QuotaForm::OpenRouter, QuotaForm::LiteLlm, QuotaForm::ClaudeCode] {
            assert_eq!(QuotaForm::from_path(form.path()), Some(form));
        }
        assert_eq!(QuotaForm::from_path("/v1/models"), None);
    }
}
