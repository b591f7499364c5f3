//! The cookies of control, which are not for upstreams. Cookies have no port (RFC 6265, 8.5): a browser that is signed in to
//! control sends them to the proxy too if both have one host, and accepts them from upstreams.

use http1::{Field, Fields, HeadEdits, InvalidPart, KnownName};

/// The cookies that control sets, which begin with the key prefix of the brand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ControlCookies<'a> {
    prefix: &'a [u8],
}

impl<'a> ControlCookies<'a> {
    pub(crate) const fn from_key_prefix(key_prefix: &'a str) -> Self {
        Self { prefix: key_prefix.as_bytes() }
    }

    /// Removes the cookies of control from a request. Other cookies stay as they are.
    ///
    /// # Errors
    /// None of the values is invalid.
    pub(crate) fn withhold(self, edits: &mut HeadEdits, received: Fields<'_>) -> Result<(), InvalidPart> {
        let cookies = || received.all(KnownName::Cookie);
        if !cookies().any(|cookie| self.is_in(cookie)) {
            return Ok(());
        }
        edits.remove(KnownName::Cookie);
        for cookie in cookies() {
            let others: Vec<&[u8]> = pairs(cookie).filter(|pair| !self.is_own(pair)).collect();
            let others = others.join(&b';');
            if !others.trim_ascii().is_empty() {
                edits.append(KnownName::Cookie, others.trim_ascii())?;
            }
        }
        Ok(())
    }

    /// Whether the value of `Cookie` has a cookie of control.
    pub(crate) fn is_in(self, cookie: &[u8]) -> bool {
        pairs(cookie).any(|pair| self.is_own(pair))
    }

    /// Whether a field of a response sets or deletes a cookie of control.
    pub(crate) fn is_set_by(self, field: &Field<'_>) -> bool {
        field.known == Some(KnownName::SetCookie) && pairs(field.value).next().is_some_and(|pair| self.is_own(pair))
    }

    /// Whether a pair `NAME=VALUE` is a cookie of control. Browsers send a cookie without a name as its value, so a `=`
    /// before the name is skipped.
    fn is_own(self, pair: &[u8]) -> bool {
        const GUARD: &[u8] = b"__Host-";
        const NAMES: [&[u8]; 3] = [b"session", b"refresh", b"known"];
        let start = pair.iter().position(|octet| !octet.is_ascii_whitespace() && *octet != b'=').unwrap_or(pair.len());
        let name = pair.get(start..).unwrap_or_default().split(|octet| *octet == b'=').next().unwrap_or_default();
        let name = name.trim_ascii();
        let name = name.strip_prefix(GUARD).unwrap_or(name);
        let own = name.strip_prefix(self.prefix).and_then(|rest| rest.strip_prefix(b"_"));
        own.is_some_and(|own| NAMES.contains(&own))
    }
}

fn pairs(cookie: &[u8]) -> impl Iterator<Item = &[u8]> {
    cookie.split(|octet| *octet == b';')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::head::tests::get;

    const OWN: ControlCookies<'_> = ControlCookies::from_key_prefix("tollgate");

    /// Checks the cookies that an upstream receives.
    fn check(cookies: &[&str], expected: &[&str]) {
        let fields: Vec<_> = cookies.iter().map(|cookie| ("cookie", *cookie)).collect();
        let head = get(&fields);
        let mut edits = HeadEdits::for_forwarding();
        OWN.withhold(&mut edits, head.fields()).unwrap();
        let sent =
            edits.kept(head.fields()).chain(edits.added()).filter(|field| field.known == Some(KnownName::Cookie));
        let sent: Vec<String> = sent.map(|field| String::from_utf8(field.value.to_vec()).unwrap()).collect();
        assert_eq!(sent, expected, "{cookies:?}");
    }

    #[test]
    fn upstreams_receive_all_cookies_but_those_of_control() {
        check(&["tollgate_session=a.b.c"], &[]);
        check(&["__Host-tollgate_session=a; __Host-tollgate_refresh=tgr_b;__Host-tollgate_known=c"], &[]);
        check(&["a=1;  b=\"2\" ; tollgate_session=x; c=3=4 ;d"], &["a=1;  b=\"2\" ; c=3=4 ;d"]);
        check(&["tollgate_refresh=x; a=1"], &["a=1"]);
        check(&["a=1; tollgate_refresh =x", "b=2", "tollgate_known=y"], &["a=1", "b=2"]);
        check(&["a=1; =tollgate_session=x"], &["a=1"]);
    }

    #[test]
    fn other_cookies_stay_as_they_are() {
        for cookie in [
            "session=1; refresh=2",
            "a=tollgate_session=x",
            "Tollgate_session=x",
            "tollgate_sessions=x;xtollgate_session=x",
            "__host-tollgate_session=x; other_session=y",
            " ;; a ;",
        ] {
            check(&[cookie], &[cookie.trim()]);
        }
    }

    #[test]
    fn fields_that_set_cookies_of_control_are_found() {
        for (name, value, expected) in [
            ("set-cookie", "tollgate_session=evil; Path=/", true),
            ("Set-Cookie", "__Host-tollgate_refresh=; Path=/; Max-Age=0; Secure", true),
            ("set-cookie", " =tollgate_known=x", true),
            ("set-cookie", "a=1; tollgate_session=evil", false),
            ("set-cookie", "session=1", false),
            ("x-cookie", "tollgate_session=evil", false),
        ] {
            let head = get(&[(name, value)]);
            assert_eq!(head.fields().iter().any(|field| OWN.is_set_by(&field)), expected, "{name}: {value}");
        }
    }
}
