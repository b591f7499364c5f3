//! `CDN-Cache-Control`, whose directives a shared cache obeys in place of `Cache-Control` and `Expires` (RFC 9213). It is a
//! dictionary of structured fields (RFC 9651, 3.2); one that is empty or invalid is ignored.

use super::directives::{CacheControl, SECONDS_MAX};

/// The value of a member of the dictionary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TargetedValue {
    Boolean(bool),
    Integer(i64),
    /// A value of a type that no directive has.
    Other,
}

/// Reads the values of all fields of this name; `None` if they are ignored.
pub(super) fn targeted<'a>(values: impl Iterator<Item = &'a [u8]>) -> Option<CacheControl> {
    let text = values.collect::<Vec<_>>().join(&b", "[..]);
    let mut rest = TargetedText(text.trim_ascii());
    let mut control = CacheControl::default();
    loop {
        let name = rest.key()?;
        let value = if rest.takes(b'=') { rest.member()? } else { TargetedValue::Boolean(true) };
        rest.parameters()?;
        apply(&mut control, name, value)?;
        rest.skip(b" \t");
        if rest.0.is_empty() {
            return Some(control);
        }
        rest.takes(b',').then_some(())?;
        rest.skip(b" \t");
    }
}

/// Applies a directive, the last one of a name. `None` if its value has another type.
fn apply(control: &mut CacheControl, name: &[u8], value: TargetedValue) -> Option<()> {
    let is_set = value != TargetedValue::Boolean(false);
    let seconds = || match value {
        TargetedValue::Integer(seconds) => Some(u64::try_from(seconds).unwrap_or(0).min(SECONDS_MAX)),
        TargetedValue::Boolean(_) | TargetedValue::Other => None,
    };
    match name {
        b"no-store" => control.no_store = is_set,
        b"no-cache" => control.no_cache = is_set,
        b"private" => control.is_private = is_set,
        b"public" => control.is_public = is_set,
        b"must-revalidate" | b"proxy-revalidate" => control.must_revalidate = is_set,
        b"must-understand" => control.must_understand = is_set,
        b"max-age" => control.max_age = Some(seconds()?),
        b"s-maxage" => control.s_maxage = Some(seconds()?),
        b"stale-while-revalidate" => control.stale_while_revalidate = seconds()?,
        b"stale-if-error" => control.stale_if_error = Some(seconds()?),
        _ => {}
    }
    Some(())
}

/// The rest of a dictionary.
struct TargetedText<'a>(&'a [u8]);

impl<'a> TargetedText<'a> {
    /// Takes the octets of a kind at the beginning.
    fn span(&mut self, is_part: impl Fn(u8) -> bool) -> &'a [u8] {
        let length = self.0.iter().take_while(|octet| is_part(**octet)).count();
        let (part, rest) = self.0.split_at_checked(length).unwrap_or((self.0, b""));
        self.0 = rest;
        part
    }

    fn skip(&mut self, octets: &[u8]) {
        self.span(|octet| octets.contains(&octet));
    }

    fn takes(&mut self, octet: u8) -> bool {
        let rest = self.0.strip_prefix(&[octet]);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn key(&mut self) -> Option<&'a [u8]> {
        let is_part = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || b"_-.*".contains(&octet);
        let key = self.span(is_part);
        key.first().filter(|first| first.is_ascii_lowercase() || **first == b'*').map(|_| key)
    }

    /// Reads a value or an inner list.
    fn member(&mut self) -> Option<TargetedValue> {
        if !self.takes(b'(') {
            return self.value();
        }
        loop {
            self.skip(b" ");
            if self.takes(b')') {
                return Some(TargetedValue::Other);
            }
            self.value()?;
            self.parameters()?;
            matches!(self.0.first(), Some(b' ' | b')')).then_some(())?;
        }
    }

    fn parameters(&mut self) -> Option<()> {
        while self.takes(b';') {
            self.skip(b" ");
            self.key()?;
            if self.takes(b'=') {
                self.value()?;
            }
        }
        Some(())
    }

    fn value(&mut self) -> Option<TargetedValue> {
        match self.0.first()? {
            b'?' => {
                self.takes(b'?');
                let is_true = self.takes(b'1');
                (is_true || self.takes(b'0')).then_some(TargetedValue::Boolean(is_true))
            }
            b'"' => {
                self.takes(b'"');
                self.string()
            }
            b':' => {
                self.takes(b':');
                self.span(|octet| octet.is_ascii_alphanumeric() || b"+/=".contains(&octet));
                self.takes(b':').then_some(TargetedValue::Other)
            }
            b'-' | b'0'..=b'9' => self.number(),
            first if first.is_ascii_alphabetic() || *first == b'*' => {
                self.span(|octet| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&octet));
                Some(TargetedValue::Other)
            }
            _ => None,
        }
    }

    /// Reads an integer of at most 15 digits, or a decimal.
    fn number(&mut self) -> Option<TargetedValue> {
        let is_negative = self.takes(b'-');
        let digits = self.span(|octet| octet.is_ascii_digit());
        if !(1..=15).contains(&digits.len()) {
            return None;
        }
        if self.takes(b'.') {
            let fraction = self.span(|octet| octet.is_ascii_digit());
            return (1..=3).contains(&fraction.len()).then_some(TargetedValue::Other);
        }
        let number: i64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
        Some(TargetedValue::Integer(if is_negative { -number } else { number }))
    }

    /// Reads a string after its first quote.
    fn string(&mut self) -> Option<TargetedValue> {
        loop {
            self.span(|octet| matches!(octet, b' '..=b'~') && octet != b'"' && octet != b'\\');
            if self.takes(b'"') {
                return Some(TargetedValue::Other);
            }
            (self.takes(b'\\') && (self.takes(b'"') || self.takes(b'\\'))).then_some(())?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_dictionaries_are_read_and_others_are_ignored() {
        let none = CacheControl::default();
        let of = |max_age| CacheControl { max_age: Some(max_age), ..none };
        for (values, expected) in [
            (&["max-age=60"][..], Some(of(60))),
            (&["max-age=60", "no-store"], Some(CacheControl { no_store: true, ..of(60) })),
            (&["max-age=1, max-age=3"], Some(of(3))),
            (&["  max-age=60;x=\"a,b\" ,\tprivate  "], Some(CacheControl { is_private: true, ..of(60) })),
            (&["max-age=999999999999999"], Some(of(1 << 31))),
            (&["max-age=-5"], Some(of(0))),
            (&["no-cache=?0, public=?1"], Some(CacheControl { is_public: true, ..none })),
            (&["no-cache=(\"a\" b;c=1)"], Some(CacheControl { no_cache: true, ..none })),
            (&["x=:aGk=:, y=token, z=1.5, s-maxage=7"], Some(CacheControl { s_maxage: Some(7), ..none })),
            (&["max-age=\"60\""], None),
            (&["max-age=60.0"], None),
            (&["max-age"], None),
            (&["max-age=60, &&&"], None),
            (&["max-age=60,"], None),
            (&["max-age =60"], None),
            (&["max-age= 60"], None),
            (&["Max-Age=60"], None),
            (&["max-age=60 private"], None),
            (&["max-age=9999999999999999"], None),
            (&["x=\"\\a\", max-age=60"], None),
            (&["x=(a"], None),
            (&["x=(a\"b\")"], None),
            (&[""], None),
            (&[], None),
        ] {
            assert_eq!(targeted(values.iter().map(|value| value.as_bytes())), expected, "{values:?}");
        }
    }
}
