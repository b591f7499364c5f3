//! The GraphQL schema of an OpenAPI document. Schemas of objects become types of the same names. Integers, which may have 64
//! bits, are the scalar `Long`; maps, unions and values of any form are the scalar `JSON`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_graphql::dynamic::{
    Field, FieldFuture, FieldValue, InputValue, Object, Scalar, Schema, SchemaError, TypeRef,
};
use serde_json::{Map, Value};

use super::FIELDS_MAX;
use super::call::{CallArgument, CalledOperation};

const QUERY: &str = "Query";
const LONG: &str = "Long";
const ANY: &str = "JSON";
const JSON: &str = "application/json";
const SCHEMAS: &str = "#/components/schemas/";
/// Parameters that select another format than JSON.
const FORMAT: &str = "format";
/// Schemas in schemas of the document are less deep; deeper ones are [`ANY`].
const NESTED_MAX: usize = 8;

/// The bounds of a schema.
#[derive(Debug, Clone, Copy)]
pub(super) struct DepthBound {
    pub(super) depth: usize,
    /// Whether queries read only the schema.
    pub(super) is_introspection: bool,
}

/// The operations of a document that are fields.
pub(super) struct Operations<'a> {
    document: &'a Value,
    fields: BTreeMap<String, (&'a Value, CalledOperation)>,
}

/// The type of a value, and whether it may be null.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FieldType {
    kind: FieldKind,
    nullable: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum FieldKind {
    /// A scalar of this name.
    Scalar(&'static str),
    /// An object of the type with this name.
    Object(String),
    List(Box<FieldType>),
}

impl<'a> Operations<'a> {
    pub(super) fn from_document(document: &'a Value) -> Self {
        let mut fields = BTreeMap::new();
        for (path, methods) in document.pointer("/paths").and_then(Value::as_object).into_iter().flatten() {
            let Some(operation) = methods.get("get").filter(|operation| is_field(operation)) else { continue };
            let Some(id) = operation.get("operationId").and_then(Value::as_str) else { continue };
            let called = CalledOperation { path: path.clone(), arguments: arguments(operation) };
            fields.insert(field_name(id), (operation, called));
        }
        Self { document, fields }
    }

    /// Builds the schema of all operations.
    pub(super) fn schema(&self, bound: DepthBound) -> Result<Schema, SchemaError> {
        let mut query = Object::new(QUERY);
        let mut needed = BTreeSet::new();
        for (name, (operation, called)) in &self.fields {
            let response = operation.pointer("/responses/200/content").and_then(|content| content.get(JSON));
            let Some(schema) = response.and_then(|response| response.get("schema")) else { continue };
            // Null if the operation fails.
            let of = FieldType { nullable: true, ..self.type_of(schema, 0) };
            of.objects(&mut needed);
            query = query.field(root_field(name, operation, &of, called));
        }
        let mut builder = Schema::build(QUERY, None, None)
            .register(Scalar::new(LONG).description("An integer of 64 bits, as a JSON number."))
            .register(Scalar::new(ANY).description("A JSON value of any form."))
            .limit_depth(bound.depth)
            .limit_complexity(FIELDS_MAX);
        if bound.is_introspection {
            builder = builder.introspection_only();
        }
        let mut built = BTreeSet::new();
        while let Some(name) = needed.pop_first() {
            if built.insert(name.clone()) {
                let (object, more) = self.object(&name);
                needed.extend(more.difference(&built).cloned());
                builder = builder.register(object);
            }
        }
        builder.register(query).finish()
    }

    /// Returns the type of a schema of the document with the types of its fields.
    fn object(&self, name: &str) -> (Object, BTreeSet<String>) {
        let mut object = Object::new(name);
        let mut needed = BTreeSet::new();
        let schema = self.component(name);
        if let Some(text) = schema.and_then(description) {
            object = object.description(text);
        }
        for (name, member) in schema.map(|schema| self.members(schema, 0)).unwrap_or_default() {
            let mut of = self.type_of(member.schema, 0);
            of.nullable |= !member.is_required;
            of.objects(&mut needed);
            let mut field = member_field(name, &of);
            if let Some(text) = description(member.schema) {
                field = field.description(text);
            }
            object = object.field(field);
        }
        (object, needed)
    }

    fn component(&self, name: &str) -> Option<&'a Value> {
        self.document.pointer("/components/schemas")?.get(name)
    }

    /// Returns the members of an object; without any, its values are of any form.
    fn members(&self, schema: &'a Value, depth: usize) -> BTreeMap<&'a str, ObjectMember<'a>> {
        let mut members = BTreeMap::new();
        if depth > NESTED_MAX {
            return members;
        }
        if let Some(named) = reference(schema).and_then(|name| self.component(name)) {
            members.extend(self.members(named, depth + 1));
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            members.extend(self.members(part, depth + 1));
        }
        let required: Vec<&str> = strings(schema.get("required"));
        let properties: Option<&Map<String, Value>> = schema.get("properties").and_then(Value::as_object);
        for (name, schema) in properties.into_iter().flatten() {
            members.insert(name.as_str(), ObjectMember { schema, is_required: required.contains(&name.as_str()) });
        }
        members
    }

    fn type_of(&self, schema: &'a Value, depth: usize) -> FieldType {
        let any = |nullable| FieldType { kind: FieldKind::Scalar(ANY), nullable };
        if depth > NESTED_MAX {
            return any(true);
        }
        if let Some(name) = reference(schema) {
            let Some(named) = self.component(name) else { return any(true) };
            if self.members(named, 0).is_empty() {
                return self.type_of(named, depth + 1);
            }
            return FieldType { kind: FieldKind::Object(name.to_owned()), nullable: false };
        }
        if let Some(several) = schema.get("oneOf").and_then(Value::as_array) {
            let is_null = |schema: &&Value| schema.get("type").and_then(Value::as_str) == Some("null");
            let others: Vec<&Value> = several.iter().filter(|schema| !is_null(schema)).collect();
            return match others.as_slice() {
                [one] => FieldType { nullable: others.len() < several.len(), ..self.type_of(one, depth + 1) },
                _ => any(true),
            };
        }
        let kinds = strings(schema.get("type"));
        let nullable = kinds.contains(&"null");
        let kind = match kinds.into_iter().find(|kind| *kind != "null") {
            Some("string") => FieldKind::Scalar(TypeRef::STRING),
            Some("integer") => FieldKind::Scalar(LONG),
            Some("number") => FieldKind::Scalar(TypeRef::FLOAT),
            Some("boolean") => FieldKind::Scalar(TypeRef::BOOLEAN),
            Some("array") => match schema.get("items") {
                Some(items) => FieldKind::List(Box::new(self.type_of(items, depth + 1))),
                None => FieldKind::Scalar(ANY),
            },
            Some(_) | None => return any(true),
        };
        FieldType { kind, nullable }
    }
}

/// A member of an object of the document.
#[derive(Debug, Clone, Copy)]
struct ObjectMember<'a> {
    schema: &'a Value,
    is_required: bool,
}

impl FieldType {
    fn reference(&self) -> TypeRef {
        let of = match &self.kind {
            FieldKind::Scalar(name) => TypeRef::named(*name),
            FieldKind::Object(name) => TypeRef::named(name),
            FieldKind::List(items) => TypeRef::List(Box::new(items.reference())),
        };
        if self.nullable { of } else { TypeRef::NonNull(Box::new(of)) }
    }

    /// Adds the names of the object types in this type.
    fn objects(&self, to: &mut BTreeSet<String>) {
        match &self.kind {
            FieldKind::Scalar(_) => {}
            FieldKind::Object(name) => {
                to.insert(name.clone());
            }
            FieldKind::List(items) => items.objects(to),
        }
    }

    /// Returns the value of a field whose JSON is known.
    fn value<'v>(&self, json: &'v Value) -> Option<FieldValue<'v>> {
        if json.is_null() {
            return None;
        }
        Some(match &self.kind {
            FieldKind::Object(_) => FieldValue::borrowed_any(json),
            FieldKind::List(items) => FieldValue::list(
                json.as_array().into_iter().flatten().map(|item| items.value(item).unwrap_or(FieldValue::NULL)),
            ),
            FieldKind::Scalar(_) => FieldValue::value(async_graphql::Value::from_json(json.clone()).ok()?),
        })
    }
}

/// A field of an object, whose parent is JSON.
fn member_field(name: &str, of: &FieldType) -> Field {
    let key = name.to_owned();
    let of_value = of.clone();
    Field::new(name, of.reference(), move |context| {
        let parent = context.parent_value.downcast_ref::<Value>();
        FieldFuture::Value(parent.and_then(|parent| of_value.value(parent.get(&key)?)))
    })
}

/// A field that calls an operation.
fn root_field(name: &str, operation: &Value, of: &FieldType, called: &CalledOperation) -> Field {
    let shared = Arc::new(called.clone());
    let mut field = Field::new(name, of.reference(), move |context| {
        let operation = Arc::clone(&shared);
        FieldFuture::new(async move { Ok(operation.value(context).await) })
    });
    if let Some(summary) = operation.get("summary").and_then(Value::as_str) {
        field = field.description(format!("{summary} It is `GET {}`.", called.path));
    }
    for parameter in parameters(operation) {
        let Some(name) = parameter.get("name").and_then(Value::as_str).filter(|name| *name != FORMAT) else { continue };
        let kind = match parameter.pointer("/schema/type").map(|kind| strings(Some(kind))).as_deref() {
            Some(["integer", ..]) => LONG,
            Some(["boolean", ..]) => TypeRef::BOOLEAN,
            Some(_) | None => TypeRef::STRING,
        };
        let required = parameter.get("required").and_then(Value::as_bool) == Some(true);
        let mut argument = InputValue::new(name, if required { TypeRef::named_nn(kind) } else { TypeRef::named(kind) });
        if let Some(text) = description(parameter) {
            argument = argument.description(text);
        }
        field = field.argument(argument);
    }
    field
}

/// Whether an operation is a field: it needs a credential, and responds with the JSON of an object.
fn is_field(operation: &Value) -> bool {
    let security = operation.get("security").and_then(Value::as_array);
    let needs_credential = security.is_some_and(|entries| {
        !entries.is_empty() && entries.iter().all(|entry| entry.as_object().is_some_and(|schemes| !schemes.is_empty()))
    });
    let schema = operation.pointer("/responses/200/content").and_then(|content| content.get(JSON)?.get("schema"));
    needs_credential && schema.and_then(reference).is_some()
}

fn arguments(operation: &Value) -> Vec<CallArgument> {
    let argument = |parameter: &Value| {
        let name = parameter.get("name")?.as_str().filter(|name| *name != FORMAT)?;
        Some(CallArgument { name: name.to_owned(), is_in_path: parameter.get("in")?.as_str()? == "path" })
    };
    parameters(operation).filter_map(argument).collect()
}

/// The parameters of the URL.
fn parameters(operation: &Value) -> impl Iterator<Item = &Value> {
    let all = operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
    all.filter(|parameter| matches!(parameter.get("in").and_then(Value::as_str), Some("path" | "query")))
}

/// The name of the field of an operation: `get_usage_requests_id` is `usageRequestsById`.
fn field_name(operation_id: &str) -> String {
    let mut name = String::new();
    for word in operation_id.strip_prefix("get_").unwrap_or(operation_id).split('_') {
        let word = if word == "id" { "by_id" } else { word };
        for part in word.split('_') {
            match part.chars().next() {
                Some(first) if !name.is_empty() => {
                    name.extend(first.to_uppercase());
                    name.push_str(part.get(first.len_utf8()..).unwrap_or_default());
                }
                Some(_) | None => name.push_str(part),
            }
        }
    }
    name
}

fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix(SCHEMAS)
}

fn description(schema: &Value) -> Option<&str> {
    schema.get("description").and_then(Value::as_str)
}

/// The strings of a list, or the only string.
fn strings(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_operations() {
        let names = [
            ("get_me", "me"),
            ("get_usage_today", "usageToday"),
            ("get_usage_requests_id", "usageRequestsById"),
            ("get_users_id_keys", "usersByIdKeys"),
            ("get_provider_keys", "providerKeys"),
        ];
        names.into_iter().for_each(|(id, name)| assert_eq!(field_name(id), name));
    }
}
