//! The only module that uses the YAML library: it parses text into a tree that keeps positions.
//!
//! Scalars remain the text that was written (`1.10` is not `1.1`); their key determines their meaning.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::NonFiniteFloatPolicy;
use serde_saphyr::{Location, Options, RenderOptions, SnippetMode, Spanned, UserMessageFormatter};

use crate::error::{Code, Problem, ValueOrigin};
use crate::place::Place;

/// Maximum nesting of mappings and lists; the declared keys need 8. The library's own 64 overflow a stack of 2 MiB in a
/// debug build.
const DEPTH_MAX: usize = 16;
/// Maximum number of values that all aliases together may repeat.
const ALIAS_EVENTS_MAX: usize = 100_000;

/// A value and its position. It may hold a credential, so it prints in tests only.
#[cfg_attr(test, derive(Debug))]
pub struct YamlNode {
    /// The position of the value.
    pub at: ValueOrigin,
    /// The kind of the value, with its parts.
    pub kind: Kind,
}

/// The kind of a value.
#[cfg_attr(test, derive(Debug))]
pub enum Kind {
    /// An empty value, `~` or `null`.
    Null,
    /// A single value, as it is written.
    Scalar(String),
    /// The items of a list.
    List(Vec<YamlNode>),
    /// The keys and values of a mapping.
    Map(Vec<(YamlKey, YamlNode)>),
}

/// A key and its position.
#[cfg_attr(test, derive(Debug))]
pub struct YamlKey {
    /// The position of the key.
    pub at: ValueOrigin,
    /// The text of the key.
    pub name: String,
}

/// The reason why a text is not YAML.
#[cfg_attr(test, derive(Debug))]
pub struct YamlError {
    /// The position of the error.
    pub at: Option<Place>,
    /// The key that occurs twice.
    pub duplicate_key: Option<String>,
    /// The parser's description of the error.
    pub message: String,
}

impl YamlError {
    /// Returns the problem of a text that is not YAML.
    pub fn problem(&self) -> Problem {
        let at = self.at.map(ValueOrigin::File);
        match &self.duplicate_key {
            Some(key) => Problem::new(Code::Duplicate, at, format!("the key `{key}` occurs twice")),
            None => Problem::new(Code::Yaml, at, format!("this is not YAML: {}", self.message)),
        }
    }
}

impl Kind {
    /// Returns the name of the kind in errors.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Scalar(_) => "a single value",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

impl YamlNode {
    /// Collects the positions of keys and single values, except those below a key that `skip` selects.
    pub fn places(&self, skip: &impl Fn(&YamlKey) -> bool, places: &mut BTreeSet<Place>) {
        match &self.kind {
            Kind::Null => {}
            Kind::Scalar(_) => places.extend(self.at.place()),
            Kind::List(items) => items.iter().for_each(|item| item.places(skip, places)),
            Kind::Map(entries) => {
                for (key, value) in entries {
                    places.extend(key.at.place());
                    if !skip(key) {
                        value.places(skip, places);
                    }
                }
            }
        }
    }

    /// Returns the value at a path such as `plans[0].name`; `None` if the tree does not have it. A key of the path may
    /// contain dots, as names of headers do.
    pub fn find(&self, path: &str) -> Option<&Self> {
        self.find_entry(path).map(|(_, value)| value)
    }

    /// Returns the value at a path, and its key: that of the list, if it is an item of one.
    pub(crate) fn find_entry(&self, path: &str) -> Option<(&YamlKey, &Self)> {
        let Kind::Map(entries) = &self.kind else { return None };
        entries.iter().find_map(|(key, value)| value.at_rest(key, path.strip_prefix(key.name.as_str())?))
    }

    /// Returns the value at the rest of a path that begins with the path of this value, which `key` has.
    fn at_rest<'a>(&'a self, key: &'a YamlKey, rest: &str) -> Option<(&'a YamlKey, &'a Self)> {
        if rest.is_empty() {
            return Some((key, self));
        }
        if let Some(path) = rest.strip_prefix('.') {
            return self.find_entry(path);
        }
        let (index, rest) = rest.strip_prefix('[')?.split_once(']')?;
        let Kind::List(items) = &self.kind else { return None };
        items.get(index.parse::<usize>().ok()?)?.at_rest(key, rest)
    }

    /// Stores `value` at a path of keys, and creates missing mappings, whose position is `at`.
    pub fn set(&mut self, path: &[String], at: ValueOrigin, value: Self) {
        let Some((name, rest)) = path.split_first() else {
            *self = value;
            return;
        };
        if !matches!(self.kind, Kind::Map(_)) {
            let at = if matches!(self.kind, Kind::Null) { self.at } else { at };
            *self = Self { at, kind: Kind::Map(Vec::new()) };
        }
        let Kind::Map(entries) = &mut self.kind else { return };
        let found = entries.iter().position(|(key, _)| key.name == *name).unwrap_or_else(|| {
            entries.push((YamlKey { at, name: name.clone() }, Self { at, kind: Kind::Null }));
            entries.len() - 1
        });
        if let Some((_, entry)) = entries.get_mut(found) {
            entry.set(rest, at, value);
        }
    }

    /// Returns the same value with `at` as the position of all its parts.
    pub fn moved(self, at: ValueOrigin) -> Self {
        let kind = match self.kind {
            kind @ (Kind::Null | Kind::Scalar(_)) => kind,
            Kind::List(items) => Kind::List(items.into_iter().map(|item| item.moved(at)).collect()),
            Kind::Map(entries) => {
                let moved = |(key, value): (YamlKey, Self)| (YamlKey { at, ..key }, value.moved(at));
                Kind::Map(entries.into_iter().map(moved).collect())
            }
        };
        Self { at, kind }
    }
}

/// Parses one document; an empty one is `Null`.
///
/// # Errors
/// Returns the place and the reason if the text is not YAML.
pub fn parse(source: &str) -> Result<YamlNode, YamlError> {
    let mut options = Options::default();
    let mut budget = options.budget.take().unwrap_or_default();
    budget.max_depth = DEPTH_MAX;
    options.budget = Some(budget);
    options.alias_limits.max_total_replayed_events = ALIAS_EVENTS_MAX;
    options.strict_booleans = true;
    options.non_finite_float_policy = NonFiniteFloatPolicy::PassThrough;
    options.with_snippet = false;
    serde_saphyr::from_str_with_options::<Spanned<Raw>>(source, options)
        .map(|root| node(source, root))
        .map_err(|error| broken(&error))
}

fn broken(error: &serde_saphyr::Error) -> YamlError {
    let error = error.without_snippet();
    let duplicate_key = if let serde_saphyr::Error::DuplicateMappingKey { key, .. } = error {
        Some(key.clone().unwrap_or_default())
    } else {
        None
    };
    let formatter = UserMessageFormatter;
    let mut render = RenderOptions::new(&formatter);
    render.snippets = SnippetMode::Off;
    let text = error.render_with_options(render);
    // The renderer ends with the position, which an excerpt shows better.
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_owned();
    YamlError { at: error.location().and_then(place), duplicate_key, message }
}

fn place(location: Location) -> Option<Place> {
    let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    (location.line() > 0).then(|| Place {
        line: number(location.line()),
        column: number(location.column().max(1)),
        width: number(location.span().len().max(1)),
    })
}

fn node(source: &str, raw: Spanned<Raw>) -> YamlNode {
    let at = ValueOrigin::File(place(raw.referenced).unwrap_or(Place::START));
    let kind = match raw.value {
        Raw::Null => Kind::Null,
        Raw::Text(text) => Kind::Scalar(text),
        Raw::Plain(text) => Kind::Scalar(written(source, raw.defined).map_or(text, str::to_owned)),
        Raw::List(items) => Kind::List(items.into_iter().map(|item| node(source, item)).collect()),
        Raw::Map(entries) => Kind::Map(entries.into_iter().map(|(key, value)| entry(source, key, value)).collect()),
    };
    YamlNode { at, kind }
}

fn entry(source: &str, key: Spanned<String>, value: Spanned<Raw>) -> (YamlKey, YamlNode) {
    let at = ValueOrigin::File(place(key.referenced).unwrap_or(Place::START));
    let mut value = node(source, value);
    // A block mapping or list starts at its first entry; the position of its key is more useful.
    if !matches!(value.kind, Kind::Scalar(_)) {
        value.at = at;
    }
    (YamlKey { at, name: key.value }, value)
}

/// Returns the source text of a plain scalar.
fn written(source: &str, location: Location) -> Option<&str> {
    let span = location.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let text = source.get(start..start.checked_add(usize::try_from(span.byte_len()?).ok()?)?)?.trim();
    (!text.is_empty()).then_some(text)
}

/// The deserializer's value: a plain scalar that it took for a number or a boolean differs from text.
enum Raw {
    Null,
    Text(String),
    Plain(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Plain(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = access.next_key()? {
            entries.push((key, access.next_value()?));
        }
        Ok(Raw::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(source: &str) -> Vec<(YamlKey, YamlNode)> {
        let Kind::Map(entries) = parse(source).unwrap().kind else { panic!("{source} is no mapping") };
        entries
    }

    fn scalar(node: &YamlNode) -> &str {
        let Kind::Scalar(text) = &node.kind else { panic!("{node:?} is no scalar") };
        text
    }

    #[test]
    fn scalars_stay_as_they_were_written() {
        for (source, text) in [
            ("a: 1.10", "1.10"),
            ("a: 007 # bond", "007"),
            ("a: 0x10", "0x10"),
            ("a: 1e999", "1e999"),
            ("a: 99999999999999999999999", "99999999999999999999999"),
            ("a: yes", "yes"),
            ("a: TRUE", "TRUE"),
            ("a: '5'", "5"),
            ("a: \"q\\u0041\"", "qA"),
            ("a: ${X:-}", "${X:-}"),
            ("a: -3", "-3"),
            ("é: {a: 60s}\nb: 1", "1"),
            ("b: &x 2.50\nc: *x", "2.50"),
        ] {
            assert_eq!(scalar(&map(source).pop().unwrap().1), text, "{source}");
        }
    }

    #[test]
    fn places_of_keys_and_values_count_characters_from_one() {
        let entries = map("# c\nzoë: {é: 5}\nb:\n  - x\n");
        let Kind::Map(inner) = &entries[0].1.kind else { panic!() };
        assert_eq!(
            (inner[0].0.at, inner[0].1.at),
            (
                ValueOrigin::File(Place { line: 2, column: 7, width: 1 }),
                ValueOrigin::File(Place { line: 2, column: 10, width: 1 })
            )
        );
        assert_eq!(entries[1].1.at, ValueOrigin::File(Place { line: 3, column: 1, width: 1 }));
    }

    #[test]
    fn a_path_leads_to_keys_and_items_of_lists() {
        let root = parse("{a: [[{b: 1}, {b.c: 2, b: {d: 3}}]], b.c.d: 4, x: 5}").unwrap();
        for (path, text) in [("a[0][0].b", "1"), ("a[0][1].b.c", "2"), ("a[0][1].b.d", "3"), ("b.c.d", "4"), ("x", "5")]
        {
            assert_eq!(root.find(path).map(scalar), Some(text), "{path}");
        }
        for path in ["", "a.b", "a[1]", "a[0][1].b.e", "b.c", "b", "x.y", "x[0]", "xy", "a[0"] {
            assert!(root.find(path).is_none(), "{path}");
        }
    }

    #[test]
    fn nothing_is_null() {
        for source in ["", "# only a comment\n", "~", "---\n"] {
            assert!(matches!(parse(source).unwrap().kind, Kind::Null), "{source:?}");
        }
        assert!(matches!(map("a:\n").pop().unwrap().1.kind, Kind::Null));
    }

    #[test]
    fn nesting_and_aliases_are_bounded() {
        for depth in [DEPTH_MAX + 1, 60, 100_000] {
            assert!(parse(&format!("{}{}", "[".repeat(depth), "]".repeat(depth))).is_err());
        }
        assert!(parse(&format!("{}x", "- ".repeat(1_000))).is_err());
        assert!(parse(&format!("{}x", "- ".repeat(DEPTH_MAX))).is_ok());
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let alias = format!("*a{}", level - 1);
            bomb.push_str(&format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 10].join(", ")));
        }
        assert!(parse(&bomb).is_err());
    }
}
