//! The thinking of a Claude model: its mode, its budget, and the fields that exclude it.

use super::super::json::ObjectWriter;
use super::super::models::{ClaudeRules, Thinking};
use super::super::notes::Notes;
use crate::translate::call::{Call, Effort, Message, Part, Role, ToolChoice};

/// The least budget of `thinking: enabled`, in tokens.
const BUDGET_MIN: u64 = 1_024;
/// The limit of output where neither the client nor the model's table names one.
const OUTPUT_TOKENS: u64 = 4_096;

/// The fields of a call that depend on each other.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) output_tokens_max: u64,
    /// The field `thinking` in JSON.
    pub(super) thinking: Option<String>,
    /// The value of `output_config.effort`.
    pub(super) effort: Option<&'static str>,
    /// Whether the model thinks.
    pub(super) thinks: bool,
}

/// Decides how the model thinks.
pub(super) fn plan(call: &Call<'_>, rules: ClaudeRules, notes: &mut Notes<'_>) -> Plan {
    let most = notes.options.output_tokens_max;
    let output_tokens_max =
        super::parts::output_tokens_max(call.output_tokens_max, most).or(most).unwrap_or(OUTPUT_TOKENS);
    let plan = Plan { output_tokens_max, ..Plan::default() };
    let wanted = call.reasoning.effort;
    match rules.thinking {
        Thinking::Never => {
            if wanted.is_some_and(|effort| effort != Effort::None) {
                notes.drop(call.reasoning.path);
            }
            plan
        }
        Thinking::Budget => match wanted {
            Some(Effort::None) => disabled(plan.output_tokens_max),
            Some(effort) => budgeted(call, effort, plan.output_tokens_max, notes),
            None => plan,
        },
        Thinking::Adaptive | Thinking::Always => adaptive(call, rules, plan.output_tokens_max),
    }
}

fn adaptive(call: &Call<'_>, rules: ClaudeRules, output_tokens_max: u64) -> Plan {
    let plan = Plan { output_tokens_max, ..Plan::default() };
    let is_shown = call.reasoning.shown == Some(true);
    let Some(wanted) = call.reasoning.effort else {
        let thinks = is_shown || call.reasoning.requested || rules.thinking == Thinking::Always;
        return Plan { thinking: (is_shown || call.reasoning.requested).then(|| adaptively(is_shown)), thinks, ..plan };
    };
    let effort = match wanted {
        Effort::None if rules.thinking == Thinking::Adaptive => return disabled(output_tokens_max),
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Xhigh if !rules.xhigh => "high",
        Effort::Medium | Effort::High | Effort::Xhigh | Effort::Max => wanted.as_str(),
    };
    Plan { thinking: Some(adaptively(is_shown)), effort: Some(effort), thinks: true, ..plan }
}

fn adaptively(is_shown: bool) -> String {
    let mut thinking = ObjectWriter::of_type("adaptive");
    if is_shown {
        thinking.text("display", "summarized");
    }
    thinking.finish()
}

fn disabled(output_tokens_max: u64) -> Plan {
    Plan { output_tokens_max, thinking: Some(ObjectWriter::of_type("disabled").finish()), ..Plan::default() }
}

fn budgeted(call: &Call<'_>, effort: Effort, output_tokens_max: u64, notes: &mut Notes<'_>) -> Plan {
    let forced = call.tool_choice.as_ref().is_some_and(ToolChoice::is_forced);
    let is_prefilled = call.messages.last().is_some_and(|last| last.role == Role::Assistant);
    if forced || is_prefilled {
        notes.drop(call.reasoning.path);
        return disabled(output_tokens_max);
    }
    if lacks_state(&call.messages) {
        return disabled(output_tokens_max);
    }
    let budget = budget(effort);
    // Without a limit of the client or the model, the response has its own tokens.
    let is_limited = call.output_tokens_max.is_some() || notes.options.output_tokens_max.is_some();
    let max = if is_limited { output_tokens_max } else { OUTPUT_TOKENS + budget };
    if max <= BUDGET_MIN {
        notes.drop(call.reasoning.path);
        return disabled(output_tokens_max);
    }
    let budget = budget.min((max / 2).max(BUDGET_MIN));
    let thinking = ObjectWriter::of_type("enabled").count("budget_tokens", budget).finish();
    Plan { thinking: Some(thinking), thinks: true, output_tokens_max: max, effort: None }
}

/// The budgets of LiteLLM (1.109.1), doubled above `high`.
pub(in crate::translate::request) const fn budget(effort: Effort) -> u64 {
    match effort {
        Effort::None | Effort::Minimal | Effort::Low => BUDGET_MIN,
        Effort::Medium => 2_048,
        Effort::High => 4_096,
        Effort::Xhigh => 8_192,
        Effort::Max => 16_384,
    }
}

/// Whether the call continues a loop of tools whose reasoning is missing: then `thinking: enabled` is an error.
fn lacks_state(messages: &[Message<'_>]) -> bool {
    let is_result = |part: &Part<'_>| matches!(part, Part::ToolResult(_));
    let mut last = messages.iter().rev().skip_while(|message| message.role == Role::System);
    let continues =
        last.next().is_some_and(|message| message.role == Role::User && message.parts.iter().any(is_result));
    let assistant = messages.iter().rev().find(|message| message.role == Role::Assistant);
    let begins_with_state =
        |message: &Message<'_>| matches!(message.parts.first(), Some(Part::State(state)) if !state.items.is_empty());
    continues && assistant.is_some_and(|message| !begins_with_state(message))
}
