//! Budgets of clients, beside those of their plans.

use access::{Amount, Budget, BudgetId, BudgetScope, ClientProgram};
use meter::Caller;
use settings::place::Place;

/// The section `budgets` of the file.
#[derive(Debug, Clone)]
pub struct Budgets {
    /// The budgets; each dimension, measure and period occurs at most once.
    pub limits: Vec<BudgetLimit>,
    /// The treatment of a request whose body does not limit its cost.
    pub unbounded: UnboundedCalls,
    /// Whether the maximum output of a request is lowered to the rest of its budgets. Default false.
    pub clamp: bool,
    /// The number of runs that a request reserves for a tool without a cap that the provider runs. Default 1.
    pub server_tool_rounds: u64,
}

impl Default for Budgets {
    fn default() -> Self {
        let limits = Vec::new();
        let unbounded = UnboundedCalls::Refuse;
        Self { limits, unbounded, clamp: false, server_tool_rounds: ai::bound::TOOL_ROUNDS }
    }
}

/// The positions in the file of plans and budgets; `None` for a default, and if a variable has the entry.
#[derive(Debug, Clone, Default)]
pub struct LimitPlaces {
    /// The positions of [`Traffic::plans`](super::Traffic::plans), in their order.
    pub plans: Box<[Option<Place>]>,
    /// The positions of [`Budgets::limits`], in their order.
    pub budgets: Box<[Option<Place>]>,
}

/// One entry of `budgets.limits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetLimit {
    /// The scope of the budget.
    pub dimension: BudgetDimension,
    /// Amount, measure and period.
    pub budget: Budget,
}

/// The values of `budgets.limits[].dimension`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetDimension {
    /// Each key has the budget.
    Key,
    /// Each user has the budget, over all of their keys.
    User,
    /// Each plan has the budget, over all of its users.
    Plan,
    /// All users together have the budget.
    Global,
}

/// The values of `budgets.unbounded`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UnboundedCalls {
    /// The request is refused.
    #[default]
    Refuse,
    /// The request reserves the maximum input and output of its model.
    Window,
}

/// The setting `quota_status`: clients differ in which status they retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaStatus {
    /// 429 Too Many Requests, the default.
    TooManyRequests,
    /// The status 402 Payment Required.
    PaymentRequired,
    /// The status 403 Forbidden.
    Forbidden,
    /// The status after which the client of the request sends the fewest further requests.
    Auto,
}

impl Budgets {
    /// Returns the budgets that apply to `caller`.
    pub fn for_caller(&self, caller: Caller) -> impl Iterator<Item = (BudgetId, Amount)> {
        self.limits.iter().map(move |limit| {
            limit.budget.id_and_amount(match limit.dimension {
                BudgetDimension::Key => BudgetScope::Key(caller.key),
                BudgetDimension::User => BudgetScope::User(caller.user),
                BudgetDimension::Plan => BudgetScope::Plan(caller.plan),
                BudgetDimension::Global => BudgetScope::Global,
            })
        })
    }
}

impl BudgetDimension {
    /// Every dimension, in order of declaration.
    pub const ALL: [Self; 4] = [Self::Key, Self::User, Self::Plan, Self::Global];

    /// Returns the word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::User => "user",
            Self::Plan => "plan",
            Self::Global => "global",
        }
    }
}

impl UnboundedCalls {
    /// Returns the word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Window => "window",
        }
    }
}

impl QuotaStatus {
    /// Every status, in order of declaration.
    pub const ALL: [Self; 4] = [Self::TooManyRequests, Self::PaymentRequired, Self::Forbidden, Self::Auto];

    /// Returns the HTTP status of a response to `client`. `docs/clients.md` has the measurements for `auto`.
    #[must_use]
    pub const fn for_client(self, client: ClientProgram) -> u16 {
        match self {
            Self::TooManyRequests => 429,
            Self::PaymentRequired => 402,
            Self::Forbidden => 403,
            Self::Auto => match client {
                // They repeat a request after 429. OpenAI's SDKs and LiteLLM do not, but programs on them do.
                ClientProgram::AiSdk
                | ClientProgram::Aider
                | ClientProgram::Continue
                | ClientProgram::GeminiCli
                | ClientProgram::LangChainGoogle
                | ClientProgram::LiteLlm
                | ClientProgram::OpenAi
                | ClientProgram::OpenAiPython
                | ClientProgram::Opencode
                | ClientProgram::Pi
                | ClientProgram::QwenCode => 402,
                // Codex repeats a request after 402 and 403.
                ClientProgram::Codex
                | ClientProgram::Anthropic
                | ClientProgram::ClaudeCode
                | ClientProgram::GoogleGenAi
                | ClientProgram::Unknown => 429,
            },
        }
    }

    /// Returns the word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooManyRequests => "429",
            Self::PaymentRequired => "402",
            Self::Forbidden => "403",
            Self::Auto => "auto",
        }
    }
}
