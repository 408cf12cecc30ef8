//! TLS for every connection that mimid makes: whom it trusts. It opens no connection.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// The configuration of a client that trusts the system's certificates, or instead those in `ca_file`.
///
/// A server that shows one of the certificates in the file itself is trusted whatever its name: cameras and brokers at home sign their own,
/// and seldom for the name by which they are found.
///
/// # Errors
/// One sentence that names the file.
pub fn client(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| format!("TLS cannot be used: {error}"))?;
    let Some(file) = ca_file else {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err("the system has no certificates to judge the server's by; name a ca_file".to_owned());
        }
        return Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()));
    };
    let verifier = Arc::new(FileVerifier::new(file, provider)?);
    Ok(Arc::new(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()))
}

/// Whether a connection failed because the server's certificate is not trusted.
pub fn is_distrust(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    matches!(inner, Some(Error::InvalidCertificate(_)))
}

/// Trusts the certificates of a file: as authorities, and each as itself.
#[derive(Debug)]
struct FileVerifier {
    certificates: Vec<CertificateDer<'static>>,
    authorities: Arc<WebPkiServerVerifier>,
}

impl FileVerifier {
    fn new(file: &Path, provider: Arc<CryptoProvider>) -> Result<Self, String> {
        let unreadable = |error| format!("the certificates in {} cannot be read: {error}", file.display());
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).map_err(unreadable)?.collect();
        let certificates = certificates.map_err(unreadable)?;
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            let bad = |error| format!("a certificate in {} is not valid: {error}", file.display());
            roots.add(certificate.clone()).map_err(bad)?;
        }
        let none = |_| format!("there is no certificate in {}", file.display());
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().map_err(none)?;
        Ok(Self { certificates, authorities })
    }
}

impl ServerCertVerifier for FileVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.certificates.iter().any(|known| known == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        self.authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
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
    use super::*;

    #[test]
    fn a_file_without_certificates_is_a_sentence_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let missing = client(Some(&path)).unwrap_err();
        assert!(missing.contains("ca.pem cannot be read"), "{missing}");
        std::fs::write(&path, "no certificate\n").unwrap();
        let empty = client(Some(&path)).unwrap_err();
        assert!(empty.starts_with("there is no certificate in ") && empty.ends_with("ca.pem"), "{empty}");
    }
}
