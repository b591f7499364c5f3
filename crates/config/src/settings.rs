//! Lists the effective settings: each with its value, as in the snapshot, and its source. Secrets are masked.

mod llm;
mod routing;
pub(crate) mod sources;

use std::fmt;
use std::time::Duration;

use access::{Budget, Measure, Plan, usd};
use serde::{Serialize, Serializer};

use crate::environment::Variable;
use crate::load::LoadedConfig;
use crate::snapshot::{
    Ai, Brand, BudgetLimit, Budgets, Connections, Control, Dimension, Drain, Lease, LimitSubject, Log, LogFormat,
    OnHangup, PublicUrl, Retention, Signup, SignupMode, Sizes, Snapshot, Spool, Store, Timeouts, WindowLimit,
};
use crate::unit;
use sources::SettingSources;

/// One effective setting with its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Its full name: `control.listen`, `plans[0].name`.
    pub key: String,
    /// The value that is in effect.
    pub value: Value,
    /// The source of the value.
    #[serde(serialize_with = "source")]
    pub from: SettingOrigin,
}

/// A setting's value in a form that can be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// No value: no limit applies, the object does not exist, or Tollgate chooses.
    None(()),
    /// A text, or a value written as text: durations, sizes, addresses, money.
    Text(String),
    /// A number, always a whole one.
    Number(u64),
    /// The value `true` or `false`.
    Boolean(bool),
    /// A list without entries.
    Empty([(); 0]),
    /// A secret that is set.
    #[serde(serialize_with = "mask")]
    Secret,
}

/// The source of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingOrigin {
    /// A flag of the command line.
    Flag(&'static str),
    /// A variable of the process, or of a `.env`.
    Variable(Variable),
    /// A line of the configuration file.
    File {
        /// The file's name as it was given.
        file: String,
        /// The number of the line, from 1.
        line: u32,
    },
    /// The default value: no source sets it.
    Default,
}

/// The text that is shown in place of a secret.
const MASK: &str = "***";

fn mask<S: Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(MASK)
}

fn source<S: Serializer>(from: &SettingOrigin, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(from)
}

impl SettingOrigin {
    /// Returns the kind in one word: `flag`, `environment`, `env_file`, `file` or `default`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Flag(_) => "flag",
            Self::Variable(Variable { line: None, .. }) => "environment",
            Self::Variable(Variable { line: Some(_), .. }) => "env_file",
            Self::File { .. } => "file",
            Self::Default => "default",
        }
    }
}

impl fmt::Display for SettingOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "flag {flag}"),
            Self::Variable(Variable { name, line: None }) => write!(f, "environment {name}"),
            Self::Variable(Variable { name, line: Some(line) }) => write!(f, "{}:{} {name}", line.file, line.line),
            Self::File { file, line } => write!(f, "{file}:{line}"),
            Self::Default => f.write_str("default"),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None(()) => f.write_str("-"),
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
            Self::Boolean(boolean) => boolean.fmt(f),
            Self::Empty(_) => f.write_str("[]"),
            Self::Secret => f.write_str(MASK),
        }
    }
}

impl Value {
    fn text(text: impl fmt::Display) -> Self {
        Self::Text(text.to_string())
    }

    fn duration(duration: Duration) -> Self {
        Self::Text(unit::written_duration(duration))
    }

    fn size(bytes: u64) -> Self {
        Self::Text(unit::written_size(bytes))
    }

    fn secret<T>(secret: Option<&T>) -> Self {
        secret.map_or(Self::None(()), |_| Self::Secret)
    }

    fn maybe<T>(value: Option<T>, shown: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::None(()), shown)
    }
}

/// The settings that were listed so far.
struct SettingsListing<'a> {
    setting_sources: &'a SettingSources,
    settings: Vec<Setting>,
}

impl SettingsListing<'_> {
    fn put(&mut self, key: impl Into<String>, value: Value) {
        let key = key.into();
        let from = self.setting_sources.from(&[&key]);
        self.settings.push(Setting { key, value, from });
    }

    /// Adds a key that has the value of `other` if it is not set.
    fn put_or(&mut self, key: String, other: &str, value: Value) {
        let from = self.setting_sources.from(&[&key, other]);
        self.settings.push(Setting { key, value, from });
    }

    /// Adds an entry for a list without entries.
    fn empty(&mut self, key: &str, is_empty: bool) {
        if is_empty {
            self.put(key, Value::Empty([]));
        }
    }
}

impl LoadedConfig {
    /// Returns every setting, section by section.
    #[must_use]
    pub fn settings(&self) -> Vec<Setting> {
        let mut list = SettingsListing { setting_sources: &self.setting_sources, settings: Vec::new() };
        let Snapshot {
            brand,
            listen,
            control,
            public_url: PublicUrl { proxy, control: public_control },
            signup,
            metrics_token,
            trusted_proxies,
            redis,
            unauthenticated,
            connections,
            drain,
            log,
            data,
            store,
            spool,
            retention,
            lease,
            timeouts,
            sizes,
            providers,
            mock,
            models,
            prices,
            price_file,
            prices_builtin: _,
            ai,
            plans,
            budgets,
            quota_status,
            on_hangup,
            upstreams,
            router,
        } = &self.snapshot;
        list.brand(brand);
        match listen.as_slice() {
            [one] if !self.setting_sources.is_list("listen") => list.put("listen", Value::text(one)),
            all => all.iter().enumerate().for_each(|(nth, address)| {
                list.put(format!("listen[{nth}].address"), Value::text(address));
            }),
        }
        list.connections(*connections);
        list.drain(*drain);
        list.log(log);
        list.control(control);
        list.put("public_url.proxy", Value::maybe(proxy.as_ref(), Value::text));
        list.put("public_url.control", Value::maybe(public_control.as_ref(), Value::text));
        list.signup(signup);
        list.put("metrics.token", Value::secret(metrics_token.as_ref()));
        for (nth, network) in trusted_proxies.iter().enumerate() {
            // A preset has several networks.
            list.put_or(format!("trusted_proxies[{nth}]"), "trusted_proxies", Value::text(network));
        }
        list.empty("trusted_proxies", trusted_proxies.is_empty());
        list.put("redis", Value::secret(redis.as_ref()));
        list.limits("rate_limits", unauthenticated.as_slice());
        list.put("data", Value::text(data.display()));
        list.kept(store, *spool, *retention);
        list.lease(*lease);
        list.bounds(timeouts, sizes, *on_hangup);
        list.providers(providers, mock, &self.environment);
        list.models(models, &mock.models);
        list.prices(prices, price_file.as_ref());
        list.ai(ai.as_ref());
        list.plans(plans);
        list.budgets(budgets);
        list.put("quota_status", Value::Number(quota_status.as_u16().into()));
        list.upstreams(upstreams);
        list.routes(router.routes());
        list.settings
    }
}

impl SettingsListing<'_> {
    fn brand(&mut self, Brand { name, key_prefix }: &Brand) {
        self.put("brand.name", Value::text(name));
        self.put_or("brand.key_prefix".to_owned(), "brand.name", Value::text(key_prefix));
    }

    fn connections(&mut self, Connections { max, per_address, in_flight_per_key }: Connections) {
        self.put("connections.max", Value::Number(max.into()));
        self.put("connections.per_address", Value::Number(per_address.into()));
        self.put("connections.in_flight_per_key", Value::Number(in_flight_per_key.into()));
    }

    fn drain(&mut self, Drain { delay, timeout }: Drain) {
        self.put("drain.delay", Value::duration(delay));
        self.put("drain.timeout", Value::duration(timeout));
    }

    fn log(&mut self, Log { format, level, modules }: &Log) {
        let format = format.map(|format| match format {
            LogFormat::Json => "json",
            LogFormat::Text => "text",
        });
        self.put("log.format", Value::maybe(format, Value::text));
        self.put("log.level", Value::text(level));
        for (module, level) in modules {
            self.put(format!("log.modules.{module}"), Value::text(level));
        }
        self.empty("log.modules", modules.is_empty());
    }

    fn control(&mut self, Control { listen, allowed_origins, rate_limits }: &Control) {
        self.put("control.listen", Value::text(listen));
        for (nth, origin) in allowed_origins.iter().enumerate() {
            self.put(format!("control.cors.allowed_origins[{nth}]"), Value::text(origin));
        }
        self.empty("control.cors.allowed_origins", allowed_origins.is_empty());
        self.limits("control.rate_limits", rate_limits);
    }

    fn kept(&mut self, Store { url, migrate, stale_for }: &Store, spool: Spool, retention: Retention) {
        let (Spool { size_bytes_max, durability }, Retention { events, raw_usage }) = (spool, retention);
        self.put("store.url", Value::secret(url.as_ref()));
        self.put("store.migrate", Value::Boolean(*migrate));
        self.put("store.stale_for", Value::duration(*stale_for));
        self.put("spool.max_size", Value::size(size_bytes_max));
        self.put("spool.durability", Value::text(durability.as_str()));
        for (key, kept) in [("retention.events", events), ("retention.raw_usage", raw_usage)] {
            self.put(key, kept.map_or(Value::text("forever"), Value::duration));
        }
    }

    fn bounds(&mut self, timeouts: &Timeouts, sizes: &Sizes, on_hangup: OnHangup) {
        self.timeouts("timeouts", timeouts);
        self.sizes(sizes);
        self.on_hangup(on_hangup);
    }

    fn sizes(&mut self, Sizes { headers_bytes_max, body_bytes_max, buffered_bytes_max }: &Sizes) {
        self.put("sizes.headers", Value::size(u64::try_from(*headers_bytes_max).unwrap_or(u64::MAX)));
        self.put("sizes.body", Value::size(*body_bytes_max));
        self.put("sizes.buffered", Value::size(*buffered_bytes_max));
    }

    fn on_hangup(&mut self, on_hangup: OnHangup) {
        match on_hangup {
            OnHangup::Cancel => self.put("on_hangup", Value::text("cancel")),
            OnHangup::Drain { bytes_max, within } => {
                self.put_or("on_hangup.drain.bytes".to_owned(), "on_hangup", Value::size(bytes_max));
                self.put_or("on_hangup.drain.for".to_owned(), "on_hangup", Value::duration(within));
            }
        }
    }

    fn lease(&mut self, Lease { ttl, recall_wait }: Lease) {
        self.put("lease.ttl", Value::duration(ttl));
        self.put("lease.recall_wait", Value::duration(recall_wait));
    }

    fn limits(&mut self, key: &str, limits: &[WindowLimit]) {
        for (nth, WindowLimit { dimension, whose, limit, window }) in limits.iter().enumerate() {
            let dimension = match dimension {
                Dimension::Key => "key",
                Dimension::Address => "ip",
            };
            self.put(format!("{key}[{nth}].dimension"), Value::text(dimension));
            match whose {
                LimitSubject::Everybodys => {}
                LimitSubject::WithoutKey => self.put(format!("{key}[{nth}].without"), Value::text("key")),
                LimitSubject::WithSession => self.put(format!("{key}[{nth}].with"), Value::text("session")),
            }
            self.put(format!("{key}[{nth}].limit"), Value::Number(limit.get().into()));
            self.put(format!("{key}[{nth}].window"), Value::duration(*window));
        }
        self.empty(key, limits.is_empty());
    }

    fn signup(&mut self, Signup { mode, plan }: &Signup) {
        let mode = match mode {
            SignupMode::Closed => "closed",
            SignupMode::Invite => "invite",
            SignupMode::Open => "open",
        };
        self.put("signup", Value::text(mode));
        self.put("signup_plan", Value::text(plan));
    }

    fn timeouts(&mut self, section: &str, timeouts: &Timeouts) {
        let Timeouts { connect, first_byte, idle, total } = *timeouts;
        for (key, timeout) in [("connect", connect), ("first_byte", first_byte), ("idle", idle), ("total", total)] {
            // Two deadlines of LLM requests default to those of ordinary requests.
            let general = if matches!(key, "connect" | "idle") { format!("timeouts.{key}") } else { String::new() };
            self.put_or(format!("{section}.{key}"), &general, Value::duration(timeout));
        }
    }

    fn ai(&mut self, ai: Option<&Ai>) {
        self.put("ai.enabled", Value::Boolean(ai.is_some()));
        let Some(Ai { prefix, timeouts }) = ai else { return };
        self.put("ai.prefix", Value::text(if prefix.is_empty() { "/" } else { prefix }));
        self.timeouts("ai.timeouts", timeouts);
    }

    fn plans(&mut self, plans: &[Plan]) {
        for (nth, Plan { name, credits_per_day, requests_per_minute, budgets, shared_keys }) in plans.iter().enumerate()
        {
            let per_minute = requests_per_minute.map(|limit| u64::from(limit.get()));
            self.put(format!("plans[{nth}].name"), Value::text(name));
            self.put(format!("plans[{nth}].credits_per_day"), Value::maybe(*credits_per_day, Value::Number));
            self.put(format!("plans[{nth}].requests_per_minute"), Value::maybe(per_minute, Value::Number));
            for (at, budget) in budgets.iter().enumerate() {
                self.budget(&format!("plans[{nth}].budgets[{at}]"), *budget);
            }
            self.put(format!("plans[{nth}].shared_keys"), Value::Boolean(*shared_keys));
        }
        self.empty("plans", plans.is_empty());
    }

    fn budgets(&mut self, Budgets { limits, unbounded, clamp, server_tool_rounds }: &Budgets) {
        for (nth, BudgetLimit { dimension, budget }) in limits.iter().enumerate() {
            self.put(format!("budgets.limits[{nth}].dimension"), Value::text(dimension.as_str()));
            self.budget(&format!("budgets.limits[{nth}]"), *budget);
        }
        self.empty("budgets.limits", limits.is_empty());
        self.put("budgets.unbounded", Value::text(unbounded.as_str()));
        self.put("budgets.clamp", Value::Boolean(*clamp));
        self.put("budgets.server_tool_rounds", Value::Number(*server_tool_rounds));
    }

    fn budget(&mut self, entry: &str, Budget { measure, per, amount }: Budget) {
        let value = match measure {
            Measure::Money => Value::Text(usd::written_money(amount)),
            Measure::Credits | Measure::Tokens => Value::Number(amount),
        };
        self.put(format!("{entry}.{}", measure.as_str()), value);
        self.put(format!("{entry}.per"), Value::text(per.as_str()));
    }
}

#[cfg(test)]
mod tests;
