//! Paths with parameters: `/users/{id}`, `/files/{*rest}`.

use std::fmt;

use super::normal_form::normalized;

/// Maximum number of parameters of a template.
const PARAMETERS_MAX: usize = 16;
/// Longest name of a parameter, in bytes.
const NAME_LEN_MAX: usize = 64;

/// A path of which whole segments are parameters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Template {
    text: Box<str>,
    segments: Box<[Segment]>,
}

/// One segment of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Segment {
    /// This text, byte for byte.
    Literal(Box<str>),
    /// `{name}`: one segment, which is not empty.
    Parameter(Box<str>),
    /// `{*name}`: the rest of the path, which is not empty. It is the last segment.
    Rest(Box<str>),
}

impl Template {
    /// Parses a path that has parameters.
    ///
    /// # Errors
    /// Returns a description of valid templates.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let path = text.strip_prefix('/').ok_or("a path, which begins with a slash")?;
        let segments = path.split('/').map(Segment::parse).collect::<Result<Vec<_>, _>>()?;
        let names: Vec<&str> = segments.iter().filter_map(Segment::name).collect();
        if names.len() > PARAMETERS_MAX {
            return Err("a path with at most 16 parameters");
        }
        if names.iter().enumerate().any(|(index, name)| names.iter().skip(index + 1).any(|other| other == name)) {
            return Err("a path whose parameters have different names");
        }
        if segments.iter().rev().skip(1).any(|segment| matches!(segment, Segment::Rest(_))) {
            return Err("a path with `{*name}` at its end");
        }
        Ok(Self { text: text.into(), segments: segments.into() })
    }

    /// Returns the segments; the first one follows the first slash.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Returns the names of the parameters in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.segments.iter().filter_map(Segment::name)
    }

    /// Returns the values of the parameters in their order, if the template matches the path, whose escapes may have other
    /// digits than capitals.
    #[must_use]
    pub fn captures<'p>(&self, path: &'p str) -> Option<Vec<&'p str>> {
        let mut values = Vec::new();
        let mut rest = Some(path.strip_prefix('/')?);
        for segment in &self.segments {
            let from = rest?;
            let (first, after) = from.split_once('/').map_or((from, None), |(first, after)| (first, Some(after)));
            match segment {
                Segment::Literal(text) if **text == *first || **text == *normalized(first) => rest = after,
                Segment::Parameter(_) if !first.is_empty() => {
                    values.push(first);
                    rest = after;
                }
                Segment::Rest(_) if !from.is_empty() => {
                    values.push(from);
                    rest = None;
                }
                Segment::Literal(_) | Segment::Parameter(_) | Segment::Rest(_) => return None,
            }
        }
        rest.is_none().then_some(values)
    }

    /// Returns the template with other literals, which may have slashes.
    pub(crate) fn with_literals(&self, change: impl Fn(&str) -> String) -> Self {
        let segments = self.segments.iter().flat_map(|segment| match segment {
            Segment::Literal(text) => {
                change(text).split('/').map(|text| Segment::Literal(text.into())).collect::<Vec<_>>()
            }
            Segment::Parameter(_) | Segment::Rest(_) => vec![segment.clone()],
        });
        Self { text: self.text.clone(), segments: segments.collect() }
    }

    /// Whether the last segment is `{*name}`.
    pub(crate) fn ends_with_rest(&self) -> bool {
        matches!(self.segments.last(), Some(Segment::Rest(_)))
    }

    /// Whether the template comes before regular expressions and matches each path that begins with `start`. The last
    /// segment of `start` may continue, so only `{*name}` matches it, and only if it is not empty.
    pub(crate) fn takes_all_below(&self, start: &str) -> bool {
        // `/{*rest}` comes after regular expressions.
        let Some((Segment::Rest(_), before)) = self.segments.split_last().filter(|(_, before)| !before.is_empty())
        else {
            return false;
        };
        let Some(mut rest) = start.strip_prefix('/') else { return false };
        for segment in before {
            let Some((first, after)) = rest.split_once('/') else { return false };
            let is_match = match segment {
                Segment::Literal(text) => **text == *first,
                Segment::Parameter(_) => !first.is_empty(),
                Segment::Rest(_) => false,
            };
            if !is_match {
                return false;
            }
            rest = after;
        }
        !rest.is_empty()
    }

    /// Returns the template without the names of its parameters. Templates of the same shape match the same paths.
    #[must_use]
    pub fn shape(&self) -> String {
        let mut shape = String::new();
        for segment in &self.segments {
            shape.push('/');
            shape.push_str(match segment {
                Segment::Literal(text) => text,
                Segment::Parameter(_) => "{}",
                Segment::Rest(_) => "{*}",
            });
        }
        shape
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let Some(inside) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            let is_literal = !text.contains(['{', '}', '*']);
            return if is_literal { Ok(Self::Literal(text.into())) } else { Err(WHOLE) };
        };
        let (name, is_rest) = inside.strip_prefix('*').map_or((inside, false), |name| (name, true));
        if !is_parameter_name(name) {
            return Err(WHOLE);
        }
        Ok(if is_rest { Self::Rest(name.into()) } else { Self::Parameter(name.into()) })
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Parameter(name) | Self::Rest(name) => Some(name),
        }
    }
}

const WHOLE: &str = "a path whose parameters are whole segments: /users/{id}, or /files/{*rest}";

/// Whether a parameter can have this name.
pub(crate) fn is_parameter_name(name: &str) -> bool {
    name.len() <= NAME_LEN_MAX
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_whole_segments_with_different_names() {
        for text in ["/{id}", "/users/{id}", "/users/{id}/", "/a/{b}/c/{*rest}", "/{*rest}", "/{_1}"] {
            let template = Template::parse(text).unwrap();
            assert_eq!(template.to_string(), text);
        }
        for text in [
            "/{}",
            "/{*}",
            "/{1}",
            "/a{id}",
            "/{id}.json",
            "/{a-b}",
            "/{a}/{a}",
            "/{*rest}/x",
            "/{a",
            "/a}",
            "/*",
            "users",
            "/{a}{b}",
            "/{ a}",
        ] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
        assert!(Template::parse(&"/{a".replace('a', &"a".repeat(65))).is_err());
        let many: String = (0..17).map(|number| format!("/{{p{number}}}")).collect();
        assert!(Template::parse(&many).is_err());
    }

    #[test]
    fn captures_are_the_segments_as_they_were_sent() {
        let check = |template: &str, path: &str, expected: Option<&[&str]>| {
            let found = Template::parse(template).unwrap().captures(path);
            assert_eq!(found.as_deref(), expected, "{template} {path}");
        };
        check("/users/{id}", "/users/7", Some(&["7"]));
        check("/users/{id}", "/users/a%2Fb", Some(&["a%2Fb"]));
        check("/users/{id}", "/users/", None);
        check("/users/{id}", "/users/7/", None);
        check("/users/{id}/", "/users/7/", Some(&["7"]));
        check("/a/{b}/c/{*rest}", "/a/1/c/x/y/", Some(&["1", "x/y/"]));
        check("/files/{*rest}", "/files/", None);
        check("/files/{*rest}", "/files", None);
        check("/files/{*rest}", "/files//x", Some(&["/x"]));
        check("/{*rest}", "/", None);
    }
}
