//! Certificates and the encrypted listener.

use crate::config::Tls;
use crate::{Config, ServerError};
use rustls::ServerConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use sha2::{Digest as _, Sha256};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The configuration for `tls`, or `None` for plain text.
pub(crate) fn server_config(
    tls: &Tls,
    data_dir: &Path,
    names: &[String],
) -> Result<Option<Arc<ServerConfig>>, ServerError> {
    let (certificate, key) = match tls {
        Tls::Off => return Ok(None),
        Tls::Files { certificate, key } => (certificate.clone(), key.clone()),
        Tls::Auto => own_certificate(data_dir, names)?,
    };
    let say = |what: &str, path: &Path, error: &dyn std::fmt::Display| {
        ServerError::Tls(format!("{what} {}: {error}", path.display()))
    };
    let chain = CertificateDer::pem_file_iter(&certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| say("certificate", &certificate, &error))?;
    let secret = PrivateKeyDer::from_pem_file(&key).map_err(|error| say("key", &key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ServerError::Tls(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|error| ServerError::Tls(error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(Arc::new(config)))
}

/// For the DICOM and HL7 listeners: `wanted`, or else whatever is not on this machine alone is encrypted.
pub(crate) fn acceptor(
    config: &Config,
    names: &[String],
    wanted: Option<bool>,
    address: Option<SocketAddr>,
) -> Result<Option<tokio_rustls::TlsAcceptor>, ServerError> {
    let Some(address) = address else { return Ok(None) };
    if !wanted.unwrap_or(!address.ip().is_loopback()) {
        return Ok(None);
    }
    let certificate = if config.tls == Tls::Off { &Tls::Auto } else { &config.tls };
    let made = server_config(certificate, &config.data_dir, names)?;
    Ok(made.map(|made| {
        let mut made = (*made).clone();
        made.alpn_protocols.clear();
        tokio_rustls::TlsAcceptor::from(Arc::new(made))
    }))
}

/// For calls to other systems, trusting what this machine trusts.
pub(crate) fn client_config() -> Result<Arc<rustls::ClientConfig>, ServerError> {
    client_config_trusting(None)
}

/// As `client_config`, trusting the certificates of a file besides.
pub(crate) fn client_config_trusting(file: Option<&Path>) -> Result<Arc<rustls::ClientConfig>, ServerError> {
    let mut roots = rustls::RootCertStore::empty();
    for path in ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"] {
        if let Ok(certificates) = CertificateDer::pem_file_iter(path) {
            for certificate in certificates.flatten() {
                // A bundle may hold certificates that rustls does not take.
                let _ = roots.add(certificate);
            }
            break;
        }
    }
    if let Some(file) = file {
        let say = |error: &dyn std::fmt::Display| ServerError::Tls(format!("{}: {error}", file.display()));
        for certificate in CertificateDer::pem_file_iter(file).map_err(|error| say(&error))? {
            roots.add(certificate.map_err(|error| say(&error))?).map_err(|error| say(&error))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ServerError::Tls(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// SHA-256 of the certificate of the web side; `None` where there is none, or none yet.
pub(crate) fn fingerprint(tls: &Tls, data_dir: &Path) -> Result<Option<[u8; 32]>, ServerError> {
    let path = match tls {
        Tls::Off => return Ok(None),
        Tls::Files { certificate, .. } => certificate.clone(),
        Tls::Auto => data_dir.join("tls").join("certificate.pem"),
    };
    if !path.exists() {
        return Ok(None);
    }
    let say = |error: &dyn std::fmt::Display| ServerError::Tls(format!("certificate {}: {error}", path.display()));
    let first = CertificateDer::pem_file_iter(&path).map_err(|error| say(&error))?.next();
    let first = first.transpose().map_err(|error| say(&error))?;
    Ok(first.map(|der| Sha256::digest(&der).into()))
}

/// For calls to another node, known by the SHA-256 of its certificate; an empty one is nobody's.
pub(crate) fn client_config_pinned(certificate: Vec<u8>) -> Result<rustls::ClientConfig, ServerError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let pinned = Pinned { certificate, provider: provider.clone() };
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ServerError::Tls(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pinned))
        .with_no_client_auth())
}

/// Trusts one certificate, whatever name it is for: the database says whose it is.
#[derive(Debug)]
struct Pinned {
    certificate: Vec<u8>,
    provider: Arc<rustls::crypto::CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if Sha256::digest(shown).as_slice() == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Makes a certificate for `names` at the first start, and keeps it: browsers that trusted it once go on.
fn own_certificate(data_dir: &Path, names: &[String]) -> Result<(PathBuf, PathBuf), ServerError> {
    let dir = data_dir.join("tls");
    let (certificate, key) = (dir.join("certificate.pem"), dir.join("key.pem"));
    if certificate.exists() && key.exists() {
        return Ok((certificate, key));
    }
    std::fs::create_dir_all(&dir).map_err(ServerError::file(&dir))?;
    let made =
        rcgen::generate_simple_self_signed(names.to_vec()).map_err(|error| ServerError::Tls(error.to_string()))?;
    write_private(&key, made.signing_key.serialize_pem().as_bytes())?;
    std::fs::write(&certificate, made.cert.pem()).map_err(ServerError::file(&certificate))?;
    Ok((certificate, key))
}

/// Writes a file that only its owner can read.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), ServerError> {
    write_private_io(path, bytes).map_err(ServerError::file(path))
}

pub(crate) fn write_private_io(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
