//! Conversations of the Responses API that Tollgate remembers for calls of models with other formats: what a call sent, and the
//! items of its translated response. Later calls may name them by `previous_response_id` and `item_reference`.

use std::borrow::Cow;

use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Maximum number of references of one call. A call with more remains as it is.
pub const REFERENCES_MAX: usize = 2_048;
/// Longest body that references may make of a call, in bytes.
pub const RESOLVED_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The digits of a request id, with which all ids of a translated response begin after their prefix.
const WORD_LEN: usize = 32;
/// The digits of the number of an item.
const NUMBER_LEN: usize = 4;
/// The prefixes of the ids of items.
const ITEM_PREFIXES: [&str; 5] = ["msg", "rs", "fc", "ctc", "ig"];

/// A remembered call with its response, as raw JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// The items of the call's input, separated by commas; `None` if only the response is remembered.
    input: Option<Box<str>>,
    /// The items of the response.
    output: Vec<Box<str>>,
}

/// The references of a call.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct References {
    /// The id of an earlier response.
    pub previous: Option<String>,
    /// The ids of items, each once.
    pub items: Vec<String>,
}

/// The references make the call too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResolvedTooLarge;

#[derive(Deserialize)]
struct ReferringCall<'a> {
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    previous_response_id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct StoredCall<'a> {
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(default)]
    store: Option<bool>,
}

#[derive(Deserialize)]
struct NamedItem<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(default)]
    role: Option<serde::de::IgnoredAny>,
}

impl Conversation {
    /// Returns the conversation of a call with this input, as [`input_of`] returns it, and these items of its response.
    #[must_use]
    pub fn new(input: Box<str>, output: Vec<Box<str>>) -> Self {
        Self { input: Some(input), output }
    }

    /// Returns the conversation with the response alone.
    #[must_use]
    pub fn without_input(&self) -> Self {
        Self { input: None, output: self.output.clone() }
    }

    /// Whether a later call can continue it, and not only name its items.
    #[must_use]
    pub const fn has_input(&self) -> bool {
        self.input.is_some()
    }

    /// Returns about how many bytes it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let input = self.input.as_ref().map_or(0, |input| input.len());
        self.output.iter().map(|item| item.len()).fold(input, usize::saturating_add)
    }

    /// Returns the item of the response with this id.
    #[must_use]
    pub fn item(&self, id: &str) -> Option<&str> {
        let has_id = |item: &&str| {
            let named = serde_json::from_str::<NamedItem<'_>>(item);
            named.is_ok_and(|named| named.id.as_deref() == Some(id))
        };
        self.output.iter().map(|item| &**item).find(has_id)
    }

    /// Returns all items, separated by commas; `None` if only the response is remembered.
    #[must_use]
    pub fn items(&self) -> Option<String> {
        let mut all = String::with_capacity(self.bytes().saturating_add(self.output.len()));
        all.push_str(self.input.as_deref()?);
        for item in &self.output {
            push_item(&mut all, item);
        }
        Some(all)
    }

    /// Returns a whole conversation as JSON for other nodes; `None` if only the response is remembered.
    #[must_use]
    pub fn encode(&self) -> Option<String> {
        Some(format!("[[{}],[{}]]", self.input.as_deref()?, self.output.join(",")))
    }

    /// Reads the result of [`Self::encode`]; `None` for any other text.
    #[must_use]
    pub fn decode(text: &[u8]) -> Option<Self> {
        let [input, output] =
            <[Vec<&RawValue>; 2]>::try_from(serde_json::from_slice::<Vec<Vec<&RawValue>>>(text).ok()?).ok()?;
        let mut joined = String::new();
        input.iter().for_each(|item| push_item(&mut joined, item.get()));
        Some(Self::new(joined.into(), output.into_iter().map(|item| item.get().into()).collect()))
    }
}

fn push_item(items: &mut String, item: &str) {
    if !items.is_empty() {
        items.push(',');
    }
    items.push_str(item);
}

/// Returns the items of a call's input, separated by commas, for a [`Conversation`]; `None` if the client asks not to store it
/// (`store: false`), or if it is longer than `bytes_max`.
#[must_use]
pub fn input_of(body: &[u8], bytes_max: usize) -> Option<Box<str>> {
    let StoredCall { input, store } = serde_json::from_slice(body).ok()?;
    let input = input.filter(|input| store != Some(false) && input.get().len() <= bytes_max)?;
    let text = input.get().trim();
    if text.starts_with('"') {
        return Some(format!(r#"{{"role":"user","content":{text}}}"#).into());
    }
    Some(text.strip_prefix('[')?.strip_suffix(']')?.trim().into())
}

/// Whether a call may have references. A call that writes their names with escapes has none.
#[must_use]
pub fn may_refer(body: &[u8]) -> bool {
    ["\"item_reference\"", "\"previous_response_id\""].iter().any(|name| memmem::find(body, name.as_bytes()).is_some())
}

/// Returns the request id, as a number, of the translated response that made this id; `None` for an id of another form.
#[must_use]
pub fn made_by(id: &str) -> Option<u128> {
    let (prefix, rest) = id.split_once('_')?;
    let (word, number) = rest.split_at_checked(WORD_LEN)?;
    let is_item = ITEM_PREFIXES.contains(&prefix) && number.len() == NUMBER_LEN;
    let is_number = number.bytes().all(|digit| digit.is_ascii_digit());
    let is_word = word.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit));
    if !is_word || !is_number || !(is_item || prefix == "resp" && number.is_empty()) {
        return None;
    }
    u128::from_str_radix(word, 16).ok()
}

/// Returns the references of a call to parts of translated responses; `None` without any, or if there are more than
/// [`REFERENCES_MAX`].
#[must_use]
pub fn references(body: &[u8]) -> Option<References> {
    let ReferringCall { input, previous_response_id } = serde_json::from_slice(body).ok()?;
    let previous = previous_response_id.and_then(|id| serde_json::from_str::<String>(id.get()).ok());
    let mut found = References { previous: previous.filter(|id| made_by(id).is_some()), items: Vec::new() };
    for item in items(input) {
        found.items.extend(reference(item).filter(|id| made_by(id).is_some()));
        if found.items.len() > REFERENCES_MAX {
            return None;
        }
    }
    found.items.sort_unstable();
    found.items.dedup();
    (found != References::default()).then_some(found)
}

/// Returns the items of an input; none of one that is a text.
fn items(input: Option<&RawValue>) -> Vec<&RawValue> {
    let list = input.filter(|input| input.get().starts_with('['));
    list.and_then(|list| serde_json::from_str(list.get()).ok()).unwrap_or_default()
}

/// Returns the id that an item names, if it is a reference.
fn reference(item: &RawValue) -> Option<String> {
    /// References have no content.
    const REFERENCE_BYTES_MAX: usize = 1_024;
    if item.get().len() > REFERENCE_BYTES_MAX {
        return None;
    }
    let NamedItem { kind, id, role } = serde_json::from_str(item.get()).ok()?;
    let is_reference = match kind.as_deref() {
        Some(kind) => kind == "item_reference",
        None => role.is_none(),
    };
    if is_reference { id.map(Cow::into_owned) } else { None }
}

/// Returns the body of a call with the items that its references name: `item` returns the item with an id, and `previous` those of
/// the conversation that ends with a response. Unknown references remain.
///
/// # Errors
/// The body would be longer than [`RESOLVED_BYTES_MAX`].
pub fn resolved<'a>(
    body: &[u8],
    item: impl Fn(&str) -> Option<&'a str>,
    previous: impl Fn(&str) -> Option<String>,
) -> Result<Option<Vec<u8>>, ResolvedTooLarge> {
    let Ok(ReferringCall { input, previous_response_id }) = serde_json::from_slice::<ReferringCall<'_>>(body) else {
        return Ok(None);
    };
    let Some(input) = input else { return Ok(None) };
    let id = previous_response_id.and_then(|id| serde_json::from_str::<String>(id.get()).ok());
    let before = id.and_then(|id| previous(&id));
    let mut all = String::new();
    let mut is_changed = before.is_some();
    all.push_str(before.as_deref().unwrap_or_default());
    if input.get().starts_with('"') {
        push_item(&mut all, &format!(r#"{{"role":"user","content":{}}}"#, input.get()));
    }
    for raw in items(Some(input)) {
        let known = reference(raw).and_then(|id| item(&id));
        is_changed |= known.is_some();
        push_item(&mut all, known.unwrap_or(raw.get()));
        if all.len().saturating_add(body.len()) > RESOLVED_BYTES_MAX {
            return Err(ResolvedTooLarge);
        }
    }
    if !is_changed {
        return Ok(None);
    }
    let mut edits = vec![(range(body, input), format!("[{all}]"))];
    if let Some(id) = previous_response_id
        && before.is_some()
    {
        edits.push((range(body, id), "null".to_owned()));
    }
    edits.sort_unstable_by_key(|(range, _)| range.start);
    let mut resolved = Vec::with_capacity(body.len().saturating_add(all.len()));
    let mut end = 0;
    for (range, text) in edits {
        resolved.extend_from_slice(body.get(end..range.start).unwrap_or_default());
        resolved.extend_from_slice(text.as_bytes());
        end = range.end;
    }
    resolved.extend_from_slice(body.get(end..).unwrap_or_default());
    if resolved.len() > RESOLVED_BYTES_MAX { Err(ResolvedTooLarge) } else { Ok(Some(resolved)) }
}

/// Returns the place of a value that was borrowed from `body`.
fn range(body: &[u8], value: &RawValue) -> std::ops::Range<usize> {
    let start = value.get().as_ptr().addr().saturating_sub(body.as_ptr().addr());
    start..start.saturating_add(value.get().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORD: &str = "0199aa00000070008000000000000001";

    fn id(prefix: &str, number: &str) -> String {
        format!("{prefix}_{WORD}{number}")
    }

    fn conversation() -> Conversation {
        let message = format!(r#"{{"id":"{}","type":"message","role":"assistant","content":[]}}"#, id("msg", "0000"));
        let call = format!(r#"{{"id":"{}","type":"function_call","name":"f"}}"#, id("fc", "0001"));
        Conversation::new(r#"{"role":"user","content":"a"}"#.into(), vec![message.into(), call.into()])
    }

    /// Returns the call with the references that [`conversation`] has.
    fn resolve(body: &str) -> Option<String> {
        let known = conversation();
        let previous = |of: &str| if of == id("resp", "") { known.items() } else { None };
        let changed = resolved(body.as_bytes(), |id| known.item(id), previous).unwrap();
        changed.map(|body| String::from_utf8(body).unwrap())
    }

    #[test]
    fn ids_of_translated_responses_are_recognized() {
        let number = u128::from_str_radix(WORD, 16).unwrap();
        for (made, expected) in [
            (id("resp", ""), Some(number)),
            (id("msg", "0000"), Some(number)),
            (id("ctc", "0012"), Some(number)),
            (id("resp", "0000"), None),
            (id("msg", ""), None),
            (id("msg", "00é"), None),
            (id("file", "0000"), None),
            (id("msg", "0000").to_uppercase().replace("MSG", "msg"), None),
            ("msg_1".to_owned(), None),
            ("msg".to_owned(), None),
            (format!("resp_{WORD}-tgo-1"), None),
        ] {
            assert_eq!(made_by(&made), expected, "{made}");
        }
    }

    #[test]
    fn references_become_their_items() {
        let message = id("msg", "0000");
        let call = id("fc", "0001");
        let known = conversation();
        let body = format!(
            r#"{{"model":"m", "input":[{{"type":"item_reference","id":"{message}"}},{{"id":"{call}"}},{{"type":"function_call_output","call_id":"c","output":"x"}}],"stream":true}}"#
        );
        let expected = format!(
            r#"{{"model":"m", "input":[{},{},{{"type":"function_call_output","call_id":"c","output":"x"}}],"stream":true}}"#,
            known.output[0], known.output[1]
        );
        assert_eq!(resolve(&body), Some(expected));
        let found = references(body.as_bytes()).unwrap();
        assert_eq!((found.previous, found.items), (None, vec![call, message]));
    }

    #[test]
    fn an_earlier_response_becomes_its_conversation() {
        let response = id("resp", "");
        let known = conversation();
        let after = |input: &str| {
            format!(r#"{{"previous_response_id":null,"input":[{},{input}],"model":"m"}}"#, known.items().unwrap())
        };
        let with = |input: &str| format!(r#"{{"previous_response_id":"{response}","input":{input},"model":"m"}}"#);
        let item = r#"{"role":"user","content":"b"}"#;
        assert_eq!(resolve(&with(&format!("[{item}]"))), Some(after(item)));
        assert_eq!(resolve(&with("\"b\"")), Some(after(item)));
        assert_eq!(references(with("\"b\"").as_bytes()).unwrap().previous, Some(response));
    }

    #[test]
    fn unknown_references_and_other_items_remain() {
        let other = id("msg", "0007");
        for body in [
            format!(r#"{{"input":[{{"type":"item_reference","id":"{other}"}}]}}"#),
            r#"{"previous_response_id":"resp_1","input":"a"}"#.to_owned(),
            format!(
                r#"{{"input":[{{"type":"message","role":"user","id":"{}","content":"item_reference"}}]}}"#,
                id("msg", "0000")
            ),
            r#"{"input":"\"item_reference\""}"#.to_owned(),
            "[]".to_owned(),
            r#"{"input":[],"input":[]}"#.to_owned(),
        ] {
            assert_eq!(resolve(&body), None, "{body}");
        }
        assert_eq!(references(br#"{"previous_response_id":"resp_1","input":"a"}"#), None);
    }

    #[test]
    fn references_and_their_items_are_bounded() {
        let one = format!(r#"{{"type":"item_reference","id":"{}"}}"#, id("msg", "0000"));
        let body = |count: usize| format!(r#"{{"input":[{}]}}"#, vec![one.as_str(); count].join(","));
        assert_eq!(references(body(REFERENCES_MAX).as_bytes()).unwrap().items.len(), 1);
        assert_eq!(references(body(10_000).as_bytes()), None);
        let long = "x".repeat(RESOLVED_BYTES_MAX / 1_000);
        assert_eq!(resolved(body(1_001).as_bytes(), |_| Some(long.as_str()), |_| None), Err(ResolvedTooLarge));
    }

    #[test]
    fn the_input_of_a_call_is_kept_unless_it_is_not_to_be_stored() {
        let input = |body: &str| input_of(body.as_bytes(), 100).map(String::from);
        assert_eq!(input(r#"{"input":"a"}"#).as_deref(), Some(r#"{"role":"user","content":"a"}"#));
        assert_eq!(
            input(r#"{"store":true,"input":[ {"role":"user"} , 7 ]}"#).as_deref(),
            Some(r#"{"role":"user"} , 7"#)
        );
        assert_eq!(input(r#"{"store":null,"input":[]}"#).as_deref(), Some(""));
        for body in
            [r#"{"store":false,"input":"a"}"#, "{}", r#"{"input":7}"#, &format!(r#"{{"input":"{}"}}"#, "x".repeat(100))]
        {
            assert_eq!(input(body), None, "{body}");
        }
    }

    #[test]
    fn an_encoded_conversation_is_read_again() {
        for known in [conversation(), Conversation::new("".into(), Vec::new())] {
            assert_eq!(Conversation::decode(known.encode().unwrap().as_bytes()), Some(known));
        }
        let response = conversation().without_input();
        assert_eq!((response.has_input(), response.items(), response.encode()), (false, None, None));
        assert_eq!(response.item(&id("fc", "0001")), conversation().item(&id("fc", "0001")));
        for text in ["", "[]", "[[],[],[]]", "[7,[]]", "{}"] {
            assert_eq!(Conversation::decode(text.as_bytes()), None, "{text}");
        }
    }
}
