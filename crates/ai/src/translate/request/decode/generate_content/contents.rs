//! The turns of a Gemini call, with the system's instruction before them.

use std::borrow::Cow;

use super::super::tools::function_origin;
use super::calls::{self, OpenCalls};
use super::{fields, parts};
use crate::translate::call::{Message, MessagePath, Part, Parts, Role, State, ToolCall};
use crate::translate::call_ids::call_id;
use crate::translate::request::json::{Node, Object, Outcome, refused};
use crate::translate::request::notes::Notes;
use crate::translate::signature;

/// Reads the messages of a call, with the system's instruction.
pub(super) fn read<'a>(body: &Object<'a>, notes: &mut Notes<'_>) -> Outcome<Vec<Message<'a>>> {
    let mut contents = Contents::default();
    if let Some(system) = fields::object(body, "systemInstruction")? {
        contents.turn(Role::System, &system, notes)?;
    }
    body.required("contents")?;
    for node in fields::elements(body, "contents")? {
        let content = node.object()?;
        let role = match content.text("role")?.as_deref() {
            None | Some("" | "user" | "function" | "tool") => Role::User,
            Some("model") => Role::Assistant,
            Some(_) => return Err(refused(&content.field_path("role"), "must be user or model")),
        };
        contents.turn(role, &content, notes)?;
    }
    Ok(contents.messages)
}

#[derive(Default)]
struct Contents<'a> {
    messages: Vec<Message<'a>>,
    calls: OpenCalls,
    /// The reasoning of the last message that the client was shown since its last call.
    thought: String,
    /// The place behind the last call of the last message.
    after_call: usize,
}

impl<'a> Contents<'a> {
    /// Reads a turn. The model's turns are one message: the SDKs keep each chunk of a stream as a turn.
    fn turn(&mut self, role: Role, content: &Object<'a>, notes: &mut Notes<'_>) -> Outcome<()> {
        let mut message = match self.messages.pop() {
            Some(last) if last.role == role && role == Role::Assistant => last,
            last => {
                self.messages.extend(last);
                self.thought.clear();
                self.after_call = 0;
                notes.hold(size_of::<Message<'_>>())?;
                Message { role, parts: Parts::new(), path: MessagePath::new(&content.path) }
            }
        };
        for node in fields::elements(content, "parts")? {
            self.part(&mut message, &node, notes)?;
        }
        self.messages.push(message);
        Ok(())
    }

    fn part(&mut self, message: &mut Message<'a>, node: &Node<'a>, notes: &mut Notes<'_>) -> Outcome<()> {
        let part = node.object()?;
        if let Some(text) = part.text("text")? {
            if message.role == Role::Assistant && fields::flag(&part, "thought")? {
                self.thought.push_str(&text);
            } else {
                let place = if message.parts.is_empty() { 0 } else { size_of::<Part<'_>>() };
                let is_copied = message.role == Role::Assistant || matches!(text, Cow::Owned(_));
                notes.hold(place + if is_copied { text.len() } else { 0 })?;
                add_text(message, text);
            }
        } else if let Some(call) = fields::object(&part, "functionCall")? {
            self.call(message, &part, &call, notes)?;
        } else if let Some(response) = fields::object(&part, "functionResponse")? {
            let result = calls::result(&response, &mut self.calls)?;
            message.parts.push(notes.part(Part::ToolResult(Box::new(result)))?);
        } else {
            if let Some(data) = parts::data(node, &part, notes)? {
                message.parts.push(notes.part(data)?);
            }
        }
        Ok(())
    }

    /// Reads a call. Its signature has the state of the reasoning since the call before it.
    fn call(
        &mut self,
        message: &mut Message<'a>,
        part: &Object<'a>,
        call: &Object<'a>,
        notes: &mut Notes<'_>,
    ) -> Outcome<()> {
        let name = call.required_text("name")?;
        let signature = fields::text(part, "thoughtSignature")?;
        let state = signature.and_then(|text| signature::capsule_of(&text)).and_then(|capsule| notes.state(&capsule));
        let given = call.text("id")?.filter(|id| !id.is_empty()).map(Cow::into_owned);
        // The state names the call by its id.
        let id = given.or_else(|| calls::id_in(state.as_deref()?)).unwrap_or_else(|| call.path.clone());
        let id = call_id(&id).into_owned();
        self.calls.add(&name, &id);
        let thought = std::mem::take(&mut self.thought);
        if let Some(items) = state {
            let text = (!thought.is_empty()).then_some(Cow::Owned(thought));
            message.parts.insert(self.after_call, notes.part(Part::State(Box::new(State { items, text })))?);
        }
        let arguments = Cow::Borrowed(fields::get(call, "args").map_or("{}", |args| args.raw.get()));
        let name = notes.names.name(&function_origin(None, &name));
        message.parts.push(notes.part(Part::ToolCall(Box::new(ToolCall { id, name, arguments })))?);
        self.after_call = message.parts.len();
        Ok(())
    }
}

/// Adds a text. The texts of the model are one: they are the pieces of a stream.
fn add_text<'a>(message: &mut Message<'a>, text: Cow<'a, str>) {
    match message.parts.last_mut() {
        Some(Part::Text(last)) if message.role == Role::Assistant => last.text.to_mut().push_str(&text),
        _ => message.parts.push(Part::text(text)),
    }
}
