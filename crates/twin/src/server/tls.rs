//! A certificate of the twin's own, made on the spot, and what accepts TLS with it. Never: a certificate anybody else
//! should trust; the authority's key is thrown away once it has signed.

use crate::config::TwinError;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use std::fmt;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Names a twin is reached by.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A certificate with its key, and the authority to trust.
#[derive(Clone, PartialEq, Eq)]
pub struct Tls {
    authority: String,
    /// Certificate and private key, in PEM.
    server: String,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(***)")
    }
}

fn unusable(e: impl fmt::Display) -> TwinError {
    TwinError::new(
        format!("cannot use the certificate: {e}"),
        "remove the directory's .pem files: others are made then",
    )
}

impl Tls {
    /// A new authority and a certificate of it for loopback names.
    pub fn make() -> Result<Tls, TwinError> {
        let make = || -> Result<Tls, rcgen::Error> {
            let mut root = CertificateParams::new(Vec::new())?;
            root.distinguished_name.push(DnType::CommonName, "ctos twin");
            root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            let root_key = KeyPair::generate()?;
            let authority = root.self_signed(&root_key)?.pem();
            let mut leaf = CertificateParams::new(NAMES.map(String::from).to_vec())?;
            leaf.distinguished_name.push(DnType::CommonName, "localhost");
            leaf.use_authority_key_identifier_extension = true;
            leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            let leaf_key = KeyPair::generate()?;
            let certificate = leaf.signed_by(&leaf_key, &Issuer::new(root, root_key))?.pem();
            Ok(Tls { authority, server: certificate + &leaf_key.serialize_pem() })
        };
        make().map_err(unusable)
    }

    /// What was made before. Errors: it is none.
    pub fn from_pem(authority: String, server: String) -> Result<Tls, TwinError> {
        let tls = Tls { authority, server };
        tls.acceptor()?;
        Ok(tls)
    }

    /// What a client has to trust.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Certificate and private key.
    pub fn server(&self) -> &str {
        &self.server
    }

    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, TwinError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.server.as_bytes()).collect();
        let key = PrivateKeyDer::from_pem_slice(self.server.as_bytes()).map_err(unusable)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_single_cert(chain.map_err(unusable)?, key)
            .map_err(unusable)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

#[cfg(test)]
mod tests;
