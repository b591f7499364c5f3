//! The verification of certificates of clients: authorities that have expired sign none, and lists revoke some.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};

use crate::certificate::provider;
use crate::validity::Validity;

/// Whether clients need a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientMode {
    /// A client without a certificate is refused.
    Required,
    /// A client may have no certificate.
    Optional,
}

/// Verifies certificates of clients.
#[derive(Debug)]
pub(crate) struct ClientVerifier {
    /// Verifies against all authorities, whenever these are valid.
    all: Arc<dyn ClientCertVerifier>,
    /// The authorities, each with a verifier against it alone.
    each: Vec<(Validity, Arc<dyn ClientCertVerifier>)>,
}

/// Why there is no verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnusableFile {
    Authorities,
    Revocations,
}

impl ClientVerifier {
    /// Returns the verifier for these authorities and revocation lists.
    pub(crate) fn new(
        authorities: Vec<CertificateDer<'static>>,
        revocations: &[CertificateRevocationListDer<'static>],
        mode: ClientMode,
    ) -> Result<Self, UnusableFile> {
        let mut each = Vec::new();
        for authority in &authorities {
            let validity = Validity::from_certificate(authority).ok_or(UnusableFile::Authorities)?;
            each.push((validity, verifier([authority.clone()], revocations, mode)?));
        }
        Ok(Self { all: verifier(authorities, revocations, mode)?, each })
    }
}

/// Returns a verifier of rustls, which ignores whether an authority has expired. Certificates of authorities without a list
/// are not checked for revocation.
fn verifier(
    authorities: impl IntoIterator<Item = CertificateDer<'static>>,
    revocations: &[CertificateRevocationListDer<'static>],
    mode: ClientMode,
) -> Result<Arc<dyn ClientCertVerifier>, UnusableFile> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority).map_err(|_| UnusableFile::Authorities)?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let builder = builder.with_crls(revocations.iter().cloned()).allow_unknown_revocation_status();
    let builder = match mode {
        ClientMode::Required => builder,
        ClientMode::Optional => builder.allow_unauthenticated(),
    };
    let is_list = |error: &VerifierBuilderError| matches!(error, VerifierBuilderError::InvalidCrl(_));
    let unusable = |error| if is_list(&error) { UnusableFile::Revocations } else { UnusableFile::Authorities };
    builder.build().map_err(unusable)
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.all.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.all.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let Some((expired, _)) = self.each.iter().find(|(validity, _)| !validity.includes(now)) else {
            return self.all.verify_client_cert(end_entity, intermediates, now);
        };
        let mut refused = Error::InvalidCertificate(expired.error(now));
        for (_, authority) in self.each.iter().filter(|(validity, _)| validity.includes(now)) {
            match authority.verify_client_cert(end_entity, intermediates, now) {
                Ok(verified) => return Ok(verified),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.all.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.all.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.all.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa,
        KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason, RevokedCertParams, SerialNumber, date_time_ymd,
    };

    use super::*;

    /// The time of the tests: 2026-11-20T12:00:00Z.
    const NOW: u64 = 1_795_176_000;

    type Authority = CertifiedIssuer<'static, KeyPair>;

    fn authority(name: &str, years: (i32, i32)) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn client(issuer: &Authority, serial: u64) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(["client".to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        params.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap().der().clone()
    }

    fn revokes(issuer: &Authority, serial: u64) -> CertificateRevocationListDer<'static> {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(2026, 2, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(issuer).unwrap().der().clone()
    }

    fn is_accepted(verifier: &ClientVerifier, certificate: &CertificateDer<'_>) -> bool {
        let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
        verifier.verify_client_cert(certificate, &[], now).is_ok()
    }

    #[test]
    fn an_authority_signs_clients_only_while_it_is_valid() {
        let valid = authority("a", (2020, 2030));
        let expired = authority("b", (2010, 2026));
        let later = authority("c", (2027, 2040));
        let all = [&valid, &expired, &later];
        let certificates = || all.iter().map(|authority| authority.der().clone()).collect();
        let verifier = ClientVerifier::new(certificates(), &[], ClientMode::Required).unwrap();
        let accepted = all.map(|authority| is_accepted(&verifier, &client(authority, 7)));
        assert_eq!(accepted, [true, false, false]);
        let only = ClientVerifier::new(vec![expired.der().clone()], &[], ClientMode::Optional).unwrap();
        assert!(!is_accepted(&only, &client(&expired, 7)) && !only.client_auth_mandatory());
        let valid_only = ClientVerifier::new(vec![valid.der().clone()], &[], ClientMode::Required).unwrap();
        assert!(is_accepted(&valid_only, &client(&valid, 7)) && !is_accepted(&valid_only, &client(&later, 7)));
    }

    #[test]
    fn a_revoked_certificate_is_refused_also_by_a_list_that_has_expired() {
        let listed = authority("a", (2020, 2030));
        let other = authority("b", (2020, 2030));
        let authorities = || vec![listed.der().clone(), other.der().clone()];
        let lists = [revokes(&listed, 7)];
        let verifier = ClientVerifier::new(authorities(), &lists, ClientMode::Required).unwrap();
        let accepted =
            [(&listed, 7), (&listed, 8), (&other, 7)].map(|(of, serial)| is_accepted(&verifier, &client(of, serial)));
        assert_eq!(accepted, [false, true, true]);
        let broken = [CertificateRevocationListDer::from(vec![1, 2, 3])];
        assert_eq!(
            ClientVerifier::new(authorities(), &broken, ClientMode::Required).err(),
            Some(UnusableFile::Revocations)
        );
    }
}
