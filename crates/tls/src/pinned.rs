//! The verification of an upstream's certificate against private authorities. A certificate that is itself among them is
//! accepted even if it is that of an authority, as `openssl req -x509` makes it.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::certificate::provider;
use crate::validity::Validity;

/// Verifies certificates of upstreams.
#[derive(Debug)]
pub(crate) struct UpstreamVerifier {
    authorities: Arc<WebPkiServerVerifier>,
    /// The certificates of the authorities themselves.
    pinned: Vec<(CertificateDer<'static>, Validity)>,
}

impl UpstreamVerifier {
    /// Returns the verifier for these authorities; `None` if one of them is not a valid certificate, or the list
    /// is empty.
    pub(crate) fn new(certificates: Vec<CertificateDer<'static>>) -> Option<Self> {
        let mut roots = RootCertStore::empty();
        let mut pinned = Vec::new();
        for certificate in certificates {
            roots.add(certificate.clone()).ok()?;
            let validity = Validity::from_certificate(&certificate)?;
            pinned.push((certificate, validity));
        }
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build().ok()?;
        Some(Self { authorities, pinned })
    }
}

impl ServerCertVerifier for UpstreamVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some((_, validity)) = self.pinned.iter().find(|(pinned, _)| pinned == end_entity) else {
            return self.authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        };
        if !validity.includes(now) {
            return Err(Error::InvalidCertificate(validity.error(now)));
        }
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
    use rustls::CertificateError;

    use super::*;

    /// The time of the tests: 2026-11-20T12:00:00Z.
    const NOW: u64 = 1_795_176_000;

    /// A self-signed certificate of an authority for `localhost` that is valid in these years.
    fn own_authority(years: (i32, i32)) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn verified(verifier: &UpstreamVerifier, certificate: &CertificateDer<'_>, name: &str) -> Option<Error> {
        let name = ServerName::try_from(name).unwrap();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW));
        verifier.verify_server_cert(certificate, &[], &name, &[], now).err()
    }

    #[test]
    fn an_authority_may_be_the_server_itself_if_its_name_and_time_are_valid() {
        let own = own_authority((2020, 2030));
        let verifier = UpstreamVerifier::new(vec![own_authority((2020, 2030)), own.clone()]).unwrap();
        assert_eq!(verified(&verifier, &own, "localhost"), None);
        assert_eq!(verified(&verifier, &own, "127.0.0.1"), None);
        let wrong = verified(&verifier, &own, "other.example");
        assert!(matches!(
            wrong,
            Some(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
            ))
        ));
        let other = own_authority((2020, 2030));
        assert!(matches!(verified(&verifier, &other, "localhost"), Some(Error::InvalidCertificate(_))));
        for (years, expected) in
            [((2020, 2026), CertificateError::Expired), ((2027, 2030), CertificateError::NotValidYet)]
        {
            let own = own_authority(years);
            let verifier = UpstreamVerifier::new(vec![own.clone()]).unwrap();
            assert_eq!(verified(&verifier, &own, "localhost"), Some(Error::InvalidCertificate(expected)));
        }
        assert!(UpstreamVerifier::new(Vec::new()).is_none());
    }
}
