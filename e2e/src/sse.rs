//! Server-sent events as a client parses them.

use serde_json::Value;

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The value of `event:`, if present.
    pub name: Option<String>,
    /// The values of the `data:` lines, joined with newlines.
    pub data: String,
}

impl Event {
    /// Returns the data as JSON; null if it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or(Value::Null)
    }
}

/// Parses the complete events of a stream; like clients, it ignores a last event without its empty line.
#[must_use]
pub fn parse(stream: &[u8]) -> Vec<Event> {
    let text = String::from_utf8_lossy(stream).replace("\r\n", "\n");
    let Some((whole, _)) = text.rsplit_once("\n\n") else { return Vec::new() };
    whole.split("\n\n").filter_map(event).collect()
}

fn event(block: &str) -> Option<Event> {
    let mut name = None;
    let mut data: Vec<&str> = Vec::new();
    for line in block.lines() {
        if let Some(value) = field(line, "event") {
            name = Some(value.to_owned());
        } else if let Some(value) = field(line, "data") {
            data.push(value);
        }
    }
    (name.is_some() || !data.is_empty()).then(|| Event { name, data: data.join("\n") })
}

fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let value = line.strip_prefix(name)?.strip_prefix(':')?;
    Some(value.strip_prefix(' ').unwrap_or(value))
}
