//! Plain and encrypted connections.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::{limits, tls};

/// Opens an encrypted connection to this host, which the certificates in `ca_file` prove, or else those of the system.
///
/// # Errors
/// One sentence.
pub(super) async fn connect(host: &str, port: u16, ca_file: Option<&Path>) -> Result<TlsStream<TcpStream>, String> {
    encrypt(dial(host, port).await?, host, ca_file).await
}

/// Opens a plain connection to this host.
///
/// # Errors
/// One sentence.
pub(super) async fn dial(host: &str, port: u16) -> Result<TcpStream, String> {
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await;
    stream.map_err(|error| format!("no connection to {host}:{port}: {}", limits::explain(&error)))
}

async fn encrypt(stream: TcpStream, host: &str, ca_file: Option<&Path>) -> Result<TlsStream<TcpStream>, String> {
    encrypt_by(tls::client(ca_file)?, stream, host).await
}

/// Encrypts a connection to this host by a configuration.
///
/// # Errors
/// One sentence.
pub(crate) async fn encrypt_by(config: Arc<ClientConfig>, stream: TcpStream, host: &str) -> Result<TlsStream<TcpStream>, String> {
    let name =
        ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(|_| format!("{host:?} is no name for TLS"))?;
    TlsConnector::from(config).connect(name, stream).await.map_err(|error| match tls::is_distrust(&error) {
        true => format!(
            "the certificate of {host} is not trusted ({error}); if it is the right one, name a file that holds it under ca_file"
        ),
        false => format!("no encrypted connection to {host}: {error}"),
    })
}
