//! OpenAI's moderations: `POST /v1/moderations`. No text is ever flagged.

use super::event::id;
use crate::json::{Json, object};
use crate::response::MockResponse;

/// One result per text, without a usage report.
pub(super) fn whole(response: &MockResponse) -> Json {
    let results: Vec<Json> = response.parameters.inputs.iter().map(|_| result()).collect();
    object! { "id": id("modr-", response), "model": response.model, "results": results }
}

fn result() -> Json {
    macro_rules! each {
        ($value:expr) => {
            object! {
                "harassment": $value, "harassment/threatening": $value, "sexual": $value, "hate": $value,
                "hate/threatening": $value, "illicit": $value, "illicit/violent": $value,
                "self-harm/intent": $value, "self-harm/instructions": $value, "self-harm": $value,
                "sexual/minors": $value, "violence": $value, "violence/graphic": $value
            }
        };
    }
    object! {
        "flagged": false, "categories": each!(false), "category_scores": each!(0.000_01),
        "category_applied_input_types": each!(["text"])
    }
}
