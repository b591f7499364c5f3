//! Facts of a configuration that are not errors.

use std::fmt;

use access::Day;
use tls::ListenAddress;

const STORE_REPLACED: &str = "the store is the PostgreSQL that it names, and not the one of the file";
const LISTENERS_REPLACED: &str =
    "it replaces `listen` of the file, with its TLS; set it to nothing to listen as in the file";

/// A fact that is not an error but may surprise the operator. `Display` is a sentence for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A configuration file in the working folder is not read, because a flag names the store.
    FileUnread {
        /// The name of the file.
        file: String,
    },
    /// A configuration file in the working folder is read, although no flag names it.
    FileBeside {
        /// The name of the file.
        file: String,
    },
    /// A variable names the configuration file.
    FileFromEnvironment {
        /// The path of the file.
        file: String,
        /// The name of the variable.
        variable: &'static str,
    },
    /// Other machines can reach a listener without TLS.
    PublicPlaintext {
        /// The address of the listener.
        listener: ListenAddress,
    },
    /// A variable enabled a provider.
    ProviderFromEnvironment {
        /// The name of the provider.
        provider: String,
        /// The name of the variable.
        variable: &'static str,
    },
    /// Requests of a route cost credits, but no client of it has a quota.
    CreditsUnused {
        /// The file, with the line and the column of the credits.
        place: String,
        /// The name of the route.
        route: String,
    },
    /// A route refuses other spellings of the path of a route that treats requests otherwise.
    SpellingsRefused {
        /// The file, with the line and the column of the refusing route.
        place: String,
        /// The name of the refusing route.
        route: String,
        /// The spellings, at least one.
        spellings: Vec<String>,
        /// The name of the other route.
        other: String,
        /// The file, with the line and the column of the other route.
        other_place: String,
    },
    /// A route or a rate limit reads a header that only trusted proxies may send, without a trusted proxy.
    HeaderOfNobody {
        /// The file, with the line and the column of the route or the rate limit; `None` if a variable has it.
        place: Option<String>,
        /// The route or the rate limit.
        reader: String,
        /// The name of the header.
        header: String,
    },
    /// A segment of a path begins with a colon, as parameters do in other gateways.
    ColonInPath {
        /// The file, with the line and the column of the route.
        place: Option<String>,
        /// The path, as it is written.
        path: String,
    },
    /// A variable chooses another store than the file.
    StoreFromEnvironment {
        /// The name of the variable.
        variable: String,
    },
    /// A variable replaces the proxy's listeners of the file.
    ListenersFromEnvironment {
        /// The name of the variable.
        variable: String,
    },
    /// A variable of OpenTelemetry names a protocol with which Tollgate sends no traces.
    OtherProtocol {
        /// The name of the variable.
        variable: &'static str,
    },
    /// A variable is named like a setting, but no such key exists.
    UnknownVariable {
        /// The name of the variable.
        variable: String,
        /// The setting that was probably meant.
        near: Option<String>,
    },
    /// A provider of the file has no credential and is off.
    ProviderOff {
        /// The name of the provider.
        provider: String,
    },
    /// No provider is on, and the mock may not take its place.
    NoProvider {
        /// Why the mock does not respond.
        because: &'static str,
        /// Whether a stored credential can switch a provider on.
        is_offered: bool,
    },
    /// A budget of money refuses calls of models without a price.
    ModelsUnpriced {
        /// The plan or the section that has the budget.
        holder: String,
        /// The names of the models, each with its first target.
        models: Vec<String>,
    },
    /// None of the models that a plan lists is served.
    PlanWithoutModels {
        /// The name of the plan.
        plan: String,
    },
    /// Plans are for sale, but no payment can be taken.
    PaymentsMissing,
    /// `mock` or `--mock` disables a provider.
    ProviderMocked {
        /// The name of the provider.
        provider: String,
    },
    /// Users who sign up get a plan that the file does not define, so the store must have it already.
    SignupPlanElsewhere {
        /// The name of the plan.
        plan: String,
    },
    /// A charge of some models does not include their usage under another name.
    ChargeLeavesOut {
        /// The name of the plan.
        plan: String,
        /// The name of the charge.
        charge: String,
        /// Another name of a model of the charge: `PROVIDER/MODEL`.
        model: String,
    },
    /// `first_content` of a model has no effect, as its calls have one attempt.
    FirstContentUnused {
        /// The file, with the line and the column of the time.
        place: String,
        /// The name of the entry.
        model: String,
    },
    /// An entry of `models` is ignored, as its provider is off.
    ModelOff {
        /// The name of the entry.
        model: String,
        /// The name of its provider.
        provider: String,
    },
    /// A target of an entry of `models` is ignored, as its provider is off.
    TargetOff {
        /// The name of the entry.
        model: String,
        /// The name of the target's provider.
        provider: String,
    },
    /// The mock serves an entry of `models`, as it replaces all providers.
    ModelMocked {
        /// The name of the entry.
        model: String,
        /// The name of its provider.
        provider: String,
    },
    /// No request reaches a rule of `insights.rules`.
    RuleUnreached {
        /// The file, with the line and the column of the rule's name.
        place: String,
        /// The name of the rule.
        rule: String,
        /// The name of the earlier rule, which matches all its requests.
        earlier: String,
    },
    /// The price file is older than the built-in table.
    PriceFileOlder {
        /// The file, with the line of its day.
        place: String,
        /// The day of the price file.
        as_of: String,
    },
    /// A price has no rates of long requests, but the built-in table has them for the model.
    LongUnknown {
        /// The file, with the line of the price.
        place: String,
        /// The model of the row.
        model: String,
        /// The cost of requests with more input tokens is unknown.
        above_tokens: u64,
    },
    /// Models have no price today, but a later one.
    PricesBegin {
        /// The name of the provider.
        provider: String,
        /// The first day that has a price.
        from: Day,
        /// The names of the models.
        models: Vec<String>,
    },
    /// Prices end, and no later prices are known.
    PricesEnd {
        /// The name of the provider.
        provider: String,
        /// The last day that has a price.
        until: Day,
        /// Whether that day is in the past.
        over: bool,
        /// The names of the models.
        models: Vec<String>,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FileUnread { file } => {
                write!(
                    f,
                    "{file} is in this folder and is not read, as --data names the store: `--config {file}` uses it"
                )
            }
            Self::FileBeside { file } => write!(f, "the configuration is {file} in this folder"),
            Self::FileFromEnvironment { file, variable } => write!(f, "{variable} is set: the configuration is {file}"),
            Self::PublicPlaintext { listener } => write!(
                f,
                "the listener {listener} has no TLS: others can read the keys of its clients; set `tls`, or \
                 `plaintext: true` behind a proxy with TLS"
            ),
            Self::ProviderFromEnvironment { provider, variable } => {
                write!(f, "{variable} is set: the provider {provider} is on, its calls cost money")
            }
            Self::CreditsUnused { place, route } => write_unused_credits(f, place, route),
            Self::SpellingsRefused { place, route, spellings, other, other_place } => write!(
                f,
                "{place}: the route {route} refuses {}: backends may read them as the path of {other} ({other_place}), which \
                 treats requests otherwise; `paths` keeps them",
                spellings.join(" ")
            ),
            Self::HeaderOfNobody { place, reader, header } => write_unsent(f, place.as_deref(), reader, header),
            Self::ColonInPath { place, path } => write_colon(f, place.as_deref(), path),
            Self::StoreFromEnvironment { variable } => write!(f, "{variable} is set: {STORE_REPLACED}"),
            Self::ListenersFromEnvironment { variable } => write!(f, "{variable} is set: {LISTENERS_REPLACED}"),
            Self::OtherProtocol { variable } => {
                write!(f, "{variable} has no effect: traces are sent with http/protobuf, whose port is usually 4318")
            }
            Self::UnknownVariable { variable, near } => {
                write!(f, "{variable} is set but matches no setting")?;
                near.as_ref().map_or(Ok(()), |near| write!(f, "; did you mean {near}?"))
            }
            Self::ProviderOff { provider } => write!(f, "the provider {provider} has no credential and is off"),
            Self::NoProvider { because, is_offered } => write_no_provider(f, because, *is_offered),
            Self::ModelsUnpriced { holder, models } => write!(
                f,
                "under the money budget of {holder}, calls are refused (price_unknown), as these models have no price: {}; add \
                 them to `prices`, or set `price_as`",
                models.join(", ")
            ),
            Self::PlanWithoutModels { plan } => {
                write!(f, "no model of the plan {plan} is served: its LLM calls are refused (model_not_found)")
            }
            Self::PaymentsMissing => {
                f.write_str("billing is on without `midtrans.server_key`: customers cannot pay their invoices")
            }
            Self::ProviderMocked { provider } => write!(f, "the mock is forced: the provider {provider} is off"),
            Self::SignupPlanElsewhere { plan } => {
                write!(f, "signup_plan is {plan}, which `plans` does not list: the store must have it at start")
            }
            Self::ChargeLeavesOut { plan, charge, model } => write_left_out(f, plan, charge, model),
            Self::FirstContentUnused { place, model } => {
                write!(f, "{place}: `first_content` of the model {model} has no effect, as a call has one attempt: ")?;
                f.write_str("add a target, or set `retry.attempts`")
            }
            Self::ModelOff { model, provider } => {
                write!(f, "the model {model} is left out, as its provider {provider} is off")
            }
            Self::TargetOff { model, provider } => write!(f, "the target {provider} of the model {model} is off"),
            Self::ModelMocked { model, provider } => {
                write!(f, "the mock serves the model {model}, as its provider {provider} is off")
            }
            Self::RuleUnreached { place, rule, earlier } => {
                write!(f, "{place}: no request reaches the rule {rule}: the rule {earlier} above it matches them all")
            }
            Self::PriceFileOlder { place, as_of } => write!(
                f,
                "{place}: the price file is of {as_of}, the built-in table of {}: models that both have keep the built-in prices",
                ai::price::AS_OF
            ),
            Self::LongUnknown { place, model, above_tokens } => write!(
                f,
                "{place}: the price of {model} has no `long`, which the built-in price has: requests of more than \
                 {above_tokens} tokens of input have an unknown cost"
            ),
            Self::PricesBegin { provider, from, models } => {
                let models = models.join(", ");
                let before = "before that day the cost is unknown";
                write!(
                    f,
                    "prices of provider {provider} begin on {from}, {before}: {models}; set the prices of today beside them"
                )
            }
            Self::PricesEnd { provider, until, over, models } => write_end(f, provider, *until, *over, models),
        }
    }
}

/// Writes that no provider serves calls.
fn write_no_provider(f: &mut fmt::Formatter<'_>, because: &str, is_offered: bool) -> fmt::Result {
    write!(f, "no provider is on, and the mock does not respond, as {because}: LLM calls are refused")?;
    f.write_str(if is_offered { " until a credential is stored" } else { "" })?;
    f.write_str("; `mock: true` lets the mock respond")
}

impl Note {
    /// Whether servers refuse requests of customers for this fact. A provider that is off matters only if plans are sold.
    #[must_use]
    pub const fn refuses(&self, sells_plans: bool) -> bool {
        if let Self::NoProvider { is_offered, .. } = self {
            return !*is_offered;
        }
        if matches!(self, Self::ProviderOff { .. } | Self::ModelOff { .. }) {
            return sells_plans;
        }
        matches!(self, Self::ModelsUnpriced { .. } | Self::PlanWithoutModels { .. } | Self::PaymentsMissing)
    }
}

/// Writes that a header never has a value.
fn write_unsent(f: &mut fmt::Formatter<'_>, place: Option<&str>, reader: &str, header: &str) -> fmt::Result {
    write_place(f, place)?;
    write!(f, "{reader} reads the header {header}, which has no value: only `trusted_proxies` may send it, ")?;
    f.write_str("and the list is empty")
}

/// Writes that a path is read as text.
fn write_colon(f: &mut fmt::Formatter<'_>, place: Option<&str>, path: &str) -> fmt::Result {
    write_place(f, place)?;
    write!(f, "the path {path} is this text; did you mean {}?", with_parameters(path))
}

/// Writes that no client has a quota of which `credits` are a part.
fn write_unused_credits(f: &mut fmt::Formatter<'_>, place: &str, route: &str) -> fmt::Result {
    write!(
        f,
        "{place}: `credits` of the route {route} has no effect, as no client of it has a quota: set `auth` to an entry \
         with `plan`, or remove `credits`"
    )
}

fn write_place(f: &mut fmt::Formatter<'_>, place: Option<&str>) -> fmt::Result {
    place.map_or(Ok(()), |place| write!(f, "{place}: "))
}

/// Returns a path with `{name}` in place of `:name`.
fn with_parameters(path: &str) -> String {
    let segments = path.split('/').map(|segment| match segment.strip_prefix(':') {
        Some(name) => format!("{{{name}}}"),
        None => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

/// Writes that a charge does not include the calls of another name.
fn write_left_out(f: &mut fmt::Formatter<'_>, plan: &str, charge: &str, model: &str) -> fmt::Result {
    write!(
        f,
        "the charge {charge:?} of the plan {plan} leaves out calls of {model}: add the name to `models` of the charge"
    )
}

/// Writes that the prices of a provider end.
fn write_end(f: &mut fmt::Formatter<'_>, provider: &str, until: Day, over: bool, models: &[String]) -> fmt::Result {
    let (ended, is) = if over { ("ended", "is") } else { ("end", "will be") };
    write!(f, "prices of provider {provider} {ended} on {until}, after that day the cost {is} unknown: ")?;
    write!(f, "{}; set later prices in `prices` or in a `prices_file`", models.join(", "))
}
