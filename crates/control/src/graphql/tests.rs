use axum::Json;
use axum::routing::get;
use bytes::Bytes;
use serde_json::{Map, json};

use super::*;

/// The number of items of the list.
const ITEMS: usize = 1_000;
/// The number of members of the map.
const LABELS: usize = 997;

/// Returns GraphQL over one operation, whose response has a list, a map and a text of 1 MiB.
fn graphql() -> GraphQl {
    let item = json!({"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}});
    let list = json!({"type": "object", "required": ["items"], "properties": {
        "items": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
        "labels": {"type": "object", "additionalProperties": {"type": "integer"}},
        "next": {"type": ["string", "null"]},
        "text": {"type": "string"},
    }});
    let content = json!({"application/json": {"schema": {"$ref": "#/components/schemas/List"}}});
    let operation =
        json!({"operationId": "get_list", "security": [{"key": []}], "responses": {"200": {"content": content}}});
    let document = json!({
        "paths": {"/list": {"get": operation}},
        "components": {"schemas": {"Item": item, "List": list}},
    });
    let text = Bytes::from(document.to_string());

    let items: Vec<Value> = (0..ITEMS).map(|id| json!({"id": id})).collect();
    let labels: Map<String, Value> = (0..LABELS).map(|nth| (format!("label{nth}"), json!(nth))).collect();
    let response = json!({"items": items, "labels": labels, "next": null, "text": "x".repeat(1 << 20)});
    let handlers = Router::new().route("/list", get(move || async move { Json(response) }));
    GraphQl::new(Arc::new(DocumentText::new(Box::new(move || text))), handlers)
}

async fn run(query: &str) -> Result<Response, Problem> {
    let (parts, ()) = http::Request::new(()).into_parts();
    graphql().run(parts, query.to_owned(), None, json!({})).await
}

fn aliases(count: usize, field: &str) -> String {
    (0..count).map(|nth| format!("a{nth}: {field} ")).collect()
}

#[tokio::test]
async fn a_result_of_the_maximum_number_of_values_is_served_and_one_more_is_refused() {
    let query = |count: usize, more: &str| format!("{{list {{items {{{}}} {more}}}}}", aliases(count, "id"));
    // The object, the list, 1,000 items with 198 members each, and the map with 997.
    assert_eq!(1 + 1 + ITEMS * (1 + 198) + 1 + LABELS, VALUES_MAX);
    let served = run(&query(198, "labels")).await.unwrap();
    assert!(served.errors.is_empty(), "{:?}", served.errors);
    let data = served.data.into_json().unwrap();
    let items = data["list"]["items"].as_array().unwrap();
    assert!(items.len() == ITEMS && items.iter().all(|item| item["a197"].is_u64()), "{} items", items.len());
    assert_eq!(data["list"]["labels"].as_object().unwrap().len(), LABELS);
    for refused in [query(198, "labels next"), query(199, "")] {
        let problem = format!("{:?}", run(&refused).await.unwrap_err());
        assert!(problem.contains("BadRequest") && problem.contains("more than 200000 values"), "{problem}");
    }
}

#[tokio::test]
async fn values_of_fragments_operations_maps_and_texts_are_counted() {
    let halves = format!(
        "{{a: list {{...L}} b: list {{...L}}}} fragment L on List {{items {{...I ... on Item {{id}}}}}} \
        fragment I on Item {{{}}}",
        aliases(99, "id")
    );
    let of_list = |count: usize, field: &str| format!("{{list {{{}}}}}", aliases(count, field));
    // 202,004 values, 998 for each map, and 4,097 for each text.
    for refused in [halves, of_list(201, "labels"), of_list(49, "text")] {
        let problem = format!("{:?}", run(&refused).await.unwrap_err());
        assert!(problem.contains("more than 200000 values"), "{problem}");
    }
    let served = run("{a: list {items {id}} b: list {labels text}}").await.unwrap();
    assert!(served.errors.is_empty(), "{:?}", served.errors);
}

#[tokio::test]
async fn variables_with_many_values_are_refused() {
    let (parts, ()) = http::Request::new(()).into_parts();
    for (values, is_refused) in [(VARIABLES_MAX - 10, false), (VARIABLES_MAX, true), (400_000, true)] {
        let variables = json!({"a": vec![1; values]});
        let result = graphql().run(parts.clone(), "{list {next}}".to_owned(), None, variables).await;
        let refused = result.err().map(|problem| format!("{problem:?}")).unwrap_or_default();
        assert_eq!(refused.contains("its variables have more than 5000 values"), is_refused, "{values}: {refused}");
    }
}
