//! Distinguished names of certificates as text (RFC 4514).

use std::fmt::Write as _;

use x509_parser::prelude::FromDer as _;
use x509_parser::x509::{AttributeTypeAndValue, RelativeDistinguishedName, X509Name};

/// The names of attributes that RFC 4514 (section 3) requires; other attributes are written as numbers.
const NAMES: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// Returns the subject of a certificate as printable ASCII; empty if the certificate has none, `None` if it is not valid.
/// All other characters are escaped, so that no value can look like another attribute, or end a header.
pub(crate) fn subject(certificate: &[u8]) -> Option<String> {
    let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(certificate).ok()?;
    Some(text(certificate.subject()))
}

fn text(name: &X509Name<'_>) -> String {
    // The text begins with the last element (RFC 4514, 2.1).
    let mut elements: Vec<String> = name.iter_rdn().map(element).collect();
    elements.reverse();
    elements.join(",")
}

fn element(element: &RelativeDistinguishedName<'_>) -> String {
    element.iter().map(attribute).collect::<Vec<_>>().join("+")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let number = attribute.attr_type().to_id_string();
    let name = NAMES.iter().find(|(known, _)| *known == number).map(|(_, name)| *name);
    match (name, attribute.as_str()) {
        (Some(name), Ok(value)) => format!("{name}={}", escaped(value)),
        (name, _) => format!("{}=#{}", name.unwrap_or(&number), hex(attribute)),
    }
}

/// Escapes what RFC 4514 (2.4) requires, and all octets that are not printable ASCII.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let last = value.len().saturating_sub(1);
    for (at, octet) in value.bytes().enumerate() {
        match octet {
            b'"' | b'+' | b',' | b';' | b'<' | b'=' | b'>' | b'\\' => text.extend(['\\', char::from(octet)]),
            b'#' if at == 0 => text.push_str("\\#"),
            b' ' if at == 0 || at == last => text.push_str("\\ "),
            b' '..=b'~' => text.push(char::from(octet)),
            // Writing to a `String` does not fail.
            _ => _ = write!(text, "\\{octet:02X}"),
        }
    }
    text
}

/// Returns the DER of a value in hexadecimal digits.
fn hex(attribute: &AttributeTypeAndValue<'_>) -> String {
    use x509_parser::der_parser::asn1_rs::ToDer as _;
    let der = attribute.attr_value().to_der_vec().unwrap_or_default();
    let mut text = String::with_capacity(2 * der.len());
    for octet in der {
        _ = write!(text, "{octet:02X}");
    }
    text
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, KeyPair};

    use super::*;

    /// Returns the subject of a new certificate with these attributes.
    fn subject_of(attributes: Vec<(DnType, DnValue)>) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (name, value) in attributes {
            params.distinguished_name.push(name, value);
        }
        let key = KeyPair::generate().unwrap();
        subject(params.self_signed(&key).unwrap().der()).unwrap()
    }

    fn common_name(value: &str) -> String {
        subject_of(vec![(DnType::CommonName, DnValue::Utf8String(value.to_owned()))])
    }

    #[test]
    fn elements_begin_with_the_last() {
        let attributes = [
            (DnType::CountryName, "ID"),
            (DnType::OrganizationName, "Example, Inc."),
            (DnType::OrganizationalUnitName, "Sales"),
            (DnType::CommonName, "ada"),
        ];
        let attributes = attributes.map(|(name, value)| (name, DnValue::Utf8String(value.to_owned())));
        assert_eq!(subject_of(attributes.into()), r"CN=ada,OU=Sales,O=Example\, Inc.,C=ID");
        assert_eq!(subject_of(Vec::new()), "");
    }

    #[test]
    fn no_value_looks_like_another_attribute_or_ends_a_header() {
        for (value, text) in [
            ("ada,O=Admins", r"CN=ada\,O\=Admins"),
            ("ada+UID=0", r"CN=ada\+UID\=0"),
            (r#"a"b\c<d>e;f"#, r#"CN=a\"b\\c\<d\>e\;f"#),
            ("#1", r"CN=\#1"),
            ("1#", "CN=1#"),
            (" a  b ", r"CN=\ a  b\ "),
            (" ", r"CN=\ "),
            ("a\r\nX-Admin: 1", r"CN=a\0D\0AX-Admin: 1"),
            ("a\0b\u{7f}", r"CN=a\00b\7F"),
            ("Zoë", r"CN=Zo\C3\AB"),
        ] {
            assert_eq!(common_name(value), text, "{value:?}");
        }
    }

    #[test]
    fn other_attributes_are_numbers_with_der() {
        let mail = DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
        let text = subject_of(vec![(mail, DnValue::Ia5String("a@b.c".try_into().unwrap()))]);
        assert_eq!(text, "1.2.840.113549.1.9.1=#1605614062 2E63".replace(' ', ""));
        let wide = DnValue::BmpString("Zo".try_into().unwrap());
        assert_eq!(subject_of(vec![(DnType::CommonName, wide)]), "CN=#1E04005A006F");
    }

    #[test]
    fn invalid_certificate_has_no_subject() {
        let mut params = CertificateParams::default();
        params.custom_extensions.push(CustomExtension::from_oid_content(&[1, 2, 3], vec![5, 0]));
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert!(subject(certificate.der()).is_some());
        for end in 0..certificate.der().len() {
            assert_eq!(subject(&certificate.der()[..end]), None, "{end}");
        }
    }
}
